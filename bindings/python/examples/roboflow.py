#!/usr/bin/env python3
"""A stream as the video of Roboflow's InferencePipeline, which takes a function that makes a VideoFrameProducer:

    InferencePipeline.init(video_reference=roboflow.source("door"), model_id=..., on_prediction=...)

usage: roboflow.py MODEL NAME     prints what the model finds"""
import argparse
import functools

import cuframes
import cuframes.opencv


class Producer(cuframes.opencv.VideoCapture):
    """streamvision.camera.entities.VideoFrameProducer by its methods: those of a VideoCapture, and what the source is.
    Pictures are NumPy's, B first."""

    def initialize_source_properties(self, properties):
        """The picture is its publisher's: nothing can be set."""

    def discover_source_properties(self):
        from streamvision.camera.entities import SourceProperties
        sides = cuframes.opencv.CAP_PROP_FRAME_WIDTH, cuframes.opencv.CAP_PROP_FRAME_HEIGHT
        size = [int(self.get(side)) for side in sides]
        return SourceProperties(width=size[0], height=size[1], total_frames=-1, is_file=False,
                                fps=self.get(cuframes.opencv.CAP_PROP_FPS), is_reconnectable=True)

    def connection_error_message(self):
        return "the stream is not there: cuframes list tells which are"


def source(name, **options):
    """What `video_reference` takes; options are those of cuframes.subscribe()."""
    return functools.partial(Producer, name, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("name", metavar="NAME")
    args = parser.parse_args()
    from inference import InferencePipeline
    pipeline = InferencePipeline.init(model_id=args.model, video_reference=source(args.name),
                                      on_prediction=lambda found, frame: print(frame.frame_id, found))
    pipeline.start()
    pipeline.join()


if __name__ == "__main__":
    main()
