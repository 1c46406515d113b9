"""Waits: timeouts, Ctrl-C, other threads, event loops, publishers that go."""
import asyncio
import signal
import threading
import time

import cuframes
from support import LIMIT, Child, Streams, main, soon, states, thread, until

WAITER = """
import cuframes, sys, threading
subscriber = cuframes.subscribe("s")
ASKS = {"subscribe": lambda: cuframes.subscribe("s", timeout=None), "join": lambda: cuframes.join("s", timeout=600),
        "info": lambda: cuframes.info("s", timeout=None), "list": lambda: cuframes.list(timeout=600),
        "property": lambda: subscriber.info, "reading": lambda: subscriber.packets(),
        "tracks": lambda: subscriber.tracks}
if sys.argv[1] in ASKS:
    print("waits")
    input()  # the publisher is stopped by now
    try:
        print("asks")
        ASKS[sys.argv[1]]()
    except KeyboardInterrupt:
        print(cuframes.now())
    sys.exit()
def undelivered():
    publisher = cuframes.publish("other", 64, 32, "gray8")
    publisher.slow = cuframes.subscribe("other", mode="ordered")
    publisher.slow.poll()
    with publisher.frame():
        pass
    return publisher

WAITS = {"main": lambda: subscriber.next, "loop": lambda: subscriber.__next__,
         "packets": lambda: subscriber.packets().next, "packet loop": lambda: subscriber.packets().__next__,
         "batch": lambda: cuframes.batch(["s"]).next, "drain": lambda: undelivered().drain,
         "nobody": lambda: lambda: cuframes.subscribe("nobody", timeout=None),
         "wait_subscribers": lambda: cuframes.publish("other", 64, 32, "gray8").wait_subscribers,
         "find": lambda: lambda: cuframes.join("s").find(("door", 1, 1, None), None)}
if sys.argv[1] in WAITS:
    wait = WAITS[sys.argv[1]]()
    try:
        print("waits")
        wait()
    except KeyboardInterrupt:
        print(cuframes.now())
elif sys.argv[1] in ("send", "frame"):
    publisher = cuframes.publish("own", 64, 32, "gray8", ordered_timeout=600)
    reader = cuframes.subscribe("own", mode="ordered", depth=1)
    picture = memoryview(bytes(64 * 32)).cast("B", (32, 64))
    assert publisher.send(picture)
    try:
        print("waits")
        if sys.argv[1] == "send":
            publisher.send(picture)
        with publisher.frame():
            pass
    except KeyboardInterrupt:
        print(cuframes.now())
    assert reader.next(600).seq == 1
    assert publisher.send(picture)  # a frame that was open still would be one too many
    assert reader.next(600).seq == 2
    assert publisher.stats.evictions == 0
else:
    ended = threading.Event()
    def wait():
        try:
            subscriber.next()
        except cuframes.Interrupted:
            ended.set()
    worker = threading.Thread(target=wait)
    worker.start()
    try:
        print("waits")
        ended.wait()
    except KeyboardInterrupt:
        print(cuframes.now())
    subscriber.interrupt()
    assert ended.wait(600)
"""

PUBLISHER = """
import cuframes
publisher = cuframes.publish("s", 64, 32, "gray8", packets=8)
with publisher.frame() as frame:
    pass
print("there")
input()
"""


def sleeps(pid):
    return states(pid)[str(pid)] == "S"


class Waits(Streams):
    def test_the_time_is_kept(self):
        self.publish(form="gray8")
        subscriber = self.subscribe()
        with self.assertRaisesRegex(TimeoutError, "within 0.000 s"):
            subscriber.next(0)
        start = time.monotonic()
        with self.assertRaises(cuframes.Timeout):
            subscriber.next(0.12)
        self.assertGreaterEqual(time.monotonic() - start, 0.12)
        self.assertIsNone(subscriber.poll())
        for wrong in (-1, float("nan")):
            with self.assertRaisesRegex(ValueError, "seconds"):
                subscriber.next(wrong)
        with self.assertRaisesRegex(TypeError, "seconds"):
            subscriber.next("soon")
        with self.assertRaises(cuframes.NoSuchStream):
            cuframes.subscribe("nobody", timeout=0.1)

    def test_ctrl_c_ends_each_wait(self):
        self.publish(form="gray8", packets=8)
        for who in ("main", "loop", "worker", "packets", "packet loop", "batch", "drain", "nobody", "wait_subscribers",
                    "find", "send", "frame"):
            with self.subTest(who):
                soon(0.1, lambda who=who: self.ctrl_c(who))

    def test_ctrl_c_ends_questions(self):
        """To a publisher that is stopped, and says nothing."""
        for who in ("info", "list", "property", "subscribe", "join", "reading", "tracks"):
            with self.subTest(who):
                soon(0.1, lambda who=who: self.ctrl_c_of_stopped(who))

    def ctrl_c_of_stopped(self, who):
        with Child(PUBLISHER) as publisher:
            self.assertEqual(publisher.line(), "there")
            with Child(WAITER, who) as child:
                self.assertEqual(child.line(), "waits")
                threads = set(states(child.process.pid))
                publisher.suspend()
                child.say()
                self.assertEqual(child.line(), "asks")
                until(lambda: sleeps(child.process.pid))
                self.assertEqual(set(states(child.process.pid)) - threads, set())
                sent = cuframes.now()
                child.process.send_signal(signal.SIGINT)
                took = (int(child.line()) - sent) / 1e9
                child.end()
                return took

    def ctrl_c(self, who):
        with Child(WAITER, who) as child:
            self.assertEqual(child.line(), "waits")
            until(lambda: sleeps(child.process.pid))
            sent = cuframes.now()
            child.process.send_signal(signal.SIGINT)
            took = (int(child.line()) - sent) / 1e9
            child.end()
            return took

    def test_closing_ends_a_wait_for_a_reader(self):
        publisher = self.publish(form="gray8", ordered_timeout=10 * LIMIT)
        reader = self.subscribe(mode="ordered", depth=1)
        with publisher.frame():
            pass

        def send():
            with self.assertRaises(cuframes.Interrupted), publisher.frame():
                pass

        with thread(send):
            until(lambda: publisher.stats.waits)
            publisher.close()
        self.assertEqual(reader.next(LIMIT).seq, 1)
        with self.assertRaises(cuframes.PublisherGone):
            reader.next(LIMIT)

    def test_other_threads_run_meanwhile(self):
        publisher = self.publish(form="gray8")
        subscriber = self.subscribe()
        got = []
        with thread(lambda: got.append(subscriber.next(LIMIT).seq)):
            until(lambda: cuframes.info("s").subscribers)  # this thread goes on while the other waits
            with publisher.frame():
                pass
        self.assertEqual(got, [1])

    def test_one_thread_at_a_time(self):
        self.publish(form="gray8")
        subscriber = self.subscribe()

        def wait():
            with self.assertRaises(cuframes.Interrupted):
                subscriber.next(LIMIT)

        def refused():
            try:
                subscriber.next(0)
            except RuntimeError as error:
                return "another thread" in str(error)
            except cuframes.Timeout:
                return False

        with thread(wait):
            until(refused)
            subscriber.interrupt()

    def test_interrupt_and_close_end_loops(self):
        self.publish(form="gray8")
        for end in ("interrupt", "close"):
            with self.subTest(end):
                subscriber = self.subscribe()
                begun = threading.Event()

                def loop():
                    begun.set()
                    for _ in subscriber:
                        self.fail("there is no frame")

                with thread(loop):
                    begun.wait(LIMIT)
                    getattr(subscriber, end)()
                self.assertEqual(subscriber.closed, end == "close")

    def test_a_killed_publisher_raises(self):
        with Child(PUBLISHER) as child:
            self.assertEqual(child.line(), "there")
            subscriber = self.subscribe()
            frame = next(subscriber)
            child.process.kill()
            with self.assertRaises(ConnectionError) as gone:
                for _ in subscriber:
                    self.fail("there is no frame")
            self.assertEqual(gone.exception.code, -11)
            self.assertEqual(frame.seq, 1)

    def test_it_comes_back_with_reconnect(self):
        with Child(PUBLISHER) as child:
            child.line()
            subscriber = self.subscribe(reconnect=True)
            self.assertEqual(subscriber.next(LIMIT).seq, 1)
            child.process.kill()
            child.process.wait(LIMIT)
            publisher = self.publish(form="gray8")
            with publisher.frame(pts=7):
                pass
            frame = subscriber.next(LIMIT)
            self.assertEqual((frame.pts, frame.flags & cuframes.DISCONTINUITY), (7, cuframes.DISCONTINUITY))
            self.assertEqual(subscriber.stats.reconnects, 1)

    def test_before_the_first_picture(self):
        publisher = self.publish(0, 0, None, packets=8)
        subscriber = self.subscribe()
        self.assertEqual((subscriber.info.format, subscriber.info.width), (None, 0))
        with self.assertRaises(cuframes.Timeout):
            subscriber.next(0)
        publisher.set_format(64, 32, "gray8")
        with publisher.frame():
            pass
        self.assertEqual(subscriber.next(LIMIT).format, "gray8")

    def test_ordered_takes_each_frame(self):
        publisher = self.publish(form="gray8")
        subscriber = self.subscribe(mode="ordered", depth=4)
        for i in range(4):
            with publisher.frame(pts=i):
                pass
        self.assertEqual([subscriber.next(LIMIT).pts for _ in range(4)], [0, 1, 2, 3])
        self.assertEqual(subscriber.sync, "complete")


class Asyncio(Streams):
    def test_frames_come(self):
        publisher = self.publish(form="gray8")

        async def take():
            seen = []
            async with cuframes.subscribe("s") as subscriber:
                async for frame in subscriber:
                    seen.append(frame.seq)
                    if len(seen) == 3:
                        return seen
                    frame.release()
                    with publisher.frame():
                        pass

        with publisher.frame():
            pass
        self.assertEqual(asyncio.run(asyncio.wait_for(take(), LIMIT)), [1, 2, 3])

    def test_sixteen_streams_idle_cost_nothing(self):
        publishers = [self.publish(64, 32, "gray8", f"s{i}") for i in range(16)]

        async def follow(name, seen):
            async for frame in cuframes.subscribe(name):
                seen.append((name, frame.seq))

        async def all_of_them():
            seen = []
            tasks = [asyncio.ensure_future(follow(f"s{i}", seen)) for i in range(16)]
            await asyncio.sleep(0)
            share = 1.0
            for _ in range(5):  # what a busy machine adds is tried away
                before, start = time.process_time(), time.monotonic()
                await asyncio.sleep(1)
                share = min(share, (time.process_time() - before) / (time.monotonic() - start))
                if share < 0.01:
                    break
            for publisher in publishers:
                with publisher.frame():
                    pass
            while len(seen) < 16:
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            return share, seen, ended

        share, seen, ended = asyncio.run(asyncio.wait_for(all_of_them(), LIMIT))
        self.assertEqual(sorted(seen), sorted((f"s{i}", 1) for i in range(16)))
        self.assertTrue(all(isinstance(error, asyncio.CancelledError) for error in ended), ended)
        self.assertLess(share, 0.01)

    def test_a_second_task_is_refused(self):
        self.publish(form="gray8")

        async def both():
            subscriber = self.subscribe()
            first = asyncio.ensure_future(subscriber.anext())
            await asyncio.sleep(0)
            with self.assertRaisesRegex(RuntimeError, "another task"):
                await subscriber.anext()
            subscriber.close()
            with self.assertRaises(cuframes.Interrupted):  # nobody cancelled it
                await first

        asyncio.run(asyncio.wait_for(both(), LIMIT))

    def test_another_thread_closes_it(self):
        """The loop sleeps, and is woken."""
        self.publish(form="gray8")
        subscriber, waits = self.subscribe(), threading.Event()

        async def follow():
            asyncio.get_running_loop().call_soon(waits.set)
            async for _ in subscriber:
                pass
            return "ended"

        def close():
            waits.wait(LIMIT)
            subscriber.close()

        with thread(close):
            self.assertEqual(asyncio.run(asyncio.wait_for(follow(), LIMIT / 2)), "ended")

    def test_a_loop_that_went_without_a_word(self):
        """A task of a loop that was closed waits for nothing any more, and is in nobody's way."""
        publisher = self.publish(form="gray8")
        subscriber = self.subscribe()
        gone = asyncio.new_event_loop()
        left = gone.create_task(subscriber.anext())
        gone.run_until_complete(asyncio.sleep(0))
        gone.close()
        with publisher.frame():
            pass

        async def after():
            return (await subscriber.anext()).seq, asyncio.ensure_future(subscriber.anext())

        self.assertEqual(asyncio.run(asyncio.wait_for(after(), LIMIT))[0], 1)
        left._log_destroy_pending = False
        left.get_coro().close()
        subscriber.close()


if __name__ == "__main__":
    main()
