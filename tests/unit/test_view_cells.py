"""The bytes that draw pictures, replayed in a terminal emulator and compared with what was to be seen."""

import re

import numpy as np
import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.view import ansi16
from p2pcall.view.cells import Canvas, CellRenderer, fit
from p2pcall.view.hud import Role
from p2pcall.view.probe import Ability, Colours, Mode
from p2pcall.view.theme import Ground, style

COLS, ROWS = 37, 11
ABILITIES = [
    (Mode.BLOCKS, Ability(Colours.TRUE)),
    (Mode.BLOCKS, Ability(Colours.C256)),
    (Mode.BLOCKS, Ability(Colours.C16)),
    (Mode.ASCII, Ability(Colours.C16)),
    (Mode.ASCII, Ability(Colours.TRUE)),
    (Mode.ASCII, Ability(Colours.C256)),
    (Mode.ASCII, Ability(Colours.NONE)),
]
MODES = pytest.mark.parametrize(("mode", "ability"), ABILITIES, ids=lambda p: getattr(p, "name", None))


class Emulator:
    """A terminal of COLS × ROWS."""

    def __init__(self, cols: int = COLS, rows: int = ROWS) -> None:
        self.screen = pyte.Screen(cols, rows)
        self._stream = pyte.ByteStream(self.screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    def cells(self) -> list[tuple[str, str, str]]:
        lines = self.screen.buffer
        places = ((row, col) for row in range(self.screen.lines) for col in range(self.screen.columns))
        seen = [lines[row][col] for row, col in places]
        return [(cell.data, "" if cell.data == " " else cell.fg, cell.bg) for cell in seen]

    def picture(self) -> Canvas:
        """What half blocks show, as a canvas without alpha."""
        out = np.zeros((2 * self.screen.lines, self.screen.columns, 3), np.uint8)
        for row in range(self.screen.lines):
            for col in range(self.screen.columns):
                cell = self.screen.buffer[row][col]
                out[2 * row, col] = list(bytes.fromhex(cell.bg))
                out[2 * row + 1, col] = list(bytes.fromhex(cell.fg if cell.data == "▄" else cell.bg))
        return out


def noise(seed: int, cols: int = COLS, rows: int = ROWS) -> Canvas:
    canvas = np.random.default_rng(seed).integers(0, 256, (2 * rows, cols, 4), dtype=np.uint8)
    canvas[..., 3] = 255
    return canvas


def error(seen: Canvas, wanted: Canvas) -> int:
    return int(np.abs(seen.astype(int) - wanted[..., :3].astype(int)).max())


def test_blocks_show_the_canvas() -> None:
    painter, terminal = CellRenderer(COLS, ROWS, Mode.BLOCKS, Ability()), Emulator()
    for seed in range(4):
        terminal.feed(painter.paint(noise(seed)))
        assert error(terminal.picture(), noise(seed)) <= 8


def test_after_a_while_nothing_is_left_of_the_threshold() -> None:
    painter, terminal = CellRenderer(COLS, ROWS, Mode.BLOCKS, Ability()), Emulator()
    first, second = painter.blank_canvas((100, 100, 100)), painter.blank_canvas((104, 104, 104))
    terminal.feed(painter.paint(first))
    for _ in range(20):
        terminal.feed(painter.paint(second))
    assert error(terminal.picture(), second) <= 3
    assert painter.paint(second) == b""


@MODES
def test_only_what_changed_is_drawn_and_it_is_the_same_as_all(mode: Mode, ability: Ability) -> None:
    """A screen drawn in steps looks like one drawn at once."""
    chance = np.random.default_rng(3)
    painter, terminal = CellRenderer(COLS, ROWS, mode, ability), Emulator()
    canvas = noise(1)
    for _ in range(6):
        where = chance.random(canvas.shape[:2]) < 0.1
        canvas[where] = noise(int(chance.integers(99)))[where]
        terminal.feed(painter.paint(canvas))
    shown = painter._shown.reshape(canvas.shape)
    whole = Emulator()
    whole.feed(CellRenderer(COLS, ROWS, mode, ability).paint(shown))
    assert terminal.cells() == whole.cells()


@MODES
def test_a_still_picture_costs_nothing(mode: Mode, ability: Ability) -> None:
    painter = CellRenderer(COLS, ROWS, mode, ability)
    first = painter.paint(noise(1))
    assert len(first) >= COLS * ROWS
    assert b"\0" not in first
    assert painter.paint(noise(1)) == b""


def test_small_changes_are_not_drawn() -> None:
    painter = CellRenderer(80, 24, Mode.BLOCKS, Ability())
    painter.paint(painter.blank_canvas((100, 100, 100)))
    drawn = len(painter.paint(painter.blank_canvas((105, 105, 105))))
    assert drawn < 24 * 80  # two of 24 rows settle in a frame, not all


def test_flat_runs_are_short() -> None:
    painter = CellRenderer(120, 39, Mode.BLOCKS, Ability())
    assert len(painter.paint(painter.blank_canvas((12, 12, 16)))) < 120 * 39 * 1.2


def test_covered_cells_are_left_alone_and_come_back() -> None:
    painter, terminal = CellRenderer(COLS, ROWS, Mode.BLOCKS, Ability()), Emulator()
    covered = np.zeros((ROWS, COLS), np.bool_)
    covered[4, 5:20] = True
    terminal.feed(b"\x1b[5;6Hhello there, bob")
    terminal.feed(painter.paint(noise(1), covered))
    assert terminal.screen.display[4][5:20] == "hello there, bo"
    painter.forget(covered)
    terminal.feed(painter.paint(noise(1)))
    assert error(terminal.picture(), noise(1)) <= 8


def test_forget_draws_all() -> None:
    painter = CellRenderer(COLS, ROWS, Mode.BLOCKS, Ability())
    first = painter.paint(noise(1))
    painter.forget()
    assert painter.paint(noise(1)) == first


def test_nothing_scrolls_and_nothing_runs_over_the_edge() -> None:
    painter, terminal = CellRenderer(COLS, ROWS, Mode.BLOCKS, Ability()), Emulator()
    canvas = painter.blank_canvas((50, 60, 70))
    terminal.feed(painter.paint(canvas))
    canvas[:, -1] = (255, 0, 0, 255)
    canvas[:, 0] = (0, 255, 0, 255)
    terminal.feed(painter.paint(canvas))
    assert error(terminal.picture(), canvas) <= 3


def test_characters_follow_brightness() -> None:
    painter, terminal = CellRenderer(16, 1, Mode.ASCII, Ability(Colours.NONE)), Emulator(16, 1)
    canvas = painter.blank_canvas()
    canvas[:, :, :3] = (np.arange(16) * 17)[None, :, None]
    terminal.feed(painter.paint(canvas))
    line = terminal.screen.display[0]
    assert line[0] == " "
    assert line[-1] == "@"
    light = CellRenderer(16, 1, Mode.ASCII, Ability(Colours.NONE, light=True))
    inked = Emulator(16, 1)
    inked.feed(light.paint(canvas))
    assert inked.screen.display[0][0] == "@"


def test_characters_of_no_colour_are_ascii_alone() -> None:
    painter = CellRenderer(COLS, ROWS, Mode.ASCII, Ability(Colours.NONE))
    data = painter.paint(noise(2))
    assert data.isascii()
    assert re.search(rb"\x1b\[[0-9;]*m", data) is None


def test_256_colours_are_near() -> None:
    painter = CellRenderer(3, 1, Mode.BLOCKS, Ability(Colours.C256))
    canvas = painter.blank_canvas()
    canvas[:, 0], canvas[:, 1], canvas[:, 2] = (255, 0, 0, 255), (0, 0, 0, 255), (255, 255, 255, 255)
    terminal = Emulator(3, 1)
    terminal.feed(painter.paint(canvas))
    assert error(terminal.picture(), canvas) <= 40


DIM_AND_BRIGHT = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")


def test_sixteen_colours_are_the_consoles_own() -> None:
    """Each in an upper and a lower half, also beside itself; a bright colour is never a ground."""
    pairs = [(upper, lower) for upper in range(16) for lower in range(16)]
    painter = CellRenderer(len(pairs), 1, Mode.BLOCKS, Ability(Colours.C16))
    canvas = painter.blank_canvas()
    for col, (upper, lower) in enumerate(pairs):
        canvas[0, col, :3], canvas[1, col, :3] = ansi16.PALETTE[upper], ansi16.PALETTE[lower]
    painter._dither[:] = 0
    terminal = Emulator(len(pairs), 1)
    terminal.feed(painter.paint(canvas))
    for col, (upper, lower) in enumerate(pairs):
        cell = terminal.screen.buffer[0][col]
        ink, ground = number_of(cell.fg), number_of(cell.bg)
        assert ground < 8
        seen = {"▄": (ground, ink), "▀": (ink, ground), "█": (ink, ink), " ": (ground, ground)}[cell.data]
        both_bright = min(upper, lower) >= 8 and upper != lower
        assert seen == ((upper - 8, lower) if both_bright else (upper, lower))


def number_of(colour: str) -> int:
    """Of a colour by the emulator's name."""
    bright = colour.removeprefix("bright")
    if colour == "default":
        return 0
    return DIM_AND_BRIGHT.index(bright.replace("yellow", "brown")) + 8 * (bright != colour)


@given(st.integers(0, 2**32 - 1))
def test_what_a_console_gets_has_its_codes_alone(seed: int) -> None:
    for mode in (Mode.BLOCKS, Mode.ASCII):
        data = CellRenderer(COLS, ROWS, mode, Ability(Colours.C16)).paint(noise(seed))
        assert console_codes(data)


def console_codes(data: bytes) -> set[int]:
    """The parameters of SGR in `data`; all are of sixteen colours, bold, or the reset, or the test fails."""
    found = {int(code) for codes in re.findall(rb"\x1b\[([0-9;]*)m", data) for code in codes.split(b";")}
    assert found <= {0, 1, *range(30, 38), *range(40, 48), *range(90, 98)}
    return found


def test_texts_on_a_console_have_its_codes_alone() -> None:
    looks = [style(role, ground, Colours.C16, mode) for role in Role for ground in Ground for mode in Mode]
    assert console_codes(b"".join(looks)) >= {0, 1, 40, 44, 97}
    for role in Role:
        for ground in Ground:
            assert len(console_codes(style(role, ground, Colours.C16, Mode.BLOCKS)) - {0, 1}) == 2


def test_blocks_need_colours() -> None:
    with pytest.raises(ValueError, match="colours"):
        CellRenderer(2, 2, Mode.BLOCKS, Ability(Colours.NONE))


@given(
    st.integers(1, 1280), st.integers(1, 960), st.integers(1, 300), st.integers(1, 100), st.floats(1.4, 2.6)
)
def test_fit_stays_inside_and_keeps_the_aspect(w: int, h: int, cols: int, rows: int, aspect: float) -> None:
    x, y, cells_w, cells_h = fit(w, h, cols, rows, aspect)
    assert 0 <= x <= cols - cells_w
    assert 0 <= y <= rows - cells_h
    assert cells_w == cols or cells_h == rows
    if cells_w == cols:
        assert abs(cells_h - cols * h / w / aspect) <= 0.51 or cells_h in (1, rows)
    else:
        assert abs(cells_w - rows * aspect * w / h) <= 0.51 or cells_w == 1


def test_fit_of_a_usual_picture() -> None:
    assert fit(320, 240, 120, 39) == (8, 0, 104, 39)
    assert fit(640, 360, 80, 23) == (0, 0, 80, 22)
