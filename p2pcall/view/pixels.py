"""Pictures in pixels between cells of text: what the renderers of pixel modes have in common.

The ground around pictures is drawn in cells, as in blocks. Pictures lie above cells, with holes where text is: where
pictures lie below, terminals do not agree on which cells hide them. A picture is sent again only if it, its place, or
the cells of text on it have changed. Left out: how pixels are encoded (`kitty`, `sixel`).
"""

from typing import Final

import numpy as np
from msgspec import Struct

from .cells import Canvas, CellRenderer, Cells
from .layout import Layout, Pixels, Rect
from .probe import Ability, Mode

_SAMPLE: Final = 16
"""One of this many rows is compared first: pictures of a camera differ in any of them."""


class Placed(Struct, eq=False):
    """A picture and its place; `holes` are the cells of it that are covered by text."""

    rect: Rect
    pixels: Pixels
    holes: Cells


class PixelRenderer:
    """A `Renderer`; how a picture is drawn and removed is left to who inherits."""

    stacked = True
    """Whether a picture stays above those before it when these are drawn again; else they have holes for it."""

    def __init__(self, layout: Layout, ability: Ability) -> None:
        self._layout = layout
        self._cells = CellRenderer(layout.cols, layout.canvas_rows, Mode.BLOCKS, ability)
        self._under = np.zeros((layout.canvas_rows, layout.cols), np.bool_)
        """Cells below pictures."""
        self._shown: list[Placed] = []
        self._next: list[tuple[Rect, Pixels]] = []

    def blank_canvas(self, rgb: tuple[int, int, int] = (0, 0, 0)) -> Canvas:
        """As in `Renderer`."""
        return self._cells.blank_canvas(rgb)

    def scale_to(self, rect: Rect, frame_w: int, frame_h: int) -> tuple[int, int]:
        """The pixels of the place."""
        raise NotImplementedError

    def put(self, canvas: Canvas, rect: Rect, picture: Pixels) -> None:
        """As in `Renderer`; the picture must not be changed afterwards."""
        self._next.append((rect, picture))

    def forget(self, cells: Cells | None = None) -> None:
        """As in `Renderer`."""
        self._cells.forget(cells)

    def paint(self, canvas: Canvas, covered: Cells | None = None) -> bytes:
        """As in `Renderer`."""
        texts = np.zeros_like(self._under) if covered is None else covered
        under = np.zeros_like(texts)
        pictures: list[Placed] = []
        for rect, pixels in reversed(self._next):  # the last one is on top
            holes = texts if self.stacked else texts | under
            pictures.insert(0, Placed(rect, pixels, _part(holes, rect).copy()))
            _part(under, rect)[:] = True
        self._next = []
        self._cells.forget(self._under & ~under)
        self._under = under
        removed = [self._remove(number) for number in range(len(pictures), len(self._shown))]
        cells = self._cells.paint(canvas, texts | under)
        drawn = self._draw_changed(pictures)
        self._shown = pictures
        return b"".join([*removed, cells, *drawn])

    def _draw_changed(self, pictures: list[Placed]) -> list[bytes]:
        """The bytes of the pictures that are not shown yet."""
        before = [*self._shown, *[None] * len(pictures)]
        return [
            self._draw(number, placed)
            for number, placed in enumerate(pictures)
            if not _same(before[number], placed)
        ]

    def end(self) -> bytes:
        """As in `Renderer`."""
        shown, self._shown = self._shown, []
        return b"".join(self._remove(number) for number in range(len(shown)))

    def _draw(self, number: int, placed: Placed) -> bytes:
        raise NotImplementedError

    def _remove(self, number: int) -> bytes:
        """Bytes in addition to the drawing of the cells."""
        raise NotImplementedError


def cursor_at(rect: Rect) -> bytes:
    """Puts the cursor into the upper left cell."""
    return b"\x1b[%d;%dH" % (rect.y + 1, rect.x + 1)


def _part(cells: Cells, rect: Rect) -> Cells:
    """The cells of `rect`, as a view."""
    return cells[rect.y : rect.y + rect.h, rect.x : rect.x + rect.w]


def with_holes(placed: Placed) -> Pixels:
    """The picture in a row, transparent where text is; to the nearest pixel."""
    pixels, holes = placed.pixels, placed.holes
    rows, cols = np.flatnonzero(holes.any(axis=1)), np.flatnonzero(holes.any(axis=0))
    if not len(rows):
        return np.ascontiguousarray(pixels)
    pixels = pixels.copy()
    height, width = pixels.shape[:2]
    row_of = (np.arange(height) * 2 + 1) * holes.shape[0] // (2 * height)
    col_of = (np.arange(width) * 2 + 1) * holes.shape[1] // (2 * width)
    top, bottom = np.searchsorted(row_of, [rows[0], rows[-1] + 1])
    left, right = np.searchsorted(col_of, [cols[0], cols[-1] + 1])
    words = pixels.view("<u4")[top:bottom, left:right, 0]
    words *= ~holes[np.ix_(row_of[top:bottom], col_of[left:right])]
    return pixels


def _same(before: Placed | None, now: Placed) -> bool:
    if before is None or before.rect != now.rect or not np.array_equal(before.holes, now.holes):
        return False
    one, other = before.pixels, now.pixels
    return one is other or (np.array_equal(one[::_SAMPLE], other[::_SAMPLE]) and np.array_equal(one, other))
