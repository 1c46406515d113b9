"""Many threads on the same objects: nothing crashes, is lost or given back twice, with Python's GIL and without it."""
import sys
import sysconfig
import threading
import time

import cuframes
from support import LIMIT, Streams, main, module, numpy

SECONDS = 1.0
THREADS = 4
GRAY = memoryview(bytes(64 * 32)).cast("B", (32, 64))


class Threads(Streams):
    def all_at_once(self, *tasks):
        """Each in a thread of its own, again and again for a while."""
        end, failed = time.monotonic() + SECONDS, []
        barrier = threading.Barrier(len(tasks))

        def run(task):
            try:
                barrier.wait(LIMIT)
                while time.monotonic() < end:
                    task()
            except BaseException as error:  # pylint: disable=broad-except
                failed.append(error)

        threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
        for one in threads:
            one.start()
        for one in threads:
            one.join(LIMIT)
            self.assertFalse(one.is_alive())
        if failed:
            raise failed[0]

    def test_the_lock_is_off_where_it_can_be(self):
        if not sysconfig.get_config_var("Py_GIL_DISABLED"):
            self.skipTest("this Python has a GIL")
        self.assertFalse(sys._is_gil_enabled())

    def test_one_frame_in_many_hands(self):
        """Views are made while others release it."""
        module("numpy")
        publisher, subscriber = self.publish(max_slots=64), self.subscribe(leases=8)
        held = [None]

        def renew():
            publisher.send(numpy.zeros((48, 64), "u1"))
            held[0] = subscriber.poll() or held[0]

        def look():
            frame = held[0]
            if frame is None:
                return
            try:
                planes = frame.planes
                for use in (lambda: numpy.asarray(planes.y)[0, 0], lambda: numpy.from_dlpack(planes.uv)[0, 0, 0],
                            lambda: frame.clone().to_rgb(), frame.to_rgb, frame._repr_png_,
                            lambda: (frame.seq, frame.id, frame.color, frame.side_data)):
                    use()
            except (ValueError, BufferError) as error:
                assert "released" in str(error), error
            except cuframes.LeaseLimit:
                pass

        def release():
            frame = held[0]
            if frame is not None:
                try:
                    frame.release()
                except BufferError:
                    frame._drop()

        self.all_at_once(renew, *[look] * THREADS, release)
        held[0] = None
        self.assertEqual((subscriber.stats.leases_held, subscriber.stats.released_twice), (0, 0))

    def test_one_publisher_in_many_hands(self):
        publisher = self.publish(form="gray8", packets=64, max_open=16)
        publisher.describe(0, {"codec": "h264"})
        subscriber = self.subscribe()
        opened = [None]

        def begin():
            try:
                opened[0] = publisher.frame()
            except (cuframes.LeaseLimit, cuframes.Dropped):
                opened[0] = None

        def end():
            frame = opened[0]
            if frame is not None:
                try:
                    frame.publish()
                except (ValueError, BufferError):
                    pass

        def rest():
            publisher.send_packet(b"x", key=True)
            publisher.stats, publisher.device, subscriber.poll(), subscriber.stats, subscriber.source

        self.all_at_once(begin, *[end] * THREADS, rest)
        opened[0] = None
        self.assertEqual(publisher.stats.released_twice, 0)
        with publisher.frame():
            pass

    def test_they_are_closed_under_others(self):
        made, numbers = [self.publish(form="gray8"), None], iter(range(10**9))
        made[1] = self.subscribe()

        def anew():
            name = f"s{next(numbers)}"  # the name before is free when the last call has ended
            publisher = cuframes.publish(name, 64, 32, "gray8")
            for index, one in enumerate((publisher, cuframes.subscribe(name))):
                before, made[index] = made[index], one
                before.close()

        def use():
            publisher, subscriber = made
            try:
                frame = publisher.frame()
                frame.planes, frame.width, frame.references
                frame.publish()
                subscriber.next(0.001)
            except (ValueError, BufferError, RuntimeError, cuframes.Error):
                pass

        self.all_at_once(anew, *[use] * THREADS)
        for one in made:
            one.close()

    def test_one_batch_in_many_hands(self):
        """Members come, go and are closed while one thread takes."""
        publishers = [self.publish(form="gray8", name=f"s{i}") for i in range(3)]
        batch = cuframes.batch(["s0", "s1"], timeout=0.001)
        self.addCleanup(batch.close)
        numbers = iter(range(10**9))

        def send():
            for publisher in publishers:
                publisher.send(GRAY)

        def take():
            try:
                entries = batch.next(min=1 + next(numbers) % 3)
            except cuframes.Interrupted:
                return
            except RuntimeError as error:
                assert "one takes at a time" in str(error), error
                return
            for entry in entries:
                assert entry.frame is None or entry.frame.seq > 0
            entries.release()

        def come_and_go():
            one = cuframes.subscribe(f"s{next(numbers) % 3}")
            batch.add(one)
            members = batch.members
            assert len(members) >= 2, members
            if next(numbers) % 2:
                batch.remove(one)
                one.poll()
            one.close()

        def look():
            batch.interrupt()
            batch.stats, batch.closed
            for one in batch.members:
                one.closed, repr(one)

        def clean():
            """Those that were closed as members have left, and are still listed."""
            for one in batch.members:
                if one.closed:
                    try:
                        batch.remove(one)
                    except ValueError as error:
                        assert "is not in this batch" in str(error), error

        self.all_at_once(send, take, take, *[come_and_go] * THREADS, look, clean)
        clean()
        batch.interrupt()
        self.assertRaises(cuframes.Interrupted, lambda: [batch.next(timeout=0) for _ in range(10)])
        self.assertEqual(sorted(one.name for one in batch.members), ["s0", "s1"])
        self.assertEqual([(one.stats.leases_held, one.stats.released_twice) for one in batch.members], [(0, 0)] * 2)

    def test_batches_are_closed_under_others(self):
        publisher = self.publish(form="gray8")
        made = [cuframes.batch(["s"])]

        def anew():
            before, made[0] = made[0], cuframes.batch(["s"], timeout=0.01)
            before.close()

        def use():
            batch = made[0]
            try:
                batch.next().release()
                batch.fileno()
                batch.remove(batch.members[0])
            except (ValueError, RuntimeError, IndexError, cuframes.Interrupted, cuframes.Busy):
                pass

        self.all_at_once(anew, lambda: publisher.send(GRAY), *[use] * THREADS)
        made[0].close()

    def test_one_preprocess_in_many_hands(self):
        """Frames are released, and the lists of them changed, while tensors are made of them."""
        module("numpy")
        publisher, subscriber = self.publish(form="gray8", max_slots=64), self.subscribe(leases=8)
        prepare = cuframes.Preprocess((16, 8), "uint8", channels="GRAY")
        self.send(publisher, GRAY)
        frames = [subscriber.next(LIMIT)]

        def renew():
            publisher.send(GRAY)
            frame = subscriber.poll()
            if frame is not None:
                frames[0]._drop()
                frames[:] = [frame, None]

        def use():
            try:
                tensor, places = prepare(frames)
                assert len(places) == len(tensor) and tensor[-1, 0, 0, 0] == 0 or len(tensor) == 1
            except (ValueError, IndexError) as error:
                assert "released" in str(error) or "frame" in str(error), error
            except cuframes.LeaseLimit:
                pass

        self.all_at_once(renew, *[use] * THREADS)
        frames[0].release()
        self.assertEqual((subscriber.stats.leases_held, subscriber.stats.released_twice), (0, 0))

    def test_packets_and_annotations_in_many_hands(self):
        publisher, detector = self.publish(form="gray8", packets=64), self.publish(0, 0, None, "found", packets=64)
        publisher.describe(0, {"codec": "h264"})
        self.send(publisher, GRAY)
        frame = self.subscribe().next(LIMIT)
        made = [None, None, None]

        def anew():
            subscriber = cuframes.subscribe("s")
            before = list(made)
            made[:] = [subscriber, subscriber.packets("oldest"), cuframes.join("found")]
            for one in (before[0], before[2]):
                if one is not None:
                    one.close()

        def send():
            publisher.send_packet(b"packet", key=True)
            detector.annotate(frame, [cuframes.Detection(0, 0, 1, 1, 1)])

        def use():
            subscriber, reader, join = made
            try:
                packet = reader.next(0.001)
                assert bytes(packet) == b"packet" and packet.key and packet.track == 0
                subscriber.tracks, subscriber.source, subscriber.stats, subscriber.device
                subscriber.interrupt()
                join.find(frame, 0.001)
                join.latest(frame)
                join.interrupt()
            except (ValueError, RuntimeError, TimeoutError, cuframes.Error):
                pass

        anew()
        self.all_at_once(anew, send, *[use] * THREADS)
        made[0].close()
        made[2].close()


if __name__ == "__main__":
    main()
