"""Rekeying alone: two messages in parts, bound to the running epoch, and unmoved by nonsense."""

from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.handshake.exchange import Local
from p2pcall.proto.handshake.kem import KemPair
from p2pcall.proto.handshake.noise import CHACHAPOLY, IKHFS, CipherState, HandshakeState, KeyPair
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.epochs import Epoch, Epochs
from p2pcall.proto.line.rekey import Rekey
from p2pcall.proto.line.session import Session
from p2pcall.proto.wire import DropReason

DUE = c.REKEY_AFTER_S - c.REKEY_LEAD_S
HASH = b"handshake hash of the first epoch"


class Side:
    """One side of a line, from its epochs to its control channel."""

    def __init__(self, seed: int, *, dialled: bool) -> None:
        random = Random(seed).randbytes
        self.static = KeyPair.generate(random)
        numbers = count(100 * seed)
        self.local = Local(self.static, random)
        self.numbers = numbers
        self.claimed: list[int] = []
        self.released: list[int] = []
        self.control = Control()
        self.dialled = dialled

    def meet(self, other: "Side", handshake_hash: bytes = HASH) -> None:
        """Make the first epoch."""
        ours, theirs = (1, 2) if self.dialled else (2, 1)
        keys = CipherState(CHACHAPOLY, bytes([ours]) * 32), CipherState(CHACHAPOLY, bytes([theirs]) * 32)
        first = Epoch(Session(*keys, theirs), ours, handshake_hash, 0.0)
        self.epochs = Epochs(first, self.released.append)
        self.rekey = Rekey(
            self.epochs,
            other.static.public,
            self.local,
            self._claim,
            self.released.append,
            static=self.static,
            dialled=self.dialled,
        )

    def _claim(self) -> int:
        self.claimed.append(next(self.numbers))
        return self.claimed[-1]

    def frames(self, now: float) -> list[bytes]:
        """What leaves now on the control channel."""
        self.rekey.feed(self.control, now)
        return list(self.control.frames_due(now, 0.25))

    def take(self, frames: list[bytes], now: float) -> list[DropReason]:
        """Take what comes on the control channel; what was dropped."""
        dropped = []
        for frame in frames:
            messages = self.control.receive(frame)
            assert isinstance(messages, list)
            outcomes = [self.rekey.receive(body, now) for _, body in messages]
            dropped += [reason for reason in outcomes if reason is not None]
        return dropped


def two() -> tuple[Side, Side]:
    alice, bob = Side(1, dialled=True), Side(2, dialled=False)
    alice.meet(bob)
    bob.meet(alice)
    return alice, bob


def exchange(
    alice: Side, bob: Side, now: float, until: Callable[[], bool] = lambda: False
) -> list[DropReason]:
    """Carry frames between them until neither has any."""
    dropped = []
    while not until():
        out, back = alice.frames(now), bob.frames(now)
        if not out and not back:
            break
        assert max(map(len, out + back)) <= c.CONTROL_HEADER_BYTES + c.CONTROL_BODY_BYTES
        dropped += bob.take(out, now) + alice.take(back, now)
    return dropped


def rekeyed(now: float = DUE) -> tuple[Side, Side]:
    alice, bob = two()
    alice.rekey.step(alice.control, now)
    assert exchange(alice, bob, now) == []
    return alice, bob


def test_both_sides_come_to_the_same_keys() -> None:
    alice, bob = rekeyed()
    assert alice.epochs.current.index == alice.claimed[0]
    datagram = alice.epochs.seal(b"under new keys", DUE)
    assert datagram is not None
    assert bob.epochs.open(datagram, DUE) == b"under new keys"
    assert bob.epochs.current.index == bob.claimed[0]
    answer = bob.epochs.seal(b"and back", DUE)
    assert answer is not None
    assert alice.epochs.open(answer, DUE) == b"and back"
    assert alice.epochs.current.handshake_hash == bob.epochs.current.handshake_hash != HASH


def test_called_side_never_begins() -> None:
    _, bob = two()
    assert bob.rekey.next_timer(bob.control) == float("inf")
    bob.rekey.step(bob.control, 1000.0)
    assert bob.frames(1000.0) == []


def test_dialling_side_begins_in_time() -> None:
    alice, _ = two()
    assert alice.rekey.next_timer(alice.control) == DUE
    alice.rekey.step(alice.control, DUE - 0.1)
    assert not alice.claimed
    alice.rekey.step(alice.control, DUE)
    assert alice.claimed


def test_worn_epoch_is_replaced_at_once() -> None:
    alice, _ = two()
    alice.epochs.current.session._counter = c.REKEY_AFTER_RECORDS
    alice.rekey.step(alice.control, 1.0)
    assert alice.claimed


def test_few_parts_are_on_their_way_at_once() -> None:
    alice, _ = two()
    alice.rekey.step(alice.control, DUE)
    assert len(alice.frames(DUE)) == c.REKEY_IN_FLIGHT
    assert alice.frames(DUE) == []


def test_beginning_waits_for_what_is_on_its_way() -> None:
    alice, bob = two()
    alice.control.send(64, b"chat", DUE)
    assert alice.rekey.next_timer(alice.control) == float("inf")
    alice.rekey.step(alice.control, DUE)
    assert not alice.claimed
    (frame,) = alice.frames(DUE)
    bob.control.receive(frame)
    alice.take(bob.frames(DUE), DUE)
    alice.rekey.step(alice.control, DUE)
    assert alice.claimed


def test_beginning_that_is_not_answered_is_made_anew() -> None:
    alice, bob = two()
    bob.rekey._answered_at = DUE  # a hostile or broken one: it drops the first message
    alice.rekey.step(alice.control, DUE)
    assert exchange(alice, bob, DUE) == [DropReason.REKEY]
    assert alice.rekey.next_timer(alice.control) == DUE + c.REKEY_RETRY_S
    alice.rekey.step(alice.control, DUE + c.REKEY_RETRY_S)
    assert exchange(alice, bob, DUE + c.REKEY_RETRY_S) == []
    assert alice.epochs.current.index == alice.claimed[1]
    assert alice.epochs.current.born == DUE + c.REKEY_RETRY_S
    assert len(alice.claimed) == 2


def test_beginning_that_is_on_its_way_for_long_is_waited_for() -> None:
    alice, bob = two()
    alice.rekey.step(alice.control, DUE)
    alice.frames(DUE)
    alice.rekey.step(alice.control, DUE + 50)
    assert exchange(alice, bob, DUE + 50) == []
    assert len(alice.claimed) == 1
    assert alice.epochs.current.born == DUE, "its age is counted from its beginning"
    assert alice.rekey.next_timer(alice.control) == DUE + DUE


def test_answers_are_rare() -> None:
    alice, bob = two()
    alice.rekey.step(alice.control, DUE)
    exchange(alice, bob, DUE, until=lambda: bool(bob.claimed))
    alice.rekey._out.clear()
    alice.rekey._retry_at = 0.0
    alice.take(bob.frames(DUE), DUE)
    alice.control = Control()
    bob.control = Control()
    alice.rekey.step(alice.control, DUE)
    again = exchange(alice, bob, DUE + c.REKEY_LEAST_S - 0.1, until=lambda: len(bob.claimed) > 1)
    assert DropReason.REKEY in again
    assert len(bob.claimed) == 1


def test_other_chain_does_not_fit() -> None:
    alice, bob = Side(1, dialled=True), Side(2, dialled=False)
    alice.meet(bob)
    bob.meet(alice, handshake_hash=b"another handshake")
    alice.rekey.step(alice.control, DUE)
    assert exchange(alice, bob, DUE) == [DropReason.REKEY]
    assert not bob.claimed


def test_other_static_key_does_not_fit() -> None:
    alice, bob = two()
    mallory = Side(3, dialled=True)
    mallory.meet(bob)
    mallory.rekey.step(mallory.control, DUE)
    assert exchange(mallory, bob, DUE) == [DropReason.REKEY]
    assert not bob.claimed
    assert alice.epochs.current.index == 1


def test_answer_to_nothing_is_dropped() -> None:
    alice, _bob = two()
    parts = -(-c.REKEY_SECOND_BYTES // c.REKEY_PART_BYTES)
    for part in range(parts):
        size = min(c.REKEY_PART_BYTES, c.REKEY_SECOND_BYTES - part * c.REKEY_PART_BYTES)
        outcome = alice.rekey.receive(bytes([2, part]) + bytes(size), DUE)
        assert outcome is (DropReason.REKEY if part == parts - 1 else None)


def test_damaged_answer_leaves_no_trace() -> None:
    alice, bob = two()
    alice.rekey.step(alice.control, DUE)
    exchange(alice, bob, DUE, until=lambda: bool(bob.claimed))
    bodies = list(bob.rekey._out)
    damaged = [bodies[0][:-1] + b"\0", *bodies[1:]]
    assert [alice.rekey.receive(body, DUE) for body in damaged][-1] is DropReason.REKEY
    assert alice.epochs.current.index == 1
    assert {alice.rekey.receive(body, DUE) for body in bodies} == {None}
    assert alice.epochs.current.index == alice.claimed[0]


def test_key_of_the_kem_that_is_none_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = two()
    state = HandshakeState(
        IKHFS,
        CHACHAPOLY,
        True,
        c.REKEY_LABEL + HASH,
        alice.static,
        entropy=alice.local.entropy,
        rs=bob.static.public,
    )
    no_key = KemPair.generate(alice.local.entropy)
    no_key.public = b"\xff" * c.KEM_PUBLIC_BYTES
    monkeypatch.setattr(KemPair, "generate", lambda entropy: no_key)
    message = state.write_message(bytes(4))
    size = c.REKEY_PART_BYTES
    bodies = [
        bytes([1, part]) + message[part * size : (part + 1) * size]
        for part in range(-(-len(message) // size))
    ]
    assert [bob.rekey.receive(body, DUE) for body in bodies][-1] is DropReason.REKEY
    assert bob.claimed
    assert bob.epochs._following is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\1",
        b"\1\0",
        b"\2\0" + bytes(94),  # the other side's
        b"\1\0" + bytes(93),
        b"\1\0" + bytes(95),
        b"\1\1" + bytes(94),  # out of order
        b"\1\xff" + bytes(94),
        b"\0\0" + bytes(94),
        b"\3\0" + bytes(94),
    ],
)
def test_malformed_part_is_dropped(body: bytes) -> None:
    _, bob = two()
    assert bob.rekey.receive(body, DUE) is DropReason.REKEY


def test_first_part_starts_afresh() -> None:
    alice, bob = two()
    alice.rekey.step(alice.control, DUE)
    bodies = list(alice.rekey._out)
    for body in [*bodies[:5], *bodies]:
        assert bob.rekey.receive(body, DUE) is None
    assert bob.claimed


def test_rekeying_waits_for_its_answer_from_when_its_parts_have_arrived() -> None:
    """However long an outage kept them: to begin anew at once would make the answer that is on its way useless."""
    alice, bob = two()
    alice.rekey.step(alice.control, DUE)

    def deliver(now: float) -> None:
        """Parts there and acknowledgements back; Bob's own parts are lost."""
        bob.take(alice.frames(now), now)
        alice.take([frame for frame in bob.frames(now) if frame[0] == 1], now)

    while alice.rekey._out:
        deliver(DUE)
        alice.rekey.feed(alice.control, DUE)
    assert alice.control.unacked, "the last parts are on their way, and get lost"
    later = DUE + 30.0
    deliver(later)
    assert alice.frames(later) == []
    assert alice.control.unacked == 0
    assert alice.rekey.next_timer(alice.control) == later + c.REKEY_RETRY_S
