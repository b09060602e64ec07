"""Picture of one call: camera to fragments, fragments to the screen.

Two threads of this room's own: `CaptureThread` owns the camera and the encoder, `PlayoutThread` the decoder and
the view. Both talk with the loop by `call_soon_threadsafe` and one bounded slot or queue each. A frame that finds
the way out still taken is not encoded at all, so that the chain of references never breaks on purpose. An error that is
no device's ends its thread, and with it the call (`station.Interrupts`).
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import av

from p2pcall.codec.video import VideoDecoder, VideoEncoder
from p2pcall.device.base import VideoSink, VideoSource
from p2pcall.errors import P2PCallError
from p2pcall.media.ladder import encode_size, video_bitrate

FPS = 15
"""Frames a second: half of what cameras give; enough for faces, and the encoder's cost halves."""
MAX_QUEUED_FRAMES = 60
"""Encoded frames waiting for the decoder (4 s at 15/s): more means the view hangs, and a key frame starts afresh."""

STOP_WAIT_S = 2.0
"""How long the end of a call waits for a thread that sits in a driver or a slow terminal."""

Post = Callable[..., object]
"""`loop.call_soon_threadsafe`, or a stand-in."""


@dataclass(slots=True)
class _Run:
    """One time that the camera is on."""

    stopping: bool = False
    source: VideoSource | None = None
    thread: threading.Thread | None = None


class CaptureThread:
    """Reads the source, shows one's own picture, encodes what the other side can show, posts it to the loop."""

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
        self._lock = threading.Lock()
        self._view = (0, 0)
        self._key_wanted = True
        self._slot_free = True
        self._run: _Run | None = None
        self.on_encoded: Callable[[bytes, bool, float], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.on_error: Callable[[P2PCallError], None] | None = None

    @property
    def running(self) -> bool:
        """The camera is on."""
        return self._run is not None

    def start(self) -> None:
        """Open the source and go; capture begins here and nowhere else."""
        run = _Run()
        run.thread = threading.Thread(target=self._film, args=(run,), name="capture", daemon=True)
        with self._lock:
            self._run, self._slot_free, self._key_wanted = run, True, True
        run.thread.start()

    def stop(self, *, wait: bool = False) -> None:
        """Close the source: the camera's light goes out, nothing more is posted. `wait` for the thread's end."""
        with self._lock:
            run, self._run = self._run, None
            if run is None:
                return
            run.stopping = True
        if run.source is not None:
            run.source.close()
        if wait and run.thread is not None:
            run.thread.join(timeout=STOP_WAIT_S)

    def set_view(self, width: int, height: int) -> None:
        """Pixels the other side can show; 0×0 stops the encoder, not the camera."""
        with self._lock:
            self._view = (width, height)

    def want_key(self) -> None:
        """The next frame will be a key frame."""
        with self._lock:
            self._key_wanted = True

    def sent(self) -> None:
        """The loop has taken the last frame off the slot."""
        with self._lock:
            self._slot_free = True

    def _film(self, run: _Run) -> None:
        try:
            source = self._open_source()
            with self._lock:
                run.source = source
                stopping = run.stopping
            try:
                if not stopping:
                    self._pump(run, source)
            finally:
                source.close()
        except P2PCallError as error:
            if self.on_error is not None and not run.stopping:
                self._post(self.on_error, error)

    def _pump(self, run: _Run, source: VideoSource) -> None:
        encoder: VideoEncoder | None = None
        size = (0, 0)
        while True:
            frame = source.read()
            with self._lock:
                if run.stopping:
                    return
                view, key, free = self._view, self._key_wanted, self._slot_free
            if frame is None:
                if self.on_end is not None:
                    self._post(self.on_end)
                return
            captured_at = self._clock()
            if self._show_local is not None:
                self._show_local(frame)
            if not free or 0 in view:
                continue
            wanted = encode_size(frame.width, frame.height, *view)
            if encoder is None or wanted != size:
                size = wanted
                encoder = VideoEncoder(*size, FPS, video_bitrate(*size, FPS))
                key = True
            encoded = encoder.encode(frame, key)
            if encoded is None:
                continue
            with self._lock:
                if run.stopping:
                    return
                self._slot_free = False
                if encoded.key:
                    self._key_wanted = False
            self._post(self.on_encoded, encoded.data, encoded.key, captured_at)


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
        """One encoded frame, in decode order. Overflow: everything waiting is dropped, a key frame is asked for."""
        with self._wake:
            if len(self._queue) >= MAX_QUEUED_FRAMES:
                self._queue.clear()
                self._broken()
                if not key:
                    return
            self._queue.append(data)
            self._wake.notify()

    def stop(self) -> None:
        """Show what is queued no more, end the thread; the sink stays the caller's to close."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_WAIT_S)

    def _broken(self) -> None:
        if self.on_broken is not None:
            self._post(self.on_broken)

    def _run(self) -> None:
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
