"""A short tone over what is played: both people hear that a recording begins."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from functools import cache
from typing import Final

from p2pcall.device.base import Pull
from p2pcall.media.constants import PCM_MAX, SAMPLE_RATE_HZ

NOTICE_TONES_HZ: Final = (880.0, 1320.0)
"""Two, one after the other: unlike a ring, and heard by those who hear high tones badly."""
NOTICE_TONE_S: Final = 0.25
"""Each."""
NOTICE_LEVEL: Final = 0.2
"""Of the loudest: heard over a voice, and frightens nobody."""
NOTICE_FADE_S: Final = 0.02


@cache
def notice_tone() -> array[int]:
    """Its samples."""
    samples = array("h")
    count, fade = int(NOTICE_TONE_S * SAMPLE_RATE_HZ), int(NOTICE_FADE_S * SAMPLE_RATE_HZ)
    for tone_hz in NOTICE_TONES_HZ:
        for n in range(count):
            gain = NOTICE_LEVEL * min(1.0, n / fade, (count - n) / fade)
            samples.append(int(PCM_MAX * gain * math.sin(2 * math.pi * tone_hz * n / SAMPLE_RATE_HZ)))
    return samples


def mixed(one: bytes, other: array[int]) -> bytes:
    """Both at once; `other` may be shorter."""
    out = array("h", one)
    for n, sample in enumerate(other[: len(out)]):
        out[n] = max(-PCM_MAX, min(PCM_MAX, out[n] + sample))
    return out.tobytes()


def with_tone(pull: Pull, over: Callable[[], None]) -> Pull:
    """`pull` with the tone in it; `over` is called when nothing of it is left."""
    tone, at = notice_tone(), 0

    def pulled(samples: int) -> bytes:
        nonlocal at
        pcm = mixed(pull(samples), tone[at : at + samples])
        at += samples
        if at >= len(tone):
            over()
        return pcm

    return pulled
