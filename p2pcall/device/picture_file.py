"""Pictures into a file, whatever its form: one size, the call's time, and what there is is kept.

Rules: nothing is made before the first picture; it gives the size, later ones are fitted into it, with their shape kept
and black beside. Time begins with the call, so that the file plays as it was seen, beside the sound that was recorded
with it. A failure is told once, and ends it. Leaves out the forms (`video_files`, `y4m`).
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import av

from p2pcall.device.base import OnError
from p2pcall.device.container import system_error
from p2pcall.device.letterbox import VIEW, Letterbox
from p2pcall.device.outfile import OutFile
from p2pcall.device.pipes import write_error
from p2pcall.errors import P2PCallError


class PictureWriter(Protocol):
    """One form of file, open. OSError or FFmpegError of `write` and `close` is a failure to write."""

    @property
    def behind(self) -> bool:
        """Whether there is no room for a picture now."""

    def write(self, picture: av.VideoFrame, at: float) -> None:
        """Takes a picture of the canvas' size, seen from `at` on, seconds of the call."""

    def close(self, at: float) -> None:
        """The last picture was seen until then; completes the file."""

    def abandon(self) -> None:
        """After a failure: lets go of the file. Raises nothing."""


class PictureFile:
    """A `PictureOut` into a file; complete after `close`."""

    def __init__(
        self,
        file: OutFile,
        make: Callable[[OutFile, Letterbox], PictureWriter],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes nothing yet: `make` is called with the first picture. The file's time begins with `start`."""
        self.on_error: OnError | None = None
        self._file, self._make, self._clock = file, make, clock
        self._lock = threading.Lock()
        self._closed = False
        self._canvas: Letterbox | None = None
        self._writer: PictureWriter | None = None
        self._began = clock()

    def start(self) -> None:
        self._began = self._clock()

    def show(self, frame: av.VideoFrame) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                if self._canvas is None or self._writer is None:
                    self._canvas = Letterbox.like(frame)
                    self._writer = self._make(self._file, self._canvas)
                if not self._writer.behind:  # else a slow reader: the next picture may find room
                    at = self._clock() - self._began
                    self._writer.write(self._canvas.fit(frame), at)
            except (OSError, av.FFmpegError, P2PCallError) as error:
                self._fail(error)

    def view_size(self) -> tuple[int, int]:
        return (0, 0) if self._closed else VIEW

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._writer is None:
                return
            try:
                self._writer.close(self._clock() - self._began)
                self._file.finish()
            except (OSError, av.FFmpegError) as error:
                self._fail(error)

    def _fail(self, error: OSError | av.FFmpegError | P2PCallError) -> None:
        self._closed = True
        if self._writer is not None:
            self._writer.abandon()
        with suppress(OSError):
            self._file.finish()  # what there is, is kept
        told = error
        if not isinstance(told, P2PCallError):
            told = write_error(system_error(told), self._file.name)
        if self.on_error is not None:
            self.on_error(told)
