"""A small world that a string of bytes plays with: honest ends, what they sent, and what a hostile one makes of it.

`Source` reads numbers and strings off the bytes; when they are used up it gives zeros. `Stage` has three ends, each
with an endpoint and an address, and a pool of what they have sent to one another; `fuzz_verbs` has what is done there.

After each datagram it is held that nothing was raised, that everything is bounded, that each drop was counted once,
that whoever is not proven is told no more than it has said, and that a forged or repeated record changed nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from math import inf
from random import Random

from fingerprint import fingerprint

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.call.table import CallState
from p2pcall.proto.endpoint import Endpoint, Peer, StaticKey
from p2pcall.proto.events import IncomingCall
from p2pcall.proto.handshake import kem
from p2pcall.proto.handshake.exchange import CIPHERS, Established
from p2pcall.proto.handshake.noise import CipherState
from p2pcall.proto.handshake.sas import Exchange, commitment
from p2pcall.proto.phases.open import answering_peer
from p2pcall.proto.wire import DatagramType, DropReason, Suites
from p2pcall.types import Address

MAX_POOL = 64
MAX_DIALS = 6
MAX_EVENTS = c.MAX_EVENTS + c.MAX_DATAGRAM_BYTES
"""Events that may wait: payloads stop at the bound, a datagram's messages come on top."""
EVICTIONS = (DropReason.HALF, DropReason.HALF_OPEN)
"""Reasons that count what makes way for a datagram, not the datagram."""
STATICS = [StaticKey.from_private(bytes([number]) * c.KEY_BYTES) for number in range(1, 4)]
ADDRESSES: list[Address] = [("192.0.2.1", 1), ("192.0.2.2", 2), ("198.51.100.3", 3), ("203.0.113.4", 4)]
"""Of the three ends, and one where nobody is."""


@lru_cache(maxsize=64)
def same_bytes(public: bytes) -> tuple[bytes, bytes]:
    """An encapsulation that gives the same each time in one process: its randomness is the library's own."""
    return kem.encapsulate(public)


class Source:
    """The bytes, from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """So many, or as many as there are."""
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int = 1) -> int:
        """Big-endian, of `size` bytes."""
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "big")

    def below(self, bound: int) -> int:
        """An index."""
        return self.number(1 if bound <= c.MAX_U8 + 1 else 2) % bound


@dataclass(slots=True)
class End:
    """One socket's end."""

    endpoint: Endpoint
    address: Address
    static: StaticKey
    peers: list[Peer] = field(default_factory=list)
    heard: Counter[Address] = field(default_factory=Counter)
    said: Counter[Address] = field(default_factory=Counter)
    had_line: bool = False


class Stage:
    """Three ends and what they said; see the module."""

    def __init__(self, source: Source, *, contacts: bool = False) -> None:
        self.source = source
        self.now = 1000.0
        self.pool: deque[tuple[bytes, Address, Address]] = deque(maxlen=MAX_POOL)
        self._genuine: dict[bytes, None] = {}
        self._opened: list[dict[bytes, None]] = []
        self._dials = 0
        self.ends: list[End] = []
        for number, static in enumerate(STATICS):
            entropy = Random(number).randbytes
            endpoint = Endpoint(static, entropy, aes=True, encapsulate=same_bytes)
            endpoint.reach = "contacts" if contacts else "anyone"
            endpoint.contacts([other.public for other in STATICS[:2]])
            self.ends.append(End(endpoint, ADDRESSES[number], static))
            self._opened.append({})

    # ---- how it begins

    def dial(self, one: int, other: int, *, known: bool) -> None:
        """One end dials another, whose key it may know."""
        if self._dials == MAX_DIALS:
            return
        self._dials += 1
        caller, called = self.ends[one], self.ends[other]
        expected = called.static.public if known else None
        caller.peers.append(caller.endpoint.dial([called.address], self.now, expected))

    def line(self, one: int, other: int) -> tuple[Peer, Peer]:
        """Two ends with a line between them, without the cost of a handshake."""
        ours, theirs = self.ends[one], self.ends[other]
        peer = ours.endpoint.dial([theirs.address], self.now)
        index = theirs.endpoint._new_index()
        cipher = CIPHERS[Suites.AESGCM]
        keys = [sha256(b"%d %d %d" % (one, other, way)).digest() for way in range(3)]
        nonces = [key[: c.NONCE_BYTES] for key in keys[:2]]

        def established(who: End, remote: End, there: int) -> Established:
            initiator, send = who is ours, int(who is theirs)
            ciphers = CipherState(cipher, keys[send]), CipherState(cipher, keys[1 - send])
            public = remote.static.public
            committed = commitment(nonces[1 - send], public, initiator=not initiator)
            exchange = Exchange(initiator, nonces[send], keys[2], committed, public)
            confirmation = wire.pack_confirmation_header(there) + bytes(c.TAG_BYTES)
            return Established(*ciphers, there, public, who.static, keys[2], "Noise", exchange, confirmation)

        peer.phase._establish(established(ours, theirs, index), theirs.address, self.now)
        line = established(theirs, ours, peer.index)
        answered = answering_peer(theirs.endpoint._state, index, ours.address, line, self.now)
        ours.peers.append(peer)
        theirs.peers.append(answered)
        ours.had_line = theirs.had_line = True
        return peer, answered

    def call(self, one: int, other: int) -> tuple[Peer, Peer]:
        """The same with a call that is up."""
        ours, theirs = self.line(one, other)
        ours.invite("one", True, True, self.now)
        self.exchange()
        theirs.ring("other", self.now)
        theirs.accept("other", True, True, self.now)
        self.exchange()
        assert ours.state is CallState.ACTIVE is theirs.state
        assert ours.sas == theirs.sas != ()
        return ours, theirs

    # ---- what every run holds

    def give(self, end: End, data: bytes, address: Address) -> None:
        """One datagram, with all that must be true of it."""
        endpoint = end.endpoint
        number = self.ends.index(end)
        forged = data[:1] == bytes([DatagramType.DATA]) and (
            data not in self._genuine or data in self._opened[number]
        )
        before = fingerprint(endpoint) if forged else None
        dropped = endpoint.dropped.total()
        evicted = sum(endpoint.dropped[reason] for reason in EVICTIONS)
        ours = endpoint.receive_datagram(data, address, self.now)
        dropped = endpoint.dropped.total() - dropped
        if forged:
            assert dropped == 1, "a forged record is one drop"
            assert fingerprint(endpoint) == before, "a forged record left a trace"
        elif data[:1] == bytes([DatagramType.DATA]):
            self._opened[number][data] = None
        else:
            evicted = sum(endpoint.dropped[reason] for reason in EVICTIONS) - evicted
            assert dropped - evicted <= 1, "one datagram, one reason"
        first = data[:1] in (bytes([DatagramType.KNOCK]), bytes([DatagramType.INITIATION]))
        assert not ours or not (forged or first), "what anybody can send is not ours"
        end.heard[address] += len(data)
        self._check(end)

    def drain(self, end: End) -> list[tuple[bytes, Address]]:
        """What leaves an end now, which goes to the pool."""
        out = end.endpoint.datagrams_to_send(self.now)
        for data, destination in out:
            assert 0 < len(data) <= c.MAX_HANDSHAKE_DATAGRAM_BYTES
            self.pool.append((data, end.address, destination))
            if data[0] == DatagramType.DATA:
                self._genuine[data] = None
            end.said[destination] += len(data)
        if not end.had_line and not end.peers:
            for address, said in end.said.items():
                assert said <= end.heard[address], "told more than was said"
        while (event := end.endpoint.next_event()) is not None:
            if isinstance(event, IncomingCall):
                end.had_line = True
            peer = event.peer
            if peer not in end.peers:
                end.had_line = True
                end.peers.append(peer)
        return out

    def exchange(self, rounds: int = 8) -> None:
        """Let the honest ends talk, undisturbed."""
        for _ in range(rounds):
            busy = False
            for end in self.ends:
                for data, destination in self.drain(end):
                    busy = True
                    for other in self.ends:
                        if other.address == destination:
                            self.give(other, data, end.address)
            if not busy:
                return

    def _check(self, end: End) -> None:
        endpoint = end.endpoint
        shared, admission = endpoint._state, endpoint._admission
        assert len(shared.everyone) <= c.MAX_PEERS
        assert len(shared.peers) <= 4 * c.MAX_PEERS
        assert len(shared.outbox) <= c.MAX_OUTBOX_DATAGRAMS
        assert len(shared.events) <= MAX_EVENTS
        assert len(admission) <= c.MAX_HALF_OPEN
        assert len(admission._partial) <= c.MAX_HALVES
        assert max(len(admission._limits), len(admission._limits._sites)) <= c.MAX_SOURCES
        assert all(one.failures < c.MAX_CONFIRMATION_FAILURES for one in admission._by_index.values())
        for peer in shared.everyone:
            if peer.line is None:
                continue
            control = peer.line.control
            assert control.unacked <= c.CONTROL_WINDOW + c.CONTROL_RESERVE
            assert len(control._early) <= c.CONTROL_WINDOW
            assert all(seq < control._expected + c.CONTROL_WINDOW for seq in control._early)
            assert len(peer.line.keys._in) < c.REKEY_FIRST_BYTES
            assert peer.line.timing.next_ping <= self.now + c.PING_INTERVAL_S
            assert peer.sas or peer.state is not CallState.ACTIVE, "a call whose words are not known"
            assert not peer.sas or peer.state in (CallState.ACTIVE, CallState.ENDED)
        endpoint.next_timer()
        for peer in shared.everyone:
            at = peer.phase.next_timer()
            assert shared.timers[peer.index] <= (inf if at is None else at), "a time that would be missed"
