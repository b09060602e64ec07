"""Opus voice through PyAV's libopus: one 20 ms frame in, one packet out, and back.

PCM is signed 16-bit little-endian mono at 48 kHz, one frame 960 samples (1,920 bytes). Constant bit rate
and no discontinuous transmission: packet sizes tell nothing of what is said. The encoder's only delay is
libopus' own look-ahead of 6.5 ms (312 samples).

Concealment: libopus takes a packet of a lone TOC byte, the last packet's with its two low bits cleared, for a lost one.
Where libopus can be called without FFmpeg (`libopus`) it is, and FFmpeg is not loaded; else through it (`ffmpeg_opus`),
with the same outcome. Leaves out in-band FEC: redundancy is done in packets. Spec: RFC 6716, section 3.
"""

from typing import Final

from p2pcall.codec import libopus
from p2pcall.media.constants import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ

CONCEALED_SILENCE: Final = bytes(FRAME_BYTES)
VOICE_BPS: Final = 48_000
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


_ONE_FRAME: Final = frozenset(
    toc for toc in range(0, 256, 4) if packet_samples(bytes((toc, 0))) == FRAME_SAMPLES
)
"""First bytes of packets of exactly one frame of 20 ms: what nearly all are, and the encoder's all."""


def load() -> None:
    """Have the library there before a coder is wanted: it takes a moment."""
    if not libopus.library():
        from p2pcall.codec import ffmpeg_opus  # noqa: F401  (loaded for the coders)


class OpusEncoder:
    """Encodes frames in their order; one packet each, all of one size (`bitrate_bps` / 400 bytes)."""

    def __init__(self, bitrate_bps: int = VOICE_BPS, *, direct: bool = True) -> None:
        """`direct`: without FFmpeg, if that can be."""
        if direct and libopus.library():
            self._encode = libopus.Encoder(SAMPLE_RATE_HZ, bitrate_bps, COMPLEXITY, MAX_PACKET_BYTES).encode
        else:
            from p2pcall.codec.ffmpeg_opus import FFmpegEncoder

            self._encode = FFmpegEncoder(bitrate_bps, COMPLEXITY).encode

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame. Raises ValueError unless `pcm` is exactly one frame."""
        if len(pcm) != FRAME_BYTES:
            raise ValueError(f"one frame is {FRAME_BYTES} bytes, not {len(pcm)}")
        return self._encode(pcm)


class OpusDecoder:
    """Decodes packets in their order; always gives one whole frame and never raises, whatever came."""

    def __init__(self, *, direct: bool = True) -> None:
        """`direct`: without FFmpeg, if that can be."""
        self._toc: int | None = None
        if direct and libopus.library():
            self._decode = libopus.Decoder(SAMPLE_RATE_HZ, FRAME_SAMPLES).decode
        else:
            from p2pcall.codec.ffmpeg_opus import FFmpegDecoder

            self._decode = FFmpegDecoder().decode

    def decode(self, data: bytes) -> bytes:
        """The frame of one packet; what is no packet of exactly 20 ms is concealed."""
        size = len(data)
        whole = 2 <= size <= MAX_PACKET_BYTES and data[0] in _ONE_FRAME
        if not whole and (packet_samples(data) != FRAME_SAMPLES or size < 2):
            return self.conceal()
        pcm = self._decode(data)
        if pcm is None:
            return self.conceal()
        self._toc = data[0] & 0xFC
        return pcm

    def conceal(self) -> bytes:
        """A frame made up from the ones before, for one that is lost; silence before the first packet."""
        if self._toc is None:
            return CONCEALED_SILENCE
        return self._decode(bytes((self._toc,))) or CONCEALED_SILENCE
