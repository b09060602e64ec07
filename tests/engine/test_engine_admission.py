"""The door never opens by itself, and knows at each knock who is a contact now, whoever has changed that."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine import caller
from p2pcall.engine import reach as engine_reach
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import DEFAULT_PORT, Target
from p2pcall.proto.endpoint import StaticKey
from p2pcall.proto.wire import DatagramType
from p2pcall.store.choices import kept_reach
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Reach

CAROL = "10.0.0.3"
OTHER = bytes(range(32))


@pytest.fixture(autouse=True)
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dials has Bob's key, and so his very first knock shows who it is."""

    async def locate(side: UserAgent, target: Target) -> caller.Location:
        return caller.Location([(target.host, DEFAULT_PORT)], side.trust.expected_key("bob"), "bob")

    monkeypatch.setattr(caller, "locate", locate)


class Beside:
    """The contacts as another process has them: what waits for a disk is beside the loop."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._contacts, name)
        return lambda *args: beside(lambda: method(*args))


class House:
    """Bob's house: his home, his network, and those who knock."""

    def __init__(self, tmp_path: Path) -> None:
        self._place, self.network = tmp_path, Network()
        self.home = Home.at(tmp_path / "bob")
        self.contacts = Beside(Contacts(self.home))
        self.ui = FakeUi()
        self.alice = self.side("alice", ALICE, max_duration_s=1.0)

    def side(self, name: str, host: str, ui: FakeUi | None = None, **settings: object) -> UserAgent:
        made = agent(self._place, name, ui or FakeUi(), self.network, host, sum(map(ord, name)), **settings)
        if name != "bob":
            key = self._bob_key
            beside(lambda: made.trust.pin("bob", key, 0.0))
        return made

    @property
    def _bob_key(self) -> bytes:
        return agent(self._place, "bob", FakeUi(), Network(), BOB, sum(map(ord, "bob"))).identity.public

    async def listens(self, **settings: object) -> "asyncio.Task[Outcome]":
        """Bob begins to listen, as a process of its own that knows what is on the disk."""
        self.ui = FakeUi("decline")
        return await listening(self.side("bob", BOB, self.ui, answer=Answer.CONTACTS, **settings))

    async def rings(self, side: UserAgent, host: str = BOB) -> bool:
        """Whether whoever dials is let in; else they get not one byte."""
        said = self.network.sent
        try:
            await dial(side, host)
        except P2PCallError as error:
            assert error.exit is ExitCode.NOT_FOUND
            kinds = {data[0] for data in self.network.seen[said:]}
            assert not kinds & {DatagramType.COOKIE, DatagramType.RESPONSE}, "a knock was answered"
            return False
        return True

    async def stranger_rings(self) -> bool:
        return await self.rings(self.side("carol", CAROL))

    def told(self) -> list[str]:
        return [warning.slug for warning in self.ui.of(events.Warning)]


async def ends(task: "asyncio.Task[Outcome]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_reach_never_opens_by_itself(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        house.contacts.pin("alice", house.alice.identity.public, 0.0)
        task = await house.listens()
        house.contacts.remove("alice")
        assert not await house.stranger_rings()
        assert house.told() == ["contacts-gone", "no-contacts"]
        await ends(task)

        task = await house.listens()
        assert not await house.stranger_rings(), "nor after a restart"
        assert house.told() == ["no-contacts"]
        await ends(task)

        house.home.vault_path.unlink()
        task = await house.listens()
        house.home.settings_path.unlink()
        assert not await house.stranger_rings(), "nor when the files are gone while it listens"
        await ends(task)

    run_virtual(scene)


def test_a_home_of_an_older_version_is_closed_for_good_by_its_contacts(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        house.contacts.pin("alice", house.alice.identity.public, 0.0)
        house.home.settings_path.unlink()
        await ends(await house.listens())
        house.home.vault_path.unlink()
        task = await house.listens()
        assert not await house.stranger_rings()
        await ends(task)

    run_virtual(scene)


@pytest.mark.parametrize("goes", ["remove", "block"])
def test_a_contact_who_is_removed_or_blocked_is_a_stranger_to_the_first_knock(
    tmp_path: Path, goes: str
) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        alice = house.alice
        house.contacts.pin("alice", alice.identity.public, 0.0)
        house.contacts.pin("somebody", OTHER, 0.0)
        task = await house.listens()
        assert await house.rings(alice)
        while not house.ui.waits:  # all that follows a call is over
            await asyncio.sleep(0.01)
        leave: Callable[[], object] = {
            "remove": lambda: house.contacts.remove("alice"),
            "block": lambda: house.contacts.block(alice.identity.fingerprint, 0.0),
        }[goes]
        leave()
        assert not await house.rings(house.side("alice", ALICE))
        (warning,) = house.ui.of(events.Warning)
        assert warning.text == "alice: removed or blocked, and no longer let in as a contact"
        await ends(task)

    run_virtual(scene)


def test_who_is_removed_between_knock_and_confirmation_gets_no_line(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        house.contacts.pin("alice", house.alice.identity.public, 0.0)
        task = await house.listens()
        calling = asyncio.ensure_future(house.rings(house.alice))
        while not house.network.reached(ALICE):  # her cookie is on its way
            await asyncio.sleep(0.001)
        house.contacts.remove("alice")
        with pytest.raises(AssertionError, match="was answered"):
            await calling
        assert not house.ui.of(events.Incoming)
        await ends(task)

    run_virtual(scene)


def test_a_contact_who_is_added_rings_at_once_and_closes_the_door(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        task = await house.listens()
        assert await house.stranger_rings()
        house.contacts.pin("alice", house.alice.identity.public, 0.0)
        assert not await house.stranger_rings()
        assert house.told()[-1] == "contacts-only"
        assert "only contacts can ring here from now on" in house.ui.of(events.Warning)[-1].text
        assert await house.rings(house.alice)
        await ends(task)

    run_virtual(scene)


def test_what_has_changed_is_told_without_a_knock(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        for i in range(5):
            house.contacts.pin(f"n{i}", bytes([i + 1] * 32), 0.0)
        task = await house.listens()
        for i in range(5):
            house.contacts.remove(f"n{i}")
        warning = await house.ui.wait(events.Warning)
        assert warning.text.startswith("n0, n1, n2 and 2 more: removed")
        await ends(task)

    run_virtual(scene)


def test_the_users_word_is_kept_and_told_with_its_direction(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        house.contacts.pin("alice", house.alice.identity.public, 0.0)
        for given, in_force, told in (
            (Reach.ANYONE, "anyone", "anyone can ring here from now on"),
            (None, "anyone", ""),
            (Reach.ANYONE, "anyone", ""),
            (Reach.CONTACTS, "contacts", "only contacts can ring here from now on"),
            (None, "contacts", ""),
        ):
            task = await house.listens(reach=given)
            assert (await house.ui.wait(events.Listening)).reach == in_force
            assert await house.stranger_rings() == (in_force == "anyone")
            assert [warning.text[: len(told)] for warning in house.ui.of(events.Warning)][:1] == [
                told
            ] * bool(told)
            await ends(task)
        assert kept_reach(house.home) == "contacts"

    run_virtual(scene)


def test_another_process_does_not_open_a_door_that_is_closed(tmp_path: Path) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        house.contacts.pin("alice", house.alice.identity.public, 0.0)
        task = await house.listens()
        await ends(await listening(house.side("bob", CAROL, reach=Reach.ANYONE)))
        house.contacts.pin("somebody", OTHER, 0.0)
        assert not await house.stranger_rings()
        await ends(task)

    run_virtual(scene)


def test_a_choice_that_cannot_be_kept_holds_for_this_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise P2PCallError("disk-full", "no space", ExitCode.CONFIG)

    monkeypatch.setattr(engine_reach, "keep_reach", full)

    async def scene() -> None:
        house = House(tmp_path)
        task = await house.listens(reach=Reach.CONTACTS)
        while "disk-full" not in house.told():
            await asyncio.sleep(0.001)
        assert not await house.stranger_rings()
        await ends(task)

    run_virtual(scene)


@pytest.mark.parametrize("text", ["{", '{"version": 2, "reach": "anyone"}', '{"version": 1}', "[]", "\x00"])
def test_a_choice_that_cannot_be_read_opens_nothing(tmp_path: Path, text: str) -> None:
    async def scene() -> None:
        house = House(tmp_path)
        bob = house.side("bob", BOB)
        house.home.settings_path.write_text(text)
        with pytest.raises(P2PCallError) as caught:
            bob.let_in()
        assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)
        assert house.home.settings_path.read_text() == text

    run_virtual(scene)


def test_a_flood_of_knocks_does_not_have_the_contacts_looked_at_for_each() -> None:
    key = StaticKey.from_private(bytes(range(1, 33)))
    endpoint, looks = engine_reach.WatchedEndpoint(key, Random(1).randbytes), list[float]()
    endpoint.look = lambda: looks.append(0.0)
    knock = bytes([DatagramType.KNOCK]) + bytes(83)
    for data in (b"", bytes([DatagramType.DATA]) + bytes(83)):
        endpoint.receive_datagram(data, (ALICE, 1), 0.0)
    assert not looks
    for i in range(50_000):
        endpoint.receive_datagram(knock, (ALICE, 1), i / 5000)
    assert len(looks) <= engine_reach.LOOKS_BURST + 10 * engine_reach.LOOKS_PER_S
    before = len(looks)
    endpoint.receive_datagram(knock, (ALICE, 1), 11.0)
    assert len(looks) == before + 1
    endpoint.accepting = False
    endpoint.receive_datagram(knock, (ALICE, 1), 12.0)
    assert len(looks) == before + 1
