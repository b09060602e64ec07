"""Shares of handshakes: by source, of all, and the reserve that a flood from one or many leaves to others."""

from dataclasses import dataclass

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.admission.limits import RateLimit, Source, SourceLimits, eviction_candidate, source_of
from p2pcall.types import Address


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


def test_bucket_tells_when_it_was_used_last() -> None:
    limit = RateLimit(2.0, 3)
    assert limit.used_at == 0.0
    limit.take(10.0)
    limit.take(11.0, 9)
    assert limit.used_at == 11.0


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
    assert (source_of(one).network == source_of(other).network) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("192.0.2.1", 1), ("192.0.2.1", 2), True),
        (("192.0.2.1", 1), ("192.0.2.2", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:ff::9", 7, 0, 0), True),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:100::1", 1, 0, 0), False),
        (("fe80::1", 1, 0, 2), ("fe80::2", 1, 0, 2), True),
        (("fe80::1", 1, 0, 2), ("fe80::1", 1, 0, 3), False),
        (("fe80::1", 1, 0, 2), ("169.254.0.1", 1), False),
        (("stranger", 1), ("another", 1), False),
        ((), (), True),
    ],
)
def test_site_is_an_ipv4_address_or_a_subscribers_ipv6_network_or_a_link(
    one: Address, other: Address, same: bool
) -> None:
    assert (source_of(one).site == source_of(other).site) is same


def test_all_link_local_addresses_of_a_link_have_one_share_together() -> None:
    limits = SourceLimits()
    crowd = [source_of((f"fe80::{number:x}", number, 0, 3)) for number in range(1, 257)]
    assert len({one.network for one in crowd}) == 256
    assert [limits.take(one, 0.0) for one in crowd].count(True) == c.SITE_BURST
    assert limits.take(source_of(("fe80::1", 1, 0, 4)), 0.0), "on another link there are others"
    old = [source_of((f"169.254.{number}.9", number)) for number in range(256)]
    assert [limits.take(one, 1.0) for one in old].count(True) == c.SITE_BURST


def test_network_and_site_are_never_the_same_name_for_others() -> None:
    whole = source_of(("2001:db8::1", 1, 0, 0))
    assert whole.network != whole.site
    assert source_of(("::", 1, 0, 0)).network != source_of(("::", 1, 0, 0)).site


def alone(name: str) -> Source:
    """A source that is a site of its own."""
    return Source(name, name)


def test_source_has_its_burst_and_its_rate() -> None:
    limits, one = SourceLimits(), alone("one")
    assert [limits.take(one, 0.0) for _ in range(c.SOURCE_BURST + 1)].count(True) == c.SOURCE_BURST
    assert [limits.take(one, 1.0) for _ in range(50)].count(True) == c.SOURCE_RATE_PER_S


def test_networks_of_one_site_have_one_share_together() -> None:
    limits = SourceLimits()
    networks = [Source(f"network {number}", "site") for number in range(256)]
    assert [limits.take(one, 0.0) for one in networks].count(True) == c.SITE_BURST
    for second in (1.0, 2.0, 3.0):
        taken = [limits.take(one, second) for one in networks].count(True)
        assert taken == c.SITE_RATE_PER_S, "whatever has been used of any network"
    assert limits.take(alone("another"), 3.0)


def test_flood_from_one_source_does_not_keep_out_another() -> None:
    limits = SourceLimits()
    for tick in range(5000):
        now = tick / 1000
        limits.take(alone("flood"), now)
        if tick % 100 == 0:
            assert limits.take(alone("honest"), now)


def test_all_together_have_a_burst_and_a_rate() -> None:
    limits = SourceLimits()
    taken = [limits.take(alone(f"source {number}"), 0.0) for number in range(500)]
    assert taken.count(True) == c.HANDSHAKE_BURST + c.RESERVE_BURST


def test_flood_from_many_sources_leaves_the_reserve_to_those_who_have_used_none() -> None:
    limits = SourceLimits()
    for tick in range(20_000):  # a hundred sources, together twenty times the rate of all
        limits.take(alone(f"bot {tick % 100}"), tick / 2000)
    admitted = [limits.take(alone(f"honest {number}"), 10.0 + number / 10) for number in range(10)]
    assert all(admitted)
    assert not limits.take(alone("bot 99"), 9.9995)


def used_up(limits: SourceLimits, now: float) -> None:
    """The share of all is gone, by sources that used little each."""
    for number in range(c.HANDSHAKE_BURST):
        limits.take(alone(f"other {number}"), now)


def test_reserve_is_not_for_a_site_that_has_just_used_some() -> None:
    limits = SourceLimits()
    limits.take(Source("one", "site"), 0.0)
    used_up(limits, 0.0)
    assert not limits.take(Source("one", "site"), 0.0)
    assert not limits.take(Source("its neighbour", "site"), 0.0)
    assert limits.take(Source("one", "another site"), 0.0)


def test_site_that_was_refused_is_as_new_as_before() -> None:
    limits, one = SourceLimits(), Source("one", "site")
    used_up(limits, 0.0)
    for number in range(c.RESERVE_BURST):
        assert limits.take(alone(f"another {number}"), 0.0)
    assert not limits.take(one, 0.0), "even the reserve is used up"
    later = 1.5 / c.RESERVE_RATE_PER_S
    used_up(limits, later)
    assert limits.take(one, later), "when it asks again, there is some"
    used_up(limits, 2 * later)
    assert not limits.take(one, 2 * later), "and now it has had one"


@pytest.mark.parametrize("waited", [2.0, c.SOURCE_BURST / c.SOURCE_RATE_PER_S, c.NEW_AFTER_S - 0.1])
def test_site_counts_as_new_again_only_after_two_minutes(waited: float) -> None:
    limits, one = SourceLimits(), Source("one", "site")
    limits.take(one, 0.0)
    used_up(limits, waited)
    assert not limits.take(one, waited), "its own share is whole again, and yet it is not new"
    later = waited + c.NEW_AFTER_S
    used_up(limits, later)
    assert limits.take(one, later)


def test_few_sites_that_wait_until_their_share_is_whole_do_not_use_the_reserve_again() -> None:
    limits = SourceLimits()
    bots = [alone(f"bot {number}") for number in range(32)]
    for tick in range(120):  # each comes every three seconds, when its burst would be whole
        now = tick / 2
        used_up(limits, now)
        for bot in bots[tick % 6 :: 6]:
            limits.take(bot, now)
    used_up(limits, 60.0)
    assert [limits.take(alone(f"honest {number}"), 60.0) for number in range(c.RESERVE_BURST)].count(
        True
    ) == 16


def test_sites_that_are_refused_do_not_push_out_who_has_had_some() -> None:
    limits, one = SourceLimits(), alone("one")
    limits.take(one, 0.0)
    for number in range(3 * c.MAX_SOURCES):
        limits.take(alone(f"source {number}"), 0.0)
    used_up(limits, 1.0)
    assert not limits.take(one, 1.0), "it is remembered, and not new"


def test_sources_are_bounded_and_forgotten() -> None:
    limits = SourceLimits()
    for number in range(3 * c.MAX_SOURCES):
        limits.take(alone(f"source {number}"), number / 50)
    assert len(limits) == len(limits._sites) == c.MAX_SOURCES
    limits.take(alone("one more"), 3 * c.MAX_SOURCES / 50 + c.NEW_AFTER_S)
    assert len(limits) == len(limits._sites) == 1


@dataclass
class Kept:
    source: Source


def test_nobody_makes_way_while_there_is_room() -> None:
    kept = {number: Kept(alone(f"source {number}")) for number in range(9)}
    assert eviction_candidate(kept, alone("new"), 2, 10) is None
    assert eviction_candidate({}, alone("new"), 2, 10) is None


def test_network_with_all_that_it_may_have_pushes_out_its_own_oldest() -> None:
    kept = {1: Kept(alone("honest")), 2: Kept(Source("one", "site")), 3: Kept(Source("one", "site"))}
    assert eviction_candidate(kept, Source("one", "site"), 2, 10) == 2
    assert eviction_candidate(kept, Source("two", "site"), 2, 10) is None


def test_oldest_of_the_site_with_the_most_makes_way() -> None:
    sites = ["honest", "flood", "another", "flood", "flood", "another"]
    kept = {number: Kept(Source(f"network {number}", site)) for number, site in enumerate(sites)}
    assert eviction_candidate(kept, alone("new"), 8, len(kept)) == 1
    assert eviction_candidate(kept, Source("network 9", "flood"), 8, len(kept)) == 1
    del kept[1]
    assert eviction_candidate(kept, alone("new"), 8, len(kept)) == 2, "of as many, the oldest"


def test_sites_with_few_are_not_pushed_out_by_one_with_many_networks() -> None:
    kept = {number: Kept(alone(f"honest {number}")) for number in range(20)}
    for number in range(20, 1000):
        source = Source(f"network {number}", "flood")
        out = eviction_candidate(kept, source, 8, 64)
        if out is not None:
            del kept[out]
        kept[number] = Kept(source)
    assert len(kept) == 64
    assert set(range(20)) <= set(kept)
