"""Announcing to contacts alone, for real: two machines on a cable, and everything that passes between them.

In the scripts a period takes seconds. `WATCH` is a stranger, with the names, hosts, ports and texts that mDNS tells.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from capture import Capture
from netns import NetnsPair, Side, output_of
from pairs import NO_MEDIA, Start, identity, knows

pytestmark = pytest.mark.netns
ROOT = Path(__file__).resolve().parents[2]
PERIOD_S = 3
LISTEN = ("listen", "--name", "Robert", "--announce", "contacts", "--answer", "anyone", "--json", *NO_MEDIA)

BEGIN = f"""
import asyncio, json, os, sys, time
from p2pcall.net import link, private_announcer
from p2pcall.proto import constants
constants.PRESENCE_PERIOD_S = private_announcer.PRESENCE_PERIOD_S = {PERIOD_S}
private_announcer.SPREAD_S, link.LINK_POLL_S = 0.0, 0.2
from p2pcall.engine.presence import PresenceKeys, recogniser

def tell(**what):
    print(json.dumps(what), flush=True)

async def until_stdin_ends():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
"""

ANNOUNCE = (
    BEGIN
    + """
async def main():
    private, contacts, port = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), int(sys.argv[3])
    keys = PresenceKeys(private, announcer=True)
    people = [contacts[at:at + 32] for at in range(0, len(contacts), 32)]
    people += [os.urandom(32) for _ in range(int(sys.argv[4]))]

    async def texts(epoch):
        return keys.texts(people, epoch, port, os.urandom)
    announcer = private_announcer.PrivateAnnouncer(
        texts, time.time, os.urandom, only=sys.argv[5:], on_change=lambda it: tell(state=it.state))
    announcer.start()
    await until_stdin_ends()
    await announcer.stop()

asyncio.run(main())
"""
)

WATCH = (
    BEGIN
    + """
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
TYPE = "_p2pcall._udp.local."

async def main():
    zc = AsyncZeroconf()

    def seen(zeroconf, service_type, name, state_change):
        info = AsyncServiceInfo(TYPE, name)
        info.load_from_cache(zeroconf)
        tell(change=state_change.name, name=name, server=info.server, port=info.port, text=info.text.hex(),
             addresses=info.parsed_addresses(), at=time.time())
    AsyncServiceBrowser(zc.zeroconf, TYPE, handlers=[seen])
    await until_stdin_ends()
    await zc.async_close()

asyncio.run(main())
"""
)

ASK = (
    BEGIN
    + """
import socket
from zeroconf import DNSOutgoing, DNSQuestion
SRV, IN, UNICAST, QUERY = 33, 1, 0x8000, 0

name, address = sys.argv[1:]
question = DNSOutgoing(QUERY)
question.add_question(DNSQuestion(name, SRV, IN | UNICAST))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
    asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    asker.bind((address, 0))
    asker.settimeout(1.5)
    asker.sendto(question.packets()[0], ("224.0.0.251", 5353))
    try:
        tell(answered=len(asker.recv(9000)) > 0)
    except TimeoutError:
        tell(answered=False)
"""
)
"""A question from a port of its own: only an answer to it comes back, and no other packet of mDNS."""

CONTACT = (
    BEGIN
    + """
from p2pcall.net.discovery import Browser

async def main():
    recognise = recogniser(bytes.fromhex(sys.argv[1]), {bytes.fromhex(sys.argv[2]): "bob"}, time.time)
    def found(peer): tell(event="found", name=peer.name, port=peer.port, addresses=peer.addresses)
    browser = Browser(on_found=found, on_lost=lambda peer: tell(event="lost", name=peer.name), recognise=recognise)
    browser.start()
    await until_stdin_ends()
    await browser.stop()

asyncio.run(main())
"""
)


class Script:
    """A script on one side; `next` gives the next line that it tells and that fits, `rest` all after its end."""

    def __init__(self, net: NetnsPair, side: Side, code: str, *args: object) -> None:
        argv, pipe = [sys.executable, "-c", code, *map(str, args)], subprocess.PIPE
        self._process = net.run(side, argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def _told(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, output_of(self._process))

    def next(self, **wanted: object) -> dict[str, Any]:
        for told in self._told():
            if all(told.get(key) == value for key, value in wanted.items()):
                return told
        raise AssertionError(f"{wanted} was not told; exit {self._process.wait()}")

    def rest(self) -> list[dict[str, Any]]:
        """Let it say goodbye."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        told = list(self._told())
        assert self._process.wait() == 0
        return told


Run = Callable[..., Script]


@pytest.fixture
def script(netns_pair: NetnsPair) -> Run:
    return lambda side, code, *args: Script(netns_pair, side, code, *args)


def test_a_new_period_shows_nothing_of_the_old_one_and_the_contact_stays_found(
    script: Run, netns_pair: NetnsPair, tmp_path: Path
) -> None:
    bob, anna = identity(tmp_path, "bob"), identity(tmp_path, "anna")
    watch = script("a", WATCH)
    contact = script("a", CONTACT, anna.private.hex(), bob.public.hex())
    announce = script("b", ANNOUNCE, bob.private.hex(), anna.public.hex(), 5000, 0)
    added: dict[str, dict[str, Any]] = {}
    gone: dict[str, float] = {}
    while len(gone) < 2:  # an answer that was on its way may show a name once more after its goodbye
        one = watch.next()
        if one["change"] == "Added":
            added.setdefault(one["name"], one)
        elif one["change"] == "Removed":
            gone.setdefault(one["name"], one["at"])
    first, second, third = list(added.values())[:3]
    assert [len(one["text"]) for one in (first, second, third)] == [2 * 1079] * 3
    for what in ("name", "server", "text"):
        assert len({one[what] for one in (first, second, third)}) == 3
    assert 5000 not in {first["port"], second["port"], third["port"]}
    assert list(gone) == [first["name"], second["name"]]
    assert 0 <= gone[first["name"]] - second["at"] < PERIOD_S, "the goodbye comes right after what is new"
    assert script("a", ASK, first["name"], netns_pair.ipv4["a"]).next() == {"answered": False}
    announce.rest()
    found, lost = contact.rest()
    assert (found["event"], lost["event"]) == ("found", "lost")
    assert (found["name"], found["port"]) == ("bob", 5000)
    assert netns_pair.ipv4["b"] in {address[0] for address in found["addresses"]}


def test_four_thousand_contacts_are_told_and_one_of_them_finds_it(script: Run, tmp_path: Path) -> None:
    bob, anna = identity(tmp_path, "bob"), identity(tmp_path, "anna")
    announce = script("b", ANNOUNCE, bob.private.hex(), anna.public.hex(), 5000, 4000)
    announce.next(state="announced")
    contact = script("a", CONTACT, anna.private.hex(), bob.public.hex())
    assert contact.next(event="found")["port"] == 5000
    announce.rest()
    contact.rest()


def test_on_one_interface_alone_the_other_gets_no_answer(
    script: Run, netns_pair: NetnsPair, tmp_path: Path
) -> None:
    """Not even to a question that another program there, which has joined on all interfaces, lets in."""
    bob, anna = identity(tmp_path, "bob"), identity(tmp_path, "anna")
    cable = ["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns"]
    netns_pair.output("a", [*cable, netns_pair.names["b"]])
    for side, last in (("a", 1), ("b", 2)):
        netns_pair.output(side, ["ip", "addr", "add", f"10.78.0.{last}/24", "dev", "eth1"])
        no_ipv6_address_that_comes_later = ["addrgenmode", "none"]
        netns_pair.output(side, ["ip", "link", "set", "eth1", "up", *no_ipv6_address_that_comes_later])
    watch, beside = script("a", WATCH), script("b", WATCH)
    calm = ANNOUNCE.replace(f"= {PERIOD_S}", "= 900")
    announce = script("b", calm, bob.private.hex(), anna.public.hex(), 5000, 0, "eth1")
    announce.next(state="announced")
    told = watch.next(change="Added")
    beside.next(change="Added")
    assert [address for address in told["addresses"] if "." in address] == ["10.78.0.2"]
    assert script("a", ASK, told["name"], "10.78.0.1").next() == {"answered": True}
    assert script("a", ASK, told["name"], netns_pair.ipv4["a"]).next() == {"answered": False}
    announce.rest()


def test_a_contact_dials_who_announces_to_contacts_and_the_cable_carries_neither_name_nor_port(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path
) -> None:
    knows(tmp_path, "alice", "bob")
    knows(tmp_path, "bob", "alice")
    capture = Capture(p2p, netns_pair, "a")
    bob = p2p(*LISTEN, "--announce-on", "eth0", net=netns_pair, side="b", name="bob")
    assert bob.wait_event("listening")["announce"] == "contacts"
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="a", name="alice")
    found = watch.wait_event("peer-found", name="bob", contact="bob", port=51729)
    assert f"{netns_pair.ipv4['b']}:51729" in found["addresses"]
    eve = p2p("peers", net=netns_pair, side="a", name="eve")
    assert eve.wait_exit() == 0
    assert "nobody on this network says that they can be called" in eve.stderr_text
    mdns = [frame for frame in capture.frames if b"_p2pcall" in frame]
    assert any(frame.count(b"p7=") for frame in mdns)
    assert not [
        frame for frame in mdns if b"obert" in frame or (51729).to_bytes(2, "big") + b"\x0fp2pcall" in frame
    ]
    assert not [frame for frame in mdns if identity(tmp_path, "bob").public in frame]
    dial = ["dial", "bob", "--json", "--port", "0", "--max-duration", "0.3", *NO_MEDIA]
    alice = p2p(*dial, net=netns_pair, side="a", name="alice")
    assert alice.wait_event("connected")["known"] == "contact"
    assert alice.wait_exit() == 0
    people = p2p("peers", net=netns_pair, side="a", name="alice")
    assert people.wait_exit() == 0
    bob.stop()
    watch.wait_event("peer-lost", name="bob")
