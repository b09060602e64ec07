"""First contact with real sockets in this process: what a clock, a disk and a signal do to it."""

import asyncio
import io
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from p2pcall import events
from p2pcall.engine import first_contact
from p2pcall.engine.first_contact import PairingSettings, run_invite, run_join
from p2pcall.env import Clock, Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import invites
from p2pcall.net.lanpeer import LanPeer
from p2pcall.pairing.code import Invitation, parse_code, parse_invitation
from p2pcall.pairing.constants import INVITE_S
from p2pcall.pairing.datagrams import Offer, parse_pairing
from p2pcall.pairing.joiner import Joiner
from p2pcall.pairing.outcome import PairingEnd
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home

BOB = KeyPair.from_private(bytes([2]) * 32)
PATIENCE_S = 20.0


class SleepyClock(Clock):
    """The clock of a machine that sleeps when it is told to."""

    slept_s = 0.0

    def asleep(self) -> float:
        return self.slept_s


class Told:
    """The user interface of a script."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.invited: asyncio.Future[events.Invited] = asyncio.get_running_loop().create_future()
        self.paired: asyncio.Future[events.Paired] = asyncio.get_running_loop().create_future()

    def emit(self, event: events.Event) -> None:
        self.events.append(event)
        if isinstance(event, events.Invited):
            self.invited.set_result(event)
        if isinstance(event, events.Paired):
            self.paired.set_result(event)

    def progress(self, text: str) -> None:
        pass


class Other:
    """A joiner without the rest of the program, who says what it is told to."""

    def __init__(self, invited: events.Invited) -> None:
        self.there = "127.0.0.1", invited.port
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.joiner = Joiner(parse_code(invited.code), BOB, "Bob", [self.there], os.urandom, 0.0)

    def say(self) -> None:
        for data, _ in self.joiner.datagrams_to_send(0.0):
            self.sock.sendto(data, self.there)

    async def hear(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            data = await asyncio.get_running_loop().sock_recv(self.sock, 2048)
        self.joiner.receive_datagram(data, self.there, 0.0)
        return data

    async def prove(self) -> None:
        """As far as the proof."""
        self.say()
        assert isinstance(parse_pairing(await self.hear()), Offer)
        self.say()


def inviting(
    home: Path, during: Callable[[Told, Other], Awaitable[None]], clock: Clock | None = None
) -> Told:
    """An invite on the loopback address, and what happens meanwhile."""

    async def main() -> Told:
        env = Env(io.StringIO(), io.StringIO(), io.StringIO(), {}, clock)
        told = Told()
        settings = PairingSettings("alice", bind=("127.0.0.1",))
        running = asyncio.ensure_future(run_invite(env, settings, Home.at(home), told, 2))  # type: ignore[arg-type]
        other = Other(await told.invited)
        try:
            await during(told, other)
            await running
        finally:
            running.cancel()
            other.sock.close()
        return told

    return asyncio.run(main())


def meeting(
    home: Path, invitation: Callable[[events.Invited], Invitation], **joins: str
) -> tuple[Told, Told]:
    """An invite, and a join of it with the whole program on both sides."""
    joined: list[Told] = []

    async def join(told: Told, other: Other) -> None:
        invited = told.invited.result()
        env = Env(io.StringIO(), io.StringIO(), io.StringIO(), {})
        joined.append(Told())
        settings = PairingSettings("bob", bind=("127.0.0.1",), kept_as=joins.get("kept_as"))
        place = f"127.0.0.1:{invited.port}" if "by" in joins else None
        await run_join(env, settings, Home.at(home / "bob"), joined[0], invitation(invited), place)  # type: ignore[arg-type]

    return inviting(home / "alice", join), joined[0]


@pytest.mark.parametrize("by", ["uri", "address"])
def test_who_joins_and_who_invites_are_contacts_then(home: Path, by: str) -> None:
    def invitation(invited: events.Invited) -> Invitation:
        return parse_invitation(invited.uri if by == "uri" else invited.code)

    alice, bob = meeting(home, invitation, kept_as="sis", **({"by": by} if by == "address" else {}))
    assert [told.paired.result().name for told in (alice, bob)] == ["bob", "sis"]
    assert [told.paired.result().claimed for told in (alice, bob)] == ["bob", "alice"]
    for who in ("alice", "bob"):
        (contact,) = Contacts(Home.at(home / who)).all()
        assert contact.verified


def found(monkeypatch: pytest.MonkeyPatch, *there: LanPeer) -> None:
    async def find_invites(number: int, bound: Sequence[str]) -> list[LanPeer]:
        assert number == 7
        return list(there)

    monkeypatch.setattr(invites, "find_invites", find_invites)


def peer(port: int) -> LanPeer:
    return LanPeer("x", port, (("127.0.0.1", port),), {}, "x.local.")


@pytest.mark.parametrize(
    ("there", "slug"), [((), "no-such-invite"), ((peer(1), peer(2)), "two-invites"), ((peer(9),), None)]
)
def test_an_invite_on_the_network_is_asked_only_if_it_is_the_one_of_its_number(
    monkeypatch: pytest.MonkeyPatch, there: tuple[LanPeer, ...], slug: str | None
) -> None:
    found(monkeypatch, *there)

    async def main() -> None:
        ui = Told()
        look = first_contact._find(
            ui, PairingSettings("bob"), parse_invitation("7-crossover-clockwork"), None
        )  # type: ignore[arg-type]
        if slug is None:
            assert list(await look) == [("127.0.0.1", 9)]
            return
        with pytest.raises(P2PCallError) as none:
            await look
        assert (none.value.slug, none.value.exit) == (slug, ExitCode.NOT_FOUND)

    asyncio.run(main())


EXITS = {
    PairingEnd.EXPIRED: 4,
    PairingEnd.WRONG_CODE: 5,
    PairingEnd.REFUSED: 5,
    PairingEnd.UNUSABLE: 5,
    PairingEnd.OWN_KEY: 5,
    PairingEnd.OTHER_KEY: 5,
    PairingEnd.NO_ANSWER: 3,
    PairingEnd.LOST: 7,
}


@pytest.mark.parametrize("end", PairingEnd)
def test_every_end_but_a_contact_is_an_error_with_a_hint_and_its_exit_status(end: PairingEnd) -> None:
    if end in (PairingEnd.PAIRED, PairingEnd.UNCONFIRMED):
        assert end not in EXITS
        return
    inviters = (PairingEnd.EXPIRED, PairingEnd.WRONG_CODE, PairingEnd.UNUSABLE, PairingEnd.OWN_KEY)
    joiners = [one for one in EXITS if one is not PairingEnd.EXPIRED]
    errors = [first_contact._failed_invite(end)] if end in inviters else []
    errors += [first_contact._failed_join(end, 7)] if end in joiners else []
    assert errors
    for error in errors:
        assert (int(error.exit), bool(error.hint)) == (EXITS[end], True)
        assert error.text[0].islower()
        assert not error.text.endswith(".")


def test_a_machine_that_sleeps_does_not_make_a_code_good_for_longer(home: Path) -> None:
    clock = SleepyClock()

    async def sleeps(told: Told, other: Other) -> None:
        clock.slept_s = INVITE_S
        other.say()

    with pytest.raises(P2PCallError, match="in time") as over:
        inviting(home, sleeps, clock)
    assert over.value.exit == ExitCode.REFUSED


def test_who_cannot_be_kept_does_not_learn_who_invites(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise P2PCallError("disk-full", "the disk is full", ExitCode.CONFIG)

    monkeypatch.setattr(first_contact, "keep_paired", full)
    silent: list[Other] = []

    async def proves(told: Told, other: Other) -> None:
        await other.prove()
        silent.append(other)

    with pytest.raises(P2PCallError, match="the disk is full"):
        inviting(home, proves)
    assert silent[0].joiner.next_event() is None
    assert Contacts(Home.at(home)).all() == []


def test_a_signal_after_the_other_side_is_kept_ends_well_and_says_what_is_not_known(home: Path) -> None:
    async def is_kept(told: Told, other: Other) -> None:
        await other.prove()
        await told.paired
        os.kill(os.getpid(), signal.SIGINT)

    told = inviting(home, is_kept)
    assert [one.name for one in Contacts(Home.at(home)).all()] == ["Bob"]
    assert [event.slug for event in told.events if isinstance(event, events.Warning)] == ["unconfirmed"]
