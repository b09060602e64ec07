"""Pixels to the bytes that draw them in text cells: half blocks in 24-bit, 256 or 16 colours, or characters.

Rules: only cells that changed visibly are drawn; a colour or cursor position that is already set is not sent again;
numpy works on whole arrays, because a long part in pure Python would keep the interpreter's lock and delay the sound
(budget: 1 ms at 120×40, `tests/bench`). A canvas is uint8 (2·rows, cols, 4), RGBA, alpha always 255: one pixel is
half a cell.

How bytes are made: every changed cell gets a record of fixed length (move, colours, glyph); parts that are not needed
are NUL; at the end all NULs are removed. Follows ECMA-48 CUP, CUF, SGR, and xterm's SGR 38/48; `ansi16` does the 16
colours. Left out: text (`screen`).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from . import ansi16
from .probe import Ability, Colours, Mode

Canvas = NDArray[np.uint8]
Cells = NDArray[np.bool_]
_Words = NDArray[np.uint32]
_Index = NDArray[np.intp]

MAX_CELLS_SIDE: Final = 999
"""Rows and columns beyond this are not drawn, because numbers in a record have three digits."""

_THRESHOLD: Final = {Colours.TRUE: 5, Colours.C256: 12, Colours.C16: 12, Colours.NONE: 10}
"""A cell is not redrawn if no colour channel has changed by more than this (of 255) since it was drawn."""
SETTLE_FRAMES: Final = 16
"""In each frame one of this many rows is compared without the threshold, so small differences disappear in time."""
_SIX_BITS: Final = np.uint8(0xFC)

# Glyph for the brightness of the upper (row) and the lower half (column) of a cell, measured in DejaVu Sans Mono.
_RAMP: Final = (
    "  .-_,,~~;+++sss",
    " `._,~~;;++++ssu",
    "``::~~;;++++ssuu",
    "''::;;;+++|ssuuu",
    "''::;;/++|issuua",
    '\'""!!//+|issuuaa',
    '""!!!\\(|cvsuuaaw',
    '"^!!\\(=cvxxueaww',
    "^^!!??=v}{ooeww&",
    "***????}nnoeew&&",
    "**????YnII%Z$m&&",
    "**???YYII%ZX$A&&",
    "*??YYYTIVSXUAAQQ",
    "*?YYTTTV55UUOQQ@",
    "?YTTTTV5596O#QQ@",
    "YTTTTV559990DWW@",
)

# Ordered dithering (Bayer, 4×4): how many 256ths a pixel is made lighter or darker.
_BAYER: Final = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.int16) * 3 - 22


def _words(texts: list[bytes], length: int = 4) -> _Words:
    """Texts padded with NUL to `length` bytes each, as little-endian words to be stored in records."""
    joined = b"".join(text.ljust(length, b"\0") for text in texts)
    return np.frombuffer(joined, np.dtype("<u4")).reshape(len(texts), -1)


_NUMBER: Final = _words([b"%d" % n for n in range(MAX_CELLS_SIDE + 1)])[:, 0]
_NUMBER_SEMICOLON: Final = _words([b"%d;" % n for n in range(MAX_CELLS_SIDE + 1)])[:, 0]
_DIGITS: Final = _words([b"%03d" % n for n in range(256)])[:, 0]
_CSI: Final = np.uint32(int.from_bytes(b"\x1b[", "little"))
_CUP_END, _CUF_END, _SGR_END = (np.uint32(ord(c) << 24) for c in "HCm")
_INK_END: Final = np.array([ord("m") << 24, ord(";") << 24], "<u4")
_SEPARATORS: Final = np.array([ord(";") << 24, ord(";") << 24, 0], "<u4")
_INK: Final = {
    Colours.TRUE: _words([b"", b"\x1b[38;2;"], 8),
    Colours.C256: _words([b"", b"\x1b[38;5;"], 8),
    Colours.C16: _words([b"", b"\x1b["], 8),
}
_GROUND: Final = {
    Colours.TRUE: _words([b"", b"\x1b[48;2;", b"", b"48;2;"], 8),
    Colours.C256: _words([b"", b"\x1b[48;5;", b"", b"48;5;"], 8),
    Colours.C16: _words([b"", b"\x1b[", b"", b""], 8),
}
_LUMA: Final = np.array([77, 150, 29], np.uint16)  # Rec. 601, sums to 256
_BLOCK_GLYPHS: Final = _words(["▄".encode(), b" "])[:, 0]
_GLYPHS_16: Final = _words([glyph.encode() for glyph in ansi16.GLYPHS])[:, 0]
_INK_16: Final = _words([b"%d" % code for code in ansi16.INK_CODES])[:, 0]
_GROUND_16: Final = _words([b"%d" % code for code in ansi16.GROUND_CODES])[:, 0]
_ASCII_GLYPHS: Final = np.frombuffer("".join(_RAMP).encode("ascii"), np.uint8).astype("<u4")


def fit(
    frame_w: int, frame_h: int, cols: int, rows: int, cell_aspect: float = 2.0
) -> tuple[int, int, int, int]:
    """The largest (x, y, width, height) in cells, centred in cols × rows, that keeps the frame's aspect.

    `cell_aspect` is height by width of one cell. A side is at least one cell.
    """
    frame_w, frame_h, cols, rows = max(1, frame_w), max(1, frame_h), max(1, cols), max(1, rows)
    tall = cols * frame_h / (frame_w * cell_aspect)
    if tall <= rows:
        w, h = cols, max(1, round(tall))
    else:
        w, h = max(1, min(cols, round(rows * cell_aspect * frame_w / frame_h))), rows
    return (cols - w) // 2, (rows - h) // 2, w, h


def _palette() -> NDArray[np.uint8]:
    """For each 15-bit colour the nearest of 256 colours: the 6×6×6 cube (16..231) or the greys (232..255)."""
    levels = np.array([0, 95, 135, 175, 215, 255], np.int32)
    rgb = np.stack(np.meshgrid(*[np.arange(32) * 255 // 31] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    step = np.abs(rgb[:, :, None] - levels).argmin(axis=2)
    cube_error = ((levels[step] - rgb) ** 2).sum(axis=1)
    grey = np.clip((rgb.mean(axis=1).round().astype(np.int32) - 3) // 10, 0, 23)
    grey_error = (((8 + 10 * grey)[:, None] - rgb) ** 2).sum(axis=1)
    cube = 16 + step @ np.array([36, 6, 1])
    nearest: NDArray[np.uint8] = np.where(grey_error < cube_error, 232 + grey, cube).astype(np.uint8)
    return nearest


class CellRenderer:
    """Remembers what a terminal of cols × rows cells shows, and makes the bytes that change it to the next canvas."""

    def __init__(self, cols: int, rows: int, mode: Mode, ability: Ability) -> None:
        self.cols, self.rows = min(cols, MAX_CELLS_SIDE), min(rows, MAX_CELLS_SIDE)
        self._colours = ability.colours
        self._blocks = mode is Mode.BLOCKS
        if self._blocks and not ability.colours:
            raise ValueError("blocks need colours")
        self._light = ability.light and not ability.colours
        self._threshold = np.full((self.rows, 1, 1, 1), _THRESHOLD[ability.colours], np.uint8)
        self._shown = np.zeros((self.rows, 2, self.cols, 4), np.uint8)
        self._unknown = np.ones((self.rows, self.cols), np.bool_)
        self._row = np.repeat(np.arange(self.rows, dtype=np.intp), self.cols)
        self._frame = 0
        self._buffer = np.empty((self.rows * self.cols, 14 if ability.colours is Colours.TRUE else 10), "<u4")
        tiles = (2 * self.rows // 4 + 1, self.cols // 4 + 1)
        self._dither = np.tile(_BAYER, tiles)[: 2 * self.rows, : self.cols].reshape(-1)
        tables = {Colours.C256: _palette, Colours.C16: ansi16.nearest}
        self._nearest = tables[ability.colours]() if ability.colours in tables else None

    def blank_canvas(self, rgb: tuple[int, int, int] = (0, 0, 0)) -> Canvas:
        """A canvas of this size, all of one colour."""
        canvas = np.empty((2 * self.rows, self.cols, 4), np.uint8)
        canvas[:] = (*rgb, 255)
        return canvas

    def scale_to(self, rect: tuple[int, int, int, int], frame_w: int, frame_h: int) -> tuple[int, int]:
        """As in `renderer.Renderer`: two pixels a cell."""
        _, _, w, h = rect
        return w, 2 * h

    def put(self, canvas: Canvas, rect: tuple[int, int, int, int], picture: Canvas) -> None:
        """As in `renderer.Renderer`: the picture is copied onto the canvas."""
        x, y, w, h = rect
        canvas[2 * y : 2 * (y + h), x : x + w] = picture

    def end(self) -> bytes:
        """As in `renderer.Renderer`: nothing stays."""
        return b""

    def forget(self, cells: Cells | None = None) -> None:
        """Marks these cells (None: all) as unknown, because something else was drawn there. `paint` redraws them."""
        if cells is None:
            self._unknown[:] = True
        else:
            self._unknown |= cells

    def paint(self, canvas: Canvas, covered: Cells | None = None) -> bytes:
        """The bytes that make the terminal show `canvas`, except cells `covered` by text; b"" if nothing changed.

        Colours are reset at the end; the cursor may be anywhere. The drawn cells are remembered as shown.
        """
        pixels = canvas.reshape(self.rows, 2, self.cols, 4)
        if self._colours is Colours.TRUE:
            # Six bits a channel: not visible, and more neighbours are equal and less noise causes changes.
            pixels = np.bitwise_or(pixels & _SIX_BITS, pixels >> 6, dtype=np.uint8)
        where = self._changed(pixels, covered)
        if not len(where):
            return b""
        flat, shown = pixels.view("<u4").reshape(-1), self._shown.view("<u4").reshape(-1)
        upper = where + self._row[where] * self.cols
        lower = upper + self.cols
        top, bottom = flat[upper], flat[lower]
        shown[upper], shown[lower] = top, bottom
        self._unknown.reshape(-1)[where] = False
        if self._blocks:
            if self._nearest is not None:
                top, bottom = self._index(top, upper), self._index(bottom, lower)
            records = self._block_records(top, bottom)
        else:
            records = self._ascii_records(top, bottom)
        self._moves(where, records)
        data = records.reshape(-1).view(np.uint8)
        drawing: bytes = data[data != 0].tobytes()
        return drawing + (b"\x1b[0m" if self._colours else b"")

    def _changed(self, pixels: NDArray[np.uint8], covered: Cells | None) -> _Index:
        """Indexes of the cells to draw, in reading order."""
        self._frame += 1
        threshold = self._threshold
        settling = np.arange(self._frame % SETTLE_FRAMES, self.rows, SETTLE_FRAMES)
        usual = threshold[settling]
        threshold[settling] = 0
        moved = (np.maximum(pixels, self._shown) - np.minimum(pixels, self._shown)) > threshold
        threshold[settling] = usual
        changed = moved.view("<u4")[..., 0] != 0
        cells = changed[:, 0] | changed[:, 1] | self._unknown
        if covered is not None:
            cells &= ~covered
        return np.flatnonzero(cells)

    def _moves(self, where: _Index, records: _Words) -> None:
        """Write the cursor movement, if one is needed, into the first three words of each record."""
        column = where - self._row[where] * self.cols
        jump = np.ones(len(where), np.bool_)
        jump[1:] = where[1:] != where[:-1] + 1
        jump |= column == 0  # never by wrapping at the right edge
        at = np.flatnonzero(jump)
        records[at, 0] = _CSI
        records[at, 1] = _NUMBER_SEMICOLON[self._row[where[at]] + 1]
        records[at, 2] = _NUMBER[column[at] + 1] | _CUP_END
        if len(at) < 2:
            return
        # For a move to the right in the same row "forward n" is shorter than a position.
        before = where[at[1:] - 1]
        same = np.flatnonzero(self._row[before] == self._row[where[at[1:]]])
        hop = at[1:][same]
        records[hop, 1] = 0
        records[hop, 2] = _NUMBER[where[hop] - before[same] - 1] | _CUF_END

    def _block_records(self, top: _Words, bottom: _Words) -> _Words:
        """Records of a lower half block with ink and ground, or a space where both halves are equal.

        The lower block, because many fonts draw the upper one a little into the cell above.
        """
        if self._colours is Colours.C16:
            numbers, ink, ground, inked = ansi16.split_cells(top.astype(np.intp), bottom.astype(np.intp))
            return self._inked(_GLYPHS_16[numbers], ink.astype("<u4"), ground.astype("<u4"), inked)
        inked = top != bottom
        return self._inked(_BLOCK_GLYPHS[(~inked).view(np.uint8)], bottom, top, inked)

    def _inked(self, glyphs: _Words, ink: _Words, ground: _Words, inked: Cells) -> _Words:
        """Records of these glyphs; ink is set only where `inked`."""
        drawn = np.where(inked, np.arange(len(ink)), -1)
        last_inked = np.maximum.accumulate(drawn)
        ink_in_force = np.empty(len(ink), np.intp)
        ink_in_force[0], ink_in_force[1:] = -1, last_inked[:-1]
        new_ink = inked & ((ink_in_force < 0) | (ink != ink[ink_in_force]))
        new_ground = np.ones(len(ink), np.bool_)
        new_ground[1:] = ground[1:] != ground[:-1]
        return self._records(glyphs, ink, new_ink, ground, new_ground)

    def _ascii_records(self, top: _Words, bottom: _Words) -> _Words:
        """Records of one character each, by the brightness of both halves, in the cell's colour on black."""
        upper, lower = (half.view(np.uint8).reshape(-1, 4)[:, :3].astype(np.uint16) for half in (top, bottom))
        light_up, light_down = ((half @ _LUMA) >> 12 for half in (upper, lower))
        if self._light:
            light_up, light_down = 15 - light_up, 15 - light_down
        glyphs = _ASCII_GLYPHS[light_up * 16 + light_down]
        if not self._colours:
            records = self._buffer[: len(top), :4]
            records[:, :3] = 0
            records[:, 3] = glyphs
            return records
        # The glyph shows the brightness, the ink the hue, so the ink is scaled until its brightest channel is nearly
        # full. The ground is a dim shade of the same hue.
        mean = (upper + lower) >> 1
        peak = np.maximum(mean.max(axis=1), 48)
        inks = self._colour(mean * np.uint16(235) // peak[:, None] & np.uint16(0xF0))
        if self._colours is Colours.C16:
            mean = np.zeros_like(mean)  # every ground except black is too bright
        grounds = self._colour((mean * np.uint16(3) >> 3) & np.uint16(0xF8))
        new_ink, new_ground = (np.ones(len(top), np.bool_) for _ in range(2))
        new_ink[1:] = inks[1:] != inks[:-1]
        new_ground[1:] = grounds[1:] != grounds[:-1]
        return self._records(glyphs, inks, new_ink, grounds, new_ground)

    def _colour(self, channels: NDArray[np.integer[Any]]) -> _Words:
        """Colours in the form for `_digits`, from (n, 3) channels."""
        pixels = np.full((len(channels), 4), 255, np.uint8)
        pixels[:, :3] = channels
        colours: _Words = pixels.view(np.uint32).reshape(-1)
        return colours if self._nearest is None else self._index(colours)

    def _records(
        self, glyphs: _Words, ink: _Words, new_ink: Cells, ground: _Words, new_ground: Cells
    ) -> _Words:
        """Words: move 3 · ink introducer 2 · ink n · ground introducer 2 · ground n · glyph 1."""
        n = 3 if self._colours is Colours.TRUE else 1
        records = self._buffer[: len(glyphs)]
        records[:, :3] = 0
        records[:, 3:5] = _INK[self._colours].take(new_ink.view(np.uint8), axis=0)
        records[:, 5 : 5 + n] = self._digits(ink, _INK_16)
        records[:, 4 + n] |= _INK_END.take(new_ground.view(np.uint8))
        introducer = new_ground.view(np.uint8) * 1 + (new_ink & new_ground).view(np.uint8) * 2
        records[:, 5 + n : 7 + n] = _GROUND[self._colours].take(introducer, axis=0)
        records[:, 7 + n : 7 + 2 * n] = self._digits(ground, _GROUND_16)
        records[:, 6 + 2 * n] |= _SGR_END
        records[~new_ink, 5 : 5 + n] = 0
        records[~new_ground, 7 + n : 7 + 2 * n] = 0
        records[:, 7 + 2 * n] = glyphs
        return records

    def _digits(self, colours: _Words, of_16: _Words) -> _Words:
        """The parameters of the colours in SGR 38 or 48, after the kind: "r;g;b" in three words, or a number in one.
        For 16 colours the number alone.

        The last byte is free for the next character. Leading zeros cost 7 % more bytes and save a quarter of the time.
        """
        if self._colours is Colours.C16:
            return of_16.take(colours)[:, None]
        if self._colours is Colours.C256:
            return _DIGITS.take(colours)[:, None]
        channels = colours.view(np.uint8).reshape(-1, 4)[:, :3]
        numbers: _Words = np.bitwise_or(_DIGITS.take(channels), _SEPARATORS)
        return numbers

    def _index(self, colours: _Words, places: _Index | None = None) -> _Words:
        """Numbers of the nearest of 256 or 16 colours; if `places` are given, dithered in a fixed pattern."""
        assert self._nearest is not None
        channels = colours.view(np.uint8).reshape(-1, 4)[:, :3].astype(np.int16)
        if places is not None and self._colours is Colours.C16:
            channels = ansi16.spread(channels, self._dither[places])
        elif places is not None:
            channels = np.clip(channels + (channels * self._dither[places][:, None] >> 8), 0, 255)
        red, green, blue = (channels[:, i] >> 3 for i in range(3))
        numbers: _Words = self._nearest[(red << 10) | (green << 5) | blue].astype(np.uint32)
        return numbers
