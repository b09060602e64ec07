"""The dialling side alone: what leaves when and where to, and what it makes of what comes."""

import hmac
from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.admission.dial import Dial
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.handshake.exchange import Initiation, Local, Responder, StaticKey, suites
from p2pcall.proto.wire import DatagramType, DropReason, PatternId, Suites
from p2pcall.types import Address

ALICE, BOB, CAROL = (StaticKey.from_private(Random(seed).randbytes(32)) for seed in (1, 2, 3))
HERE: Address = ("192.0.2.2", 51729)
INDEX = 77
BOTH = suites(True)


def dialling(
    addresses: list[Address] | None = None,
    expected: bytes | None = None,
    known: tuple[bytes, ...] = (),
    offered: Suites = BOTH,
) -> Dial:
    entropy = Random(4).randbytes
    times = iter(range(1, 10_000))
    return Dial(
        Local(ALICE, entropy),
        INDEX,
        offered,
        addresses or [HERE],
        0.0,
        lambda now: next(times),
        expected,
        known,
    )


def knocks(sent: list[tuple[bytes, Address]]) -> list[wire.Knock]:
    parsed = [wire.parse_knock(data) for data, _ in sent if data[0] == DatagramType.KNOCK]
    return [knock for knock in parsed if isinstance(knock, wire.Knock)]


def parts(sent: list[tuple[bytes, Address]]) -> list[wire.Part]:
    parsed = [wire.parse_part(data) for data, _ in sent if data[0] == DatagramType.INITIATION]
    return [part for part in parsed if isinstance(part, wire.Part)]


def time_for(datagram: bytes, key: StaticKey) -> int | None:
    """The knock's time as the owner of this key reads it; None if it is not for him."""
    pair = cookie.Mac(cookie.pair_key(key, ALICE.public, initiator=False))
    (knock,) = knocks([(datagram, HERE)])
    if not pair.fits(datagram[: c.KNOCK_TAGGED_BYTES], knock.tag):
        return None
    return int.from_bytes(cookie.hide_time(pair, knock.nonce, knock.hidden_time), "big")


def answer(knock: wire.Knock, chosen: Suites = Suites.AESGCM, value: bytes = b"c" * 16) -> wire.Cookie:
    return wire.Cookie(chosen, INDEX, knock.token, value)


def test_backoff_repeats_by_its_intervals_and_the_last_for_ever() -> None:
    backoff = Backoff(0.0, (1.0, 2.0))
    assert [now for now in range(10) if backoff.take(float(now))] == [0, 1, 3, 5, 7, 9]


@pytest.mark.parametrize("expected", [None, BOB.public])
def test_knock_is_repeated_with_a_new_time_and_the_same_token(expected: bytes | None) -> None:
    dial = dialling(expected=expected)
    pattern = PatternId.XXHFS if expected is None else PatternId.IKHFS
    times, seen = [], []
    for tick in range(0, 500, 5):
        sent = [one for one in dial.take_due(tick / 100) if one[0][2] == pattern]
        times += [tick / 100] * len(sent)
        seen += sent
    assert times == [0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]
    if expected is not None:
        assert [time_for(data, BOB) for data, _ in seen] == list(range(1, 12))
    assert len({knock.token for knock in knocks(seen)}) == 1
    for hidden in ("nonce", "hidden_time", "tag"):
        assert len({getattr(knock, hidden) for knock in knocks(seen)}) == 11


def test_candidates_are_knocked_at_in_order_each_with_its_token() -> None:
    others: list[Address] = [("192.0.2.3", 1), ("192.0.2.4", 1)]
    dial = dialling([HERE, *others, HERE])
    sent = [(tick / 100, data, to) for tick in range(20) for data, to in dial.take_due(tick / 100)]
    assert [(at, to) for at, _, to in sent] == [(0.0, HERE), (0.05, others[0]), (0.1, others[1])]
    assert len({knock.token for knock in knocks([(data, to) for _, data, to in sent])}) == 3


def test_stranger_knocks_for_xx_with_nothing_but_chance() -> None:
    drawn: list[bytes] = []

    def entropy(count: int) -> bytes:
        drawn.append(Random(len(drawn)).randbytes(count))
        return drawn[-1]

    def never(now: float) -> int:
        raise AssertionError("a stranger's knock tells no time")

    dial = Dial(Local(ALICE, entropy), INDEX, BOTH, [HERE], 0.0, never)
    ((datagram, _),) = dial.take_due(0.0)
    (knock,) = knocks([(datagram, HERE)])
    assert knock.pattern is PatternId.XXHFS
    assert [knock.token, knock.nonce, knock.hidden_time, knock.tag] == drawn


def test_contact_knocks_for_ik_with_a_tag_and_a_time_for_the_one_who_is_called() -> None:
    ((datagram, _),) = dialling(expected=BOB.public).take_due(0.0)
    (knock,) = knocks([(datagram, HERE)])
    assert knock.pattern is PatternId.IKHFS
    pair_key = cookie.pair_key(BOB, ALICE.public, initiator=False)
    assert knock.tag == hmac.digest(pair_key, datagram[:68], "sha256")[: c.MAC_BYTES]
    assert (time_for(datagram, BOB), time_for(datagram, CAROL)) == (1, None)


def test_expected_key_is_the_only_one_asked_for_at_first() -> None:
    dial = dialling(expected=BOB.public)
    sent = [(tick / 100, *one) for tick in range(200) for one in dial.take_due(tick / 100)]
    first_xx = next(at for at, data, _ in sent if data[2] == PatternId.XXHFS)
    assert first_xx == c.SECOND_WAY_S == 0.4
    assert all(data[2] == PatternId.IKHFS for at, data, _ in sent if at < c.SECOND_WAY_S)
    assert any(data[2] == PatternId.IKHFS for at, data, _ in sent if at > c.SECOND_WAY_S), (
        "it is not given up"
    )


def test_cookie_for_the_expected_key_leaves_the_other_way_open() -> None:
    dial = dialling(expected=BOB.public)
    (knock,) = knocks(dial.take_due(0.0))
    dial.receive_cookie(answer(knock), 0.1)
    later = [one for tick in range(10, 100) for one in dial.take_due(tick / 100)]
    assert {one.pattern for one in knocks(later)} == set(PatternId)
    assert len(dialling(expected=BOB.public, known=(CAROL.public,)).take_due(c.SECOND_WAY_S)) == 2


def test_known_keys_are_asked_for_when_nobody_answers_a_stranger() -> None:
    dial = dialling(known=(BOB.public, CAROL.public))
    assert len(dial.take_due(0.0)) == 1
    sent = [one for one in dial.take_due(c.SECOND_WAY_S) if one[0][2] == PatternId.IKHFS]
    for (datagram, _), key in zip(sent, (BOB, CAROL), strict=True):
        assert time_for(datagram, key) is not None


def test_known_keys_are_not_asked_for_where_strangers_are_answered() -> None:
    dial = dialling(known=(BOB.public, CAROL.public))
    (knock,) = knocks(dial.take_due(0.0))
    dial.receive_cookie(answer(knock), 0.2)
    later = [one for tick in range(20, 400) for one in dial.take_due(tick / 100)]
    assert {knock.pattern for knock in knocks(later)} == {PatternId.XXHFS}


def test_known_keys_are_bounded() -> None:
    dial = dialling(known=tuple(StaticKey.from_private(bytes([n]) * 32).public for n in range(1, 60)))
    assert len(dial.take_due(c.SECOND_WAY_S)) == 1 + c.MAX_KNOWN_TRIED


def test_cookie_starts_the_initiation_at_once() -> None:
    dial = dialling()
    (knock,) = knocks(dial.take_due(0.0))
    assert not dial.answered
    assert dial.receive_cookie(answer(knock), 0.1) is None
    assert dial.answered
    assert dial.next_timer() == 0.1
    sent = dial.take_due(0.1)
    assert [(part.number, part.cookie, part.sender_index) for part in parts(sent)] == [
        (0, b"c" * 16, INDEX),
        (1, b"c" * 16, INDEX),
    ]
    assert {to for _, to in sent} == {HERE}
    assert not knocks(sent)


def test_initiation_and_knock_are_repeated_and_a_newer_cookie_replaces_the_older() -> None:
    dial = dialling()
    (knock,) = knocks(dial.take_due(0.0))
    dial.receive_cookie(answer(knock), 0.1)
    first = parts(dial.take_due(0.1))
    assert dial.receive_cookie(answer(knock, value=b"d" * 16), 0.2) is None
    assert dial.take_due(0.2) == [], "a cookie alone makes nothing leave sooner"
    again = dial.take_due(0.35)
    assert [part.chunk for part in parts(again)] == [part.chunk for part in first]
    assert {part.cookie for part in parts(again)} == {b"d" * 16}
    assert len(knocks(again)) == 1


def test_each_choice_has_an_initiation_of_its_own() -> None:
    dial = dialling()
    (knock,) = knocks(dial.take_due(0.0))
    dial.receive_cookie(answer(knock), 0.0)
    aes = parts(dial.take_due(0.0))
    dial.receive_cookie(answer(knock, Suites.CHACHAPOLY), 0.0)
    chacha = parts(dial.take_due(0.25))
    assert aes[0].chunk[:16] != chacha[0].chunk[:16]
    assert aes[0].chunk[16:48] != chacha[0].chunk[16:48], "with its own ephemeral key"


def test_cookie_that_answers_no_knock_is_dropped() -> None:
    dial = dialling()
    assert (
        dial.receive_cookie(wire.Cookie(Suites.AESGCM, INDEX, b"a" * 8, b"c" * 16), 0.0) is DropReason.TOKEN
    )


def test_choice_that_was_not_offered_is_dropped() -> None:
    dial = dialling(offered=suites(False))
    (knock,) = knocks(dial.take_due(0.0))
    assert dial.receive_cookie(answer(knock, Suites.AESGCM), 0.0) is DropReason.SUITE


def test_key_of_low_order_is_asked_for_and_never_answered() -> None:
    dial = dialling(expected=bytes(32))
    (knock,) = knocks(dial.take_due(0.0))
    assert knock.pattern is PatternId.IKHFS
    assert dial.receive_cookie(answer(knock), 0.0) is DropReason.HANDSHAKE
    again = dial.take_due(0.25)
    assert not parts(again)
    for one in knocks(again):
        assert (one.nonce, one.hidden_time, one.tag) != (knock.nonce, knock.hidden_time, knock.tag)


def test_few_addresses_get_initiations_at_once() -> None:
    addresses: list[Address] = [("192.0.2.9", port) for port in range(5)]
    dial = dialling(addresses)
    tokens = knocks(dial.take_due(0.2))
    outcomes = [dial.receive_cookie(answer(knock), 0.2) for knock in tokens]
    assert outcomes == [None] * 3 + [DropReason.FULL] * 2
    assert {to for data, to in dial.take_due(0.2) if data[0] == DatagramType.INITIATION} == set(addresses[:3])


def test_address_that_leaves_an_initiation_unanswered_makes_way() -> None:
    addresses: list[Address] = [("192.0.2.9", port) for port in range(4)]
    dial = dialling(addresses)
    tokens = knocks(dial.take_due(0.2))
    for place, knock in enumerate(tokens[:3]):
        dial.receive_cookie(answer(knock), 0.2 + place / 10)
    assert dial.receive_cookie(answer(tokens[3]), 0.2 + c.KEY_GRACE_S - 0.01) is DropReason.FULL
    assert dial.receive_cookie(answer(tokens[3]), 0.2 + c.KEY_GRACE_S) is None
    sent = dial.take_due(2.0)
    assert {to for data, to in sent if data[0] == DatagramType.INITIATION} == set(addresses[1:])
    assert (DatagramType.KNOCK, addresses[0]) in {(data[0], to) for data, to in sent}


@pytest.mark.parametrize("pattern", list(PatternId))
def test_response_before_any_initiation_is_dropped(pattern: PatternId) -> None:
    dial = dialling()
    dial.take_due(0.0)
    response = wire.Response(pattern, INDEX, bytes(wire.RESPONSE_BYTES[pattern] - 8))
    assert dial.receive_response(response, HERE, 0.0) is DropReason.HANDSHAKE


def test_line_begins_at_an_address_whose_cookie_came_back_wherever_the_response_comes_from() -> None:
    elsewhere: list[Address] = [("203.0.113.9", 9), ("192.0.2.9", 9)]
    for source, expected in ((HERE, HERE), (elsewhere[0], HERE), (elsewhere[1], HERE)):
        dial = dialling([elsewhere[1], HERE])
        knock = knocks(dial.take_due(0.1))[1]
        assert dial.receive_cookie(answer(knock), 0.1) is None
        noise = b"".join(part.chunk for part in parts(dial.take_due(0.1)))[c.INITIATION_HEADER_BYTES :]
        whole = Initiation(PatternId.XXHFS, BOTH, Suites.AESGCM, INDEX, noise)
        theirs = Responder.answer(Local(BOB, Random(5).randbytes), 1, whole, lambda public: True)
        assert isinstance(theirs, Responder)
        response = wire.parse_response(theirs.response)
        assert isinstance(response, wire.Response)
        outcome = dial.receive_response(response, source, 0.2)
        assert not isinstance(outcome, DropReason)
        assert (outcome[0].remote_static, outcome[1]) == (BOB.public, expected)
