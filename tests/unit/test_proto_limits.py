"""Shares of handshakes: by source, of all, and the reserve that a flood from one or many leaves to others."""

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.limits import RateLimit, SourceLimits, source_of
from p2pcall.proto.wire import Address


def test_rate_refills_up_to_the_burst() -> None:
    limit = RateLimit(2.0, 3)
    assert [limit.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.take(0.5) for _ in range(2)] == [True, False]
    assert [limit.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_many_are_taken_at_once_or_none() -> None:
    limit = RateLimit(1.0, 10)
    assert limit.take(0.0, 8)
    assert not limit.take(0.0, 3)
    assert limit.take(0.0, 2)


def test_bucket_tells_when_it_is_full() -> None:
    limit = RateLimit(2.0, 3)
    assert limit.full_at() == 0.0
    limit.take(10.0)
    assert limit.full_at() == 10.5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("192.0.2.1", 1), ("192.0.2.1", 2), True),
        (("192.0.2.1", 1), ("192.0.2.2", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:0:ffff::9", 7, 0, 0), True),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0), False),
        (("fe80::1", 1, 0, 2), ("fe80::1", 9, 0, 2), True),
        (("fe80::1", 1, 0, 2), ("fe80::2", 1, 0, 2), False),
        (("stranger", 1), ("stranger", 2), True),
        (("stranger", 1), ("another", 1), False),
        ((), (), True),
    ],
)
def test_source_is_an_ipv4_address_or_an_ipv6_network(one: Address, other: Address, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


def test_source_has_its_burst_and_its_rate() -> None:
    limits = SourceLimits()
    assert [limits.take("one", 0.0) for _ in range(c.SOURCE_BURST + 1)].count(True) == c.SOURCE_BURST
    assert [limits.take("one", 1.0) for _ in range(50)].count(True) == c.SOURCE_RATE_PER_S


def test_flood_from_one_source_does_not_keep_out_another() -> None:
    limits = SourceLimits()
    for tick in range(5000):
        now = tick / 1000
        limits.take("flood", now)
        if tick % 100 == 0:
            assert limits.take("honest", now)


def test_all_together_have_a_burst_and_a_rate() -> None:
    limits = SourceLimits()
    taken = [limits.take(f"source {number}", 0.0) for number in range(500)]
    assert taken.count(True) == c.HANDSHAKE_BURST + c.RESERVE_BURST


def test_flood_from_many_sources_leaves_the_reserve_to_those_who_have_used_none() -> None:
    limits = SourceLimits()
    for tick in range(20_000):  # a hundred sources, together twenty times the rate of all
        limits.take(f"bot {tick % 100}", tick / 2000)
    admitted = [limits.take(f"honest {number}", 10.0 + number / 10) for number in range(10)]
    assert all(admitted)
    assert not limits.take("bot 99", 9.9995)


def used_up(limits: SourceLimits, now: float) -> None:
    """The share of all is gone, by sources that used little each."""
    for number in range(c.HANDSHAKE_BURST):
        limits.take(f"other {number}", now)


def test_reserve_is_not_for_a_source_that_has_just_used_some() -> None:
    limits = SourceLimits()
    limits.take("one", 0.0)
    used_up(limits, 0.0)
    assert not limits.take("one", 0.0)


def test_source_that_was_quiet_long_enough_has_used_none() -> None:
    limits = SourceLimits()
    for _ in range(c.SOURCE_BURST):
        limits.take("first, and for longer not forgotten", 0.0)
    limits.take("one", 0.0)
    used_up(limits, 0.2)
    used_up(limits, 0.2)
    assert len(limits) == c.HANDSHAKE_BURST + 2
    assert limits.take("one", 0.2), "its share is whole again"


def test_sources_are_bounded_and_forgotten() -> None:
    limits = SourceLimits()
    for number in range(3 * c.MAX_SOURCES):
        limits.take(f"source {number}", 0.0)
    assert len(limits) == c.MAX_SOURCES
    limits.take("one more", 10.0)
    assert len(limits) == 1
