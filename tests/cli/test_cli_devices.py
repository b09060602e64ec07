"""Devices and files that are not what they should be: told before any call, with the exit code and the way out."""

import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from clirun import Ran, assert_told, run

from p2pcall.device import cards

LISTEN = ("listen", "--bind", "127.0.0.1", "--port", "0", "--announce", "off")
DIAL = ("dial", "--bind", "127.0.0.1", "--port", "0", "127.0.0.1:9")


def run_with(command: tuple[str, ...], option: str, value: str) -> Ran:
    """Run it with one media option; the others are off."""
    options = dict.fromkeys(("--audio-in", "--audio-out", "--video-in", "--video-out"), "none")
    options[option] = value
    return run(*command, *(part for pair in options.items() for part in pair))


@pytest.fixture
def no_portaudio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`import sounddevice` fails as it does without the PortAudio library."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)


@pytest.mark.usefixtures("no_portaudio")
@pytest.mark.parametrize("command", [LISTEN, DIAL], ids=["listen", "dial"])
@pytest.mark.parametrize("option", ["--audio-in", "--audio-out"])
def test_no_portaudio_is_told_with_the_command_that_mends_it(command: tuple[str, ...], option: str) -> None:
    ran = run_with(command, option, "default")
    assert_told(ran, 6, "PortAudio", f"{option} none")
    if sys.platform == "linux":
        assert "apt-get install libportaudio2" in ran.err


@pytest.mark.usefixtures("no_portaudio")
def test_what_lists_devices_says_what_is_missing() -> None:
    ran = run("devices")
    assert ran.exit in (0, 6)
    assert "libportaudio2" in ran.err or sys.platform != "linux"


@pytest.mark.parametrize(
    "option,value,words",
    [
        ("--audio-in", "no such microphone", ["microphone", "p2pcall devices"]),
        ("--audio-out", "no such speaker", ["speaker", "p2pcall devices"]),
        ("--video-in", "camera:no such camera", ["camera"]),
        ("--video-in", "screen", ["DISPLAY"]),
    ],
)
def test_a_device_that_is_not_there_is_told(
    option: str, value: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", "")
    assert_told(run_with(LISTEN, option, value), 6, *words)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Files that are not what is asked for."""
    found = {name: tmp_path / name for name in ("text.wav", "empty.mp4", "noise", "sound.wav", "picture.png")}
    found["text.wav"].write_text("this is no sound\n" * 100)
    found["empty.mp4"].write_bytes(b"")
    found["noise"].write_bytes(bytes(range(256)) * 64)
    with wave.open(str(found["sound.wav"]), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(9600))
    with av.open(str(found["picture.png"]), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
    return found | {"missing.wav": tmp_path / "missing.wav", "folder": tmp_path}


@pytest.mark.parametrize(
    "option,name",
    [
        ("--audio-in", "text.wav"),
        ("--audio-in", "noise"),
        ("--audio-in", "picture.png"),
        ("--audio-in", "missing.wav"),
        ("--audio-in", "folder"),
        ("--video-in", "text.wav"),
        ("--video-in", "empty.mp4"),
        ("--video-in", "sound.wav"),
        ("--video-in", "missing.wav"),
    ],
)
def test_a_media_file_that_is_none_is_told(files: dict[str, Path], option: str, name: str) -> None:
    ran = run_with(DIAL, option, str(files[name]))
    assert (ran.exit, ran.out) == (2, "")
    assert ran.err.startswith(f"p2pcall: error: {files[name]}: ")


@pytest.mark.parametrize(
    "option,value",
    [
        ("--audio-out", "/no/such/directory/out.wav"),
        ("--audio-out", "/no/such/directory/out.ogg"),
        ("--video-out", "/no/such/directory/out.mkv"),
        ("--video-out", "out.doc"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_call(option: str, value: str) -> None:
    assert_told(run_with(LISTEN, option, value), 2, value)


@pytest.fixture
def no_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PortAudio is there and has neither microphone nor speaker."""

    def search(spec: str, direction: cards.Direction) -> cards.Card:
        raise cards._none_at_all(direction)

    monkeypatch.setattr(cards, "_search", search)


@pytest.mark.usefixtures("no_cards")
@pytest.mark.parametrize("command", [LISTEN, DIAL], ids=["listen", "dial"])
def test_a_microphone_and_a_speaker_that_are_missing_are_told_at_once(command: tuple[str, ...]) -> None:
    ran = run(*command, "--no-video")
    assert_told(ran, 6, "there is no microphone, and there is no speaker", "call with `--no-audio`")
    ran = run(*command, "--no-video", "--audio-in", "none")
    assert_told(ran, 6, "there is no speaker", "call with `--audio-out none`")


@pytest.mark.usefixtures("no_portaudio")
def test_what_both_lack_is_told_once() -> None:
    ran = run(*LISTEN, "--no-video")
    assert_told(ran, 6, "call with `--no-audio`")
    assert ran.err.count("PortAudio library is missing") == 1


@pytest.mark.usefixtures("no_cards")
def test_without_sound_no_card_is_looked_for() -> None:
    assert run(*DIAL, "--no-video", "--no-audio").exit == 3, "it went as far as calling"


@pytest.mark.usefixtures("no_cards")
def test_a_file_that_is_none_is_told_before_a_card_that_is_missing(tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    assert_told(run(*DIAL, "--no-video", "--audio-in", str(missing)), 2, "missing.wav")
