"""Somebody in the middle who tries to find two lines with the same words: nobody answers, nothing is learnt.

The one in the middle has many addresses and asks for as many handshakes as anybody gets; those are counted by the
limits themselves, in virtual time, and one in `EVERY` of them is carried to its end for real. With each she does all
that can be done: she goes on to the ringing, reads every record, and keeps what she has.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import pytest
from netem import BOB

from p2pcall.proto.admission.limits import SourceLimits, source_of
from p2pcall.proto.call.table import CallState
from p2pcall.proto.endpoint import Endpoint, Peer, StaticKey
from p2pcall.proto.events import HandshakeDone, IncomingCall
from p2pcall.proto.line.epochs import Epochs
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import DropReason
from p2pcall.types import Address

SECONDS = 45.0
TRIES_PER_S = 10
"""Of each source, which is what one gets for itself."""
EVERY = 40
ALICE_CALLS_EVERY_S = 5.0
MALLORY_AT: Address = ("203.0.113.1", 1)
MALLORY = StaticKey.from_private(bytes(range(32)))
Owner = Literal["nobody", "declines", "rule"]


def granted(sources: int) -> list[tuple[float, Address]]:
    """Each handshake that so many sources are granted, when and from where."""
    limits, out = SourceLimits(), []
    for tick in range(round(SECONDS * TRIES_PER_S)):
        for number in range(sources):
            now = 1000.0 + (tick + number / sources) / TRIES_PER_S
            home: Address = (f"198.51.{number // 250}.{number % 250}", 1024 + tick)
            if limits.take(source_of(home), now):
                out.append((now, home))
    return out


@dataclass(slots=True)
class Grinding:
    """Bob, the owner's way with calls, and the one in the middle, who hears all that is sealed for her."""

    owner: Owner
    bob: Endpoint
    heard: list[bytes] = field(default_factory=list)
    """Every plaintext that anybody has opened."""
    nonces: dict[str, list[bytes]] = field(default_factory=lambda: {"bob": [], "alice": []})
    """Of the honest ends' lines with her, which make the words with her own."""
    told: Counter[str] = field(default_factory=Counter)

    def call_bob(self, home: Address, now: float) -> None:
        """One try: a handshake, an invitation, and whatever comes of it."""
        mallory = Endpoint(MALLORY, Random(f"to bob from {home}").randbytes)
        peer = mallory.dial([BOB], now)
        self._exchange(mallory, self.bob, home, BOB, now)
        assert peer.established, self.bob.dropped
        peer.invite("alice", True, True, now)
        self._exchange(mallory, self.bob, home, BOB, now)
        assert (peer.sas != ()) == (peer.state is CallState.ACTIVE)
        peer.hangup(Reason.HUNG_UP, now)
        self._exchange(mallory, self.bob, home, BOB, now)

    def be_called(self, alice: Endpoint, number: int, now: float) -> None:
        """Alice calls and gets the one in the middle, who answers at once if anybody answers at all."""
        mallory = Endpoint(MALLORY, Random(f"for alice {number}").randbytes)
        peer = alice.dial([MALLORY_AT], now)
        self._exchange(alice, mallory, ("192.0.2.1", number), MALLORY_AT, now)
        peer.invite("alice", True, True, now)
        self._exchange(alice, mallory, ("192.0.2.1", number), MALLORY_AT, now)
        assert peer.line.call._exchange is not None
        self.nonces["alice"].append(peer.line.call._exchange.nonce)
        peer.close()

    def known(self, whose: str) -> int:
        """For how many lines of Bob's or Alice's she has what the words are made of."""
        everything = b"".join(self.heard)
        return sum(nonce in everything for nonce in self.nonces[whose])

    def _exchange(
        self, caller: Endpoint, called: Endpoint, home: Address, there: Address, now: float
    ) -> None:
        """Carry datagrams at once until nothing is said any more."""
        carried = True
        while carried:
            carried = False
            for data, _ in caller.datagrams_to_send(now):
                called.receive_datagram(data, home, now)
                carried = True
            self._react(called, now)
            for data, _ in called.datagrams_to_send(now):
                caller.receive_datagram(data, there, now)
                carried = True
        while caller.next_event() is not None:
            pass

    def _react(self, called: Endpoint, now: float) -> None:
        while (event := called.next_event()) is not None:
            peer = event.peer
            if called is self.bob and isinstance(event, HandshakeDone):
                assert peer.line.call._exchange is not None
                self.nonces["bob"].append(peer.line.call._exchange.nonce)
            if isinstance(event, IncomingCall):
                self._answer(peer, now, at_bob=called is self.bob)

    def _answer(self, peer: Peer, now: float, *, at_bob: bool) -> None:
        peer.ring("bob", now)
        if at_bob:
            self.told["rang"] += 1
        if not at_bob and self.owner != "nobody":
            peer.accept("bob", True, True, now)  # she poses as Bob, and Alice believes that he has answered
        elif at_bob and self.owner == "declines":
            peer.decline(Reason.DECLINED, now)
        elif at_bob and self.owner == "rule":
            talking = any(
                one.state in (CallState.ANSWERED, CallState.ACTIVE) for one in self.bob._state.everyone
            )
            if talking:
                peer.decline(Reason.BUSY, now)
            else:
                self.told["answered"] += 1
                peer.accept("bob", True, True, now)


@pytest.mark.parametrize("owner", ["nobody", "declines", "rule"])
@pytest.mark.parametrize("sources", [12, 256])
@pytest.mark.parametrize("sides", ["one side", "both sides"])
def test_the_words_cannot_be_ground(
    sides: str, sources: int, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = StaticKey.from_private(bytes([7]) * 32)
    grinding = Grinding(owner, Endpoint(static, Random("bob").randbytes))
    alice = Endpoint(StaticKey.from_private(bytes([8]) * 32), Random("alice").randbytes)
    opened = Epochs.open

    def overhear(self: Epochs, datagram: bytes, now: float) -> bytes | DropReason:
        plaintext = opened(self, datagram, now)
        if isinstance(plaintext, bytes):
            grinding.heard.append(plaintext)
        return plaintext

    monkeypatch.setattr(Epochs, "open", overhear)
    handshakes = granted(sources)
    alice_calls_at, calls = handshakes[0][0], 0
    for now, home in handshakes[::EVERY]:
        if sides == "both sides" and now >= alice_calls_at:
            calls, alice_calls_at = calls + 1, alice_calls_at + ALICE_CALLS_EVERY_S
            grinding.be_called(alice, calls, now)
        grinding.bob.handle_timer(now)
        grinding.call_bob(home, now)

    rang, answered = grinding.told["rang"], grinding.told["answered"]
    learnt, of_alice = grinding.known("bob"), grinding.known("alice")
    print(
        f"{sides}, {sources} sources, owner: {owner}: {len(handshakes)} handshakes granted in {SECONDS:.0f} s, "
        f"{rang} of them carried on to the ringing, {answered} answered: {learnt} words learnt at Bob's, "
        f"{of_alice} at Alice's (she called {calls} times), {learnt * of_alice} pairs"
    )
    assert rang == len(grinding.nonces["bob"]) == len(handshakes[::EVERY]) > 100
    assert calls == (9 if sides == "both sides" else 0)
    assert learnt == answered, "as many tries as calls that somebody answered"
    if owner == "rule":
        assert answered > 0
    else:
        assert learnt * of_alice == learnt == 0
    if owner == "nobody":
        assert of_alice == 0
    assert set(grinding.bob.dropped) <= {DropReason.HALF_OPEN}, "answers kept for late copies make way"
