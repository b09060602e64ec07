"""Pictures in the sixteen colours of a console: the nearest colour, and the two halves of a cell. Pure.

Rules: the ground is one of the eight dim colours, because a Linux console has no bright grounds. So the brighter half
of a cell is drawn as ink, with an upper or lower half block; a cell with two bright halves is a full block. The palette
is the console's own (VGA). Follows ECMA-48 SGR 30-37 and 40-47, and aixterm's 90-97. Left out: the records of bytes
(`cells`).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_Index = NDArray[np.intp]
SplitCells = tuple[_Index, _Index, _Index, NDArray[np.bool_]]

_DIM: Final = 8
"""The first eight colours can be a ground; the bright ones of the same hues follow."""
PALETTE: Final = np.array(
    [
        *((0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0)),
        *((0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170)),
        *((85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85)),
        *((85, 85, 255), (255, 85, 255), (85, 255, 255), (255, 255, 255)),
    ],
    np.int32,
)
INK_CODES: Final = tuple(30 + n if n < _DIM else 82 + n for n in range(16))
GROUND_CODES: Final = tuple(40 + n % _DIM for n in range(16))
GLYPHS: Final = ("▄", "▀", "█", " ")
_LOWER, _UPPER, _FULL, _NONE = range(4)
_DITHER_GAIN: Final = 5
_DITHER_MOST: Final = 96
"""Largest change of a channel by dithering; large, because the steps between the colours are wide."""


def nearest() -> NDArray[np.uint8]:
    """For each 15-bit colour the number of the nearest colour in the palette."""
    rgb = np.stack(np.meshgrid(*[np.arange(32) * 255 // 31] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    error = ((PALETTE[None] - rgb[:, None]) ** 2).sum(axis=2)
    numbers: NDArray[np.uint8] = error.argmin(axis=1).astype(np.uint8)
    return numbers


def spread(channels: NDArray[np.int16], dither: NDArray[np.int16]) -> NDArray[np.int16]:
    """Channels (n, 3), made lighter and darker by a pattern of -22 to 23 (n); black stays black."""
    moved = np.minimum(channels, _DITHER_MOST) * (dither * _DITHER_GAIN)[:, None] >> 8
    out: NDArray[np.int16] = np.clip(channels + moved, 0, 255)
    return out


def split_cells(top: _Index, bottom: _Index) -> SplitCells:
    """For each cell with these two colours: the glyph's number in `GLYPHS`, ink, ground, and whether it needs ink."""
    swapped = (top >= _DIM) & (bottom < _DIM)
    ink, ground = np.where(swapped, top, bottom), np.where(swapped, bottom, top)
    same = top == bottom
    glyphs = np.where(swapped, _UPPER, _LOWER)
    glyphs[same] = _FULL
    empty = same & (top < _DIM)
    glyphs[empty] = _NONE
    return glyphs, ink, np.where(same & ~empty, 0, ground % _DIM), ~empty
