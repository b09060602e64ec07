"""Levels of microphone and speaker in a call, and what is told of a microphone: in virtual time."""

import asyncio
import math
from array import array
from collections.abc import Callable, Iterator
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import pytest
from seeing import Pair, with_a_call

from p2pcall import events
from p2pcall.device.base import SILENT_FRAME, AudioSource
from p2pcall.device.factory import card_polls
from p2pcall.device.files import PacedSource
from p2pcall.device.pace import CardPolls, Ticker
from p2pcall.engine import devices
from p2pcall.engine.settings import MediaSettings
from p2pcall.media.acoustic_constants import LOWEST_DBFS
from p2pcall.media.constants import FRAME_S, FRAME_SAMPLES, PCM_MAX, SAMPLE_RATE_HZ

CARD = MediaSettings("default", "none", "none", "none")
OPEN_AND_QUIET = MediaSettings("silence", "none", "none", "none")


def sine(level: float) -> bytes:
    """A frame of a tone of that peak; 1 is full scale, more is cut off."""
    top = [level * PCM_MAX * math.sin(2 * math.pi * 400 * n / SAMPLE_RATE_HZ) for n in range(FRAME_SAMPLES)]
    return array("h", [max(-PCM_MAX, min(PCM_MAX, round(one))) for one in top]).tobytes()


def speech() -> Iterator[bytes]:
    """Loud for a third of a second, then quiet for a fifth."""
    word, pause = round(0.34 / FRAME_S), round(0.2 / FRAME_S)
    return cycle([sine(0.3)] * word + [sine(0.001)] * pause)


def microphone(monkeypatch: pytest.MonkeyPatch, frames: Callable[[], Iterator[bytes]]) -> None:
    """The sound card gives this."""
    real = devices.open_audio_source

    def opened(spec: str, loop: Any, *rest: Any, **more: Any) -> AudioSource:
        if spec != "default":
            return real(spec, loop, *rest, **more)
        return PacedSource(frames, more.get("ticker") or Ticker(loop))

    monkeypatch.setattr(devices, "open_audio_source", opened)


def told_in(
    folder: Path, seconds: float, keys: dict[float, str] | None = None, media: MediaSettings = CARD
) -> list[str]:
    """Warnings in so long a call; `keys` are pressed at their times."""
    slugs: list[str] = []

    async def scene(pair: Pair) -> None:
        at = 0.0
        for when, key in (keys or {}).items():
            await asyncio.sleep(when - at)
            pair.alice_ui.press(key)
            at = when
        await asyncio.sleep(seconds - at)
        slugs.extend(event.slug for event in pair.alice_ui.of(events.Warning))
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(folder, scene, media=media)
    return slugs


def test_a_microphone_that_gives_silence_is_told_once_after_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone(monkeypatch, lambda: repeat(SILENT_FRAME))
    assert told_in(tmp_path, 8.0) == []
    assert told_in(tmp_path / "again", 40.0) == ["microphone-silent"]


def test_a_microphone_at_full_scale_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    microphone(monkeypatch, lambda: repeat(sine(4.0)))
    assert told_in(tmp_path, 40.0) == ["microphone-clipping"]


def test_who_is_muted_and_talks_is_told_each_time_it_is_muted_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone(monkeypatch, speech)
    assert told_in(tmp_path, 10.0) == []
    assert told_in(tmp_path / "muted", 20.0, {1.0: "m"}) == ["muted-talking"]
    assert told_in(tmp_path / "again", 30.0, {1.0: "m", 10.0: "m", 15.0: "m"}) == ["muted-talking"] * 2


def test_nobody_is_told_to_be_muted_who_is_not_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone(monkeypatch, speech)

    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        alice.press("m")
        while not alice.view.hud.notice.startswith("nobody hears you"):
            await asyncio.sleep(0.2)
        alice.press("m")
        await asyncio.sleep(0.5)
        assert alice.view.hud.notice == ""
        alice.press("q")
        await pair.end()

    with_a_call(tmp_path, scene, media=CARD)


def test_nothing_is_told_of_a_file(tmp_path: Path) -> None:
    assert told_in(tmp_path, 30.0, {1.0: "m"}, OPEN_AND_QUIET) == []


def test_levels_are_told_each_second_and_of_the_whole_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob sends his tone, alice a sine of -20 dB."""
    microphone(monkeypatch, lambda: repeat(sine(math.sqrt(2) / 10)))

    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        await asyncio.sleep(5)
        figures = alice.of(events.Stats)[-1].figures
        assert figures.mic_dbfs == pytest.approx(-20, abs=0.5)
        assert figures.speaker_dbfs is not None
        assert -40 < figures.speaker_dbfs < -10
        assert alice.view.hud.stats["microphone"] == "-20 dB"
        assert alice.view.hud.mic_height == 5
        alice.press("m")
        await asyncio.sleep(5)
        assert alice.of(events.Stats)[-1].figures.mic_dbfs == pytest.approx(-20, abs=0.5)
        heard = pair.bob_ui.of(events.Stats)[-1].figures.speaker_dbfs
        assert heard is not None
        assert heard < -60, "a muted microphone is looked at, and not sent"
        alice.press("q")
        outcome, _ = await pair.end()
        assert outcome.figures.mic_dbfs == pytest.approx(-20, abs=0.5)

    with_a_call(tmp_path, scene, media=CARD)


def test_silence_has_a_level_that_scripts_can_read(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        await asyncio.sleep(2)
        alice = pair.alice_ui
        assert alice.of(events.Stats)[-1].figures.mic_dbfs == LOWEST_DBFS
        assert alice.view.hud.stats["microphone"] == "no sound"
        alice.press("q")
        await pair.end()

    with_a_call(tmp_path, scene, media=OPEN_AND_QUIET)


def test_what_the_cards_have_lost_is_told_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[CardPolls] = []

    def polls(loop: Any) -> CardPolls:
        made.append(card_polls(loop))
        return made[-1]

    monkeypatch.setattr(devices, "card_polls", polls)

    async def scene(pair: Pair) -> None:
        for one in made:
            one.counts.underruns, one.counts.stale_samples = 3, SAMPLE_RATE_HZ // 2
        await asyncio.sleep(2)
        alice = pair.alice_ui
        figures = alice.of(events.Stats)[-1].figures
        assert (figures.underruns, figures.mic_stale_ms) == (3, 500)
        alice.press("q")
        outcome, _ = await pair.end()
        assert (outcome.figures.underruns, outcome.figures.mic_stale_ms) == (3, 500)

    with_a_call(tmp_path, scene, media=OPEN_AND_QUIET)
