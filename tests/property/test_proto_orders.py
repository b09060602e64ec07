"""Call messages in any order: nothing raises, the call stands where the table says, and words need a nonce.

All pairs and triples of call messages, well-formed and malformed, at all places where a call may stand, on both sides:
each in a record of its own, all in one record, and the last one first, so that all become ready at once. What must
come of it is worked out beside the code under test, from the table. The triples are handed in as frames, for sealing
and opening them costs more than all the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission.dial import Dial
from p2pcall.proto.call.table import CALL_TABLE, CallInput, CallState
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.events import (
    Accepted,
    CallEnded,
    IncomingCall,
    ProtocolEvent,
    RemoteRinging,
    Revealed,
)
from p2pcall.proto.handshake import sas
from p2pcall.proto.handshake.exchange import Established, Local
from p2pcall.proto.handshake.noise import AESGCM, CipherState
from p2pcall.proto.line.session import Session
from p2pcall.proto.messages import ControlType, Reason, pack_greeting, pack_name
from p2pcall.proto.phases.connecting import connecting_peer
from p2pcall.proto.phases.open import answering_peer
from p2pcall.proto.wire import Channel, Suites
from p2pcall.types import Address

OURS, THEIRS = (StaticKey.from_private(bytes([number]) * c.KEY_BYTES) for number in (1, 2))
THERE: Address = ("192.0.2.2", 2)
OUR_NONCE, THEIR_NONCE, WRONG_NONCE = b"o" * 16, b"t" * 16, b"w" * 16
HASH = b"h" * c.HASH_BYTES
ONE, TWO = b"1" * c.KEY_BYTES, b"2" * c.KEY_BYTES
NOW = 1000.0


@dataclass(frozen=True)
class Said:
    """One message: what it is to the table (None: nothing), and whether it shows a nonce that was not promised."""

    kind: int
    body: bytes
    cause: CallInput | None = None
    broken: bool = False

    def __str__(self) -> str:
        return f"{self.kind}:{self.body[:4].hex()}:{len(self.body)}"


GREETING = pack_greeting("they", True, True)
GOOD = [
    Said(ControlType.INVITE, GREETING, CallInput.R_INVITE),
    Said(ControlType.RINGING, pack_name("they"), CallInput.R_RINGING),
    Said(ControlType.ACCEPT, THEIR_NONCE + GREETING, CallInput.R_ACCEPT),
    Said(ControlType.ACCEPT, WRONG_NONCE + GREETING, CallInput.R_ACCEPT, broken=True),
    Said(ControlType.REVEAL, THEIR_NONCE, CallInput.R_REVEAL),
    Said(ControlType.REVEAL, WRONG_NONCE, CallInput.R_REVEAL, broken=True),
    Said(ControlType.DECLINE, bytes([Reason.BUSY]), CallInput.R_DECLINE),
    Said(ControlType.HANGUP, bytes([Reason.BROKEN_PROMISE]), CallInput.R_HANGUP),
]
BAD = [
    Said(ControlType.INVITE, b""),
    Said(ControlType.RINGING, b"\1\xff"),
    Said(ControlType.ACCEPT, GREETING),
    Said(ControlType.ACCEPT, THEIR_NONCE),
    Said(ControlType.REVEAL, THEIR_NONCE[:-1]),
    Said(ControlType.REVEAL, THEIR_NONCE + GREETING),
    Said(ControlType.DECLINE, b""),
    Said(ControlType.HANGUP, b"\1\1"),
    Said(ControlType.MEDIA, b""),
    Said(ControlType.MEDIA, b"\1"),
    Said(ControlType.REKEY, b"\1\0"),
    Said(c.FIRST_ENGINE_MESSAGE - 1, b""),
    Said(c.FIRST_ENGINE_MESSAGE, b"ours"),
]
"""And those that are none of the call's."""
ALL = [*GOOD, *BAD]
TRIPLED = [*GOOD, *{one.kind: one for one in BAD if one.kind != ControlType.MEDIA}.values()]
"""One malformed of each kind is enough there."""


@cache
def dial() -> Dial:
    return Dial(Local(OURS, Random(2).randbytes), 1, Suites.AESGCM, [THERE], NOW, lambda now: 0)


@cache
def endpoint() -> Endpoint:
    return Endpoint(OURS, Random(1).randbytes, aes=True)


def remote() -> Session:
    """The other side's end of a line."""
    return Session(CipherState(AESGCM, TWO), CipherState(AESGCM, ONE), 0)


unused = cache(remote)
"""Where nothing is sealed or opened."""


class Side:
    """One peer of ours, and whoever is at the other end."""

    def __init__(self, initiator: bool, sealed: bool) -> None:
        there = endpoint()
        self.initiator = initiator
        self.sealed = sealed
        self._seq = 0
        self._remote = remote() if sealed else unused()
        committed = sas.commitment(THEIR_NONCE, THEIRS.public, initiator=not initiator)
        exchange = sas.Exchange(initiator, OUR_NONCE, HASH, committed, THEIRS.public)
        ciphers = CipherState(AESGCM, ONE), CipherState(AESGCM, TWO)
        line = Established(*ciphers, 7, THEIRS.public, OURS, HASH, "Noise", exchange)
        if initiator:
            self.peer = connecting_peer(there._state, there._new_index(), THERE, dial(), NOW)
            self.peer.phase._establish(line, THERE, NOW)
        else:
            self.peer = answering_peer(there._state, there._new_index(), THERE, line, NOW)
        self.told()

    def hear(self, said: Sequence[Said], how: str = "each in its record") -> None:
        """All of it, in this order however it comes."""
        frames = []
        for one in said:
            frames.append(b"\0" + self._seq.to_bytes(8, "big") + bytes([one.kind]) + one.body)
            self._seq += 1
        if how == "the last one first":
            frames.reverse()
        if not self.sealed:
            for frame in frames:
                self.peer.phase._receive_own(Channel.CONTROL, frame, THERE, NOW)
            return
        packed = [wire.pack_frame(Channel.CONTROL, frame) for frame in frames]
        for plaintext in [b"".join(packed)] if how == "all in one record" else packed:
            sealed = bytearray(self._remote.seal(plaintext))
            sealed[4:8] = self.peer.index.to_bytes(4, "big")
            endpoint().receive_datagram(bytes(sealed), THERE, NOW)

    def told(self) -> list[ProtocolEvent]:
        """What the owner is told, all of it about this peer; and what leaves, leaves."""
        there, out = endpoint(), []
        while (event := there.next_event()) is not None:
            assert event.peer is self.peer
            out.append(event)
        if self.sealed:
            there.datagrams_to_send(NOW)
            there.next_timer()
        return out

    def close(self) -> None:
        """However it stands, time may pass, and it can be hung up and forgotten."""
        there = endpoint()
        if self.sealed:
            there.handle_timer(NOW)
        self.peer.hangup(Reason.HUNG_UP, NOW)
        if self.sealed:
            there.datagrams_to_send(NOW)
        self.peer.close()
        self.told()
        assert not there._state.peers


def at(place: str, *, sealed: bool = True) -> Side:
    """A side whose call stands there."""
    role, state = place.split()
    side = Side(role == "caller", sealed)
    peer = side.peer
    if role == "caller":
        if state != "idle":
            peer.invite("we", True, True, NOW)
        if state in ("ringing", "active", "hung-up"):
            side.hear(GOOD[1:2])
        if state in ("active", "hung-up"):
            side.hear(GOOD[2:3])
    else:
        if state != "idle":
            side.hear(GOOD[:1])
        if state == "declining":
            peer.decline(Reason.BUSY, NOW)
        if state in ("answered", "active", "hung-up"):
            peer.ring("we", NOW)
            peer.accept("we", True, True, NOW)
        if state in ("active", "hung-up"):
            side.hear(GOOD[4:5])
    if state == "hung-up":
        peer.hangup(Reason.HUNG_UP, NOW)
    if state in ("declined", "left"):
        side.hear(GOOD[6:7] if state == "declined" else GOOD[7:8])
    side.told()
    return side


PLACES = {
    "caller idle": CallState.IDLE,
    "caller dialling": CallState.DIALLING,
    "caller ringing": CallState.RINGING,
    "caller active": CallState.ACTIVE,
    "caller hung-up": CallState.ENDED,
    "caller declined": CallState.ENDED,
    "called idle": CallState.IDLE,
    "called incoming": CallState.INCOMING,
    "called answered": CallState.ANSWERED,
    "called active": CallState.ACTIVE,
    "called hung-up": CallState.ENDED,
    "called declining": CallState.ENDED,
    "called left": CallState.ENDED,
}
TELLS = {"Incoming": IncomingCall, "RemoteRinging": RemoteRinging, "Accepted": Accepted, "Revealed": Revealed}
HOWS = ("each in its record", "all in one record", "the last one first")


def expected(initiator: bool, state: CallState, said: Sequence[Said]) -> tuple[CallState, list[str]]:
    """Where the call must stand then, and what of the call must have been told."""
    told: list[str] = []
    for one in said:
        transition = CALL_TABLE.get((state, one.cause)) if one.cause else None
        if transition is None or (one.cause is CallInput.R_INVITE and initiator):
            continue
        if one.broken:
            state = CallState.ENDED
            told.append("Ended BROKEN_PROMISE")
            continue
        state = transition.next
        if transition.tell == "Ended":
            told.append("Ended BUSY" if one.cause is CallInput.R_DECLINE else "Ended HUNG_UP")
        elif transition.tell:
            told.append(str(transition.tell))
    return state, told


def names(told: list[ProtocolEvent]) -> Iterator[str]:
    for event in told:
        match event:
            case CallEnded(_, reason, _):
                yield f"Ended {reason.name}"
            case IncomingCall() | RemoteRinging() | Accepted() | Revealed():
                yield next(tell for tell, kind in TELLS.items() if isinstance(event, kind))


def play(place: str, said: Sequence[Said], how: str, *, sealed: bool) -> None:
    side = at(place, sealed=sealed)
    peer, words = side.peer, side.peer.sas
    state, told = expected(side.initiator, peer.state, said)
    side.hear(said, how)
    assert peer.state is state
    assert list(names(side.told())) == told
    shown = bool({"Accepted", "Revealed"} & set(told))
    assert bool(peer.sas) == bool(words) or (shown and not words), "words come by a nonce alone"
    assert peer.sas or state is not CallState.ACTIVE
    side.close()


@pytest.mark.parametrize("place", PLACES)
def test_places_are_what_they_are_called(place: str) -> None:
    side = at(place)
    assert side.peer.state is PLACES[place]
    assert bool(side.peer.sas) == (place.split()[1] in ("active", "hung-up"))
    side.close()


@pytest.mark.parametrize("place", PLACES)
def test_no_order_of_messages_raises(place: str) -> None:
    for how in HOWS:
        for length in (1, 2):
            for said in product(ALL, repeat=length):
                play(place, said, how, sealed=True)
    for how in (HOWS[0], HOWS[2]):
        for said in product(TRIPLED, repeat=3):
            play(place, said, how, sealed=False)
