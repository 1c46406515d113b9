"""The checks of tests/gpu/python: `python_checks.py NAME` makes one. A line "numbers: ..." tells what was measured;
exit status 77: skipped."""
import gc
import os
import statistics
import subprocess
import sys
import time

import cuframes

WIDTH, HEIGHT = 1920, 1080
TORN_FRAMES = int(os.environ.get("CUFRAMES_TORN_FRAMES") or 10_000)
FLAT_FRAMES = int(os.environ.get("CUFRAMES_FLAT_FRAMES") or 100_000)
PLANTED_FRAMES = 400
KERNEL_MS = 5
PATIENCE = 30


def module(name):
    try:
        return __import__(name, fromlist=["*"])
    except (ImportError, OSError) as error:
        print(f"skipped: no {name}: {error}")
        sys.exit(77)


def gpu_torch():
    torch = module("torch")
    if not torch.cuda.is_available():
        print("skipped: torch finds no CUDA")
        sys.exit(77)
    return torch


def numbers(text):
    print(f"numbers: {text}")


# ---- publishers, in processes of their own ----

class Other:
    """This file in another process; it ends with this one's end of the pipe."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([sys.executable, __file__, *map(str, arguments)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.line() == "ready", "the other process failed"

    def line(self):
        return self.process.stdout.readline().strip()

    def say(self, text=""):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


def role_stamps(name, width, height, _pause="0"):
    """Publishes pictures that are full of their number, as fast as it can; the number is the pts."""
    import threading
    torch = gpu_torch()
    publisher = cuframes.publish(name, int(width), int(height), "nv12", device="cuda", max_slots=24)
    stream = torch.cuda.Stream()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    number, pending = 0, []
    print("ready")
    with torch.cuda.stream(stream):
        while not ended.is_set():
            number += 1
            try:
                with publisher.frame(pts=number) as frame:
                    y, uv = frame.torch()
                    y.fill_(number % 251)
                    uv.fill_(number % 251)
                    del y, uv
            except (cuframes.Dropped, cuframes.LeaseLimit):
                continue
            event = torch.cuda.Event()
            event.record(stream)
            pending.append(event)
            if len(pending) > 4:
                pending.pop(0).synchronize()


def role_one(name, width, height):
    """Publishes one picture of known bytes from the host, again on each line."""
    numpy = module("numpy")
    publisher = cuframes.publish(name, int(width), int(height), "nv12", device="cuda")
    picture = known(numpy, int(width), int(height))
    print("ready")
    for _ in sys.stdin:
        while not publisher.send(picture, pts=1):
            pass


def known(numpy, width, height):
    y, x = numpy.mgrid[:height * 3 // 2, :width]
    return ((y * 7 + x) % 251).astype("u1")


def one_frame(width=640, height=480, **options):
    """Another process's frame in hand, and what is in it."""
    numpy = module("numpy")
    other = Other("role_one", "one", width, height)
    subscriber = cuframes.subscribe("one", **options)
    other.say()
    frame = subscriber.next(PATIENCE)
    whole = known(numpy, width, height)
    return other, subscriber, frame, whole[:height], whole[height:].reshape(height // 2, width // 2, 2)


class Spy:
    """A plane that notes what it is asked for."""

    def __init__(self, plane):
        self.plane, self.asked = plane, []

    def __dlpack__(self, **words):
        self.asked.append(words)
        return self.plane.__dlpack__(**words)

    def __dlpack_device__(self):
        return self.plane.__dlpack_device__()


def given_back(subscriber, frame, other):
    """With all leases taken in turn: what was made of the frame holds it no more."""
    assert frame.references == 1, f"{frame.references} references are left"
    frame.release()
    gc.collect()
    for _ in range(8):
        other.say()
        subscriber.next(PATIENCE).release()
    stats = subscriber.stats
    assert stats.released_twice == 0, stats


# ---- who takes what ----

def check_numpy():
    other, subscriber, frame, y, uv = one_frame()
    import numpy
    with other:
        got = frame.numpy(copy=True)
        assert (got[0] == y).all() and (got[1] == uv).all()
        try:
            frame.numpy()
            raise AssertionError("a view of the GPU's memory for NumPy")
        except BufferError:
            pass
        if numpy.lib.NumpyVersion(numpy.__version__) >= "2.1.0":
            assert (numpy.from_dlpack(frame.planes.uv, device="cpu") == uv).all()
        given_back(subscriber, frame, other)
    numbers(f"numpy {numpy.__version__}: copied to the host")


def check_torch():
    torch = gpu_torch()
    other, subscriber, frame, y, uv = one_frame()
    with other:
        spy = Spy(frame.planes.y)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            plain = torch.from_dlpack(spy)
            fast = frame.torch()
        torch.cuda.synchronize()
        assert plain.data_ptr() == frame.planes.y.address == fast[0].data_ptr()
        assert (plain.cpu().numpy() == y).all() and (fast[1].cpu().numpy() == uv).all()
        assert spy.asked[0]["stream"] == stream.cuda_stream, spy.asked
        tensor = torch.as_tensor(frame.planes.y)
        assert tensor.is_cuda and tensor.data_ptr() == frame.planes.y.address
        asked = sorted(spy.asked[0])
        del plain, fast, tensor
        given_back(subscriber, frame, other)
    numbers(f"torch {torch.__version__}: asked {asked}")


def check_cupy():
    cupy = module("cupy")
    other, subscriber, frame, y, uv = one_frame()
    with other:
        spy = Spy(frame.planes.y)
        with cupy.cuda.Stream(non_blocking=True) as stream:
            plain = cupy.from_dlpack(spy)
            planes = frame.cupy()
        assert (cupy.asnumpy(plain) == y).all() and (cupy.asnumpy(planes[1]) == uv).all()
        assert plain.data.ptr == frame.planes.y.address
        assert spy.asked[0]["stream"] == stream.ptr, spy.asked
        asked = sorted(spy.asked[0])
        del plain, planes
        given_back(subscriber, frame, other)
    numbers(f"cupy {cupy.__version__}: asked {asked}")


def check_jax():
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax = module("jax")
    if jax.default_backend() not in ("gpu", "cuda"):
        print(f"skipped: jax {jax.__version__} works on {jax.default_backend()} here")
        sys.exit(77)
    other, subscriber, frame, y, _ = one_frame(2048, 480)  # rows without a gap: a GPU's begin at multiples of 256
    with other:
        import numpy
        spy = Spy(frame.planes.y)
        taken = jax.dlpack.from_dlpack(spy)
        assert (numpy.asarray(taken) == y).all()
        asked = [sorted(words) for words in spy.asked]
        taken.block_until_ready()
        del taken
        gc.collect()
        given_back(subscriber, frame, other)
    numbers(f"jax {jax.__version__}: asked {asked}; compact rows only")


def check_numba():
    numba = module("numba")
    cuda = module("numba.cuda")
    other, subscriber, frame, y, _ = one_frame()
    with other:
        stream = cuda.stream()
        adapter = frame.planes.y.cai(stream)
        array = cuda.as_cuda_array(adapter)
        assert (array.copy_to_host() == y).all()
        del array, adapter
        given_back(subscriber, frame, other)
    numbers(f"numba {numba.__version__}: __cuda_array_interface__ by cai()")


def check_cuda_core():
    utils = module("cuda.core.utils")
    other, subscriber, frame, y, _ = one_frame()
    with other:
        spy = Spy(frame.planes.y)
        view = utils.StridedMemoryView.from_dlpack(spy, stream_ptr=-1) if hasattr(
            utils.StridedMemoryView, "from_dlpack") else utils.StridedMemoryView(spy, stream_ptr=-1)
        assert view.ptr == frame.planes.y.address and tuple(view.shape) == y.shape
        assert view.readonly, "the read-only flag is not honoured"
        asked = spy.asked[0]
        del view
        gc.collect()
        given_back(subscriber, frame, other)
    numbers(f"cuda.core: asked {asked}; read-only")


def check_writing_kills_one():
    """torch does not know read-only: who writes into a frame loses its context, and nobody else anything."""
    gpu_torch()
    numpy = module("numpy")
    with Other("role_one", "one", 640, 480) as other:
        reader = cuframes.subscribe("one")
        other.say()
        frame = reader.next(PATIENCE)
        done = subprocess.run([sys.executable, __file__, "role_writer"], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=50, check=False)
        assert "illegal" in done.stdout and done.returncode != 0, done.stdout
        assert (frame.numpy(copy=True)[0] == known(numpy, 640, 480)[:480]).all()
    numbers("illegal memory access in the writer; the reader's picture is whole")


def role_writer():
    torch = gpu_torch()
    y, _ = cuframes.subscribe("one").next(PATIENCE).torch()
    y.fill_(0)
    torch.cuda.synchronize()
    print("it could write")


# ---- publishing, colours ----

def check_publish():
    """From torch and CuPy, within the GPU; what does not fit is refused."""
    torch = gpu_torch()
    numpy = module("numpy")
    whole = known(numpy, 640, 480)
    publisher = cuframes.publish("p", 640, 480, "nv12", device="cuda")
    subscriber = cuframes.subscribe("p")
    stream = torch.cuda.Stream()
    tensor = torch.from_numpy(whole).cuda()

    def seen(send):
        while not send():
            pass
        got = subscriber.next(PATIENCE).numpy(copy=True)
        assert (got[0] == whole[:480]).all() and (got[1].reshape(240, 640) == whole[480:]).all()

    with torch.cuda.stream(stream):
        stream.wait_stream(torch.cuda.default_stream())
        seen(lambda: publisher.send(tensor))
    seen(lambda: publisher.send(tensor, stream=stream))
    seen(lambda: publisher.send((tensor[:480], tensor[480:].reshape(240, 320, 2))))
    takers = ["torch"]
    try:
        import cupy
        array = cupy.asarray(whole)
        with cupy.cuda.Stream(non_blocking=True) as other:
            other.synchronize()
            seen(lambda: publisher.send(array))
        takers.append("cupy")
    except ImportError:
        pass
    for wrong, words in ((tensor.float(), "came"), (tensor.t(), "came"), (torch.zeros(3, device="cuda"), "came")):
        try:
            publisher.send(wrong)
            raise AssertionError(f"it took {wrong.shape}")
        except ValueError as error:
            assert words in str(error), error
    host = cuframes.publish("h", 640, 480, "nv12")
    try:
        host.send(tensor)
        raise AssertionError("a publisher in host memory took a GPU's")
    except ValueError as error:
        assert ".cpu()" in str(error), error
    numbers(f"from {', '.join(takers)}")


def check_colours():
    import python_colours
    python_colours.check()


def check_batch():
    """The newest frames of four cameras, by one thread, in one tensor; they are released before the kernel has run."""
    torch = gpu_torch()
    others, worst, frames = [Other("role_stamps", f"cam{i}", 640, 360) for i in range(4)], 0.0, 0
    prepare = cuframes.Preprocess((64, 36), "float32", channels="GRAY", fit="stretch", scale=1.0, device="cuda")
    with cuframes.batch([f"cam{i}" for i in range(4)], timeout=PATIENCE) as batch:
        while frames < 2000:
            entries = batch.next()
            luma = [(frame.pts % 251 - 16) * 255 / 219 for frame in entries.frames]
            wanted = torch.tensor(luma).clamp(0, 255)[:, None, None, None]
            tensor, geometry = prepare(entries.frames)
            entries.release()
            assert tensor.is_cuda and tensor.shape == prepare.shape(len(luma)) and geometry[0].scale_x == 0.1
            worst = max(worst, float((tensor.cpu() - wanted).abs().max()))
            frames += len(luma)
        calls = batch.stats.calls
    for other in others:
        other.__exit__()
    numbers(f"{frames} frames in {calls} batches, largest difference {worst:.2f} of 255")
    assert worst <= 1


# ---- tears ----

def cycles_of(torch, milliseconds):
    """For torch.cuda._sleep()."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda._sleep(10_000_000)
    begin.record()
    torch.cuda._sleep(10_000_000)
    end.record()
    end.synchronize()
    return int(10_000_000 * milliseconds / begin.elapsed_time(end))


def tears(frames, planted, milliseconds=KERNEL_MS):
    """Takes frames, lets a kernel of some ms go before the look at each pixel, and drops the frame at once. Gives how
    many were torn, and frames a second."""
    torch = gpu_torch()
    with Other("role_stamps", "stamps", WIDTH, HEIGHT):
        subscriber = cuframes.subscribe("stamps", leases=3)
        stream = torch.cuda.Stream()
        torn = torch.zeros((), dtype=torch.int64, device="cuda")
        cycles = cycles_of(torch, milliseconds)
        torch.cuda.synchronize()
        from cuframes._frame import _torch_tensor
        start = time.monotonic()
        with torch.cuda.stream(stream):
            for _ in range(frames):
                frame = subscriber.next(PATIENCE)
                stamp = frame.pts % 251
                if planted:  # as if the deleter knew no stream: unversioned, no stream
                    y, uv = (_torch_tensor(frame._capsule(i, stream, 1 | 4)) for i in range(2))
                else:
                    y, uv = frame.torch()
                torch.cuda._sleep(cycles)
                torn += (y != stamp).any() | (uv != stamp).any()
                del frame, y, uv
        torch.cuda.synchronize()
        return int(torn), frames / (time.monotonic() - start)


def check_torn():
    torn, rate = tears(TORN_FRAMES, False)
    numbers(f"{TORN_FRAMES} frames of {WIDTH}x{HEIGHT}, dropped behind a {KERNEL_MS} ms kernel: torn {torn}; "
            f"{rate:.0f} a second")
    assert torn == 0


def check_planted():
    """The same without the stream must tear, or nothing is shown by the other."""
    torn, _ = tears(PLANTED_FRAMES, True)
    numbers(f"{PLANTED_FRAMES} frames given back without their stream: torn {torn}")
    assert torn > 0


def check_two_streams():
    """A second stream looks at the frame later; used_on() tells."""
    torch = gpu_torch()
    frames = 1000
    with Other("role_stamps", "stamps", WIDTH, HEIGHT):
        subscriber = cuframes.subscribe("stamps", leases=3)
        first, second = torch.cuda.Stream(), torch.cuda.Stream()
        torn = torch.zeros(2, dtype=torch.int64, device="cuda")
        cycles = cycles_of(torch, KERNEL_MS)
        torch.cuda.synchronize()
        for _ in range(frames):
            frame = subscriber.next(PATIENCE)
            stamp = frame.pts % 251
            with torch.cuda.stream(first):
                y, uv = frame.torch()
                torn[0] += (y != stamp).any()
            with torch.cuda.stream(second):
                torch.cuda._sleep(cycles)
                torn[1] += (uv != stamp).any()
            frame.used_on(second)
            del frame, y, uv
        torch.cuda.synchronize()
        lost = torn.tolist()
    numbers(f"{frames} frames, used_on() the second stream: torn {lost}")
    assert lost == [0, 0]


def check_graph():
    """A CUDA graph takes no frame, holds none that is given back during its capture, and stays good; it works on a
    tensor that each frame is copied into."""
    torch = gpu_torch()
    other, subscriber, frame, y, _ = one_frame(leases=1)
    with other:
        tensor, luma = frame.torch()[0], torch.zeros(y.shape, dtype=torch.uint8, device="cuda")
        negative = torch.empty_like(luma)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="relaxed"):
            refused = 0
            for take in (frame.torch, lambda: torch.from_dlpack(frame.planes.y), lambda: frame.planes.y.cai(stream)):
                try:
                    take()
                except ValueError as error:
                    refused += "captures a CUDA graph" in str(error)
            torch.bitwise_not(luma, out=negative)  # 255 - luma
            del tensor
            frame.release(stream)
        assert refused == 3, f"{refused} of 3 were refused"
        other.say()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                frame = subscriber.next(PATIENCE)
                break
            except cuframes.LeaseLimit:
                assert time.monotonic() < end, "the frame did not come back"
        with torch.cuda.stream(stream):
            luma.copy_(frame.torch()[0])
            graph.replay()
        frame.release(stream)
        stream.synchronize()
        assert (negative.cpu().numpy() == 255 - y).all()
        other.say()
        subscriber.next(PATIENCE).release()
    numbers("no frame in a graph: 3 of 3 refused; what was released during the capture came back")


def role_negative(frames):
    """Looks at what the example publishes: each picture is a stamp's negative."""
    numpy = module("numpy")
    deadline, seen = time.monotonic() + PATIENCE, 0
    print("ready")
    subscriber = cuframes.subscribe("stamps-negative", timeout=PATIENCE, leases=3)
    while seen < int(frames):
        assert time.monotonic() < deadline + PATIENCE
        frame = subscriber.next(PATIENCE)
        y, uv = frame.numpy(copy=True)
        stamp = frame.pts % 251
        assert (y == 255 - stamp).all() and (uv == stamp).all(), f"frame {frame.pts} is torn"
        seen += 1
        del y, uv
        frame.release()
    print(numpy.__version__)


def check_cupy_filter():
    """The example, with no end, and another process that compares what it publishes."""
    module("cupy")
    example = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                            "../../bindings/python/examples/cupy_filter.py"))
    frames = 200
    with Other("role_stamps", "stamps", WIDTH, HEIGHT):
        program = subprocess.Popen([sys.executable, "-u", example, "stamps"], stdout=subprocess.PIPE, text=True)
        try:
            assert program.stdout.readline() == "ready\n", "the example does not start"
            with Other("role_negative", frames) as reader:
                assert reader.line() != "", "the reader failed"
            assert program.poll() is None, "the example ended"
        finally:
            program.kill()
            program.wait()
    numbers(f"{frames} frames that the example published, {WIDTH} x {HEIGHT}: each one is the negative, whole")


def check_timeline():
    """Frames that are given before they are complete: the stream of next() waits, for others the CPU does."""
    torch = gpu_torch()
    with Other("role_stamps", "stamps", WIDTH, HEIGHT):
        subscriber = cuframes.subscribe("stamps", sync="timeline", leases=3)
        stream, other = torch.cuda.Stream(), torch.cuda.Stream()
        torn = torch.zeros(2, dtype=torch.int64, device="cuda")
        torch.cuda.synchronize()
        for i in range(1000):
            frame = subscriber.next(PATIENCE, stream=stream)
            stamp = frame.pts % 251
            with torch.cuda.stream(stream if i % 2 else other):
                y, uv = frame.torch()
                torn[i % 2] += (y != stamp).any() | (uv != stamp).any()
            del frame, y, uv
        torch.cuda.synchronize()
        sync, lost = subscriber.sync, torn.tolist()
    numbers(f"1000 frames, sync {sync}: torn {lost}")
    assert lost == [0, 0]


# ---- life ----

def check_fork():
    torch = gpu_torch()
    other, subscriber, frame, y, _ = one_frame()
    with other:
        tensors = frame.torch()
        child = os.fork()
        if child == 0:
            try:
                subscriber.next(0)
                os._exit(2)
            except cuframes.Error as error:
                said = "spawn" in str(error)
            del tensors, frame
            gc.collect()
            os._exit(0 if said else 1)
        status = os.waitpid(child, 0)[1]
        assert status == 0, status
        assert frame.references == 3 and (tensors[0].cpu().numpy() == y).all()
        torch.cuda.synchronize()
        del tensors
        given_back(subscriber, frame, other)
    numbers("a child that drops frames and tensors changes nothing")


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def check_flat():
    torch = gpu_torch()
    with Other("role_stamps", "stamps", 640, 360):
        subscriber = cuframes.subscribe("stamps")
        gc.disable()

        def turns(count):
            for _ in range(count):
                y, uv = subscriber.next(PATIENCE).torch()
                del y, uv

        def look():
            torch.cuda.synchronize()
            return (resident(), len(os.listdir("/proc/self/fd")), torch.cuda.mem_get_info()[0],
                    torch.cuda.memory_allocated())

        turns(3000)
        before, start = look(), time.monotonic()
        turns(FLAT_FRAMES)
        rate = FLAT_FRAMES / (time.monotonic() - start)
        after = look()
    grown = after[0] - before[0], after[1] - before[1], before[2] - after[2], after[3] - before[3]
    numbers(f"{FLAT_FRAMES} frames, gc off, {rate:.0f} a second: grown by {grown[0] >> 10} KiB, {grown[1]} "
            f"descriptors, {grown[2] >> 20} MiB of the GPU (of all processes)")
    assert grown[0] < 8 << 20 and grown[1] == 0 and grown[3] == 0 and grown[2] < 64 << 20, (before, after)
    assert subscriber.stats.released_twice == 0


# ---- costs ----

def micros(values):
    return statistics.median(values) / 1e3


def check_costs():
    torch = gpu_torch()
    with Other("role_one", "one", WIDTH, HEIGHT) as other:
        subscriber = cuframes.subscribe("one")
        clock, loop, fast, plain, old = time.perf_counter_ns, [], [], [], []
        for _ in range(600):
            other.say()
            while (frame := subscriber.poll()) is None:
                pass
            begin = clock()
            y, uv = frame.torch()
            fast.append(clock() - begin)
            del y, uv
            planes = frame.planes
            begin = clock()
            y = torch.from_dlpack(planes.y)
            uv = torch.from_dlpack(planes.uv)
            plain.append(clock() - begin)
            del y, uv, planes
            begin = clock()
            stream = torch.cuda.current_stream().cuda_stream
            y, uv = (torch.utils.dlpack.from_dlpack(frame._capsule(i, stream, 1)) for i in range(2))
            old.append(clock() - begin)
            del y, uv, frame
        publisher = cuframes.publish("loop", 64, 32, "gray8")
        follower = iter(cuframes.subscribe("loop"))
        for _ in range(5000):
            with publisher.frame():
                pass
            begin = clock()
            frame = next(follower)
            frame.release()
            loop.append(clock() - begin)
    told = micros(loop[100:]), micros(fast[50:]), micros(plain[50:]), micros(old[50:])
    numbers("p50: a turn of a loop %.2f us (next and release of a frame that is there); .torch() of NV12 %.1f us; "
            "torch.from_dlpack() of both planes %.1f us; current_stream() and capsules %.1f us" % told)
    assert told[0] <= 5 and told[1] <= 20, told


def role_handoff(name):
    """Says how old each picture was when it came: ns from its publishing to the hand."""
    torch = gpu_torch()
    torch.zeros(1, device="cuda")
    subscriber = cuframes.subscribe(name, timeout=PATIENCE)
    print("ready")
    for frame in subscriber:
        now = time.monotonic_ns()
        print(now - frame.pts)
        frame.release()


def check_handoff():
    """Beside torch.multiprocessing's queue, as tests/gpu/bench_torch.py measures it, in one run."""
    torch = gpu_torch()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import bench_torch
    publisher = cuframes.publish("hand", WIDTH, HEIGHT, "nv12", device="cuda")
    source = torch.full((HEIGHT * 3 // 2, WIDTH), 85, dtype=torch.uint8, device="cuda")
    ages = []
    with Other("role_handoff", "hand") as other:
        for number in range(210):
            bench_torch.wait_until_asleep(other.process.pid)
            with publisher.frame() as frame:
                y, uv = frame.torch()
                y.copy_(source[:HEIGHT])
                uv.copy_(source[HEIGHT:].view(HEIGHT // 2, WIDTH // 2, 2))
                del y, uv
                torch.cuda.synchronize()
                frame.pts = time.monotonic_ns()
            ages.append(int(other.line()))
        ours = micros(ages[10:])
    theirs = micros(bench_torch.produce()["ns"])
    numbers(f"p50 {ours:.0f} us, torch.multiprocessing's queue {theirs:.0f} us: {theirs / ours:.1f} times")
    assert theirs >= 5 * ours


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    globals()[what if what.startswith("role_") else f"check_{what}"](*rest)
