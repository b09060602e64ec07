"""The target of a call: what a person types is parsed here, and turned into socket addresses.

Parsing is pure. Only `resolve` asks the operating system, on its own daemon thread: a name server that never answers
must not delay the exit of the process, as the event loop's executor would. Literal addresses need neither a thread
nor a name server. Addresses come in the order of RFC 8305, section 4 (families alternate). Left out: what a name
means. The engine decides whether `bob` is a contact, a peer on the link, or a host, and which key a `p2pcall:id` URI
has.
"""

import asyncio
import contextlib
import ipaddress
import re
import shlex
import socket
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from p2pcall import names
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import MAX_U16
from p2pcall.types import Address

DEFAULT_PORT: Final = 51729
"""UDP port for incoming calls: not assigned by IANA, in the dynamic range (RFC 6335)."""
MAX_PORT: Final = MAX_U16
WILDCARDS: Final = {"0.0.0.0": 4, "::": 6}
"""Bind addresses that mean all addresses of one family, each with its family."""
MAX_TARGET_CHARS: Final = 255
"""Longest TARGET: as long as a host name can be."""
MAX_ADDRESSES: Final = 8
"""At most this many addresses of one target are tried: a hostile DNS zone must not make us flood others."""
NORMALISED_KEPT: Final = 256
"""Normalised addresses that are cached: all datagrams of a call come from one or two addresses."""
RESOLVE_TIMEOUT_S: Final = 10.0
"""By default a resolver asks two servers twice, 5 s each; people do not wait that long for a call."""

LOCALHOST: Final = "localhost"
"""The standard name of the own machine; it never means another one (RFC 6761, section 6.3)."""

_KEY_URI: Final = re.compile(r"p2pcall:[a-z]+/", re.IGNORECASE)
"""The start of a key's URI; HOST:PORT never matches, because a port is a number."""
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(Struct, frozen=True):
    """A parsed TARGET: an IP address, a name (of a contact, a peer on the link, or a host), or a key alone."""

    kind: Literal["name", "literal", "key"]
    host: str
    port: int
    explicit_port: bool
    who: str | None = None
    """Who must answer: a contact's name or the URI of a key, before the `@` or alone."""
    word: str | None = None
    """The whole text, if it has an `@`: a contact's name may contain one."""


def _malformed(text: str, why: str, hint: str | None = None) -> P2PCallError:
    return P2PCallError("bad-target", f"{text!r} is not a valid target: {why}", ExitCode.USAGE, hint)


def _split_port(text: str) -> tuple[str, str | None, bool]:
    """Host, port as text (None: none given), and whether the host was in brackets."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _malformed(text, "brackets are written [ADDRESS]:PORT")
        return host, rest[1:] if rest else None, True
    if text.count(":") >= 2:
        return text, None, False
    host, colon, port = text.partition(":")
    return host, port if colon else None, False


def _parse_port(text: str, port: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= MAX_PORT:
        raise _malformed(text, "the port is a number from 1 to 65535")
    return int(port)


def _parse_ip(host: str) -> _IP | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def _check_ip(text: str, ip: _IP) -> None:
    if ip.is_unspecified:
        raise _malformed(text, "this address means all of a machine's own", "dial 127.0.0.1 for this machine")
    if ip.is_multicast or ip == ipaddress.IPv4Address("255.255.255.255"):
        raise _malformed(text, "a call goes to one machine, not to a group")
    if isinstance(ip, ipaddress.IPv6Address) and ip.is_link_local and ip.scope_id is None:
        raise _malformed(
            text, "a link-local address needs its interface", f"{ip}%INTERFACE, for example {ip}%eth0"
        )


def parse_target(text: str, default_port: int = DEFAULT_PORT) -> Target:
    """Parse `host`, `host:port`, `v6`, `[v6]:port`, `fe80::1%eth0`, or a name, with an optional `who@`; or a key alone.

    Raises `P2PCallError` (usage).
    """
    if not text.strip() or len(text) > MAX_TARGET_CHARS:
        raise _malformed(text[:MAX_TARGET_CHARS], f"it has 1 to {MAX_TARGET_CHARS} characters")
    if not names.printable(text):
        raise _malformed(text, "it holds control characters")
    text = names.tidy(text)
    who, at, place = text.rpartition("@")
    if not at:
        if is_key_uri(text):
            return Target("key", "", default_port, False, text)
        return _parse_place(text, default_port)
    if not who or not place:
        raise _malformed(text, "an @ stands between a contact, or a key, and its address", "bob@192.0.2.1")
    return replace(_parse_place(place, default_port), who=who, word=text)


def is_key_uri(text: str) -> bool:
    """Whether the text looks like the URI of a key, valid or not."""
    return _KEY_URI.match(text) is not None


def _parse_place(text: str, default_port: int) -> Target:
    host, port_text, bracketed = _split_port(text)
    port = default_port if port_text is None else _parse_port(text, port_text)
    ip = _parse_ip(host)
    if ip is not None:
        if bracketed and "." in host and ":" not in host:
            raise _malformed(text, "brackets are for IPv6 addresses", f"{host}:{port}")
        _check_ip(text, ip)
        return Target("literal", str(ip), port, port_text is not None)
    if bracketed or ":" in host or not host or re.fullmatch(r"[0-9.]*\.[0-9.]*", host):
        raise _malformed(
            text, "it is neither a name nor an IP address", "an IPv6 address with a port: [2001:db8::1]:51729"
        )
    return Target("name", host, port, port_text is not None)


def undialable(name: str) -> str | None:
    """Why this name could not be dialled; None if it can be used as a name."""
    if set(name) & set(":@[]"):
        return "a name has no colons, no brackets and no @"
    try:
        target = parse_target(name)
    except P2PCallError:
        return "it reads as an address"
    if target.kind == "literal":
        return "it is an address"
    return "that is this machine" if target.host.casefold() == LOCALHOST else None


def literal_address(host: str, port: int) -> Address:
    """An IP address as a socket address; `P2PCallError` (not found) if this machine has no interface of its zone."""
    ip = ipaddress.ip_address(host)
    if isinstance(ip, ipaddress.IPv4Address):
        return (str(ip), port)
    scope = 0
    if ip.scope_id is not None:
        try:
            scope = int(ip.scope_id) if ip.scope_id.isdecimal() else socket.if_nametoindex(ip.scope_id)
        except OSError as error:
            text = f"there is no network interface {ip.scope_id!r} here"
            raise P2PCallError("no-interface", text, ExitCode.NOT_FOUND, "ip link") from error
    return (str(ip).partition("%")[0], port, 0, scope)


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """Families alternate, no address twice, at most `MAX_ADDRESSES` (RFC 8305, section 4)."""
    unique = list(dict.fromkeys(addresses))
    if not unique:
        return []
    first = [a for a in unique if len(a) == len(unique[0])]
    second = [a for a in unique if len(a) != len(unique[0])]
    out: list[Address] = []
    for i in range(max(len(first), len(second))):
        out += first[i : i + 1] + second[i : i + 1]
    return out[:MAX_ADDRESSES]


@lru_cache(NORMALISED_KEPT)
def normalise(address: Sequence[Any]) -> Address:
    """One spelling for one address, so that equal addresses are equal tuples: no zone, no flow label."""
    host = str(address[0]).partition("%")[0]
    if len(address) == 2:
        return (host, int(address[1]))
    return (host, int(address[1]), 0, int(address[3]))


def format_address(address: Address) -> str:
    """For people: `192.0.2.1:51729`, `[fe80::1%eth0]:51729`."""
    if len(address) == 2:
        return f"{address[0]}:{address[1]}"
    return f"[{address[0]}{zone(address[3])}]:{address[1]}"


def zone(scope_id: int) -> str:
    """`%eth0` for the index of an interface, `%7` if it is gone, nothing for 0."""
    if not scope_id:
        return ""
    try:
        return "%" + socket.if_indextoname(scope_id)
    except OSError:
        return f"%{scope_id}"


async def resolve(target: Target, timeout_s: float = RESOLVE_TIMEOUT_S) -> list[Address]:
    """The addresses to dial, best first; never empty.

    Raises `P2PCallError` (not found) if the name has none.
    """
    if target.kind == "literal":
        return [literal_address(target.host, target.port)]
    try:
        # Not `wait_for`: before Python 3.12 it may raise the lookup's error although it was cancelled.
        async with asyncio.timeout(timeout_s):
            found = await _getaddrinfo(target.host, target.port)
    except TimeoutError as error:
        text = f"the name server did not answer for {target.host!r}"
        hint = f"getent ahosts {shlex.quote(target.host)}"
        raise P2PCallError("no-name-server", text, ExitCode.NOT_FOUND, hint) from error
    except (OSError, UnicodeError) as error:
        text = f"{target.host!r} is not known: not a contact, not on the local network, not a host name"
        raise P2PCallError("no-such-host", text, ExitCode.NOT_FOUND, "p2pcall peers") from error
    addresses = interleave(found)
    if not addresses:
        text = f"{target.host!r} has no address"
        raise P2PCallError("no-such-host", text, ExitCode.NOT_FOUND)
    return addresses


def _getaddrinfo(host: str, port: int) -> asyncio.Future[list[Address]]:
    """`getaddrinfo` on a daemon thread; if its caller is cancelled, the thread is left to end by itself."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Address]] = loop.create_future()

    def settle(result: list[Address], error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def work() -> None:
        result: list[Address] = []
        failure: Exception | None = None
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            result = [normalise(info[4]) for info in infos if info[0] in (socket.AF_INET, socket.AF_INET6)]
        except (OSError, UnicodeError) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name="resolve", daemon=True).start()
    return future
