"""mDNS for real: processes on two machines joined by a cable announce, find and lose each other.

Each process runs one of the scripts below and tells what happens as lines of JSON; nothing is waited for but
such lines. Needs root. Avahi is the witness that others can read what we announce.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from netns import NetnsPair, Side, output_of
from tries import best

pytestmark = pytest.mark.netns
ROOT = Path(__file__).resolve().parents[2]

TELL = """
import asyncio, json, os, sys
from p2pcall.errors import P2PCallError
from p2pcall.net.discovery import Announcer, Browser, browse, find_peer
from p2pcall.net.private_lookup import look_up_privately

def tell(**what):
    print(json.dumps(what), flush=True)

def peer(it):
    return dict(name=it.name, port=it.port, addresses=it.addresses, txt=dict(it.txt), host=it.host)

async def until_stdin_ends():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
"""

ANNOUNCE = """
async def main():
    def changed(it):
        tell(state=it.state, name=it.name, problem=it.problem and it.problem.slug)
    announcer = Announcer(sys.argv[1], int(sys.argv[2]), os.urandom, bound=sys.argv[3:], on_change=changed)
    announcer.start()
    await until_stdin_ends()
    await announcer.stop()
"""

MANY = """
async def main():
    name, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    them = [Announcer(f"{name}{n}", port + n, os.urandom) for n in range(count)]
    for announcer in them:
        announcer.start()
    await asyncio.gather(*(announcer.settled() for announcer in them))
    tell(all="announced")
    await until_stdin_ends()
    await asyncio.gather(*(announcer.stop() for announcer in them))
"""

WATCH = """
async def main():
    browser = Browser(
        on_found=lambda it: tell(event="found", **peer(it)), on_lost=lambda it: tell(event="lost", **peer(it)))
    browser.start()
    await until_stdin_ends()
    await browser.stop()
"""

FIND = """
async def main():
    try:
        it = await find_peer(sys.argv[1])
        tell(found=it and peer(it))
    except P2PCallError as error:
        tell(slug=error.slug, exit=error.exit)
"""

SPOT = FIND.replace("find_peer(sys.argv[1])", "look_up_privately(sys.argv[1], 2.5)")

BROWSE = """
async def main():
    try:
        tell(peers=[peer(it) for it in await browse()])
    except P2PCallError as error:
        tell(slug=error.slug, exit=error.exit)
"""


class Process:
    """A script on one side; `next` gives the next line that it tells and that fits."""

    def __init__(self, net: NetnsPair, side: Side, script: str, *args: object) -> None:
        code = TELL + script + "\nasyncio.run(main())\n"
        argv = [sys.executable, "-c", code, *map(str, args)]
        pipe = subprocess.PIPE
        self._process = net.run(side, argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def next(self, **wanted: object) -> dict[str, Any]:
        for line in output_of(self._process):
            told: dict[str, Any] = json.loads(line)
            if all(told.get(key) == value for key, value in wanted.items()):
                return told
        raise AssertionError(f"{wanted} was not told; exit {self._process.wait()}")

    def end(self) -> int:
        """Let it say goodbye; its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait()


Start = Callable[..., Process]


@pytest.fixture
def start(netns_pair: NetnsPair) -> Start:
    return lambda side, script, *args: Process(netns_pair, side, script, *args)


def ip(net: NetnsPair, side: Side, *argv: str) -> None:
    net.output(side, ["ip", *argv])


def announced(start: Start, side: Side, name: str, port: int, *bound: str) -> Process:
    process = start(side, ANNOUNCE, name, port, *bound)
    process.next(state="announced")
    return process


def addresses_of(peer: dict[str, Any]) -> set[str]:
    return {address[0] for address in peer["addresses"]}


def test_a_name_is_listed_and_found(start: Start, netns_pair: NetnsPair) -> None:
    bob = announced(start, "b", "Bob Müller", 5000)
    found = start("a", FIND, "bob müller").next()["found"]
    assert (found["port"], addresses_of(found)) == (5000, {netns_pair.ipv4["b"]})
    assert found["txt"] == {"v": "1"}
    assert start("a", SPOT, "bob müller").next()["found"] == found
    for script in (FIND, SPOT):
        assert start("a", script, "nobody").next() == {"found": None}
    assert [peer["name"] for peer in start("a", BROWSE).next()["peers"]] == ["Bob Müller"]
    assert bob.end() == 0
    assert start("a", BROWSE).next() == {"peers": []}


def test_the_name_of_the_machine_is_not_told_and_nothing_stays_the_same(start: Start) -> None:
    hosts = set()
    for _ in range(2):
        bob = announced(start, "b", "bob", 5000)
        hosts.add(start("a", FIND, "bob").next()["found"]["host"])
        bob.end()
    assert len(hosts) == 2
    assert all(host.startswith("p2pcall-") for host in hosts)


def test_coming_and_going_is_seen_at_once(start: Start) -> None:
    watch = start("a", WATCH)
    bob = announced(start, "b", "bob", 5000)
    assert watch.next(event="found")["name"] == "bob"
    bob.end()
    assert watch.next(event="lost")["name"] == "bob"
    announced(start, "b", "bob", 5001)
    assert watch.next(event="found")["port"] == 5001
    assert watch.end() == 0


def test_a_name_is_seen_to_be_taken_where_many_programs_have_the_port(start: Start) -> None:
    """An answer to one of them alone reaches another one; the first to have the name keeps it."""
    start("b", MANY, "other", 12, 5100).next(all="announced")
    first = announced(start, "b", "bob", 5000)
    second = start("b", ANNOUNCE, "bob", 5001)
    assert second.next(state="announced")["name"] == "bob-2"
    for process in (first, second):
        assert process.end() == 0


def test_without_ipv4_it_works_over_ipv6_with_the_zone(start: Start, netns_pair: NetnsPair) -> None:
    for side in ("a", "b"):
        ip(netns_pair, side, "-4", "addr", "flush", "dev", "eth0")
    announced(start, "b", "bob", 5000)
    index = int(netns_pair.output("a", ["cat", "/sys/class/net/eth0/ifindex"]))
    for script in (FIND, SPOT):
        [address] = start("a", script, "bob").next()["found"]["addresses"]
        assert address == ["fe80::b", 5000, 0, index]


def test_without_ipv6_it_works_over_ipv4(start: Start, netns_pair: NetnsPair) -> None:
    for side in ("a", "b"):
        netns_pair.output(side, ["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"])
    announced(start, "b", "bob", 5000)
    assert addresses_of(start("a", FIND, "bob").next()["found"]) == {netns_pair.ipv4["b"]}


def test_two_cables_and_an_address_that_everybody_has(start: Start, netns_pair: NetnsPair) -> None:
    """172.17.0.1 is on each machine with Docker: it would lead to ourselves. A tunnel is not told at all."""
    names = netns_pair.names
    cable = ["link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", names["b"]]
    ip(netns_pair, "a", *cable)
    for side, last in (("a", 1), ("b", 2)):
        ip(netns_pair, side, "link", "set", "eth1", "up")
        ip(netns_pair, side, "addr", "add", f"10.78.0.{last}/24", "dev", "eth1")
        ip(netns_pair, side, "link", "add", "docker0", "type", "bridge")
        ip(netns_pair, side, "link", "add", "port0", "type", "veth", "peer", "name", "port1")
        for name in ("port0", "port1"):
            ip(netns_pair, side, "link", "set", name, "up")
        ip(netns_pair, side, "link", "set", "port0", "master", "docker0")
        ip(netns_pair, side, "addr", "add", "172.17.0.1/16", "dev", "docker0")
        ip(netns_pair, side, "link", "set", "docker0", "up")
    announced(start, "b", "bob", 5000)
    found = addresses_of(start("a", FIND, "bob").next()["found"])
    assert {host for host in found if ":" not in host} == {"10.77.0.2", "10.78.0.2"}
    ip(netns_pair, "a", "link", "set", "eth0", "down")
    assert "10.78.0.2" in addresses_of(start("a", FIND, "bob").next()["found"])


def test_who_is_bound_to_one_address_tells_only_that(start: Start, netns_pair: NetnsPair) -> None:
    ip(netns_pair, "b", "addr", "add", "10.77.0.99/24", "dev", "eth0")
    announced(start, "b", "bob", 5000, "10.77.0.99")
    assert addresses_of(start("a", FIND, "bob").next()["found"]) == {"10.77.0.99"}
    announced(start, "b", "lonely", 5000, "127.0.0.1")
    assert start("a", FIND, "lonely").next() == {"found": None}


def test_no_network_is_told_and_mends_itself(start: Start, netns_pair: NetnsPair) -> None:
    for side in ("a", "b"):
        netns_pair.link(side, up=False)
        ip(netns_pair, side, "link", "set", "lo", "down")
    told = {"slug": "no-network", "exit": 3}
    assert start("a", FIND, "bob").next() == told
    assert start("a", BROWSE).next() == told
    watch, bob = start("a", WATCH), start("b", ANNOUNCE, "bob", 5000)
    assert bob.next() == {"state": "no-network", "name": "bob", "problem": "no-network"}
    for side in ("a", "b"):
        netns_pair.link(side, up=True)
    assert bob.next()["state"] == "announced"
    assert watch.next(event="found")["name"] == "bob"


def test_the_loopback_serves_when_there_is_nothing_else(start: Start, netns_pair: NetnsPair) -> None:
    netns_pair.link("b", up=False)
    announced(start, "b", "bob", 5000)
    assert addresses_of(start("b", FIND, "bob").next()["found"]) == {"127.0.0.1", "::1"}


def test_another_address_is_told_while_running(start: Start, netns_pair: NetnsPair) -> None:
    watch, _ = start("a", WATCH), announced(start, "b", "bob", 5000)
    assert addresses_of(watch.next(event="found")) == {"10.77.0.2"}
    ip(netns_pair, "b", "-4", "addr", "flush", "dev", "eth0")
    ip(netns_pair, "b", "addr", "add", "10.77.0.55/24", "dev", "eth0")
    addresses: set[str] = set()
    while addresses != {"10.77.0.55"}:
        addresses = addresses_of(watch.next(event="found"))


def test_a_name_that_is_taken_gets_a_number(start: Start) -> None:
    announced(start, "a", "bob", 5000)
    second = start("b", ANNOUNCE, "bob", 5001)
    assert second.next()["name"] == "bob-2"
    assert start("a", FIND, "bob").next()["found"]["port"] == 5000
    assert start("a", FIND, "bob-2").next()["found"]["port"] == 5001


def test_of_two_that_begin_at_once_one_gets_a_number(start: Start) -> None:
    both = [start(side, ANNOUNCE, "bob", port) for side, port in (("a", 5000), ("b", 5001))]
    for process in both:
        process.next(state="announced")
    watch = start("a", WATCH)
    ports: dict[str, int] = {}
    while sorted(ports) != ["bob", "bob-2"] or sorted(ports.values()) != [5000, 5001]:
        peer = watch.next()
        if peer["event"] == "found":
            ports[peer["name"]] = peer["port"]
    assert start("b", FIND, "bob").next()["found"]["port"] == ports["bob"]


def test_two_networks_that_become_one_settle_who_has_the_name(start: Start, netns_pair: NetnsPair) -> None:
    """Neither saw the other's probes; the first question that both answer shows it. One keeps the name."""
    netns_pair.set_loss(100)
    both = [announced(start, side, "bob", port) for side, port in (("a", 5000), ("b", 5001))]
    netns_pair.set_loss(0)
    watch = start("a", WATCH)
    ports: dict[str, int] = {}
    while sorted(ports) != ["bob", "bob-2"] or sorted(ports.values()) != [5000, 5001]:
        peer = watch.next()
        if peer["event"] == "found":
            ports[peer["name"]] = peer["port"]
    loser = both[0 if ports["bob-2"] == 5000 else 1]
    assert loser.next()["name"] == "bob-2"
    assert start("b", FIND, "bob").next()["found"]["port"] == ports["bob"]


@pytest.fixture
def avahi(netns_pair: NetnsPair, tmp_path: Path) -> Iterator[dict[str, str]]:
    if not all(shutil.which(program) for program in ("avahi-daemon", "avahi-browse", "dbus-daemon")):
        pytest.skip("avahi is missing: apt-get install avahi-daemon avahi-utils dbus")
    with netns_pair.avahi("a", tmp_path / "avahi") as environ:
        yield environ


def test_avahi_lists_it_and_lives_beside_it(
    start: Start, netns_pair: NetnsPair, avahi: dict[str, str]
) -> None:
    """Also from the machine where Avahi itself has port 5353."""
    announced(start, "b", "Bob Müller", 5000)
    announced(start, "a", "anna", 5001)

    def listed(_: int) -> dict[str, str]:
        """Avahi too looks for a certain time only; what it lists is right."""
        seen = netns_pair.output("a", ["avahi-browse", "-rtp", "_p2pcall._udp"], env=avahi)
        resolved = [line.split(";") for line in seen.splitlines() if line.startswith("=")]
        assert {row[7] for row in resolved} <= {"10.77.0.1", "10.77.0.2", "fe80::a", "fe80::b"}
        assert {row[9] for row in resolved} <= {'"v=1"'}
        return {row[3]: row[8] for row in resolved}

    def judge(ports: dict[str, str]) -> None:
        assert ports == {"Bob\\032M\\195\\188ller": "5000", "anna": "5001"}

    best(listed, judge)
    assert [peer["name"] for peer in start("b", BROWSE).next()["peers"]] == ["anna", "Bob Müller"]
    for side, name in (("a", "bob müller"), ("a", "anna"), ("b", "anna")):
        assert start(side, SPOT, name).next()["found"]
