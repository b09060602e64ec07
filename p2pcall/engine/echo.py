"""The echo service of `listen --echo`: what comes goes back, sound and picture, one frame later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from p2pcall.device.base import Pull
from p2pcall.device.factory import open_audio_sink
from p2pcall.errors import P2PCallError

if TYPE_CHECKING:
    import av

VIEW_SIZE: Final = (320, 240)
"""What an echo asks to be sent: enough to see oneself."""


class EchoAudio:
    """A sound source that gives what its sink played last; the sink's clock is the clock of both."""

    endless = True
    held = False
    piece_ticks = 2
    prompt = False

    def __init__(self) -> None:
        self.on_end: Callable[[], None] | None = None
        self.on_error: Callable[[P2PCallError], None] | None = None
        self.sink = _EchoSink(self._heard)
        self._on_frame: Callable[[bytes, float], None] | None = None

    def start(self, on_frame: Callable[[bytes, float], None]) -> None:
        """Give frames from now on."""
        self._on_frame = on_frame

    def stop(self) -> None:
        """Give no more."""
        self._on_frame = None

    def _heard(self, pcm: bytes) -> None:
        if self._on_frame is not None:
            self._on_frame(pcm, asyncio.get_running_loop().time())


class _EchoSink:
    """A speaker that nobody hears: its clock is that of `none`, what it plays goes to `heard`."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._clock = open_audio_sink("none", asyncio.get_running_loop())
        self.latency_s = 0.0
        self.on_error: Callable[[P2PCallError], None] | None = None

    def start(self, pull: Pull) -> None:
        def tick(samples: int) -> bytes:
            pcm = pull(samples)
            self._heard(pcm)
            return pcm

        self._clock.start(tick)

    def stop(self) -> None:
        self._clock.stop()

    def complete(self) -> None:
        """Nothing is written."""


class EchoVideo:
    """A picture sink and source in one: `read` waits for what `show` was given, newest only."""

    size = VIEW_SIZE
    endless = True

    def __init__(self) -> None:
        self.on_error: Callable[[P2PCallError], None] | None = None
        self._changed = threading.Condition()
        self._frame: av.VideoFrame | None = None
        self._closed = False

    def reopened(self) -> EchoVideo:
        """The source, after it may have been closed."""
        with self._changed:
            self._closed = False
        return self

    def start(self) -> None:
        """Nothing is timed here."""

    def show(self, frame: av.VideoFrame) -> None:
        """Keep the newest picture for `read`."""
        with self._changed:
            self._frame = frame
            self._changed.notify()

    def view_size(self) -> tuple[int, int]:
        """What to send here."""
        return VIEW_SIZE

    def read(self) -> av.VideoFrame | None:
        """The next picture; None once closed."""
        with self._changed:
            while self._frame is None and not self._closed:
                self._changed.wait()
            frame, self._frame = self._frame, None
            return None if self._closed else frame

    def close(self) -> None:
        """Wake whoever reads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
