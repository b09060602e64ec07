"""The ring tone: two soft sines, one second on, two off, as 20 ms frames."""

import math
from array import array
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Final

from p2pcall.media.constants import FRAME_BYTES, FRAME_SAMPLES, PCM_MAX, SAMPLE_RATE_HZ

TONES_HZ: Final = (440.0, 480.0)
"""The North American ringing tones; people everywhere know them from films."""
LEVEL: Final = 0.12
ON_FRAMES, OFF_FRAMES = 50, 100
FADE_SAMPLES: Final = 960


def ring() -> Callable[[], bytes]:
    """A `pull` that rings for ever."""
    frames = cycle(_frames())
    return lambda: next(frames)


def _frames() -> Iterator[bytes]:
    total = ON_FRAMES * FRAME_SAMPLES
    for start in range(0, total, FRAME_SAMPLES):
        samples = array("h")
        for n in range(start, start + FRAME_SAMPLES):
            fade = min(1.0, n / FADE_SAMPLES, (total - n) / FADE_SAMPLES)
            wave = sum(math.sin(2 * math.pi * f * n / SAMPLE_RATE_HZ) for f in TONES_HZ) / len(TONES_HZ)
            samples.append(int(PCM_MAX * LEVEL * fade * wave))
        yield samples.tobytes()
    silence = bytes(FRAME_BYTES)
    for _ in range(OFF_FRAMES):
        yield silence
