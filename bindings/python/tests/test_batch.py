"""Batches: many subscribers served by one thread."""
import asyncio
import threading
import time

import cuframes
from support import LIMIT, Streams, main, until


class Batches(Streams):
    def cameras(self, count=3, **options):
        publishers = [self.publish(form="gray8", name=f"s{i}") for i in range(count)]
        batch = cuframes.batch([f"s{i}" for i in range(count)], timeout=LIMIT, **options)
        self.addCleanup(batch.close)
        return publishers, batch

    def test_the_newest_of_each(self):
        publishers, batch = self.cameras()
        for number in range(1, 6):
            for publisher in publishers:
                self.send(publisher, pts=number)
                self.send(publisher, pts=100 + number)
            entries = batch.next()
            self.assertEqual([entry.name for entry in entries], ["s0", "s1", "s2"])
            self.assertEqual([frame.pts for frame in entries.frames], [100 + number] * 3)
            self.assertTrue(all(0 <= entry.age < LIMIT for entry in entries.sources))
            self.assertEqual(entries.errors, [])
            entries.release()
        self.assertEqual(batch.stats.frames, 15)
        self.assertEqual(batch.next(timeout=0), [])
        self.assertRaises(cuframes.Busy, batch.members[0].poll)

    def test_min_is_waited_for_and_a_timeout_gives_what_there_is(self):
        publishers, batch = self.cameras(2)
        self.send(publishers[1])
        begin = time.monotonic()
        entries = batch.next(min=2, timeout=0.2)  # several of the steps in which signals are looked for
        self.assertGreaterEqual(time.monotonic() - begin, 0.2)
        self.assertEqual([entry.name for entry in entries], ["s1"])
        for wrong in (0, -1, "all"):
            self.assertRaises(ValueError, batch.next, min=wrong)

    def test_errors_are_said_once(self):
        publishers, batch = self.cameras(2, reconnect=False)
        publishers[0].close()
        entries = batch.next(min=1)
        self.assertIsInstance(entries[0].error, cuframes.PublisherGone)
        self.assertEqual((entries[0].frame, entries.frames, len(entries.errors)), (None, [], 1))
        self.send(publishers[1])
        self.assertEqual([entry.name for entry in batch.next(min=2)], ["s1"])
        publishers[1].close()
        seen = []
        with self.assertRaisesRegex(cuframes.PublisherGone, "all 2 members of the batch have ended"):
            for entries in batch:
                seen += [type(entry.error) for entry in entries.errors]
        self.assertEqual(seen, [cuframes.PublisherGone])
        self.assertRaises(cuframes.PublisherGone, batch.next, timeout=None)
        self.assertRaises(cuframes.PublisherGone, asyncio.run, batch.anext())
        self.assertEqual([batch.remove(one) for one in batch.members], [None, None])
        self.assertEqual(batch.next(timeout=0), [])

    def test_members_come_and_go(self):
        publishers, batch = self.cameras(2)
        first = batch.members[0]
        batch.remove(first)
        self.assertRaises(ValueError, batch.remove, first)
        self.send(publishers[0], pts=7)
        self.assertEqual(first.next(LIMIT).pts, 7)
        self.assertEqual(batch.add(first), 0)
        first.close()  # leaves
        self.send(publishers[1])
        self.assertEqual([entry.name for entry in batch.next()], ["s1"])
        self.assertRaises(TypeError, batch.add, "s1")
        batch.close()
        self.assertTrue(batch.closed)
        self.assertRaises(ValueError, batch.next)
        self.assertEqual(list(batch), [])

    def test_another_thread_ends_a_wait(self):
        _, batch = self.cameras(1)
        for end in (batch.interrupt, batch.close):
            timer = threading.Timer(0.05, end)
            timer.start()
            if end == batch.interrupt:
                self.assertRaises(cuframes.Interrupted, batch.next, timeout=None)
            else:
                self.assertEqual(list(batch), [])
            timer.join()

    def test_a_loop(self):
        publishers, batch = self.cameras(2)
        seen = []
        for publisher in publishers:
            self.send(publisher, pts=0)
        for entries in batch:
            seen.append([frame.pts for frame in entries.frames])
            if len(seen) == 3:
                break
            for publisher in publishers:
                self.send(publisher, pts=len(seen))
        self.assertEqual(seen, [[0, 0], [1, 1], [2, 2]])

    def test_asyncio_and_a_cancelled_wait(self):
        publishers, batch = self.cameras(2)

        async def wait():
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(batch.anext(), 0.05)
            for publisher in publishers:
                self.send(publisher, pts=3)
            async for entries in batch:  # what the cancelled wait was for
                return [frame.pts for frame in entries.frames]

        self.assertEqual(asyncio.run(wait()), [3, 3])
        until(lambda: threading.active_count() == 1)


if __name__ == "__main__":
    main()
