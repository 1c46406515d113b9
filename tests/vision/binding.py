"""The calls of libcuframes-vision that tests and benchmarks in Python need, by ctypes, for NumPy arrays."""
import ctypes
import os

import numpy

PLANES = 4
NV12, GRAY8, RGB24 = 1, 6, 7
UINT8, FLOAT16, FLOAT32 = 1, 3, 4
NCHW, NHWC = 0, 1
RGB, BGR, GRAY = 0, 1, 2
LETTERBOX, TOP_LEFT, STRETCH, COVER = range(4)
LINEAR, AREA = 0, 1
ELEMENTS = {UINT8: numpy.uint8, FLOAT16: numpy.float16, FLOAT32: numpy.float32}


class Tensor(ctypes.Structure):
    _fields_ = [("element", ctypes.c_uint32), ("dims", ctypes.c_uint32), ("size", ctypes.c_uint32 * 4)]


class Format(ctypes.Structure):
    _fields_ = [("pixel_format", ctypes.c_uint32), ("width", ctypes.c_uint32), ("height", ctypes.c_uint32),
                ("matrix", ctypes.c_uint8), ("range", ctypes.c_uint8), ("primaries", ctypes.c_uint8),
                ("transfer", ctypes.c_uint8), ("chroma_location", ctypes.c_uint8), ("field_order", ctypes.c_uint8),
                ("orientation", ctypes.c_uint8), ("reserved8", ctypes.c_uint8),
                ("aspect_num", ctypes.c_uint32), ("aspect_den", ctypes.c_uint32), ("tensor", Tensor),
                ("pitch", ctypes.c_uint32 * PLANES), ("padding", ctypes.c_uint32), ("reserved", ctypes.c_uint32 * 6),
                ("offset", ctypes.c_uint64 * PLANES)]


class Picture(ctypes.Structure):
    _fields_ = [("format", ctypes.POINTER(Format)), ("plane", ctypes.c_void_p * PLANES), ("crop", ctypes.c_float * 4),
                ("device", ctypes.c_char_p), ("reserved", ctypes.c_uint64 * 3)]


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("width", ctypes.c_uint32), ("height", ctypes.c_uint32),
                ("element", ctypes.c_uint32), ("layout", ctypes.c_uint32), ("channels", ctypes.c_uint32),
                ("fit", ctypes.c_uint32), ("filter", ctypes.c_uint32), ("scale", ctypes.c_float),
                ("mean", ctypes.c_float * 3), ("std", ctypes.c_float * 3), ("padding", ctypes.c_float * 3),
                ("capacity", ctypes.c_uint32), ("device", ctypes.c_char_p), ("reserved", ctypes.c_uint64 * 4)]


class Geometry(ctypes.Structure):
    _fields_ = [("scale_x", ctypes.c_double), ("scale_y", ctypes.c_double), ("offset_x", ctypes.c_double),
                ("offset_y", ctypes.c_double), ("x", ctypes.c_uint32), ("y", ctypes.c_uint32),
                ("width", ctypes.c_uint32), ("height", ctypes.c_uint32)]


class Library:
    """Of a build directory."""

    def __init__(self, build):
        self.core = ctypes.CDLL(os.path.join(build, "libcuframes.so"), mode=ctypes.RTLD_GLOBAL)
        self.vision = ctypes.CDLL(os.path.join(build, "libcuframes-vision.so"))
        self.core.cuframes_last_error.restype = ctypes.c_char_p
        for name in ("create", "run", "destroy"):
            function = getattr(self.vision, f"cuframes_preprocess_{name}")
            function.restype = None if name == "destroy" else ctypes.c_int
        self.vision.cuframes_preprocess_run.argtypes = [ctypes.c_void_p, ctypes.POINTER(Picture), ctypes.c_uint32,
                                                        ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(Geometry)]

    def check(self, result):
        if result != 0:
            raise RuntimeError(f"{result}: {self.core.cuframes_last_error().decode()}")


def picture(pixel_format, width, height, planes, matrix=0, color_range=0):
    """Of arrays, which are C contiguous; it keeps them alive."""
    made_of = Format(pixel_format=pixel_format, width=width, height=height, matrix=matrix, range=color_range)
    made = Picture(format=ctypes.pointer(made_of))
    for i, plane in enumerate(planes):
        made_of.pitch[i] = plane.strides[0]
        made.plane[i] = plane.ctypes.data
    made.kept = (made_of, planes)
    return made


class Preprocess:
    def __init__(self, library, width, height, **options):
        self.library, self.handle = library, ctypes.c_void_p()
        made = Options(struct_size=ctypes.sizeof(Options), width=width, height=height)
        for name, value in options.items():
            setattr(made, name, (ctypes.c_float * 3)(*value) if isinstance(value, tuple) else value)
        channels = 1 if made.channels == GRAY else 3
        self.shape = (channels, height, width) if made.layout == NCHW else (height, width, channels)
        self.type = ELEMENTS[made.element or FLOAT32]
        library.check(library.vision.cuframes_preprocess_create(ctypes.byref(made), ctypes.byref(self.handle)))

    def __call__(self, pictures, out=None):
        """The tensor, and the geometry of each picture."""
        count = len(pictures)
        if out is None:
            out = numpy.empty((count, *self.shape), self.type)
        geometry = (Geometry * count)()
        self.library.check(self.library.vision.cuframes_preprocess_run(
            self.handle, (Picture * count)(*pictures), count, out.ctypes.data, None, geometry))
        return out, geometry

    def __del__(self):
        if self.handle:
            self.library.vision.cuframes_preprocess_destroy(self.handle)
