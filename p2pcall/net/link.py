"""Multicast DNS sockets on the interfaces that there are now, and again when they change.

`look_for_link` says on what to speak and what to tell there; `open_link` opens it; `LinkFollower` runs a task that does
both anew when the answer changes. Meant for `discovery` alone.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct
from zeroconf import Error, IPVersion
from zeroconf.asyncio import AsyncZeroconf

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import WILDCARDS
from p2pcall.net.interfaces import Interface, interfaces, local_links, usable_ipv6

LINK_POLL_S: Final = 3.0
"""So often the interfaces are looked at (0.5 ms each time)."""
MAX_ADDRESSES_TOLD: Final = 8
"""More addresses than that are of no use to anybody, and make the answer outgrow a packet."""
FAILURES: Final = (OSError, RuntimeError, Error)
"""What zeroconf raises when a network goes away under it, or when others on it do not play fair."""


class Link(Struct, frozen=True):
    """Where mDNS is spoken (IPv4 addresses, and indexes for IPv6) and the own addresses to tell there."""

    choice: tuple[str | int, ...]
    addresses: tuple[str, ...]
    loopback: bool


def look_for_link(bound: Sequence[str] = ()) -> Link | None:
    """The link as it is now, or None if there is no network or the system does not tell.

    `bound`: what calls can be taken on (`Driver.bound`); only these addresses are told, and only on their
    interfaces. Nothing, or a wildcard, means all.
    """
    try:
        here = interfaces()
    except OSError:
        return None
    hosts = {host.partition("%")[0] for host in bound if host not in WILDCARDS}
    versions = {WILDCARDS[host] for host in bound if host in WILDCARDS}
    if not bound:
        versions = set(WILDCARDS.values())
    if hosts and not versions:
        chosen = [i for i in here if not i.point_to_point and any(str(a.ip) in hosts for a in i.addresses)]
    else:
        chosen = local_links(here)
    choice: list[str | int] = []
    told: list[str] = []
    for interface in chosen:
        first = next((str(a.ip) for a in interface.addresses if a.version == 4), None)
        choice += [first] if first else []
        choice += [interface.index] if not interface.loopback and usable_ipv6(interface) else []
        told += _to_tell(interface, versions, hosts)
    if not choice or not told:
        return None
    return Link(tuple(choice), tuple(told[:MAX_ADDRESSES_TOLD]), all(i.loopback for i in chosen))


def _to_tell(interface: Interface, versions: set[int], hosts: set[str]) -> list[str]:
    """The addresses of an interface at which we can be called; link-local ones only if it has no others."""
    ours = [a.ip for a in interface.addresses if a.version in versions or str(a.ip) in hosts]
    return [str(ip) for ip in ours if not ip.is_link_local] or [str(ip) for ip in ours]


def open_link(link: Link) -> AsyncZeroconf:
    """Opens the sockets. Raises `P2PCallError` (not found) when the system does not let us have port 5353."""
    v4 = [entry for entry in link.choice if isinstance(entry, str)]
    attempts = [list(link.choice)]
    if v4 and len(v4) < len(link.choice):
        attempts.append(list(v4))
    failure: Exception | None = None
    for choice in attempts:
        both = any(isinstance(entry, int) for entry in choice)
        version = (IPVersion.All if v4 else IPVersion.V6Only) if both else IPVersion.V4Only
        try:
            return AsyncZeroconf(interfaces=choice, ip_version=version)
        except (OSError, RuntimeError) as error:
            failure = error
    raise P2PCallError(
        "mdns-blocked",
        f"names on the local network cannot be looked up: {failure}",
        ExitCode.NOT_FOUND,
        "ss -ulpn 'sport = :5353'",
    ) from failure


def no_network() -> P2PCallError:
    return P2PCallError(
        "no-network", "there is no network: no interface is up", ExitCode.NOT_FOUND, "ip address"
    )


async def close_quietly(zc: AsyncZeroconf) -> None:
    """Says goodbye where it can and closes; a network that is gone is no error then."""
    with contextlib.suppress(*FAILURES):
        await zc.async_close()


class LinkFollower:
    """A task that calls `move(link)` at start and whenever the link has changed; `wake()` hurries it."""

    def __init__(self, bound: Sequence[str], move: Callable[[Link | None], Awaitable[None]]) -> None:
        self._bound = tuple(bound)
        self._move = move
        self._wake = asyncio.Event()
        self._retry = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="mdns")

    def wake(self, *, again: bool = False) -> None:
        """Looks now; with `again`, `move` is called even if nothing has changed."""
        self._retry = self._retry or again
        self._wake.set()

    def retry(self) -> None:
        """Calls `move` again at the next look, even if nothing has changed."""
        self._retry = True

    async def stop(self) -> None:
        """Ends the task; raises what it died of, if it did."""
        task, self._task = self._task, None
        if task is None:
            return
        while not task.done():  # again, for zeroconf may swallow a cancellation
            task.cancel()
            await asyncio.wait({task}, timeout=LINK_POLL_S)
        if not task.cancelled():
            task.result()

    async def _run(self) -> None:
        last: Link | None = None
        first = True
        while True:
            link = look_for_link(self._bound)
            if first or self._retry or link != last:
                first, self._retry, last = False, False, link
                await self._move(link)
            with contextlib.suppress(TimeoutError):
                # Before Python 3.12 `wait_for` may not see that it is cancelled when it is woken at the same time.
                async with asyncio.timeout(LINK_POLL_S):
                    await self._wake.wait()
            self._wake.clear()
