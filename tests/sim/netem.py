"""A bad network in virtual time: seeded loss, delay, jitter, duplication, reordering and corruption.

`Network` carries bytes between addresses; `World` puts endpoints on it and lets time pass. Nothing sleeps: time
jumps from one arrival or timer to the next. The same seed gives the same run, to the byte if the world is `exact`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import mlkem

from p2pcall.net.pump import pump
from p2pcall.proto.endpoint import Endpoint, Peer, StaticKey
from p2pcall.proto.events import IncomingCall, ProtocolEvent
from p2pcall.proto.handshake import kem
from p2pcall.types import Address

MAX_ROUNDS = 100
"""So often something may happen at one moment of virtual time."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one network, both directions: chances from 0 to 1, times in seconds (one way)."""

    loss: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0


CLEAN = Conditions()


@dataclass(frozen=True, slots=True)
class Sent:
    """One datagram as it was handed to the network."""

    at: float
    data: bytes
    source: Address
    destination: Address


class Network:
    """Carries datagrams badly. `refuse` decides by content; what it refuses is lost. `log` keeps all that was sent."""

    def __init__(self, seed: int = 0, conditions: Conditions = CLEAN) -> None:
        self.conditions = conditions
        self.refuse: Callable[[Sent], bool] = lambda sent: False
        self.log: list[Sent] = []
        self._random = Random(seed)
        self._queue: list[tuple[float, int, Sent]] = []
        self._serial = 0

    def send(self, data: bytes, source: Address, destination: Address, now: float) -> None:
        sent = Sent(now, data, source, destination)
        self.log.append(sent)
        if self.refuse(sent):
            return
        chance = self._random.random
        for _ in range(2 if chance() < self.conditions.duplicate else 1):
            if chance() < self.conditions.loss:
                continue
            delay = self.conditions.delay + chance() * self.conditions.jitter
            if chance() < self.conditions.reorder:
                delay += 3 * self.conditions.delay + 0.02
            if chance() < self.conditions.corrupt:
                sent = Sent(now, self._damaged(data), source, destination)
            self._serial += 1
            heapq.heappush(self._queue, (now + delay, self._serial, sent))

    def next_arrival(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def arrivals(self, now: float) -> list[Sent]:
        out = []
        while self._queue and self._queue[0][0] <= now:
            out.append(heapq.heappop(self._queue)[2])
        return out

    def _damaged(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        damaged[self._random.randrange(len(damaged))] ^= 1 << self._random.randrange(8)
        return bytes(damaged)


@dataclass(slots=True)
class Node:
    """An endpoint at an address, and all it was told."""

    endpoint: Endpoint
    address: Address
    static: StaticKey
    told: list[ProtocolEvent] = field(default_factory=list)
    on_event: Callable[[ProtocolEvent, float], None] = lambda event, now: None

    def of(self, kind: type[Any]) -> list[Any]:
        """What was told of one kind."""
        return [event for event in self.told if isinstance(event, kind)]


class World:
    """Nodes on a network in virtual time; the driver of the five methods, with the pump of the real one."""

    def __init__(self, seed: int = 0, conditions: Conditions = CLEAN, *, exact: bool = False) -> None:
        """`exact`: the same seed gives the same bytes too, which costs 10 ms a handshake."""
        self.now = 1000.0
        self.network = Network(seed, conditions)
        self.nodes: list[Node] = []
        self._random = Random(seed + 1)
        self._encapsulate = mlkem.from_entropy(self._random.randbytes) if exact else kem.encapsulate

    def add(self, address: Address, *, aes: bool | None = None) -> Node:
        static = StaticKey.from_private(self._random.randbytes(32))
        endpoint = Endpoint(static, self._random.randbytes, aes=aes, encapsulate=self._encapsulate)
        node = Node(endpoint, address, static)
        self.nodes.append(node)
        return node

    def pump(self) -> None:
        """What a driver does after every call."""
        for node in self.nodes:
            pump(node.endpoint, lambda: self.now, partial(self._send, node), partial(self._tell, node))

    def _send(self, node: Node, data: bytes, destination: Address, now: float) -> None:
        self.network.send(data, node.address, destination, now)

    def _tell(self, node: Node, event: ProtocolEvent) -> None:
        node.told.append(event)
        node.on_event(event, self.now)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; True as soon as `until` holds, False if it never did."""
        end = self.now + seconds
        rounds = 0
        while True:
            self.pump()
            if until():
                return True
            at = self._next()
            if at is None or at > end:
                self.now = end
                return until()
            rounds = rounds + 1 if at <= self.now else 0
            assert rounds < MAX_ROUNDS, "a timer is set for the same moment again and again"
            self.now = max(self.now, at)
            for sent in self.network.arrivals(self.now):
                for node in self.nodes:
                    if node.address == sent.destination:
                        node.endpoint.receive_datagram(sent.data, sent.source, self.now)
                self.pump()
            for node in self.nodes:
                timer = node.endpoint.next_timer()
                if timer is not None and timer <= self.now:
                    node.endpoint.handle_timer(self.now)

    def _next(self) -> float | None:
        times = [node.endpoint.next_timer() for node in self.nodes] + [self.network.next_arrival()]
        return min((at for at in times if at is not None), default=None)


ALICE: Address = ("192.0.2.1", 51729)
BOB: Address = ("192.0.2.2", 51729)


@dataclass(slots=True)
class Pair:
    """Alice, who dials, and Bob; `ours` and `theirs` are the two ends of one line."""

    world: World
    alice: Node
    bob: Node
    ours: Peer
    theirs: Peer


def two(
    seed: int = 0, conditions: Conditions = CLEAN, aes: bool | None = None, *, exact: bool = False
) -> tuple[World, Node, Node]:
    """Two nodes that have not met."""
    world = World(seed, conditions, exact=exact)
    return world, world.add(ALICE, aes=aes), world.add(BOB, aes=aes)


def line(
    seed: int = 0, conditions: Conditions = CLEAN, aes: bool | None = None, *, exact: bool = False
) -> Pair:
    """Two nodes with a handshake done."""
    world, alice, bob = two(seed, conditions, aes, exact=exact)
    ours = alice.endpoint.dial([BOB], world.now)
    assert world.run(5, lambda: bool(bob.told) and bool(alice.told))
    return Pair(world, alice, bob, ours, bob.told[0].peer)


def call(
    seed: int = 0, conditions: Conditions = CLEAN, aes: bool | None = None, *, exact: bool = False
) -> Pair:
    """Two nodes in an active call."""
    pair = line(seed, conditions, aes, exact=exact)
    pair.ours.invite("alice", True, True, pair.world.now)
    assert pair.world.run(5, lambda: bool(pair.bob.of(IncomingCall)))
    pair.theirs.ring("bob", pair.world.now)
    pair.theirs.accept("bob", True, False, pair.world.now)
    assert pair.world.run(5, lambda: pair.ours.state == pair.theirs.state == "active")
    return pair
