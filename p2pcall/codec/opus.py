"""Opus voice through PyAV's libopus: one 20 ms frame in, one packet out, and back.

PCM is signed 16-bit little-endian mono at 48 kHz, one frame 960 samples (1,920 bytes). Constant bit rate
and no discontinuous transmission: packet sizes tell nothing of what is said. The encoder's only delay is
libopus' own look-ahead of 6.5 ms (312 samples).

Concealment: libopus takes a packet of a lone TOC byte for a lost one; it is of the last packet's mode and
bandwidth, and of the length that is missing.
Where libopus can be called without FFmpeg (`libopus`) it is, and FFmpeg is not loaded; else through it (`ffmpeg_opus`),
with the same outcome. Leaves out in-band FEC: redundancy is done in packets. Spec: RFC 6716, section 3.
"""

from typing import Final

from p2pcall.codec import libopus
from p2pcall.media.constants import FRAME_BYTES, FRAME_TICKS, SAMPLE_RATE_HZ, TICK_BYTES, TICK_SAMPLES

VOICE_BPS: Final = 40_000
"""100 bytes a frame. PESQ-WB of espeak-ng voices, codec alone: 3.9 to 4.3; at 32 kb/s the worst one fell to
3.46.
"""
MAX_PACKET_BYTES: Final = 1_275
"""RFC 6716, 3.2.1: the longest frame that Opus has."""

COMPLEXITY: Final = 8
"""0.3 ms a frame, as good as 10; level 5 saves 0.1 ms and costs up to 0.5 PESQ."""

_SILK_CONFIGS, _HYBRID_CONFIGS = 12, 16
"""The configurations of a TOC byte below these are of that mode (RFC 6716, 3.1)."""
_SILK_SAMPLES: Final = (480, 960, 1_920, 2_880)
_HYBRID_SAMPLES: Final = (480, 960)
_CELT_SAMPLES: Final = (120, 240, 480, 960)


def packet_samples(data: bytes) -> int | None:
    """Samples at 48 kHz that an Opus packet says it holds (RFC 6716, 3.1), None for no packet at all."""
    if not data or len(data) > MAX_PACKET_BYTES * 2:
        return None
    config, code = data[0] >> 3, data[0] & 3
    if config < _SILK_CONFIGS:
        samples = _SILK_SAMPLES[config & 3]
    elif config < _HYBRID_CONFIGS:
        samples = _HYBRID_SAMPLES[config & 1]
    else:
        samples = _CELT_SAMPLES[config & 3]
    if code < 3:
        return samples * (1 if code == 0 else 2)
    return samples * (data[1] & 0x3F) if len(data) > 1 else None


def _family(toc: int) -> tuple[int, int]:
    """The mode and bandwidth of a packet."""
    config = toc >> 3
    if config < _SILK_CONFIGS:
        return 0, config >> 2
    return (1, config >> 1) if config < _HYBRID_CONFIGS else (2, config >> 2)


_STEREO: Final = 4
_LENGTHS: Final = (1, 2, 4, 6)
"""Ticks that a frame may have."""
_SAMPLES: Final = {
    toc: samples
    for toc in range(0, 256, 4)
    if (samples := packet_samples(bytes((toc, 0))) or 0) in [ticks * TICK_SAMPLES for ticks in _LENGTHS]
}
"""By the first byte: packets of one frame, of a length that is sent."""
_LOST: Final = {
    (toc, ticks): bytes((lost,))
    for toc in range(0, 256, 4)
    for lost, samples in _SAMPLES.items()
    for ticks in _LENGTHS[:2]
    if samples == ticks * TICK_SAMPLES and _family(toc) == _family(lost) and toc & _STEREO == lost & _STEREO
}
"""By the first byte of the last packet and how many ticks are lost: what makes so much up."""


def load() -> None:
    """Have the library there before a coder is wanted: it takes a moment."""
    if not libopus.library():
        from p2pcall.codec import ffmpeg_opus  # noqa: F401  (loaded for the coders)


class OpusEncoder:
    """Encodes frames in their order; one packet each, all of one size (`bitrate_bps` / 400 bytes)."""

    def __init__(self, bitrate_bps: int = VOICE_BPS, *, music: bool = False, direct: bool = True) -> None:
        """`music`: true to the sound rather than clear in speech. `direct`: without FFmpeg, if that can be."""
        if direct and libopus.library():
            encoder = libopus.Encoder(SAMPLE_RATE_HZ, bitrate_bps, COMPLEXITY, MAX_PACKET_BYTES, music=music)
            self._encode = encoder.encode
        else:
            from p2pcall.codec.ffmpeg_opus import FFmpegEncoder

            self._encode = FFmpegEncoder(bitrate_bps, COMPLEXITY, music=music).encode

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame. Raises ValueError unless `pcm` is exactly one frame."""
        if len(pcm) != FRAME_BYTES:
            raise ValueError(f"one frame is {FRAME_BYTES} bytes, not {len(pcm)}")
        return self._encode(pcm)


class OpusDecoder:
    """Decodes packets in their order; always gives whole ticks and never raises, whatever came."""

    def __init__(self, *, direct: bool = True) -> None:
        """`direct`: without FFmpeg, if that can be."""
        self._toc: int | None = None
        if direct and libopus.library():
            self._decode = libopus.Decoder(SAMPLE_RATE_HZ, _LENGTHS[-1] * TICK_SAMPLES).decode
        else:
            from p2pcall.codec.ffmpeg_opus import FFmpegDecoder

            self._decode = FFmpegDecoder().decode

    def decode(self, data: bytes) -> bytes:
        """The frame of one packet, of the length that it says; what is no packet is concealed (20 ms)."""
        size = len(data)
        samples = _SAMPLES.get(data[0], 0) if 2 <= size <= MAX_PACKET_BYTES else 0
        if not samples:
            samples = packet_samples(data) or 0
            if size < 2 or samples not in _SAMPLES.values():
                return self.conceal()
        pcm = self._decode(data, samples)
        if pcm is None:
            return self.conceal(samples // TICK_SAMPLES)
        self._toc = data[0] & 0xFC
        return pcm

    def conceal(self, ticks: int = FRAME_TICKS) -> bytes:
        """So much made up from what was before, for what is lost; silence before the first packet."""
        if self._toc is None:
            return bytes(ticks * TICK_BYTES)
        made_up = b""
        while ticks:
            some = min(ticks, FRAME_TICKS)
            made_up += self._decode(_LOST[self._toc, some], some * TICK_SAMPLES) or bytes(some * TICK_BYTES)
            ticks -= some
        return made_up
