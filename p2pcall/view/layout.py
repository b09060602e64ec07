"""Layout of the screen: pictures, boxes, the status line. Pure geometry, texts and still pictures.

The last row is the status line, everything above it the canvas. The other side's picture is as large as possible,
one's own is small in the lower right corner. Text is drawn over pictures: the renderer leaves out its cells.
"""

from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from .boxes import frame_lines, middle_box, stats_box
from .cells import Canvas, Cells, fit
from .hud import HudState, TextLine, line_width, placeholder
from .statusline import status_line
from .theme import AVATAR, FIGURE, Ground

Pixels = NDArray[np.uint8]

OWN_ALONE_S: Final = 0.25
"""Own pictures are drawn together with the other side's; after this time without one they are drawn alone."""
_OWN_SHARE: Final = 5
"""The own picture's width is the screen's width divided by this."""
_OWN_MIN_COLS, _OWN_MAX_COLS = 10, 40
_OWN_SCREEN_MIN: Final = (32, 8)
_AVATAR_SCREEN_MIN: Final = (24, 12)
_USUAL_CELL: Final = (8, 16)
"""Pixels of a cell where the terminal does not give them."""


class Rect(NamedTuple):
    """A part of the canvas in cells."""

    x: int
    y: int
    w: int
    h: int


class Span(NamedTuple):
    """A line of text at a place."""

    row: int
    col: int
    line: TextLine
    ground: Ground


class Layout(Struct, frozen=True):
    """A screen of `cols` × `rows` cells, each `cell_aspect` times as high as wide; `cell_w` × `cell_h` pixels are 0 if
    they are not known.
    """

    cols: int
    rows: int
    cell_aspect: float = 2.0
    cell_w: float = 0.0
    cell_h: float = 0.0
    most: tuple[int, int] | None = None
    """Most columns and rows of the other side's picture, if they are fewer than there are."""

    @property
    def canvas_rows(self) -> int:
        """Rows for pictures: all but the status line."""
        return max(0, self.rows - 1)

    @property
    def widest(self) -> Rect:
        """The place for the other side's picture."""
        cols, rows = self.most or (self.cols, self.canvas_rows)
        cols, rows = min(cols, self.cols), min(rows, self.canvas_rows)
        return Rect((self.cols - cols) // 2, (self.canvas_rows - rows) // 2, cols, rows)

    def pixels(self, rect: Rect) -> tuple[int, int]:
        """Width and height of a part of the canvas in the terminal's pixels, taken as usual ones if not known."""
        w, h = (self.cell_w, self.cell_h) if self.cell_w else _USUAL_CELL
        return rect.w * max(1, int(w)), rect.h * max(1, int(h))  # xterm counts its border among the cells

    def remote(self, frame_w: int, frame_h: int) -> Rect:
        """The place of the other side's picture."""
        left, top, cols, rows = self.widest
        x, y, w, h = fit(frame_w, frame_h, cols, rows, self.cell_aspect)
        return Rect(left + x, top + y, w, h)

    def own(self, frame_w: int, frame_h: int) -> Rect | None:
        """The place of one's own picture, without its border; None if the screen is too small for one."""
        if self.cols < _OWN_SCREEN_MIN[0] or self.canvas_rows < _OWN_SCREEN_MIN[1]:
            return None
        cols = min(_OWN_MAX_COLS, max(_OWN_MIN_COLS, self.cols // _OWN_SHARE))
        _, _, w, h = fit(frame_w, frame_h, cols, max(2, self.canvas_rows // 3), self.cell_aspect)
        # It has a frame of one cell, and one empty cell to the right of that.
        return Rect(self.cols - w - 2, self.canvas_rows - h - 1, w, h)


def texts(
    layout: Layout, state: HudState, unicode: bool, *, picture: bool, own: Rect | None = None
) -> list[Span]:
    """All text on the screen. `picture`: the other side's picture is shown; `own`: the place of one's own picture."""
    cols, rows = layout.cols, layout.canvas_rows
    spans = [Span(layout.rows - 1, 0, status_line(state, cols, unicode), Ground.BAR)] if layout.rows else []
    if own:
        over, under, side = frame_lines(own.w, own.h, unicode)
        spans += [
            Span(own.y - 1, own.x - 1, over, Ground.FRAME),
            Span(own.y + own.h, own.x - 1, under, Ground.FRAME),
        ]
        places = [(own.y + i, col) for i in range(own.h) for col in (own.x - 1, own.x + own.w)]
        spans += [Span(row, col, side, Ground.FRAME) for row, col in places]
    box = middle_box(state, cols, rows, unicode)
    if box:
        return spans + _centred((rows - len(box)) // 2, cols, box, Ground.BOX)
    if not picture and rows >= 2:
        spans += _centred(_words_row(layout), cols, placeholder(state, cols - 2, unicode), Ground.CANVAS)
    if state.show_stats:
        box = stats_box(state, cols, rows, unicode)
        row, col = (1, 2) if cols >= 60 and rows > len(box) else (0, 0)
        taken = range(row, row + len(box))
        spans = [span for span in spans if span.ground is not Ground.CANVAS or span.row not in taken]
        spans += [Span(row + i, col, line, Ground.BOX) for i, line in enumerate(box)]
    return spans


def _centred(row: int, cols: int, lines: list[TextLine], ground: Ground) -> list[Span]:
    return [Span(row + i, (cols - line_width(line)) // 2, line, ground) for i, line in enumerate(lines)]


def covered(layout: Layout, spans: list[Span]) -> Cells:
    """Which cells of the canvas are taken by text."""
    mask = np.zeros((layout.canvas_rows, layout.cols), np.bool_)
    for row, col, line, _ in spans:
        if row < layout.canvas_rows:
            mask[row, col : col + line_width(line)] = True
    return mask


def draw_avatar(canvas: Canvas, layout: Layout) -> None:
    """Draws head and shoulders in a disc, in place of the other side's picture."""
    if layout.cols < _AVATAR_SCREEN_MIN[0] or layout.canvas_rows < _AVATAR_SCREEN_MIN[1]:
        return
    height, cols = canvas.shape[:2]
    centre_y, radius = _avatar(layout)
    y, x = np.mgrid[0:height, 0:cols].astype(np.float32)
    across, down = cols / layout.cols, height / (2 * layout.canvas_rows)
    x = ((x + 0.5) / across - layout.cols / 2) / radius
    y = ((y + 0.5) / down - centre_y) * (layout.cell_aspect / 2) / radius
    edge = 1.0 / radius
    disc = np.hypot(x, y) - 1
    head = np.hypot(x, y + 0.26) - 0.36
    body = np.maximum(np.hypot(x / 0.68, (y - 0.92) / 0.72) - 1, disc + 0.02)
    for shape, rgb in ((disc, AVATAR), (head, FIGURE), (body, FIGURE)):
        share = np.clip(0.5 - shape / (2 * edge), 0, 1)[..., None]
        canvas[..., :3] = canvas[..., :3] * (1 - share) + np.array(rgb, np.float32) * share


def _avatar(layout: Layout) -> tuple[float, float]:
    """Middle (in pixels from the top) and radius (in pixel widths) of the disc."""
    pixels_high = 2 * layout.canvas_rows
    radius = min(0.26 * pixels_high * layout.cell_aspect / 2, 0.3 * layout.cols)
    return pixels_high * 0.4, radius


def _words_row(layout: Layout) -> int:
    """The row of the first line of the placeholder."""
    if layout.cols < _AVATAR_SCREEN_MIN[0] or layout.canvas_rows < _AVATAR_SCREEN_MIN[1]:
        return max(0, layout.canvas_rows // 2 - 1)
    centre_y, radius = _avatar(layout)
    bottom = (centre_y + radius * 2 / layout.cell_aspect) / 2
    return min(layout.canvas_rows - 2, int(bottom) + 2)
