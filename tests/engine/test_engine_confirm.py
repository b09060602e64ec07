"""`--confirm`: what hangs up at once, what is asked about first, and what an answer does."""

from pathlib import Path

import pytest
from seeing import Pair, with_a_call

from p2pcall import events
from p2pcall.errors import ExitCode


@pytest.mark.parametrize("key", ["q", "closed"])
def test_without_confirm_leaving_is_not_asked_about(tmp_path: Path, key: str) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press(key)
        ours, theirs = await pair.end()
        assert (ours.reason, theirs.reason) == ("hung-up", "hung-up")

    with_a_call(tmp_path, scene)


@pytest.mark.parametrize(
    ("box", "key"), [(box, key) for box in ("", "?", "s") for key in ("q", "closed")] + [("i", "closed")]
)
def test_leaving_is_asked_about_whatever_is_shown(tmp_path: Path, box: str, key: str) -> None:
    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        for pressed in (box, key):
            if pressed:
                alice.press(pressed)
        hud = alice.view.hud
        assert hud.show_confirm
        assert not (hud.show_help or hud.show_stats or hud.show_verify)
        assert not alice.of(events.Ended)
        alice.press("x")
        assert not alice.view.hud.show_confirm
        alice.press("m")
        assert alice.view.hud.muted, "keys are wishes again"
        alice.press(key)
        alice.press("y")
        ours, _ = await pair.end()
        assert (ours.reason, ours.exit) == ("hung-up", ExitCode.OK)

    with_a_call(tmp_path, scene, confirm=True)


@pytest.mark.parametrize("first", ["", "q"])
@pytest.mark.parametrize("key", ["ctrl-c", "eof"])
def test_an_interrupt_and_a_terminal_that_goes_are_not_asked_about(
    tmp_path: Path, first: str, key: str
) -> None:
    async def scene(pair: Pair) -> None:
        for pressed in (first, key):
            if pressed:
                pair.alice_ui.press(pressed)
        await pair.end()

    with_a_call(tmp_path, scene, confirm=True)


@pytest.mark.parametrize("first", ["q", "closed"])
@pytest.mark.parametrize("second", ["q", "closed"])
def test_who_asks_for_it_twice_means_it(tmp_path: Path, first: str, second: str) -> None:
    """Also where there is no room for the question."""

    async def scene(pair: Pair) -> None:
        pair.alice_ui.press(first)
        pair.alice_ui.press(second)
        await pair.end()

    with_a_call(tmp_path, scene, confirm=True)


def test_a_muted_side_is_not_unmuted_by_a_key_that_answers(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press("m")
        pair.alice_ui.press("q")
        pair.alice_ui.press("m")
        assert pair.alice_ui.view.hud.muted
        assert not pair.alice_ui.view.hud.show_confirm
        pair.alice_ui.press("ctrl-c")
        await pair.end()

    with_a_call(tmp_path, scene, confirm=True)
