"""What else is done to the cable between two namespaces, and what the kernel counts on it.

Narrow paths, an address that is swapped in the middle of a call behind a NAT that changes the port as well, and how
much left for an address. Counting is the kernel's (iptables, ip6tables), so it costs a flood nothing. All of it goes
with the namespaces.
"""

from dataclasses import dataclass

from netns import INTERFACE, SIDES, NetnsPair, Side

MULTICAST = "224.0.0.0/4"
PROBE_PORT = 9
MDNS_PORT = "5353"
NAT_PORTS = "40000-40099"
FRAGMENTS = {"iptables": ("-f",), "ip6tables": ("-m", "frag")}
"""Matches a piece of an IP packet, before anything puts the pieces together."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a rule has seen."""

    packets: int
    bytes: int


def counted(net: NetnsPair, side: Side, chain: str, rule: str, *, table: str = "filter") -> Count:
    """What the rule that bears this comment has seen so far, of both families."""
    packets = length = 0
    for tables in FRAGMENTS:
        for line in net.output(side, [tables, "-w", "-t", table, "-L", chain, "-v", "-x", "-n"]).splitlines():
            if f"/* {rule} */" in line:
                seen = line.split()
                packets, length = packets + int(seen[0]), length + int(seen[1])
    return Count(packets, length)


def narrow(net: NetnsPair, mtu: int) -> None:
    """Let the cable carry so much at most, and nothing that comes in pieces; `fragments` counts those."""
    for side in SIDES:
        net.output(side, ["ip", "link", "set", INTERFACE, "mtu", str(mtu)])
        for tables, match in FRAGMENTS.items():
            rule = ["-m", "comment", "--comment", "fragments", "-j", "DROP"]
            net.output(side, [tables, "-w", "-t", "raw", "-A", "PREROUTING", *match, *rule])


def fragments(net: NetnsPair) -> int:
    """How many pieces of IP packets have come on either side."""
    return sum(counted(net, side, "PREROUTING", "fragments", table="raw").packets for side in SIDES)


def send_zeros(net: NetnsPair, side: Side, host: str, length: int) -> None:
    """Send a datagram of so many zeros from that side."""
    net.output(side, ["bash", "-c", f"head -c {length} /dev/zero > /dev/udp/{host}/{PROBE_PORT}"])


def count_sent(net: NetnsPair, side: Side, to: str) -> None:
    """Count from now on, under the name of the address or network `to`, what that side sends there (IPv4).

    All of it but answers to questions for names on the network, which are announced to everybody.
    """
    for kind in (["udp", "!", "--sport", MDNS_PORT], ["icmp"]):
        rule = ["-d", to, "-p", *kind, "-m", "comment", "--comment", to]
        net.output(side, ["iptables", "-w", "-A", "OUTPUT", *rule])


def count_come(net: NetnsPair, side: Side, source: str) -> None:
    """The same for what comes to that side from there."""
    rule = ["-s", source, "-m", "comment", "--comment", source]
    net.output(side, ["iptables", "-w", "-A", "INPUT", *rule])


def swap(net: NetnsPair, side: Side, old: str, new: str) -> None:
    """Give that side another IPv4 address in place of this one, which is gone at once."""
    steps = f"ip addr add {new}/24 brd + dev {INTERFACE} && ip addr del {old}/24 dev {INTERFACE}"
    # The kernel takes what was added second for a part of the first, and would remove it too.
    net.output(side, ["sysctl", "-q", "-w", f"net.ipv4.conf.{INTERFACE}.promote_secondaries=1"])
    net.output(side, ["bash", "-c", f"{steps} && ip route replace {MULTICAST} dev {INTERFACE}"])


def change_port_of(net: NetnsPair, side: Side, address: str) -> None:
    """Let what that side sends from this address come from another port; the other side counts it as `nat`."""
    match = ["-s", address, "-p", "udp"]
    to = ["-j", "SNAT", "--to-source", f"{address}:{NAT_PORTS}"]
    net.output(side, ["iptables", "-w", "-t", "nat", "-A", "POSTROUTING", *match, *to])
    other: Side = "b" if side == "a" else "a"
    ports = ["--sport", NAT_PORTS.replace("-", ":"), "-m", "comment", "--comment", "nat"]
    net.output(other, ["iptables", "-w", "-A", "INPUT", *match, *ports])


def add_address(net: NetnsPair, side: Side, address: str) -> None:
    """Give that side one more address, IPv4 or IPv6, in a network of the cable's own."""
    prefix, check = ("64", ["nodad"]) if ":" in address else ("24", [])
    net.output(side, ["ip", "addr", "add", f"{address}/{prefix}", "dev", INTERFACE, *check])


def route(net: NetnsPair, side: Side, network: str) -> None:
    """Let that side take the other for the way to this network."""
    other: Side = "b" if side == "a" else "a"
    net.output(side, ["ip", "route", "add", network, "via", net.ipv4[other]])
