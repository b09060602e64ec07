"""Where somebody is who is dialled by name: on the local network, or a host that the system's resolver knows.

Both are asked. The network comes first, but for a name with a dot that is no contact's: it reads as a host name, and
whoever is on the network could take it. There the resolver has a head start, and a host that it knows at once is not
told to the network at all. A contact has a key to prove, so nobody can take such a name; and somebody who knows whom
he calls is not kept waiting for a resolver that says nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from p2pcall.engine.station import Station
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import LOCALHOST, Address, Target, resolve
from p2pcall.net.discovery import LanPeer, find

FIND_TIMEOUT_S = 2.0
"""How long a name is looked for on the LAN before it is taken for a host name; mDNS answers within 0.12 s."""
FIND_GRACE_S = 0.5
"""How much longer the LAN is asked when the system has an address already; and the head start of the system where it
comes first."""
CONTACT_TIMEOUT_S = 1.2
"""So long a contact is looked for, on the LAN (three questions) and by the system, which answers at once if it can."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a target is, and what is known of it beforehand."""

    addresses: list[Address]
    expected_key: bytes | None
    name: str | None
    """The user's own name for it, under which the key is kept; None for a bare address, which names nobody."""


async def locate(station: Station, target: Target) -> Found:
    """Addresses for a target. P2PCallError (not found) if nobody knows any."""
    if target.kind == "literal":
        return Found(await resolve(target), None, None)
    expected = station.people.expected_key(target.host)
    resolving = asyncio.ensure_future(resolve(target))
    try:
        if not _may_be_on_lan(target):
            if target.host != LOCALHOST:
                station.ui.progress(f"looking up {target.host} ...")
            return Found(await resolving, expected, target.host)
        station.ui.progress(f"looking for {target.host} on this network ...")
        if expected is not None:
            addresses = await _contact(target.host, station.settings.bind, resolving)
        else:
            addresses = await _anybody(target.host, station.settings.bind, resolving)
        return Found(addresses, expected, target.host)
    except P2PCallError as error:
        raise _not_found(target, error, station.settings.bind, contact=expected is not None) from error
    finally:
        resolving.cancel()  # or, if it has failed, nobody asks any more why


async def _contact(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]"
) -> list[Address]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CONTACT_TIMEOUT_S
    peer = await _seen(name, bound, resolving, CONTACT_TIMEOUT_S)
    if peer is not None:
        return list(peer.addresses)
    if not resolving.done():
        await asyncio.wait({resolving}, timeout=deadline - loop.time())
    if not resolving.done():
        raise P2PCallError("no-such-host", "the name server does not answer", ExitCode.NOT_FOUND)
    return resolving.result()


async def _anybody(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]"
) -> list[Address]:
    if "." in name:
        await asyncio.wait({resolving}, timeout=FIND_GRACE_S)
        if resolving.done() and resolving.exception() is None:
            return resolving.result()
    peer = await _seen(name, bound, resolving, FIND_TIMEOUT_S)
    if "." in name and resolving.done() and resolving.exception() is None:
        return resolving.result()  # a host is not to be taken over by whoever is on the network
    return list(peer.addresses) if peer is not None else await resolving


async def _seen(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]", timeout_s: float
) -> LanPeer | None:
    """Who answers to the name on the LAN. Once the system knows a host of that name, a shorter wait will do."""
    finding = asyncio.ensure_future(find(name, timeout_s, bound))
    try:
        both: set[asyncio.Future[Any]] = {finding, resolving}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not finding.done() and resolving.exception() is None:
            await asyncio.wait({finding}, timeout=FIND_GRACE_S)
        elif not finding.done():
            await asyncio.wait({finding})
        return finding.result() if finding.done() else None
    except P2PCallError:
        return None  # no network, or no mDNS here: a host name may still be known
    finally:
        finding.cancel()


def _may_be_on_lan(target: Target) -> bool:
    return not target.explicit_port and target.host.casefold() != LOCALHOST


def _not_found(target: Target, why: P2PCallError, bound: Sequence[str], *, contact: bool) -> P2PCallError:
    """In the words of whoever dials; a resolver that says nothing, or `--bind`, is not held against the other side."""
    on_lan, silent = _may_be_on_lan(target), why.slug == "no-name-server"
    hint: str | None = "p2pcall peers, to see who is there"
    if on_lan and contact:
        text = f"{target.host} is a contact, but is not listening on this network"
        hint = "p2pcall peers, to see who is there; p2pcall dial HOST, if they are at another address"
    elif silent:
        text = why.text + (", and nobody on this network has that name" if on_lan else "")
        hint = why.hint
    elif on_lan:
        text = f"{target.host!r} is neither on this network nor a host that can be found"
    else:
        text = f"{target.host!r} is not a host that can be found"
        hint = "p2pcall dial NAME, without a port, looks on this network, too"
    if bound and on_lan:
        text += f", looked for with --bind {' '.join(bound)} alone"
    return P2PCallError("no-such-peer", text, ExitCode.NOT_FOUND, hint)
