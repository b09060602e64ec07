"""A sound server that hangs, and PortAudio with it: nobody waits for it, and cards are had again when it is well."""

import atexit
import importlib
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from device_helpers import SILENCE, FakeScheduler, eventually
from fake_sound import ROWS, FakeSound, started

from p2pcall.device import cards
from p2pcall.device.factory import open_audio_sink, open_audio_source
from p2pcall.errors import ExitCode, P2PCallError


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    fake = FakeSound(ROWS)
    monkeypatch.setattr(cards, "load_portaudio", lambda direction="output": fake)
    return fake


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """So long is waited for a server that hangs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CARD_OPEN_WAIT_S", "BUSY_WAIT_S", "LOOK_WAIT_S", "EXIT_WAIT_S"):
            patch.setattr(cards, name, seconds)
        yield


def test_closing_is_not_waited_for_and_the_cards_are_there_again_when_it_is_done(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    mic, other = open_audio_source("default", scheduler), open_audio_source("default", scheduler)
    other.on_error = errors.append
    stream = started(mic, lambda pcm, at: None, sound)
    sound.hangs = "close"
    mic.stop()
    assert sound.stuck.wait(20)
    assert not stream.closed
    with waiting(0.01):
        with pytest.raises(P2PCallError, match="the sound server does not answer") as caught:
            open_audio_sink("default", scheduler)
        assert (caught.value.slug, caught.value.exit) == ("device-stuck", ExitCode.DEVICE)
        other.start(lambda pcm, at: None)
        scheduler.run_posted(wait=True)
        assert [error.slug for error in errors] == ["device-stuck"]
    sound.well.set()
    again = open_audio_source("default", scheduler)
    assert stream.closed
    assert not started(again, lambda pcm, at: None, sound).closed
    again.stop()


def test_a_look_for_cards_that_hangs_is_left_behind(sound: FakeSound) -> None:
    sound.hangs = "look"
    for _ in range(2):
        with waiting(0.01), pytest.raises(P2PCallError, match="the microphone cannot be had"):
            open_audio_source("default", FakeScheduler())
    sound.well.set()
    eventually(lambda: not any("p2pcall-look" in thread.name for thread in threading.enumerate()))
    assert open_audio_source("default", FakeScheduler())


def test_a_list_of_cards_that_hangs_is_left_behind_too(
    sound: FakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = threading.Event()

    def loads(direction: str = "output") -> FakeSound:
        well.wait(20)
        return sound

    with monkeypatch.context() as patch, waiting(0.01):
        patch.setattr(cards, "load_portaudio", loads)
        with pytest.raises(P2PCallError) as caught:
            cards.list_cards()
    assert (caught.value.slug, caught.value.exit) == ("device-stuck", ExitCode.DEVICE)
    well.set()
    eventually(lambda: not any("p2pcall-look" in thread.name for thread in threading.enumerate()))


def test_a_card_that_is_stopped_while_it_opens_is_closed_at_once(sound: FakeSound) -> None:
    mic = open_audio_source("default", FakeScheduler())
    sound.hangs = "open"
    mic.start(lambda pcm, at: None)
    assert sound.stuck.wait(20)
    mic.stop()
    sound.well.set()
    eventually(lambda: sound.streams and sound.streams[0].closed)


def test_the_interpreters_end_closes_portaudio_unless_it_hangs(
    sound: FakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    monkeypatch.setattr(sound, "_exit_handler", lambda: ends.append(1), raising=False)
    speaker = open_audio_sink("default", FakeScheduler())
    stream = started(speaker, lambda: SILENCE, sound)
    speaker.stop()
    with waiting(20):
        cards._end(sound)
    assert (stream.closed, ends) == (True, [1])
    speaker = open_audio_sink("default", FakeScheduler())
    started(speaker, lambda: SILENCE, sound)
    cards._end(sound)
    assert ends == [1], "a stream is open, for which it would wait"
    sound.hangs = "close"
    speaker.stop()
    with waiting(0.01):
        cards._end(sound)
    assert ends == [1]
    sound.well.set()


def test_portaudio_is_ended_in_our_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[str] = []
    module = types.SimpleNamespace(_exit_handler=lambda: ends.append("its own"))
    registered = [module._exit_handler]
    monkeypatch.setattr(atexit, "register", lambda call, *args: registered.append(call))
    monkeypatch.setattr(atexit, "unregister", lambda call: call in registered and registered.remove(call))
    monkeypatch.setattr(importlib, "import_module", lambda name: module)
    assert cards.load_portaudio() is cards.load_portaudio() is module
    assert registered == [cards._end]


class Stopped(FakeSound):
    """PortAudio that runs, or does not."""

    runs, starts = True, False

    def query_devices(self, *, kind: str | None = None) -> Any:
        self._check()
        return super().query_devices(kind=kind)

    def _terminate(self) -> None:
        self._check()
        self.runs = False

    def _initialize(self) -> None:
        self.runs = self.starts
        self._check()

    def _check(self) -> None:
        if not self.runs:
            raise self.PortAudioError("PortAudio not initialized [PaErrorCode -10000]")


@pytest.mark.parametrize("spec", ["default", "headset"])
def test_a_portaudio_that_does_not_start_again_is_no_card_until_it_does(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Stopped([])
    monkeypatch.setattr(cards, "load_portaudio", lambda *_: stopped)
    for _ in range(2):
        with pytest.raises(P2PCallError) as caught:
            cards.find_card(spec, "input")
        assert caught.value.slug == "no-microphone"
        assert cards.list_cards() == []
    stopped.starts, stopped.rows = True, ROWS
    assert cards.find_card(spec, "input").name.startswith("Headset")
