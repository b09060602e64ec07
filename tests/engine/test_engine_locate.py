"""Where a target is: the LAN and the system's resolver are asked at once, and whoever loses the race is not heard.

For a contact neither is asked by name.
"""

import asyncio
import gc
from collections.abc import Callable, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest
from fakeenv import fake_env

from p2pcall.engine import locate as engine_locate
from p2pcall.engine.locate import Location, locate
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import Interrupts, UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import address, private_lookup
from p2pcall.net.address import parse_target
from p2pcall.net.lanpeer import LanPeer
from p2pcall.proto.handshake.safety_number import identity_key, identity_uri
from p2pcall.store.identity import fingerprint
from p2pcall.types import Address

BOB = LanPeer("bob", 51729, (("192.0.2.7", 51729),), MappingProxyType({}), "bob.local.")
Happens = Callable[[], None]
TURNS = range(6)
"""Further apart than so many turns of the loop the two do not meet."""


class Race:
    """`locate` with a LAN and a resolver that answer when they are told to."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, target: str = "bob", *, contact: bool = False
    ) -> None:
        self.bound: tuple[str, ...] = ()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.hosts: list[str] = []
        self.spotted: list[str] = []
        key = b"k" * 32 if contact else None
        self.is_host = False
        trust = SimpleNamespace(expected_key=lambda name: key, is_host=lambda name: self.is_host)
        self._target, self.trust = target, cast(Any, trust)
        loop = asyncio.get_running_loop()
        self._lan: asyncio.Future[LanPeer] = loop.create_future()
        self._system: asyncio.Future[list[Address]] = loop.create_future()
        self._interrupts = Interrupts()
        self._unheard: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self._unheard.append(context))
        monkeypatch.setattr(engine_locate, "find_on_link", self._find)
        monkeypatch.setattr(engine_locate, "find_on_link_privately", self._spot)
        monkeypatch.setattr(address, "_getaddrinfo", self._getaddrinfo)

    def _getaddrinfo(self, host: str, port: int) -> "asyncio.Future[list[Address]]":
        self.hosts.append(host)
        return self._system

    async def _spot(self, name: str, *_: Any) -> LanPeer:
        self.spotted.append(name)
        return await self._lan

    async def _find(self, name: str, *_: Any) -> LanPeer:
        self.asked.append(name)
        return await self._lan

    def bob(self) -> None:
        """The LAN has found him."""
        self._lan.set_result(BOB)

    def no_lan(self) -> None:
        if not self._lan.done():
            self._lan.set_exception(P2PCallError("mdns", "none here", ExitCode.NOT_FOUND))

    def host(self) -> None:
        """The system knows a host of that name."""
        self._system.set_result([("198.51.100.9", 51729)])

    def silence(self) -> None:
        """No name server answers in time."""
        self._system.set_exception(TimeoutError())

    def no_host(self) -> None:
        if not self._system.done():
            self._system.set_exception(OSError("no such host"))

    def stop(self) -> None:
        """A signal, or nobody reads any more."""
        self._interrupts.closed()

    async def run(self, first: Happens, then: Sequence[Happens], apart: int) -> Location:
        """What is found when one happens and, so many turns of the loop later, the others."""
        fake = SimpleNamespace(
            trust=self.trust,
            ui=SimpleNamespace(progress=self.said.append),
            settings=SimpleNamespace(bind=self.bound),
            interrupts=self._interrupts,
            identity=SimpleNamespace(private=bytes(31) + b"i"),
            env=fake_env(),
        )
        agent = cast(UserAgent, fake)
        locating = locate(agent, parse_target(self._target))
        found = asyncio.ensure_future(UserAgent.unless_interrupted(agent, locating))
        await turns(5)
        first()
        await turns(apart)
        for happens in then:
            happens()
        return await found

    async def unheard(self) -> list[dict[str, Any]]:
        """What reached the loop's last resort, after everything nobody waits for is gone."""
        await turns(10)
        del self._lan, self._system
        gc.collect()
        return self._unheard


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("apart", TURNS)
@pytest.mark.parametrize("first", ["lan", "system"])
def test_a_resolver_that_fails_as_the_lan_answers_is_not_heard(
    monkeypatch: pytest.MonkeyPatch, first: str, apart: int
) -> None:
    async def story() -> None:
        race = Race(monkeypatch)
        order = [race.bob, race.no_host] if first == "lan" else [race.no_host, race.bob]
        assert (await race.run(order[0], order[1:], apart)).addresses == [("192.0.2.7", 51729)]
        assert await race.unheard() == []

    asyncio.run(story())


@pytest.mark.parametrize("apart", TURNS)
@pytest.mark.parametrize("who", ["lan", "system", "signal"])
def test_what_fails_as_something_else_is_decided_is_not_heard(
    monkeypatch: pytest.MonkeyPatch, apart: int, who: str
) -> None:
    """The LAN breaks down as the resolver fails; a signal comes as both do."""

    async def story() -> None:
        race = Race(monkeypatch)
        order = {
            "lan": [race.no_lan, race.no_host],
            "system": [race.no_host, race.no_lan],
            "signal": [race.stop, race.no_lan, race.no_host],
        }[who]
        with pytest.raises((P2PCallError, BrokenPipeError)):
            await race.run(order[0], order[1:], apart)
        assert await race.unheard() == []

    asyncio.run(story())


HOST, BOB_AT = [("198.51.100.9", 51729)], [("192.0.2.7", 51729)]


def located(
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    *happens: str,
    contact: bool = False,
    patience: float = 60.0,
    bound: tuple[str, ...] = (),
) -> tuple[list[Address], Race]:
    """Where a target is when these happen at once and nothing after; nobody waits longer than so many seconds."""
    for name in ("FIND_GRACE_S", "CONTACT_TIMEOUT_S"):
        monkeypatch.setattr(engine_locate, name, patience)

    async def story() -> tuple[list[Address], Race]:
        race = Race(monkeypatch, target, contact=contact)
        race.bound = bound
        told = [cast(Happens, getattr(race, name)) for name in happens] or [lambda: None]
        return (await race.run(told[0], told[1:], 0)).addresses, race

    return asyncio.run(story())


def test_a_name_with_a_dot_is_found_on_the_network_if_no_host_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses, race = located(monkeypatch, "jan.smit", "no_host", "bob")
    assert (addresses, race.asked) == (BOB_AT, ["jan.smit"])
    assert race.said == ["looking for jan.smit on this network ..."]


def test_a_host_that_the_system_knows_is_not_told_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody there can take its place."""
    addresses, race = located(monkeypatch, "host.example", "host", "bob")
    assert (addresses, race.asked) == (HOST, [])


@pytest.mark.parametrize("order", [("bob", "host"), ("host", "bob")])
def test_a_host_whose_name_server_is_slow_is_not_taken_over_by_the_network(
    monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    addresses, race = located(monkeypatch, "host.example", *order, patience=0.0)
    assert (addresses, race.asked) == (HOST, ["host.example"])


@pytest.mark.parametrize("target", ["mum", "jan.smit", "host.example", "mum:51729"])
@pytest.mark.parametrize("there", [True, False], ids=["there", "away"])
def test_a_contact_is_looked_for_without_a_name(
    monkeypatch: pytest.MonkeyPatch, target: str, there: bool
) -> None:
    """Though a host of that name is known: whoever wants that says so (`mum@HOST`)."""
    if there:
        addresses, race = located(monkeypatch, target, "bob", "host", contact=True)
        assert addresses == BOB_AT
        assert (race.asked, race.hosts, race.spotted) == ([], [], [target.partition(":")[0]])
    else:
        with pytest.raises(P2PCallError, match="is a contact, but is not listening on this network"):
            located(monkeypatch, target, "no_lan", "host", contact=True)


def test_a_contact_is_dialled_at_the_port_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert located(monkeypatch, "mum:9", "bob", contact=True)[0] == [("192.0.2.7", 9)]


@pytest.mark.parametrize("happens", ["no_lan", "nobody"])
def test_a_contact_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch, happens: str) -> None:
    async def nobody(_name: str, timeout_s: float, *_: object) -> None:
        assert timeout_s == engine_locate.CONTACT_TIMEOUT_S

    if happens == "nobody":
        monkeypatch.setattr(Race, "_spot", lambda self, *args: nobody(*args))
    with pytest.raises(P2PCallError) as caught:
        located(monkeypatch, "Mum & Dad", "no_lan", contact=True)
    assert (caught.value.slug, caught.value.exit) == ("no-such-peer", ExitCode.NOT_FOUND)
    assert caught.value.text == "Mum & Dad is a contact, but is not listening on this network"
    assert "p2pcall dial 'Mum & Dad@HOST'" in (caught.value.hint or "")


def test_nobody_is_kept_waiting_for_a_contact() -> None:
    """The numbers themselves: about a second, in which the network is asked three times."""
    assert max(private_lookup.ASK_AT_S) + 0.3 <= engine_locate.CONTACT_TIMEOUT_S <= 1.5


def test_with_a_port_only_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses, race = located(monkeypatch, "mum:51729", "host", "bob")
    assert (addresses, race.asked, race.said) == (HOST, [], ["looking up mum ..."])
    with pytest.raises(P2PCallError) as caught:
        located(monkeypatch, "mum:51729", "no_host")
    assert caught.value.text == "'mum' is not a host that can be found"


# ---- with a key: CONTACT@HOST, KEY@HOST, and a key alone

KEYS = {"bob": b"b" * 32, "me@work": b"m" * 32}
URI = identity_uri(b"b" * 32)
STRANGER = identity_uri(b"s" * 32)


def with_key(monkeypatch: pytest.MonkeyPatch, target: str, *happens: str) -> tuple[Location, Race]:
    """What is found for a target by somebody who knows `KEYS`."""

    async def story() -> tuple[Location, Race]:
        race = Race(monkeypatch, target)
        race.trust = Known()
        told = [cast(Happens, getattr(race, name)) for name in happens] or [lambda: None]
        return await race.run(told[0], told[1:], 0), race

    return asyncio.run(story())


class Known:
    """In the place of `TrustStore`."""

    def expected_key(self, name: str) -> bytes | None:
        return KEYS.get(name)

    def is_host(self, name: str) -> bool:
        return False

    def key_in(self, uri: str) -> bytes:
        return identity_key(uri)

    def identify(self, public: bytes, claimed: str) -> PeerIdentity:
        name = next((name for name, key in KEYS.items() if key == public), claimed)
        return PeerIdentity(name, "", "contact" if public in KEYS.values() else "new")


@pytest.mark.parametrize(
    ("target", "address", "key", "name"),
    [
        ("bob@192.0.2.9", ("192.0.2.9", 51729), b"b", "bob"),
        ("bob@192.0.2.9:7", ("192.0.2.9", 7), b"b", "bob"),
        ("bob@[2001:db8::9]:7", ("2001:db8::9", 7, 0, 0), b"b", "bob"),
        ("me@work@192.0.2.9", ("192.0.2.9", 51729), b"m", "me@work"),
        (f"{URI}@192.0.2.9", ("192.0.2.9", 51729), b"b", "bob"),
        (f"{URI.upper()}@[2001:db8::9]:7", ("2001:db8::9", 7, 0, 0), b"b", "bob"),
        (f"{STRANGER}@192.0.2.9", ("192.0.2.9", 51729), b"s", None),
    ],
)
def test_an_address_is_dialled_with_a_key(
    monkeypatch: pytest.MonkeyPatch, target: str, address: Address, key: bytes, name: str | None
) -> None:
    found, race = with_key(monkeypatch, target)
    assert found == Location([address], key * 32, name)
    assert (race.asked, race.spotted, race.hosts) == ([], [], [])


@pytest.mark.parametrize("who", ["bob", URI, STRANGER])
def test_behind_the_at_stands_a_host_and_only_that_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    found, race = with_key(monkeypatch, f"{who}@box.example:7", "host")
    assert (found.addresses, race.asked, race.spotted, race.hosts) == (HOST, [], [], ["box.example"])
    with pytest.raises(P2PCallError, match=r"'box.example' is not a host that can be found"):
        with_key(monkeypatch, f"{who}@box.example", "no_host")


def test_a_contact_whose_own_name_has_an_at_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found, race = with_key(monkeypatch, "me@work", "bob")
    assert (found, race.spotted, race.hosts) == (Location(BOB_AT, b"m" * 32, "me@work"), ["me@work"], [])


def test_who_is_no_contact_is_told_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for target in ("eve@192.0.2.9", "eve@box.example"):
        with pytest.raises(P2PCallError) as caught:
            with_key(monkeypatch, target, "host", "bob")
        assert (caught.value.slug, caught.value.exit) == ("no-such-contact", ExitCode.NOT_FOUND)


def test_a_key_alone_is_looked_for_under_its_owners_name_if_we_have_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, race = with_key(monkeypatch, URI, "bob")
    assert (found, race.spotted) == (Location(BOB_AT, b"b" * 32, "bob"), ["bob"])


def test_the_owner_of_a_key_that_is_no_contacts_is_looked_for_by_what_is_announced_to_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where they are not found, it is said how to call them at an address; no name server is asked."""
    found, race = with_key(monkeypatch, STRANGER, "bob", "host")
    assert found == Location(BOB_AT, b"s" * 32, None), "the key alone decides whether it is them"
    assert (race.asked, race.hosts, race.spotted) == ([], [], [fingerprint(b"s" * 32)[:9]])
    with pytest.raises(P2PCallError) as caught:
        with_key(monkeypatch, STRANGER, "no_lan", "host")
    assert (caught.value.slug, caught.value.exit) == ("no-such-peer", ExitCode.NOT_FOUND)
    assert f"p2pcall dial {STRANGER}@HOST" in (caught.value.hint or "")


@pytest.mark.parametrize("uri", [URI[:-1], "p2pcall:safety/1/12345", URI.replace("id/1", "id/2")])
def test_a_key_that_is_not_whole_is_told(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    for target in (uri, f"{uri}@192.0.2.9"):
        with pytest.raises(P2PCallError) as caught:
            with_key(monkeypatch, target)
        assert (caught.value.slug, caught.value.exit) == ("bad-target", ExitCode.USAGE)


def test_a_name_server_that_is_silent_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for target, more in (("mum", ", and nobody on this network has that name"), ("mum:51729", "")):
        with pytest.raises(P2PCallError) as caught:
            located(monkeypatch, target, "no_lan", "silence")
        assert caught.value.text == f"the name server did not answer for 'mum'{more}"
        assert caught.value.hint == "getent ahosts mum"


def test_with_bind_it_is_said_where_it_was_not_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(P2PCallError) as caught:
        located(monkeypatch, "mum", "no_lan", "no_host", contact=True, bound=("127.0.0.1",))
    assert caught.value.text.endswith("listening on this network, looked for with --bind 127.0.0.1 alone")


@pytest.mark.parametrize("target", ["box.example", "box:7"])
def test_a_contact_who_was_dialled_as_a_host_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Else a host could be dialled by its name only once."""

    async def story() -> None:
        first = Race(monkeypatch, target)
        found = await first.run(first.host, [], 0)
        assert found.host
        again = Race(monkeypatch, target, contact=True)
        again.is_host = True
        found = await again.run(again.host, [], 0)
        assert (found.addresses, found.expected_key) == ([("198.51.100.9", 51729)], b"k" * 32)
        assert (again.spotted, again.asked, again.hosts) == ([], [], [target.partition(":")[0]])

    asyncio.run(story())


def test_whoever_was_found_on_the_network_is_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        race = Race(monkeypatch)
        assert not (await race.run(race.bob, [race.no_host], 0)).host

    asyncio.run(story())
