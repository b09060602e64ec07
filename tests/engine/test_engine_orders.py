"""Whatever order messages come in, in one batch or in several: no error of ours, and an end that is told.

A contact is a peer like any other: who has been let in may send what he likes. The orders are all pairs, and triples by
chance, of what the call table knows, sent by a side that follows no table.
"""

import asyncio
import contextlib
import os
from itertools import product
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from calls import ALICE, BOB, FakeUi, agent, dial, listening
from test_engine_hostile import hostile, until
from virtual import Network, run_virtual

from p2pcall.engine.node import MAX_EARLY, Node, PeerConnection
from p2pcall.engine.policy import Answer
from p2pcall.errors import P2PCallError
from p2pcall.proto.events import HandshakeDone, IncomingCall, Payload
from p2pcall.proto.messages import ControlType, Reason, media_flags, pack_greeting, pack_name
from p2pcall.types import Reach

Message = tuple[str, ControlType | int, bytes]
NAME = pack_name("eve")
GREETING = pack_greeting("eve", True, True)
BYE = bytes([Reason.HUNG_UP])
MESSAGES: tuple[Message, ...] = (
    ("invite", ControlType.INVITE, GREETING),
    ("ringing", ControlType.RINGING, NAME),
    ("accept", ControlType.ACCEPT, b"its nonce"),
    ("reveal", ControlType.REVEAL, b"its nonce"),
    ("wrong accept", ControlType.ACCEPT, bytes(16) + GREETING),
    ("wrong reveal", ControlType.REVEAL, bytes(16)),
    ("decline", ControlType.DECLINE, bytes([Reason.BUSY])),
    ("hangup", ControlType.HANGUP, BYE),
    ("media", ControlType.MEDIA, bytes([media_flags(False, True, True)])),
    ("half a key", ControlType.REKEY, bytes(40)),
)
PAIRS = list(product(MESSAGES, repeat=2))
NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
TRIPLES = Random(11).sample(list(product(MESSAGES, repeat=3)), 200 if NIGHTLY else 12)
"""A few by day: all of them are handed to a peer alone, among the property tests."""
LAST: Message = ("hangup", ControlType.HANGUP, BYE)


def put(line: PeerConnection, order: tuple[Message, ...], node: Node, *, at_once: bool) -> None:
    """Send them past our own table."""
    peer = line.peer
    for _, kind, body in order:
        if body == b"its nonce":
            exchange = peer.line.call._exchange
            assert exchange is not None
            body = exchange.nonce + (GREETING if kind is ControlType.ACCEPT else b"")
        peer.line.control.send(kind, body, node.now(), reserve=True)
        if not at_once:
            node.pump()
    node.pump()


@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "several"])
def test_no_order_of_answers_crashes_the_dialler(tmp_path: Path, at_once: bool) -> None:
    async def scene(order: tuple[Message, ...]) -> None:
        async def play(node: Node, line: PeerConnection) -> None:
            await until(line, IncomingCall)
            put(line, order, node, at_once=at_once)
            await asyncio.sleep(0.2)
            put(line, (LAST,), node, at_once=True)
            await asyncio.sleep(0.2)
            line.drop()

        network = Network()
        hostile(tmp_path, "eve", network, BOB, 2, play)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, ring_timeout_s=5.0)
        with contextlib.suppress(P2PCallError):  # a plain error is an end that is told
            assert (await dial(alice)).reason

    for order in (*PAIRS, *TRIPLES):
        run_virtual(lambda order=order: scene(order))  # type: ignore[misc]


@pytest.mark.parametrize("answer", [Answer.ASK, Answer.ANYONE])
@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "several"])
def test_no_order_of_messages_of_a_caller_ends_the_listener(
    tmp_path: Path, answer: Answer, at_once: bool
) -> None:
    """All of them call the same listener, which listens on to the end."""

    async def scene() -> None:
        network = Network()
        bob = agent(tmp_path, "bob", FakeUi("audio"), network, BOB, 2, answer=answer, reach=Reach.ANYONE)
        listener = await listening(bob)
        for number, order in enumerate((*PAIRS, *TRIPLES)):
            host = f"10.0.{1 + number // 250}.{1 + number % 250}"
            eve = agent(tmp_path, f"eve{number % 8}", FakeUi(), network, host, 10 + number % 8)
            line = eve.node.dial([(BOB, 51729)], None)
            await until(line, HandshakeDone)
            put(line, order, eve.node, at_once=at_once)
            await asyncio.sleep(0.2)
            put(line, (LAST,), eve.node, at_once=True)
            await asyncio.sleep(0.5)
            line.drop()
            await eve.node.close()
        assert not listener.done()
        listener.cancel()

    run_virtual(scene)


def test_media_that_comes_as_the_call_becomes_active_is_not_lost(tmp_path: Path) -> None:
    """It comes in one batch with what makes the call active, before anybody takes it; and it has a bound."""

    async def scene() -> None:
        node = agent(tmp_path, "bob", FakeUi(), Network(), BOB, 2).node
        lines: list[PeerConnection] = []
        node.on_caller = lines.append
        peer = SimpleNamespace(index=1)
        node._dispatch(HandshakeDone(cast(Any, peer)))
        for number in range(MAX_EARLY + 3):
            node._dispatch(Payload(cast(Any, peer), 3, bytes([number])))
        taken: list[tuple[int, bytes]] = []
        lines[0].on_payload = lambda channel, data: taken.append((channel, data))
        node._dispatch(Payload(cast(Any, peer), 5, b"next"))
        assert taken == [*((3, bytes([number])) for number in range(3, MAX_EARLY + 3)), (5, b"next")]
        lines[0].on_payload = None

    run_virtual(scene)
