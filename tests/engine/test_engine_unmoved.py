"""A node on real sockets of the loopback, which has many addresses: who is answered from which of them."""

import asyncio
import errno
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from fingerprint import fingerprint

from p2pcall.engine.node import Node, PeerConnection
from p2pcall.env import Clock
from p2pcall.net.udp import Driver
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.events import HandshakeDone, ProtocolEvent
from p2pcall.proto.wire import DatagramType

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the loopback has one address there")
DIALLED, ELSEWHERE = "127.0.0.2", "127.0.0.3"
COOKIE_BYTES = 36


def key() -> StaticKey:
    return StaticKey.from_private(os.urandom(32))


def node(*bind: str) -> Node:
    made = Node(key(), os.urandom, Clock())
    driver: Driver[ProtocolEvent] = Driver.open(bind, 0)
    made.attach(driver)
    return made


def knock(port: int) -> bytes:
    """From somebody who has the program and knows nobody here."""
    stranger = Endpoint(key(), os.urandom)
    stranger.dial([(ELSEWHERE, port)], 0.0)
    [(datagram, _)] = stranger.datagrams_to_send(0.0)
    return datagram


def forged(port: int) -> Iterator[bytes]:
    """One of each kind, none of them good."""
    for kind in DatagramType:
        yield from (bytes([kind, 0, 0, 0]) + os.urandom(size) for size in (32, 80, 668, 1196))
    yield knock(port) + b"x"


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await story()

    asyncio.run(bounded())


async def answer_to(sock: socket.socket) -> tuple[bytes, str]:
    loop = asyncio.get_running_loop()
    data, source = await loop.sock_recvfrom(sock, 2048)
    return data, source[0]


async def in_line() -> tuple[Node, Node, PeerConnection]:
    """Bob has a line with alice, who has dialled him at one of his addresses; and her end of it."""
    bob, alice = node(), node("127.0.0.1")
    bob.endpoint.accepting = True
    called: asyncio.Future[PeerConnection] = asyncio.get_running_loop().create_future()
    bob.on_caller = called.set_result
    line = alice.dial([(DIALLED, bob.driver.port)], None)
    while not isinstance(await line.signals.get(), HandshakeDone):
        pass
    theirs = await called
    line.peer.invite("alice", True, False, alice.now())
    alice.pump()
    await theirs.signals.get()  # HandshakeDone
    await theirs.signals.get()  # Incoming
    theirs.accept("bob", True, False)
    await line.signals.get()
    return bob, alice, line


def test_a_stranger_is_answered_from_the_address_that_he_asked() -> None:
    async def story() -> None:
        bob = node()
        bob.endpoint.accepting = True
        before = fingerprint(bob.driver._routes)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            for host in (ELSEWHERE, DIALLED):
                sock.sendto(knock(bob.driver.port), (host, bob.driver.port))
                data, source = await answer_to(sock)
                assert (data[0], len(data), source) == (DatagramType.COOKIE, COOKIE_BYTES, host)
        assert fingerprint(bob.driver._routes) == before
        await bob.close()

    run(story)


def test_what_is_forged_to_come_from_the_other_side_moves_no_line() -> None:
    """It comes from her very address and port, to another of his addresses; the line stays where it is."""

    async def story() -> None:
        bob, alice, line = await in_line()
        [theirs] = bob._lines.values()
        routes = bob.driver._routes
        table = [(address, route.local, route.given_up) for address, route in routes._routes.items()]
        [sock] = alice.driver._sockets
        dropped = bob.endpoint.dropped.total()
        lies = [*forged(bob.driver.port)]
        for data in lies:
            sock.sendto(data, (ELSEWHERE, bob.driver.port))
        while bob.endpoint.dropped.total() < dropped + len(lies):
            await asyncio.sleep(0)
        assert [(address, route.local, route.given_up) for address, route in routes._routes.items()] == table
        assert routes._asked == {}
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        line.on_payload = lambda _, data: heard.done() or heard.set_result(data)
        while not heard.done():
            theirs.send(0x10, b"sound")
            await asyncio.sleep(0)
        assert {address[0] for address in alice.driver._routes._routes} == {DIALLED}
        line.drop()
        theirs.drop()
        await asyncio.gather(alice.close(), bob.close())

    run(story)


async def knocked_at(bob: Node, who: Node) -> tuple[PeerConnection, PeerConnection]:
    """A line with bob, who is dialled at one of his addresses: its two ends."""
    called: asyncio.Future[PeerConnection] = asyncio.get_running_loop().create_future()
    bob.on_caller = called.set_result
    line = who.dial([(DIALLED, bob.driver.port)], None)
    while not isinstance(await line.signals.get(), HandshakeDone):
        pass
    return line, await called


def test_a_line_moves_no_other_lines_route() -> None:
    """Eve has a line of her own, and sends its datagrams from alice's address to another one of bob's."""

    async def story() -> None:
        bob, alice, line = await in_line()
        eve = node("127.0.0.1")
        hers, at_bobs = await knocked_at(bob, eve)
        routes = bob.driver._routes
        table = {address: (route.local, route.given_up) for address, route in routes._routes.items()}
        assert set(table.values()) == {(socket.inet_aton(DIALLED), None)}
        [sock] = alice.driver._sockets
        taken = at_bobs.peer.rx_bytes
        for _ in range(20):
            hers.peer.nudge(eve.now())
            [*datagrams] = eve.endpoint.datagrams_to_send(eve.now())
            for data, _ in datagrams:
                sock.sendto(data, (ELSEWHERE, bob.driver.port))
        while at_bobs.peer.rx_bytes == taken:
            await asyncio.sleep(0)
        assert at_bobs.peer.line.path.candidate is not None, "it is genuine, and asks to be followed there"
        now = {address: (route.local, route.given_up) for address, route in routes._routes.items()}
        assert now == table
        for one in (line, hers, at_bobs, *bob._lines.values()):
            one.drop()
        await asyncio.gather(alice.close(), bob.close(), eve.close())

    run(story)


class Bombarded:
    """In the place of a socket that each call tells another ICMP error of, about somebody else."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.sends = 0
        self._queue: list[bytes] = []

    def sendmsg(self, *_: object) -> None:
        self.sends += 1
        self._queue.append(struct.pack("=IBBBBII", errno.ECONNREFUSED, 2, 3, 3, 0, 0, 0))
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    def recvmsg(self, *_: object) -> tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str, int]]:
        if not self._queue:
            raise BlockingIOError
        return b"", [(socket.IPPROTO_IP, 11, self._queue.pop())], 0, ("198.51.100.9", 9)


def test_errors_that_anybody_can_forge_move_no_line() -> None:
    bombarded: Any = Bombarded()
    driver: Driver[ProtocolEvent] = Driver([bombarded], 9)
    peer = ("192.0.2.9", 9)
    arrived = struct.pack("=I", 3) + 2 * socket.inet_aton(DIALLED)
    driver._routes.heard(peer, bombarded, [(socket.IPPROTO_IP, 8, arrived)])
    route = driver._routes._routes[peer]
    driver._send(b"media", peer, 0.0)
    assert (route.local, route.given_up) == (socket.inet_aton(DIALLED), None)
    assert bombarded.sends == 2
    assert peer not in driver._failed
