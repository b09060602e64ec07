"""Pictures from files and generators, and into files.

Rules: a source gives a picture when it is due on its own time line, at most `fps` a second; what is overdue
is left out. A sink has one size from its first picture on, later ones are fitted into it, with their shape
kept and black beside; time stamps are those of a clock, so that the file plays as it was seen. Leaves out
sound, pipes (`y4m`), cameras (`camera`).
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from p2pcall.device.base import OnError, media_file_error
from p2pcall.device.canvas import VIEW, Canvas
from p2pcall.device.files import MAX_BAD_PACKETS, open_media, write_failure
from p2pcall.device.outfile import OutFile
from p2pcall.device.pace import Pacer
from p2pcall.errors import P2PCallError

FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".webm": "webm", ".mov": "mov", ".avi": "avi"}
"""FFmpeg's name of the format that a file's name asks for."""
VIDEO_SUFFIXES = tuple(FORMATS)
_CLUSTERS = {"cluster_time_limit": "500"}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
CRASH_OPTIONS = {".mkv": _CLUSTERS, ".webm": _CLUSTERS, ".mp4": _FRAGMENTS, ".mov": _FRAGMENTS}
"""So that no more than half a second (ms; µs) is held back from the file: a crash costs no more."""
STILL_FPS = 5
"""A still picture is repeated so often: enough for the other side to see it soon after a loss."""
LATE_S = 0.05
"""A picture of a file that is later than this is left out."""

Timed = tuple[float, av.VideoFrame]


class PacedVideo:
    """A VideoSource of pictures with times (seconds): a file, a test card, a drawn person."""

    def __init__(self, pictures: Callable[[], Iterator[Timed]], size: tuple[int, int], fps: int) -> None:
        """`pictures` is called by the first `read`; what it gives is taken when due. It may raise
        P2PCallError.
        """
        self.size = size
        self._make = pictures
        self._pictures: Iterator[Timed] | None = None
        self._pacer = Pacer()
        self._step = 1 / fps
        self._next_at: float | None = None

    def read(self) -> av.VideoFrame | None:
        if self._pictures is None:
            self._pictures = self._make()
        for at, frame in self._pictures:
            if self._pacer.closed:
                break
            # A tenth of a step of tolerance: time stamps of a file of the same rate are rounded.
            if self._next_at is not None and at < self._next_at - self._step / 10:
                continue
            late = self._pacer.wait_for(at)
            if late is None:
                break
            if self._next_at is None or at - self._next_at > self._step:
                self._next_at = at
            self._next_at += self._step
            if late > LATE_S:
                continue
            return frame
        return None

    def close(self) -> None:
        self._pacer.close()


def generated(draw: Callable[[int], np.ndarray], fps: int) -> Iterator[Timed]:
    """Pictures without end from a function that draws number `n` as an RGB array (height, width, 3)."""
    for n in itertools.count():
        yield n / fps, av.VideoFrame.from_ndarray(draw(n), format="rgb24")


def check_picture_file(path: str) -> tuple[int, int]:
    """Width and height of a media or picture file. Raises P2PCallError unless a picture can be decoded."""
    for _, frame in file_pictures(path):
        return frame.width, frame.height
    raise media_file_error(path, "there is no picture in it that can be decoded")


def file_pictures(path: str) -> Iterator[Timed]:
    """The pictures of a file once; times begin with 0 and never go back."""
    container = open_media(path, "video")
    with container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        step = 1 / float(stream.average_rate or 25)
        first: float | None = None
        at = 0.0
        bad = 0
        packets = container.demux(stream)
        while bad < MAX_BAD_PACKETS:
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except (av.FFmpegError, ValueError):
                bad += 1
                continue
            if packet is None:
                return
            bad = 0
            for frame in frames:
                stamp = frame.time if frame.time is not None else at + step
                if first is None:
                    first = stamp
                at = max(at, stamp - first)
                yield at, frame


def repeated_pictures(path: str, loop: bool) -> Iterator[Timed]:
    """The pictures of a file; over and over with `loop`; a file of one picture is repeated in any case."""
    start = 0.0
    while True:
        count, end, last = 0, start, None
        for at, frame in file_pictures(path):
            step = start + at - end if count else 0.0
            count, end, last = count + 1, start + at, frame
            yield end, frame
        if count == 1 and last is not None:
            for n in itertools.count(1):
                yield end + n / STILL_FPS, last
        if not loop or not count:
            return
        start = end + max(step, 1 / 60)


class FileVideo:
    """A VideoSink into a file: H.264 where FFmpeg has it, VP8 for .webm; complete after `close`."""

    def __init__(self, file: OutFile, clock: Callable[[], float] = time.monotonic) -> None:
        """Makes nothing yet: that begins with the first picture."""
        self.on_error: OnError | None = None
        self._file = file
        self._path = str(file.path)
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._canvas: Canvas | None = None
        self._began = 0.0
        self._last_ms = -1

    def show(self, frame: av.VideoFrame) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                if self._container is None or self._canvas is None:
                    self._canvas = Canvas.like(frame)
                    self._container, self._stream = self._open(self._canvas)
                    self._began = self._clock()
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
                self._file.finish()
            except (OSError, av.FFmpegError) as error:
                self._fail(error)

    def _open(self, canvas: Canvas) -> tuple[OutputContainer, VideoStream]:
        suffix = self._file.path.suffix.lower()
        options = {"flush_packets": "1", **CRASH_OPTIONS.get(suffix, {})}
        container = av.open(self._file.begin(), "w", format=FORMATS[suffix], container_options=options)
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
            self._file.finish()  # what there is, is kept
        told = error if isinstance(error, P2PCallError) else write_failure(error, self._path)
        if self.on_error is not None:
            self.on_error(told)


class NullVideo:
    """`--video-out none`."""

    on_error: OnError | None = None

    def show(self, frame: av.VideoFrame) -> None:
        pass

    def view_size(self) -> tuple[int, int]:
        return (0, 0)

    def close(self) -> None:
        pass
