"""Who can make `listen` ring: as `--reach` says, else everybody until there are contacts, and then they alone."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.policy import Answer
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.home import Home
from p2pcall.types import Reach

CAROL = "10.0.0.3"
OTHER = bytes(range(32))


def test_contact_who_dials_an_address_is_let_in_and_a_stranger_hears_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi()
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.CONTACTS)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0)
        beside(partial(bob.trust.pin, "alice", alice.identity.public, 0.0))
        beside(partial(alice.trust.pin, "someone else", OTHER, 5.0))
        beside(partial(alice.trust.pin, "bob", bob.identity.public, 1.0))
        task = await listening(bob)
        said = network.sent
        with pytest.raises(P2PCallError) as caught:
            await dial(agent(tmp_path, "carol", FakeUi(), network, CAROL, 3))
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert network.sent - said == 11, "her knocks and nothing else"
        assert (await dial(alice)).exit is ExitCode.OK
        assert [incoming.known for incoming in bob_ui.of(events.Incoming)] == ["contact"]
        task.cancel()

    run_virtual(scene)


def test_everybody_rings_until_somebody_is_kept_on_purpose(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi("audio")
        bob_ui.keep_as = "alice"
        task = await listening(agent(tmp_path, "bob", bob_ui, network, BOB, 2))
        first = await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0))
        assert first.exit is ExitCode.OK
        assert (await bob_ui.wait(events.Warning)).slug == "contacts-only"
        with pytest.raises(P2PCallError) as caught:
            await dial(agent(tmp_path, "carol", FakeUi(), network, CAROL, 3))
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert len(bob_ui.of(events.Incoming)) == 1
        task.cancel()

    run_virtual(scene)


def test_reach_anyone_rings_for_strangers_whatever_the_contacts(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi("decline")
        bob = agent(tmp_path, "bob", bob_ui, network, BOB, 2, reach=Reach.ANYONE)
        beside(partial(bob.trust.pin, "somebody", OTHER, 0.0))
        task = await listening(bob)
        assert (await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1))).reason == "declined"
        assert len(bob_ui.of(events.Incoming)) == 1
        task.cancel()

    run_virtual(scene)


def test_contacts_that_cannot_be_read_any_more_change_nothing_and_are_told(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi("later")
        task = await listening(agent(tmp_path, "bob", bob_ui, network, BOB, 2))
        alice_ui = FakeUi()
        alice = agent(tmp_path, "alice", alice_ui, network, ALICE, 1, ring_timeout_s=2.0)
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Ringing)
        Home.at(tmp_path / "bob").vault_path.write_bytes(b"{")
        assert (await calling).reason == "no-answer"
        assert (await bob_ui.wait(events.Warning)).slug == "damaged-file"
        assert not task.done()
        task.cancel()

    run_virtual(scene)


def test_contacts_that_cannot_be_read_keep_listen_from_starting(tmp_path: Path) -> None:
    async def scene() -> None:
        bob = agent(tmp_path, "bob", FakeUi(), Network(), BOB, 2)
        Home.at(tmp_path / "bob").vault_path.write_bytes(b"{")
        with pytest.raises(P2PCallError) as caught:
            bob.let_in()
        assert caught.value.exit is ExitCode.CONFIG

    run_virtual(scene)
