"""Callers and callees who keep to nothing: the blocked who call twice, liars about nonces, goodbyes before the call."""

import asyncio
import wave
from collections.abc import Awaitable
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from msgspec.structs import replace
from test_engine_hostile import hostile, until
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.node import Node, PeerConnection
from p2pcall.engine.settings import MediaSettings
from p2pcall.errors import ExitCode
from p2pcall.proto.events import CallEnded, HandshakeDone, IncomingCall, RemoteRinging
from p2pcall.proto.messages import Reason
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Reach

CAROL = "10.0.0.3"


@pytest.mark.parametrize("blocked", [False, True])
def test_whoever_calls_twice_at_once_hears_the_same_blocked_or_not(tmp_path: Path, blocked: bool) -> None:
    """One rings, the other is busy; and a blocked key keeps neither contacts nor their lines out."""

    async def scene() -> None:
        network, ui = Network(), FakeUi("later")
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, reach=Reach.ANYONE)
        eve = agent(tmp_path, "eve", FakeUi(), network, CAROL, 3)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, ring_timeout_s=1.0)
        contacts = Contacts(Home.at(tmp_path / "bob"))
        beside(lambda: contacts.pin("alice", alice.identity.public, 0.0))
        if blocked:
            beside(lambda: contacts.block(eve.identity.fingerprint, 0.0))
        task = await listening(bob)
        heard = []
        for _ in range(3):
            line = eve.node.dial([(BOB, 51729)], None)
            await until(line, HandshakeDone)
            line.invite("eve", True, False)
            signal = await line.signals.get()
            heard.append(signal.reason if isinstance(signal, CallEnded) else type(signal))
        assert heard == [RemoteRinging, Reason.BUSY, Reason.BUSY]
        assert (await dial(alice)).reason == "no-answer", "she was heard ringing"
        assert "alice" in [incoming.name for incoming in ui.of(events.Incoming)]
        task.cancel()

    run_virtual(scene)


def test_whoever_shows_another_nonce_is_not_offered_to_be_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi("audio")
        ui.keep_as = "mallory"
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, reach=Reach.ANYONE)
        eve = agent(tmp_path, "eve", FakeUi(), network, CAROL, 3)
        task = await listening(bob)
        line = eve.node.dial([(BOB, 51729)], None)
        await until(line, HandshakeDone)
        exchange = line.peer.line.call._exchange
        assert exchange is not None
        line.peer.line.call._exchange = replace(exchange, nonce=bytes(16))
        line.invite("carol", True, False)
        ended = await ui.wait(events.Ended)
        assert (ended.reason, ended.exit) == ("broken-promise", ExitCode.UNTRUSTED)
        await asyncio.sleep(10)
        assert not ui.of(events.Connected)
        assert beside(bob.trust._contacts.all) == []
        task.cancel()

    run_virtual(scene)


def goodbye(node: Node, line: PeerConnection) -> Awaitable[None]:
    """Before the call is there, in one batch with the end of the handshake."""

    async def say() -> None:
        line.peer.hangup(Reason.HUNG_UP, node.now())
        node.pump()

    return say()


def test_a_goodbye_before_the_invitation_is_no_error_of_ours(tmp_path: Path) -> None:
    async def scene() -> None:
        network = Network()
        hostile(tmp_path, "eve", network, BOB, 2, goodbye)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1)
        line = alice.node.dial([(BOB, 51729)], None)
        await until(line, HandshakeDone)
        while line.peer.established:
            await asyncio.sleep(0.001)
        line.invite("alice", True, False)
        assert isinstance(await until(line, CallEnded), CallEnded)

    run_virtual(scene)


def test_of_two_contacts_who_call_while_a_stranger_rings_one_rings_and_one_hears_busy(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi("later")
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, reach=Reach.ANYONE)
        task = await listening(bob)
        contacts = Contacts(Home.at(tmp_path / "bob"))
        lines: list[PeerConnection] = []
        for number in range(3):
            side = agent(tmp_path, f"n{number}", FakeUi(), network, f"10.0.1.{number + 1}", 20 + number)
            if number:
                key = side.identity.public
                beside(lambda key=key, number=number: contacts.pin(f"n{number}", key, 0.0))  # type: ignore[misc]
            line = side.node.dial([(BOB, 51729)], None)
            await until(line, HandshakeDone)
            lines.append(line)
            if not number:
                line.invite("n0", True, False)
                await until(line, RemoteRinging)
        for number in (1, 2):
            lines[number].peer.invite(f"n{number}", True, False, lines[number]._node.now())
        for number in (1, 2):
            lines[number]._node.pump()
        heard = []
        async with asyncio.timeout(20):
            for line in lines[1:]:
                signal = await line.signals.get()
                heard.append(signal.reason if isinstance(signal, CallEnded) else type(signal))
        assert set(heard) == {RemoteRinging, Reason.BUSY}
        assert len(ui.of(events.Incoming)) == 2
        task.cancel()

    run_virtual(scene)


def test_who_hangs_up_before_the_end_of_a_message_has_not_heard_it(tmp_path: Path) -> None:
    message = tmp_path / "message.wav"
    with wave.open(str(message), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(2 * 48_000 * 3))

    async def leave(node: Node, line: PeerConnection) -> None:
        await until(line, IncomingCall)
        line.accept("bob", True, False)
        await asyncio.sleep(1)
        line.hang_up(Reason.HUNG_UP)

    async def scene() -> None:
        network = Network()
        hostile(tmp_path, "bob", network, BOB, 2, leave)
        said = MediaSettings(str(message), "none", "none", "none", hangup_on_eof=True)
        outcome = await dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, media=said))
        assert (outcome.reason, outcome.by, outcome.exit) == ("unheard", "remote", ExitCode.LOST)

    run_virtual(scene)
