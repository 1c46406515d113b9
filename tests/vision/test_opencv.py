#!/usr/bin/env python3
"""Tensors of RGB24 and GRAY8 beside OpenCV's letterbox: at most 2 of 255 apart, with both filters, at many sizes.
OpenCV works with weights of 11 bits and rounds between the two directions, so it is no closer to the formulas itself.
Where there is no OpenCV it is skipped, and counted so."""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
try:
    import cv2
    import numpy
except ImportError as error:
    print(f"skipped: no {error.name} here (python3-opencv, or opencv-python-headless of PyPI)")
    sys.exit(77)
import binding  # noqa: E402 pylint: disable=wrong-import-position

BUILD = os.environ.get("CUFRAMES_BUILD_DIR", os.path.join(HERE, "..", "..", "build"))
MOST = 2
# width, height -> width, height
SIZES = [((1920, 1080), (640, 640)), ((1280, 720), (640, 384)), ((641, 359), (320, 320)), ((333, 777), (224, 224)),
         ((100, 100), (33, 57)), ((50, 30), (640, 640)), ((17, 13), (31, 29)), ((640, 640), (640, 640)),
         ((1, 1), (5, 5)), ((2000, 3), (64, 64)), ((3, 900), (64, 64)), ((1024, 768), (299, 299)),
         ((639, 479), (213, 161))]
PAD = 114


def letterbox(image, width, height, interpolation):
    """As detectors have it: resized to what fits, in the middle, the odd pixel of padding right or below."""
    rows, columns = image.shape[:2]
    ratio = min(width / columns, height / rows)
    new = (max(1, int(columns * ratio + 0.5)), max(1, int(rows * ratio + 0.5)))
    small = cv2.resize(image, new, interpolation=interpolation)
    left, top = (width - new[0]) // 2, (height - new[1]) // 2
    return cv2.copyMakeBorder(small, top, height - new[1] - top, left, width - new[0] - left, cv2.BORDER_CONSTANT,
                              value=(PAD, PAD, PAD))


def content(kind, shape, random):
    if kind == "noise":
        return random.integers(0, 256, shape, numpy.uint8)
    if kind == "edges":
        return (random.integers(0, 2, shape, numpy.uint8) * 255).astype(numpy.uint8)
    y, x = numpy.mgrid[0:shape[0], 0:shape[1]]
    plane = 127.5 + 70 * numpy.sin(x / 9.7) + 57 * numpy.cos(y / 7.3)
    return numpy.repeat(plane[..., None], 3, 2).astype(numpy.uint8) if len(shape) == 3 else plane.astype(numpy.uint8)


def compare(library, random):
    worst, compared = 0, 0
    for (width, height), (to_width, to_height) in SIZES:
        for kind in ("noise", "edges", "smooth"):
            for pixels in (binding.RGB24, binding.GRAY8):
                gray = pixels == binding.GRAY8
                image = content(kind, (height, width) if gray else (height, width, 3), random)
                for name, ours, theirs in (("linear", binding.LINEAR, cv2.INTER_LINEAR),
                                           ("area", binding.AREA, cv2.INTER_AREA)):
                    if name == "area" and min(to_width / width, to_height / height) > 1:
                        continue  # OpenCV's INTER_AREA has weights of its own for what becomes larger
                    preprocess = binding.Preprocess(
                        library, to_width, to_height, element=binding.UINT8, layout=binding.NHWC, filter=ours,
                        channels=binding.GRAY if gray else binding.RGB, padding=(float(PAD),) * 3)
                    got, _ = preprocess([binding.picture(pixels, width, height, [image])])
                    wanted = letterbox(image, to_width, to_height, theirs).reshape(got[0].shape)
                    apart = int(numpy.abs(got[0].astype(int) - wanted).max())
                    if apart > MOST:
                        sys.exit(f"FAILED: {kind} {width}x{height} -> {to_width}x{to_height} {name}, "
                                 f"{'GRAY8' if gray else 'RGB24'}: {apart} of 255 apart")
                    worst, compared = max(worst, apart), compared + 1
    return worst, compared


def main():
    library = binding.Library(BUILD)
    worst, compared = compare(library, numpy.random.default_rng(7))
    # That a difference would be seen: another filter is one.
    image = content("edges", (90, 160, 3), numpy.random.default_rng(1))
    preprocess = binding.Preprocess(library, 64, 64, element=binding.UINT8, layout=binding.NHWC, filter=binding.LINEAR,
                                    padding=(float(PAD),) * 3)
    got, _ = preprocess([binding.picture(binding.RGB24, 160, 90, [image])])
    if numpy.abs(got[0].astype(int) - letterbox(image, 64, 64, cv2.INTER_AREA)).max() <= MOST:
        sys.exit("FAILED: linear and area look alike to this test")
    print(f"OpenCV {cv2.__version__}: {compared} tensors, at most {worst} of 255 apart")


if __name__ == "__main__":
    main()
