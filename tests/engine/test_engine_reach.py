"""Who can make `listen` ring: as `--reach` says, else everybody until there are contacts, and then they alone."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from calls import ALICE, BOB, FakeUi, beside, dial, listening, station
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine import caller
from p2pcall.engine.settings import Answer, Reach
from p2pcall.engine.station import Station
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import DEFAULT_PORT, Target
from p2pcall.store.home import Home

CAROL = "10.0.0.3"
OTHER = bytes(range(32))


def test_contact_who_dials_an_address_is_let_in_and_a_stranger_hears_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi()
        bob = station(tmp_path, "bob", bob_ui, network, BOB, 2, answer=Answer.CONTACTS)
        alice = station(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0)
        beside(partial(bob.people.pin, "alice", alice.identity.public, 0.0))
        beside(partial(alice.people.pin, "someone else", OTHER, 5.0))
        beside(partial(alice.people.pin, "bob", bob.identity.public, 1.0))
        task = await listening(bob)
        said = network.sent
        with pytest.raises(P2PCallError) as caught:
            await dial(station(tmp_path, "carol", FakeUi(), network, CAROL, 3))
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert network.sent - said == 11, "her knocks and nothing else"
        assert (await dial(alice)).exit is ExitCode.OK
        assert [incoming.known for incoming in bob_ui.of(events.Incoming)] == ["contact"]
        task.cancel()

    run_virtual(scene)


def test_everybody_rings_until_somebody_was_answered_on_purpose(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi("audio")
        task = await listening(station(tmp_path, "bob", bob_ui, network, BOB, 2))
        first = await dial(station(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0))
        assert first.exit is ExitCode.OK
        with pytest.raises(P2PCallError) as caught:
            await dial(station(tmp_path, "carol", FakeUi(), network, CAROL, 3))
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert len(bob_ui.of(events.Incoming)) == 1
        task.cancel()

    run_virtual(scene)


def test_reach_anyone_rings_for_strangers_whatever_the_contacts(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi("decline")
        bob = station(tmp_path, "bob", bob_ui, network, BOB, 2, reach=Reach.ANYONE)
        beside(partial(bob.people.pin, "somebody", OTHER, 0.0))
        task = await listening(bob)
        assert (await dial(station(tmp_path, "alice", FakeUi(), network, ALICE, 1))).reason == "declined"
        assert len(bob_ui.of(events.Incoming)) == 1
        task.cancel()

    run_virtual(scene)


def test_contacts_that_cannot_be_read_any_more_change_nothing_and_are_told(tmp_path: Path) -> None:
    async def scene() -> None:
        network, bob_ui = Network(), FakeUi("later")
        task = await listening(station(tmp_path, "bob", bob_ui, network, BOB, 2))
        alice_ui = FakeUi()
        alice = station(tmp_path, "alice", alice_ui, network, ALICE, 1, ring_timeout_s=2.0)
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Ringing)
        Home.at(tmp_path / "bob").contacts_path.write_bytes(b"{")
        assert (await calling).reason == "no-answer"
        assert (await bob_ui.wait(events.Warning)).slug == "damaged-file"
        assert not task.done()
        task.cancel()

    run_virtual(scene)


def test_contacts_that_cannot_be_read_keep_listen_from_starting(tmp_path: Path) -> None:
    async def scene() -> None:
        bob = station(tmp_path, "bob", FakeUi(), Network(), BOB, 2)
        Home.at(tmp_path / "bob").contacts_path.write_bytes(b"{")
        with pytest.raises(P2PCallError) as caught:
            bob.let_in()
        assert caught.value.exit is ExitCode.CONFIG

    run_virtual(scene)


@pytest.fixture
def pinned(tmp_path: Path) -> Iterator[None]:
    """Whoever dials an address finds the key that is pinned to it, as one does who dials a contact by name."""

    async def locate(side: Station, target: Target) -> caller.Found:
        return caller.Found([(target.host, DEFAULT_PORT)], side.people.expected_key(target.host), target.host)

    with mock.patch.object(caller, "locate", locate):
        yield


@pytest.mark.usefixtures("pinned")
def test_while_a_contact_is_dialled_the_port_is_silent_to_all_others(tmp_path: Path) -> None:
    async def scene() -> None:
        network, alice_ui = Network(), FakeUi()
        bob = station(tmp_path, "bob", FakeUi("later"), network, BOB, 2)
        alice = station(tmp_path, "alice", alice_ui, network, ALICE, 1, ring_timeout_s=20.0)
        beside(partial(alice.people.pin, BOB, bob.identity.public, 0.0))
        task = await listening(bob)
        calling = asyncio.ensure_future(dial(alice))
        await alice_ui.wait(events.Ringing)
        carol = station(tmp_path, "carol", FakeUi(), network, CAROL, 3)
        with pytest.raises(P2PCallError) as caught:
            await dial(carol, ALICE)
        assert caught.value.exit is ExitCode.NOT_FOUND
        assert not network.reached(CAROL)
        assert (await calling).reason == "no-answer"
        task.cancel()

    run_virtual(scene)


@pytest.mark.usefixtures("pinned")
def test_contacts_who_dial_each_other_at_once_have_one_call(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        alice = station(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=3.0)
        bob = station(tmp_path, "bob", FakeUi(), network, BOB, 2)
        beside(partial(alice.people.pin, BOB, bob.identity.public, 0.0))
        beside(partial(bob.people.pin, ALICE, alice.identity.public, 0.0))
        outcomes = await asyncio.gather(dial(alice, BOB), dial(bob, ALICE))
        assert [outcome.exit for outcome in outcomes] == [ExitCode.OK, ExitCode.OK]
        assert outcomes[0].call == outcomes[1].call

    run_virtual(scene)
