"""A contact on the link: what is asked, what is compared here, and what a hostile link can make of it."""

import asyncio
from typing import Any

import pytest
from zeroconf import DNSOutgoing, DNSPointer, NotRunningException, RecordUpdate  # type: ignore[attr-defined]

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import private_lookup as net_spot
from p2pcall.net.lanpeer import SERVICE_TYPE, LanPeer
from p2pcall.net.link import Link
from p2pcall.net.private_lookup import MAX_SEEN, look_up_privately

LINK = Link(("192.0.2.1",), ("192.0.2.1",), loopback=False)
PATIENCE_S = 20.0


class FakeLink:
    """In the place of `AsyncZeroconf`: answers each question with these instances, and counts what was asked."""

    def __init__(self, *instances: str, quiet: int = 0) -> None:
        self.zeroconf: Any = self
        self.asked: list[bytes] = []
        self.looked_at: list[str] = []
        self._instances, self._quiet = instances, quiet
        self._listener: Any = None

    async def async_wait_for_start(self) -> None:
        pass

    def async_add_listener(self, listener: Any, _: object) -> None:
        self._listener = listener
        listener._cached = self._cached

    def _cached(self, instance: str) -> LanPeer | None:
        self.looked_at.append(instance)
        whole = len(self.asked) > self._quiet
        return LanPeer(instance, 9, (("198.51.100.2", 9),), {}, "h.local.") if whole else None

    def async_send(self, out: DNSOutgoing) -> None:
        [packet] = out.packets()
        self.asked.append(packet)
        pointers = [DNSPointer(SERVICE_TYPE, 12, 1, 60, f"{one}.{SERVICE_TYPE}") for one in self._instances]
        updates = [RecordUpdate(pointer, None) for pointer in pointers]
        asyncio.get_running_loop().call_soon(self._hear, updates)

    def _hear(self, updates: list[RecordUpdate]) -> None:
        self._listener.async_update_records(self, 0.0, updates)
        self._listener.async_update_records_complete()

    async def async_close(self) -> None:
        pass


def spotted(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    link: FakeLink,
    timeout_s: float = PATIENCE_S,
    ask_at_s: tuple[float, ...] = (0.0, 0.0, 0.0),
) -> str | None:
    monkeypatch.setattr(net_spot, "look_for_link", lambda _: LINK)
    monkeypatch.setattr(net_spot, "open_link", lambda _: link)
    monkeypatch.setattr(net_spot, "ASK_AT_S", ask_at_s)
    peer = asyncio.run(look_up_privately(name, timeout_s))
    return None if peer is None else peer.name.removesuffix("." + SERVICE_TYPE)


@pytest.mark.parametrize(
    ("name", "announced"),
    [
        ("bob", "bob"),
        ("Bob", "bOB"),
        ("jan.smit", "jan\u2024smit"),
        ("mu\u0308ller", "müller"),
        ("x" * 64, "x" * 59),
        ("x" * 64, "x" * 63),
    ],
)
def test_a_name_is_compared_here_however_it_is_spelt(
    monkeypatch: pytest.MonkeyPatch, name: str, announced: str
) -> None:
    assert spotted(monkeypatch, name, FakeLink("anna", announced, "bob-2")) == announced


def test_every_question_is_the_same_and_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again for one who did not say where they are, and not any more once they did."""
    link = FakeLink("bob", quiet=2)
    assert spotted(monkeypatch, "bob", link) == "bob"
    assert len(link.asked) == 3
    assert {packet[12:] for packet in link.asked} == {b"\x08_p2pcall\x04_udp\x05local\0\0\x0c\0\x01"}
    link = FakeLink("bob")
    assert spotted(monkeypatch, "bob", link, ask_at_s=(0.0, PATIENCE_S)) == "bob"
    assert len(link.asked) == 1


def test_nobody_of_that_name_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spotted(monkeypatch, "bob", FakeLink("anna", "bob-2", "bo"), timeout_s=0.01) is None
    assert spotted(monkeypatch, "bob", FakeLink("bob", quiet=9), timeout_s=0.01) is None


def test_a_flood_of_names_that_read_the_same_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    spellings = [
        "".join(char.upper() if n >> i & 1 else char for i, char in enumerate("robert")) for n in range(64)
    ]
    link = FakeLink(*spellings, quiet=9)
    assert spotted(monkeypatch, "robert", link, timeout_s=0.01) is None
    assert set(link.looked_at) == {f"{one}.{SERVICE_TYPE}" for one in spellings[:MAX_SEEN]}


def test_what_cannot_be_read_is_passed_over() -> None:
    async def story() -> None:
        zc: Any = None
        assert net_spot._Lookout(zc, LINK, {"bob"}, None)._cached(f"{'a' * 70}.{SERVICE_TYPE}") is None

    asyncio.run(story())


def test_without_a_network_it_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_spot, "look_for_link", lambda _: None)
    with pytest.raises(P2PCallError) as caught:
        asyncio.run(look_up_privately("bob", PATIENCE_S))
    assert (caught.value.slug, caught.value.exit) == ("no-network", ExitCode.NOT_FOUND)


def test_a_network_that_goes_while_we_ask_has_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(FakeLink):
        async def async_wait_for_start(self) -> None:
            raise NotRunningException

    assert spotted(monkeypatch, "bob", Gone()) is None
