"""How many handshakes a second: for one source, for all, and a reserve for those who have asked for none.

A source is an IPv4 address or an IPv6 network of 64 bits, which is what one customer of a provider has; only
sources that are proven (by a cookie) come here, so nobody uses up another's share. Left out: shares by any other
measure, such as countries or providers.
"""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Protocol, TypeVar

from p2pcall.proto import constants as c
from p2pcall.proto.wire import Address

K = TypeVar("K")


class FromSource(Protocol):
    """Something kept for a stranger."""

    @property
    def source(self) -> str:
        """Whose share it counts to, as `source_of` has it."""


class RateLimit:
    """A token bucket: `take` tells whether so many more may pass."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._tokens = self._burst
        self._at: float | None = None

    def take(self, now: float, count: int = 1) -> bool:
        """Use up `count` tokens if there are as many."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def full_at(self) -> float:
        """When the bucket is full again, so that it need not be remembered."""
        return (self._at or 0.0) + (self._burst - self._tokens) / self._rate


def source_of(address: Address) -> str:
    """Who shares an address's limits. A link-local IPv6 address stands for itself: its network is the whole LAN."""
    host = str(address[0]) if address else ""
    try:
        ip = ip_address(host)
    except ValueError:
        return host
    if isinstance(ip, IPv6Address) and not ip.is_link_local:
        return f"{int(ip) >> c.SOURCE_NETWORK_BITS:x}::"
    return host


def who_makes_way(kept: Mapping[K, FromSource], source: str, most_of_source: int, most: int) -> K | None:
    """Of what is kept in order of age, what goes for one more of this source: its own oldest, else the oldest.

    None while there is room.
    """
    of_source = [key for key, one in kept.items() if one.source == source]
    if len(of_source) >= most_of_source:
        return of_source[0]
    return next(iter(kept)) if len(kept) >= most else None


class SourceLimits:
    """Every source's share and the share of all together."""

    __slots__ = ("_all", "_reserve", "_sources")

    def __init__(self) -> None:
        self._sources: dict[str, RateLimit] = {}  # the one used last is the last
        self._all = RateLimit(c.HANDSHAKE_RATE_PER_S, c.HANDSHAKE_BURST)
        self._reserve = RateLimit(c.RESERVE_RATE_PER_S, c.RESERVE_BURST)

    def __len__(self) -> int:
        return len(self._sources)

    def take(self, source: str, now: float) -> bool:
        """Whether this source may have one more handshake answered."""
        self._forget(now)
        known = self._sources.pop(source, None)
        if known is not None and known.full_at() <= now:
            known = None
        own = known or RateLimit(c.SOURCE_RATE_PER_S, c.SOURCE_BURST)
        self._sources[source] = own
        return own.take(now) and (self._all.take(now) or (known is None and self._reserve.take(now)))

    def _forget(self, now: float) -> None:
        """Drop those at the old end that have their whole burst again, and the oldest above the bound."""
        while self._sources:
            source, limit = next(iter(self._sources.items()))
            if len(self._sources) < c.MAX_SOURCES and limit.full_at() > now:
                return
            del self._sources[source]
