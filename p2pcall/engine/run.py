"""The commands that place calls, each one coroutine: `listen` and `dial`, with everything opened and closed."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

from p2pcall import events
from p2pcall.engine.aside import aside
from p2pcall.engine.caller import Caller
from p2pcall.engine.devices import WINDOW, Devices, look_for_devices
from p2pcall.engine.listener import Listener
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.station import Station
from p2pcall.engine.ui import Ui
from p2pcall.engine.windowcheck import WindowCheck
from p2pcall.env import Env
from p2pcall.net.address import parse_target
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create


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

    def work(station: Station, devices: Devices) -> Awaitable[Outcome]:
        devices.speaker.on_playout = on_playout
        return Caller(station, devices, where, target).run()

    return await _run(env, settings, home, ui, work, any_port=True)


async def listen(env: Env, settings: CallSettings, home: Home, ui: Ui) -> Outcome:
    """Answer calls until told to stop."""
    return await _run(
        env, settings, home, ui, lambda station, devices: Listener(station, devices).run(), any_port=False
    )


async def _run(
    env: Env,
    settings: CallSettings,
    home: Home,
    ui: Ui,
    work: Callable[[Station, Devices], Awaitable[Outcome]],
    *,
    any_port: bool,
) -> Outcome:
    identity = await aside(lambda: load_or_create(home, env.entropy))
    station = Station(env, settings, home, identity, ui, any_port=any_port)
    station.interrupts.install()
    ui.on_closed = station.interrupts.closed
    devices: Devices | None = None
    window: WindowCheck | None = None
    try:
        if settings.media.video_out == WINDOW and not settings.echo:
            window = WindowCheck(env.environ)
        devices = await station.unless_interrupted(look_for_devices(settings, env))
        if window is not None:
            await station.unless_interrupted(window.result())
        for warning in devices.warnings:
            ui.emit(events.Warning(warning.slug, warning.text))
        station.open()
        gc.freeze()  # the libraries' objects are there to stay: looking through them holds the sound up for 50 ms
        outcome = await work(station, devices)
        if station.interrupts.crash is not None:
            raise station.interrupts.crash
        return outcome
    finally:
        if window is not None:
            window.close()
        if devices is not None:
            devices.close()
        await asyncio.shield(station.node.close())
        station.interrupts.remove()
