"""Which socket and which own address a datagram leaves from.

An answer leaves from the address that the request was sent to (RFC 3542, IP_PKTINFO): on a machine with several
addresses the kernel may choose another one, and a firewall on the other side would drop it. But when the preferred
route changes (cable plugged in, VPN up), we follow it: the old own address is given up, and is not used again until
the other side has followed to the new one.

The table learns only from datagrams that a line has found genuine and that came from the line's address. Any sender
can write any source address, so otherwise a peer with a line could change the route of another line. Before a line
follows its other side to a new address, it probes it: the probe leaves from the own address that the datagram was
sent to (`followed`), if no line uses that remote address. An answer to anything else leaves from the own address that
the datagram was sent to (`asked`). Both are kept only until the answer (`answered`), and `asked` is not used for
datagrams of a line. Bounded: the address heard longest ago is forgotten.
"""

import socket
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Final

from msgspec import Struct

from p2pcall.types import Address

ROUTES_KEPT: Final = 256
"""At most this many remote addresses are remembered."""
CHECK_S: Final = 2.0
"""How often the routing table is asked again for an address in use (one connect() of 10 µs). Roaming can take this
much longer."""
IPV4_BYTES: Final = 4
IPV6_BYTES: Final = 16
IP_PKTINFO: Final = 8
"""Linux's number; Python's socket module does not have it everywhere."""
PKTINFO4_BYTES: Final = 12
PKTINFO6_BYTES: Final = 20

Ancillary = list[tuple[int, int, bytes]]


class _Route(Struct):
    sock: socket.socket
    local: bytes
    preferred: str | None = None
    checked: float | None = None
    given_up: bytes | None = None


def preferred_source(address: Address) -> str | None:
    """The own address that the routing table would use for this destination now; None if there is no route."""
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return None


class Routes:
    """Remembers on which socket and own address each remote address was heard, and chooses them for sending."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        preferred: Callable[[Address], str | None] = preferred_source,
    ) -> None:
        self._sockets = tuple(sockets)
        self._preferred = preferred
        self._routes: dict[Address, _Route] = {}
        self._asked: dict[Address, _Route] = {}
        self._followed: dict[Address, _Route] = {}

    def asked(self, address: Address, sock: socket.socket, ancillary: Ancillary) -> None:
        """A datagram came from this address, on this socket; remembered for its answer, until `answered`."""
        self._asked[address] = _Route(sock, _local_address(ancillary))

    def followed(self, address: Address, sock: socket.socket, ancillary: Ancillary) -> None:
        """A genuine datagram came from another address than its line's; remembered for a probe, until `answered`."""
        self._followed[address] = _Route(sock, _local_address(ancillary))

    def answered(self) -> None:
        """The answer was sent, or there will be none: forget `asked` and `followed`."""
        self._asked.clear()
        self._followed.clear()

    def answer(self, address: Address, now: float) -> tuple[socket.socket | None, Ancillary]:
        """As `choose`, for a datagram that answers an `asked` one."""
        route = self._asked.get(address)
        return self.choose(address, now) if route is None else (route.sock, _source(route))

    def heard(self, address: Address, sock: socket.socket, ancillary: Ancillary) -> None:
        """A genuine datagram came from its line's address, on this socket."""
        route = self._routes.pop(address, None)
        local = _local_address(ancillary)
        if route is None:
            route = _Route(sock, local)
            if len(self._routes) >= ROUTES_KEPT:
                del self._routes[next(iter(self._routes))]
        elif local != route.given_up:
            route.sock, route.local, route.given_up = sock, local, None
        self._routes[address] = route

    def choose(self, address: Address, now: float) -> tuple[socket.socket | None, Ancillary]:
        """The socket for a datagram to this address, and its ancillary data; None if no socket has its family."""
        route = self._routes.get(address)
        if route is None:
            followed = self._followed.get(address)
            return (
                (self._first_choice(address), []) if followed is None else (followed.sock, _source(followed))
            )
        if route.checked is None:
            route.checked, route.preferred = now, self._preferred(address)
        elif now - route.checked >= CHECK_S:
            route.checked = now
            preferred = self._preferred(address)
            if preferred is not None and preferred != route.preferred:
                self._give_up(route, preferred)
                route.sock = self._first_choice(address) or route.sock
        return route.sock, _source(route)

    def failed(self, address: Address) -> None:
        """Sending to this address failed: the own address may be gone."""
        route = self._routes.get(address)
        if route is not None and route.local:
            self._give_up(route, self._preferred(address))
            route.sock = self._first_choice(address) or route.sock

    def moved(self, own: Collection[bytes]) -> None:
        """Take this machine's addresses as they are now (packed): nothing leaves from one that is gone."""
        for route in self._routes.values():
            if route.local and route.local not in own:
                route.local, route.checked = b"", None
            if route.given_up not in own:
                route.given_up = None

    @staticmethod
    def _give_up(route: _Route, preferred: str | None) -> None:
        route.preferred = preferred
        route.given_up, route.local = route.local, b""

    def _first_choice(self, address: Address) -> socket.socket | None:
        family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
        fitting = [sock for sock in self._sockets if sock.family == family]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        source = self._preferred(address)
        return next((sock for sock in fitting if sock.getsockname()[0] == source), fitting[0])


def _local_address(ancillary: Ancillary) -> bytes:
    """The own address, packed, that a datagram was sent to; empty where the system does not give it."""
    for level, kind, body in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(body) == PKTINFO6_BYTES:
            return body[:IPV6_BYTES]
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(body) == PKTINFO4_BYTES:
            return body[4:8]
    return b""


def _source(route: _Route) -> Ancillary:
    """Ancillary data that sets the source address. Interface 0: the routing table, or the zone, chooses it."""
    if len(route.local) == IPV6_BYTES:
        return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, route.local + struct.pack("=I", 0))]
    if len(route.local) == IPV4_BYTES:
        return [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I", 0) + route.local + bytes(IPV4_BYTES))]
    return []
