"""Cancelled waits: of frames and packets, at each moment, one task and sixteen. Nothing is lost, held or left open."""
import asyncio
import os
import threading

import cuframes
from support import LIMIT, Streams, main

STREAMS = 16
TURNS = 60
DEPTH = 24
GRAY = memoryview(bytes(64 * 32)).cast("B", (32, 64))


class Case:
    """A stream with an ordered subscriber or a reader of packets, and a way to wait for the next one."""

    def __init__(self, test, packets, loop):
        self.name = f"{'packets' if packets else 'frames'}-{'loop' if loop else 'anext'}"
        self.publisher = test.publish(form="gray8", packets=2 * TURNS, name=self.name)
        self.publisher.describe(0, {"codec": "h264"})
        self.subscriber = test.subscribe(self.name, mode="ordered", depth=DEPTH)
        self.stream = self.subscriber.packets("oldest") if packets else self.subscriber
        self.stream.poll()  # who has asked once gets each from then on
        self.packets, self.sent, self.taken = packets, 0, 0
        self.waits = self.subscriber._waits_for_packets if packets else self.subscriber._waits_for_frames
        self.wait = self.first if loop else self.stream.anext

    async def first(self):
        async for one in self.stream:
            return one

    def begin(self):
        return asyncio.ensure_future(self.wait())

    def give(self):
        self.sent += 1
        if self.packets:
            self.publisher.send_packet(b"x", pts=self.sent, key=True)
        else:
            with self.publisher.frame(pts=self.sent):
                pass

    def take(self, one):
        """In their order, and each."""
        self.taken += 1
        assert one.pts == self.taken, (one.pts, self.taken)


class Cancelling(Streams):
    def each(self, one):
        for packets in (False, True):
            for loop in (False, True):
                case = Case(self, packets, loop)
                with self.subTest(case.name):
                    asyncio.run(asyncio.wait_for(one(case), LIMIT))
                    while case.taken < case.sent:
                        case.take(case.stream.next(LIMIT))
                    self.assertIsNone(case.stream.poll())
                    self.assertIsNone(case.waits._waiter)
                    self.assertEqual(case.subscriber.stats.leases_held, 0)

    async def cancel(self, task):
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task

    def test_before_it_begins(self):
        async def one(case):
            task = case.begin()
            case.give()
            await self.cancel(task)

        self.each(one)

    def test_while_it_waits(self):
        async def one(case):
            for _ in range(3):
                task = case.begin()
                while case.waits._waiter is None:
                    await asyncio.sleep(0)
                await self.cancel(task)
            case.give()
            case.take(await case.wait())

        self.each(one)

    def test_in_the_turn_in_which_it_came(self):
        """The loop has seen that it is there, and not yet told the task, which is cancelled."""
        async def one(case):
            for _ in range(3):
                task = case.begin()
                while case.waits._waiter is None:
                    await asyncio.sleep(0)
                waiter = case.waits._waiter
                case.give()
                while not waiter.done():
                    await asyncio.sleep(0)
                    if task.done():
                        break
                if task.done():
                    case.take(task.result())
                else:
                    await self.cancel(task)
                    case.take(await case.wait())

        self.each(one)

    def test_at_any_moment(self):
        """Frames come, and times run out, at moments that have nothing to do with each other."""
        async def one(case):
            for turn in range(TURNS):
                asyncio.get_running_loop().call_later(turn % 7 / 5e3, case.give)
                task = case.begin()
                await asyncio.wait({task}, timeout=turn % 5 / 5e3)
                # As it is done, so it is taken: a task that has its frame cannot be cancelled any more.
                if task.done():
                    case.take(task.result())
                else:
                    await self.cancel(task)
                while case.sent - case.taken > DEPTH // 2:
                    case.take(await case.wait())
            while case.sent < TURNS:
                await asyncio.sleep(0)

        self.each(one)

    def test_a_closed_subscriber_ends_the_wait(self):
        async def one(case):
            task = case.begin()
            while case.waits._waiter is None:
                await asyncio.sleep(0)
            case.subscriber.close()
            if case.wait == case.first:
                return await task  # the loop ends
            with self.assertRaises(cuframes.Interrupted):
                await task

        for packets in (False, True):
            for loop in (False, True):
                self.assertIsNone(asyncio.run(asyncio.wait_for(one(Case(self, packets, loop)), LIMIT)))

    def test_two_tasks_and_one_reader(self):
        async def one(case):
            first = case.begin()
            while case.waits._waiter is None:
                await asyncio.sleep(0)
            with self.assertRaisesRegex(RuntimeError, "another task"):
                await case.wait()
            await self.cancel(first)

        self.each(one)

    def test_no_thread_waits(self):
        async def one():
            subscriber = self.subscribe()
            task = asyncio.ensure_future(subscriber.packets().anext())
            while subscriber._waits_for_packets._waiter is None:
                await asyncio.sleep(0)
            self.assertEqual(threading.active_count(), before)
            await self.cancel(task)

        self.publish(form="gray8", packets=8)
        before = threading.active_count()
        asyncio.run(asyncio.wait_for(one(), LIMIT))

    def test_frames_and_packets_at_once(self):
        """Of one subscriber, by two tasks: each has its own descriptor."""
        async def take(stream, seen):
            async for one in stream:
                seen.append(one.pts)
                if len(seen) == TURNS:
                    return

        async def both():
            publisher, seen = self.publish(form="gray8", packets=2 * TURNS), ([], [])
            publisher.describe(0, {"codec": "h264"})
            subscriber = self.subscribe(mode="ordered", depth=DEPTH)
            tasks = [asyncio.ensure_future(take(stream, had))
                     for stream, had in zip((subscriber, subscriber.packets("oldest")), seen)]
            for number in range(TURNS):
                publisher.send_packet(b"x", pts=number, key=True)
                while len(seen[0]) < number - DEPTH // 2:
                    await asyncio.sleep(0)
                self.send(publisher, GRAY, pts=number)
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)
            self.assertEqual(seen, (list(range(TURNS)), list(range(TURNS))))

        asyncio.run(asyncio.wait_for(both(), LIMIT))


class Sixteen(Streams):
    def test_nothing_is_left_of_them(self):
        publishers = [self.publish(64, 32, "gray8", f"s{i}", packets=8) for i in range(STREAMS)]
        for publisher in publishers:
            publisher.describe(0, {"codec": "h264"})
        subscribers = [self.subscribe(f"s{i}") for i in range(STREAMS)]
        readers = [subscriber.packets() for subscriber in subscribers]

        async def follow(stream, seen):
            async for one in stream:
                seen.append(one.seq)

        async def once():
            seen = []
            tasks = [asyncio.ensure_future(follow(stream, seen)) for stream in subscribers + readers]
            for publisher in publishers:
                with publisher.frame():
                    pass
                publisher.send_packet(b"x", key=True)
            while len(seen) < 2 * STREAMS:
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            self.assertTrue(all(isinstance(error, asyncio.CancelledError) for error in ended), ended)

        asyncio.run(asyncio.wait_for(once(), LIMIT))
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            asyncio.run(asyncio.wait_for(once(), LIMIT))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual([subscriber.stats.leases_held for subscriber in subscribers], [0] * STREAMS)


if __name__ == "__main__":
    main()
