"""Private announcements among the answers of a link: what is listed, what is found, and what a flood can do."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from zeroconf import (
    DNSAddress,
    DNSCache,
    DNSPointer,
    DNSRecord,
    DNSService,
    DNSText,
    RecordUpdate,
    ServiceStateChange,
)
from zeroconf.asyncio import AsyncServiceInfo

from p2pcall.net import discovery, lanpeer
from p2pcall.net.discovery import TYPE_PTR, TYPE_SRV, Browser
from p2pcall.net.lanpeer import SERVICE_TYPE, LanPeer, to_peer
from p2pcall.net.link import Link, keep_to_interfaces
from p2pcall.net.private_announcer import PrivateAnnouncer
from p2pcall.net.private_lookup import MAX_SEEN, _Lookout

LINK = Link(("192.0.2.1",), ("192.0.2.1",), loopback=False)
BOBS, STRANGERS = (b"\x03v=1\x05n=" + who for who in (b"bob", b"eve"))
PORT, DECOY = 51729, 4242
TXT, A, CLASS_IN, TTL_S = 16, 1, 1, 120


def recognise(text: bytes) -> tuple[str, int] | None:
    return ("bob", PORT) if text == BOBS else None


def info(text: bytes, label: str = "0123", *hosts: str) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        SERVICE_TYPE,
        f"{label}.{SERVICE_TYPE}",
        port=DECOY,
        properties=text,
        server=f"h{label}.local.",
        parsed_addresses=list(hosts or ("198.51.100.2",)),
    )


def records(text: bytes, label: str = "0123") -> list[DNSRecord]:
    """All that an answer has about one announcement."""
    name, host = f"{label}.{SERVICE_TYPE}", f"h{label}.local."
    return [
        DNSPointer(SERVICE_TYPE, TYPE_PTR, CLASS_IN, TTL_S, name),
        DNSService(name, TYPE_SRV, CLASS_IN, TTL_S, 0, 0, DECOY, host),
        DNSText(name, TXT, CLASS_IN, TTL_S, text),
        DNSAddress(host, A, CLASS_IN, TTL_S, bytes([198, 51, 100, 2])),
    ]


class Answers:
    """In the place of `Zeroconf`: a cache and nothing else."""

    def __init__(self) -> None:
        self.cache = DNSCache()
        self.zeroconf: Any = self

    def hear(self, told: list[DNSRecord], *listeners: Any) -> None:
        self.cache.async_add_records(told)
        for listener in listeners:
            listener.async_update_records(self, 0.0, [RecordUpdate(one, None) for one in told])
            listener.async_update_records_complete()

    async def async_close(self) -> None:
        pass


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story()

    asyncio.run(bounded())


def test_a_private_peer_has_the_contacts_name_and_the_port_that_the_text_tells() -> None:
    peer = to_peer(info(BOBS), LINK, recognise)
    assert peer is not None
    assert (peer.name, peer.port, peer.addresses) == ("bob", PORT, (("198.51.100.2", PORT),))
    assert (peer.private, dict(peer.txt)) == (True, {})


@pytest.mark.parametrize(
    ("text", "how"), [(STRANGERS, recognise), (BOBS, None)], ids=["stranger", "without contacts"]
)
def test_who_is_not_recognised_is_no_peer(text: bytes, how: lanpeer.Recognise | None) -> None:
    assert to_peer(info(text), LINK, how) is None


def test_a_contact_is_found_by_what_the_text_tells_before_one_who_claims_the_name() -> None:
    async def story() -> None:
        answers: Any = Answers()
        lookout = _Lookout(answers, LINK, {"bob"}, recognise)
        answers.hear([*records(b"\x03v=1", "bob"), *records(STRANGERS, "01"), *records(BOBS, "02")], lookout)
        peer = await lookout.found
        assert (peer.name, peer.port, peer.private, peer.host) == ("bob", PORT, True, "h02.local.")

    run(story)


def test_without_contacts_private_announcements_find_nobody() -> None:
    async def story() -> None:
        answers: Any = Answers()
        lookout = _Lookout(answers, LINK, {"bob"}, None)
        answers.hear(records(BOBS), lookout)
        assert not lookout.found.done()
        lookout.found.cancel()

    run(story)


def test_thousands_of_texts_are_each_looked_at_once_and_few_are_kept() -> None:
    """Also texts of nine kilobytes; somebody may repeat a contact's."""

    async def story() -> None:
        answers: Any = Answers()
        looks: list[bytes] = []
        lookout = _Lookout(answers, LINK, {"bob"}, lambda text: looks.append(text) or recognise(text))
        for number in range(3000):
            name = f"{number}.{SERVICE_TYPE}"
            hostile = (BOBS, bytes(8900))[number % 2]
            update = RecordUpdate(DNSText(name, TXT, CLASS_IN, TTL_S, hostile), None)
            lookout.async_update_records(answers, 0.0, [update])
        assert len(lookout._recognised) == MAX_SEEN
        assert len(looks) <= 2 * MAX_SEEN
        lookout.found.cancel()

    run(story)


def browser(**told: Any) -> tuple[Browser, Answers]:
    made, answers = Browser(recognise=recognise, **told), Answers()
    made._zc, made._link = answers, LINK  # type: ignore[assignment]
    return made, answers


async def seen(made: Browser, answers: Any, label: str, change: ServiceStateChange) -> None:
    made._seen(answers, SERVICE_TYPE, f"{label}.{SERVICE_TYPE}", change)
    while made._lookups:
        await asyncio.sleep(0)


async def _request(zc: Any, link: Link, key: str, _ms: int, how: lanpeer.Recognise) -> LanPeer | None:
    found = AsyncServiceInfo(SERVICE_TYPE, key)
    return to_peer(found, link, how) if found.load_from_cache(zc) else None


def test_a_new_period_is_no_news_about_a_contact_who_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_request", _request)

    async def story() -> None:
        told: list[str] = []
        made, answers = browser(
            on_found=lambda peer: told.append(f"found {peer.name}"),
            on_lost=lambda peer: told.append(f"lost {peer.name}"),
        )
        for label in ("01", "02", "03"):
            answers.hear(records(BOBS, label))
            await seen(made, answers, label, ServiceStateChange.Added)
            assert [peer.name for peer in made.peers()] == ["bob"]
            if label != "01":
                before = f"{int(label) - 1:02}"
                await seen(made, answers, before, ServiceStateChange.Removed)
        assert told == ["found bob"]
        await seen(made, answers, "03", ServiceStateChange.Removed)
        assert told == ["found bob", "lost bob"]
        await made.stop()

    run(story)


def test_private_announcements_of_strangers_take_no_place_in_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def request(*_: object) -> None:
        raise AssertionError("looked up")

    monkeypatch.setattr(discovery, "_request", request)

    async def story() -> None:
        made, answers = browser()
        for number in range(1000):
            answers.hear(records(STRANGERS, f"{number:04}"))
            await seen(made, answers, f"{number:04}", ServiceStateChange.Added)
        assert not made.peers()
        await made.stop()

    run(story)


def test_a_socket_hears_nothing_that_comes_through_another_interface() -> None:
    loopback = socket.if_nametoindex("lo")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(type=socket.SOCK_DGRAM) as other,
    ):
        ours.bind(("127.0.0.1", 0))
        ours.settimeout(5)
        keep_to_interfaces(ours, (loopback + 1, loopback + 2))
        other.sendto(b"from another", ours.getsockname())
        keep_to_interfaces(ours, (loopback + 1, loopback))
        other.sendto(b"from ours", ours.getsockname())
        assert ours.recv(100) == b"from ours"


def test_an_announcer_that_never_began_can_be_ended() -> None:
    async def texts(_: float) -> list[bytes]:
        return []

    async def story() -> None:
        announcer = PrivateAnnouncer(texts, lambda: 0.0, bytes)
        await announcer.stop()
        await announcer.stop()

    run(story)
