"""Consent to send: who agreed, when it is asked again, when it lapses, and that nobody agrees for another address."""

from collections.abc import Iterator
from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.line.path import Path
from p2pcall.proto.line.timing import Timing, pack_ping, parse_pong
from p2pcall.types import Address

HERE: Address = ("192.0.2.1", 1)
THERE: Address = ("198.51.100.2", 2)
ELSEWHERE: Address = ("203.0.113.3", 3)


def path(now: float = 100.0) -> Path:
    return Path(Random(1).randbytes, HERE, now)


def pong(number: int) -> bytes:
    """The answer to a ping with this number, as the other side makes it."""
    timing = Timing(0.0)
    timing.receive(pack_ping(number), 0.0)
    answer = timing.frames_due(0.0)[0]
    assert parse_pong(answer) is not None
    return answer


def asked(one: Path, start: float, seconds: float) -> Iterator[tuple[float, int]]:
    """When it asks, and for what, looked at ten times a second."""
    for tick in range(round(10 * seconds) + 1):
        number = one.consent_due(start + tick / 10)
        if number is not None:
            yield tick / 10, number


def candidate_number(one: Path) -> int:
    due = one.probe_due()
    assert due is not None
    return int.from_bytes(due[0][1:], "big")


def test_address_in_use_is_asked_after_fifteen_seconds_and_then_each_second() -> None:
    one = path()
    times = [at for at, _ in asked(one, 100.0, 20)]
    assert times == [15.0, 16.0, 17.0, 18.0, 19.0, 20.0]
    assert one.next_timer == 121.0


def test_question_stays_the_same_until_it_is_answered_and_is_new_each_time() -> None:
    one, numbers = path(), []
    for start in (100.0, 116.0, 132.0):
        numbers.append({number for _, number in asked(one, start, 16)})
        (number,) = numbers[-1]
        assert one.answered(pong(number), HERE, start + 16.0)
    assert len(numbers) == len(set().union(*numbers)) == 3


def test_address_that_agrees_is_left_alone_for_fifteen_seconds() -> None:
    one = path()
    number = one.consent_due(115.0)
    assert number is not None
    assert one.answered(pong(number), HERE, 115.2)
    assert one.next_timer == 115.2 + c.CONSENT_S
    assert one.consent_due(130.1) is None
    assert one.consent_due(130.2) is not None


def test_consent_lapses_after_thirty_seconds_and_comes_back_with_the_answer() -> None:
    one = path()
    one.consent_due(129.9)
    assert not one.lapsed
    number = one.consent_due(130.0)
    assert one.lapsed
    number = number if number is not None else one.consent_due(131.0)
    assert number is not None
    assert one.answered(pong(number), HERE, 150.0)
    assert not one.lapsed
    one.consent_due(179.9)
    assert not one.lapsed


def test_line_is_lost_seventy_five_seconds_after_the_last_agreement() -> None:
    one = path()
    assert one.lost_at == 175.0
    number = one.consent_due(115.0)
    assert number is not None
    one.answered(pong(number), HERE, 120.0)
    assert one.lost_at == 195.0
    assert one.next_timer == 135.0
    for now in range(135, 200):
        one.consent_due(float(now))
    assert one.next_timer == one.lost_at == 195.0


@pytest.mark.parametrize("address", [THERE, ELSEWHERE, ("192.0.2.1", 2), ("192.0.2.2", 1)])
def test_nobody_agrees_for_another_address(address: Address) -> None:
    one = path()
    number = one.consent_due(115.0)
    assert number is not None
    one.heard(address, c.PROBE_DATAGRAM_BYTES, 115.0)
    assert not one.answered(pong(number), address, 115.1)
    assert one.lost_at == 175.0
    one.consent_due(130.0)
    assert one.lapsed


def test_wrong_number_is_no_agreement() -> None:
    one = path()
    number = one.consent_due(115.0)
    assert number is not None
    for wrong in (number ^ 1, 0, 15_000_000):
        assert not one.answered(pong(wrong), HERE, 115.1)
    for malformed in (b"", pong(number)[:-1], pong(number) + b"\0", pack_ping(number)):
        assert not one.answered(malformed, HERE, 115.1)
    assert one.lost_at == 175.0


def test_answer_to_no_question_is_no_agreement() -> None:
    one = path()
    assert not one.answered(pong(0), HERE, 101.0)
    number = one.consent_due(115.0)
    assert number is not None
    assert one.answered(pong(number), HERE, 115.1)
    assert not one.answered(pong(number), HERE, 160.0), "an old answer is one only once"
    assert one.lost_at == 115.1 + c.CONSENT_S + c.LOST_TIMEOUT_S


def test_records_from_elsewhere_do_not_keep_the_line() -> None:
    one = path()
    for tick in range(800):
        now = 100.0 + tick / 10
        one.heard(THERE if tick % 2 else ELSEWHERE, c.PROBE_DATAGRAM_BYTES, now)
        one.consent_due(now)
        one.probe_due()
    assert one.lapsed
    assert one.lost_at == 175.0


def test_records_from_the_address_itself_are_no_agreement() -> None:
    one = path()
    for tick in range(310):
        one.heard(HERE, c.PROBE_DATAGRAM_BYTES, 100.0 + tick / 10)
        one.consent_due(100.0 + tick / 10)
    assert one.lapsed, "whoever writes that address on a record need not receive there"


def test_new_address_that_answers_its_probe_is_the_lines_and_has_agreed() -> None:
    one = path()
    old = one.consent_due(130.0)
    assert old is not None and one.lapsed
    one.heard(THERE, c.PROBE_DATAGRAM_BYTES, 131.0)
    number = candidate_number(one)
    assert one.answered(pong(number), THERE, 131.1)
    assert (one.address, one.lapsed) == (THERE, False)
    assert (one.lost_at, one.next_timer) == (131.1 + 75.0, 131.1 + 15.0)
    assert not one.answered(pong(old), HERE, 131.2), "the one that was left is asked nothing any more"
    assert not one.answered(pong(old), THERE, 131.2)


def test_probe_is_answered_only_from_where_it_went() -> None:
    one = path()
    one.heard(THERE, c.PROBE_DATAGRAM_BYTES, 101.0)
    number = candidate_number(one)
    for address in (ELSEWHERE, HERE):
        assert not one.answered(pong(number), address, 101.1)
    assert one.address == HERE
    assert one.answered(pong(number), THERE, 101.1)


def test_probes_go_once_for_what_came_at_the_pace_of_a_handshake() -> None:
    one, sent = path(), []
    for tick in range(60):
        now = 100.0 + tick / 10
        one.heard(THERE, c.PROBE_DATAGRAM_BYTES, now)
        if one.probe_due() is not None:
            sent.append(tick / 10)
        assert one.probe_due() is None
    assert sent == [0.0, 0.3, 0.8, 1.8, 2.8, 3.8, 4.8, 5.8]


def test_latest_address_is_the_only_candidate_and_none_while_the_lines_own_is_heard() -> None:
    one = path()
    one.heard(THERE, c.PROBE_DATAGRAM_BYTES, 101.0)
    first = candidate_number(one)
    one.heard(ELSEWHERE, c.PROBE_DATAGRAM_BYTES, 101.1)
    second = candidate_number(one)
    assert first != second
    assert not one.answered(pong(first), THERE, 101.2)
    one.heard(HERE, c.PROBE_DATAGRAM_BYTES, 101.3)
    assert not one.answered(pong(second), ELSEWHERE, 101.4)
    assert one.probe_due() is None
