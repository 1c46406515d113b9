#!/usr/bin/env python3
"""test_gpu.py - FFmpeg's CUDA frames through its cuframes components, over the stand-in for the driver.
tests/gpu/ffmpeg does the same on a card, with its decoder."""
import fftools
import harness
from harness import LIMIT, OK, check


def over_standin():
    """Both FFmpegs see two GPUs. There is no decoder: frames are uploaded."""
    library = harness.need_built("tests", "cuda", "standin", "libcuda.so.1")
    return {"LD_LIBRARY_PATH": library.rsplit("/", 1)[0], "CUDA_STANDIN_DEVICES": "2"}


def upload(source, pixel_format, gpu=1):
    return ("-init_hw_device", "cuda=g:%d,primary_ctx=1" % gpu, "-filter_hw_device", "g", *source), [
        "scale=flags=accurate_rnd+bitexact", "format=" + pixel_format, "hwupload"]


def read_back(s, pixel_format, env, *options):
    return fftools.read_frames(s, "film", "-vf", "hwdownload,format=" + pixel_format, options=options, env=env)


def test_frames_stay_on_the_gpu(s):
    """Through the filter and through the muxer: bit for bit, and where they lie."""
    env = over_standin()
    for pixel_format, copied in (("nv12", False), ("p010le", False), ("yuv420p", True)):
        source, _ = fftools.pattern("162x92", 20)
        wanted = fftools.direct(s, *source, filters=["scale=flags=accurate_rnd+bitexact", "format=" + pixel_format])
        arguments, filters = upload(source, pixel_format)
        reader = read_back(s, pixel_format, env)
        publisher = fftools.publish(s, "film", *arguments, filters=filters, env=env)
        check("publishing film on cuda:" in publisher.expect(OK).err, "not on the GPU: %s", publisher.err)
        result = reader.expect(OK)
        fftools.same(fftools.sums(result.out)[:20], wanted, pixel_format)
        check(("they are copied" in result.err) == copied, "%s: copied or not: %s", pixel_format, result.err)
        reader = read_back(s, pixel_format, env)
        fftools.run(s, *arguments, "-vf", ",".join(filters), "-c:v", "wrapped_avframe", "-wait_subscribers", "1",
                    "-wait_timeout", LIMIT, "-timeout", LIMIT, "-f", "cuframes", "film", env=env)
        fftools.same(fftools.sums(reader.expect(OK).out)[:20], wanted, pixel_format + " by the muxer")


def test_a_graph_that_keeps_everything_gets_copies_there(s):
    env = over_standin()
    source, _ = fftools.pattern("64x48", 40)
    arguments, filters = upload(source, "nv12")
    reader = fftools.read_frames(s, "film", "-vf", "reverse,hwdownload,format=nv12", options=("-leases", "4"), env=env)
    fftools.publish(s, "film", *arguments, filters=filters, env=env).expect(OK)
    result = reader.expect(OK)
    wanted = fftools.direct(s, *source, filters=["scale=flags=accurate_rnd+bitexact", "format=nv12"])
    fftools.same(list(reversed(fftools.sums(result.out)))[:40], wanted, "reversed")
    check("more are copied" in result.err, "it did not say so: %s", result.err)


def test_a_reader_without_a_gpu_is_told(s):
    env = over_standin()
    source = "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25,realtime"
    arguments, filters = upload(source, "nv12")
    publisher = fftools.publish(s, "film", *arguments, filters=filters, options="wait_subscribers=0", env=env)
    s.wait_stream("film", publisher)
    for options, message in (((), "No such device"), (("-device", "host"), "GPU")):
        result = fftools.ffmpeg(s, "-f", "cuframes", *options, "-i", "film", "-f", "null", "-").wait()
        check(result.code > 0 and message in result.err, "it ended with %s: %s", result.code, result.err)
    publisher.stop(code=None)


if __name__ == "__main__":
    harness.main(globals())
