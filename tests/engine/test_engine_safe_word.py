"""The safe word in whole calls: the key, both screens, the events; and what a hostile other side gets."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from calls import beside
from seeing import Pair, with_a_call

from p2pcall import events
from p2pcall.engine.safe_word_check import ANSWER_TIMEOUT_S
from p2pcall.factor.safe_word import RUNS, Step, WordExchange, safe_word
from p2pcall.proto.messages import ControlType
from p2pcall.store.home import Home

Work = Callable[[Pair], Coroutine[Any, Any, None]]


def in_a_call(folder: Path, alices: str | None, bobs: str | None, work: Work) -> None:
    """A call of two contacts, each with this safe word for the other."""

    async def scene(pair: Pair) -> None:
        for side, other, name, word in (
            (pair.alice, pair.bob, "bob", alices),
            (pair.bob, pair.alice, "alice", bobs),
        ):
            beside(partial(side.trust.pin, name, other.identity.public, 0.0))
            if word is not None:
                beside(partial(side.trust.factors.set_word, other.identity.public, safe_word(word)))
        await work(pair)
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(folder, scene)


def results(pair: Pair) -> tuple[list[str], list[str]]:
    """How the runs have ended, as alice and as bob is told."""
    return tuple(  # type: ignore[return-value]
        [event.result for event in ui.of(events.SafeWordChecked)] for ui in (pair.alice_ui, pair.bob_ui)
    )


async def told(pair: Pair, count: int = 1) -> None:
    for ui in (pair.alice_ui, pair.bob_ui):
        await ui.wait(events.SafeWordChecked, count)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_both_screens_show_that_both_know_the_word_whoever_presses(tmp_path: Path, who: str) -> None:
    async def work(pair: Pair) -> None:
        (pair.alice_ui if who == "alice" else pair.bob_ui).press("k")
        await told(pair)
        assert results(pair) == (["same"], ["same"])
        first = pair.alice_ui.of(events.SafeWordChecked)[0]
        assert (first.call, first.fingerprint) == (
            pair.alice.identity and first.call,
            pair.bob.identity.fingerprint,
        )
        assert pair.alice_ui.view.hud.notice.endswith("knows the safe word")
        assert pair.bob_ui.view.hud.notice.endswith("knows the safe word")

    in_a_call(tmp_path, "blue giraffe", "Blue Giraffe", work)


def test_both_who_press_at_once_have_one_run(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        pair.alice_ui.press("k")
        pair.bob_ui.press("k")
        await told(pair)
        assert results(pair) == (["same"], ["same"])

    in_a_call(tmp_path, "blue giraffe", "blue giraffe", work)


def test_a_wrong_word_is_shown_on_both_screens_until_the_end(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        pair.alice_ui.press("k")
        await told(pair)
        assert results(pair) == (["different"], ["different"])
        await asyncio.sleep(60)
        for ui in (pair.alice_ui, pair.bob_ui):
            assert "does not know the safe word" in ui.view.hud.notice

    in_a_call(tmp_path, "blue giraffe", "red giraffe", work)


def test_a_side_without_a_word_is_told_of_and_says_so(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        pair.alice_ui.press("k")
        await told(pair)
        assert results(pair) == (["none-there"], ["none-here"])
        assert "p2pcall contacts safeword" in pair.bob_ui.view.hud.notice
        pair.bob_ui.press("k")
        await asyncio.sleep(1)
        assert results(pair) == (["none-there"], ["none-here"]), "there is nothing to compare"
        assert "no safe word is set" in pair.bob_ui.view.hud.notice

    in_a_call(tmp_path, "blue giraffe", None, work)


def test_a_call_has_three_runs_and_then_the_key_says_so(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        for number in range(RUNS):
            pair.alice_ui.press("k")
            await told(pair, number + 1)
        pair.alice_ui.press("k")
        pair.bob_ui.press("k")
        await asyncio.sleep(2 * ANSWER_TIMEOUT_S)
        assert results(pair) == (["different"] * RUNS, ["different"] * RUNS)
        assert (
            "tried 3 times" in pair.alice_ui.view.hud.notice
            or "does not know" in pair.alice_ui.view.hud.notice
        )

    in_a_call(tmp_path, "blue giraffe", "red giraffe", work)


def test_who_does_not_answer_is_told_of(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        pair.bob_line().signals.put_nowait = lambda signal: None  # type: ignore[method-assign]
        pair.alice_ui.press("k")
        await pair.alice_ui.wait(events.SafeWordChecked)
        assert results(pair) == (["no-answer"], [])
        del pair.bob_line().signals.put_nowait

    in_a_call(tmp_path, "blue giraffe", "blue giraffe", work)


def test_a_guess_of_the_other_side_is_told_of_even_if_it_hangs_up_at_once(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        guesser = WordExchange(b"x" * 32, Random(1).randbytes, dialled=False)
        (element,) = guesser.begin(safe_word("a guess")).bodies
        pair.bob_line().signals.put_nowait = lambda signal: None  # type: ignore[method-assign]
        pair.bob_line().send_control(ControlType.SAFE_WORD, element)
        await asyncio.sleep(0.1)
        assert results(pair)[0] == []
        del pair.bob_line().signals.put_nowait

    seen: list[Pair] = []

    async def kept(pair: Pair) -> None:
        seen.append(pair)
        await work(pair)

    in_a_call(tmp_path, "blue giraffe", None, kept)
    assert results(seen[0])[0] == ["no-answer"]


def test_a_flood_of_messages_gets_three_runs_of_arithmetic_and_ends_no_call(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        line = pair.bob_line()
        for number in range(300):
            line.send_control(ControlType.SAFE_WORD, bytes([Step.ELEMENT, number % 256]) + b"\x05" * 32)
            line.send_control(
                ControlType.SAFE_WORD, bytes([number % 7, number % 5]) + b"\x05" * (number % 40)
            )
            await asyncio.sleep(0.01)
        await asyncio.sleep(2 * ANSWER_TIMEOUT_S)
        assert len(results(pair)[0]) <= RUNS
        assert "same" not in results(pair)[0]

    in_a_call(tmp_path, "blue giraffe", "red giraffe", work)


def test_contacts_that_cannot_be_read_are_told_of_once_however_often_the_other_side_asks(
    tmp_path: Path,
) -> None:
    async def work(pair: Pair) -> None:
        Home.at(tmp_path / "alice").vault_path.write_bytes(b"{")
        before = len(pair.alice_ui.of(events.Warning))
        for number in range(20):
            pair.bob_line().send_control(ControlType.SAFE_WORD, bytes([Step.PROOF, number]))
        await asyncio.sleep(1)
        told = [event.slug for event in pair.alice_ui.of(events.Warning)[before:]]
        assert told.count("damaged-file") == 1

    in_a_call(tmp_path, "blue giraffe", "blue giraffe", work)
