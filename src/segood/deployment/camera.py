"""A camera, or a stream over the network: always the newest frame.

In: `camera:0`, or an address that OpenCV opens. Out: frames with the time at which they came. A thread
empties the driver's queue, so that a slow network sees the road as it is now and not as it was some frames
ago; what is passed over is counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from segood.deployment.sources import Frame, import_opencv
from segood.errors import DataError


class Camera:
    """The newest frames of a camera, without end.

    Args:
        address: `camera:0` (the number is OpenCV's), or an address with `://`.
        clock: tells the time of the frames.
        silence: seconds without a frame after which one with a problem is yielded, again and again.
        patience: seconds without a frame after which the stream ends with an error. Until then a lost
            connection is opened again.

    Raises:
        DataError: the camera cannot be opened; later, while frames are read: it delivers no more.
        UsageError: OpenCV is not installed.
    """

    live = True
    length: int | None = None

    def __init__(
        self,
        address: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        silence: float = 1.0,
        patience: float = 10.0,
    ) -> None:
        self.address, self._clock = address, clock
        self._silence, self._patience = silence, patience
        self._cv2 = import_opencv("a camera")
        self._capture = self._open()
        if not self._capture.isOpened():
            raise DataError(f"{address} cannot be opened; is it connected, and free?")
        self._news = threading.Condition()
        self._newest: tuple[float, np.ndarray] | None = None
        self._passed = 0
        self._closed = False

    def name_of(self, index: int) -> str:
        """Return the address and the number."""
        return f"{self.address}#{index}"

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the newest frame whenever asked, waiting for it where there is none yet."""
        del start  # what was before is gone
        if self._closed:  # a second pass
            self._capture, self._closed = self._open(), False
        reader = threading.Thread(target=self._read, name=f"reads {self.address}", daemon=True)
        reader.start()
        index, quiet_since = 0, self._clock()
        try:
            while True:
                with self._news:
                    self._news.wait_for(lambda: self._newest is not None, timeout=self._silence)
                    newest, passed = self._newest, self._passed
                    self._newest, self._passed = None, 0
                name, now = self.name_of(index), self._clock()
                if newest is not None:
                    quiet_since = now
                    yield Frame(index, name, newest[1], newest[0], skipped=passed)
                elif now - quiet_since > self._patience:
                    raise DataError(f"{self.address} delivered no frame for {now - quiet_since:.0f} s")
                else:
                    quiet = f"{self.address}: no frame for {now - quiet_since:.1f} s"
                    yield Frame(index, name, None, now, problem=quiet, reason="stale")
                index += 1
        finally:
            self._closed = True
            reader.join(timeout=5.0)
            if not reader.is_alive():  # else it hangs in the driver, which must not lose its capture then
                self._capture.release()

    def _read(self) -> None:
        while not self._closed:
            ok, bgr = self._capture.read()
            if not ok:
                self._capture.release()
                time.sleep(min(1.0, self._silence / 2))
                if not self._closed:
                    self._capture = self._open()
                continue
            came = self._clock()
            image = self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB)
            with self._news:
                self._passed += self._newest is not None
                self._newest = (came, image)
                self._news.notify()

    def _open(self) -> Any:
        number = self.address.removeprefix("camera:")
        return self._cv2.VideoCapture(int(number) if number.isdigit() else self.address)
