"""The call commands `listen` and `dial`, each one coroutine that opens and closes everything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from p2pcall.engine.caller import Caller
from p2pcall.engine.offload import offload
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.preparing import prepare
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.ui import Ui
from p2pcall.engine.user_agent import UserAgent
from p2pcall.env import Env
from p2pcall.events import Warning
from p2pcall.net.address import parse_target
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.rotation import former_key

if TYPE_CHECKING:
    from p2pcall.engine.devices import Devices


async def run_dial(
    env: Env,
    settings: CallSettings,
    home: Home,
    ui: Ui,
    target: str,
    *,
    on_playout: Callable[[bytes], None] | None = None,
) -> Outcome:
    """Call `target`. P2PCallError for every failure before an answer.

    `on_playout` gets each frame (20 ms of PCM) that goes to the speaker.
    """
    where = parse_target(target)

    async def look() -> "Devices":
        devices = await prepare(settings, env, ui)
        devices.speaker.on_playout = on_playout
        return devices

    async with _agent(env, settings, home, ui, any_port=True) as agent:
        agent.open()
        return await Caller(agent, look, where, target).run()


async def run_listen(env: Env, settings: CallSettings, home: Home, ui: Ui) -> Outcome:
    """Answer calls until stopped."""
    async with _agent(env, settings, home, ui, any_port=False) as agent, _listening(home, ui):
        devices = await agent.unless_interrupted(prepare(settings, env, ui))
        try:
            from p2pcall.engine.listener import Listener

            agent.open()
            agent.history.watch()
            return await Listener(agent, devices).run()
        finally:
            devices.close()


@asynccontextmanager
async def _listening(home: Home, ui: Ui) -> AsyncIterator[None]:
    """Say so if another process waits for calls with this home; both work, but a call reaches only one of them."""
    held = home.listened_at()
    if not await offload(held.__enter__):
        text = (
            "another p2pcall listen is running with this home; each is called at its own port, and those who call "
            "by name reach the one or the other"
        )
        ui.emit(Warning("already-listening", text))
    try:
        yield
    finally:
        held.__exit__(None, None, None)


@asynccontextmanager
async def _agent(
    env: Env, settings: CallSettings, home: Home, ui: Ui, *, any_port: bool
) -> AsyncIterator[UserAgent]:
    """This side's user agent, with signal handlers; a bug in a callback or thread is raised at its end."""
    identity = await offload(lambda: load_or_create(home, env.entropy))
    former = await offload(lambda: former_key(home, identity, env.clock.time()))
    agent = UserAgent(env, settings, home, identity, ui, any_port=any_port, former=former)
    await offload(agent.prepare)
    agent.interrupts.install()
    ui.on_closed = agent.interrupts.closed
    try:
        yield agent
        if agent.interrupts.crash is not None:
            raise agent.interrupts.crash
    finally:
        await asyncio.shield(agent.node.close())
        await asyncio.shield(agent.history.close())
        await asyncio.shield(agent.unanswered.close())
        await asyncio.shield(offload(agent.vault.close))
        agent.interrupts.remove()
