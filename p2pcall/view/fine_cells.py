"""Cells with more than two pixels: quadrants, sextants (Unicode 13) and braille, in 24-bit or 256 colours.

A cell has two colours: its pixels brighter than their mean are ink, the others ground, each in its mean colour. A cell
of nearly even brightness is a space. What changed is found and written as in `cells`. Left out: 16 colours and none,
which are too few for two means; octants, which fonts do not have yet.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .cells import SETTLE_FRAMES, Canvas, CellRenderer, Cells
from .probe import Ability, Mode

GRAINS: Final = {Mode.QUADRANTS: (2, 2), Mode.SEXTANTS: (2, 3), Mode.BRAILLE: (2, 4)}
"""Pixels of a cell, across and down."""
_QUADRANTS: Final = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
_SEXTANTS: Final = 0x1FB00
_LEFT_HALF, _RIGHT_HALF, _FULL = 0b010101, 0b101010, 0b111111
"""Sextants that have their glyphs elsewhere in Unicode."""
_BRAILLE: Final = 0x2800
_DOTS: Final = (0, 3, 1, 4, 2, 5, 6, 7)
"""The bit of each dot of braille, in reading order."""
_LUMA: Final = np.array([77, 150, 29], np.int32)  # Rec. 601, sums to 256
_EVEN: Final = 8
"""A cell whose brightness differs by no more than this (of 255) is a space."""
_THRESHOLD: Final = 10
"""A cell is not redrawn if no channel of a pixel has changed by more (of 255); in one row of sixteen, if none has."""


def glyphs(mode: Mode) -> str:
    """The characters of a mode, by the bits of their pixels: the first in reading order is the lowest bit."""
    if mode is Mode.QUADRANTS:
        return _QUADRANTS
    if mode is Mode.SEXTANTS:
        other = {0: " ", _LEFT_HALF: "▌", _RIGHT_HALF: "▐", _FULL: "█"}
        return "".join(
            other.get(bits) or chr(_SEXTANTS + bits - 1 - (bits > _LEFT_HALF) - (bits > _RIGHT_HALF))
            for bits in range(_FULL + 1)
        )
    dots = range(1 << len(_DOTS))
    return "".join(
        chr(_BRAILLE + sum((bits >> place & 1) << dot for place, dot in enumerate(_DOTS))) for bits in dots
    )


class FineRenderer(CellRenderer):
    """A `CellRenderer` whose canvas has more pixels a cell."""

    def __init__(self, cols: int, rows: int, mode: Mode, ability: Ability) -> None:
        super().__init__(cols, rows, Mode.BLOCKS, ability)
        self._across, self._down = GRAINS[mode]
        self._glyphs = np.frombuffer(
            b"".join(glyph.encode().ljust(4, b"\0") for glyph in glyphs(mode)), np.dtype("<u4")
        )
        self._last = np.zeros((self.rows, self._down, self.cols, self._across, 4), np.uint8)
        self._frames = 0

    def blank_canvas(self, rgb: tuple[int, int, int] = (0, 0, 0)) -> Canvas:
        """As in `renderer.Renderer`."""
        canvas = np.empty((self._down * self.rows, self._across * self.cols, 4), np.uint8)
        canvas[:] = (*rgb, 255)
        return canvas

    def scale_to(self, rect: tuple[int, int, int, int], frame_w: int, frame_h: int) -> tuple[int, int]:
        """As in `renderer.Renderer`."""
        _, _, w, h = rect
        return w * self._across, h * self._down

    def put(self, canvas: Canvas, rect: tuple[int, int, int, int], picture: Canvas) -> None:
        """As in `renderer.Renderer`: the picture is copied onto the canvas."""
        x, y, w, h = rect
        across, down = self._across, self._down
        canvas[down * y : down * (y + h), across * x : across * (x + w)] = picture

    def paint(self, canvas: Canvas, covered: Cells | None = None) -> bytes:
        """As in `renderer.Renderer`."""
        pixels = canvas.reshape(self._last.shape)
        where = self._differing(pixels, covered)
        if not len(where):
            return b""
        rows, cols = np.divmod(where, self.cols)
        cells = pixels[rows, :, cols]
        self._last[rows, :, cols] = cells
        self._unknown.reshape(-1)[where] = False
        bits, ink, ground = self._split(cells.reshape(len(where), -1, 4)[..., :3].astype(np.int32))
        inked = bits != 0
        records = self._inked(self._glyphs[bits], self._colour(ink), self._colour(ground), inked)
        self._moves(where, records)
        data = records.reshape(-1).view(np.uint8)
        drawing: bytes = data[data != 0].tobytes()
        return drawing + b"\x1b[0m"

    def _differing(self, pixels: NDArray[np.uint8], covered: Cells | None) -> NDArray[np.intp]:
        """Indexes of the cells to draw, in reading order."""
        self._frames += 1
        threshold = np.full((self.rows, 1, 1, 1, 1), _THRESHOLD, np.uint8)
        threshold[self._frames % SETTLE_FRAMES :: SETTLE_FRAMES] = 0
        moved = (np.maximum(pixels, self._last) - np.minimum(pixels, self._last)) > threshold
        cells = moved.any(axis=(1, 3, 4)) | self._unknown
        if covered is not None:
            cells &= ~covered
        return np.flatnonzero(cells)

    def _split(
        self, cells: NDArray[np.int32]
    ) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
        """For each cell, of (n, pixels, 3): the bits of its ink, and both colours."""
        light = (cells @ _LUMA) >> 8
        count = light.shape[1]
        bright = light * count > light.sum(axis=1, keepdims=True)
        bright[light.max(axis=1) - light.min(axis=1) <= _EVEN] = False
        inks = bright.sum(axis=1)
        total = cells.sum(axis=1)
        ink = (cells * bright[..., None]).sum(axis=1)
        ground = (total - ink) // (count - inks)[:, None]
        ink //= np.maximum(inks, 1)[:, None]
        bits: NDArray[np.intp] = bright @ (1 << np.arange(count))
        return bits, ink.astype(np.int32), ground.astype(np.int32)
