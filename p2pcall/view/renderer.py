"""The seam between the call screen and the ways to draw: what a renderer does, and which one a mode has.

A renderer is made for one size of the terminal and lives until that, or the mode, changes. Left out: where things are
(`layout`), text (`theme`).
"""

from typing import Protocol

from .cells import Canvas, CellRenderer, Cells
from .layout import Layout, Pixels, Rect
from .probe import Ability, Mode


class Renderer(Protocol):
    """Makes the bytes that change what the terminal shows; remembers what it shows."""

    def blank_canvas(self, rgb: tuple[int, int, int] = (0, 0, 0)) -> Canvas:
        """The ground behind pictures, all of one colour."""

    def scale_to(self, rect: Rect, frame_w: int, frame_h: int) -> tuple[int, int]:
        """Width and height in pixels that a picture of this size should have for `rect`."""

    def put(self, canvas: Canvas, rect: Rect, picture: Pixels) -> None:
        """Show this picture (RGBA, of the size of `scale_to`) in `rect`, until the next `paint`."""

    def forget(self, cells: Cells | None = None) -> None:
        """These cells (None: all) show something else now."""

    def paint(self, canvas: Canvas, covered: Cells | None = None) -> bytes:
        """The bytes that make the terminal show canvas and pictures, except cells `covered` by text."""

    def end(self) -> bytes:
        """The bytes that remove what would stay when the cells are cleared; nothing is painted after that."""


def most_cells(mode: Mode, cell_w: float, cell_h: float) -> tuple[int, int] | None:
    """The columns and rows that a picture may have in this mode, on cells of this size in pixels; None: any."""
    if mode is not Mode.SIXEL or not cell_w or not cell_h:
        return None
    from .sixel import SIXEL_MOST

    return max(1, int(SIXEL_MOST[0] / cell_w)), max(1, int(SIXEL_MOST[1] / cell_h))


def renderer_for(layout: Layout, mode: Mode, ability: Ability) -> Renderer:
    """The renderer of a mode. Code for pixels is imported where it is used."""
    if mode is Mode.KITTY:
        from .kitty import KittyRenderer

        return KittyRenderer(layout, ability)
    if mode is Mode.SIXEL:
        from .sixel import SixelRenderer

        return SixelRenderer(layout, ability)
    if mode in (Mode.QUADRANTS, Mode.SEXTANTS, Mode.BRAILLE):
        from .fine_cells import FineRenderer

        return FineRenderer(layout.cols, layout.canvas_rows, mode, ability)
    return CellRenderer(layout.cols, layout.canvas_rows, mode, ability)
