#!/usr/bin/env python3
"""The hand-off of torch.multiprocessing, for comparison: a producer copies a 1080p NV12 picture on the GPU, waits until
that is done, takes the time and puts the tensor into a queue; one consumer process takes the time when get() returned.
Prints JSON: {"torch": VERSION, "frames": N, "ns": [NANOSECONDS, ...]}. Exits with 77 and a reason where torch or its
CUDA is missing."""
import json
import sys
import time

FRAMES = 200
WARM_UP = 10
ASLEEP = 0.002  # as long as cuframes' sleepers have (bench_handoff.c)
PATIENCE = 20


def consume(queue, times, ready):
    import torch
    torch.zeros(1, device="cuda")
    ready.set()
    for _ in range(WARM_UP + FRAMES):
        done, frame = queue.get()
        times.put(time.monotonic_ns() - done)
        del frame


def sleep_of(pid):
    """How often a process's main thread has gone to sleep, None while it is awake."""
    with open("/proc/%d/status" % pid) as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return int(fields["voluntary_ctxt_switches"]) if fields["State"].startswith("S") else None


def wait_until_asleep(pid):
    """Until it waits in get(), and has so for a while: what is measured is how it is woken."""
    end = time.monotonic() + PATIENCE
    slept, since = None, 0
    while slept is None or time.monotonic() - since < ASLEEP:
        now = sleep_of(pid)
        if now is None or now != slept:
            slept, since = now, time.monotonic()
        if time.monotonic() > end:
            sys.exit("the consumer does not come to rest")


def produce():
    import torch
    import torch.multiprocessing
    context = torch.multiprocessing.get_context("spawn")
    queue, times, ready = context.Queue(), context.Queue(), context.Event()
    consumer = context.Process(target=consume, args=(queue, times, ready), daemon=True)
    consumer.start()
    source = torch.full((1080 * 3 // 2, 1920), 85, dtype=torch.uint8, device="cuda")
    slots = [torch.empty_like(source) for _ in range(8)]
    if not ready.wait(60):
        sys.exit("the consumer does not start")
    taken = []
    for number in range(WARM_UP + FRAMES):
        slot = slots[number % len(slots)]
        slot.copy_(source)
        torch.cuda.synchronize()
        wait_until_asleep(consumer.pid)
        queue.put((time.monotonic_ns(), slot))
        taken.append(times.get(timeout=PATIENCE))
    consumer.join(PATIENCE)
    return {"torch": torch.__version__, "frames": FRAMES, "ns": taken[WARM_UP:]}


def main():
    try:
        import torch
    except ImportError:
        print("skipped: python3 has no torch")
        sys.exit(77)
    if not torch.cuda.is_available():
        print("skipped: torch finds no CUDA")
        sys.exit(77)
    print(json.dumps(produce()))


if __name__ == "__main__":
    main()
