"""What a word means: a device first, a file by a path that looks like one, and what to say where it could be both."""

import os
from pathlib import Path

import pytest

from p2pcall.device.cards import Card, Direction
from p2pcall.device.names import meaning, of_picture
from p2pcall.errors import ExitCode, P2PCallError

CARDS = ("default", "USB Mic/Line", "pulse")


def find(spec: str, direction: Direction) -> Card:
    for name in CARDS:
        if spec.casefold() in name.casefold():
            return Card(0, name, direction, 1)
    raise P2PCallError("no-such-device", f"there is no {spec!r}", ExitCode.DEVICE, "p2pcall devices")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("direction", ["input", "output"])
@pytest.mark.parametrize("spec", ["default", "USB Mic/Line", "usb mic/line", "pulse"])
def test_the_name_of_a_device_is_the_device(spec: str, direction: Direction, here: Path) -> None:
    for made in ("nothing", "directory", "file"):
        if made == "directory":
            (here / spec).mkdir(parents=True)
        elif made == "file":
            (here / spec).rmdir()
            (here / spec).write_bytes(b"x")
        found = meaning(spec, direction, find)
        assert found.card is not None, made
        assert (found.note is not None) == (made == "file")
        if found.note:
            assert f"./{spec} is the file" in found.note


@pytest.mark.parametrize(
    "spec",
    [
        "./default",
        "/tmp/default",
        "../pulse",
        "song.ogg",
        "10:30.ogg",
        "note: hi.wav",
        "file:x.ogg",
        "http:.mkv",
        "A.MP3",
    ],
)
def test_what_looks_like_a_path_is_a_file(spec: str) -> None:
    assert meaning(spec, "input", find).kind == "file"
    assert meaning(spec, "output", find).kind == "file"


def test_a_name_that_no_device_has_is_a_file_if_there_is_one(here: Path) -> None:
    with pytest.raises(P2PCallError, match="there is no 'recording'"):
        meaning("recording", "input", find)
    (here / "recording").mkdir()
    with pytest.raises(P2PCallError, match="there is no 'recording'"):
        meaning("recording", "input", find)
    (here / "recording").rmdir()
    (here / "recording").write_bytes(b"x")
    assert meaning("recording", "input", find).kind == "file"


@pytest.mark.parametrize("spec", ["tone", "silence", "none"])
def test_the_words_of_the_options_win_too(spec: str, here: Path) -> None:
    assert meaning(spec, "input", find).note is None
    (here / spec).write_bytes(b"x")
    found = meaning(spec, "input", find)
    assert (found.kind, found.note) == (
        "word",
        f"{spec!r} is taken for the word of that name; ./{spec} is the file",
    )


def test_pipes_are_streams(here: Path) -> None:
    os.mkfifo(here / "pipe.wav")
    assert meaning("pipe.wav", "input", find).kind == "stream"
    assert meaning("./pipe.wav", "output", find).kind == "stream"
    assert of_picture("pipe.wav").kind == "stream"
    assert of_picture("clip.mkv").kind == "file"
    assert of_picture("camera").kind == "word"
    assert of_picture("camera:front").kind == "word"
