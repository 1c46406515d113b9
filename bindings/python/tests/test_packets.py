"""Packets: through a stream and PyAV, bit by bit; detections of the frame in hand; OpenCV's words."""
import io
import os
import select

import cuframes
from support import LIMIT, Streams, main, module, numpy, nv12, thread

FILM = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)),
                                     "../../../tests/data/sintel-trailer-14s.mp4"))


class Packets(Streams):
    def test_a_loop_of_select(self):
        """The descriptor of packets tells of packets, their end, and of nothing else."""
        publisher = self.publish(form="gray8", packets=8)
        publisher.describe(0, {"codec": "h264"})
        subscriber = self.subscribe()
        reader = subscriber.packets()
        fd = reader.fileno()
        self.assertEqual(fd, subscriber.packets().fileno())
        self.assertNotEqual(fd, subscriber.fileno())
        self.assertIsNone(reader.poll())
        self.send(publisher, memoryview(bytes(64 * 32)).cast("B", (32, 64)))
        self.assertEqual(select.select([reader], [], [], 0)[0], [])
        for number in range(5):
            publisher.send_packet(b"x", pts=number, key=True)
            self.assertEqual(select.select([reader], [], [], LIMIT)[0], [reader])
            self.assertEqual(reader.poll().pts, number)
            self.assertIsNone(reader.poll())
            self.assertEqual(select.select([fd], [], [], 0)[0], [])
        publisher.close()
        self.assertEqual(select.select([fd], [], [], LIMIT)[0], [fd])
        self.assertRaises(cuframes.PublisherGone, reader.poll)
        subscriber.close()
        self.assertRaises(ValueError, reader.fileno)

    def test_bytes_and_times(self):
        publisher = self.publish(0, 0, None, packets=8)
        with self.assertRaises(cuframes.NoCodecParams):
            publisher.send_packet(b"x")
        publisher.describe(0, {"codec": "h264", "width": 64, "height": 32, "extradata": b"\1\2", "frame_rate_num": 25,
                               "frame_rate_den": 1})
        publisher.describe(3, {"codec": "aac", "media_type": "audio", "sample_rate": 48000, "channels": 2})
        subscriber = self.subscribe(mode="packets")
        packets = subscriber.packets()
        publisher.send_packet(b"key", pts=3, dts=1, duration=5, key=True)
        publisher.send_packet(memoryview(b"sound"), track=3)
        video, audio = next(packets), packets.next(LIMIT)
        self.assertEqual((bytes(video), len(video), video.pts, video.dts, video.duration, video.key, video.track),
                         (b"key", 3, 3, 1, 5, True, 0))
        self.assertEqual((bytes(audio), audio.pts, audio.key, audio.track, audio.seq), (b"sound", None, False, 3, 2))
        self.assertIsNone(packets.poll())
        with self.assertRaises(TimeoutError):
            packets.next(0)
        first, second = subscriber.tracks
        self.assertEqual((first.codec, first.width, first.frame_rate, first.extradata, first.profile),
                         ("h264", 64, (25, 1), b"\1\2", None))
        self.assertEqual((second.index, second.media_type, second.sample_rate), (3, "audio", 48000))
        with self.assertRaises(cuframes.Unsupported):
            subscriber.next(0)
        with self.assertRaises(cuframes.PacketOversized):
            publisher.send_packet(bytes(3 << 20))
        publisher.describe(1, first.parameters)
        self.assertEqual(subscriber.tracks[1].extradata, b"\1\2")

    def test_what_is_said_of_packets_and_tracks(self):
        publisher = self.publish(0, 0, None, packets=8)
        said = {"codec": "hevc", "color": (9, 1, 9, 16), "orientation": 3, "chroma_location": 1, "field_order": 2,
                "bit_rate": 2**40, "level": 120, "mastering_display": bytes(range(24)), "content_light": b"\1\0\2\0"}
        publisher.describe(0, said)
        subscriber = self.subscribe(mode="packets")
        track, packets = subscriber.tracks[0], subscriber.packets()
        self.assertEqual({key: track.parameters[key] for key in said}, said)
        publisher.describe(1, track.parameters)
        self.assertEqual(subscriber.tracks[1].parameters, track.parameters)
        words = ("key", "discontinuity", "corrupt", "hidden", "disposable")
        for word in words:
            publisher.send_packet(b"x", **{word: True, "key": True} if word != "key" else {"key": True})
            packet = next(packets)
            self.assertEqual({name for name in words if getattr(packet, name)}, {"key", word})

    def test_the_last_ones_are_waited_for(self):
        publisher = self.publish(form="gray8", packets=8)
        publisher.describe(0, {"codec": "h264"})
        self.assertTrue(publisher.drain(0))
        frames, packets = self.subscribe(mode="ordered"), self.subscribe(mode="packets").packets()
        with publisher.frame():
            pass
        publisher.send_packet(b"x", key=True)
        self.assertFalse(publisher.drain(0.01))
        with thread(lambda: self.assertEqual(len(list(packets)), 1)):  # it has all when it waits for more
            self.assertFalse(publisher.drain(0.01))
            frame = next(frames)
            self.assertTrue(publisher.drain(LIMIT))
            packets._subscriber.interrupt()
        del frame

    def test_an_overrun_is_said_once(self):
        publisher = self.publish(0, 0, None, packets=4)
        publisher.describe(0, {"codec": "h264"})
        subscriber = self.subscribe(mode="packets")
        packets = subscriber.packets()
        publisher.send_packet(b"x", key=True)
        next(packets)
        for i in range(20):
            publisher.send_packet(b"x", pts=i, key=i % 2 == 0)
        with self.assertRaises(cuframes.PacketOverrun):
            packets.next(LIMIT)
        self.assertTrue(packets.next(LIMIT).key)
        for i in range(20):
            publisher.send_packet(b"x", pts=i, key=True)
        next(packets)
        self.assertEqual(packets.overruns, 1)
        self.assertGreater(subscriber.stats.packets_lost, 0)
        with self.assertRaises(cuframes.NoPacketRing):
            self.publish(name="bare")
            self.subscribe("bare").packets()

    def test_a_film_through_pyav(self):
        av = module("av")
        publisher = self.publish(0, 0, None, packets=2048, packet_bytes=64 << 20)
        subscriber = self.subscribe(mode="packets")
        with av.open(FILM) as film:
            for stream in film.streams:
                cuframes.pyav.describe(publisher, stream.index, stream)
            for packet in film.demux():
                cuframes.pyav.send(publisher, packet, track=packet.stream.index)
        copied = io.BytesIO()
        reader = subscriber.packets("oldest")
        with av.open(copied, "w", format="matroska") as file:
            streams = cuframes.pyav.add_streams(file, subscriber.tracks)
            decoder = cuframes.pyav.decoder(subscriber.tracks[0])
            decoded = 0
            while (packet := reader.poll()) is not None:
                if packet.track == 0:
                    decoded += len(decoder.decode(cuframes.pyav.packet(packet)))
                file.mux(cuframes.pyav.packet(packet, streams[packet.track]))
            decoded += len(decoder.decode(None))
        copied.seek(0)
        pictures = []
        for source in (FILM, copied):
            with av.open(source) as film:
                pictures.append([(bytes(frame.planes[0]), round(frame.time * 1000)) for frame in film.decode(video=0)])
        self.assertEqual(len(pictures[0]), decoded)
        self.assertEqual([one for one, _ in pictures[0]], [one for one, _ in pictures[1]])
        self.assertTrue(all(abs(one[1] - other[1]) <= 1 for one, other in zip(*pictures)))
        with self.assertRaisesRegex(ValueError, "theora"):
            cuframes.pyav.template(cuframes.Track.of(0, dict(subscriber.tracks[0].parameters, codec="theora")))


class Detections(Streams):
    def test_what_was_found_in_exactly_this_frame(self):
        module("numpy")
        _, subscriber, frame = self.pair()
        detector = self.publish(0, 0, None, "found", packets=64)
        join = cuframes.join("found")
        self.addCleanup(join.close)
        found = [cuframes.Detection(0.25, 0.5, 0.125, 0.25, 0.75, "person", 1, 7), cuframes.Detection(0, 0, 1, 1, 1)]
        self.assertIsNone(join.find(frame))
        detector.annotate(frame, found)
        self.assertEqual(join.find(frame, LIMIT), found)
        self.assertEqual(join.latest(frame), found)
        detector.annotate((frame.id[0], frame.id[1], 2, None), [])
        later = type("Frame", (), {"id": (frame.id[0], frame.id[1], 2, None)})()
        self.assertEqual(join.find(later, LIMIT), [])
        with self.assertRaises(ValueError):
            detector.annotate(frame, [cuframes.Detection(0, 0, 1, 1, 1, "x" * 32)])
        with self.assertRaises(cuframes.InvalidError):
            detector.annotate(frame, [cuframes.Detection(0, 0, 1, 1, 2)])
        with self.assertRaises(TypeError):
            detector.annotate((1, 2), [])
        del subscriber


class OpenCV(Streams):
    def test_one_line_changes(self):
        module("numpy")
        capture = cuframes.opencv.VideoCapture("s")
        self.assertFalse(capture.isOpened())
        self.assertEqual(capture.read(), (False, None))
        publisher = self.publish(color=(1, 2, 1, 1))
        self.assertTrue(capture.open("s"))
        self.assertTrue(capture.isOpened())
        words = cuframes.opencv
        self.assertEqual((capture.get(words.CAP_PROP_FRAME_WIDTH), capture.get(words.CAP_PROP_FRAME_HEIGHT)), (64, 32))
        self.send(publisher, pts=40_000_000)
        ok, picture = capture.read()
        self.assertTrue(ok)
        self.assertEqual((picture.shape, picture.flags.writeable), ((32, 64, 3), True))
        self.assertEqual((capture.get(words.CAP_PROP_POS_MSEC), capture.get(words.CAP_PROP_POS_FRAMES)), (40, 1))
        reader = self.subscribe()
        self.send(publisher)
        frame = reader.next(LIMIT)
        numpy.testing.assert_array_equal(capture.read()[1], frame.to_bgr())
        self.assertTrue(capture.set(words.CAP_PROP_CONVERT_RGB, 0))
        self.assertFalse(capture.set(words.CAP_PROP_FPS, 5))
        self.send(publisher, nv12(9))
        into = numpy.zeros((32, 64), "u1")
        self.assertIs(capture.read(into)[1], into)
        numpy.testing.assert_array_equal(into, nv12(9)[:32])
        self.assertTrue(capture.set(words.CAP_PROP_READ_TIMEOUT_MSEC, 10))
        self.assertEqual(capture.read(), (False, None))
        publisher.close()
        self.assertEqual(capture.read(), (False, None))
        self.assertFalse(capture.isOpened())
        cv2 = None
        try:
            import cv2
        except ImportError:
            pass
        for name in vars(words):
            if name.startswith("CAP_PROP_") and cv2:
                self.assertEqual(getattr(words, name), getattr(cv2, name))


if __name__ == "__main__":
    main()
