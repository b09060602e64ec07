"""Who becomes a contact: whom a person keeps on purpose, and nobody for having been answered."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.key_pinning import KEEP_TIMEOUT_S
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Reach

OTHER = bytes(range(32))


def known(folder: Path, who: str) -> list[tuple[str, bytes]]:
    return [(contact.name, contact.public) for contact in Contacts(Home.at(folder / who)).all()]


def answering(
    folder: Path, network: Network, keep_as: str | None, **settings: object
) -> tuple[UserAgent, FakeUi]:
    """bob, at a terminal, who takes calls from anybody."""
    ui = FakeUi("audio")
    ui.keep_as = keep_as
    settings.setdefault("reach", Reach.ANYONE)
    return agent(folder, "bob", ui, network, BOB, 2, **settings), ui


def calling(
    folder: Path, network: Network, name: str = "alice", host: str = ALICE, seed: int = 1
) -> UserAgent:
    return agent(folder, name, FakeUi(), network, host, seed, max_duration_s=1.0)


def test_a_stranger_is_not_pinned_by_answering(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, None)
        task = await listening(bob)
        for number in (1, 2):
            await dial(calling(tmp_path, network, host=f"10.0.1.{number}"))
            await ui.wait(events.Ended, number)
            await asyncio.sleep(1)
            assert ui.asked_to_keep == [("alice", "alice", "")] * number
        assert [incoming.known for incoming in ui.of(events.Incoming)] == ["new", "new"]
        assert known(tmp_path, "bob") == []
        task.cancel()

    run_virtual(scene)


def test_a_caller_is_kept_under_the_name_that_is_given_after_the_call(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, "lisa", reach=None)
        alice = calling(tmp_path, network)
        task = await listening(bob)
        await dial(alice)
        assert known(tmp_path, "bob") == []
        assert (await ui.wait(events.Warning)).slug == "contacts-only"
        assert known(tmp_path, "bob") == [("lisa", alice.identity.public)]
        again = calling(tmp_path, network, host="10.0.1.1")
        beside(partial(again.trust.pin, "bob", bob.identity.public, 0.0))
        await dial(again)
        assert ui.of(events.Incoming)[1].name == "lisa"
        await ui.wait(events.Ended, 2)
        assert len(ui.asked_to_keep) == 1, "whoever is known is not asked about"
        task.cancel()

    run_virtual(scene)


def test_a_claimed_name_that_is_taken_is_never_offered_nor_given(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, "alice")
        beside(partial(bob.trust.pin, "Alice", OTHER, 0.0))
        alice = calling(tmp_path, network)
        task = await listening(bob)
        await dial(alice)
        await ui.wait(events.Ended)
        await asyncio.sleep(1)
        short = alice.identity.fingerprint[:9]
        assert ui.asked_to_keep == [(short, "", ""), (short, "", "alice is another contact's name")]
        assert known(tmp_path, "bob") == [("Alice", OTHER)]
        task.cancel()

    run_virtual(scene)


def test_the_question_does_not_block_the_next_call(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, "later")
        task = await listening(bob)
        await dial(calling(tmp_path, network))
        await ui.wait(events.Ended)
        await asyncio.sleep(1)
        assert len(ui.asked_to_keep) == 1
        second = await dial(calling(tmp_path, network, "carol", "10.0.0.3", 3))
        assert second.exit is ExitCode.OK
        await ui.wait(events.Ended, 2)
        await asyncio.sleep(1)
        assert [claimed for claimed, _, _ in ui.asked_to_keep] == ["alice", "carol"]
        assert known(tmp_path, "bob") == []
        task.cancel()

    run_virtual(scene)


@pytest.mark.parametrize("keep_as", ["alice", "later", None])
def test_with_once_the_question_comes_before_the_end_and_not_for_ever(
    tmp_path: Path, keep_as: str | None
) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, keep_as, once=True)
        alice = calling(tmp_path, network)
        task = await listening(bob)
        await dial(alice)
        over = asyncio.get_running_loop().time()
        assert (await task).exit is ExitCode.OK
        assert len(ui.asked_to_keep) == 1
        waited = asyncio.get_running_loop().time() - over
        assert (waited >= KEEP_TIMEOUT_S - 1) == (keep_as == "later")
        assert known(tmp_path, "bob") == ([("alice", alice.identity.public)] if keep_as == "alice" else [])

    run_virtual(scene)


def test_to_be_told_to_stop_withdraws_the_question(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, "later", once=True)
        task = await listening(bob)
        await dial(calling(tmp_path, network))
        await ui.wait(events.Ended)
        await asyncio.sleep(1)
        assert len(ui.asked_to_keep) == 1
        before = asyncio.get_running_loop().time()
        bob.interrupts._tell("signal")
        await task
        assert asyncio.get_running_loop().time() - before < 1

    run_virtual(scene)


@pytest.mark.parametrize("answer", [Answer.ANYONE, Answer.ASK])
def test_only_who_was_answered_by_a_person_is_asked_about(tmp_path: Path, answer: Answer) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, "alice", answer=answer, once=True)
        task = await listening(bob)
        await dial(calling(tmp_path, network))
        await task
        assert len(ui.asked_to_keep) == (answer is Answer.ASK)
        assert len(known(tmp_path, "bob")) == (answer is Answer.ASK)

    run_virtual(scene)


def test_contacts_that_cannot_be_written_are_told_and_end_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        bob, ui = answering(tmp_path, network, "later")
        task = await listening(bob)
        await dial(calling(tmp_path, network))
        await ui.wait(events.Ended)
        ui.keep_as = "alice"
        Home.at(tmp_path / "bob").vault_path.write_bytes(b"{")
        await asyncio.sleep(1)
        assert {warning.slug for warning in ui.of(events.Warning)} - {"anyone"} == {"damaged-file"}
        assert not task.done()
        task.cancel()

    run_virtual(scene)


# ---- who dials


@pytest.mark.parametrize("keep_as", ["robert", None])
def test_whoever_answers_at_a_bare_address_is_not_kept_unasked(tmp_path: Path, keep_as: str | None) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi()
        ui.keep_as = keep_as
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", ui, network, ALICE, 1, max_duration_s=1.0)
        assert (await dial(alice)).exit is ExitCode.OK
        assert ui.asked_to_keep == [("bob", "bob", "")]
        assert known(tmp_path, "alice") == ([("robert", bob.identity.public)] if keep_as else [])
        task.cancel()

    run_virtual(scene)


@pytest.mark.usefixtures("named")
def test_whoever_is_dialled_by_a_name_is_kept_under_it(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi()
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE)
        task = await listening(bob)
        await dial(agent(tmp_path, "alice", ui, network, ALICE, 1, max_duration_s=1.0))
        assert ui.asked_to_keep == []
        assert known(tmp_path, "alice") == [(BOB, bob.identity.public)]
        task.cancel()

    run_virtual(scene)
