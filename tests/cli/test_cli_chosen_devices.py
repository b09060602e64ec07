"""`p2pcall devices --use`: what is chosen for all calls, shown, gone before by options, and forgotten."""

import json
from pathlib import Path

import pytest
from clirun import Ran, assert_told, run

from p2pcall.device import cards
from p2pcall.device.base import Device, device_error
from p2pcall.engine import run as engine
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.settings import CallSettings, MediaSettings

HEADSET = "Headset: USB Audio (hw:1,0)"
DIAL = ("dial", "127.0.0.1:9", "--no-video", "--port", "0")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the cards that are there."""
    names = {HEADSET, "Webcam"}

    def find(spec: str, direction: cards.Direction) -> cards.Card:
        found = [name for name in names if spec == "default" or spec.casefold() in name.casefold()]
        if not found:
            raise device_error("no-such-device", f"there is no {cards.WORD[direction]} {spec!r}", "look")
        return cards.Card(0, found[0], direction, 1)

    def listed() -> list[Device]:
        return [
            Device(kind, name, name == "Webcam") for kind in cards.WORD.values() for name in sorted(names)
        ]

    monkeypatch.setattr(cards, "_search", find)
    monkeypatch.setattr(cards, "_all_cards", listed)
    monkeypatch.setattr("p2pcall.device.camera.list_cameras", list)
    return names


@pytest.fixture
def media(monkeypatch: pytest.MonkeyPatch) -> list[MediaSettings]:
    """What calls were to be placed with."""
    seen: list[MediaSettings] = []

    async def dialled(_env: object, settings: CallSettings, *_: object) -> Outcome:
        seen.append(settings.media)
        return Outcome("hung-up")

    monkeypatch.setattr(engine, "run_dial", dialled)
    return seen


def chosen(ran: Ran) -> dict[str, str]:
    """What is marked, by kind."""
    return {row["kind"]: row["name"] for row in ran.rows if row.get("chosen")}


def test_what_is_chosen_is_kept_by_its_whole_name_and_shown(here: set[str], home: Path) -> None:
    ran = run("devices", "--use", "--audio-in", "headset", "--json")
    assert ran.exit == 0, ran.err
    assert chosen(ran) == chosen(run("devices", "--json")) == {"microphone": HEADSET}
    assert chosen(run("devices", "--use", "--audio-out", "webcam", "--json")) == {
        "microphone": HEADSET,
        "speaker": "Webcam",
    }, "what is not named stays"
    assert "default, chosen" in run("devices").out
    (path,) = home.rglob("devices.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {"version": 1, "microphone": HEADSET, "speaker": "Webcam"}


def test_an_option_goes_before_what_is_chosen_and_default_is_one(
    here: set[str], media: list[MediaSettings]
) -> None:
    run("devices", "--use", "--audio-in", "headset", "--audio-out", "headset")
    for options in ((), ("--audio-in", "default"), ("--audio-out", "none"), ("--no-audio",)):
        assert run(*DIAL, *options).exit == 0
    assert [(one.chosen_in, one.chosen_out) for one in media] == [
        (HEADSET, HEADSET),
        (None, HEADSET),
        (HEADSET, None),
        (None, None),
    ]


def test_default_forgets_what_was_chosen(here: set[str], media: list[MediaSettings]) -> None:
    run("devices", "--use", "--audio-in", "headset")
    run("devices", "--use", "--audio-in", "default")
    run(*DIAL)
    assert media[0].chosen_in is None
    assert chosen(run("devices", "--json")) == {}


def test_a_chosen_device_that_is_absent_is_said_in_the_list(here: set[str]) -> None:
    run("devices", "--use", "--audio-in", "headset")
    here.discard(HEADSET)
    assert f"the microphone {HEADSET} that you chose is not there" in run("devices").out


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ((), 2, "--audio-in"),
        (("--audio-in", "tone"), 2, "sound devices"),
        (("--audio-out", "-"), 2, "sound devices"),
        (("--audio-in", "violin"), 6, "violin"),
    ],
)
def test_what_is_no_device_that_is_there_cannot_be_chosen(
    here: set[str], home: Path, options: tuple[str, ...], status: int, word: str
) -> None:
    assert_told(run("devices", "--use", *options), status, word)
    assert not [*home.rglob("devices.json")]


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"version": 2}', '{"version": 1, "microphone": 7}', '{"version": 1, "speaker": ""}', "[]"],
)
def test_a_damaged_choice_is_told_and_left_as_it_is(here: set[str], home: Path, text: str) -> None:
    run("devices", "--use", "--audio-in", "headset")
    (path,) = home.rglob("devices.json")
    path.write_text(text)
    for argv in (("devices",), DIAL, ("devices", "--use", "--audio-in", "webcam")):
        assert_told(run(*argv), 8, "devices.json")
    assert path.read_text() == text


def test_without_a_home_devices_are_listed_all_the_same(
    here: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("P2PCALL_HOME", raising=False)
    assert run("devices").exit == 0
