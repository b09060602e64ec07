"""The sound of a media file or stream as FFmpeg decodes it, as frames of 48 kHz mono.

Rules: rate, layout and format may change at any place. What cannot be decoded is left out, and told once with how much
it was. Holes in the time stamps are silence. Channels whose places are not known are mixed in equal parts. Leaves out
what needs no decoding (`sound_in`).
"""

from collections.abc import Iterator
from typing import Final, cast

import av
import numpy as np

from p2pcall.device.base import NOTHING_YET, Frames, OnNote
from p2pcall.device.chained import links
from p2pcall.device.container import choose_track, open_media, packets, zero_of
from p2pcall.device.source import FRAMES_AT_ONCE, MediaInput
from p2pcall.device.timestamps import MAX_PAUSE_S
from p2pcall.errors import P2PCallError
from p2pcall.media.constants import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ

U8_MIDDLE: Final = 128.0
"""Silence in unsigned samples of eight bits."""
HOLE_S: Final = 0.06
"""Stamps are off by less than this without a hole: coarse clocks, padding."""
PLACELESS: Final = ("ambisonic", "binaural")
"""Layouts whose channels are no loudspeakers, and that the resampler refuses."""
WORTH_TELLING_BYTES: Final = 1_000
"""Less is a header between two joined files."""


def decoded(media: MediaInput, *, together: bool, note: OnNote | None) -> Frames:
    """As `sound_in.decoded_frames`, whatever is in the file."""
    sound, skipped = Sound(), _Skipped(media.name, note)
    for number, link in enumerate(links(media)):
        try:
            container = open_media(link, "audio")
        except P2PCallError:
            if not number:
                raise
            skipped.add(WORTH_TELLING_BYTES)  # how much it was, its reader does not tell
            continue
        with container:
            sound.begin(zero_of(container) if together else None)
            track = choose_track(container, link, "audio")
            for packet in packets(container, track):
                try:
                    for frame in packet.decode():
                        goes_on = skipped.goes_on() and not together
                        yield from sound.add(cast(av.AudioFrame, frame), after_skip=goes_on)
                except (av.FFmpegError, ValueError):
                    skipped.add(packet.size)
                    yield NOTHING_YET
    yield from sound.end()
    skipped.end()


class _Skipped:
    """What could not be decoded: told when it is over, and once more at the end if there was more."""

    def __init__(self, name: str, note: OnNote | None) -> None:
        self._name, self._note = name, note
        self._total = self._told = 0
        self._open = False

    def add(self, size: int) -> None:
        self._total += size
        self._open = True

    def goes_on(self) -> bool:
        """A frame has come; whether something was left out just before it."""
        was_open, self._open = self._open, False
        if was_open and not self._told and self._total >= WORTH_TELLING_BYTES:
            self._tell()
        return was_open

    def end(self) -> None:
        if self._total > self._told and self._total >= WORTH_TELLING_BYTES:
            self._tell()

    def _tell(self) -> None:
        self._told = self._total
        if self._note is not None:
            self._note(f"{self._name}: {self._total / 1000:.0f} kB of it cannot be decoded, and are left out")


class Sound:
    """Decoded frames of any kind to PCM of one kind."""

    def __init__(self) -> None:
        self._zero: float | None = None
        self._at = 0.0  # seconds of sound that went in
        self._kind: tuple[str, str, int] | None = None
        self._placeless = False  # the channels of this kind can only be mixed in equal parts
        self._resampler: av.AudioResampler | None = None
        self._pcm = bytearray()

    def begin(self, zero: float | None) -> None:
        """What comes from now on is stamped anew; `zero` is the stamp of now, None for the first one that comes."""
        self._zero = None if zero is None else zero - self._at

    def add(self, frame: av.AudioFrame, *, after_skip: bool) -> Iterator[bytes]:
        """A frame that was decoded; whole frames of PCM. `after_skip`: the time before it is not to be filled."""
        frame = _mixed(frame)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            self._flush()
            self._kind, self._placeless = kind, False
        stamp = frame.time
        if stamp is not None:
            if self._zero is None:
                self._zero = stamp - self._at
            hole = stamp - self._zero - self._at
            if hole > MAX_PAUSE_S:
                self._zero += hole - MAX_PAUSE_S
                hole = MAX_PAUSE_S
            if hole > HOLE_S:
                if not after_skip:
                    self._flush()
                    yield from self._silence(hole)
                self._at += hole
        self._at += frame.samples / frame.sample_rate
        size = FRAME_SAMPLES * FRAMES_AT_ONCE
        if self._resampler is None:
            self._resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE_HZ, frame_size=size)
        frame.pts = None
        try:
            self._take(self._resampler.resample(_equally(frame) if self._placeless else frame))
        except av.FFmpegError:
            if self._placeless:
                raise
            self._placeless = True  # it has no way from these places to one; nothing of the frame was taken
            self._resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE_HZ, frame_size=size)
            self._take(self._resampler.resample(_equally(frame)))
        yield from self._whole()

    def end(self) -> Iterator[bytes]:
        """What is left."""
        self._flush()
        yield from self._whole()
        if self._pcm:
            yield bytes(self._pcm).ljust(FRAME_BYTES, b"\0")
            self._pcm.clear()

    def _flush(self) -> None:
        if self._resampler is not None:
            self._take(self._resampler.resample(None))
            self._resampler = None

    def _take(self, pieces: list[av.AudioFrame]) -> None:
        for piece in pieces:
            self._pcm += memoryview(piece.planes[0])[: piece.samples * 2]

    def _whole(self) -> Iterator[bytes]:
        whole = len(self._pcm) // FRAME_BYTES * FRAME_BYTES
        ready = bytes(self._pcm[:whole])
        del self._pcm[:whole]
        for at in range(0, whole, FRAME_BYTES):
            yield ready[at : at + FRAME_BYTES]

    def _silence(self, seconds: float) -> Iterator[bytes]:
        left = round(seconds * SAMPLE_RATE_HZ) * 2
        while left:
            piece = min(left, FRAME_BYTES)
            self._pcm += bytes(piece)
            left -= piece
            yield from self._whole()


def _mixed(frame: av.AudioFrame) -> av.AudioFrame:
    """As it is, or if nobody says which channel is where, all of them in equal parts."""
    placeless = frame.layout.name.endswith("channels") or frame.layout.name.startswith(PLACELESS)
    return _equally(frame) if placeless else frame


def _equally(frame: av.AudioFrame) -> av.AudioFrame:
    """One channel of all of them."""
    channels = frame.layout.nb_channels
    samples = frame.to_ndarray()
    mono = (samples if frame.format.is_planar else samples.reshape(-1, channels).T).mean(axis=0)
    if samples.dtype == np.uint8:
        mono = mono - U8_MIDDLE
    scale = 1.0 if samples.dtype.kind == "f" else float(2 ** (8 * samples.dtype.itemsize - 1))
    out = av.AudioFrame.from_ndarray(
        (mono / scale).astype(np.float32)[np.newaxis], format="flt", layout="mono"
    )
    out.sample_rate, out.pts, out.time_base = frame.sample_rate, frame.pts, frame.time_base
    return out
