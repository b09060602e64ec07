"""A recording into a Matroska file (.mka, .mkv) as it is: packets of Opus and VP8 are not decoded.

Tracks: what was sent, what came; in .mkv also the other side's pictures. Left out: other formats (`cli`).
"""

from collections.abc import Iterable
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any, Final

import av

from p2pcall.engine.playback import PICTURE_TRACKS, REORDER_TICKS, SOUND_TRACKS, Placing
from p2pcall.media.constants import SAMPLE_RATE_HZ, TICK_MS
from p2pcall.store.recordings import Entry, Track

MILLISECONDS: Final = Fraction(1, 1000)
VP8_SIZE_AT: Final = 6
"""Where width and height are in a key picture: 14 bits each, little-endian (RFC 6386, 9.1)."""
VP8_SIZE_MASK: Final = (1 << 14) - 1


def picture_size(key_picture: bytes) -> tuple[int, int] | None:
    """Width and height of a key picture of VP8; None if it is none."""
    data = key_picture[VP8_SIZE_AT : VP8_SIZE_AT + 4]
    if len(data) < 4 or not any(data):
        return None
    both = int.from_bytes(data, "little")
    return both & VP8_SIZE_MASK, both >> 16 & VP8_SIZE_MASK


class Matroska:
    """One file: `put` entries in order, then `close`. av.FFmpegError if it cannot be written."""

    def __init__(self, path: Path, size: tuple[int, int] | None) -> None:
        """`size`: of the first picture; None: without pictures."""
        self._container = av.open(str(path), "w", format="matroska")
        self._placing = {track: Placing() for track in SOUND_TRACKS}
        self._streams: dict[Track, Any] = {}
        for track, name in zip(SOUND_TRACKS, ("sent", "received"), strict=True):
            stream = self._container.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="mono")
            stream.metadata["title"] = name
            self._streams[track] = stream
        if size is not None:
            picture: Any = self._container.add_stream("libvpx")
            picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
            picture.time_base = picture.codec_context.time_base = MILLISECONDS
            self._streams |= dict.fromkeys(PICTURE_TRACKS, picture)
        self._seen = False
        self._last_ms = -1

    def put(self, entry: Entry) -> None:
        """One entry."""
        if entry.track in self._placing:
            self._placing[entry.track].put(entry.at_ms, entry.data)
        elif entry.track in self._streams:
            self._seen = self._seen or entry.track is Track.KEY_PICTURE_RECEIVED
            if self._seen:
                self._last_ms = max(self._last_ms + 1, entry.at_ms)
                key = entry.track is Track.KEY_PICTURE_RECEIVED
                self._mux(entry.track, self._last_ms, entry.data, key=key)
        self._sound(entry.at_ms // TICK_MS - REORDER_TICKS)

    def close(self) -> None:
        """Write what is left."""
        self._sound(inf)
        self._container.close()

    def _sound(self, before: float) -> None:
        for track, placing in self._placing.items():
            for frame in placing.take(before):
                self._mux(track, frame.tick * TICK_MS, frame.data, key=True)

    def _mux(self, track: Track, at_ms: int, data: bytes, *, key: bool) -> None:
        packet = av.Packet(data)
        packet.stream = self._streams[track]
        packet.time_base = MILLISECONDS
        packet.pts = packet.dts = at_ms
        packet.is_keyframe = key
        self._container.mux(packet)


def first_size(entries: Iterable[Entry]) -> tuple[int, int] | None:
    """The size of the first picture."""
    for entry in entries:
        if entry.track is Track.KEY_PICTURE_RECEIVED and (size := picture_size(entry.data)) is not None:
            return size
    return None


def remux(entries: Iterable[Entry], path: Path, size: tuple[int, int] | None) -> None:
    """Write all of it. av.FFmpegError or OSError if that fails."""
    file = Matroska(path, size)
    try:
        for entry in entries:
            file.put(entry)
    finally:
        file.close()
