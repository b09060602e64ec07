"""Sound made shorter or longer by one period of its pitch, so that the delay changes and nobody hears it.

A period is looked for where the sound is most like itself a little later; one is then left out or said twice, with one
cross-fade as long as the period. WSOLA, as NetEQ's accelerate and preemptive expand. Rules: nothing is changed where
the two are less alike than is asked; what comes out begins and ends as what went in; no work but when a change is
wanted, and then some ten thousand products. Leaves out when that is (`jitter`). PCM is signed
16-bit little-endian mono.
"""

from itertools import accumulate
from math import sqrt
from operator import add, mul, sub
from struct import pack, unpack
from typing import Final

from p2pcall.media import constants as c

_STEP: Final = c.STRETCH_STEP
_LEAST: Final = c.STRETCH_LEAST_SAMPLES // _STEP

Samples = tuple[int, ...]


def shorten(pcm: bytes, most: int, likeness: float) -> tuple[bytes, int]:
    """Without one period of at most so many samples, and how many those were; 0 if none is so alike (-1 takes any)."""
    samples = _samples(pcm)
    period = _period(samples, 0, 1, most, likeness)
    if not period:
        return pcm, 0
    fade = min(period, len(samples) - period)
    joined = cross_fade(samples[:fade], samples[period : period + fade])
    return _bytes(joined) + pcm[2 * (period + fade) :], period


def lengthen(before: bytes, pcm: bytes, most: int, likeness: float) -> tuple[bytes, int]:
    """The same with one period more, the last one of what was heard `before`; and how many samples were added."""
    played = len(before) // 2
    samples = _samples(before + pcm)
    period = _period(samples, played, -1, most, likeness)
    if not period:
        return pcm, 0
    fade = min(period, len(samples) - played)
    again = samples[played - period : played]
    joined = cross_fade(samples[played : played + fade], again[:fade])
    return _bytes(joined + list(again[fade:])) + pcm, period


def cross_fade(falling: Samples, rising: Samples) -> list[int]:
    """From one to the other, in as many samples as each has."""
    size = len(falling)
    steps = map(mul, map(sub, rising, falling), range(1, 2 * size, 2))
    return list(map(add, falling, [step // (2 * size) for step in steps]))


def _samples(pcm: bytes) -> Samples:
    return unpack(f"<{len(pcm) // 2}h", pcm)


def _bytes(samples: list[int]) -> bytes:
    return pack(f"<{len(samples)}h", *samples)


def _period(samples: Samples, at: int, way: int, most: int, likeness: float) -> int:
    """After how many samples the sound from `at` is most like itself, looking on or (`way` -1) back; 0 if it is not.

    First at 8 kHz, each the sum of six (which leaves out what is above the pitch), then to the sample.
    """
    coarse = [*map(sum, zip(*[iter(samples)] * _STEP, strict=False))]
    start, room = at // _STEP, len(coarse) - at // _STEP
    reach = min(most, c.STRETCH_MOST_SAMPLES) // _STEP
    if way > 0:
        window = min(c.STRETCH_WINDOW, max(room - reach, c.STRETCH_LEAST_WINDOW))
        reach = min(reach, room - window)
    else:
        window, reach = min(c.STRETCH_WINDOW, room), min(reach, start)
    if reach < _LEAST or window < c.STRETCH_LEAST_WINDOW:
        return 0
    this = coarse[start : start + window]
    powers = [0, *accumulate(map(mul, coarse, coarse))]
    own = powers[start + window] - powers[start]
    alike = []
    for lag in range(_LEAST, reach + 1):
        other = start + way * lag
        power = own * (powers[other + window] - powers[other])
        alike.append(sum(map(mul, this, coarse[other : other + window])) / sqrt(power) if power else 1.0)
    best = max(alike)
    if best < likeness:
        return 0
    first = next(lag for lag, each in enumerate(alike, _LEAST) if each >= best - c.STRETCH_AS_ALIKE)
    while first < reach and alike[first + 1 - _LEAST] > alike[first - _LEAST]:
        first += 1
    return _to_the_sample(samples, at, way, first * _STEP, most)


def _to_the_sample(samples: Samples, at: int, way: int, near: int, most: int) -> int:
    """The period near this one at which the two differ least."""
    highest = min(near + _STEP, most + 1, at + 1 if way < 0 else len(samples))
    lags = range(max(near - _STEP + 1, c.STRETCH_LEAST_SAMPLES), highest)
    size = min(c.STRETCH_LEAST_WINDOW * _STEP, len(samples) - at - (lags[-1] if way > 0 else 0))
    this = samples[at : at + size]

    def difference(lag: int) -> int:
        other = at + way * lag
        apart = [*map(sub, this, samples[other : other + size])]
        return sum(map(mul, apart, apart))

    return min(lags, key=difference)
