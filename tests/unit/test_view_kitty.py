"""Pictures by kitty's graphics protocol, with an emulated terminal that reads what it gets, in place of kitty."""

import os
import re
import zlib
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from test_view_screen import CALL, FILMED, FakeTerminal, frame

from p2pcall.view import kitty
from p2pcall.view.graphics import (
    MAX_IMAGES,
    REMOVAL,
    graphics_question,
    image_number,
    with_report,
)
from p2pcall.view.keys import KeyParser
from p2pcall.view.kitty import discard_old_files, write_file
from p2pcall.view.probe import Ability, Kitty, Mode, probe
from p2pcall.view.screen import Screen

COMMAND = re.compile(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\")
OK = b"\x1b_Gi=%d;OK\x1b\\"
DIRECT, FILE = (image_number(MAX_IMAGES + i) for i in (0, 1))
ATTRIBUTES = b"\x1b[?62;c"
UTF8 = {"LC_ALL": "C.UTF-8"}


class KittyTerminal(FakeTerminal):
    """Draws text by pyte; keeps images, and removes the files it has read."""

    def __init__(self, cols: int = 80, rows: int = 24) -> None:
        super().__init__(cols, rows)
        self.images: dict[int, tuple[dict[str, str], NDArray[np.uint8]]] = {}
        self.commands: list[dict[str, str]] = []
        self._piece: tuple[dict[str, str], bytes] | None = None

    def write(self, data: bytes, *, ask: bool = False) -> bool:
        assert not self.slow
        self.writes.append(data)
        for match in COMMAND.finditer(data):
            self._command(dict(pair.split("=") for pair in match[1].decode().split(",")), match[2])
        self.stream.feed(COMMAND.sub(b"", data))
        return True

    def _command(self, keys: dict[str, str], payload: bytes) -> None:
        self.commands.append(keys)
        if keys.get("a") == "q":
            return
        if keys.get("a") == "d":
            self.images.pop(int(keys["i"]), None)
            return
        assert keys["q"] == "2"  # or it would answer
        if keys.get("t") == "t":
            name = b64decode(payload).decode()
            assert "tty-graphics-protocol" in name
            assert Path(name).stat().st_mode & 0o077 == 0
            raw = Path(name).read_bytes()
            Path(name).unlink()
        else:
            assert len(payload) <= 4096
            first, before = self._piece or (keys, b"")
            self._piece = None if keys["m"] == "0" else (first, before + payload)
            if self._piece:
                return
            keys, raw = first, zlib.decompress(b64decode(before + payload))
        depth = int(keys["f"]) // 8
        pixels = np.frombuffer(raw, np.uint8).reshape(int(keys["v"]), int(keys["s"]), depth)
        self.images[int(keys["i"])] = keys, pixels


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kitty, "MEMORY", tmp_path)
    return tmp_path


def on(terminal: FakeTerminal, how: Kitty = Kitty.FILE, mode: Mode = Mode.KITTY, **kwargs: object) -> Screen:
    return Screen(terminal, mode, ability=Ability(kitty=how), **kwargs)


def test_a_picture_goes_through_a_file_that_the_terminal_removes(memory: Path) -> None:
    terminal = KittyTerminal()
    screen = on(terminal)
    screen.set_hud(CALL)
    screen.show(frame((200, 40, 40)))
    keys, pixels = terminal.images[image_number(0)]
    assert pixels.shape == (240, 320, 4)  # the terminal makes it larger
    assert np.abs(pixels[5, 5].astype(int) - (200, 40, 40, 255)).max() <= 4
    assert (keys["c"], keys["r"]) == ("61", "23")
    assert len(terminal.writes[-1]) < 1000
    assert list(memory.iterdir()) == []


def test_over_a_line_a_picture_goes_packed_small_and_in_pieces(memory: Path) -> None:
    terminal = KittyTerminal(200, 60)
    screen = on(terminal, Kitty.DIRECT)
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    screen.show(type(frame((0, 0, 0))).from_ndarray(noise, format="rgb24"))
    _, pixels = terminal.images[image_number(0)]
    assert 0.9 * 240 * 180 < pixels.shape[0] * pixels.shape[1] <= 240 * 180
    assert screen.view_size()[0] * screen.view_size()[1] <= 240 * 180
    assert sum("m" in keys for keys in terminal.commands) > 3
    assert list(memory.iterdir()) == []


@pytest.mark.parametrize("how", [Kitty.FILE, Kitty.DIRECT])
def test_one_image_is_replaced_in_place_and_a_still_one_costs_nothing(how: Kitty) -> None:
    terminal = KittyTerminal()
    screen = on(terminal, how)
    for red in range(0, 250, 50):
        screen.show(frame((red, 40, 40)))
    assert set(terminal.images) == {image_number(0)}
    terminal.writes.clear()
    screen.show(frame((200, 40, 40)))
    assert terminal.writes == []


@pytest.mark.parametrize("how", [Kitty.FILE, Kitty.DIRECT])
def test_pictures_in_pixels_have_holes_where_text_is_and_no_more(how: Kitty) -> None:
    terminal = KittyTerminal()
    screen = on(terminal, how)
    screen.set_hud(FILMED)
    screen.show_local(frame((40, 40, 200)))
    screen.set_hud(replace(FILMED, show_help=True))
    screen.show(frame((200, 40, 40)))
    _, pixels = terminal.images[image_number(0)]
    assert "microphone on or off" in terminal.text()
    assert pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, 3] == 0
    assert pixels[0, 0, 3] >= 240
    assert image_number(1) in terminal.images
    screen.set_hud(CALL)
    screen.show(frame((200, 40, 40)))
    _, pixels = terminal.images[image_number(0)]
    assert pixels.shape[2] == 3 or pixels[..., 3].min() >= 240
    assert set(terminal.images) == {image_number(0)}


def test_images_go_with_the_picture_the_mode_and_the_size() -> None:
    terminal = KittyTerminal()
    screen = on(terminal)
    screen.set_hud(CALL)
    screen.show(frame((200, 40, 40)))
    screen.clear_remote()
    assert terminal.images == {}
    assert "waiting for the picture" in terminal.text()
    screen.show(frame((200, 40, 40)))
    assert screen.next_mode() is Mode.BLOCKS
    assert terminal.images == {}
    assert screen.next_mode() is Mode.ASCII
    assert screen.next_mode() is Mode.KITTY
    terminal.resize(40, 12)
    screen.resized()
    assert terminal.images[image_number(0)][0]["r"] == "11"


def test_no_file_is_left_when_the_terminal_is(memory: Path) -> None:
    terminal = FakeTerminal()  # which reads nothing
    screen = on(terminal)
    screen.show(frame((200, 40, 40)))
    screen.show(frame((40, 40, 200)))
    assert len(list(memory.iterdir())) == 1
    terminal.leave()
    assert list(memory.iterdir()) == []
    screen.close()


def test_files_of_calls_that_died_are_removed_by_the_next(memory: Path) -> None:
    old, new = write_file(b"abc"), write_file(b"abc")
    other = memory / "other"
    other.write_bytes(b"")
    for path in (old, other):
        os.utime(path, (0, 0))
    discard_old_files()
    assert sorted(memory.iterdir()) == sorted([Path(new), other])


def test_without_room_for_a_file_the_picture_goes_through_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kitty, "MEMORY", Path("/proc/self"))
    terminal = KittyTerminal()
    screen = on(terminal)
    screen.show(frame((200, 40, 40)))
    assert terminal.images[image_number(0)][1].shape[2] == 3


def test_a_slow_terminal_gets_the_newest_picture_alone() -> None:
    terminal = KittyTerminal()
    screen = on(terminal)
    terminal.slow = True
    for red in (10, 90, 250):
        screen.show(frame((red, 40, 40)))
    terminal.slow = False
    terminal.commands.clear()
    assert terminal.on_ready
    terminal.on_ready()
    assert len(terminal.commands) == 1
    assert terminal.images[image_number(0)][1][0, 0, 0] > 240


# ---- the question


@pytest.mark.parametrize(
    ("answers", "mode"),
    [
        ((OK % DIRECT, OK % FILE, ATTRIBUTES), Mode.KITTY),
        ((OK % DIRECT, b"\x1b_Gi=%d;EBADF:no file\x1b\\" % FILE, ATTRIBUTES), Mode.BLOCKS),
        ((ATTRIBUTES,), Mode.BLOCKS),
        ((OK % FILE,), Mode.BLOCKS),
        ((b"\x1b_Gi=1;OK\x1b\\", ATTRIBUTES), Mode.BLOCKS),
    ],
)
def test_auto_draws_pixels_only_where_the_terminal_reads_files(
    memory: Path, answers: tuple[bytes, ...], mode: Mode
) -> None:
    terminal = FakeTerminal()
    screen = Screen(terminal, Mode.BLOCKS, ability=Ability(asked=True), wanted="auto")
    assert terminal.writes[0].startswith(b"\x1b_G")
    assert b"\x1b[?2026h" not in terminal.writes[0]  # inside it, kitty does not answer
    assert terminal.writes[0].endswith(b"\x1b[2J")  # whatever a terminal has shown of the question
    told: list[Mode] = []
    screen.on_mode = lambda: told.append(screen.mode)
    for answer in answers:
        assert terminal.on_report
        terminal.on_report(answer)
    assert screen.mode is mode
    assert told == [mode] * (mode is Mode.KITTY)
    screen.close()
    assert list(memory.iterdir()) == []


def test_a_mode_that_is_wanted_comes_with_the_answer_unless_a_person_chose_another() -> None:
    for chosen in (False, True):
        terminal = FakeTerminal()
        screen = Screen(terminal, Mode.BLOCKS, ability=Ability(asked=True), wanted="kitty")
        if chosen:
            screen.next_mode()
        for answer in (OK % DIRECT, ATTRIBUTES):
            assert terminal.on_report
            terminal.on_report(answer)
        assert screen.modes == (Mode.BLOCKS, Mode.ASCII, Mode.KITTY)
        assert screen.mode is (Mode.ASCII if chosen else Mode.KITTY)


def test_answers_about_graphics_are_no_keys() -> None:
    answers = [OK % DIRECT, b"\x1b_Gi=%d;ENOENT:q: d\x1b\\" % FILE, b"\x1b[?62;4;22c"]
    for data in (b"".join(answers), *answers):
        parser = KeyParser()
        keys = [key for byte in b"a" + data + b"b" for key in parser.feed(bytes([byte]))]
        assert keys == ["a", "b"]
    parser.feed(b"\x1b[?1c" * 100)
    assert len(parser.take_reports()) <= 8
    assert parser.take_reports() == []


def test_every_answer_is_read_for_what_it_says() -> None:
    able = Ability()
    assert with_report(able, OK % DIRECT).kitty is Kitty.DIRECT
    assert with_report(with_report(able, OK % FILE), OK % DIRECT).kitty is Kitty.FILE
    assert with_report(able, b"\x1b[?62;4;22c").sixel
    for other in (b"\x1b[?4c", b"\x1b[?62;14c", b"\x1b_Gi=%d;ENODATA\x1b\\" % DIRECT, b"\x1b_GOK\x1b\\"):
        assert with_report(able, other) == able


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "tmux-256color"}, False),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux,1,0"}, False),
        ({"TERM": "xterm-256color", "STY": "1.pts"}, False),
        ({"TERM": "screen-256color"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_inside_tmux_screen_or_a_console_nothing_is_asked(environ: dict[str, str], asked: bool) -> None:
    ability = probe(environ | UTF8)
    assert ability.asked is asked
    terminal = FakeTerminal()
    if ability.cursor:
        Screen(terminal, ability.auto, ability=ability)
        assert (b"\x1b_G" in b"".join(terminal.writes)) is asked


def test_without_colours_there_are_no_pixels() -> None:
    for environ in ({"NO_COLOR": "1"}, {"LC_ALL": "C"}):
        ability = probe({"TERM": "xterm-kitty", **UTF8, **environ})
        assert replace(ability, kitty=Kitty.FILE).modes() == (Mode.ASCII,)


def test_the_question_names_no_image_that_is_drawn() -> None:
    asked = {int(number) for number in re.findall(rb"i=(\d+)", graphics_question("/dev/shm/x"))}
    drawn = {image_number(number) for number in range(MAX_IMAGES)}
    assert not asked & drawn
    assert {int(number) for number in re.findall(rb"i=(\d+)", REMOVAL)} == drawn
