"""Where somebody is who is dialled: at an address, on the local network, or a host that the system's resolver knows.

A contact's name stays inside: the network is asked who is there and the name is compared here, and no resolver is
asked, not even for a contact who is called as a host is. Whoever is found so has a key to prove. With `@` it is said
where they are: only what stands behind it is looked up, as a host.

For any other name both are asked. The network comes first, but for a name with a dot: it reads as a host name, and
whoever is on the network could take it. There the resolver has a head start, and a host that it knows at once is not
told to the network at all.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import LOCALHOST, Target, is_key_uri, resolve
from p2pcall.store.contacts import as_typed
from p2pcall.types import Address

if TYPE_CHECKING:
    from p2pcall.net.lanpeer import LanPeer

FIND_TIMEOUT_S: Final = 2.0
"""How long a name is looked for on the LAN before it is taken for a host name; mDNS answers within 0.12 s."""
FIND_GRACE_S: Final = 0.5
"""How much longer the LAN is asked when the system has an address already; and the head start of the system where it
comes first."""
CONTACT_TIMEOUT_S: Final = 1.4
"""So long a contact is looked for on the LAN: who has just answered somebody else answers again after 1.3 s."""


class Location(Struct, frozen=True):
    """Where a target is, and what is known of it beforehand."""

    addresses: list[Address]
    expected_key: bytes | None
    name: str | None
    """The user's own name for it, under which the key is kept; None for a bare address or key, which names nobody."""
    host: bool = False
    """It is a host's name, and the resolver knew it."""


async def find_on_link(name: str, timeout_s: float, bound: Sequence[str]) -> "LanPeer | None":
    """`discovery.find_peer`, which is loaded where a name is looked for on the network, and nowhere else."""
    from p2pcall.net import discovery

    return await discovery.find_peer(name, timeout_s, bound)


async def find_on_link_privately(name: str, timeout_s: float, bound: Sequence[str]) -> "LanPeer | None":
    """`private_lookup.look_up_privately`, loaded as that is."""
    from p2pcall.net import private_lookup

    return await private_lookup.look_up_privately(name, timeout_s, bound)


async def locate(agent: UserAgent, target: Target) -> Location:
    """Addresses for a target, and the key that must be there. P2PCallError (not found) if nobody knows any."""
    name = target.host if target.kind == "name" and target.word is None else target.word
    pinned = None if name is None else agent.trust.expected_key(name)
    if name is not None and pinned is not None and (name == LOCALHOST or agent.trust.is_host(name)):
        return Location(await _host(agent, target), pinned, name)
    if name is not None and pinned is not None:
        return Location(await _contact(agent, name, target), pinned, name)
    key, known = (None, None) if target.who is None else _whose(agent, target.who)
    if target.kind == "key":
        if known is None:
            text = "that key is no contact's: it is not known where to look for it"
            hint = f"p2pcall dial {as_typed(f'{target.who}@HOST')}"
            raise P2PCallError("no-such-peer", text, ExitCode.NOT_FOUND, hint)
        return Location(await _contact(agent, known, target), key, known)
    if target.kind == "literal":
        return Location(await resolve(target), key, known)
    if target.who is not None:
        return Location(await _host(agent, target), key, known)
    addresses, host = await _anybody(agent, target)
    return Location(addresses, None, target.host, host)


def _whose(agent: UserAgent, who: str) -> tuple[bytes, str | None]:
    """The key that must be proven, and our name for its owner, if there is one. P2PCallError if there is no key."""
    trust = agent.trust
    key = trust.expected_key(who)
    if key is not None:
        return key, who
    if not is_key_uri(who):
        text = f"{who!r} is no contact, so it is not known which key to expect there"
        hint = "p2pcall contacts list; p2pcall dial HOST, to call whoever is there"
        raise P2PCallError("no-such-contact", text, ExitCode.NOT_FOUND, hint)
    try:
        key = trust.key_in(who)
    except ValueError as error:
        raise P2PCallError("bad-target", f"{who!r} is no target: {error}", ExitCode.USAGE) from error
    whose = trust.identify(key, "")
    return key, whose.name if whose.known != "new" else None


async def _contact(agent: UserAgent, name: str, target: Target) -> list[Address]:
    """On the local network, and nowhere else; at another port if one is given."""
    bound = agent.settings.bind
    agent.ui.progress(f"looking for {name} on this network ...")
    try:
        peer = await find_on_link_privately(name, CONTACT_TIMEOUT_S, bound)
    except P2PCallError:
        peer = None  # no network, or no mDNS here
    if peer is None:
        text = f"{name} is a contact, but is not listening on this network{_alone(bound)}"
        there = as_typed(f"{name}@HOST")
        hint = f"p2pcall peers, to see who is there; p2pcall dial {there}, if they are at another address"
        raise P2PCallError("no-such-peer", text, ExitCode.NOT_FOUND, hint)
    if not target.explicit_port:
        return list(peer.addresses)
    return [(address[0], target.port, *address[2:]) for address in peer.addresses]


async def _host(agent: UserAgent, target: Target) -> list[Address]:
    """A host, which only the system's resolver is asked for."""
    if target.host.casefold() != LOCALHOST:
        agent.ui.progress(f"looking up {target.host} ...")
    try:
        return await resolve(target)
    except P2PCallError as error:
        raise _not_found(target, error, agent.settings.bind, on_lan=False) from error


async def _anybody(agent: UserAgent, target: Target) -> tuple[list[Address], bool]:
    """A name that is no contact's; and whether it is a host's."""
    if target.explicit_port or target.host.casefold() == LOCALHOST:
        return await _host(agent, target), True
    bound = agent.settings.bind
    resolving = asyncio.ensure_future(resolve(target))
    agent.ui.progress(f"looking for {target.host} on this network ...")
    try:
        return await _either(target.host, bound, resolving)
    except P2PCallError as error:
        raise _not_found(target, error, bound, on_lan=True) from error
    finally:
        resolving.cancel()  # or, if it has failed, nobody asks any more why


async def _either(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]"
) -> tuple[list[Address], bool]:
    if "." in name:
        await asyncio.wait({resolving}, timeout=FIND_GRACE_S)
        if resolving.done() and resolving.exception() is None:
            return resolving.result(), True
    peer = await _seen(name, bound, resolving, FIND_TIMEOUT_S)
    if "." in name and resolving.done() and resolving.exception() is None:
        return resolving.result(), True  # a host is not to be taken over by whoever is on the network
    return (list(peer.addresses), False) if peer is not None else (await resolving, True)


async def _seen(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]", timeout_s: float
) -> "LanPeer | None":
    """Who answers to the name on the LAN. Once the system knows a host of that name, a shorter wait will do."""
    finding = asyncio.ensure_future(find_on_link(name, timeout_s, bound))
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


def _alone(bound: Sequence[str]) -> str:
    return f", looked for with --bind {' '.join(bound)} alone" if bound else ""


def _not_found(target: Target, why: P2PCallError, bound: Sequence[str], *, on_lan: bool) -> P2PCallError:
    """In the words of whoever dials; a resolver that says nothing, or `--bind`, is not held against the other side."""
    silent = why.slug == "no-name-server"
    hint: str | None = "p2pcall peers, to see who is there"
    if silent:
        text = why.text + (", and nobody on this network has that name" if on_lan else "")
        hint = why.hint
    elif on_lan:
        text = f"{target.host!r} is neither on this network nor a host that can be found"
    else:
        text = f"{target.host!r} is not a host that can be found"
        hint = "p2pcall dial NAME, without a port, looks on this network, too"
    return P2PCallError("no-such-peer", text + (_alone(bound) if on_lan else ""), ExitCode.NOT_FOUND, hint)
