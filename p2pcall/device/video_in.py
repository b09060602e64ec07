"""Pictures from files, streams and generators.

Rules: a source gives a picture when it is due on its own time line, at most `fps` a second; what is overdue is left
out, but never the first one. Pictures come upright and ready to be sent (`picture`), at times that move on
(`timestamps`). The picture of a file whose sound is sent too keeps to the sound's clock. Leaves out sound, y4m
(`y4m`), cameras (`camera`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import av

from p2pcall.device.base import OnNote, media_file_error
from p2pcall.device.container import choose_track, loop_length, open_media, packets, zero_of
from p2pcall.device.exif import orientation
from p2pcall.device.letterbox import VIEW
from p2pcall.device.pace import MediaClock, Pacer
from p2pcall.device.picture import EXIF_TURNS, UPRIGHT, PictureConverter, Turns, is_hdr
from p2pcall.device.pipes import FdReader, PeekedReader
from p2pcall.device.source import MediaInput
from p2pcall.device.timestamps import Timestamps
from p2pcall.device.y4m import Y4M_MARK, Y4mVideo

if TYPE_CHECKING:
    import numpy as np

STILL_FPS: Final = 5
"""A still picture is repeated so often: enough for the other side to see it soon after a loss."""
STAMP_EARLY_SHARE: Final = 0.1
"""Of the time between two pictures: so much sooner one may be, for stamps of a file of the same rate are rounded."""
LATE_S: Final = 0.05
"""A picture of a file that is later than this is left out,"""
FROZEN_S: Final = 0.2
"""unless none has been shown for so long."""
WORTH_SKIPPING_S: Final = 1.0
SOLO_PIXELS: Final = VIEW[0] * VIEW[1]
"""A film of no more than that, 1 ms a picture, is decoded by one thread: further ones cost more in being woken, and
each keeps some pictures.
"""
UNSTAMPED_FPS: Final = 25
"""The rate of pictures that bear no times, if nothing else is said."""

Timed = tuple[float, Callable[[], av.VideoFrame]]
"""When a picture is due, and how to get it: what is left out is not drawn or developed."""


class PacedVideo:
    """A VideoSource of pictures with times (seconds): a file, a test card, a drawn person."""

    def __init__(
        self,
        pictures: Callable[[], Iterator[Timed]],
        size: tuple[int, int],
        fps: int,
        clock: MediaClock | None = None,
        *,
        endless: bool = False,
    ) -> None:
        """`pictures` is called by the first `read`; what it gives is taken when due, on `clock` if there is one. It
        may raise P2PCallError.
        """
        self.size = size
        self.endless = endless
        self._make = pictures
        self._pictures: Iterator[Timed] | None = None
        self._pacer = Pacer(media_clock=clock)
        self._step = 1 / fps
        self._next_at: float | None = None
        self._shown_at = 0.0

    def read(self) -> av.VideoFrame | None:
        if self._pictures is None:
            self._pictures = self._make()
        for at, frame in self._pictures:
            first = self._next_at is None
            if self._pacer.closed:
                break
            if self._next_at is not None and at < self._next_at - self._step * STAMP_EARLY_SHARE:
                continue
            late = self._pacer.wait_for(at)
            if late is None:
                break
            if self._next_at is None or at - self._next_at > self._step:
                self._next_at = at
            self._next_at += self._step
            now = self._pacer.now()
            if late > LATE_S and not first:
                if now - self._shown_at < FROZEN_S:
                    continue
                self._pacer.forgive(late)
            self._shown_at = now
            return frame()
        return None

    def close(self) -> None:
        self._pacer.close()


class StreamVideo:
    """A VideoSource of a stream: y4m or any streamable container."""

    size = VIEW
    endless = False

    def __init__(
        self,
        reader: FdReader,
        name: str,
        track: int | None,
        pictures: Callable[[MediaInput], Iterator[Timed]],
        fps: int,
    ) -> None:
        """`pictures` makes pictures of a container, of which `track` is taken."""
        self._reader, self._name, self._track = reader, name, track
        self._pictures, self._fps = pictures, fps
        self._source: Y4mVideo | PacedVideo | None = None
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._closed = False

    def read(self) -> av.VideoFrame | None:
        with self._reading:
            frame = None
            try:
                frame = None if self._closed else self._read()
            finally:
                if frame is None or self._closed:
                    self._reader.release()
            return frame

    def _read(self) -> av.VideoFrame | None:
        try:
            if self._source is None:
                source = self._begin()
                with self._lock:
                    self._source = source
                    if self._closed:
                        source.close()
            frame = self._source.read()
        except OSError:
            return None
        if frame is not None:
            self.size = frame.width, frame.height
        return frame

    def _begin(self) -> Y4mVideo | PacedVideo:
        peeked = PeekedReader(self._reader)
        if peeked.peek(len(Y4M_MARK)) in (Y4M_MARK, b""):
            return Y4mVideo(peeked, self._name)
        media = MediaInput(self._name, peeked, self._track)
        return PacedVideo(lambda: self._pictures(media), self.size, self._fps)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._source is not None:
                self._source.close()
        self._reader.close()
        if self._reading.acquire(blocking=False):  # else whoever reads lets it go
            self._reader.release()
            self._reading.release()


def generated(draw: Callable[[int], np.ndarray], fps: int) -> Iterator[Timed]:
    """Pictures without end from a function that draws number `n` as an RGB array (height, width, 3)."""
    for n in itertools.count():
        yield n / fps, partial(_drawn, draw, n)


def _drawn(draw: Callable[[int], np.ndarray], n: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(draw(n), format="rgb24")


def check_pictures(media: MediaInput) -> tuple[tuple[int, int], bool]:
    """Width and height as they are shown, and whether there is but one. P2PCallError unless one can be decoded."""
    pictures = [picture for _, picture in itertools.islice(file_pictures(media), 2)]
    if not pictures:
        raise media_file_error(media.name, "there is no picture in it that can be decoded")
    frame = pictures[0]()
    return (frame.width, frame.height), len(pictures) == 1


def file_pictures(
    media: MediaInput,
    *,
    fps: int | None = None,
    together: bool = False,
    skip: float = 0.0,
    note: OnNote | None = None,
) -> Iterator[Timed]:
    """The pictures of a file or stream once; times begin with 0 and always move on.

    `fps` is the rate of pictures that bear no times; `together` keeps their place in time with the sound of the file:
    then so many seconds may be skipped, back to a key frame.
    """
    container = open_media(media, "video", fps)
    with container:
        track = choose_track(container, media, "video")
        context = track.codec_context
        if 0 < context.width * context.height <= SOLO_PIXELS:
            context.thread_count = 1
        else:
            context.thread_type = "AUTO"
        rate = fps or float(track.average_rate or UNSTAMPED_FPS)
        zero = zero_of(container) if together else None
        stamps = Timestamps(1 / rate, zero, begin=skip)
        if zero is not None and skip > WORTH_SKIPPING_S:
            with suppress(av.FFmpegError):  # what cannot be skipped is decoded
                container.seek(round((zero + skip) * 1_000_000))
        developer, told, exif, turns = PictureConverter(), note is None, UPRIGHT, Turns()
        for packet in packets(container, track):
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                continue
            if packet.size and _may_have_exif(context.name):
                exif = EXIF_TURNS[orientation(bytes(packet))]
            for frame in frames:
                if not told and note is not None and (curve := is_hdr(frame)):
                    told = True
                    note(f"{media.name} is {curve} (HDR): it looks paler here than it was made")
                at = stamps.place(frame.time)
                turn = exif if exif != UPRIGHT else turns.of(frame)
                yield at, partial(developer.develop, frame, turn, track.sample_aspect_ratio)


def _may_have_exif(codec: str) -> bool:
    return codec in ("mjpeg", "png", "webp", "jpegls")


def repeated_pictures(
    media: MediaInput,
    loop: bool,
    *,
    fps: int | None = None,
    together: bool = False,
    skip: float = 0.0,
    note: OnNote | None = None,
) -> Iterator[Timed]:
    """The pictures of a file; over and over with `loop`; a file of one picture is repeated in any case.

    `together`: each time as long as sound and picture of the file are, so that they begin anew at once.
    """
    length = loop_length(media, "video") if together and loop else None
    start = skip // length * length if length else 0.0
    skip -= start
    while True:
        count, end, last = 0, start, None
        for at, picture in file_pictures(media, fps=fps, together=together, skip=skip, note=note):
            if length is not None and at >= length:
                break
            step = start + at - end if count else 0.0
            count, end, last = count + 1, start + at, picture
            yield end, picture
        if count == 1 and last is not None and length is None:
            for n in itertools.count(1):
                yield end + n / STILL_FPS, last
        skip = 0.0
        if not loop or not count:
            return
        start = end + max(step, 1 / 60) if length is None else start + length
