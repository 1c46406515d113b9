"""docs/howto/python.md: each program in it is run as it stands there, and each call that its sentences name. torch is
one that computes nothing, over the CUDA stand-in; its pictures are in test_standin.py and tests/gpu/python."""
import asyncio
import contextlib
import inspect
import io
import os
import re
import textwrap
import threading

import cuframes
from standin import Cupy, Driver, Torch, instead_of, need_standin
from support import LIMIT, Streams, main, module, numpy, nv12, thread, until

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", ".."))
FILM = os.path.join(ROOT, "tests", "data", "sintel-trailer-14s.mp4")
OTHERS = {"copy_", "from_dlpack"}  # calls of other libraries


def manual():
    with open(os.path.join(ROOT, "docs", "howto", "python.md"), encoding="utf-8") as file:
        return file.read()


PROGRAMS = {  # words that a program has, alone among them: what runs it
    "for frame in cuframes.subscribe": "three_lines", "reconnect=True": "take_frames", "used_on": "two_streams",
    "cuframes.batch": "many_cameras", "cuframes.publish": "publish_frames", "av.open": "recorder",
}


class Manual(Streams):
    def setUp(self):
        super().setUp()
        module("numpy")
        need_standin()
        self.driver = Driver()
        self.driver.context()
        self.torch = instead_of(self, Torch(self.driver))
        self.said = io.StringIO()

    def program(self, program, names=None, **others):
        names = {} if names is None else names
        names.update(others, cuframes=cuframes, torch=self.torch)
        with contextlib.redirect_stdout(self.said), contextlib.chdir(self.directory):
            exec(compile(program, "python.md", "exec"), names)  # pylint: disable=exec-used
        return names

    def test_each_program_runs(self):
        programs = re.findall(r"^```python\n(.*?)^```", manual(), re.DOTALL | re.MULTILINE)
        ran = []
        for program in map(textwrap.dedent, programs):
            how = [name for words, name in PROGRAMS.items() if words in program]
            self.assertEqual(len(how), 1, f"a program that nothing here runs, or several things:\n{program}")
            with self.subTest(how[0]):
                getattr(self, how[0])(program)
            ran += how
        self.assertEqual(sorted(ran), sorted(PROGRAMS.values()))

    def three_lines(self, program):
        publisher = self.publish(name="door")

        def send():
            while self.torch.taken < 6:  # planes
                publisher.send(nv12(1))
            publisher.close()

        with thread(send), self.assertRaises(cuframes.PublisherGone):
            self.program(program)

    def take_frames(self, program):
        publisher = self.publish(name="door")
        self.send(publisher, pts=7)
        made = self.program(program)
        self.assertIn("1 7 64 32 nv12 host", self.said.getvalue())
        self.assertEqual(made["rgb"].shape, (32, 64, 3))
        self.assertTrue(made["frame"].released and made["door"].closed)
        publisher.close()

    def on_a_gpu(self, *names, width=64, height=32):
        """A publisher of each name, and a frame of it in hand."""
        publishers = [self.publish(width, height, "nv12", name, device="cuda") for name in names]
        for publisher in publishers:
            self.send(publisher, nv12(1, width, height), pts=5)
        return publishers, [self.subscribe(name).next(LIMIT) for name in names]

    def two_streams(self, program):
        _, (frame,) = self.on_a_gpu("gpu")
        seen = []
        self.program(program, frame=frame, model=seen.append, a=self.torch.cuda.Stream(), b=self.torch.cuda.Stream())
        self.assertEqual(len(seen), 1)
        seen.clear()
        self.assertEqual(frame.references, 1)

    def many_cameras(self, program):
        publishers, _ = self.on_a_gpu("door", "yard", "gate")
        names, ended = {}, threading.Event()

        def model(tensor):
            self.assertEqual(tensor.shape[1:], (3, 640, 640))
            names["cameras"].interrupt()  # the loop ends
            return [(0, 0, 64, 64)] * tensor.shape[0]

        def send():  # they are alive as long as pictures come
            while not ended.wait(0.01):
                for publisher in publishers:
                    publisher.send(nv12(2))

        with thread(send):
            try:
                self.program(program, names, model=model)
            finally:
                ended.set()
        self.assertRegex(self.said.getvalue(), r"(door|yard|gate) \(0\.0, ")
        self.assertTrue(names["cameras"].closed)
        for publisher in publishers:
            publisher.close()

    def publish_frames(self, program):
        _, (frame,) = self.on_a_gpu("other", width=640, height=360)
        seen, publish = [], cuframes.publish

        def follow(*arguments, **words):
            made = publish(*arguments, slots=8, **words)  # none is dropped for want of one
            seen.append(cuframes.subscribe(arguments[0], mode="ordered", depth=4))
            seen[0].poll()
            return made

        cuframes.publish = follow
        try:
            self.program(program, tensor=frame, frame=frame)
        finally:
            cuframes.publish = publish
        self.assertEqual([seen[0].next(LIMIT).pts for _ in range(2)], [5, 5])
        seen[0].close()

    def recorder(self, program):
        av = module("av")
        publisher, sent = self.publish(0, 0, None, "door", packets=2048, packet_bytes=64 << 20), 0
        with av.open(FILM) as film:
            for stream in film.streams:
                cuframes.pyav.describe(publisher, stream.index, stream)
            for packet in film.demux():
                cuframes.pyav.send(publisher, packet, track=packet.stream.index)
                sent += packet.size > 0

        def end():
            until(lambda: cuframes.info("door").subscribers)
            self.assertTrue(publisher.wait_subscribers(1, LIMIT))  # it has read all
            publisher.close()

        with thread(end), self.assertRaises(cuframes.PublisherGone):
            self.program(program)
        with av.open(os.path.join(self.directory, "door.mkv")) as file:
            packets = [packet for packet in file.demux() if packet.size]
        self.assertTrue(packets[0].is_keyframe)
        self.assertTrue(0 < len(packets) <= sent)
        os.unlink(os.path.join(self.directory, "door.mkv"))

    def test_each_call_that_is_named_is_there(self):
        """Calls of what the sentences take for granted are made; of the others there is one of that name."""
        text = re.sub(r"^```.*?^```", "", manual(), flags=re.DOTALL | re.MULTILINE)
        calls = sorted(set(re.findall(r"`((?:await )?[a-z_.]*\([^`\n]*\))`", text)))
        instead_of(self, Cupy(self.driver))
        publisher, objects = self.publish(name="door", packets=8), self.publish(0, 0, None, "found", packets=8)
        publisher.describe(0, {"codec": "h264"})
        self.send(publisher)
        door = self.subscribe("door")
        names = {"cuframes": cuframes, "publisher": objects, "door": door, "packets": door.packets(), "stream": 1,
                 "frame": door.next(LIMIT), "publish": cuframes.publish, "subscribe": cuframes.subscribe,
                 "x": 0, "y": 0, "width": 1, "height": 1, "confidence": 1, "label": "person"}
        _, (names["gpu"],) = self.on_a_gpu("gpu")
        names["plane"] = names["gpu"].planes.y
        known = {name for kind in (cuframes, *vars(cuframes).values()) if inspect.isclass(kind) or kind is cuframes
                 for name in dir(kind)} | {name for name in dir(cuframes.opencv.VideoCapture)}
        made = 0
        for call in calls:
            head = re.match(r"(?:await )?([a-z_]*)", call).group(1)
            name = re.match(r"(?:await )?([a-z_.]*)\(", call).group(1).split(".")[-1]
            with self.subTest(call):
                if name in OTHERS:
                    continue
                self.assertIn(name, known)
                if head in ("out", "torch", "next", "", name) and head not in ("publish", "subscribe"):
                    continue
                self.call(call, dict(names, frame=names["gpu"] if "cupy" in call else names["frame"]))
                made += 1
        self.assertGreater(made, 10)

    def call(self, call, names):
        if call.startswith("await "):
            async def answer():
                call_of = eval(call[6:], names)  # pylint: disable=eval-used
                self.send(next_publisher)
                return await call_of

            next_publisher = self.publish(name="awaited")
            names["door"] = self.subscribe("awaited")
            return asyncio.run(asyncio.wait_for(answer(), LIMIT))
        if call.startswith("subscribe("):
            call = call.replace("(", '("door", ', 1)
        if "door-objects" in call and "join" in call:
            names["objects"] = self.publish(0, 0, None, "door-objects", packets=8)
        made = eval(call, names)  # pylint: disable=eval-used
        if "objects" in names:
            names["objects"].close()
        if hasattr(made, "close"):
            made.close()
        return made


if __name__ == "__main__":
    main()
