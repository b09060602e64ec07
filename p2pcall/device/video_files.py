"""Pictures into files and streams.

Rules: a sink has one size from its first picture on, later ones are fitted into it, with their shape kept and black
beside; time stamps are those of a clock that begins with the call, so that the file plays as it was seen, beside the
sound that was recorded with it. Leaves out sound, y4m (`y4m`), where pictures come from (`video_in`).
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import cast

import av
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from p2pcall.device.base import OnError
from p2pcall.device.canvas import VIEW, Canvas
from p2pcall.device.container import file_url
from p2pcall.device.files import StreamFile, write_failure
from p2pcall.device.outfile import OutFile
from p2pcall.errors import P2PCallError

FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".webm": "webm", ".mov": "mov", ".avi": "avi"}
"""FFmpeg's name of the format that a file's name asks for."""
VIDEO_SUFFIXES = tuple(FORMATS)
_CLUSTERS = {"cluster_time_limit": "500"}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
CRASH_OPTIONS = {".mkv": _CLUSTERS, ".webm": _CLUSTERS, ".mp4": _FRAGMENTS, ".mov": _FRAGMENTS}
"""So that no more than half a second (ms; µs) is held back from the file: a crash costs no more."""


class FileVideo:
    """A VideoSink into a file: H.264 where FFmpeg has it, VP8 for .webm; complete after `close`."""

    def __init__(self, file: OutFile, clock: Callable[[], float] = time.monotonic) -> None:
        """Makes nothing yet: that begins with the first picture. The file's time begins with `start`."""
        self.on_error: OnError | None = None
        self._file = file
        self._path = str(file.path)
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._canvas: Canvas | None = None
        self._to: StreamFile | None = None
        self._began = self._clock()
        self._last_ms = -1

    def start(self) -> None:
        self._began = self._clock()

    def show(self, frame: av.VideoFrame) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                if self._container is None or self._canvas is None:
                    self._canvas = Canvas.like(frame)
                    self._container, self._stream = self._open(self._canvas)
                if self._to is not None and self._to.behind:
                    return  # a slow reader: the next picture may find room
                picture = self._canvas.fit(frame)
                # Two pictures within a millisecond: the second one is moved, time stamps must grow.
                self._last_ms = max(self._last_ms + 1, round((self._clock() - self._began) * 1000))
                picture.pts, picture.time_base = self._last_ms, Fraction(1, 1000)
                picture.pict_type = PictureType.NONE
                if self._stream is not None:
                    self._container.mux(self._stream.encode(picture))
            except (OSError, av.FFmpegError, P2PCallError) as error:
                self._fail(error)

    def view_size(self) -> tuple[int, int]:
        return (0, 0) if self._closed else VIEW

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._container is None or self._stream is None:
                return
            try:
                self._container.mux(self._stream.encode(None))
                self._container.close()
                if self._to is not None:
                    self._to.close()
                self._file.finish()
            except (OSError, av.FFmpegError) as error:
                self._fail(error)

    def _open(self, canvas: Canvas) -> tuple[OutputContainer, VideoStream]:
        suffix = self._file.path.suffix.lower()
        options = {"flush_packets": "1", **CRASH_OPTIONS.get(suffix, {})}
        self._to = None if self._file.is_plain else StreamFile(self._path)
        where = self._to or file_url(self._file.begin(), "wb")
        container = av.open(where, "w", format=FORMATS[suffix], container_options=options)
        h264 = suffix != ".webm" and "libx264" in av.codecs_available
        codec = "libx264" if h264 else "libvpx" if suffix in (".webm", ".mkv") else "mpeg4"
        stream = cast(VideoStream, container.add_stream(codec, rate=15))
        stream.width, stream.height, stream.pix_fmt = canvas.width, canvas.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = 30
        stream.codec_context.thread_count = 1
        if h264:
            stream.options = {"preset": "veryfast", "crf": "21", "tune": "zerolatency"}
        else:
            stream.bit_rate = 1_500_000
            if codec == "libvpx":
                stream.options = {"deadline": "realtime", "cpu-used": "-6"}
        return container, stream

    def _fail(self, error: OSError | av.FFmpegError | P2PCallError) -> None:
        self._closed = True
        with suppress(OSError, av.FFmpegError):
            if self._container is not None:
                self._container.close()
        with suppress(OSError):
            if self._to is not None:
                self._to.close()
        with suppress(OSError):
            self._file.finish()  # what there is, is kept
        told = error if isinstance(error, P2PCallError) else write_failure(error, self._file.name)
        if self.on_error is not None:
            self.on_error(told)


class NullVideo:
    """`--video-out none`."""

    on_error: OnError | None = None

    def start(self) -> None:
        pass

    def show(self, frame: av.VideoFrame) -> None:
        pass

    def view_size(self) -> tuple[int, int]:
        return (0, 0)

    def close(self) -> None:
        pass
