"""Invites on the local link: mDNS and DNS-SD (RFC 6762, RFC 6763), service `_p2pcall-pair._udp.local.`.

An invite is announced by its number, which is no secret, with its port and addresses. The instance and the host have
random names, new for each invite: an observer learns that somebody here invites somebody, and not who. The question
of who looks for one is for all invites; numbers are compared here.

All input is hostile: the number of instances is bounded, and an answer only says where to ask. Left out: an invite
that another one has the number of. Both are found, and `find_invites` gives both.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from zeroconf import DNSQuestionType, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from p2pcall.errors import P2PCallError
from p2pcall.net.lanpeer import LanPeer, to_peer
from p2pcall.net.link import (
    FAILURES,
    Link,
    LinkFollower,
    close_quietly,
    keep_to_its_link,
    look_for_link,
    no_network,
    open_link,
)
from p2pcall.types import Entropy

INVITE_SERVICE: Final = "_p2pcall-pair._udp.local."
NUMBER_KEY: Final = "n"
"""TXT: the invite's number."""
RANDOM_LABEL_BYTES: Final = 6
"""Random bytes of the names of instance and host."""
MAX_INVITES_SEEN: Final = 32
"""At most this many instances are looked at; more on one network are an attack."""
FIND_INVITE_S: Final = 4.0
"""How long to look for an invite: it is announced some 2 s after its start, and questions come at 0, 1 and 3 s."""
OTHERS_S: Final = 0.5
"""How much longer, once there is one: two of one number are told apart by nobody."""


class InviteAnnouncer:
    """Announces an invite until stopped, on each link that there is (`LinkFollower`)."""

    def __init__(
        self,
        number: int,
        port: int,
        entropy: Entropy,
        bound: Sequence[str] = (),
        on_problem: Callable[[P2PCallError], None] = lambda problem: None,
    ) -> None:
        """`on_problem` is called with the reason when it cannot be announced, once until it can."""
        self._number, self._port, self._entropy = number, port, entropy
        self._zc: AsyncZeroconf | None = None
        self._follower = LinkFollower(bound, self._move)
        self._on_problem, self._told = on_problem, False

    def start(self) -> None:
        """Starts in a task of its own; others can see it some two seconds later."""
        self._follower.start()

    async def stop(self) -> None:
        """Says goodbye and ends. Idempotent."""
        await self._follower.stop()
        await self._leave()

    async def _move(self, link: Link | None) -> None:
        await self._leave()
        problem = no_network() if link is None else None
        if link is not None:
            try:
                self._zc = open_link(link)
                await keep_to_its_link(self._zc, link)
                await self._zc.async_register_service(self._service(link))
            except P2PCallError as error:
                problem = error
            except FAILURES:
                problem = no_network()
        if problem is not None:
            self._follower.retry()
            if not self._told:
                self._on_problem(problem)
        self._told = problem is not None

    async def _leave(self) -> None:
        zc, self._zc = self._zc, None
        if zc is not None:
            await close_quietly(zc)

    def _service(self, link: Link) -> AsyncServiceInfo:
        label = self._entropy(RANDOM_LABEL_BYTES).hex()
        return AsyncServiceInfo(
            INVITE_SERVICE,
            f"{label}.{INVITE_SERVICE}",
            port=self._port,
            properties={"v": "1", NUMBER_KEY: str(self._number)},
            server=f"p2pcall-{label}.local.",
            parsed_addresses=list(link.addresses),
        )


async def find_invites(
    number: int, bound: Sequence[str] = (), timeout_s: float = FIND_INVITE_S
) -> list[LanPeer]:
    """The invites of this number on the link. Raises `P2PCallError` (not found) without a network."""
    link = look_for_link(bound)
    if link is None:
        raise no_network()
    zc = open_link(link)
    search = _Search(zc, link, number)
    browser = AsyncServiceBrowser(
        zc.zeroconf, INVITE_SERVICE, handlers=[search.seen], question_type=DNSQuestionType.QM
    )
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await search.first.wait()
        if search.found:
            await asyncio.sleep(OTHERS_S)
        return search.found
    finally:
        await search.close()
        with suppress(*FAILURES):
            await browser.async_cancel()
        await close_quietly(zc)


class _Search:
    """Looks at every invite that is seen, and keeps those of the number."""

    def __init__(self, zc: AsyncZeroconf, link: Link, number: int) -> None:
        self._zc, self._link, self._number = zc, link, str(number)
        self._looked: dict[str, asyncio.Task[None]] = {}
        self.found: list[LanPeer] = []
        self.first = asyncio.Event()

    def seen(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Added and len(self._looked) < MAX_INVITES_SEEN:
            self._looked.setdefault(name, asyncio.get_running_loop().create_task(self._look(name)))

    async def close(self) -> None:
        for task in self._looked.values():
            task.cancel()
        await asyncio.gather(*self._looked.values(), return_exceptions=True)

    async def _look(self, name: str) -> None:
        info = AsyncServiceInfo(INVITE_SERVICE, name)
        with suppress(*FAILURES):
            if not await info.async_request(self._zc.zeroconf, int(FIND_INVITE_S * 1000)):
                return
            invite = to_peer(info, self._link)
            if invite is not None and invite.txt.get(NUMBER_KEY) == self._number:
                self.found.append(invite)
                self.first.set()
