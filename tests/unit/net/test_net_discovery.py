"""Names on the link, without a link: what is told, what is believed, and what happens when mDNS is not to be had."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_interface
from typing import Any, ClassVar

import pytest
from fakeenv import seeded_entropy
from zeroconf import (
    BadTypeInNameException,
    DNSCache,
    DNSIncoming,
    DNSQuestionType,
    NonUniqueNameException,
    NotRunningException,
    ServiceStateChange,
)
from zeroconf.asyncio import AsyncServiceInfo

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import discovery, lanpeer
from p2pcall.net import link as net_link
from p2pcall.net.discovery import (
    MAX_CONTESTS,
    MAX_LAN_PEERS,
    TYPE_PTR,
    Announcer,
    AnnounceState,
    Browser,
)
from p2pcall.net.interfaces import Interface, interfaces, local_links, reachable
from p2pcall.net.lanpeer import SERVICE_TYPE, LanPeer, to_peer
from p2pcall.net.link import Link, LinkFollower, look_for_link, open_link

LINK = Link(("192.0.2.1",), ("192.0.2.1",), loopback=False)
BLOCKED = P2PCallError("mdns-blocked", "port 5353 is in use", ExitCode.NOT_FOUND)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story()

    asyncio.run(bounded())


# ---- answers


def answer(*addresses: str, port: int = 9, link: Link = LINK, **changes: Any) -> LanPeer | None:
    options: dict[str, Any] = {"name": f"bob.{SERVICE_TYPE}", "properties": {"v": "1"}, "server": "H.local."}
    options |= changes
    info = AsyncServiceInfo(SERVICE_TYPE, port=port, parsed_addresses=list(addresses), **options)
    return to_peer(info, link)


def test_an_answer_is_a_peer() -> None:
    peer = answer("198.51.100.2", "2001:db8::2")
    assert peer is not None
    assert (peer.name, peer.port, peer.host, dict(peer.txt)) == ("bob", 9, "h.local.", {"v": "1"})
    assert set(peer.addresses) == {("198.51.100.2", 9), ("2001:db8::2", 9, 0, 0)}


def test_a_peer_with_a_dot_is_shown_as_people_dial_it() -> None:
    peer = answer("198.51.100.2", name=f"jan\u2024smit-2.{SERVICE_TYPE}")
    assert peer is not None
    assert peer.name == "jan.smit-2"


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "255.255.255.255", "224.0.0.251", "127.0.0.1", "::", "::1", "ff02::fb", "fe80::1"]
)
def test_what_is_no_address_of_a_neighbour_is_not_dialled(address: str) -> None:
    assert answer(address) is None
    peer = answer(address, "198.51.100.2")
    assert peer is not None
    assert peer.addresses == (("198.51.100.2", 9),)


def test_a_link_local_address_keeps_the_interface_it_came_in_on() -> None:
    peer = answer("fe80::2", interface_index=7)
    assert peer is not None
    assert peer.addresses == (("fe80::2", 9, 0, 7),)


def test_the_loopback_is_dialled_when_it_is_all_there_is() -> None:
    peer = answer("127.0.0.1", link=Link(("127.0.0.1",), ("127.0.0.1",), loopback=True))
    assert peer is not None


def test_neighbours_come_first_and_what_is_our_own_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanpeer, "interfaces", lambda: [ETHERNET, DOCKER])
    peer = answer("172.17.0.1", "203.0.113.5", "192.0.2.7")
    assert peer is not None
    assert peer.addresses == (("192.0.2.7", 9), ("203.0.113.5", 9))
    same_machine = answer("192.0.2.1", "172.17.0.1")
    assert same_machine is not None
    assert len(same_machine.addresses) == 2


def test_without_port_or_address_there_is_no_peer() -> None:
    assert answer("198.51.100.2", port=0) is None
    assert answer() is None


def test_a_name_that_is_too_long_is_not_asked_for() -> None:
    nobody: Any = None
    key = f"{'a.' * 40}{SERVICE_TYPE}"
    assert asyncio.run(discovery._request(nobody, LINK, key, 1)) is None


def test_a_text_record_is_bounded() -> None:
    peer = answer("198.51.100.2", properties={f"k{i}": None for i in range(50)})
    assert peer is not None
    assert len(peer.txt) == lanpeer.MAX_TXT_ENTRIES
    assert set(peer.txt.values()) == {""}


# ---- interfaces


def interface(name: str, *addresses: str, **flags: bool) -> Interface:
    rest = {"loopback": False, "point_to_point": False, "multicast": True} | flags
    return Interface(name, 1, tuple(map(ip_interface, addresses)), **rest)


ETHERNET = interface("eth0", "192.0.2.1/24", "2001:db8::1/64", "fe80::1/64")
DOCKER = interface("docker0", "172.17.0.1/16")
TUNNEL = interface("wg0", "10.8.0.1/24", point_to_point=True, multicast=False)
LOOPBACK = interface("lo", "127.0.0.1/8", "::1/128", loopback=True, multicast=False)
BARE = interface("eth1")


def test_a_tunnel_leads_to_others_but_not_to_neighbours() -> None:
    everything = [LOOPBACK, ETHERNET, TUNNEL, BARE]
    assert reachable(everything) == [ETHERNET, TUNNEL]
    assert local_links(everything) == [ETHERNET]
    assert reachable([LOOPBACK, BARE]) == local_links([LOOPBACK, BARE, TUNNEL]) == [LOOPBACK]
    assert local_links([]) == reachable([]) == []


@pytest.mark.parametrize(
    ("here", "bound", "told"),
    [
        ([ETHERNET, TUNNEL, LOOPBACK], (), ("192.0.2.1", "2001:db8::1")),
        ([ETHERNET, TUNNEL, LOOPBACK], ("0.0.0.0", "::"), ("192.0.2.1", "2001:db8::1")),
        ([ETHERNET, LOOPBACK], ("0.0.0.0",), ("192.0.2.1",)),
        ([ETHERNET, LOOPBACK], ("::",), ("2001:db8::1",)),
        ([ETHERNET, DOCKER], ("172.17.0.1",), ("172.17.0.1",)),
        ([ETHERNET, DOCKER], ("fe80::1%eth0",), ("fe80::1",)),
        ([ETHERNET, LOOPBACK], ("127.0.0.1",), ("127.0.0.1",)),
        ([interface("eth0", "fe80::1/64")], (), ("fe80::1",)),
        ([interface("eth7", "fe80::1/64")], (), None),
        ([ETHERNET, TUNNEL], ("10.8.0.1",), None),
        ([], (), None),
    ],
)
def test_only_what_calls_can_be_taken_on_is_told(
    monkeypatch: pytest.MonkeyPatch,
    here: list[Interface],
    bound: tuple[str, ...],
    told: tuple[str, ...] | None,
) -> None:
    monkeypatch.setattr(net_link, "interfaces", lambda: here)
    monkeypatch.setattr(net_link, "usable_ipv6", lambda interface: interface.name == "eth0")
    found = look_for_link(bound)
    assert (found.addresses if found else None) == told


def test_the_machine_has_interfaces() -> None:
    assert any(i.loopback and i.spell(i.addresses[0]) == "127.0.0.1" for i in interfaces())
    assert ETHERNET.spell(ETHERNET.addresses[2]) == "fe80::1%eth0"


# ---- when mDNS is not to be had


def test_a_port_that_is_not_to_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(**options: Any) -> None:
        tried.append(options["interfaces"])
        raise OSError("address in use")

    monkeypatch.setattr(net_link, "AsyncZeroconf", refuse)
    with pytest.raises(P2PCallError) as caught:
        open_link(Link(("192.0.2.1", 2), ("192.0.2.1",), loopback=False))
    assert caught.value.slug == "mdns-blocked"
    assert tried == [["192.0.2.1", 2], ["192.0.2.1"]]


def _refuse(_: Link) -> None:
    raise BLOCKED


@pytest.mark.parametrize(
    ("link", "state", "slug"),
    [(None, AnnounceState.NO_NETWORK, "no-network"), (LINK, AnnounceState.BLOCKED, "mdns-blocked")],
)
def test_announcer_and_browser_live_on_without_a_network(
    monkeypatch: pytest.MonkeyPatch, link: Link | None, state: AnnounceState, slug: str
) -> None:
    monkeypatch.setattr(net_link, "look_for_link", lambda *_: link)
    monkeypatch.setattr(discovery, "look_for_link", lambda *_: link)
    monkeypatch.setattr(discovery, "open_link", _refuse)

    async def story() -> None:
        told: list[AnnounceState] = []
        announcer = Announcer("bob", 9, seeded_entropy(1), on_change=lambda it: told.append(it.state))
        announcer.start()
        assert await announcer.settled() is state
        assert told == [state]
        assert announcer.problem is not None
        assert announcer.problem.slug == slug
        await announcer.stop()
        await announcer.stop()
        with pytest.raises(P2PCallError) as caught:
            await discovery.browse(0.01)
        assert caught.value.slug == slug
        with pytest.raises(P2PCallError) as caught:
            await discovery.find_peer("bob")
        assert caught.value.slug == slug

    run(story)


def test_a_system_that_does_not_tell_its_interfaces_has_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[Interface]:
        raise OSError("too many open files")

    monkeypatch.setattr(net_link, "interfaces", refuse)
    assert look_for_link() is None

    async def story() -> None:
        announcer = Announcer("bob", 9, seeded_entropy(1))
        announcer.start()
        assert await announcer.settled() is AnnounceState.NO_NETWORK
        await announcer.stop()
        with pytest.raises(P2PCallError) as caught:
            await discovery.find_peer("bob")
        assert caught.value.slug == "no-network"

    run(story)


def test_an_answer_that_cannot_be_placed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[Interface]:
        raise OSError("too many open files")

    async def answered(*_: object) -> bool:
        return True

    monkeypatch.setattr(lanpeer, "interfaces", refuse)
    monkeypatch.setattr(AsyncServiceInfo, "async_request", answered)
    zc: Any = Silent()
    assert asyncio.run(discovery._request(zc, LINK, f"bob.{SERVICE_TYPE}", 1)) is None


class Claimed:
    """In the place of `AsyncZeroconf`, on a link where somebody claims whatever name is tried."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.zeroconf: Any = Silent()

    async def async_register_service(self, *_: object, **__: object) -> None:
        if self._error is None:
            await asyncio.Event().wait()
        else:
            raise self._error

    async def async_close(self) -> None:
        raise NotRunningException("it was closed before")


@pytest.mark.parametrize(
    "error", [BadTypeInNameException("too long"), NonUniqueNameException(), None], ids=lambda it: repr(it)
)
def test_whoever_claims_every_name_ends_the_announcement_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    monkeypatch.setattr(net_link, "look_for_link", lambda *_: LINK)
    monkeypatch.setattr(net_link, "LINK_POLL_S", 0.0)
    monkeypatch.setattr(discovery, "CLAIM_S", 0.0)
    monkeypatch.setattr(discovery, "open_link", lambda _: Claimed(error))

    async def story() -> None:
        told: list[AnnounceState] = []
        announcer = Announcer("bob", 9, seeded_entropy(1), on_change=lambda it: told.append(it.state))
        announcer.start()
        assert await announcer.settled() is AnnounceState.BLOCKED
        assert announcer.problem is not None
        assert (announcer.problem.slug, announcer.name) == ("name-contested", "bob")
        fair = asyncio.Event()

        def free(_: Link) -> Silent:
            fair.set()
            return Silent()

        monkeypatch.setattr(discovery, "open_link", free)
        await fair.wait()  # it is tried again
        while announcer.state is not AnnounceState.ANNOUNCED:
            await asyncio.sleep(0)
        assert told == [AnnounceState.BLOCKED, AnnounceState.ANNOUNCED]
        await announcer.stop()

    run(story)


def test_a_network_that_goes_while_we_speak_is_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Silent):
        async def async_register_service(self, *_: object, **__: object) -> None:
            raise OSError("network is down")

        async def async_close(self) -> None:
            raise RuntimeError("already gone")

    monkeypatch.setattr(net_link, "look_for_link", lambda *_: LINK)
    monkeypatch.setattr(discovery, "open_link", lambda _: Gone())

    async def story() -> None:
        announcer = Announcer("bob", 9, seeded_entropy(1))
        announcer.start()
        assert await announcer.settled() is AnnounceState.NO_NETWORK
        await announcer.stop()

    run(story)


# ---- hostile neighbours


def test_a_flood_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def request(_zc: object, _link: object, key: str, *_: object) -> LanPeer:
        return LanPeer(key, 9, (("198.51.100.2", 9),), {}, "h.local.")

    monkeypatch.setattr(discovery, "_request", request)

    async def story() -> None:
        found: list[str] = []
        everyone = asyncio.Event()

        def on_found(peer: LanPeer) -> None:
            found.append(peer.name)
            if len(found) == MAX_LAN_PEERS:
                everyone.set()

        lost: list[str] = []
        browser = Browser(on_found=on_found, on_lost=lambda peer: lost.append(peer.name))
        nobody: Any = None
        zc: Any = Silent()
        browser._zc = zc
        browser._link = LINK
        for i in range(1000):
            browser._seen(nobody, SERVICE_TYPE, f"n{i:03}", ServiceStateChange.Added)
        await everyone.wait()
        assert [peer.name for peer in browser.peers()] == [f"n{i:03}" for i in range(MAX_LAN_PEERS)]
        browser._seen(nobody, SERVICE_TYPE, "n001", ServiceStateChange.Removed)
        browser._seen(nobody, SERVICE_TYPE, "n999", ServiceStateChange.Removed)
        assert lost == ["n001"]
        for _ in range(100):
            browser._seen(nobody, SERVICE_TYPE, "n002", ServiceStateChange.Updated)
        assert len(browser._settling) == 1
        await browser.stop()
        assert zc.closed
        browser._look_up("n003")
        assert not browser._lookups

    run(story)


class Silent:
    """In the place of `AsyncZeroconf`."""

    def __init__(self) -> None:
        self.closed = False
        self.sent = 0
        self.packets: list[Any] = []
        self.zeroconf: Any = self
        self.registry: Any = self
        self.engine, self.readers, self.cache = self, (), DNSCache()

    async def async_wait_for_start(self) -> None:
        pass

    async def async_register_service(self, *_: object, **__: object) -> None:
        pass

    def async_add_listener(self, *_: object) -> None:
        pass

    def async_remove(self, _: object) -> None:
        pass

    def generate_service_broadcast(self, *_: object) -> None:
        return None

    def async_send(self, packet: object) -> None:
        self.sent += 1
        self.packets.append(packet)

    async def async_close(self) -> None:
        self.closed = True


def test_a_contested_name_stays_with_the_lower_host_and_not_for_ever() -> None:
    async def story() -> None:
        announcer = Announcer("bob", 9, seeded_entropy(1))
        announcer._contested("p2pcall-0.local.")
        silent: Any = Silent()
        announcer._zc = silent
        announcer._info = AsyncServiceInfo(SERVICE_TYPE, f"bob.{SERVICE_TYPE}", server=announcer.host)
        for _ in range(3 * MAX_CONTESTS):
            announcer._contested("p2pcall-~.local.")
        assert 0 < silent.sent < MAX_CONTESTS

    run(story)


def test_whether_a_name_is_free_is_asked_so_that_all_hear_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Silent()
    monkeypatch.setattr(net_link, "look_for_link", lambda *_: LINK)
    monkeypatch.setattr(discovery, "open_link", lambda _: silent)

    async def story() -> None:
        announcer = Announcer("bob", 9, seeded_entropy(1))
        announcer.start()
        await announcer.settled()
        await announcer.stop()

    run(story)
    (question,) = DNSIncoming(silent.packets[0].packets()[0]).questions
    assert (question.name, question.type, question.unicast) == (SERVICE_TYPE, TYPE_PTR, False)


# ---- looking once


class Seeing:
    """In the place of `AsyncServiceBrowser`: sees one name at once."""

    asked: ClassVar[list[DNSQuestionType]] = []

    def __init__(
        self,
        zeroconf: Any,
        service_type: str,
        handlers: list[Callable[..., None]],
        question_type: DNSQuestionType,
    ) -> None:
        self.asked.append(question_type)
        for handler in handlers:
            handler(zeroconf, service_type, f"bob.{service_type}", ServiceStateChange.Added)


@pytest.mark.parametrize(("steps", "listed"), [(9, ["bob"]), (None, [])], ids=["late", "never"])
def test_who_was_seen_may_still_say_where_they_are_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, steps: int | None, listed: list[str]
) -> None:
    """All are asked to answer to all: an answer to us alone might reach another program on this machine."""

    async def request(*_: object) -> LanPeer:
        if steps is None:
            await asyncio.Event().wait()
        for _step in range(steps or 0):
            await asyncio.sleep(0)
        return LanPeer("bob", 9, (("198.51.100.2", 9),), {}, "h.local.")

    monkeypatch.setattr(net_link, "look_for_link", lambda *_: LINK)
    monkeypatch.setattr(discovery, "open_link", lambda _: Silent())
    monkeypatch.setattr(discovery, "AsyncServiceBrowser", Seeing)
    monkeypatch.setattr(discovery, "_request", request)
    if steps is None:
        monkeypatch.setattr(discovery, "LOOKUP_S", 0.0)

    async def story() -> None:
        assert [peer.name for peer in await discovery.browse(0.0)] == listed
        assert Seeing.asked[-1] is DNSQuestionType.QM

    run(story)


@pytest.mark.parametrize("turns", range(4))
def test_who_follows_the_link_stops_though_woken_at_the_same_time(turns: int) -> None:
    async def run() -> None:
        async def stay(link: Link | None) -> None:
            pass

        follower = LinkFollower((), stay)
        follower.start()
        for _ in range(5):
            await asyncio.sleep(0)
        follower.wake(again=True)
        for _ in range(turns):
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(follower.stop())
        assert await asyncio.wait({stopping}, timeout=10) == ({stopping}, set())

    asyncio.run(run())
