"""The commands that place calls, each one coroutine: `listen` and `dial`, with everything opened and closed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from p2pcall.engine.aside import aside
from p2pcall.engine.caller import Caller
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.preparing import prepare
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.station import Station
from p2pcall.engine.ui import Ui
from p2pcall.env import Env
from p2pcall.net.address import parse_target
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create

if TYPE_CHECKING:
    from p2pcall.engine.devices import Devices


async def dial(
    env: Env,
    settings: CallSettings,
    home: Home,
    ui: Ui,
    target: str,
    *,
    on_playout: Callable[[bytes], None] | None = None,
) -> Outcome:
    """Call `target`. P2PCallError for everything that went wrong before an answer.

    `on_playout` is given each frame (20 ms of PCM) that goes to the speaker.
    """
    where = parse_target(target)

    async def look() -> "Devices":
        devices = await prepare(settings, env, ui)
        devices.speaker.on_playout = on_playout
        return devices

    async with _station(env, settings, home, ui, any_port=True) as station:
        station.open()
        return await Caller(station, look, where, target).run()


async def listen(env: Env, settings: CallSettings, home: Home, ui: Ui) -> Outcome:
    """Answer calls until told to stop."""
    async with _station(env, settings, home, ui, any_port=False) as station:
        devices = await station.unless_interrupted(prepare(settings, env, ui))
        try:
            from p2pcall.engine.listener import Listener

            station.open()
            return await Listener(station, devices).run()
        finally:
            devices.close()


@asynccontextmanager
async def _station(
    env: Env, settings: CallSettings, home: Home, ui: Ui, *, any_port: bool
) -> AsyncIterator[Station]:
    """This side, with its signals caught; a bug that a callback or a thread met is raised at the end."""
    identity = await aside(lambda: load_or_create(home, env.entropy))
    station = Station(env, settings, home, identity, ui, any_port=any_port)
    station.interrupts.install()
    ui.on_closed = station.interrupts.closed
    try:
        yield station
        if station.interrupts.crash is not None:
            raise station.interrupts.crash
    finally:
        await asyncio.shield(station.node.close())
        station.interrupts.remove()
