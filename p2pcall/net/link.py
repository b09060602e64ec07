"""Multicast DNS sockets on the interfaces that there are now, and again when they change.

`look_for_link` says which interfaces to use and which addresses to announce; `open_link` opens them; `LinkFollower`
runs a task that repeats both when the result changes. Only for the files beside it that ask and announce.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct
from zeroconf import Error, IPVersion
from zeroconf.asyncio import AsyncZeroconf

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import WILDCARDS
from p2pcall.net.interfaces import Interface, interfaces, local_links, usable_ipv6

LINK_POLL_S: Final = 3.0
"""Interval at which the interfaces are read (0.5 ms each time)."""
MAX_ADDRESSES_TOLD: Final = 8
"""At most this many addresses are announced: more are of no use, and the answer would not fit one packet."""
MOST_WAITING: Final = 1000
"""Datagrams that may wait in a socket: what Linux lets one hold by default is 208 KiB, some 270 of the smallest."""
_SO_ATTACH_FILTER: Final = 26
"""Linux's number (<asm-generic/socket.h>); Python's socket module does not have it."""
_LOAD_INTERFACE: Final = (0x20, 0, 0, 0xFFFFF008)
"""Classic BPF (<linux/filter.h>): load a word, SKF_AD_OFF + SKF_AD_IFINDEX."""
_TAKE: Final = (0x06, 0, 0, 0xFFFFFFFF)
_DROP: Final = (0x06, 0, 0, 0)
_IS_INTERFACE: Final = 0x15
"""Jump if the word equals a number."""
FAILURES: Final = (OSError, RuntimeError, Error)
"""What zeroconf raises when a network goes away while in use, or when others on it break the rules."""


class Link(Struct, frozen=True):
    """Where mDNS is used (IPv4 addresses, interface indexes for IPv6), and the own addresses to announce there."""

    choice: tuple[str | int, ...]
    addresses: tuple[str, ...]
    loopback: bool
    indexes: tuple[int, ...] = ()
    """Of all its interfaces."""


def look_for_link(bound: Sequence[str] = (), only: Sequence[str] = ()) -> Link | None:
    """The link as it is now, all interfaces together, or None if there is no network or the system gives no answer.

    `bound`: the addresses that take calls (`Driver.bound`). Only these are announced, and only on their interfaces.
    Empty, or a wildcard, means all. `only`: the names of the interfaces to use; empty means all.
    """
    links = look_for_links(bound, only)
    choice = tuple(entry for link in links for entry in link.choice)
    told = tuple(address for link in links for address in link.addresses)[:MAX_ADDRESSES_TOLD]
    indexes = tuple(index for link in links for index in link.indexes)
    return Link(choice, told, all(link.loopback for link in links), indexes) if choice and told else None


def look_for_links(bound: Sequence[str] = (), only: Sequence[str] = ()) -> list[Link]:
    """The same, one for each interface, with its own addresses alone."""
    try:
        here = interfaces()
    except OSError:
        return []
    hosts = {host.partition("%")[0] for host in bound if host not in WILDCARDS}
    versions = {WILDCARDS[host] for host in bound if host in WILDCARDS}
    if not bound:
        versions = set(WILDCARDS.values())
    if only:
        here = [i for i in here if i.name in only]
    if hosts and not versions:
        chosen = [i for i in here if not i.point_to_point and any(str(a.ip) in hosts for a in i.addresses)]
    else:
        chosen = local_links(here)
    links = []
    for interface in chosen:
        choice: list[str | int] = []
        choice += [str(a.ip) for a in interface.addresses if a.version == 4][:1]
        choice += [interface.index] if not interface.loopback and usable_ipv6(interface) else []
        told = _to_tell(interface, versions, hosts)[:MAX_ADDRESSES_TOLD]
        links.append(Link(tuple(choice), tuple(told), interface.loopback, (interface.index,)))
    return links


def _to_tell(interface: Interface, versions: set[int], hosts: set[str]) -> list[str]:
    """The addresses of an interface at which we can be called; link-local ones only if it has no others."""
    ours = [a.ip for a in interface.addresses if a.version in versions or str(a.ip) in hosts]
    return [str(ip) for ip in ours if not ip.is_link_local] or [str(ip) for ip in ours]


def open_link(link: Link) -> AsyncZeroconf:
    """Opens the sockets. Raises `P2PCallError` (not found) when the system does not allow port 5353."""
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


async def keep_to_its_link(zc: AsyncZeroconf, link: Link) -> None:
    """Waits until the sockets are open, and closes them to packets from other interfaces.

    Linux gives a socket the multicast that any program has joined for, on every interface; IP_MULTICAST_ALL does not
    prevent it where several programs share the port. A question would then be answered where nobody is to know.
    """
    await zc.zeroconf.async_wait_for_start()
    for reader in zc.zeroconf.engine.readers:
        keep_to_interfaces(reader.sock, link.indexes)
        with contextlib.suppress(BlockingIOError):
            for _ in range(MOST_WAITING):  # of what came before
                os.read(reader.sock.fileno(), 1)


def keep_to_interfaces(sock: socket.socket, indexes: Sequence[int]) -> None:
    """Has the system drop what comes in through other interfaces; on Linux alone."""
    if sys.platform != "linux":
        return
    steps = [_LOAD_INTERFACE]
    for index in indexes:
        steps += [(_IS_INTERFACE, 0, 1, index), _TAKE]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in [*steps, _DROP]))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(steps) + 1, ctypes.addressof(code))
    )


def no_network(only: Sequence[str] = ()) -> P2PCallError:
    text = "there is no network: no interface is up"
    if only:
        text = f"nothing is announced: no interface with the name {' or '.join(only)} is up"
    return P2PCallError("no-network", text, ExitCode.NOT_FOUND, "ip address")


async def close_quietly(zc: AsyncZeroconf) -> None:
    """Sends a goodbye if it can, and closes; a network that is gone is not an error here."""
    with contextlib.suppress(*FAILURES):
        await zc.async_close()


class LinkFollower:
    """A task that calls `move(link)` at start and whenever the link has changed; `wake()` hurries it."""

    def __init__(
        self,
        bound: Sequence[str],
        move: Callable[[Link | None], Awaitable[None]],
        *,
        only: Sequence[str] = (),
        due: Callable[[], bool] = lambda: False,
    ) -> None:
        """`bound`, `only`: as for `look_for_link`. `due()`: whether to call `move` although nothing has changed."""
        self._bound, self._only = tuple(bound), tuple(only)
        self._move, self._due = move, due
        self._wake = asyncio.Event()
        self._retry = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="mdns")

    def wake(self, *, again: bool = False) -> None:
        """Checks now; with `again`, `move` is called even if nothing has changed."""
        self._retry = self._retry or again
        self._wake.set()

    def retry(self) -> None:
        """Calls `move` at the next check, even if nothing has changed."""
        self._retry = True

    async def stop(self) -> None:
        """Ends the task; raises its error if it failed."""
        task, self._task = self._task, None
        if task is None:
            return
        while not task.done():  # repeated, because zeroconf may swallow a cancellation
            task.cancel()
            await asyncio.wait({task}, timeout=LINK_POLL_S)
        if not task.cancelled():
            task.result()

    async def _run(self) -> None:
        last: Link | None = None
        first = True
        while True:
            link = look_for_link(self._bound, self._only)
            if first or self._retry or link != last or self._due():
                first, self._retry, last = False, False, link
                await self._move(link)
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it may miss a cancellation if it is woken at the same time.
                async with asyncio.timeout(LINK_POLL_S):
                    await self._wake.wait()
            self._wake.clear()
