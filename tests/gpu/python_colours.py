"""The check "colours" of tests/gpu/python: to_rgb() on a GPU beside the host."""
import time

import cuframes
from python_checks import HEIGHT, KERNEL_MS, PATIENCE, WIDTH, Other, cycles_of, gpu_torch, micros, module, numbers

PLANES = {  # of noise, 1918 x 1080
    "nv12": ((1080, 1918), (540, 959, 2)), "p010": ((1080, 1918), (540, 959, 2)),
    "yuv420p": ((1080, 1918), (540, 959), (540, 959)), "yuyv422": ((1080, 959, 4),), "rgb24": ((1080, 1918, 3),),
    "gray8": ((1080, 1918),),
}
TORN = 300  # frames


def check():
    """to_rgb() by torch and CuPy is what it is on the host, of frames and of their copies; kernels that are queued on
    the stream see the frame, though it was dropped."""
    torch, numpy = gpu_torch(), module("numpy")
    from cuframes import _color
    random, worst, differ, values = numpy.random.default_rng(1), 0, 0, 0
    for form, shapes in PLANES.items():
        ten = form == "p010"
        planes = tuple((random.integers(0, 1024, shape) << 6).astype("u2") if ten else
                       random.integers(0, 256, shape).astype("u1") for shape in shapes)
        (host, *_), (frame, *kept) = (frame_of(form, planes, device) for device in ("host", "cuda"))
        wanted = host.to_rgb().astype(int)
        with torch.cuda.stream(torch.cuda.Stream()):
            got, bgr, copied = frame.to_rgb(), frame.to_bgr(), frame.clone().to_rgb()
        torch.cuda.synchronize()
        assert isinstance(got, torch.Tensor) and got.is_cuda and got.dtype == torch.uint8, got
        assert bool((bgr.flip(2) == got).all()) and bool((copied == got).all()), form
        apart = abs(got.cpu().numpy() - wanted)
        worst, differ, values = max(worst, int(apart.max())), differ + int((apart > 0).sum()), values + apart.size
        try:
            import cupy
            other = _color.to_rgb(frame, 1918, 1080, gpu=frame.gpu, device=frame.device, library="cupy")
            assert (cupy.asnumpy(other) == got.cpu().numpy()).all(), form
        except ImportError:
            pass
        assert frame.references == 1
        del kept
    cost, torn = cost_of(torch), torn_of(torch, numpy)
    numbers(f"{len(PLANES)} formats, noise of 1918x1080: largest difference to the host {worst}, {differ} of "
            f"{values} values differ; to_rgb() of 1080p NV12 {cost[0]:.0f} us to queue, {cost[1]:.0f} us until it is "
            f"there; {TORN} frames dropped behind a {KERNEL_MS} ms kernel and to_rgb(): torn {torn}")
    assert worst <= 1 and torn == 0


def frame_of(form, planes, device):
    """A frame of a publisher of this process, and who must live as long."""
    publisher = cuframes.publish(f"{form}-{device}", 1918, 1080, form, device=device, color=(1, 1, 0, 0))
    subscriber = cuframes.subscribe(f"{form}-{device}")
    while not publisher.send(planes):
        pass
    return subscriber.next(PATIENCE), subscriber, publisher


def cost_of(torch):
    """p50 of the call, and of call and kernel, us."""
    queued, there = [], []
    publisher = cuframes.publish("cost", WIDTH, HEIGHT, "nv12", device="cuda")
    subscriber = cuframes.subscribe("cost")
    while not publisher.send(torch.zeros((HEIGHT * 3 // 2, WIDTH), dtype=torch.uint8, device="cuda")):
        pass
    frame = subscriber.next(PATIENCE)
    for _ in range(220):
        torch.cuda.synchronize()
        begin = time.perf_counter_ns()
        rgb = frame.to_rgb()
        queued.append(time.perf_counter_ns() - begin)
        torch.cuda.synchronize()
        there.append(time.perf_counter_ns() - begin)
        del rgb
    return micros(queued[20:]), micros(there[20:])


def torn_of(torch, numpy):
    """Pixels of one stamp alone, of frames that are dropped while a kernel before to_rgb() is still at work."""
    def shown(stamp):
        planes = cuframes.Planes.of("nv12", [numpy.full((2, 2), stamp, "u1"), numpy.full((1, 1, 2), stamp, "u1")])
        return cuframes.Picture(planes, "nv12", 2, 2, (1, 0, 0, 0), 1, None, None, 0).to_rgb()[0, 0]

    table = torch.from_numpy(numpy.stack([shown(stamp) for stamp in range(251)])).cuda().short()
    with Other("role_stamps", "stamps", WIDTH, HEIGHT):
        subscriber, stream = cuframes.subscribe("stamps", leases=3), torch.cuda.Stream()
        torn, cycles = torch.zeros((), dtype=torch.int64, device="cuda"), cycles_of(torch, KERNEL_MS)
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            for _ in range(TORN):
                frame = subscriber.next(PATIENCE)
                stamp = frame.pts % 251
                torch.cuda._sleep(cycles)
                rgb = frame.to_rgb()
                del frame
                torn += ((rgb.short() - table[stamp]).abs() > 1).any()
        torch.cuda.synchronize()
        return int(torn)
