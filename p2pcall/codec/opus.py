"""Opus voice through PyAV's libopus: one frame in, one packet out, and back.

PCM is signed 16-bit little-endian mono at 48 kHz; a frame has 1, 2, 4 or 6 ticks of 10 ms. Constant bit rate
and no discontinuous transmission: packet sizes tell nothing of what is said. The encoder's only delay is
libopus' own look-ahead of 6.5 ms (312 samples), with `low_delay` 2.5 ms (120).

Concealment: libopus takes a packet of a lone TOC byte, with its two low bits cleared, for a lost one.
Where libopus can be called without FFmpeg (`libopus`) it is, and FFmpeg is not loaded; else through it (`ffmpeg_opus`),
with the same outcome. Leaves out in-band FEC: redundancy is done in packets. Spec: RFC 6716, section 3.
"""

from typing import Final, NamedTuple

from p2pcall.codec import libopus
from p2pcall.media.constants import (
    FRAME_LENGTHS,
    OPUS_CELT_FROM,
    OPUS_HYBRID_FROM,
    SAMPLE_RATE_HZ,
    TICK_BYTES,
    VOICE_BPS,
)

MAX_PACKET_BYTES: Final = 1_275
"""RFC 6716, 3.2.1: the longest frame that Opus has."""

COMPLEXITY: Final = 8
"""0.3 ms a frame, as good as 10; level 5 saves 0.1 ms and costs up to 0.5 PESQ."""

_USUAL_TICKS: Final = 2
_WHOLE: Final = frozenset(ticks * TICK_BYTES for ticks in FRAME_LENGTHS)


def load() -> None:
    """Have the library there before a coder is wanted: it takes a moment."""
    if not libopus.library():
        from p2pcall.codec import ffmpeg_opus  # noqa: F401  (loaded for the coders)


class OpusForm(NamedTuple):
    """How frames are encoded: their ticks, and all of one size at so many bits a second.

    `wideband`: up to 8 kHz, beyond which few bits are spent badly. `low_delay`: 4 ms sooner, for more bits.
    """

    ticks: int = _USUAL_TICKS
    bitrate_bps: int = VOICE_BPS
    wideband: bool = False
    low_delay: bool = False


USUAL_FORM: Final = OpusForm()
"""Of a good path."""


class OpusEncoder:
    """Encodes frames in order, one packet each; `form` may be set before any frame, and no sound is lost by it."""

    def __init__(self, form: OpusForm = USUAL_FORM, *, music: bool = False, direct: bool = True) -> None:
        """`music`: true to the sound rather than clear in speech. `direct`: without FFmpeg, if that can be."""
        self._music = music
        self._direct = direct and bool(libopus.library())
        self._encoder: libopus.Encoder | None = None
        self._form = form
        self.form = form

    @property
    def form(self) -> OpusForm:
        """How frames are encoded from now on."""
        return self._form

    @form.setter
    def form(self, form: OpusForm) -> None:
        if not self._direct:
            from p2pcall.codec.ffmpeg_opus import FFmpegEncoder

            self._encode = FFmpegEncoder(*form, COMPLEXITY, music=self._music).encode
        elif self._encoder is None or form.low_delay != self._form.low_delay:
            self._encoder = libopus.Encoder(
                SAMPLE_RATE_HZ, COMPLEXITY, MAX_PACKET_BYTES, form.low_delay, music=self._music
            )
            self._encoder.set(form.bitrate_bps, form.wideband)
            self._encode = self._encoder.encode
        else:
            self._encoder.set(form.bitrate_bps, form.wideband)
        self._form = form
        self._frame_bytes = form.ticks * TICK_BYTES

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame. Raises ValueError unless `pcm` is exactly one frame."""
        if len(pcm) != self._frame_bytes:
            raise ValueError(f"one frame is {self._frame_bytes} bytes, not {len(pcm)}")
        return self._encode(pcm)


class OpusDecoder:
    """Decodes packets in their order; always gives whole ticks and never raises, whatever came."""

    def __init__(self, *, direct: bool = True) -> None:
        """`direct`: without FFmpeg, if that can be."""
        self._toc: int | None = None
        self._ticks = _USUAL_TICKS
        if direct and libopus.library():
            self._decode = libopus.Decoder(SAMPLE_RATE_HZ, FRAME_LENGTHS[-1] * TICK_BYTES).decode
        else:
            from p2pcall.codec.ffmpeg_opus import FFmpegDecoder

            self._decode = FFmpegDecoder().decode

    def decode(self, data: bytes) -> bytes:
        """The frame of one packet, as long as it is; what is no packet of a frame is concealed, as long as the last."""
        if not 2 <= len(data) <= MAX_PACKET_BYTES:
            return self.conceal()
        pcm = self._decode(data)
        if pcm is None or len(pcm) not in _WHOLE:
            return self.conceal()
        self._toc = data[0]
        self._ticks = len(pcm) // TICK_BYTES
        return pcm

    def conceal(self, ticks: int | None = None) -> bytes:
        """So many ticks made up from the ones before, where a frame is lost; silence before the first packet.

        None: as many as the last packet had.
        """
        left = self._ticks if ticks is None else ticks
        if self._toc is None:
            return bytes(left * TICK_BYTES)
        made = b""
        while left:
            step = 1 + (left > 1)
            made += self._decode(bytes((_lone_toc(self._toc, step),))) or bytes(step * TICK_BYTES)
            left -= step
        return made


def _lone_toc(toc: int, ticks: int) -> int:
    """The first byte of a packet of one frame of 1 or 2 ticks that is coded otherwise as this one."""
    config = toc >> 3
    if config < OPUS_HYBRID_FROM:
        config = (config & ~3) + ticks - 1
    elif config < OPUS_CELT_FROM:
        config = (config & ~1) + ticks - 1
    else:
        config = (config & ~3) + ticks + 1
    return config << 3 | (toc & 4)
