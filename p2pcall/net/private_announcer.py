"""Announce to contacts alone, by mDNS: others see that somebody can be called, and cannot tell who, or whether again.

Rules: everything that is shown is new in each period, and on each change: host name, names of the instances, port in
SRV (random: contacts read the real one in the TXT record), texts. Each interface has announcements of its own, with
its own addresses alone. The new ones are announced before the goodbye of the old ones, which are not answered after
it. The change comes up to SPREAD_S late, because its exact time would show by how many seconds the clock is wrong,
which stays the same. Nobody else has these names, so it is not tried whether they are free.

Left out: the texts (`proto/presence`); hiding the machine's addresses, those of its network card included.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from p2pcall.errors import P2PCallError
from p2pcall.net.announcement import Announcement, AnnounceState
from p2pcall.net.lanpeer import SERVICE_TYPE, random_host
from p2pcall.net.link import (
    FAILURES,
    Link,
    close_quietly,
    keep_to_its_link,
    look_for_links,
    no_network,
    open_link,
)
from p2pcall.proto.constants import PRESENCE_PERIOD_S
from p2pcall.types import Entropy

SPREAD_S: Final = 30.0
"""Longest delay of a change: longer than the error of an ordinary clock."""
RANDOM_BYTES: Final = 4
"""Of a random port, and of a random delay."""
LABEL_BYTES: Final = 8
"""Random bytes of an instance's name."""
TTL_S: Final = 120
"""All records: the time of those that hold addresses (RFC 6762, section 10). What is old is soon forgotten, even if the
goodbye is lost."""
FIRST_PORT, PORTS = 1024, 65536 - 1024
"""Of the random ports."""


class PrivateAnnouncer(Announcement):
    """Announces what `texts` gives: the TXT records for the time of day that it is called with.

    `wall` is the clock.
    """

    def __init__(
        self,
        texts: Callable[[float], Awaitable[Sequence[bytes]]],
        wall: Callable[[], float],
        entropy: Entropy,
        *,
        bound: Sequence[str] = (),
        only: Sequence[str] = (),
        on_change: Callable[[Announcement], None] | None = None,
    ) -> None:
        super().__init__("", bound=bound, only=only, on_change=on_change)
        self._texts, self._wall, self._entropy = texts, wall, entropy
        self._open: list[AsyncZeroconf] = []
        self._since, self._until = 0.0, 0.0

    def renew(self) -> None:
        """There are other contacts: announce anew, now."""
        self._follower.wake(again=True)

    def _due(self) -> bool:
        """Whether a period is over; a clock that was set back counts as well."""
        return not self._since <= self._wall() < self._until

    async def _move(self, link: Link | None) -> None:
        old, self._open = self._open, []
        epoch = self._wall()
        self._since = epoch - epoch % PRESENCE_PERIOD_S
        self._until = self._since + PRESENCE_PERIOD_S + SPREAD_S * self._random(1 << 16) / (1 << 16)
        state, problem = AnnounceState.ANNOUNCED, None
        try:
            links = [one for one in look_for_links(self._bound, self._only) if one.choice and one.addresses]
            if not links:
                state, problem = AnnounceState.NO_NETWORK, no_network(self._only)
            for one in links:
                self._open.append(open_link(one))
            for one, zc in zip(links, self._open, strict=True):
                await self._announce(one, zc, await self._texts(epoch))
        except P2PCallError as error:
            state, problem = AnnounceState.BLOCKED, error
        except FAILURES:
            state, problem = AnnounceState.NO_NETWORK, no_network(self._only)
        finally:
            await _close(old)
        if problem is not None:
            await self._withdraw()
        self._set(state, "", problem)

    async def _announce(self, link: Link, zc: AsyncZeroconf, texts: Sequence[bytes]) -> None:
        await keep_to_its_link(zc, link)
        host, port = random_host(self._entropy), FIRST_PORT + self._random(PORTS)
        for text in texts:
            info = AsyncServiceInfo(
                SERVICE_TYPE,
                f"{self._entropy(LABEL_BYTES).hex()}.{SERVICE_TYPE}",
                port=port,
                properties=text,
                server=host,
                host_ttl=TTL_S,
                other_ttl=TTL_S,
                parsed_addresses=list(link.addresses),
            )
            await zc.async_register_service(info, cooperating_responders=True)

    def _random(self, below: int) -> int:
        return int.from_bytes(self._entropy(RANDOM_BYTES), "big") % below

    async def _withdraw(self) -> None:
        old, self._open = self._open, []
        await _close(old)


async def _close(opened: Sequence[AsyncZeroconf]) -> None:
    await asyncio.gather(*map(close_quietly, opened))
