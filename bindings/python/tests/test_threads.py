"""Many threads on the same objects: nothing crashes, is lost or given back twice, with Python's GIL and without it."""
import sys
import sysconfig
import threading
import time

import cuframes
from support import LIMIT, Streams, main, module, numpy

SECONDS = 1.0
THREADS = 4


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
                            lambda: frame.clone(), lambda: (frame.seq, frame.id, frame.color, frame.side_data)):
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


if __name__ == "__main__":
    main()
