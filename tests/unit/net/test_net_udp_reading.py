"""How many datagrams are taken at one wake-up."""

import asyncio
from typing import Any

from p2pcall.net.udp import RECEIVE_BATCH, Driver


class Endpoint:
    """Takes what comes, and has nothing to say."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def receive_datagram(self, data: bytes, address: tuple[Any, ...], now: float) -> bool:
        self.got.append(data)
        return False

    def handle_timer(self, now: float) -> None:
        pass

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, tuple[Any, ...]]]:
        return []

    def next_timer(self) -> None:
        return None

    def next_event(self) -> None:
        return None


class Socket:
    """Has some datagrams waiting, and counts the looks."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.looks = 0

    def recvmsg(self, *_: object) -> Any:
        self.looks += 1
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(0), [], 0, ("127.0.0.1", 9)


def test_what_comes_alone_is_read_alone_and_a_burst_at_one_go() -> None:
    async def story() -> None:
        sock: Any = Socket()
        driver: Driver[Any] = Driver([], 9)
        driver.start(endpoint := Endpoint(), print)
        now = 100.0
        driver._loop.time = lambda: now  # type: ignore[union-attr, method-assign]
        sock.waiting = [b"voice"]
        driver._readable(sock)
        assert (sock.looks, endpoint.got) == (1, [b"voice"])
        now += 0.02
        sock.waiting = [b"picture"] * (RECEIVE_BATCH + 3)
        driver._readable(sock)
        assert sock.looks == 2
        now += 0.0001
        driver._readable(sock)
        assert sock.looks == 2 + RECEIVE_BATCH
        driver._readable(sock)
        assert sock.waiting == []
        driver.close()

    asyncio.run(story())
