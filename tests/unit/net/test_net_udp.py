"""The driver on real sockets of the loopback, with an endpoint that does as it is told."""

import asyncio
import errno
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fingerprint import fingerprint

from p2pcall.net import interfaces, udp
from p2pcall.net.interfaces import AddressWatch
from p2pcall.net.pump import SansIOEndpoint
from p2pcall.net.udp import Driver
from p2pcall.types import Address

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel tells of ICMP errors on Linux only"
)


class Endpoint:
    """Each datagram becomes an event; what is put into `out` is sent, `timer` is when it wants to be woken."""

    def __init__(self) -> None:
        self.out: list[tuple[bytes, Address]] = []
        self.events: deque[tuple[bytes, Address]] = deque()
        self.timer: float | None = None
        self.expired: list[float] = []
        self.woken = asyncio.Event()
        self.answers: list[bytes] = []
        """To whatever begins with `?` or `~` these are sent, at once."""

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool | None:
        """Genuine is what does not begin with `?`, and from elsewhere than its line goes to what begins with `~`."""
        genuine = None if data.startswith(b"~") else not data.startswith(b"?")
        self.out += [] if genuine else [(answer, address) for answer in self.answers]
        self.events.append((data, address))
        return genuine

    def handle_timer(self, now: float) -> None:
        self.expired.append(now)
        self.timer = None
        self.woken.set()

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        out, self.out = self.out, []
        return out

    def next_timer(self) -> float | None:
        return self.timer

    def next_event(self) -> tuple[bytes, Address] | None:
        return self.events.popleft() if self.events else None


_line: SansIOEndpoint[tuple[bytes, Address]] = Endpoint()


class Side:
    """A driver with its endpoint, and a queue of what it was told."""

    def __init__(self, *bind: str, port: int = 0) -> None:
        self.endpoint = Endpoint()
        self.driver: Driver[tuple[bytes, Address]] = Driver.open(bind, port)
        self.told: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.unreachable: asyncio.Queue[tuple[Address, int]] = asyncio.Queue()
        self.on_event: Callable[[tuple[bytes, Address]], None] = self.told.put_nowait

    def start(self) -> "Side":
        self.driver.start(
            self.endpoint,
            lambda event: self.on_event(event),
            on_unreachable=lambda address, code: self.unreachable.put_nowait((address, code)),
            answers=b"!",
        )
        return self

    def send(self, *datagrams: tuple[bytes, Address]) -> None:
        self.endpoint.out += datagrams
        self.driver.pump()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story()

    asyncio.run(bounded())


def closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(("host", "rest"), [("127.0.0.1", ()), ("::1", (0, 0))])
def test_datagrams_go_and_come(host: str, rest: tuple[int, ...]) -> None:
    async def story() -> None:
        a, b = Side().start(), Side(host).start()
        a.send((b"there", (host, b.driver.port, *rest)))
        data, address = await b.told.get()
        assert (data, address) == (b"there", (host, a.driver.port, *rest))
        b.send((b"back", address))
        assert await a.told.get() == (b"back", (host, b.driver.port, *rest))
        a.driver.close()
        b.driver.close()

    run(story)


def test_an_answer_leaves_from_the_address_that_was_dialled() -> None:
    """Else a firewall takes it for a stranger's: 127.0.0.2 was asked, the kernel would answer from 127.0.0.1."""

    async def story() -> None:
        a, b = Side().start(), Side("127.0.0.1").start()
        b.send((b"hello", ("127.0.0.2", a.driver.port)))
        _, address = await a.told.get()
        a.send((b"hi", address))
        assert await b.told.get() == (b"hi", ("127.0.0.2", a.driver.port))
        a.driver.close()
        b.driver.close()

    run(story)


def test_what_is_not_genuine_is_answered_from_where_it_came_to_and_moves_nothing() -> None:
    """Not the line to the very address that it is forged to come from, neither at once nor later."""

    async def story() -> None:
        a, b = Side().start(), Side("127.0.0.1").start()
        here = a.driver.port
        b.send((b"hello", ("127.0.0.2", here)))
        _, address = await a.told.get()
        a.send((b"media", address))
        assert await b.told.get() == (b"media", ("127.0.0.2", here))
        before = fingerprint(a.driver._routes)
        a.endpoint.answers = [b"!cookie", b"media"]
        b.send((b"?knock", ("127.0.0.3", here)))
        assert await b.told.get() == (b"!cookie", ("127.0.0.3", here))
        assert await b.told.get() == (b"media", ("127.0.0.2", here))
        assert fingerprint(a.driver._routes) == before
        a.send((b"!late", address))
        assert await b.told.get() == (b"!late", ("127.0.0.2", here))
        b.send((b"moved", ("127.0.0.3", here)))
        while (await a.told.get())[0] != b"moved":
            pass
        a.send((b"media", address))
        assert await b.told.get() == (b"media", ("127.0.0.3", here))
        a.driver.close()
        b.driver.close()

    run(story)


@pytest.mark.parametrize(("came", "answer"), [(b"?knock", b"!cookie"), (b"~moved", b"is it you")])
def test_a_stranger_is_answered_from_where_he_asked_and_forgotten(came: bytes, answer: bytes) -> None:
    async def story() -> None:
        a, b = Side().start(), Side("127.0.0.1").start()
        a.endpoint.answers = [answer]
        empty = fingerprint(a.driver._routes)
        for host in ("127.0.0.2", "127.0.0.3"):
            b.send((came, (host, a.driver.port)))
            assert await b.told.get() == (answer, (host, a.driver.port))
            assert fingerprint(a.driver._routes) == empty
        a.driver.close()
        b.driver.close()

    run(story)


def test_what_happens_in_an_event_is_pumped_too() -> None:
    """An event's handler that makes the endpoint send, and pumps, sends; in order and without recursion."""

    async def story() -> None:
        a, b = Side("127.0.0.1").start(), Side("127.0.0.1").start()
        depth = [0]

        def answer(event: tuple[bytes, Address]) -> None:
            depth.append(depth[-1] + 1)
            assert depth[-1] == 1
            b.send((event[0] + b"!", event[1]))
            depth.pop()

        b.on_event = answer
        a.send(*[(str(i).encode(), ("127.0.0.1", b.driver.port)) for i in range(40)])
        assert [(await a.told.get())[0] for _ in range(40)] == [b"%d!" % i for i in range(40)]
        a.driver.close()
        b.driver.close()

    run(story)


def test_after_a_sleep_timers_are_due_and_whoever_wakes_up_is_told_first() -> None:
    async def story() -> None:
        told: list[bytes] = []
        side = Side("127.0.0.1")
        endpoint, loop = side.endpoint, asyncio.get_running_loop()
        endpoint.timer = loop.time() + 1000
        side.on_event = lambda event: told.append(event[0])
        side.driver.start(endpoint, side.on_event, on_wake=lambda: told.append(b"awake"))
        side.driver.asleep_s = 1000.0
        side.driver.pump()
        await endpoint.woken.wait()
        assert told == [b"awake"]
        assert endpoint.expired[0] >= loop.time() + 999
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"datagram", ("127.0.0.1", side.driver.port))
        while len(told) < 3:
            await asyncio.sleep(0)
        assert told == [b"awake", b"awake", b"datagram"]
        side.driver.close()

    run(story)


def test_one_timer_is_armed_and_moved() -> None:
    async def story() -> None:
        side = Side("127.0.0.1").start()
        loop = asyncio.get_running_loop()
        side.endpoint.timer = loop.time() + 1000
        side.driver.pump()
        side.driver.pump()
        side.endpoint.timer = loop.time()
        side.driver.pump()
        await side.endpoint.woken.wait()
        assert len(side.endpoint.expired) == 1
        side.endpoint.timer = loop.time() + 1000
        side.driver.pump()
        side.driver.close()

    run(story)


def test_a_change_of_own_addresses_is_told_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        seen = [frozenset({b"one"})]
        monkeypatch.setattr(interfaces, "ADDRESS_POLL_S", 0.0)
        monkeypatch.setattr(AddressWatch.__init__, "__defaults__", (lambda: seen[0],))
        driver: Driver[tuple[bytes, Address]] = Driver.open(["127.0.0.1"], 0)
        moved = asyncio.Event()
        driver.start(Endpoint(), lambda event: None, on_moved=moved.set)
        seen[0] = frozenset({b"two"})
        await asyncio.wait_for(moved.wait(), 10)
        driver.close()

    asyncio.run(scene())


def test_closing_inside_an_event_ends_it_all() -> None:
    async def story() -> None:
        a, b = Side("127.0.0.1").start(), Side("127.0.0.1").start()
        seen = asyncio.Event()

        def close(_: object) -> None:
            b.driver.close()
            b.driver.close()
            b.driver.pump()
            seen.set()

        b.on_event = close
        a.send((b"1", ("127.0.0.1", b.driver.port)), (b"2", ("127.0.0.1", b.driver.port)))
        await seen.wait()
        a.driver.close()

    run(story)


def test_a_driver_that_never_started_can_be_closed() -> None:
    side_driver: Driver[object] = Driver.open(["127.0.0.1"], 0)
    side_driver.pump()
    side_driver.close()


@linux_only
def test_a_closed_port_is_told_by_its_address_and_costs_nobody_else_a_datagram() -> None:
    async def story() -> None:
        a, b = Side("127.0.0.1").start(), Side("127.0.0.1").start()
        nobody = ("127.0.0.1", closed_port())
        good = ("127.0.0.1", b.driver.port)
        a.send((b"x", nobody), (b"0", good), (b"x", nobody), (b"1", good), (b"2", good))
        assert [(await b.told.get())[0] for _ in range(3)] == [b"0", b"1", b"2"]
        assert await a.unreachable.get() == (nobody, errno.ECONNREFUSED)
        assert a.driver.errors["ECONNREFUSED"] >= 1
        a.driver.close()
        b.driver.close()

    run(story)


def test_a_family_without_socket_is_told() -> None:
    async def story() -> None:
        side = Side("127.0.0.1").start()
        side.send((b"x", ("::1", 9, 0, 0)))
        assert await side.unreachable.get() == (("::1", 9, 0, 0), errno.EAFNOSUPPORT)
        side.driver.close()

    run(story)


def test_a_datagram_that_is_too_long_for_the_system_is_counted_only() -> None:
    async def story() -> None:
        side = Side("127.0.0.1").start()
        side.send((bytes(70000), ("127.0.0.1", 9)))
        assert side.driver.errors["EMSGSIZE"] == 1
        assert side.unreachable.empty()
        side.driver.close()

    run(story)


def test_the_endpoint_sees_that_a_datagram_is_too_long() -> None:
    async def story() -> None:
        a, b = Side("127.0.0.1").start(), Side("127.0.0.1").start()
        a.send((bytes(9000), ("127.0.0.1", b.driver.port)), (b"", ("127.0.0.1", b.driver.port)))
        assert len((await b.told.get())[0]) == udp.RECEIVE_BYTES > 1200
        assert (await b.told.get())[0] == b""
        a.driver.close()
        b.driver.close()

    run(story)


class FullSocket:
    """A socket whose buffer is full, and which the network has left."""

    family = socket.AF_INET

    def __init__(self, send: OSError, receive: OSError) -> None:
        self.send, self.receive = send, receive

    def sendmsg(self, *_: object) -> int:
        raise self.send

    def recvmsg(self, *_: object) -> Any:
        raise self.receive


@pytest.mark.parametrize(
    ("failure", "name", "told"),
    [
        (BlockingIOError(errno.EAGAIN, ""), "EAGAIN", 0),
        (OSError(errno.ENOBUFS, ""), "ENOBUFS", 0),
        (OSError(errno.ENETUNREACH, ""), "ENETUNREACH", 1),
        (PermissionError(errno.EPERM, ""), "EPERM", 1),
    ],
)
def test_sends_that_fail_are_counted_never_raised(failure: OSError, name: str, told: int) -> None:
    async def story() -> None:
        full: Any = FullSocket(failure, BlockingIOError(errno.EAGAIN, ""))
        driver: Driver[tuple[bytes, Address]] = Driver([], 9)
        driver.start(endpoint := Endpoint(), print, on_unreachable=lambda *event: events.append(event))
        driver._routes._sockets = (full,)
        events: list[tuple[Address, int]] = []
        endpoint.out = [(b"x", ("192.0.2.1", 9))] * 3
        driver.pump()
        assert driver.errors == {name: 3}
        assert len(events) == told
        driver.close()

    run(story)


def test_a_receive_that_fails_is_counted_and_the_loop_goes_on() -> None:
    async def story() -> None:
        broken: Any = FullSocket(OSError(), OSError(errno.EHOSTUNREACH, ""))
        driver: Driver[tuple[bytes, Address]] = Driver([], 9)
        driver.start(Endpoint(), print)
        driver._readable(broken)
        assert driver.errors == {"EHOSTUNREACH": udp.RECEIVE_BATCH}
        driver.close()

    run(story)
