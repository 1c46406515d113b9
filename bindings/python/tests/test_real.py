"""The examples with the packages that they are for, as PyPI has them, and nothing downloaded beside them: a model of
Ultralytics with random weights, an InferencePipeline of Roboflow with a model of our own, supervision, OpenCV.
`make test-python-real` installs these packages (7 GB); what is not there is skipped. What Frigate does, which is no
package, is done here as it does it."""
import os
import subprocess
import sys
import threading
import unittest

import cuframes
from support import LIMIT, Streams, main, module, numpy, until

EXAMPLES = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "examples"))
FILM = os.path.realpath(os.path.join(EXAMPLES, "../../../tests/data/sintel-trailer-14s.mp4"))
sys.path.insert(0, EXAMPLES)


class Real(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")
        os.environ.update(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=self.directory, MPLCONFIGDIR=self.directory)

    def camera(self, name="cam0", width=128, height=64):
        """A stream in which each picture is brighter than the one before, up to white; (publisher, send)."""
        publisher = self.publish(width, height, name=name, color=(1, 1, 1, 1))
        count = iter(range(10**9))

        def send():
            number = next(count)
            picture = numpy.full((height * 3 // 2, width), 128, "u1")
            picture[:height] = min(235, 16 + number)
            return publisher.send(picture, pts=number * 10**9)

        return publisher, send

    def feed(self, send, enough):
        """Sends until it is enough, in a thread that ends with the test."""
        def run():
            pause = threading.Event()
            while not enough.is_set():
                send()
                pause.wait(0.01)

        feeder = threading.Thread(target=run, daemon=True)
        feeder.start()
        self.addCleanup(feeder.join)
        self.addCleanup(enough.set)


class Ultralytics(Real):
    def model(self):
        ultralytics = module("ultralytics")
        module("torch").manual_seed(1)
        return ultralytics.YOLO("yolov8n.yaml", verbose=False)

    def test_boxes_are_published(self):
        """Random weights find anything when they are asked for whatever there is."""
        model = self.model()
        import yolo
        publisher, send = self.camera()
        subscriber = self.subscribe("cam0")
        objects = self.publish(0, 0, None, "cam0-objects", packets=8)
        found = cuframes.join("cam0-objects")
        self.addCleanup(found.close)
        until(send)
        frame = subscriber.next(LIMIT)
        batch, place = yolo.batch_of(frame, 64)
        boxes = yolo.found_in(model.predict(batch, conf=1e-6, max_det=5, verbose=False)[0], place)
        self.assertTrue(boxes)
        for box in boxes:
            self.assertTrue(0 <= box.x <= 1 and 0 <= box.y <= 1 and 0 <= box.width <= 1 and 0 <= box.height <= 1, box)
            self.assertIn(box.label, model.names.values())
        objects.annotate(frame, boxes)
        self.assertEqual([box.label for box in found.find(frame, LIMIT)], [box.label for box in boxes])
        del publisher

    def test_the_program(self):
        self.model()
        publisher, send = self.camera()
        self.feed(send, threading.Event())
        done = subprocess.run([sys.executable, os.path.join(EXAMPLES, "yolo.py"), "--model", "yolov8n.yaml", "--size",
                               "64", "--frames", "3", "cam0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=LIMIT, check=False)
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (0, "3 frames"), done.stdout)
        del publisher

    def test_supervision_draws_on_a_copy(self):
        supervision = module("supervision")
        model = self.model()
        import yolo
        publisher, send = self.camera()
        subscriber = self.subscribe("cam0")
        until(send)
        frame = subscriber.next(LIMIT)
        results = model.predict(yolo.batch_of(frame, 64)[0], conf=1e-6, max_det=5, verbose=False)[0]
        detections = supervision.Detections.from_ultralytics(results)
        self.assertGreater(len(detections), 0)
        before = frame.to_bgr()
        drawn = supervision.BoxAnnotator().annotate(frame.to_bgr(), detections)
        self.assertFalse(numpy.array_equal(drawn, before))
        numpy.testing.assert_array_equal(frame.to_bgr(), before)
        del publisher


class Roboflow(Real):
    def run_pipeline(self, names, frames):
        """What a pipeline over these streams had after so many pictures: {source: [picture]}."""
        module("streamvision")
        from streamvision.stream.pipeline import InferencePipeline
        import roboflow
        seen, enough = {}, threading.Event()

        def model(batch):
            return [float(one.image.mean()) for one in batch]

        def sink(predictions, batch):
            for prediction, one in zip(predictions, batch) if isinstance(batch, list) else [(predictions, batch)]:
                if one is not None:
                    self.assertEqual(float(one.image.mean()), prediction)
                    seen.setdefault(one.source_id or 0, []).append(one.image)
            if len(seen) == len(names) and all(len(one) >= frames for one in seen.values()):
                enough.set()

        references = [roboflow.source(name) for name in names]
        pipeline = InferencePipeline.init_with_custom_logic(
            video_reference=references if len(references) > 1 else references[0], on_video_frame=model,
            on_prediction=sink)
        pipeline.start(use_main_thread=False)
        try:
            self.assertTrue(enough.wait(LIMIT))
        finally:
            pipeline.terminate()
            pipeline.join()
        return seen

    def test_a_pipeline_over_a_stream(self):
        module("streamvision")
        publisher, send = self.camera()
        self.feed(send, threading.Event())
        pictures = self.run_pipeline(["cam0"], 5)[0]
        self.assertEqual((pictures[0].shape, pictures[0].dtype), ((64, 128, 3), numpy.dtype("u1")))
        levels = [int(picture[0, 0, 0]) for picture in pictures]
        self.assertEqual(levels, sorted(levels))  # no older one after a newer one
        self.assertTrue(all((picture == picture[0, 0]).all() for picture in pictures))
        until(lambda: not publisher.stats.subscribers)

    def test_a_pipeline_over_three(self):
        module("streamvision")
        for name in ("a", "b", "c"):
            self.feed(self.camera(name)[1], threading.Event())
        self.assertEqual(sorted(self.run_pipeline(["a", "b", "c"], 2)), [0, 1, 2])

    def test_a_stream_that_ends_ends_the_pipeline(self):
        module("streamvision")
        from streamvision.camera.video_source import VideoSource
        import roboflow
        publisher, send = self.camera()
        source = VideoSource.init(roboflow.source("cam0"))
        source.start()
        self.addCleanup(source.terminate, wait_on_frames_consumption=False, purge_frames_buffer=True)
        self.assertEqual((source.describe_source().source_properties.width,
                          source.describe_source().source_properties.is_file), (128, False))
        enough = threading.Event()
        self.feed(send, enough)
        self.assertEqual(source.read_frame(timeout=LIMIT).image.shape, (64, 128, 3))
        enough.set()
        publisher.close()


class OpenCV(Real):
    def test_the_same_pictures_as_of_its_own(self):
        """A film by cv2.VideoCapture, and through a stream."""
        cv2, av = module("cv2"), module("av")
        ours, publisher = None, self.publish(1280, 720, "yuv420p")
        theirs = cv2.VideoCapture(FILM)
        self.addCleanup(theirs.release)
        with av.open(FILM) as film:
            stream = film.streams.video[0]
            publisher.set_format(1280, 720, "yuv420p")
            for number, frame in enumerate(film.decode(stream)):
                there, expected = theirs.read()
                self.assertTrue(there)
                if number % 40 == 10:
                    self.send(publisher, frame.to_ndarray())
                    ours = ours or cuframes.opencv.VideoCapture("s")
                    there, picture = ours.read()
                    self.assertTrue(there)
                    self.assertEqual(picture.shape, expected.shape)
                    # swscale of its FFmpeg takes BT.601 and smooths chroma: near, and not the same.
                    self.assertLess(numpy.abs(picture.astype("i2") - expected).mean(), 6)
                    cv2.GaussianBlur(picture, (5, 5), 0, dst=picture)  # it may be written
        ours.release()


class Frigate(Real):
    def test_frames_from_a_pipe(self):
        """As capture_frames() of frigate/video: reads of height * 3 / 2 * width bytes, until a short one."""
        publisher, send = self.camera()
        shape = (64 * 3 // 2, 128)
        program = subprocess.Popen([sys.executable, "-u", os.path.join(EXAMPLES, "i420.py"), "--frames", "3", "cam0"],
                                   stdout=subprocess.PIPE)
        with program:
            self.feed(send, threading.Event())
            frames = []
            while len(read := program.stdout.read(shape[0] * shape[1])) == shape[0] * shape[1]:
                frames.append(numpy.ndarray(shape, "u1", read))
        self.assertEqual((program.returncode, len(frames), read), (0, 3, b""))
        for frame in frames:
            self.assertTrue((frame[64:] == 128).all() and (frame[:64] == frame[0, 0]).all())
        del publisher


if __name__ == "__main__":
    unittest.TestCase.maxDiff = None
    main()
