"""Round trip and clock offset from pings, smoothed, and unmoved by forged pongs."""

from math import inf

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.line.timing import Timing, pack_ping, parse_pong
from p2pcall.proto.wire import DropReason


def exchange(left: Timing, right: Timing, now: float, there: float, back: float) -> None:
    (ping,) = left.frames_due(now)
    assert right.receive(ping, now + there) is None
    pong = right.frames_due(now + there)[0]
    assert left.receive(pong, now + there + back) is None


def test_nothing_is_known_before_the_first_pong() -> None:
    timing = Timing(100.0)
    assert timing.rtt is None
    assert timing.clock_offset is None
    assert timing.rto == c.RTO_START_S


def test_ping_leaves_at_once_and_then_each_second() -> None:
    timing = Timing(100.0)
    assert timing.frames_due(100.0)[0].hex() == "01" + "0000000000000000"
    assert timing.frames_due(100.5) == []
    assert timing.next_ping == 101.0
    assert timing.frames_due(101.0)[0].hex() == "01" + f"{1_000_000:016x}"


def test_round_trip_and_offset_are_measured() -> None:
    left, right = Timing(100.0), Timing(100.3)  # the remote session began 0.3 s later: its clock is behind
    exchange(left, right, 102.0, 0.05, 0.05)
    assert left.rtt == pytest.approx(0.1, abs=1e-5)
    assert left.clock_offset == pytest.approx(-0.3, abs=1e-5)


def test_smoothing_is_that_of_rfc_6298() -> None:
    left, right = Timing(0.0), Timing(0.0)
    exchange(left, right, 0.0, 0.05, 0.05)
    assert left.rto == pytest.approx(0.1 + 4 * 0.05, abs=1e-4)
    exchange(left, right, 1.0, 0.1, 0.1)
    assert left.rtt == pytest.approx(0.1 * 7 / 8 + 0.2 / 8, abs=1e-4)
    assert left.rto == pytest.approx(0.1125 + 4 * (0.05 * 3 / 4 + 0.1 / 4), abs=1e-4)


def test_timeout_stays_between_its_bounds() -> None:
    left, right = Timing(0.0), Timing(0.0)
    for second in range(50):
        exchange(left, right, float(second), 0.0, 0.0)
    assert left.rto == c.RTO_MIN_S
    exchange(left, right, 60.0, 4.0, 4.0)
    assert left.rto == c.RTO_MAX_S


def test_offset_is_taken_from_the_quickest_exchange_and_follows_later() -> None:
    left, right = Timing(0.0), Timing(0.0)
    exchange(left, right, 0.0, 0.01, 0.01)
    exchange(left, right, 1.0, 0.5, 0.01)
    assert left.clock_offset == pytest.approx(0.0, abs=1e-5)
    for second in range(2, 2 + c.OFFSET_SAMPLES):
        exchange(left, right, float(second), 0.2, 0.1)
    assert left.clock_offset == pytest.approx(0.05, abs=1e-5)


def test_each_ping_is_answered_once_and_of_a_flood_only_the_latest() -> None:
    timing = Timing(0.0)
    timing.frames_due(0.0)
    for number in range(100):
        assert timing.receive(pack_ping(number), 0.5) is None
    assert timing.next_due == -inf
    pongs = [parse_pong(frame) for frame in timing.frames_due(0.5)]
    assert pongs == [(number, 500_000, 0) for number in range(100 - c.MAX_PONGS_OWED, 100)]
    assert timing.next_due == timing.next_ping
    assert timing.frames_due(0.5) == []


def test_time_that_a_pong_was_held_is_not_measured() -> None:
    left, right = Timing(100.0), Timing(100.3)
    (ping,) = left.frames_due(102.0)
    right.receive(ping, 102.05)
    pong = right.frames_due(102.07)[0]
    left.receive(pong, 102.12)
    assert left.rtt == pytest.approx(0.1, abs=1e-5)
    assert left.clock_offset == pytest.approx(-0.3, abs=1e-5)


def test_time_held_is_bounded_by_its_field() -> None:
    timing = Timing(0.0)
    timing.receive(pack_ping(7), 0.0)
    assert parse_pong(timing.frames_due(10_000.0)[0]) == (7, 10_000_000_000, c.MAX_U32)


def test_what_does_not_fit_the_room_stays_due() -> None:
    timing = Timing(0.0)
    timing.receive(pack_ping(1), 0.0)
    timing.receive(pack_ping(2), 0.0)
    assert timing.frames_due(0.0, 11) == []
    assert timing.frames_due(0.0, 12) == [pack_ping(0)]
    timing.nudge(0.5)
    assert len(timing.frames_due(0.5, 35)) == 1
    assert timing.next_due == -inf
    assert [len(frame) for frame in timing.frames_due(0.5, 36)] == [21, 9]


def pings(timing: Timing, start: float, seconds: float) -> list[float]:
    """When pings leave."""
    times = []
    while timing.next_ping < start + seconds:
        times.append(timing.next_ping)
        timing.frames_due(timing.next_ping)
    return times


def test_pings_are_quick_while_the_line_is_silent_and_then_each_second() -> None:
    timing = Timing(0.0)
    assert pings(timing, 0.0, 3.0) == [0.0, 1.0, 2.0]
    timing.silent(3.0)
    assert pings(timing, 3.0, 20.0) == [3 + n / 4 for n in range(41)] + [13.0 + n for n in range(1, 10)]
    timing.heard()
    timing.silent(30.0)
    timing.heard()
    assert pings(timing, 30.0, 3.0) == [30.0, 31.0, 32.0]


def test_nudge_asks_thrice() -> None:
    timing = Timing(0.0)
    pings(timing, 0.0, 5.0)
    timing.nudge(5.5)
    assert pings(timing, 5.5, 4.0) == [5.5, 5.75, 6.25, 7.25, 8.25, 9.25]


def test_forged_or_repeated_pong_is_dropped() -> None:
    left, right = Timing(0.0), Timing(0.0)
    exchange(left, right, 0.0, 0.01, 0.01)
    before = left.rtt, left.clock_offset
    assert left.receive(b"\2" + bytes(20), 0.5) is DropReason.TIMING
    assert left.receive(b"\2" + b"\xff" * 20, 0.5) is DropReason.TIMING
    assert (left.rtt, left.clock_offset) == before


@pytest.mark.parametrize("payload", [b"", b"\1", b"\2" + bytes(8), b"\1" + bytes(16), b"\3" + bytes(8)])
def test_malformed_frame_is_dropped(payload: bytes) -> None:
    timing = Timing(0.0)
    assert timing.receive(payload, 1.0) is DropReason.TIMING
    assert timing.rtt is None


def test_outstanding_pings_are_bounded() -> None:
    timing = Timing(0.0)
    for second in range(100):
        timing.frames_due(float(second))
    assert len(timing._pending) == c.MAX_PINGS_OUTSTANDING


def test_question_to_the_address_leaves_once_together_with_the_ping_that_measures() -> None:
    timing = Timing(0.0)
    timing.frames_due(0.0)
    assert timing.next_due == timing.next_ping
    timing.ask(7)
    assert timing.next_due == -inf
    assert timing.frames_due(0.5) == [pack_ping(7), pack_ping(500_000)]
    assert timing.next_due == timing.next_ping
    assert timing.next_ping == 1.5
    assert timing.frames_due(0.6) == []


def test_question_waits_for_room_and_the_latest_is_asked() -> None:
    timing = Timing(0.0)
    timing.frames_due(0.0)
    timing.ask(7)
    timing.ask(8)
    assert timing.frames_due(0.5, 11) == []
    assert timing.next_due == -inf
    assert timing.frames_due(0.5, 12) == [pack_ping(8)]
    assert timing.frames_due(0.5, 12) == [pack_ping(500_000)]


def test_answer_to_a_question_measures_nothing() -> None:
    timing = Timing(0.0)
    timing.ask(500_000)
    timing.frames_due(0.0)
    other = Timing(0.0)
    other.receive(pack_ping(500_000), 0.1)
    assert timing.receive(other.frames_due(0.1)[0], 0.6) is DropReason.TIMING
    assert timing.rtt is None
