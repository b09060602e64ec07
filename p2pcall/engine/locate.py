"""Find the addresses of a target: an address, a peer on the local network, or a host known to the system's resolver.

A contact's name is not revealed: we ask the network for all peers and compare here, their names with the contact's,
and what is announced to contacts alone with what the contact would announce to us. The resolver is not
asked, not even if a contact has the name of a host. The peer that is found must prove the contact's key. With `@` the
place is given: only the part after it is looked up, as a host.

For any other name both the network and the resolver are asked. The network comes first, except for a name with a dot:
it looks like a host name, and anybody on the network could claim it. Then the resolver has a head start, and if it
answers at once, the network is not asked at all.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from p2pcall.engine.presence import recogniser
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import LOCALHOST, Target, is_key_uri, resolve
from p2pcall.store.contact import SHORT_FINGERPRINT
from p2pcall.store.contacts import as_typed
from p2pcall.store.identity import fingerprint
from p2pcall.types import Address

if TYPE_CHECKING:
    from p2pcall.net.lanpeer import LanPeer, Recognise

FIND_TIMEOUT_S: Final = 2.0
"""How long to look for a name on the LAN before it is treated as a host name; mDNS answers within 0.12 s."""
FIND_GRACE_S: Final = 0.5
"""How much longer to wait for the LAN when the resolver has answered already; also the resolver's head start where it
comes first."""
CONTACT_TIMEOUT_S: Final = 1.4
"""How long to look for a contact on the LAN: a peer that has just answered another host answers again after 1.3 s."""


class Location(Struct, frozen=True):
    """The addresses of a target, and what is known about it beforehand."""

    addresses: list[Address]
    expected_key: bytes | None
    name: str | None
    """The user's name for it; the key is kept under this name. None for a bare address or key."""
    host: bool = False
    """Whether it is a host name that the resolver knew."""


async def find_on_link(name: str, timeout_s: float, bound: Sequence[str]) -> "LanPeer | None":
    """`discovery.find_peer`; the module is loaded only when a name is looked for on the network."""
    from p2pcall.net import discovery

    return await discovery.find_peer(name, timeout_s, bound)


async def find_on_link_privately(
    name: str, timeout_s: float, bound: Sequence[str], recognise: "Recognise"
) -> "LanPeer | None":
    """`private_lookup.look_up_privately`; loaded in the same way."""
    from p2pcall.net import private_lookup

    return await private_lookup.look_up_privately(name, timeout_s, bound, recognise)


async def locate(agent: UserAgent, target: Target) -> Location:
    """Addresses for a target, and the expected key. P2PCallError (not found) if there are no addresses."""
    name = target.host if target.kind == "name" and target.word is None else target.word
    pinned = None if name is None else agent.trust.expected_key(name)
    if name is not None and pinned is not None and (name == LOCALHOST or agent.trust.is_host(name)):
        return Location(await _host(agent, target), pinned, name)
    if name is not None and pinned is not None:
        return Location(await _contact(agent, name, pinned, target), pinned, name)
    key, known = (None, None) if target.who is None else _whose(agent, target.who)
    if target.kind == "key":
        assert key is not None
        if known is None:
            return Location(await _owner(agent, key, target), key, None)
        return Location(await _contact(agent, known, key, target), key, known)
    if target.kind == "literal":
        return Location(await resolve(target), key, known)
    if target.who is not None:
        return Location(await _host(agent, target), key, known)
    addresses, host = await _anybody(agent, target)
    return Location(addresses, None, target.host, host)


def _whose(agent: UserAgent, who: str) -> tuple[bytes, str | None]:
    """The expected key, and our name for its owner, if there is one. P2PCallError if there is no key."""
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
        raise P2PCallError("bad-target", f"{who!r} is not a valid target: {error}", ExitCode.USAGE) from error
    whose = trust.identify(key, "")
    return key, whose.name if whose.known != "new" else None


async def _contact(agent: UserAgent, name: str, public: bytes, target: Target) -> list[Address]:
    """A contact's addresses, only from the local network; a given port replaces the announced one."""
    found = await _announced(agent, name, public, target)
    if found:
        return found
    text = f"{name} is a contact, but is not listening on this network{_alone(agent.settings.bind)}"
    there = as_typed(f"{name}@HOST")
    hint = f"p2pcall peers, to see who is there; p2pcall dial {there}, if they are at another address"
    raise P2PCallError("no-such-peer", text, ExitCode.NOT_FOUND, hint)


async def _owner(agent: UserAgent, public: bytes, target: Target) -> list[Address]:
    """The same for a key that is no contact's: its owner is found if we are theirs, and they announce to contacts."""
    found = await _announced(agent, fingerprint(public)[:SHORT_FINGERPRINT], public, target)
    if found:
        return found
    alone = _alone(agent.settings.bind)
    text = f"no contact has that key, and its owner does not announce to you on this network{alone}"
    hint = f"p2pcall dial {as_typed(f'{target.who}@HOST')}, if you know where they are"
    raise P2PCallError("no-such-peer", text, ExitCode.NOT_FOUND, hint)


async def _announced(agent: UserAgent, name: str, public: bytes, target: Target) -> list[Address]:
    """Where somebody announces under this name, or to us with this key; empty if nobody does."""
    recognise = recogniser(agent.identity.private, {public: name}, agent.env.clock.time)
    agent.ui.progress(f"looking for {name} on this network ...")
    try:
        peer = await find_on_link_privately(name, CONTACT_TIMEOUT_S, agent.settings.bind, recognise)
    except P2PCallError:
        peer = None  # no network, or no mDNS here
    if peer is None:
        return []
    if not target.explicit_port:
        return list(peer.addresses)
    return [(address[0], target.port, *address[2:]) for address in peer.addresses]


async def _host(agent: UserAgent, target: Target) -> list[Address]:
    """The addresses of a host, only from the system's resolver."""
    if target.host.casefold() != LOCALHOST:
        agent.ui.progress(f"looking up {target.host} ...")
    try:
        return await resolve(target)
    except P2PCallError as error:
        raise _not_found(target, error, agent.settings.bind, on_lan=False) from error


async def _anybody(agent: UserAgent, target: Target) -> tuple[list[Address], bool]:
    """The addresses of a name that is not a contact's, and whether it is a host's."""
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
        resolving.cancel()  # if it has failed, its error is not needed


async def _either(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]"
) -> tuple[list[Address], bool]:
    if "." in name:
        await asyncio.wait({resolving}, timeout=FIND_GRACE_S)
        if resolving.done() and resolving.exception() is None:
            return resolving.result(), True
    peer = await _seen(name, bound, resolving, FIND_TIMEOUT_S)
    if "." in name and resolving.done() and resolving.exception() is None:
        return resolving.result(), True  # nobody on the network may take over a host's name
    return (list(peer.addresses), False) if peer is not None else (await resolving, True)


async def _seen(
    name: str, bound: Sequence[str], resolving: "asyncio.Future[list[Address]]", timeout_s: float
) -> "LanPeer | None":
    """The peer with this name on the LAN. Once the resolver knows a host of that name, the wait is shorter."""
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
    """The error for a name that was not found. It says so if the resolver gave no answer, or `--bind` was the limit."""
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
