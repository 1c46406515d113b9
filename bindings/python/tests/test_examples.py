"""The examples of docs/howto/python.md, each run as it is beside what it needs."""
import io
import os
import subprocess
import sys
import threading
import types
import urllib.request

import cuframes
from support import LIMIT, Streams, main, module, numpy, until

EXAMPLES = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "examples"))
FILM = os.path.realpath(os.path.join(EXAMPLES, "../../../tests/data/sintel-trailer-14s.mp4"))


class Program:
    """An example that runs; its first line says that it is ready."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen([sys.executable, "-u", os.path.join(EXAMPLES, name), *map(str, arguments)],
                                        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        said, _ = self.process.communicate(timeout=LIMIT)
        if self.process.returncode != 0:
            raise AssertionError(f"it ended with {self.process.returncode}: {said}")
        return said.strip()


class Examples(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")

    def feed(self, publishers, picture, ended):
        """The same picture again and again, until it is enough."""
        def run():
            pause = threading.Event()
            while not ended.is_set():
                for publisher in publishers:
                    publisher.send(picture)
                pause.wait(0.01)

        feeder = threading.Thread(target=run, daemon=True)
        feeder.start()
        self.addCleanup(feeder.join)
        self.addCleanup(ended.set)
        return feeder

    def bright_corner(self):
        picture = numpy.full((96, 64), 16, "u1")
        picture[64:] = 128
        picture[:16, :16] = 235
        return picture

    def test_detector_and_viewer(self):
        module("torch")
        cameras = [self.publish(64, 64, name=f"cam{i}", color=(1, 1, 1, 1)) for i in range(8)]
        ended = threading.Event()
        with Program("detector.py", *(f"cam{i}" for i in range(8))) as detector:
            self.assertEqual(detector.line(), "ready")
            feeder = self.feed(cameras, self.bright_corner(), ended)
            self.view()
            self.assertIsNone(detector.process.poll())
        ended.set()
        feeder.join()

    def test_viewer(self):
        """Boxes of a detector that is made here."""
        camera = self.publish(64, 64, name="cam0", color=(1, 1, 1, 1))
        detector = self.publish(0, 0, None, "cam0-objects", packets=64)
        ended = threading.Event()

        def detect():
            for frame in cuframes.subscribe("cam0"):
                detector.annotate(frame, [cuframes.Detection(0, 0, 0.25, 0.25, 1.0, "bright")])
                if ended.is_set():
                    return

        finder = threading.Thread(target=detect, daemon=True)
        finder.start()
        self.feed([camera], self.bright_corner(), ended)
        self.view()
        ended.set()
        camera.send(self.bright_corner())
        finder.join(1)

    def view(self):
        with Program("viewer.py", "--frames", 20, "cam0") as viewer:
            self.assertEqual(viewer.line(), "ready")
            with cuframes.subscribe("cam0-boxes", timeout=LIMIT) as boxes:
                picture = boxes.next(LIMIT).to_rgb()
            self.assertRegex(viewer.end(), r"20 frames, [1-9]\d* boxes")
        self.assertEqual(picture.shape, (64, 64, 3))

    def test_motion_is_recorded_from_before_it_began(self):
        av = module("av")
        publisher = self.publish(1280, 720, "yuv420p", packets=1024, packet_bytes=64 << 20)
        with Program("motion.py", "--before", 3, "--after", 2, "--files", 1, "--publish", "moves", "s",
                     os.path.join(self.directory, "out")) as motion:
            self.assertEqual(motion.line(), "ready")
            publisher.wait_subscribers(2, LIMIT)
            boxes, looks = cuframes.join("moves", timeout=LIMIT), cuframes.subscribe("s", timeout=LIMIT)
            found, frame = [], None
            with av.open(FILM) as film:
                video = film.streams.video[0]
                cuframes.pyav.describe(publisher, 0, video)
                for number, packet in enumerate(film.demux(video)):
                    cuframes.pyav.send(publisher, packet)
                    if packet.size == 0:
                        break
                    # Nothing moves, but from the 150th picture on, where each is other than the one before.
                    planes = [numpy.full(shape, 128 + (number % 2) * 60 * (number >= 150), "u1")
                              for shape in ((720, 1280), (360, 640), (360, 640))]
                    if number % 10 == 0 or number >= 150:
                        seen = publisher.stats.frames
                        until(lambda: publisher.send(planes, pts=int(packet.pts * packet.time_base * 10**9)))
                        self.assertEqual(publisher.stats.frames, seen + 1)
                        frame = looks.poll() or frame
                        found = boxes.latest(frame) or found
                    if motion.process.poll() is not None:
                        break
                publisher.close()
            self.assertEqual(motion.end(), "1 files")
        found = boxes.latest(frame) or found  # all of the picture changes
        self.assertEqual([(one.x, one.y, one.width, one.height, one.label) for one in found], [(0, 0, 1, 1, "motion")])
        with av.open(os.path.join(self.directory, "out-1.mkv")) as file:
            times = [frame.time for frame in file.decode(video=0)]
        self.assertGreater(len(times), 48)  # two seconds, and what was before

    def test_a_web_server_gives_pictures(self):
        image = module("PIL.Image")
        publisher = self.publish(64, 64, name="cam0")
        publisher.send(self.bright_corner())
        with Program("web.py", "--port", 0, "--requests", 3) as web:
            url = web.line()
            with urllib.request.urlopen(f"{url}cam0.jpg", timeout=LIMIT) as answer:
                self.assertEqual(image.open(io.BytesIO(answer.read())).size, (64, 64))
            with urllib.request.urlopen(url, timeout=LIMIT) as answer:
                self.assertIn(b"/cam0.jpg", answer.read())
            with self.assertRaisesRegex(urllib.error.HTTPError, "404"):
                urllib.request.urlopen(f"{url}nobody.jpg", timeout=LIMIT)
            web.end()

    def test_rows_of_i420(self):
        """The same bytes of both formats, as Frigate reads them."""
        sys.path.insert(0, EXAMPLES)
        import i420
        whole = numpy.arange(96 * 64, dtype="u2").reshape(96, 64).astype("u1")
        chroma = whole[64:].reshape(2, 32, 32)
        for form, picture in (("yuv420p", whole), ("nv12", (whole[:64], numpy.dstack(tuple(chroma))))):
            with self.publish(64, 64, form, f"cam-{form}") as publisher:
                self.send(publisher, picture, pts=5)
                got, pts = next(i420.frames(f"cam-{form}"))
                numpy.testing.assert_array_equal(got, whole)
                self.assertEqual((pts, got.flags.c_contiguous), (5, True))
                with Program("i420.py", "--frames", 1, f"cam-{form}") as program:
                    said = program.process.stdout.buffer.read()
                self.assertEqual(said, whole.tobytes())
        with self.publish(6, 4, "nv12", "odd") as publisher:
            self.send(publisher)
            with self.assertRaisesRegex(ValueError, "multiple of 4"):
                next(i420.frames("odd"))

    def test_a_model_of_ultralytics(self):
        """Its interface alone, as documented: predict() of a tensor, and boxes in that tensor's pixels."""
        torch = module("torch")
        sys.path.insert(0, EXAMPLES)
        import yolo
        camera, reader = self.publish(128, 64, color=(1, 1, 1, 1)), self.subscribe()
        picture = numpy.full((96, 128), 16, "u1")
        picture[64:], picture[32:64, :64] = 128, 235
        self.send(camera, picture)
        batch, place = yolo.batch_of(reader.next(LIMIT), 64)
        self.assertEqual((tuple(batch.shape), place), ((1, 3, 64, 64), (0, 16, 64, 32)))
        self.assertTrue(0 <= float(batch.min()) and float(batch.max()) <= 1)
        self.assertAlmostEqual(float(batch[0, 0, 0, 0]), 114 / 255, 5)
        self.assertGreater(float(batch[0, 0, 40, 10]), 0.95)
        boxes = type("Boxes", (), {"xyxy": torch.tensor([[0, 32, 32, 48.0]]), "conf": torch.tensor([0.5]),
                                   "cls": torch.tensor([2.0])})
        found = yolo.found_in(type("Results", (), {"boxes": boxes, "names": {2: "car"}}), place)
        self.assertEqual(found, [cuframes.Detection(0.0, 0.5, 0.5, 0.5, 0.5, "car")])

    def test_a_source_of_roboflow(self):
        """Its interface alone: what the pipeline calls of a VideoFrameProducer, and the words of SourceProperties."""
        sys.path.insert(0, EXAMPLES)
        import roboflow
        entities = types.ModuleType("streamvision.camera.entities")
        entities.SourceProperties = types.SimpleNamespace
        sys.modules[entities.__name__] = entities
        self.addCleanup(sys.modules.pop, entities.__name__)
        for parent in ("streamvision", "streamvision.camera"):
            sys.modules[parent] = types.ModuleType(parent)
            self.addCleanup(sys.modules.pop, parent)
        publisher = self.publish(64, 64, name="cam0", color=(1, 1, 1, 1))
        made = roboflow.source("cam0", label="roboflow")()
        self.addCleanup(made.release)
        self.assertTrue(made.isOpened())
        self.send(publisher, self.bright_corner())
        self.assertTrue(made.grab())
        there, picture = made.retrieve()
        self.assertEqual((there, picture.shape, picture.dtype), (True, (64, 64, 3), numpy.dtype("u1")))
        told = made.discover_source_properties()
        self.assertEqual((told.width, told.height, told.is_file, told.is_reconnectable), (64, 64, False, True))
        publisher.close()
        self.assertFalse(made.grab() or made.isOpened())

    def test_a_filter_on_a_gpu(self):
        cupy = module("cupy")
        try:
            cupy.cuda.runtime.getDeviceCount()
        except Exception as error:  # pylint: disable=broad-except
            self.skipTest(f"cupy finds no GPU ({error})")
        source = self.publish(64, 64, name="cam0", device="cuda")
        with Program("cupy_filter.py", "--frames", 1, "cam0") as program:
            source.wait_subscribers(1, LIMIT)
            self.send(source, self.bright_corner())
            program.end()


if __name__ == "__main__":
    main()
