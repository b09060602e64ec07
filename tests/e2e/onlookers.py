"""Everything that leaves a program: a machine of its own whose every way out is looked at, and what frames are.

    with Lonely() as net:
        before = net.packets()
        net.output("a", ["p2pcall", "id"])
        assert net.packets() == before

`Lonely` has no network but the loopback interface, and a route to everywhere through it: a packet to any address, a
question to a name server too, is seen there and comes back. `foreign` tells which frames are neither of a call between
these addresses nor mDNS nor what a kernel sends by itself (ARP, neighbours, groups).
"""

import ipaddress
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from capture import ETHERNET_BYTES, PROBE_PORT
from netns import NetnsPair

LOOPBACK = "lo"
MDNS_PORT = 5353
MDNS = {("224.0.0.251", MDNS_PORT), ("ff02::fb", MDNS_PORT)}
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
HOP_BY_HOP, ICMP, IGMP, UDP, ICMPV6 = 0, 1, 2, 17, 58
UNREACHABLE = {ICMP: {3}, ICMPV6: {1}}
KERNEL_ICMPV6 = {*range(130, 138), 143}
"""Group reports, routers and neighbours."""
IPV6_BYTES, ICMP_BYTES = 40, 8


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of IP, or an ARP question."""

    protocol: int
    source: str
    target: str
    source_port: int = 0
    target_port: int = 0
    kind: int = 0
    """Of an ICMP message."""


class Lonely(NetnsPair):
    """One machine, on both sides of which is itself."""

    def __init__(self) -> None:
        super().__init__()
        self.names["b"] = self.names["a"]
        self.ipv4 = {"a": "127.0.0.1", "b": "127.0.0.1"}

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self.names["a"]], check=True)
        try:
            for argv in (
                ["link", "set", LOOPBACK, "up", "multicast", "on"],
                ["route", "add", "local", "0.0.0.0/0", "dev", LOOPBACK],
                ["-6", "route", "add", "local", "::/0", "dev", LOOPBACK],
                ["route", "add", "224.0.0.0/4", "dev", LOOPBACK],
            ):
                self._ip("a", *argv)
        except RuntimeError:
            self.close()
            raise
        return self

    def packets(self) -> int:
        """How many packets have left by any interface, by the kernel's own count."""
        return sum(packets_sent(self.output("a", ["cat", "/proc/net/dev"])).values())


def packets_sent(table: str) -> dict[str, int]:
    """Packets sent by interface, of /proc/net/dev."""
    rows = (line.split(":", 1) for line in table.splitlines()[2:])
    return {name.strip(): int(fields.split()[9]) for name, fields in rows}


def packets_in(frames: Iterable[bytes]) -> Iterator[Packet]:
    """The frames taken apart; what is no IP has protocol -1, or that of ARP."""
    for frame in frames:
        body = frame[ETHERNET_BYTES:]
        match int.from_bytes(frame[12:14], "big"):
            case 0x0806:
                yield Packet(ARP, _text(body[14:18]), _text(body[24:28]))
            case 0x0800:
                yield _of_ip(body[9], body[12:16], body[16:20], body[(body[0] & 15) * 4 :])
            case 0x86DD:
                kind, rest = body[6], body[IPV6_BYTES:]
                if kind == HOP_BY_HOP:
                    kind, rest = rest[0], rest[(rest[1] + 1) * 8 :]
                yield _of_ip(kind, body[8:24], body[24:40], rest)
            case other:
                yield Packet(-1, f"{other:#06x}", "")


def _of_ip(protocol: int, source: bytes, target: bytes, rest: bytes) -> Packet:
    ends = _text(source), _text(target)
    if protocol == UDP:
        return Packet(protocol, *ends, *struct.unpack_from(">HH", rest))
    return Packet(protocol, *ends, kind=rest[0] if protocol in (ICMP, ICMPV6) else 0)


def _text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


def foreign(frames: Iterable[bytes], ours: set[str], ports: set[int]) -> list[Packet]:
    """What is not of a call between these addresses, with one of these ports at one end."""
    return [packet for packet in packets_in(frames) if not _is_known(packet, ours, ports)]


def _is_known(packet: Packet, ours: set[str], ports: set[int]) -> bool:
    between = packet.source in ours and packet.target in ours
    match packet.protocol:
        case 17:
            to = packet.target, packet.target_port
            probe = packet.target_port == PROBE_PORT
            call = bool({packet.source_port, packet.target_port} & ports)
            mdns = to in MDNS or (between and packet.target_port == MDNS_PORT)
            return (between and (call or probe)) or (packet.source in ours and mdns)
        case 1:
            return between and packet.kind in UNREACHABLE[ICMP]
        case 58:
            return packet.kind in KERNEL_ICMPV6 or (between and packet.kind in UNREACHABLE[ICMPV6])
        case 2:
            return True
        case 0x0806:
            return packet.target in ours
    return False
