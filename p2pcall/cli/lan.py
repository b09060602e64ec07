"""`p2pcall peers`: who can be called on the local network now."""

import asyncio
from collections.abc import Callable

from p2pcall import events
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.events import Event, to_json
from p2pcall.net.address import format_address
from p2pcall.net.discovery import Browser, LanPeer, browse
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.view.sanitize import clean

LOOK_S = 1.0
"""So often a missing network is looked for while watching."""


async def peers(env: Env, home: Home, *, watch: bool, json: bool) -> ExitCode:
    """List them once, or with `watch` tell who comes and goes until interrupted."""
    contacts = Contacts(home)

    def tell(make: Callable[..., Event], peer: LanPeer) -> None:
        contact = contacts.by_name(peer.name)
        addresses = tuple(format_address(address) for address in peer.addresses)
        event = make(clean(peer.name), addresses, peer.port, None if contact is None else contact.name)
        if json:
            text = to_json(event, env.clock.time())
        else:
            sign = {"peer-found": "", "peer-lost": "gone: "}[event.event]
            known = "  (a contact of yours has this name)" if contact else ""
            text = f"{sign}{clean(peer.name):<20} {', '.join(addresses)}{known}"
        env.stdout.write(text + "\n")
        env.stdout.flush()

    def warn(problem: P2PCallError) -> None:
        env.stderr.write(f"p2pcall: warning: {problem.text}\n")

    if watch:
        await _watch(
            lambda peer: tell(events.PeerFound, peer), lambda peer: tell(events.PeerLost, peer), warn
        )
        return ExitCode.OK
    found = await browse()
    for peer in found:
        tell(events.PeerFound, peer)
    if not found:
        env.stderr.write(
            "nobody on this network says that they can be called; an address can be dialled too\n"
        )
    return ExitCode.OK


async def _watch(
    found: Callable[[LanPeer], None], lost: Callable[[LanPeer], None], warn: Callable[[P2PCallError], None]
) -> None:
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def guarded(tell: Callable[[LanPeer], None]) -> Callable[[LanPeer], None]:
        def call(peer: LanPeer) -> None:
            try:
                tell(peer)
            except BrokenPipeError as error:
                if not broken.done():
                    broken.set_exception(error)

        return call

    browser = Browser(on_found=guarded(found), on_lost=guarded(lost))
    browser.start()
    told: P2PCallError | None = None
    try:
        while not broken.done():
            await asyncio.wait({broken}, timeout=LOOK_S)
            if browser.problem is not None and told is None:
                warn(browser.problem)
            told = browser.problem
        broken.result()
    finally:
        await browser.stop()
