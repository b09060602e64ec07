"""An answered call until its end: it becomes active, is reported, runs (`live`), and its recordings are completed.

Left out: how it was answered (`caller`, `listener`).
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from p2pcall import events
from p2pcall.engine.consents import ConsentKind
from p2pcall.engine.node import LocalSignal, PeerConnection
from p2pcall.engine.offload import to_the_end
from p2pcall.engine.outcome import GOODBYES, WISHES, Outcome
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.proto.events import CallEnded

if TYPE_CHECKING:
    from p2pcall.engine.devices import Devices


async def talk(
    agent: UserAgent,
    line: PeerConnection,
    devices: "Devices",
    who: PeerIdentity,
    *,
    video: bool,
    remote_video: bool,
    setup_ms: float,
    standing: frozenset[ConsentKind] = frozenset(),
) -> Outcome:
    """Wait until the call is active (the caller may still have to show its nonce), report it, run it, report its end.

    `standing`: what this side sends by permission. If there were devices to find, `preparing` has loaded the call's
    modules by now.
    """
    from p2pcall.engine.live import LiveCall

    peer, interrupts = line.peer, agent.interrupts
    end = partial(Outcome, call=peer.call_id, name=who.name, fingerprint=who.fingerprint, known=who.known)
    gone = await _until_active(agent, line)
    if gone is not None:
        devices.close()
        outcome = end(gone)
        agent.tell_end(outcome)
        return outcome
    video = video and devices.sends_video
    agent.ui.emit(
        events.Connected(
            peer.call_id,
            who.name,
            who.fingerprint,
            who.known,
            peer.protocol_name,
            peer.sas,
            devices.sends_audio,
            video,
            round(setup_ms, 1),
        )
    )
    live = LiveCall(agent, line, devices, who, video=video, remote_video=remote_video)
    if standing:
        live.rest_on(agent.trust.permissions, standing)
    interrupts.take, interrupts.resized = line.tell, live.resized
    try:
        try:
            finished = await live.run()
        finally:
            await _complete(agent, devices)
    except P2PCallError:
        agent.tell_end(end("device", sas=peer.sas))
        raise
    finally:
        interrupts.take = interrupts.resized = None
    outcome = end(
        finished.reason,
        duration_s=finished.duration_s,
        figures=finished.figures,
        sas=peer.sas,
        by=finished.by,
    )
    agent.tell_end(outcome)
    return outcome


async def _complete(agent: UserAgent, devices: "Devices") -> None:
    """Complete the written files in a thread; the loop continues for the line and for other callers."""
    loop = asyncio.get_running_loop()

    def tell(error: P2PCallError) -> None:
        loop.call_soon_threadsafe(agent.ui.emit, events.Warning(error.slug, error.text))

    with agent.interrupts.put_off():
        await to_the_end(lambda: devices.complete(tell))


async def _until_active(agent: UserAgent, line: PeerConnection) -> str | None:
    """Waits until the words are known. Returns None, or the reason if the call ended before."""
    agent.interrupts.tell(line.tell)
    try:
        while not line.peer.sas:
            match await line.signals.get():
                case CallEnded() as ended:
                    reason = ended.reason.slug
                    return reason if reason in GOODBYES else "missed"
                case LocalSignal(what) if what in WISHES:
                    line.hang_up(WISHES[what])
                    return what
                case _:
                    pass
        return None
    finally:
        agent.interrupts.take = None
