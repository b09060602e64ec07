"""How loud a tick of sound is, and how bright, in a few microseconds; and making it lower.

Levels are in dB of full scale. Leaves out what follows from them.
"""

from array import array
from collections.abc import Iterable
from math import hypot, log10, pow, sqrt
from operator import sub
from struct import Struct
from typing import Final

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as c

_LOOKED_AT: Final = c.TICK_SAMPLES // acoustic.LEVEL_SAMPLE_STEP
_PAIRS: Final = Struct(
    "<"
    + f"h{2 * (acoustic.COLOUR_DISTANCE - 1)}xh{2 * (acoustic.LEVEL_SAMPLE_STEP - acoustic.COLOUR_DISTANCE - 1)}x"
    * _LOOKED_AT
)
_FULL: Final = c.PCM_MAX * sqrt(_LOOKED_AT)
_LEAST: Final = pow(acoustic.LEVEL_BASE, acoustic.LEVEL_LEAST_DB / acoustic.LEVEL_FACTOR)


def level_db(pcm: bytes) -> float:
    """The level of one tick (960 bytes): LEVEL_LEAST_DB to 0."""
    return _db(_PAIRS.unpack(pcm)[::2])


def level_and_colour_db(pcm: bytes) -> tuple[float, float]:
    """And how much of it is high: higher for an s than for an o, whatever the level."""
    samples = _PAIRS.unpack(pcm)
    first = samples[::2]
    level = _db(first)
    return level, _db([*map(sub, samples[1::2], first)]) - level


def _db(samples: Iterable[int]) -> float:
    return acoustic.LEVEL_FACTOR * log10(max(_LEAST, hypot(*samples) / _FULL))


def gain_of(db: float) -> float:
    """The factor of a change of level."""
    return pow(acoustic.LEVEL_BASE, db / acoustic.LEVEL_FACTOR)


def with_gain(pcm: bytes, start: float, end: float) -> bytes:
    """The sound with its gain going from `start` to `end` (0 to 1) evenly."""
    samples = array("h", pcm)
    if start == end or not samples:
        return array("h", [int(sample * end) for sample in samples]).tobytes()
    step = (end - start) / len(samples)
    return array(
        "h", [int(sample * (start + index * step)) for index, sample in enumerate(samples)]
    ).tobytes()


def crossfaded(before: bytes, after: bytes) -> bytes:
    """From one sound to another of the same length."""
    out, came = array("h", before), array("h", after)
    size = len(out)
    return array(
        "h", [a + (b - a) * index // size for index, (a, b) in enumerate(zip(out, came, strict=True))]
    ).tobytes()
