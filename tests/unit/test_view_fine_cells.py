"""Finer cells, replayed in a terminal emulator and compared with what was to be seen."""

import unicodedata

import numpy as np
import pytest
from test_view_cells import COLS, ROWS, Emulator
from test_view_screen import CALL, FakeTerminal, frame, near

from p2pcall.view.cells import Canvas
from p2pcall.view.fine_cells import GRAINS, FineRenderer, glyphs
from p2pcall.view.probe import Ability, Colours, Mode, with_named
from p2pcall.view.screen import Screen

FINE = pytest.mark.parametrize("mode", list(GRAINS))


def noise(mode: Mode, seed: int) -> Canvas:
    across, down = GRAINS[mode]
    canvas = np.random.default_rng(seed).integers(0, 256, (down * ROWS, across * COLS, 4), dtype=np.uint8)
    canvas[..., 3] = 255
    return canvas


@FINE
def test_every_pattern_of_a_cell_has_its_own_character_of_one_cell(mode: Mode) -> None:
    across, down = GRAINS[mode]
    characters = glyphs(mode)
    assert len(characters) == len(set(characters)) == 1 << across * down
    assert all(unicodedata.east_asian_width(char) not in "WF" for char in characters)


def test_patterns_are_what_unicode_says() -> None:
    names = [unicodedata.name(char) for char in glyphs(Mode.SEXTANTS)]
    for bits, name in enumerate(names):
        if name.startswith("BLOCK SEXTANT-"):
            digits = "".join(str(place + 1) for place in range(6) if bits >> place & 1)
            assert name == f"BLOCK SEXTANT-{digits}"
    dots = "14253678"  # of braille, in reading order
    for bits, char in enumerate(glyphs(Mode.BRAILLE)):
        digits = "".join(sorted(dots[place] for place in range(8) if bits >> place & 1))
        assert unicodedata.name(char) == (
            f"BRAILLE PATTERN DOTS-{digits}" if digits else "BRAILLE PATTERN BLANK"
        )
    halves = {0b0011: "▀", 0b1100: "▄", 0b0101: "▌", 0b1010: "▐", 0b1001: "▚", 0b0110: "▞"}
    assert {bits: glyphs(Mode.QUADRANTS)[bits] for bits in halves} == halves


@FINE
def test_a_cell_of_two_colours_is_drawn_as_it_is(mode: Mode) -> None:
    across, down = GRAINS[mode]
    renderer, terminal = FineRenderer(COLS, ROWS, mode, Ability()), Emulator()
    canvas = renderer.blank_canvas((20, 30, 40))
    shape = np.random.default_rng(1).random(canvas.shape[:2]) > 0.5
    canvas[shape, :3] = (220, 200, 180)
    terminal.feed(renderer.paint(canvas))
    for row in range(ROWS):
        for col in range(COLS):
            cell = terminal.screen.buffer[row][col]
            wanted = shape[row * down : (row + 1) * down, col * across : (col + 1) * across].reshape(-1)
            if wanted.all() or not wanted.any():
                continue
            assert cell.data == glyphs(mode)[int(wanted @ (1 << np.arange(len(wanted))))]
            assert (cell.fg, cell.bg) == ("dcc8b4", "141e28")


@FINE
@pytest.mark.parametrize("colours", [Colours.TRUE, Colours.C256])
def test_fine_cells_that_changed_are_drawn_and_it_is_the_same_as_all(mode: Mode, colours: Colours) -> None:
    renderer, terminal = FineRenderer(COLS, ROWS, mode, Ability(colours)), Emulator()
    one, other = noise(mode, 1), noise(mode, 2)
    other[: len(one) // 2] = one[: len(one) // 2]
    whole = renderer.paint(one)
    terminal.feed(whole)
    part = renderer.paint(other)
    terminal.feed(part)
    assert 0 < len(part) < 0.7 * len(whole)
    fresh = Emulator()
    fresh.feed(FineRenderer(COLS, ROWS, mode, Ability(colours)).paint(other))
    assert terminal.cells() == fresh.cells()
    assert renderer.paint(other) == b""


@FINE
def test_a_fine_mode_is_drawn_only_if_it_is_named(mode: Mode) -> None:
    assert mode not in Ability().modes()
    named = with_named(Ability(), mode.value)
    assert named.modes() == (Mode.BLOCKS, Mode.ASCII, mode)
    assert named.auto is Mode.BLOCKS
    for poor in (Ability(Colours.C16), Ability(Colours.NONE), Ability(unicode=False)):
        assert mode not in with_named(poor, mode.value).modes()
    terminal = FakeTerminal()
    screen = Screen(terminal, mode, ability=named)
    screen.set_hud(CALL)
    assert "waiting for the picture" in terminal.text()
    screen.show(frame((200, 40, 40)))
    assert near(terminal.colour(5, 40), (200, 40, 40))
    across, down = GRAINS[mode]
    assert screen.view_size() == (80 * across, 23 * down)
    assert screen.next_mode() is Mode.BLOCKS
