"""Sixels: their bytes, decoded here and compared with the pixels; and their place on the call screen."""

import re

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray
from test_view_screen import CALL, FILMED, FakeTerminal, frame

from p2pcall.view.graphics import SIXEL_LEVELS, with_report
from p2pcall.view.keys import KeyParser
from p2pcall.view.probe import Ability, Mode
from p2pcall.view.screen import Screen
from p2pcall.view.sixel import SIXEL_MOST, SixelEncoder

SIXELS = re.compile(rb"\x1b\[(\d+);(\d+)H(\x1bP[^\x1b]*\x1b\\)")
PICTURE = re.compile(rb'\x1bP0;1;0q"1;1;(\d+);(\d+)((?:#\d+;2;\d+;\d+;\d+)*)(.*)\x1b\\')
PART = re.compile(rb"#(\d+)|!(\d+)([?-~])|([$-])|([?-~])")
STEP = 255 // (SIXEL_LEVELS - 1)
ABILITY = Ability(sixel=True)


def decoded(data: bytes) -> NDArray[np.int_]:
    """RGB; -1 where nothing is drawn. Every pixel is drawn once, and none outside."""
    found = PICTURE.fullmatch(data)
    assert found
    width, height = int(found[1]), int(found[2])
    out = np.full((height + 6, width, 3), -1)
    defined = re.findall(rb"#(\d+);2;(\d+);(\d+);(\d+)", found[3])
    registers = {int(number): [round(int(part) * 2.55) for part in rgb] for number, *rgb in defined}
    assert len(registers) == SIXEL_LEVELS**3
    x = y = end = 0
    colour = [0, 0, 0]
    for part in PART.finditer(found[4]):
        assert part.start() == end
        end = part.end()
        if part[1]:
            colour = registers[int(part[1])]
        elif part[4]:
            x, y = 0, y + 6 * (part[4] == b"-")
        else:
            count, bits = int(part[2] or 1), (part[3] or part[5])[0] - ord("?")
            for row in range(6):
                if bits >> row & 1:
                    assert (out[y + row, x : x + count] == -1).all()
                    out[y + row, x : x + count] = colour
            x += count
    assert end == len(found[4])
    assert (out[height:] == -1).all()
    return out[:height]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_every_pixel_is_drawn_once_in_a_near_colour_and_holes_are_left_out(w: int, h: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    pixels = chance.integers(0, 256, (h, w, 4), dtype=np.uint8)
    pixels[..., 3] = 255 * (chance.random((h, w)) > 0.3)
    if seed % 3 == 0:
        pixels[6:12] = 0  # a whole band
    seen = decoded(SixelEncoder(w, h).encode(pixels))
    hole = pixels[..., 3] == 0
    assert ((seen[..., 0] == -1) == hole).all()
    assert np.abs(seen - pixels[..., :3].astype(int))[~hole].max(initial=0) <= STEP + 2


def test_an_even_colour_keeps_its_mean() -> None:
    for rgb in ((0, 0, 0), (255, 255, 255), (200, 40, 90), (128, 128, 128)):
        pixels = np.full((48, 64, 4), (*rgb, 255), np.uint8)
        seen = decoded(SixelEncoder(64, 48).encode(pixels)).reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - rgb).max() < 7


def test_a_picture_of_the_largest_size_is_drawn() -> None:
    width, height = SIXEL_MOST
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[:, -1] = 255
    seen = decoded(SixelEncoder(width, height).encode(pixels))
    assert (seen[:, -1] > 200).all()
    assert (seen[:, :-1] == 0).all()
    assert max(SIXEL_MOST) <= 1000  # xterm leaves out more


class SixelTerminal(FakeTerminal):
    """Draws text by pyte, and sixels on pixels of 8×16 a cell, which text does not erase."""

    def __init__(self, cols: int = 80, rows: int = 24) -> None:
        super().__init__(cols, rows)
        self.places: list[tuple[int, int]] = []
        self.pictures: list[NDArray[np.int_]] = []

    def write(self, data: bytes, *, ask: bool = False) -> bool:
        self.writes.append(data)
        for row, col, sixels in SIXELS.findall(data):
            self.places.append((int(row) - 1, int(col) - 1))
            self.pictures.append(decoded(sixels))
        self.stream.feed(SIXELS.sub(b"", data))
        return True


def on(terminal: FakeTerminal, mode: Mode = Mode.SIXEL) -> Screen:
    return Screen(terminal, mode, ability=ABILITY)


@pytest.mark.parametrize(("cols", "rows"), [(80, 24), (200, 60), (20, 6), (3, 2)])
def test_a_sixel_picture_stays_in_its_cells_and_under_the_largest_size(cols: int, rows: int) -> None:
    terminal = SixelTerminal(cols, rows)
    screen = on(terminal)
    screen.set_hud(CALL)
    for w, h in ((320, 240), (640, 360), (360, 640)):
        screen.show(frame((200, 40, 40), w, h))
        (row, col), seen = terminal.places[-1], terminal.pictures[-1]
        assert row * 16 + seen.shape[0] <= 16 * (rows - 1)
        assert col * 8 + seen.shape[1] <= 8 * cols
        assert seen.shape[1] <= SIXEL_MOST[0]
        assert seen.shape[0] <= SIXEL_MOST[1]
        assert screen.view_size() <= SIXEL_MOST
    terminal.writes.clear()
    screen.show(frame((200, 40, 40), 360, 640))
    assert terminal.writes == []


def test_sixels_leave_out_text_and_the_own_picture() -> None:
    terminal = SixelTerminal()
    screen = on(terminal)
    screen.set_hud(replace(FILMED, show_help=True))
    screen.show_local(frame((40, 40, 200)))
    screen.show(frame((200, 40, 40)))
    (row, col), whole = terminal.places[-2], terminal.pictures[-2]
    small_at, small = terminal.places[-1], terminal.pictures[-1]
    assert whole.size > small.size
    y, x = 16 * (small_at[0] - row), 8 * (small_at[1] - col)
    under = whole[y : y + small.shape[0], x : x + small.shape[1]]
    assert under.size
    assert (under == -1).all()
    line = next(line for line in range(24) if "camera on or off" in terminal.line(line))
    text = terminal.line(line).index("camera on or off")
    assert (whole[16 * (line - row), 8 * (text - col) :][:64] == -1).all()
    screen.set_hud(CALL)
    screen.show(frame((200, 40, 40)))
    assert (terminal.pictures[-1] >= 0).all()


def test_where_a_sixel_picture_was_cells_are_drawn_again() -> None:
    terminal = SixelTerminal()
    screen = on(terminal)
    screen.set_hud(CALL)
    screen.show(frame((200, 40, 40)))
    terminal.writes.clear()
    screen.clear_remote()
    assert terminal.writes[-1].count(b"\x1b[") > 20 * 3
    assert all(f"\x1b[{row};".encode() in terminal.writes[-1] for row in range(1, 24))
    assert "waiting for the picture" in terminal.text()


def test_sixels_are_offered_after_cells_and_only_where_the_terminal_says_so() -> None:
    terminal = FakeTerminal()
    screen = Screen(terminal, Mode.BLOCKS, ability=Ability(asked=True), wanted="auto")
    assert terminal.on_report
    terminal.on_report(b"\x1b[?1;0;1024S")
    terminal.on_report(b"\x1b[?63;1;2;4c")
    assert screen.mode is Mode.BLOCKS
    assert screen.modes == (Mode.BLOCKS, Mode.ASCII, Mode.SIXEL)
    assert [screen.next_mode() for _ in range(3)] == [Mode.ASCII, Mode.SIXEL, Mode.BLOCKS]


def test_no_sixels_without_enough_colours_or_the_size_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    few = with_report(Ability(), b"\x1b[?1;0;16S")
    assert not with_report(few, b"\x1b[?63;4c").sixel
    assert KeyParser().feed(b"\x1b[?1;0;16S") == []
    terminal = FakeTerminal()
    monkeypatch.setattr(terminal, "cell_pixels", lambda: (0.0, 0.0))
    screen = Screen(terminal, Mode.BLOCKS, ability=Ability(asked=True), wanted="sixel")
    assert terminal.on_report
    terminal.on_report(b"\x1b[?63;4c")
    assert screen.modes == (Mode.BLOCKS, Mode.ASCII)


def test_sixels_of_noise_have_a_bound() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    terminal = SixelTerminal()
    on(terminal).show(av.VideoFrame.from_ndarray(noise, format="rgb24"))
    height, width = terminal.pictures[-1].shape[:2]
    assert len(terminal.writes[-1]) < 8 * width * height
