"""Who rings first: a contact comes before a stranger who is asked about, and a blocked key never rings at all."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from eavesdrop import Person, seen_by_a_caller
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.policy import Answer
from p2pcall.engine.strangers import STRANGERS_BURST
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode
from p2pcall.proto.messages import Reason
from p2pcall.store.contacts import Contacts
from p2pcall.types import Reach

CAROL, DAVE = "10.0.0.3", "10.0.0.4"


class Evening:
    """bob listens and is asked; carol, a stranger, rings. alice is his contact."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.network, self.bob_ui, self.carol_ui = folder, Network(), Person(), FakeUi()
        self.bob = agent(folder, "bob", self.bob_ui, self.network, BOB, 2, reach=Reach.ANYONE, **settings)
        self.alice = self.side("alice", ALICE, 1, max_duration_s=20.0)
        beside(partial(self.bob.trust.pin, "alice", self.alice.identity.public, 0.0))
        self.carol = self.side("carol", CAROL, 3, self.carol_ui, ring_timeout_s=45.0, max_duration_s=1.0)

    def side(self, name: str, host: str, seed: int, ui: FakeUi | None = None, **settings: Any) -> UserAgent:
        return agent(self.folder, name, ui or FakeUi(), self.network, host, seed, **settings)

    async def begin(self) -> None:
        self.task = await listening(self.bob)
        self.stranger = asyncio.ensure_future(dial(self.carol))
        await self.carol_ui.wait(events.Ringing)
        assert len(self.bob_ui.questions) == 1

    async def asked(self, count: int) -> Any:
        await self.bob_ui.wait(events.Incoming, count)
        while len(self.bob_ui.questions) < count:
            await asyncio.sleep(0.01)
        return self.bob_ui.questions[-1]

    def ends(self) -> list[tuple[str, str]]:
        return [(ended.name, ended.reason) for ended in self.bob_ui.of(events.Ended)]


def test_strangers_do_not_block_friends(tmp_path: Path) -> None:
    """The question about her goes, she hears it ring all the while, and is asked about again afterwards."""

    async def scene() -> None:
        evening = Evening(tmp_path)
        await evening.begin()
        friend = asyncio.ensure_future(dial(evening.alice))
        question = await evening.asked(2)
        assert evening.bob_ui.of(events.Incoming)[1].name == "alice"
        assert evening.bob_ui.questions[0].cancelled()
        question.set_result("audio")
        assert (await friend).exit is ExitCode.OK
        assert not evening.stranger.done()
        assert len(evening.carol_ui.of(events.Ringing)) == 1
        question = await evening.asked(3)
        assert evening.bob_ui.of(events.Incoming)[2].name == "carol"
        question.set_result("audio")
        assert (await evening.stranger).exit is ExitCode.OK
        await evening.bob_ui.wait(events.Ended, 2)
        assert [name for name, _ in evening.ends()] == ["alice", "carol"]
        evening.task.cancel()

    run_virtual(scene)


@pytest.mark.parametrize("answer", [Answer.CONTACTS, Answer.ASK])
def test_a_stranger_who_gave_up_meanwhile_is_missed(tmp_path: Path, answer: Answer) -> None:
    async def scene() -> None:
        evening = Evening(tmp_path, answer=answer)
        await evening.begin()
        friend = asyncio.ensure_future(dial(evening.alice))
        if answer is Answer.ASK:
            (await evening.asked(2)).set_result("audio")
        await evening.bob_ui.wait(events.Connected)
        evening.stranger.cancel()
        await asyncio.wait([evening.stranger])
        for line in list(evening.carol.node._lines.values()):
            line.hang_up(Reason.HUNG_UP)
        ended = await evening.bob_ui.wait(events.Ended)
        assert (ended.name, ended.reason) == ("carol", "missed")
        assert not friend.done(), "that is told when it happens"
        await friend
        await evening.bob_ui.wait(events.Ended, 2)
        await asyncio.sleep(1)
        assert len(evening.bob_ui.of(events.Incoming)) == 2
        evening.task.cancel()

    run_virtual(scene)


def test_a_stranger_who_was_answered_or_a_contact_gives_way_to_nobody(tmp_path: Path) -> None:
    async def scene() -> None:
        evening = Evening(tmp_path)
        await evening.begin()
        dave = evening.side("dave", DAVE, 4)
        assert (await dial(dave)).reason == "busy", "strangers have their turn"
        evening.bob_ui.questions[0].set_result("audio")
        assert (await dial(evening.alice)).reason == "busy"
        assert (await evening.stranger).exit is ExitCode.OK
        again = asyncio.ensure_future(dial(evening.side("alice", "10.0.1.1", 1, max_duration_s=1.0)))
        question = await evening.asked(2)
        beside(partial(evening.bob.trust.pin, "dave", dave.identity.public, 0.0))
        assert (await dial(evening.side("dave", "10.0.1.4", 4))).reason == "busy"
        question.set_result("audio")
        assert (await again).exit is ExitCode.OK
        evening.task.cancel()

    run_virtual(scene)


def test_whoever_stands_aside_is_told_when_listen_ends(tmp_path: Path) -> None:
    async def scene() -> None:
        evening = Evening(tmp_path)
        await evening.begin()
        friend = asyncio.ensure_future(dial(evening.alice))
        await evening.asked(2)
        evening.bob.interrupts._tell("signal")
        await evening.task
        assert (await friend).reason == (await evening.stranger).reason == "declined"
        assert sorted(evening.ends()) == [("alice", "declined"), ("carol", "declined")]

    run_virtual(scene)


def test_strangers_ring_a_few_times_and_then_once_a_second(tmp_path: Path) -> None:
    async def scene() -> None:
        evening = Evening(tmp_path)
        evening.bob_ui.answer = None
        task = await listening(evening.bob)
        for number in range(2 * STRANGERS_BURST):
            side = evening.side("carol", f"10.0.2.{number}", 10 + number)
            assert (await dial(side)).reason == ("declined" if number < STRANGERS_BURST else "busy")
        assert len(evening.bob_ui.of(events.Incoming)) == len(evening.ends()) == STRANGERS_BURST
        await asyncio.sleep(1)
        assert (await dial(evening.side("carol", "10.0.3.1", 50))).reason == "declined"
        told = evening.bob_ui.of(events.Missed)
        assert sum(one.count for one in told) >= 2 * STRANGERS_BURST
        assert len(told) <= 4
        task.cancel()

    run_virtual(scene)


# ---- the blocked


def blocked_by_bob(book: Contacts, carol: UserAgent) -> None:
    """carol's key is blocked."""
    book.block(carol.identity.fingerprint, 0.0)


def nothing(book: Contacts, carol: UserAgent) -> None:
    """carol is a stranger."""


@pytest.mark.parametrize(
    ("answer", "rule"), [("later", Answer.ASK), (None, Answer.ASK), (None, Answer.NEVER)]
)
def test_a_blocked_key_gets_exactly_what_a_stranger_gets_who_is_not_answered(
    tmp_path: Path, answer: str | None, rule: Answer
) -> None:
    blocked, told = seen_by_a_caller(tmp_path / "blocked", blocked_by_bob, answer, rule)
    stranger, _ = seen_by_a_caller(tmp_path / "stranger", nothing, answer, rule)
    assert blocked == stranger
    assert told == [], "the owner is not bothered"


def test_a_blocked_key_is_not_answered_where_anyone_is(tmp_path: Path) -> None:
    (_, _, reason), told = seen_by_a_caller(tmp_path, blocked_by_bob, None, Answer.ANYONE)
    assert (reason, told) == ("no-answer", [])
