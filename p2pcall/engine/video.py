"""Picture of one call: camera to encoded frames, encoded frames to the screen.

There are three threads: `CaptureThread` has one for the camera and one for the encoder, `PlayoutThread` one for the
decoder and the view. They communicate with the loop through `call_soon_threadsafe` and one bounded slot or queue each.
While the slot is taken, no frame is encoded, so we never drop an encoded frame that later ones refer to. The newest
picture is kept. It is encoded again if the other side joins late, asks for a key frame, or may have lost it. An error
that is not a device's ends its thread, and with it the call (`Interrupts`). The threads import the codec, because a
call without a picture does not need it; if there may be a picture, `preparing` has loaded it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from p2pcall.device.base import VideoSink, VideoSource
from p2pcall.errors import P2PCallError
from p2pcall.media.constants import VIDEO_FPS
from p2pcall.media.ladder import encode_size, video_bitrate

if TYPE_CHECKING:
    import av

    from p2pcall.codec.video import VideoEncoder

MAX_QUEUED_FRAMES: Final = 60
"""Encoded frames waiting for the decoder (4 s at 15/s): more means a hanging view, and a key frame is requested."""

LEAST_AGAIN_S: Final = 0.2
"""Shortest time between two encodings of one picture, so that repeated requests for sizes or key frames cost little."""
AGAIN_S: Final = 1.0
"""A picture that does not change is sent again after this time: losses are repaired, and it becomes sharper."""

STOP_WAIT_S: Final = 2.0
"""How long the end of a call waits for a thread that is blocked in a driver or a slow terminal."""

Post = Callable[..., object]
"""`loop.call_soon_threadsafe`, or a stand-in."""


class _Run(Struct):
    """One period with the camera on."""

    stopping: bool = False
    source: VideoSource | None = None
    reader: threading.Thread | None = None
    coder: threading.Thread | None = None
    newest: tuple[av.VideoFrame, float] | None = None
    """The newest picture and when it was captured; it is kept for repeated encoding until there is a newer one."""
    fresh: bool = False
    """Whether `newest` has not been encoded yet."""
    failed: bool = False
    """Whether the source is broken: then its last picture is not sent any more."""
    again_at: float = 0.0
    """When an old picture may be encoded again."""


class CaptureThread:
    """Reads the source, shows one's own picture, encodes it in the size for the other side, posts it to the loop."""

    def __init__(
        self,
        open_source: Callable[[], VideoSource],
        post: Post,
        clock: Callable[[], float],
        show_local: Callable[[av.VideoFrame], None] | None,
    ) -> None:
        self._open_source = open_source
        self._post = post
        self._clock = clock
        self._show_local = show_local
        self._changed = threading.Condition()
        self._view = (0, 0)
        self._key_wanted = True
        self._slot_free = True
        self._slot_awaited = False
        """A picture waits for the slot: not the rule, and then nobody is woken when it is free."""
        self._run: _Run | None = None
        self.on_encoded: Callable[[bytes, bool, float], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.on_error: Callable[[P2PCallError], None] | None = None

    @property
    def running(self) -> bool:
        """Whether the camera is on."""
        return self._run is not None

    def start(self) -> None:
        """Open the source and start; this is the only place where capture begins."""
        run = _Run()
        run.reader = threading.Thread(target=self._film, args=(run,), name="capture", daemon=True)
        run.coder = threading.Thread(target=self._code, args=(run,), name="video-coder", daemon=True)
        with self._changed:
            self._run, self._slot_free, self._key_wanted = run, True, True
        run.reader.start()
        run.coder.start()

    def stop(self, *, wait: bool = False) -> None:
        """Close the source: the camera's light goes out, nothing more is posted. `wait` for the threads' end."""
        with self._changed:
            run, self._run = self._run, None
            if run is None:
                return
            run.stopping = True
            self._changed.notify_all()
        if run.source is not None:
            run.source.close()
        for thread in (run.reader, run.coder):
            if wait and thread is not None:
                thread.join(timeout=STOP_WAIT_S)

    def set_view(self, width: int, height: int) -> None:
        """Pixels the other side can show; 0×0 stops the encoder, not the camera."""
        with self._changed:
            if self._view != (width, height):
                self._view = (width, height)
                self._changed.notify_all()

    def want_key(self) -> None:
        """Make the next frame a key frame; if no new picture comes soon, the last one is encoded again."""
        with self._changed:
            self._key_wanted = True
            self._changed.notify_all()

    def sent(self) -> None:
        """The loop has taken the last frame out of the slot."""
        with self._changed:
            self._slot_free = True
            if self._slot_awaited:
                self._changed.notify_all()

    def _film(self, run: _Run) -> None:
        """The thread of the source; it never waits for the encoder."""
        try:
            source = self._open_source()
            with self._changed:
                run.source = source
                stopping = run.stopping
            try:
                if not stopping:
                    self._read(run, source)
            finally:
                source.close()
        except P2PCallError as error:
            with self._changed:
                run.failed = True
                self._changed.notify_all()
            if self.on_error is not None and not run.stopping:
                self._post(self.on_error, error)

    def _read(self, run: _Run, source: VideoSource) -> None:
        while (frame := source.read()) is not None:
            with self._changed:
                if run.stopping:
                    return
                run.newest, run.fresh = (frame, self._clock()), True
                self._changed.notify_all()
            if self._show_local is not None:
                self._show_local(frame)
        if self.on_end is not None and not run.stopping:
            self._post(self.on_end)

    def _code(self, run: _Run) -> None:
        """The thread of the encoder: each new picture, or the last one again (new size, key frame, pause)."""
        from p2pcall.codec.video import VideoEncoder

        encoder: VideoEncoder | None = None
        while (due := self._due(run, encoder)) is not None:
            (frame, captured_at), size, key = due
            if encoder is None or (encoder.width, encoder.height) != size:
                encoder, key = VideoEncoder(*size, VIDEO_FPS, video_bitrate(*size, VIDEO_FPS)), True
            encoded = encoder.encode(frame, key)
            if encoded is None:  # to keep the rate
                with self._changed:
                    self._changed.wait_for(lambda: run.fresh or run.stopping, 1 / VIDEO_FPS)
                continue
            with self._changed:
                if run.stopping:
                    return
                self._slot_free = False
                if encoded.key:
                    self._key_wanted = False
            self._post(self.on_encoded, encoded.data, encoded.key, captured_at)

    def _due(
        self, run: _Run, encoder: VideoEncoder | None
    ) -> tuple[tuple[av.VideoFrame, float], tuple[int, int], bool] | None:
        """Waits for the next picture to encode: the picture, its size, whether as a key frame. None at the end."""
        with self._changed:
            while not run.stopping and not run.failed:
                now, wait = time.monotonic(), None
                self._slot_awaited = False
                if run.newest is not None and 0 not in self._view:
                    frame, captured_at = run.newest
                    size = encode_size(frame.width, frame.height, *self._view)
                    again = encoder is None or size != (encoder.width, encoder.height) or self._key_wanted
                    wait = 0.0 if run.fresh else run.again_at + (0.0 if again else AGAIN_S) - now
                    if wait <= 0 and self._slot_free:
                        run.again_at = now + LEAST_AGAIN_S
                        captured_at = captured_at if run.fresh else self._clock()
                        run.fresh = False
                        return (frame, captured_at), size, self._key_wanted
                    self._slot_awaited = wait <= 0
                self._changed.wait(None if self._slot_awaited else wait)
            return None


class PlayoutThread:
    """Decodes every frame in order and shows only the newest."""

    def __init__(self, sink: VideoSink, post: Post) -> None:
        self._sink = sink
        self._post = post
        self._queue: deque[bytes] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="playout", daemon=True)
        self.shown = 0
        self.decoded = 0
        self.size: tuple[int, int] | None = None
        self.on_broken: Callable[[], None] | None = None
        """Called in the loop: nothing can be decoded until a key frame comes."""
        self.on_first_show: Callable[[], None] | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, data: bytes, key: bool) -> None:
        """Add one encoded frame, in decode order. On overflow, drops all waiting frames and requests a key frame."""
        with self._wake:
            if len(self._queue) >= MAX_QUEUED_FRAMES:
                self._queue.clear()
                self._broken()
                if not key:
                    return
            self._queue.append(data)
            self._wake.notify()

    def stop(self) -> None:
        """Drop queued frames and end the thread; the caller closes the sink."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_WAIT_S)

    def _broken(self) -> None:
        if self.on_broken is not None:
            self._post(self.on_broken)

    def _run(self) -> None:
        from p2pcall.codec.video import VideoDecoder

        decoder = VideoDecoder()
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                batch = list(self._queue)
                self._queue.clear()
            newest = None
            for data in batch:
                frame = decoder.decode(data)
                if frame is None:
                    self._broken()
                else:
                    newest = frame
                    self.decoded += 1
            if newest is None:
                continue
            self.size = (newest.width, newest.height)
            self._sink.show(newest)
            self.shown += 1
            if self.shown == 1 and self.on_first_show is not None:
                self._post(self.on_first_show)
