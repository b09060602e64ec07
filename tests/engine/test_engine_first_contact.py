"""First contact with real sockets in this process: what a clock, a disk and a signal do to it."""

import asyncio
import io
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from p2pcall import events
from p2pcall.engine import first_contact
from p2pcall.engine.first_contact import PairingSettings, run_invite
from p2pcall.env import Clock, Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.pairing.code import parse_code
from p2pcall.pairing.constants import INVITE_S
from p2pcall.pairing.datagrams import Offer, parse_pairing
from p2pcall.pairing.joiner import Joiner
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
