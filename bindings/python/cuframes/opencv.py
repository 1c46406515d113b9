"""A VideoCapture for programs that are written for OpenCV's: one line changes.

    capture = cuframes.opencv.VideoCapture("door")   # was: cv2.VideoCapture("rtsp://...")
    while True:
        ok, picture = capture.read()
"""
from __future__ import annotations

from typing import Any

from ._errors import Error, Interrupted, PublisherGone, Timeout
from ._frame import Frame
from ._info import info
from ._subscriber import Subscriber, subscribe

# The numbers of OpenCV.
CAP_PROP_POS_MSEC = 0
CAP_PROP_POS_FRAMES = 1
CAP_PROP_FRAME_WIDTH = 3
CAP_PROP_FRAME_HEIGHT = 4
CAP_PROP_FPS = 5
CAP_PROP_FOURCC = 6
CAP_PROP_FRAME_COUNT = 7
CAP_PROP_CONVERT_RGB = 16
CAP_PROP_BUFFERSIZE = 38
CAP_PROP_READ_TIMEOUT_MSEC = 54


class VideoCapture:
    """Has the methods of cv2.VideoCapture. read() gives the newest picture as rows x columns x 3 bytes, B first, in an
    array of its own (of NumPy, also for a stream on a GPU), waiting `timeout` seconds at most; (False, None) when there
    was none, or the stream has ended. apiPreference and params are OpenCV's, and ignored; other options are
    subscribe()'s. What is wrong in them raises; a name that nobody publishes does not, as in OpenCV."""

    def __init__(self, name: str | None = None, apiPreference: int = 0, params: Any = None, *,  # noqa: N803
                 timeout: float = 30.0, **options: Any) -> None:
        del apiPreference, params
        self._subscriber: Subscriber | None = None
        self._frame: Frame | None = None
        self._shape = (0, 0)
        self._position = 0
        self._pts: int | None = None
        self._convert = True
        self._timeout = timeout
        self._options = options
        if name is not None:
            self.open(name)

    def open(self, name: str, apiPreference: int = 0, params: Any = None) -> bool:  # noqa: N803
        """Joins the stream of that name; False if it cannot."""
        del apiPreference, params
        self.release()
        try:
            self._subscriber = subscribe(name, **self._options)
        except (Error, TypeError) as error:
            if isinstance(error, (TypeError, ValueError)):
                raise
            return False
        return True

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Whether there is a stream to read from."""
        return self._subscriber is not None

    def grab(self) -> bool:
        """Takes the next frame, for retrieve()."""
        self._frame = None
        if self._subscriber is None:
            return False
        try:
            self._frame = self._subscriber.next(self._timeout)
        except (Timeout, Interrupted):
            return False
        except PublisherGone:
            self.release()
            return False
        self._shape = (self._frame.width, self._frame.height)
        self._position, self._pts = self._frame.seq, self._frame.pts
        return True

    def retrieve(self, image: Any = None, flag: int = 0) -> tuple[bool, Any]:
        """The picture that grab() took; into `image` if that is given and has its shape and type."""
        del flag
        if self._frame is None:
            return False, None
        frame, self._frame = self._frame, None
        if not self._convert:
            planes = frame.numpy(copy=True)
            picture = planes[0] if isinstance(planes, tuple) else planes
        elif frame.gpu is None:
            picture = frame.to_bgr()
        else:
            picture = frame._copied(frame.numpy(copy=True)).to_bgr()
        if image is None or image.shape != picture.shape or image.dtype != picture.dtype:
            return True, picture  # as OpenCV, which makes another array then
        image[...] = picture
        return True, image

    def read(self, image: Any = None) -> tuple[bool, Any]:
        """grab() and retrieve()."""
        return self.retrieve(image) if self.grab() else (False, None)

    def get(self, prop: int) -> float:
        """A property by its number in OpenCV; 0 for those that a stream does not have."""
        if prop == CAP_PROP_POS_MSEC:
            return 0.0 if self._pts is None else self._pts / 1e6
        if prop == CAP_PROP_POS_FRAMES:
            return float(self._position)
        if prop in (CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT, CAP_PROP_FPS):
            return self._ask(prop)
        if prop == CAP_PROP_CONVERT_RGB:
            return float(self._convert)
        if prop == CAP_PROP_BUFFERSIZE:
            return 1.0
        return self._timeout * 1e3 if prop == CAP_PROP_READ_TIMEOUT_MSEC else 0.0

    def _ask(self, prop: int) -> float:
        if prop != CAP_PROP_FPS and self._shape[0]:
            return float(self._shape[prop - CAP_PROP_FRAME_WIDTH])
        if self._subscriber is None:
            return 0.0
        try:
            told = info(self._subscriber.name, directory=self._subscriber._directory)
        except Error:
            return 0.0
        return {CAP_PROP_FRAME_WIDTH: float(told.width), CAP_PROP_FRAME_HEIGHT: float(told.height)}.get(prop, told.fps)

    def set(self, prop: int, value: float) -> bool:
        """Only CAP_PROP_CONVERT_RGB and CAP_PROP_READ_TIMEOUT_MSEC can be set: the picture is its publisher's."""
        if prop == CAP_PROP_CONVERT_RGB:
            self._convert = bool(value)
        elif prop == CAP_PROP_READ_TIMEOUT_MSEC:
            self._timeout = value / 1e3
        else:
            return prop == CAP_PROP_BUFFERSIZE and value == 1
        return True

    def getBackendName(self) -> str:  # noqa: N802
        """What reads."""
        return "CUFRAMES"

    def release(self) -> None:
        """Leaves the stream."""
        self._frame = None
        if self._subscriber is not None:
            self._subscriber.close()
            self._subscriber = None
