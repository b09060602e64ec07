"""Strangers at the door: copies are free, new ones are rated, the table is bounded and forgets."""

from collections import Counter
from itertools import count
from random import Random

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import Admission, RateLimit
from p2pcall.proto.handshake import Initiator, StaticKey, suites
from p2pcall.proto.wire import DropReason

BOB = StaticKey.from_private(Random(2).randbytes(32))
STRANGER = StaticKey.from_private(Random(9).randbytes(32))


def door() -> Admission:
    return Admission(BOB, Random(1).randbytes, suites(False), count(100).__next__, Counter())


def stranger(seed: int) -> Initiator:
    return Initiator(STRANGER, Random(seed).randbytes, seed, suites(False))


def confirmation(ours: Initiator, response: bytes) -> wire.Confirmation:
    parsed = wire.parse_response(response)
    assert isinstance(parsed, wire.Response)
    ours.read_response(parsed)
    confirmed = wire.parse_confirmation(ours.confirmation)
    assert isinstance(confirmed, wire.Confirmation)
    return confirmed


def test_copy_of_an_initiation_gets_the_same_response() -> None:
    admission, ours = door(), stranger(1)
    first = admission.answer(ours.initiation, 0.0)
    assert isinstance(first, bytes)
    assert admission.answer(ours.initiation, 1.0) == first
    assert len(admission) == 1


def test_copies_cost_nothing_of_the_rate() -> None:
    admission, ours = door(), stranger(1)
    for _ in range(10 * c.HANDSHAKE_BURST):
        assert isinstance(admission.answer(ours.initiation, 0.0), bytes)
    assert isinstance(admission.answer(stranger(2).initiation, 0.0), bytes)


def test_new_handshakes_are_rated() -> None:
    admission = door()
    outcomes = [admission.answer(stranger(seed).initiation, 0.0) for seed in range(c.HANDSHAKE_BURST + 5)]
    assert outcomes.count(DropReason.RATE) == 5
    assert isinstance(admission.answer(stranger(999).initiation, 1 / c.HANDSHAKE_RATE_PER_S), bytes)


def test_rate_refills_up_to_the_burst() -> None:
    limit = RateLimit(2.0, 3)
    assert [limit.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.take(0.5) for _ in range(2)] == [True, False]
    assert [limit.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_oldest_half_open_handshake_makes_way() -> None:
    admission = door()
    first = stranger(0)
    response = admission.answer(first.initiation, 0.0)
    assert isinstance(response, bytes)
    for seed in range(1, c.MAX_HALF_OPEN + 1):
        admission.answer(stranger(seed).initiation, seed / 10)
    assert len(admission) == c.MAX_HALF_OPEN
    assert admission._dropped[DropReason.HALF_OPEN] == 1
    assert admission.confirm(confirmation(first, response)) is DropReason.INDEX


def test_half_open_handshake_is_forgotten_in_time() -> None:
    admission = door()
    assert admission.next_timer() is None
    admission.answer(stranger(1).initiation, 10.0)
    admission.answer(stranger(2).initiation, 12.0)
    assert admission.next_timer() == 10.0 + c.HANDSHAKE_TIMEOUT_S
    admission.expire(10.0 + c.HANDSHAKE_TIMEOUT_S)
    assert len(admission) == 1
    admission.expire(12.0 + c.HANDSHAKE_TIMEOUT_S)
    assert len(admission) == 0


def test_confirmed_handshake_cannot_be_confirmed_again() -> None:
    admission, ours = door(), stranger(1)
    response = admission.answer(ours.initiation, 0.0)
    assert isinstance(response, bytes)
    message = confirmation(ours, response)
    assert not isinstance(admission.confirm(message), DropReason)
    assert admission.confirm(message) is DropReason.DUPLICATE
    assert admission.answer(ours.initiation, 0.1) == response


def test_broken_commitment_is_forgotten() -> None:
    admission, ours = door(), stranger(1)
    response = admission.answer(ours.initiation, 0.0)
    assert isinstance(response, bytes)
    ours._nonce = bytes(32)
    message = confirmation(ours, response)
    assert admission.confirm(message) is DropReason.COMMITMENT
    assert admission.confirm(message) is DropReason.INDEX


def test_initiation_that_cannot_be_answered_takes_no_place() -> None:
    admission, ours = door(), stranger(1)
    assert admission.answer(ours.initiation[:-1], 0.0) is DropReason.LENGTH
    low_order = ours.initiation[:8] + bytes(32) + ours.initiation[40:]
    assert admission.answer(low_order, 0.0) is DropReason.HANDSHAKE
    assert len(admission) == 0
