"""The machine's network interfaces: their addresses, and which of them lead to other machines.

They are read again each time, because they come and go (lid, cable, VPN). Flags come from SIOCGIFFLAGS and not from
/sys: in a process that was moved into a network namespace, /sys shows the interfaces of another one. Linux and macOS.
"""

import asyncio
import fcntl
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Final

import ifaddr
from msgspec import Struct

_SIOCGIFFLAGS: Final = 0xC0206911 if sys.platform == "darwin" else 0x8913
_IFREQ: Final = struct.Struct("16sH14x")
"""Name and flags (netdevice(7))."""
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_POINTOPOINT: Final = 0x10
_IFF_RUNNING: Final = 0x40
_IFF_MULTICAST: Final = 0x8000 if sys.platform == "darwin" else 0x1000

ADDRESS_POLL_S: Final = 1.0
"""Interval at which the addresses are read (0.5 ms each time): after a move a call must not wait for its next ping."""

OwnAddresses = frozenset[bytes]
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Interface(Struct, frozen=True):
    """One interface that is up, with its addresses and their networks."""

    name: str
    index: int
    addresses: tuple[IPInterface, ...]
    loopback: bool
    point_to_point: bool
    multicast: bool

    def spell(self, address: IPInterface) -> str:
        """The address in the form for people and sockets, with its zone if it is link-local."""
        ip = address.ip
        return f"{ip}%{self.name}" if ip.version == 6 and ip.is_link_local else str(ip)


def interfaces() -> list[Interface]:
    """All interfaces that are up and running and have an address."""
    out = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for adapter in ifaddr.get_adapters():
            flags = _flags(probe, adapter.name)
            if adapter.index is None or flags & (_IFF_UP | _IFF_RUNNING) != _IFF_UP | _IFF_RUNNING:
                continue
            addresses = tuple(_ip_interface(ip) for ip in adapter.ips)
            out.append(
                Interface(
                    adapter.name,
                    adapter.index,
                    addresses,
                    bool(flags & _IFF_LOOPBACK),
                    bool(flags & _IFF_POINTOPOINT),
                    bool(flags & _IFF_MULTICAST),
                )
            )
    return out


def _ip_interface(ip: ifaddr.IP) -> IPInterface:
    host = ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition("%")[0]
    return ipaddress.ip_interface(f"{host}/{ip.network_prefix}")


def _flags(probe: socket.socket, name: str) -> int:
    """The flags of an interface; 0 if it has gone meanwhile."""
    try:
        reply = fcntl.ioctl(probe, _SIOCGIFFLAGS, _IFREQ.pack(name.encode()[:15], 0))
    except OSError:
        return 0
    return int(_IFREQ.unpack(reply)[1])


def reachable(all_interfaces: Iterable[Interface]) -> list[Interface]:
    """Those that lead to other machines; the loopback only if there are none."""
    listed = [i for i in all_interfaces if i.addresses]
    return [i for i in listed if not i.loopback] or listed


def local_links(all_interfaces: Iterable[Interface]) -> list[Interface]:
    """Those on which neighbours can be found, not a VPN's tunnel; the loopback only if there are none."""
    listed = [i for i in all_interfaces if i.addresses and not i.point_to_point]
    return [i for i in listed if i.multicast and not i.loopback] or [i for i in listed if i.loopback]


def own_addresses() -> OwnAddresses:
    """This machine's addresses now, packed; none if the system does not give them."""
    try:
        return frozenset(address.ip.packed for listed in interfaces() for address in listed.addresses)
    except OSError:
        return frozenset()


class AddressWatch:
    """Reads this machine's addresses once a second and reports changes, until `stop`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_change: Callable[[OwnAddresses], None],
        look: Callable[[], OwnAddresses] = own_addresses,
    ) -> None:
        self._loop, self._on_change, self._look = loop, on_change, look
        self._last = look()
        self._timer = loop.call_later(ADDRESS_POLL_S, self._again)

    def stop(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _again(self) -> None:
        self._timer = self._loop.call_later(ADDRESS_POLL_S, self._again)
        now, before = self._look(), self._last
        self._last = now
        if now != before:
            self._on_change(now)


def usable_ipv6(interface: Interface) -> bool:
    """Whether its first IPv6 address can be bound: not while the kernel's duplicate address detection still runs."""
    first = next((a.ip for a in interface.addresses if a.version == 6), None)
    if first is None:
        return False
    scope = interface.index if first.is_link_local else 0
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((str(first), 0, 0, scope))
    except OSError:
        return False
    return True
