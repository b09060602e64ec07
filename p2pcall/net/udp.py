"""UDP sockets, and the driver between them and a sans-IO endpoint.

Rules: after each input to the endpoint, deliver all its events, send all its datagrams (`net/pump`), arm one timer.
Network errors do not raise: failed sends are counted in `errors` and reported through `on_unreachable`. If the
kernel's buffer is full, the datagram is dropped, as the network would: nothing is queued here. So the sockets are
read and written directly (`loop.add_reader`) and not through a DatagramTransport, which queues without bound and does
not say which address failed. `routes` chooses the socket and the own address of each datagram; the endpoint handles
its content.
"""

import asyncio
import errno
import ipaddress
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Final, Generic, TypeVar

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import DEFAULT_PORT, WILDCARDS, literal_address, normalise
from p2pcall.net.interfaces import AddressWatch, OwnAddresses, interfaces, reachable
from p2pcall.net.pump import SansIOEndpoint, pump
from p2pcall.net.routes import IP_PKTINFO, Routes
from p2pcall.types import Address

RECEIVE_BYTES: Final = 2048
"""Longer than any valid datagram (1232), so that the endpoint sees, drops and counts longer ones."""
RECEIVE_BATCH: Final = 16
"""Datagrams taken at one wake-up: a flood must not delay the sound by more than about 1 ms."""
BURST_S: Final = 0.005
"""A datagram this soon after another is part of a burst: a picture, or a flood. Voice comes every 20 ms."""
BUFFER_BYTES: Final = 1 << 20
"""Kernel buffers: room for a key frame, and for half a second of all traffic while the process is delayed."""
SEND_TRIES: Final = 2
"""System calls for one datagram; each may return the error of an earlier datagram instead."""
PORT_TRIES: Final = 16
"""Attempts to find a port that is free for both families when any port is allowed."""
DSCP_EF: Final = 46 << 2
"""Expedited forwarding (RFC 3246, RFC 8837): routers and Wi-Fi that support it send voice first."""

_LINUX: Final = sys.platform == "linux"
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_ANCILLARY_BYTES: Final = 512
_RECVERR: Final = {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}
_SO_EE_ORIGIN_ICMP: Final = (2, 3)
_NOT_THE_WAY: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.EMSGSIZE})
"""Send errors that do not mean that the other side cannot be reached."""

_E = TypeVar("_E")


class Driver(Generic[_E]):
    """Owns the sockets: `open`, `start` with an endpoint, `pump` after each own call into it, `close`."""

    def __init__(self, sockets: Sequence[socket.socket], port: int) -> None:
        self._sockets = tuple(sockets)
        routes = self._routes = Routes(self._sockets)
        self._learn = {True: routes.heard, None: routes.followed, False: routes.asked}
        self._failed: dict[Address, int] = {}
        self._endpoint: SansIOEndpoint[_E] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_at: float | None = None
        self._read_at = -inf
        self._pumping = self._closed = False
        self._on_event: Callable[[_E], None] | None = None
        self._on_unreachable: Callable[[Address, int], None] | None = None
        self._watch: AddressWatch | None = None
        self._answers: Collection[int] = frozenset()
        self._on_wake: Callable[[], None] = lambda: None
        self.port = port
        self.asleep_s = 0.0
        """How far the endpoint's clock is ahead of the loop's clock, which stops while the machine sleeps."""
        self.errors: Counter[str] = Counter()
        """Sends and receives that failed, by errno name."""

    @classmethod
    def open(
        cls, bind: Sequence[str] = (), port: int = DEFAULT_PORT, *, fallback_any: bool = False
    ) -> "Driver[_E]":
        """Binds one socket for each of `bind` (IP addresses), by default for both wildcards, all on one port.

        Port 0, or a taken one with `fallback_any`: any free port. Raises `P2PCallError` (usage).
        """
        hosts = [_bind_address(text) for text in bind]
        try:
            sockets = _open_all(hosts, port)
        except OSError as error:
            if not (fallback_any and error.errno == errno.EADDRINUSE):
                raise _bind_error(error, bind, port) from error
            try:
                sockets = _open_all(hosts, 0)
            except OSError as again:
                raise _bind_error(again, bind, 0) from again
        return cls(sockets, int(sockets[0].getsockname()[1]))

    def start(
        self,
        endpoint: SansIOEndpoint[_E],
        on_event: Callable[[_E], None],
        *,
        on_unreachable: Callable[[Address, int], None] | None = None,
        on_moved: Callable[[], None] | None = None,
        answers: Collection[int] = frozenset(),
        on_wake: Callable[[], None] = lambda: None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begins to receive. `on_event` gets each event, and may call into the endpoint and `pump` again.

        `on_unreachable(address, errno)`: the system refused to send there, or an ICMP error came back (Linux). ICMP
        is not authenticated: it explains a call that fails, it never ends one. `on_moved()`: this machine's own
        addresses have changed. `on_wake()` is called before each datagram and timer. A datagram that begins with one
        of `answers` may answer one that was not genuine; it leaves from the own address that the request was sent to.
        All others use only addresses learned from genuine datagrams.
        """
        self._loop = loop or asyncio.get_running_loop()
        self._endpoint, self._on_event, self._on_unreachable = endpoint, on_event, on_unreachable
        self._answers, self._on_wake = answers, on_wake
        for sock in self._sockets:
            self._loop.add_reader(sock, self._readable, sock)
        if on_moved is not None:
            self._watch = AddressWatch(self._loop, self._moved(on_moved))
        self.pump()

    def pump(self) -> None:
        """Delivers events and sends datagrams until there are none; then arms the timer.

        Called from inside `on_event` it returns at once: the running pump does the work.
        """
        if self._pumping or self._endpoint is None:
            return
        self._pumping = True
        try:
            pump(self._endpoint, self._now, self._send, self._tell)
            while self._failed and self._endpoint is not None:
                self._tell_failed()
                pump(self._endpoint, self._now, self._send, self._tell)
        finally:
            self._pumping = False
            self._arm()

    def close(self) -> None:
        """Stops and closes the sockets; datagrams not yet pumped are not sent. Idempotent."""
        if self._loop is not None:
            for sock in self._sockets:
                if sock.fileno() >= 0:
                    self._loop.remove_reader(sock)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            self._watch.stop()
        self._endpoint = None
        self._closed = True
        for sock in self._sockets:
            sock.close()

    def bound(self) -> list[str]:
        """The addresses that the sockets are bound to, `0.0.0.0` and `::` for all of a family."""
        return [_spell(sock.getsockname()) for sock in self._sockets]

    def addresses(self) -> list[str]:
        """The addresses at which this side can be called now, without the port."""
        return expand(self.bound())

    def _moved(self, on_moved: Callable[[], None]) -> Callable[[OwnAddresses], None]:
        def moved(own: OwnAddresses) -> None:
            self._routes.moved(own)
            on_moved()

        return moved

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time() + self.asleep_s

    def _tell(self, event: _E) -> None:
        if not self._closed:  # an earlier event may have closed it
            assert self._on_event is not None
            self._on_event(event)

    def _tell_failed(self) -> None:
        failed, self._failed = self._failed, {}
        for address, code in failed.items():
            if self._on_unreachable is not None and self._endpoint is not None:
                self._on_unreachable(address, code)

    def _arm(self) -> None:
        when = self._endpoint.next_timer() if self._endpoint is not None else None
        at = None if when is None else when - self.asleep_s
        if self._timer is not None:
            if at == self._armed_at:
                return
            self._timer.cancel()
            self._timer = None
        self._armed_at = at
        if at is not None and self._loop is not None:
            self._timer = self._loop.call_at(at, self._expired)

    def _expired(self) -> None:
        self._timer = None
        self._on_wake()
        if self._endpoint is not None:
            self._endpoint.handle_timer(self._now())
        self.pump()

    def _readable(self, sock: socket.socket) -> None:
        self._on_wake()
        for taken in range(RECEIVE_BATCH):
            if self._endpoint is None:
                return
            try:
                data, ancillary, _flags, source = sock.recvmsg(RECEIVE_BYTES, _ANCILLARY_BYTES)
            except (BlockingIOError, InterruptedError):
                if not taken:  # readable but no datagram: errors are in the queue
                    self._read_errors(sock)
                break
            except OSError as error:
                self._count(error.errno or 0)
                self._read_errors(sock)
                continue
            address = normalise(source)
            learn = self._learn[self._endpoint.receive_datagram(data, address, self._now())]
            learn(address, sock, ancillary)
            if self._alone():
                break
        self.pump()
        self._routes.answered()

    def _alone(self) -> bool:
        """Whether this datagram came alone, as voice does: then looking for more costs more than a new wake-up."""
        assert self._loop is not None
        now, before = self._loop.time(), self._read_at
        self._read_at = now
        return now - before >= BURST_S

    def _send(self, data: bytes, address: Address, now: float) -> None:
        if self._closed:  # an event of this round may have closed it
            return
        choose = self._routes.answer if data and data[0] in self._answers else self._routes.choose
        sock, ancillary = choose(address, now)
        if sock is None:
            self._count(errno.EAFNOSUPPORT)
            self._failed[address] = errno.EAFNOSUPPORT
            return
        # The kernel reports an earlier ICMP error, about any address, on the next call. It does not concern this
        # datagram, and may be in no error queue, because a flooded socket has no room for it. If it happens again, the
        # datagram is lost, as on the network: forged ICMP errors do not change the route.
        for tries_left in reversed(range(SEND_TRIES)):
            try:
                sock.sendmsg([data], ancillary, 0, address)
                return
            except OSError as error:
                code = error.errno or 0
                if self._read_errors(sock):
                    continue
                if code in _NOT_THE_WAY:
                    break
                if not tries_left:
                    self._routes.failed(address)
                    self._failed[address] = code
        self._count(code)

    def _read_errors(self, sock: socket.socket) -> bool:
        """Empties the kernel's queue of ICMP errors (ip(7), IP_RECVERR); each gives the address that failed."""
        found = False
        for _ in range(RECEIVE_BATCH if _LINUX else 0):
            try:
                _, ancillary, _, target = sock.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
            except OSError:
                break
            found = True
            for level, kind, body in ancillary:
                if (level, kind) in _RECVERR:
                    code, origin = struct.unpack_from("=IB", body)
                    if origin in _SO_EE_ORIGIN_ICMP:
                        self._count(code)
                        if code not in _NOT_THE_WAY:
                            self._failed[normalise(target)] = code
        return found

    def _count(self, code: int) -> None:
        self.errors[errno.errorcode.get(code, str(code))] += 1


def expand(bound: Sequence[str]) -> list[str]:
    """Bound addresses with each wildcard replaced by the addresses of its family, link-local ones last."""
    versions = {WILDCARDS[host] for host in bound if host in WILDCARDS}
    out = [host for host in bound if host not in WILDCARDS]
    if versions:
        found = [(i, a) for i in reachable(interfaces()) for a in i.addresses if a.version in versions]
        found.sort(key=lambda pair: (pair[1].version, pair[1].ip.is_link_local))
        out += [interface.spell(address) for interface, address in found]
    return list(dict.fromkeys(out))


def leads_here(address: Address, port: int, bound: Sequence[str]) -> bool:
    """Whether a datagram to this address would come back to the sockets bound to these addresses and this port."""
    if address[1] != port:
        return False
    host = ipaddress.ip_address(str(address[0]).partition("%")[0])
    ours = {ipaddress.ip_address(own.partition("%")[0]) for own in expand(bound)}
    everywhere = any(WILDCARDS.get(own) == host.version for own in bound)
    return host in ours or (everywhere and host.is_loopback)


def _bind_address(text: str) -> Address:
    try:
        address = literal_address(text.strip("[]"), 0)
    except ValueError as error:
        why = f"--bind takes an IP address of this machine, not {text!r}"
        raise P2PCallError("bad-bind", why, ExitCode.USAGE, "ip address") from error
    except P2PCallError as error:
        raise P2PCallError(error.slug, error.text, ExitCode.USAGE, error.hint) from error
    if ipaddress.ip_address(str(address[0])).is_link_local and address[3:] == (0,):
        why = f"--bind {address[0]}: a link-local address needs its zone, the name of its interface"
        raise P2PCallError("bad-bind", why, ExitCode.USAGE, f"--bind {_with_zone(str(address[0]))}")
    return address


def _with_zone(host: str) -> str:
    """The link-local address with the interface that has it; if none has it, with an example."""
    ip = ipaddress.ip_address(host)
    names = [one.name for one in interfaces() if any(own.ip == ip for own in one.addresses)]
    return f"{host}%{names[0]}" if names else f"{host}%eth0, if eth0 is the interface"


def _open_all(hosts: Sequence[Address], port: int) -> list[socket.socket]:
    """All sockets on one port, or `OSError`. With port 0 the first socket's port is tried for the others."""
    for attempt in range(PORT_TRIES):
        sockets: list[socket.socket] = []
        try:
            for host in hosts or [("0.0.0.0", 0), ("::", 0, 0, 0)]:
                wanted = port or (sockets[0].getsockname()[1] if sockets else 0)
                sock = _open_one((host[0], wanted, *host[2:]), optional=not hosts)
                if sock is not None:
                    sockets.append(sock)
        except OSError as error:
            for sock in sockets:
                sock.close()
            if port or error.errno != errno.EADDRINUSE or attempt == PORT_TRIES - 1:
                raise
            continue
        if sockets:
            return sockets
        break
    raise OSError(errno.EAFNOSUPPORT, "neither IPv4 nor IPv6")


def _open_one(address: Address, *, optional: bool) -> socket.socket | None:
    """One bound socket; None if `optional` and the machine does not have this family."""
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError as error:
        if sock is not None:
            sock.close()
        if optional and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT):
            return None
        raise
    _tune(sock)
    return sock


def _tune(sock: socket.socket) -> None:
    """Set optional socket options; a system may refuse any of them."""
    options = [
        (socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES),
        (socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES),
    ]
    if sock.family == socket.AF_INET:
        options.append((socket.IPPROTO_IP, socket.IP_TOS, DSCP_EF))
        if _LINUX:
            options += [(socket.IPPROTO_IP, _IP_RECVERR, 1), (socket.IPPROTO_IP, IP_PKTINFO, 1)]
    else:
        options.append((socket.IPPROTO_IPV6, socket.IPV6_TCLASS, DSCP_EF))
        options.append((socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1))
        if _LINUX:
            options.append((socket.IPPROTO_IPV6, _IPV6_RECVERR, 1))
    for level, name, value in options:
        try:
            sock.setsockopt(level, name, value)
        except OSError:
            continue


def _spell(name: Address) -> str:
    host = str(name[0])
    return f"{host}%{socket.if_indextoname(name[3])}" if len(name) == 4 and name[3] else host


def _bind_error(error: OSError, bind: Sequence[str], port: int) -> P2PCallError:
    where = ", ".join(bind) or "this machine"
    if error.errno == errno.EADDRINUSE:
        text = f"port {port} is in use; `ss -ulpn 'sport = :{port}'` shows by which program"
        return P2PCallError("port-taken", text, ExitCode.USAGE, "--port 0 takes any free port")
    if error.errno in (errno.EACCES, errno.EPERM):
        text = f"port {port} may not be opened by this user"
        return P2PCallError("port-forbidden", text, ExitCode.USAGE, "--port 0 takes any free port")
    if error.errno == errno.EADDRNOTAVAIL:
        return P2PCallError(
            "no-such-address", f"{where}: not an address of this machine", ExitCode.USAGE, "ip address"
        )
    text = f"no UDP socket could be opened on {where}: {error.strerror or error}"
    return P2PCallError("no-socket", text, ExitCode.USAGE, "ip address")
