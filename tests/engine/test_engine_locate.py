"""Where a target is: the LAN and the system's resolver are asked at once, and whoever loses the race is not heard."""

import asyncio
import gc
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from p2pcall.engine import caller
from p2pcall.engine.people import People
from p2pcall.engine.station import Interrupts, Station
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net import address
from p2pcall.net.address import Address, parse_target
from p2pcall.net.discovery import LanPeer

BOB = LanPeer("bob", 51729, (("192.0.2.7", 51729),), MappingProxyType({}), "bob.local.")
TURNS = range(6)
"""Further apart than so many turns of the loop the two do not meet."""


class Race:
    """`locate` with a LAN and a resolver that answer when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = asyncio.get_running_loop()
        self.lan: asyncio.Future[LanPeer | None] = self.loop.create_future()
        self.system: asyncio.Future[list[Address]] = self.loop.create_future()
        self.unheard: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unheard.append(context))
        monkeypatch.setattr(caller, "find", self._find)
        monkeypatch.setattr(address, "_getaddrinfo", lambda *_: self.system)
        nobody = SimpleNamespace(expected_key=lambda name: None)
        self.interrupts = Interrupts()
        self.station = cast(
            Station,
            SimpleNamespace(
                people=cast(People, nobody),
                settings=SimpleNamespace(bind=()),
                interrupts=self.interrupts,
            ),
        )

    async def _find(self, *_: Any) -> LanPeer | None:
        return await self.lan

    async def located(self) -> caller.Found:
        return await Station.unless_interrupted(
            self.station, caller.locate(self.station, parse_target("bob"))
        )

    def no_lan(self) -> None:
        if not self.lan.done():
            self.lan.set_exception(P2PCallError("mdns", "none here", ExitCode.NOT_FOUND))

    def no_host(self) -> None:
        if not self.system.done():
            self.system.set_exception(OSError("no such host"))

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def unheard_errors(self) -> list[dict[str, Any]]:
        """What reached the loop's last resort, after everything nobody waits for is gone."""
        await self.turns(10)
        del self.lan, self.system
        gc.collect()
        return self.unheard


@pytest.mark.parametrize("apart", TURNS)
@pytest.mark.parametrize("first", ["lan", "system"])
def test_a_resolver_that_fails_as_the_lan_answers_is_not_heard(
    monkeypatch: pytest.MonkeyPatch, first: str, apart: int
) -> None:
    async def run() -> None:
        race = Race(monkeypatch)
        found = asyncio.ensure_future(race.located())
        await race.turns(5)
        happenings = [lambda: race.lan.set_result(BOB), race.no_host]
        for happens in happenings if first == "lan" else reversed(happenings):
            happens()
            await race.turns(apart)
        assert (await found).addresses == [("192.0.2.7", 51729)]
        assert await race.unheard_errors() == []

    asyncio.run(run())


@pytest.mark.parametrize("apart", TURNS)
@pytest.mark.parametrize("who", ["lan", "system", "signal"])
def test_what_fails_as_something_else_is_decided_is_not_heard(
    monkeypatch: pytest.MonkeyPatch, apart: int, who: str
) -> None:
    """The LAN breaks down as the resolver fails; a signal comes as both do."""

    async def run() -> None:
        race = Race(monkeypatch)
        found = asyncio.ensure_future(race.located())
        await race.turns(5)
        happenings = {"lan": race.no_lan, "system": race.no_host}
        if who == "signal":
            happenings[who] = race.interrupts.closed
        first = happenings.pop(who)
        first()
        await race.turns(apart)
        for happens in happenings.values():
            happens()
        with pytest.raises((P2PCallError, BrokenPipeError)):
            await found
        del found
        assert await race.unheard_errors() == []

    asyncio.run(run())
