"""Push-to-talk: the microphone is on while the space bar is held, however that is told."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from calls import FakeUi
from seeing import Pair, SeeingUi, with_a_call

from p2pcall import events
from p2pcall.view.statusline import status_line

STEP_S = 0.05
DELAY_S = 0.66
"""The longest until a held key repeats for the first time that a system comes with."""
REPEATS_S = 0.1
SETTLES_S = 1.0


async def muted_for(pair: Pair, seconds: float) -> list[bool]:
    """Whether alice is muted, looked at for so long."""
    seen = []
    for _ in range(round(seconds / STEP_S)):
        seen.append(pair.alice_ui.view.hud.muted)
        await asyncio.sleep(STEP_S)
    return seen


def talking(folder: Path, scene: Callable[[Pair], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """A call in which alice pushes to talk; ended by her."""

    async def whole(pair: Pair) -> None:
        await scene(pair)
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(folder, whole, push_to_talk=True, **settings)


def test_a_call_begins_muted_and_says_which_key_talks(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        hud = pair.alice_ui.view.hud
        assert hud.muted
        assert "muted: hold space" in "".join(part for part, _ in status_line(hud, 80))
        assert not (await pair.bob_ui.wait(events.Media)).audio
        assert pair.bob_ui.view.hud.remote_muted

    talking(tmp_path, scene)


def test_a_key_that_repeats_is_held_until_it_repeats_no_more(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press(" ")
        assert not any(await muted_for(pair, DELAY_S))
        for _ in range(30):
            pair.alice_ui.press(" ")
            assert not any(await muted_for(pair, REPEATS_S))
        assert not pair.bob_ui.view.hud.remote_muted
        await asyncio.sleep(0.25)
        assert pair.alice_ui.view.hud.muted
        await asyncio.sleep(SETTLES_S)
        assert pair.bob_ui.view.hud.remote_muted

    talking(tmp_path, scene)


def test_a_tap_before_a_hold_does_not_shorten_it(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press(" ")
        await asyncio.sleep(0.4)
        pair.alice_ui.press(" ")
        assert not any(await muted_for(pair, DELAY_S))

    talking(tmp_path, scene)


@pytest.mark.parametrize("down", [" ", "space-down"])
@pytest.mark.parametrize("up", ["space-up", "focus-out"])
def test_a_key_that_is_told_to_be_released_is_off_at_once(tmp_path: Path, down: str, up: str) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press(down)
        assert not pair.alice_ui.view.hud.muted
        pair.alice_ui.press(up)
        assert pair.alice_ui.view.hud.muted
        assert all(await muted_for(pair, SETTLES_S))

    talking(tmp_path, scene)


def test_where_a_release_is_told_a_key_is_held_without_repeating(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        press = pair.alice_ui.press
        press(" ")
        press("space-up")
        press(" ")
        assert not any(await muted_for(pair, 20))
        press("space-up")
        assert pair.alice_ui.view.hud.muted

    talking(tmp_path, scene)


def test_that_the_window_tells_a_release_says_nothing_about_the_terminal(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        press = pair.alice_ui.press
        for key in ("space-down", " ", "space-up"):
            press(key)
        press(" ")
        await asyncio.sleep(SETTLES_S)
        assert pair.alice_ui.view.hud.muted

    talking(tmp_path, scene)


def test_what_another_key_has_switched_on_stays_on_when_the_space_bar_is_released(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        for key in ("m", "space-down", "space-up"):
            pair.alice_ui.press(key)
        assert not any(await muted_for(pair, SETTLES_S))
        pair.alice_ui.press("m")
        assert pair.alice_ui.view.hud.muted

    talking(tmp_path, scene)


def test_a_release_answers_no_question(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        press = pair.alice_ui.press
        press("space-down")
        press("i")
        press("space-up")
        hud = pair.alice_ui.view.hud
        assert hud.muted
        assert hud.show_verify
        press(" ")
        assert not pair.alice_ui.view.hud.show_verify
        assert pair.alice_ui.view.hud.muted

    talking(tmp_path, scene)


def test_without_push_to_talk_the_space_bar_does_nothing(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        for key in ("m", " ", "space-down", "space-up"):
            pair.alice_ui.press(key)
        assert pair.alice_ui.view.hud.muted
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(tmp_path, scene)


def test_where_no_key_can_be_pressed_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(pair: Pair) -> None:
        assert [event.slug for event in pair.alice_ui.of(events.Warning)] == ["no-keys"]

    monkeypatch.setattr(SeeingUi, "open_view", FakeUi.open_view)
    talking(tmp_path, scene)
