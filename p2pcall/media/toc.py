"""How long an Opus packet says that it is, in ticks: by its first byte, the TOC.

Rule: 1, 2, 4 or 6 ticks, or 0 for whatever else it is: empty, or of a length that no frame of ours has. Leaves out what
is behind the first bytes: only the decoder knows whether it is sound. Spec: RFC 6716, 3.1.
"""

from typing import Final

from p2pcall.media import constants as c


def _ticks(samples: int) -> int:
    ticks, beside = divmod(samples, c.TICK_SAMPLES)
    return ticks if beside == 0 and ticks in c.FRAME_LENGTHS else 0


TICKS_BY_TOC: Final = tuple(
    _ticks(c.OPUS_CONFIG_SAMPLES[toc >> 3] * c.OPUS_CODE_FRAMES[toc & 3]) for toc in range(c.MAX_U8 + 1)
)
"""By the first byte, where that alone tells it; 0 if it does not, or for no length of ours."""


def packet_ticks(data: bytes) -> int:
    """Ticks of a packet, 0 for what is none that could be played."""
    if not data:
        return 0
    toc = data[0]
    if c.OPUS_CODE_FRAMES[toc & 3]:
        return TICKS_BY_TOC[toc]
    return _ticks(c.OPUS_CONFIG_SAMPLES[toc >> 3] * (data[1] & 0x3F)) if len(data) > 1 else 0
