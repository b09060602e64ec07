"""Pictures as sixels (DEC VT340; xterm, foot and others): six rows of pixels in a character, a colour at a time.

The palette is fixed, six levels of each channel, dithered in a fixed pattern, so a still picture stays still. Pixels
below text are left out, and the terminal keeps there what it shows. All is numpy on whole arrays, as in `cells`
(budget: 5 ms for 480×360). Left out: run lengths of equal characters, which dithered pictures hardly have.

How bytes are made: every pixel becomes a number of colour, column and bit of its row; sorted within their band of six
rows, equal columns of a colour are together, and their bits are summed. Each such column is a record of eight bytes:
the empty columns before it, and its character; a colour begins with a record of its own. NULs are removed at the end.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from p2pcall.media.constants import VIDEO_MAX_HEIGHT, VIDEO_MAX_WIDTH

from .graphics import SIXEL_LEVELS
from .layout import Layout, Pixels, Rect
from .pixels import PixelRenderer, Placed, cursor_at, with_holes
from .probe import Ability

_Words = NDArray[np.uint32]

SIXEL_MOST: Final = (VIDEO_MAX_WIDTH, VIDEO_MAX_HEIGHT)
"""A picture is drawn no larger: it has no more pixels. xterm leaves out whole what has more than 1000 on a side."""
_BAND: Final = 6
_VALUES: Final = 8
_COLOURS: Final = _VALUES**3
"""Three bits of each channel, of whose values two are not used."""
_HOLE: Final = np.uint32(_COLOURS - 1)
"""The colour of what is left out: sorted behind all others."""
_COLOUR_SHIFT, _COLUMN_SHIFT = np.uint32(16), np.uint32(6)
_COLUMN_MASK, _BITS_MASK = np.uint32(0x3FF), np.uint32(0x3F)
_HALVES, _EIGHTHS = np.uint32(0x7F7F7F), np.uint32(0x1F1F1F)
"""What a half and an eighth of each channel of a pixel have of its bits."""
_RED, _GREEN, _BLUE = np.uint32(0xE0), np.uint32(0xE000), np.uint32(0xE00000)
"""The upper three bits of each channel of a pixel."""
_RED_LEFT, _GREEN_LEFT, _BLUE_RIGHT = np.uint32(17), np.uint32(6), np.uint32(5)
"""How far they are from their place in a colour."""
_CHARACTER_SHIFT: Final = np.uint64(48)
"""The place of a character in a record: behind the longest gap, `!999?`, in its seventh byte."""
_COLUMN_RECORD_BYTES: Final = 8
_SLICE_PIXELS: Final = 1 << 16
"""A slice has no more pixels: then its arrays stay in the processor's cache, and their memory is used again."""
_SLICE_ROWS: Final = 24
"""A slice has a multiple of this many rows: whole bands, and whole patterns of dithering."""
_SPREAD: Final = 8
"""Side of the pattern of dithering."""


def _pattern() -> NDArray[np.uint32]:
    """Ordered dithering (Bayer, 8×8), 0 to 31, the same in each channel of a pixel."""
    pattern = np.zeros((1, 1), np.uint32)
    while len(pattern) < _SPREAD:
        four = 4 * pattern
        pattern = np.block([[four, four + 2], [four + 3, four + 1]]).astype(np.uint32)
    pattern >>= 1
    return pattern * np.uint32(0x010101)


def _eights(texts: list[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(text.ljust(_COLUMN_RECORD_BYTES, b"\0") for text in texts), np.dtype("<u8"))


def _levels(colour: int) -> tuple[int, int, int]:
    return colour // _VALUES**2, colour // _VALUES % _VALUES, colour % _VALUES


def _registers() -> tuple[bytes, NDArray[np.uint64]]:
    """The definition of all registers, and what chooses each colour."""
    define: list[str] = []
    choose = [b""] * _COLOURS
    for colour in range(_COLOURS):
        levels = _levels(colour)
        if max(levels) < SIXEL_LEVELS:
            shares = ";".join(str(round(100 * level / (SIXEL_LEVELS - 1))) for level in levels)
            choose[colour] = b"$#%d" % len(define)
            define.append(f"#{len(define)};2;{shares}")
    return "".join(define).encode(), _eights(choose)


_DEFINE, _CHOOSE = _registers()
_GAP: Final = _eights([b"?" * n if n < 4 else b"!%d?" % n for n in range(SIXEL_MOST[0] + 1)])
_NEXT_BAND: Final = _eights([b"-"])[0]
_DITHER: Final = _pattern()


def _grid(width: int, bands: int) -> _Words:
    """Column and bit of every pixel of a picture of that many bands."""
    columns = np.arange(width, dtype=np.uint32) << _COLUMN_SHIFT
    bits = np.uint32(1) << np.arange(_BAND, dtype=np.uint32)
    return np.tile(columns | bits[:, None], (bands, 1))


class SixelEncoder:
    """Encodes pictures of one size, in slices."""

    def __init__(self, width: int, height: int) -> None:
        """`width` is at most that of `SIXEL_MOST`."""
        self._head = b'\x1bP0;1;0q"1;1;%d;%d' % (width, height) + _DEFINE
        self._rows = max(1, _SLICE_PIXELS // (_SLICE_ROWS * width)) * _SLICE_ROWS
        tops = range(0, height, self._rows)
        heights = [min(self._rows, height - top) for top in tops]
        made = {rows: _Slice(width, rows) for rows in set(heights)}
        self._slices = [(top, made[rows]) for top, rows in zip(tops, heights, strict=True)]

    def encode(self, pixels: Pixels) -> bytes:
        """The sequence that draws RGBA pixels at the cursor; those without alpha are left out."""
        drawn = (part.encode(pixels[top : top + self._rows]) for top, part in self._slices)
        return self._head + b"-".join(drawn) + b"\x1b\\"


class _Slice:
    """Encodes some bands."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._bands = -(-height // _BAND)
        self._grid = _grid(width, self._bands)
        tiles = (height // _SPREAD + 1, width // _SPREAD + 1)
        self._dither = np.ascontiguousarray(np.tile(_DITHER, tiles)[:height, :width])

    def encode(self, pixels: Pixels) -> bytes:
        """The bands of these pixels."""
        keys = self._sorted(pixels)
        size = keys.shape[1]
        flat = keys.reshape(-1)
        columns = flat >> _COLUMN_SHIFT
        first = np.empty(len(flat), np.bool_)
        np.not_equal(columns[1:], columns[:-1], out=first[1:])
        first[::size] = True
        at = np.flatnonzero(first)
        last = np.append(at[1:], len(flat)) - 1
        sums = np.cumsum(flat & _BITS_MASK, dtype=np.uint32)[last]
        bits = sums.copy()
        bits[1:] -= sums[:-1]
        columns = columns[at]
        drawn = columns < _HOLE << (_COLOUR_SHIFT - _COLUMN_SHIFT)
        if not drawn.all():
            at, columns, bits = at[drawn], columns[drawn], bits[drawn]
        begins = np.searchsorted(at, np.arange(self._bands) * size)
        return self._records(columns, bits, begins)

    def _sorted(self, pixels: Pixels) -> _Words:
        """For each band its pixels, as colour, column and bit, in this order."""
        rgba: _Words = np.ascontiguousarray(pixels).view("<u4")[..., 0]
        # All channels of a pixel at once: ⅝ of it and the pattern, of which the upper three bits are its level.
        level: _Words = rgba >> np.uint32(1) & _HALVES
        level += rgba >> np.uint32(3) & _EIGHTHS
        level += self._dither
        colour: _Words = (level & _RED) << _RED_LEFT
        colour |= (level & _GREEN) << _GREEN_LEFT
        colour |= (level & _BLUE) >> _BLUE_RIGHT
        clear = rgba < np.uint32(1 << 24)
        if clear.any():
            colour[clear] = _HOLE << _COLOUR_SHIFT
        if missing := len(self._grid) - self._height:
            rest = np.full((missing, self._width), _HOLE << _COLOUR_SHIFT, np.uint32)
            colour = np.concatenate([colour, rest])
        colour |= self._grid
        keys: _Words = colour.reshape(self._bands, -1)
        keys.sort(axis=1)
        return keys

    def _records(self, columns: _Words, bits: _Words, begins: NDArray[np.intp]) -> bytes:
        """The bytes of these columns of colours; a band has those from one of `begins` to the next."""
        count = len(columns)
        colour = columns >> (_COLOUR_SHIFT - _COLUMN_SHIFT)
        place = (columns & _COLUMN_MASK).astype(np.int32)
        new = np.ones(count, np.bool_)
        np.not_equal(colour[1:], colour[:-1], out=new[1:])
        new[begins[begins < count]] = True
        starts = np.flatnonzero(new)
        gap = place - 1
        gap[1:] -= place[:-1]
        gap[starts] = place[starts]
        records = _GAP[gap]
        records |= (bits.astype("<u8") + np.uint64(ord("?"))) << _CHARACTER_SHIFT
        colours_before = np.cumsum(new)
        where = colours_before + np.arange(count)
        where += np.repeat(np.arange(len(begins)), np.diff(np.append(begins, count)))
        out = np.zeros(count + len(starts) + len(begins), "<u8")
        out[where] = records
        out[where[starts] - 1] = _CHOOSE[colour[starts]]
        later = begins[1:]
        colours = np.concatenate([[0], colours_before])[later]
        out[later + colours + np.arange(len(later))] = _NEXT_BAND
        return out.tobytes().translate(None, b"\0")


class SixelRenderer(PixelRenderer):
    """A `Renderer` for a terminal that says that it draws sixels."""

    stacked = False

    def __init__(self, layout: Layout, ability: Ability) -> None:
        super().__init__(layout, ability)
        self._encoders: dict[tuple[int, int], SixelEncoder] = {}

    def scale_to(self, rect: Rect, frame_w: int, frame_h: int) -> tuple[int, int]:
        """The pixels of the place, because the terminal does not scale."""
        w, h = self._layout.pixels(rect)
        return min(w, SIXEL_MOST[0]), min(h, SIXEL_MOST[1])

    def _draw(self, number: int, placed: Placed) -> bytes:
        height, width = placed.pixels.shape[:2]
        size = (width, height)
        if size not in self._encoders:
            self._encoders[size] = SixelEncoder(*size)
        return cursor_at(placed.rect) + self._encoders[size].encode(with_holes(placed))

    def _remove(self, number: int) -> bytes:
        return b""  # cells are drawn over it
