"""The test card: colour bars, a grey ramp, a sweeping hand and a running frame number, the same every time.

A frame's number is also drawn as sixteen black and white squares, so that a receiver can read it off the picture.
"""

import math
from typing import Final

import numpy as np

from p2pcall.device.drawn import FPS, HEIGHT, WIDTH

BARS: Final = (
    (192, 192, 192),
    (192, 192, 0),
    (0, 192, 192),
    (0, 192, 0),
    (192, 0, 192),
    (192, 0, 0),
    (0, 0, 192),
)
"""The seven 75 % bars of SMPTE EG 1, left to right."""
SWEEP_S: Final = 4.0
"""One turn of the hand."""
COUNTER_BITS: Final = 16
SQUARE: Final = WIDTH // COUNTER_BITS
BARS_END, RAMP_END = 150, 180


class TestCard:
    """Draws picture number `n` of the card (15 a second)."""

    __test__ = False

    def __init__(self) -> None:
        card = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        edges = np.linspace(0, WIDTH, len(BARS) + 1).astype(int)
        for colour, left, right in zip(BARS, edges, edges[1:], strict=False):
            card[:BARS_END, left:right] = colour
        card[BARS_END:RAMP_END] = np.linspace(0, 255, WIDTH).astype(np.uint8)[None, :, None]
        self._card = card
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        self._across, self._down = x - WIDTH / 2, BARS_END / 2 - y
        self._radius = np.hypot(self._across, self._down)

    def draw(self, n: int) -> np.ndarray:
        """The picture as RGB, (240, 320, 3) uint8."""
        picture = self._card.copy()
        angle = 2 * math.pi * n / FPS / SWEEP_S
        along = self._across * math.sin(angle) + self._down * math.cos(angle)
        beside = self._across * math.cos(angle) - self._down * math.sin(angle)
        face = self._radius < 62
        picture[face] = picture[face] // 3
        picture[(np.abs(self._radius - 62) < 2) | ((along > 0) & (along < 56) & (np.abs(beside) < 3))] = 255
        squares = [(n >> bit & 1) * 255 for bit in reversed(range(COUNTER_BITS))]
        picture[RAMP_END + 20 : RAMP_END + 20 + SQUARE] = np.repeat(squares, SQUARE)[None, :, None]
        return picture
