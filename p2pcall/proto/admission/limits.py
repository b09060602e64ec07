"""Handshakes per second: a limit for each source, one for all together, and a reserve for new sites.

A source is an IPv4 address or an IPv6 /64 network. A site is an IPv6 /56 network, because providers often give a
customer a whole one; each site has a limit too. The reserve is for sites that have had no handshake for some
minutes, so a few hostile sites cannot use it again and again. Only sources that are proven (by a cookie) are
counted, so nobody uses up another's share. Left out: limits by any other measure, such as countries or providers.
"""

from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Protocol, TypeVar

from msgspec import Struct

from p2pcall.proto import constants as c
from p2pcall.types import Address

_K = TypeVar("_K")


class FromSource(Protocol):
    """Something kept for a stranger."""

    @property
    def source(self) -> "Source":
        """The source whose share it counts towards, as `source_of` gives it."""


class RateLimit:
    """A token bucket: `take` says whether `count` more may pass."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._tokens = self._burst
        self._at: float | None = None

    def take(self, now: float, count: int = 1) -> bool:
        """Use up `count` tokens if there are that many."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    @property
    def used_at(self) -> float:
        """When `take` was called last."""
        return self._at or 0.0


class Source(Struct, frozen=True):
    """The network and the site whose limits apply."""

    network: str
    site: str


def source_of(address: Address) -> Source:
    """The source that an address belongs to.

    A link-local address is a network of its own, because its neighbours belong to other people. Its site is the link,
    named by the receiving interface: a machine on it can take any number of such addresses.
    """
    host = str(address[0]) if address else ""
    try:
        ip = ip_address(host)
    except ValueError:
        return Source(host, host)
    if ip.is_link_local:
        _, _, *interface = address
        return Source(f"{host} {interface}", f"link {interface}")
    if isinstance(ip, IPv6Address):
        network, site = (
            f"{int(ip) >> ip.max_prefixlen - bits:x}::/{bits}"
            for bits in (c.SOURCE_NETWORK_BITS, c.SITE_NETWORK_BITS)
        )
        return Source(network, site)
    return Source(host, host)


def eviction_candidate(
    kept: Mapping[_K, FromSource], source: Source, most_of_source: int, most: int
) -> _K | None:
    """What to drop from `kept` (in order of age) to make room for one more entry of this source.

    If the source has used its share, its own oldest; else the oldest of the site that has the most. None while there
    is room.
    """
    of_source = [key for key, one in kept.items() if one.source.network == source.network]
    if len(of_source) >= most_of_source:
        return of_source[0]
    if len(kept) < most:
        return None
    of_site = Counter(one.source.site for one in kept.values())
    return max(
        kept, key=lambda key: of_site[kept[key].source.site]
    )  # among equals the first, which is the oldest


class SourceLimits:
    """The limit of each source, and of all sources together."""

    __slots__ = ("_all", "_networks", "_reserve", "_sites")

    def __init__(self) -> None:
        self._networks: dict[str, RateLimit] = {}  # the one used last is the last
        self._sites: dict[str, RateLimit] = {}
        self._all = RateLimit(c.HANDSHAKE_RATE_PER_S, c.HANDSHAKE_BURST)
        self._reserve = RateLimit(c.RESERVE_RATE_PER_S, c.RESERVE_BURST)

    def __len__(self) -> int:
        return len(self._networks)

    def take(self, source: Source, now: float) -> bool:
        """Whether this source may have one more handshake answered."""
        for kept in (self._networks, self._sites):
            _forget(kept, now)
        new = source.site not in self._sites
        own = _use(self._networks, source.network, c.SOURCE_RATE_PER_S, c.SOURCE_BURST)
        site = _use(self._sites, source.site, c.SITE_RATE_PER_S, c.SITE_BURST)
        taken = (
            own.take(now) and site.take(now) and (self._all.take(now) or (new and self._reserve.take(now)))
        )
        if new and not taken:
            del self._sites[source.site]  # it had no handshake, so it stays a new site
        return taken


def _use(kept: dict[str, RateLimit], name: str, rate_per_s: float, burst: int) -> RateLimit:
    limit = kept.pop(name, None) or RateLimit(rate_per_s, burst)
    kept[name] = limit
    return limit


def _forget(kept: dict[str, RateLimit], now: float) -> None:
    """Drop those at the old end that were used long ago, and the oldest above the bound."""
    while kept:
        name, limit = next(iter(kept.items()))
        if len(kept) < c.MAX_SOURCES and now < limit.used_at + c.NEW_AFTER_S:
            return
        del kept[name]
