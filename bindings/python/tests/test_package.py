"""The package itself: types, words, what is exported, its size in lines of a user's program."""
import ctypes
import inspect
import subprocess
import sys
import os

import cuframes
from cuframes import _core
from support import Streams, main, module

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))


class Package(Streams):
    def test_mypy_is_content(self):
        module("mypy")
        cache = os.path.join(self.directory, "mypy")
        done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache], cwd=ROOT, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_user_is_checked(self):
        module("mypy")
        program = os.path.join(self.directory, "user.py")
        with open(program, "w", encoding="utf-8") as file:
            file.write("import cuframes\nwith cuframes.subscribe('door') as door:\n    for frame in door:\n"
                       "        reveal_type(frame)\n        reveal_type(frame.pts)\n        frame.seqq\n")
        done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, program],
                              cwd=self.directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, env=dict(os.environ, MYPYPATH=ROOT))
        self.assertIn('Revealed type is "cuframes._frame.Frame"', done.stdout)
        self.assertRegex(done.stdout, 'Revealed type is "(Union\\[)?(builtins.)?int(, | \\| )None\\]?"')
        self.assertIn('"Frame" has no attribute "seqq"', done.stdout)

    def test_everything_public_says_what_it_is(self):
        for name in cuframes.__all__:
            value = getattr(cuframes, name)
            if isinstance(value, (int, str)):
                continue
            self.assertTrue(inspect.getdoc(value), name)
            if inspect.isclass(value):
                for member, method in vars(value).items():
                    if not member.startswith("_") and callable(method):
                        self.assertTrue(inspect.getdoc(method), f"{name}.{member}")

    def test_stubs_say_what_there_is(self):
        with open(os.path.join(ROOT, "cuframes", "_core.pyi"), encoding="utf-8") as file:
            stubs = file.read()
        for kind in (_core.Frame, _core.Plane, _core.Packet, _core.Subscriber, _core.Publisher, _core.Join):
            part = stubs.split(f"class {kind.__name__}:")[1].split("\nclass ")[0]
            for name in vars(kind):
                if name.startswith("__") and name not in ("__dlpack__", "__dlpack_device__", "__array_interface__"):
                    continue
                self.assertIn(f"def {name}(", part, kind)

    def test_each_code_of_the_library_has_a_class(self):
        kinds = cuframes.Error._kinds
        self.assertEqual(sorted(kinds), list(range(-27, 0)))
        self.assertTrue(all(kind.code == code for code, kind in kinds.items()))
        self.assertEqual({kind.__name__ for kind in kinds.values()} - set(cuframes.__all__), set())

    def test_nothing_of_the_library_is_exported(self):
        """A program may have another one beside it."""
        extension = ctypes.CDLL(_core.__file__)
        self.assertTrue(extension.PyInit__core)
        with self.assertRaises(AttributeError):
            extension.cuframes_now  # pylint: disable=pointless-statement

    def test_the_version_is_the_librarys(self):
        self.assertRegex(cuframes.__version__, r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    main()
