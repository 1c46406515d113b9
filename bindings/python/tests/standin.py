"""A GPU for tests of the package: streams and memory of the CUDA stand-in, and libraries of Python as far as they are
asked."""
import contextlib
import ctypes
import os
import sys
import types
import unittest

import cuframes
from support import numpy


def need_standin():
    if "standin" not in os.environ.get("LD_LIBRARY_PATH", ""):
        raise unittest.SkipTest("the CUDA stand-in is not in LD_LIBRARY_PATH")


class Driver:
    """Streams of the stand-in, by the driver's own calls."""

    def __init__(self):
        self.library = ctypes.CDLL("libcuda.so.1")

    def stream(self):
        handle = ctypes.c_void_p()
        assert self.library.cuStreamCreate(ctypes.byref(handle), 1) == 0  # not blocking
        return handle.value

    def context(self):
        """The primary context, made current."""
        context = ctypes.c_void_p()
        assert self.library.cuInit(0) == 0
        assert self.library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
        assert self.library.cuCtxPushCurrent_v2(context) == 0

    @contextlib.contextmanager
    def capture(self, stream):
        """Nothing may get into the graph."""
        graph, nodes = ctypes.c_void_p(), ctypes.c_size_t(9)
        assert self.library.cuStreamBeginCapture_v2(ctypes.c_void_p(stream), 2) == 0  # relaxed
        yield
        assert self.library.cuStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(graph)) == 0
        assert self.library.cuGraphGetNodes(graph, None, ctypes.byref(nodes)) == 0 and nodes.value == 0
        assert self.library.cuGraphDestroy(graph) == 0

    def destroy(self, stream):
        assert self.library.cuStreamDestroy_v2(ctypes.c_void_p(stream)) == 0


class Array:
    """Of `Cupy`: memory of the stand-in."""

    def __init__(self, driver, shape, typestr, holder=None):
        self.driver, self.shape, self.typestr, self.holder = driver, tuple(shape), typestr, holder
        self.size = int(numpy.prod(shape)) * int(typestr[2:])
        self.address, self.strides = ctypes.c_uint64(), None
        if holder is None:
            assert driver.library.cuMemAlloc_v2(ctypes.byref(self.address), self.size) == 0

    def __del__(self):
        if self.holder is None:
            self.driver.library.cuMemFree_v2(self.address)

    @property
    def __cuda_array_interface__(self):
        return {"data": (self.address.value, False), "shape": self.shape, "typestr": self.typestr,
                "strides": self.strides, "version": 3}

    def __dlpack_device__(self):
        return 2, 0

    def copy(self):
        """Without the gaps between rows."""
        made = Array(self.driver, self.shape, self.typestr)
        row = made.size // self.shape[0]
        for i in range(self.shape[0]):
            at = self.address.value + i * (self.strides[0] if self.strides else row)
            assert self.driver.library.cuMemcpyDtoDAsync_v2(ctypes.c_uint64(made.address.value + i * row),
                                                            ctypes.c_uint64(at), ctypes.c_size_t(row),
                                                            ctypes.c_void_p(self.driver.current)) == 0
        return made

    def get(self):
        host = numpy.empty(self.shape, self.typestr)
        assert self.driver.library.cuStreamSynchronize(ctypes.c_void_p(self.driver.current)) == 0
        assert self.driver.library.cuMemcpyDtoH_v2(ctypes.c_void_p(host.ctypes.data), self.address, self.size) == 0
        return host


class Cupy(types.ModuleType):
    """So much of CuPy as the package uses."""

    def __init__(self, driver):
        super().__init__("cupy")
        driver.current = driver.stream()
        self.driver, self.cuda = driver, types.SimpleNamespace(
            Device=lambda number: contextlib.nullcontext(),
            get_current_stream=lambda: types.SimpleNamespace(ptr=driver.current))

    def empty(self, shape, dtype):
        return Array(self.driver, shape, numpy.dtype(dtype).str)

    def from_dlpack(self, plane):
        made = Array(self.driver, plane.shape, plane.typestr, plane.cai(self.driver.current))
        made.address.value, made.strides = plane.address, plane.strides
        return made


Array.__module__ = "cupy"  # whose arrays they are is asked so


class Tensor:
    """What `Torch` makes of a capsule: it holds the frame."""

    def __init__(self, capsule):
        self.capsule, self.written = capsule, 0

    def copy_(self, _source):
        self.written += 1
        return self


class Torch(types.ModuleType):
    """So much of torch as the package and its manual use. It computes nothing."""

    def __init__(self, driver):
        super().__init__("torch")
        self.taken = 0
        driver.current = driver.stream()
        self.uint8, self.float16, self.float32 = "u1", "f2", "f4"
        self.empty = lambda shape, dtype, device: Array(driver, shape, numpy.dtype(dtype).str)
        self._C = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda index: driver.current)
        self.cuda = types.SimpleNamespace(
            Stream=lambda: types.SimpleNamespace(cuda_stream=driver.stream()), stream=self.stream,
            current_stream=lambda index=0: types.SimpleNamespace(cuda_stream=driver.current))
        self.utils = types.ModuleType("torch.utils")
        self.utils.dlpack = types.ModuleType("torch.utils.dlpack")
        self.utils.dlpack.from_dlpack = self.from_dlpack
        self.driver = driver

    def from_dlpack(self, capsule):
        self.taken += 1
        return Tensor(capsule)

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.driver.current = self.driver.current, stream.cuda_stream
        yield
        self.driver.current = before


def instead_of(test, made):
    """Until the test ends, what is imported under the module's name."""
    modules = {made.__name__: made}
    if isinstance(made, Torch):
        modules.update({"torch.utils": made.utils, "torch.utils.dlpack": made.utils.dlpack})
    for name, new in modules.items():
        before = sys.modules.get(name)
        sys.modules[name] = new
        test.addCleanup(lambda name=name, before=before: sys.modules.pop(name) if before is None else
                        sys.modules.__setitem__(name, before))
    for name in ("_from_capsule", "_raw_stream"):  # what the package keeps of torch
        test.addCleanup(setattr, cuframes._frame, name, getattr(cuframes._frame, name))
        setattr(cuframes._frame, name, None)
    return made
