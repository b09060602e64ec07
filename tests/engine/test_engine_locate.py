"""Where a target is: the LAN and the system's resolver are asked at once, and whoever loses the race is not heard."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from p2pcall.engine import caller
from p2pcall.engine.station import Interrupts, Station
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import address
from p2pcall.net.address import Address, parse_target
from p2pcall.net.discovery import LanPeer

BOB = LanPeer("bob", 51729, (("192.0.2.7", 51729),), MappingProxyType({}), "bob.local.")
Happens = Callable[[], None]
TURNS = range(6)
"""Further apart than so many turns of the loop the two do not meet."""


class Race:
    """`locate` with a LAN and a resolver that answer when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._lan: asyncio.Future[LanPeer] = loop.create_future()
        self._system: asyncio.Future[list[Address]] = loop.create_future()
        self._interrupts = Interrupts()
        self._unheard: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self._unheard.append(context))
        monkeypatch.setattr(caller, "find", self._find)
        monkeypatch.setattr(address, "_getaddrinfo", lambda *_: self._system)

    async def _find(self, *_: Any) -> LanPeer:
        return await self._lan

    def bob(self) -> None:
        """The LAN has found him."""
        self._lan.set_result(BOB)

    def no_lan(self) -> None:
        if not self._lan.done():
            self._lan.set_exception(P2PCallError("mdns", "none here", ExitCode.NOT_FOUND))

    def no_host(self) -> None:
        if not self._system.done():
            self._system.set_exception(OSError("no such host"))

    def stop(self) -> None:
        """A signal, or nobody reads any more."""
        self._interrupts.closed()

    async def run(self, first: Happens, then: Sequence[Happens], apart: int) -> caller.Found:
        """What is found when one happens and, so many turns of the loop later, the others."""
        fake = SimpleNamespace(
            people=SimpleNamespace(expected_key=lambda name: None),
            settings=SimpleNamespace(bind=()),
            interrupts=self._interrupts,
        )
        station = cast(Station, fake)
        locating = caller.locate(station, parse_target("bob"))
        found = asyncio.ensure_future(Station.unless_interrupted(station, locating))
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
