"""A peer on the local link in DNS-SD (RFC 6763): names as labels, and answers as addresses to dial.

All input is hostile: names and texts are bounded, but not filtered; addresses not worth a try are left out. Left
out: asking and announcing (`discovery`, `private_lookup`).
"""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from zeroconf.asyncio import AsyncServiceInfo

from p2pcall import names
from p2pcall.net.address import interleave, literal_address
from p2pcall.net.interfaces import interfaces
from p2pcall.net.link import Link
from p2pcall.types import Address

SERVICE_TYPE: Final = "_p2pcall._udp.local."
MAX_LABEL_BYTES: Final = 63
"""A DNS label (RFC 1035, section 2.3.4)."""
SUFFIX_BYTES: Final = 4
"""Room for `-2` to `-999` after a name that is taken."""
DEFAULT_LABEL: Final = "p2pcall"
"""Announced if nothing of the chosen name is allowed in a label."""
DOT: Final = "\u2024"
"""Replaces a dot on the wire: zeroconf ends the label at a dot, and Avahi does not show the result."""
HOST_LABEL_BYTES: Final = 6
"""Random bytes of the host name in SRV."""
PRIVATE_KEY: Final = b"n"
"""The TXT record of a private announcement has this key; only contacts recognise it."""
MAX_TXT_ENTRIES: Final = 16
"""At most this many TXT entries of a peer are kept."""


class LanPeer(Struct, frozen=True):
    """A peer announced on the link. `name` and `txt` are as received: bounded, but not filtered."""

    name: str
    port: int
    addresses: tuple[Address, ...]
    txt: Mapping[str, str]
    host: str
    private: bool = False
    """Whether it is announced to contacts alone; then `name` is the contact's, and `txt` is empty."""

    @property
    def place(self) -> tuple[object, ...]:
        """Who it is and where: equal for two announcements of one private peer."""
        return self.name, self.port, self.addresses, self.private


Recognise = Callable[[bytes], tuple[str, int] | None]
"""`recognise(text)`: the contact whose private announcement has this TXT record, and the port."""


def instance_label(name: str, most: int = MAX_LABEL_BYTES - SUFFIX_BYTES) -> str:
    """The name as a DNS-SD instance: tidy, printable, at most `most` bytes, with `DOT` for dots."""
    text = names.tidy("".join(char if names.printable(char) else " " for char in name))
    return names.shortened(text.replace(".", DOT), most) or DEFAULT_LABEL


def announced_name(label: str) -> str:
    """The name of a label on the wire: people see it and dial it."""
    return label.replace(DOT, ".")


def random_host(entropy: Callable[[int], bytes]) -> str:
    """A host name for SRV, instead of the machine's."""
    return f"p2pcall-{entropy(HOST_LABEL_BYTES).hex()}.local."


def is_private(info: AsyncServiceInfo) -> bool:
    """Whether it is announced to contacts alone."""
    return info.type == SERVICE_TYPE and PRIVATE_KEY in info.properties


def to_peer(info: AsyncServiceInfo, link: Link, recognise: Recognise | None = None) -> LanPeer | None:
    """The peer in an answer; None if the answer has no address to dial, or is private and not recognised."""
    private = is_private(info)
    known = recognise(info.text or b"") if private and recognise is not None else None
    if private and known is None:
        return None
    name, port = known or (person(info.name), info.port or 0)
    addresses = _dialable(info.parsed_scoped_addresses(), port, link)
    if not port or not addresses:
        return None
    txt = {
        key: value or ""
        for key, value in list(info.decoded_properties.items())[:MAX_TXT_ENTRIES]
        if isinstance(key, str) and not private
    }
    host = (info.server or "").lower()
    return LanPeer(name, port, tuple(addresses), MappingProxyType(txt), host, private)


def person(instance: str) -> str:
    """The person's name in the name of a service instance."""
    return announced_name(instance.removesuffix("." + SERVICE_TYPE))


def _dialable(hosts: Sequence[str], port: int, link: Link) -> list[Address]:
    """The addresses worth a try, those in our own networks first.

    Left out: multicast, link-local addresses without an interface, the loopback in a remote answer, and our own
    addresses in a remote answer (each Docker host has 172.17.0.1; dialling it would reach ourselves).
    """
    here = [address for interface in interfaces() for address in interface.addresses]
    own = {str(address.ip) for address in here}
    good: list[tuple[bool, str]] = []
    for host in hosts:
        ip = ipaddress.ip_address(host)
        scoped = isinstance(ip, ipaddress.IPv4Address) or not ip.is_link_local or ip.scope_id
        if ip.is_multicast or ip.is_unspecified or not scoped or host == "255.255.255.255":
            continue
        if ip.is_loopback and not link.loopback:
            continue
        plain = ipaddress.ip_address(host.partition("%")[0])
        near = any(plain in address.network for address in here) and not plain.is_link_local
        good.append((not near, host))
    others = [entry for entry in good if entry[1].partition("%")[0] not in own]
    good = sorted(others or good, key=lambda entry: entry[0])
    return interleave(literal_address(host, port) for _, host in good)
