"""`p2pcall peers`: who can be called on the local network now."""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

from p2pcall import events
from p2pcall.cli.line_writer import LineWriter
from p2pcall.cli.stdout import StdoutClosed, say
from p2pcall.engine.offload import offload
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.events import Event, to_json
from p2pcall.net.address import format_address
from p2pcall.net.discovery import Browser, browse
from p2pcall.net.lanpeer import LanPeer, Recognise
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.view.sanitize import clean

NETWORK_POLL_S: Final = 1.0
"""Interval at which `--watch` looks for a missing network."""


async def list_peers(env: Env, home: Home, *, watch: bool, json: bool) -> ExitCode:
    """List them once, or with `watch` report who comes and goes until interrupted."""
    gc.enable()  # everything is loaded (`cli.run`)
    contacts = Contacts(home)
    contacts.blocked()  # a passphrase is asked for before anything is shown
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def closed() -> None:
        if not broken.done():
            broken.set_result(None)

    lines = LineWriter(env.stdout, closed) if json else None

    def tell(make: Callable[..., Event], peer: LanPeer) -> None:
        contact = contacts.by_name(peer.name)
        if contact is not None and contact.blocked:
            contact = None
        addresses = tuple(format_address(address) for address in peer.addresses)
        event = make(clean(peer.name), addresses, peer.port, None if contact is None else contact.name)
        if lines is not None:
            lines.put(to_json(event, env.clock.time()))
            return
        sign = {"peer-found": "", "peer-lost": "gone: "}[event.event]
        known = "  (a contact of yours has this name)" if contact else ""
        known = "  (announced to contacts alone)" if peer.private else known
        env.stdout.write(f"{sign}{clean(peer.name):<20} {', '.join(addresses)}{known}\n")
        env.stdout.flush()

    def found(peer: LanPeer) -> None:
        tell(events.PeerFound, peer)

    try:
        recognise = await offload(lambda: _recogniser(env, home, contacts))
        if watch:
            await _watch(env, found, lambda peer: tell(events.PeerLost, peer), broken, recognise)
        else:
            await _once(env, found, recognise)
    finally:
        if lines is not None:
            await offload(lines.close)
    if lines is not None and lines.failure is not None:
        raise lines.failure
    return ExitCode.OK


def _recogniser(env: Env, home: Home, contacts: Contacts) -> Recognise | None:
    """Recognises the contacts who announce to contacts alone; None if there are no contacts."""
    known = {one.public: one.name for one in contacts.all() if not one.blocked}
    if not known:
        return None
    from p2pcall.engine.presence import recogniser
    from p2pcall.store.identity import load_or_create

    return recogniser(load_or_create(home, env.entropy).private, known, env.clock.time)


async def _once(env: Env, found: Callable[[LanPeer], None], recognise: Recognise | None) -> None:
    peers = await browse(recognise=recognise)
    for peer in peers:
        found(peer)
    if not peers:
        say(env, "nobody on this network says that they can be called; an address can be dialled too")


async def _watch(
    env: Env,
    found: Callable[[LanPeer], None],
    lost: Callable[[LanPeer], None],
    broken: "asyncio.Future[None]",
    recognise: Recognise | None,
) -> None:
    """Watch until `broken` is done; it is also set when stdout can no longer be written."""

    def guarded(tell: Callable[[LanPeer], None]) -> Callable[[LanPeer], None]:
        def call(peer: LanPeer) -> None:
            try:
                tell(peer)
            except (StdoutClosed, P2PCallError) as error:
                if not broken.done():
                    broken.set_exception(error)

        return call

    browser = Browser(on_found=guarded(found), on_lost=guarded(lost), recognise=recognise)
    browser.start()
    told: P2PCallError | None = None
    try:
        while not broken.done():
            await asyncio.wait({broken}, timeout=NETWORK_POLL_S)
            if browser.problem is not None and told is None:
                say(env, f"p2pcall: warning: {browser.problem.text}")
            told = browser.problem
        broken.result()
    finally:
        await browser.stop()
