"""Errors that come by ICMP, which anybody can send: about whom they are, where the kernel does not say so."""

import asyncio
import socket
import sys

import pytest

from p2pcall.net.routes import Routes
from p2pcall.net.udp import Driver
from p2pcall.types import Address

JUNK = bytes(1000)
MOST_JUNK = 5_000
"""More than the kernel gives a socket room for."""


class Quiet:
    """An endpoint that has only something to send."""

    def __init__(self) -> None:
        self.out: list[tuple[bytes, Address]] = []

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool | None:
        raise AssertionError("nothing is read here")

    def handle_timer(self, now: float) -> None:
        pass

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        out, self.out = self.out, []
        return out

    def next_timer(self) -> float | None:
        return None

    def next_event(self) -> None:
        return None


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of ICMP errors on Linux only")
def test_an_error_that_is_told_without_a_name_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a socket whose buffer strangers have filled the kernel says that something failed, but not what."""
    asyncio.run(_flooded(monkeypatch))


async def _flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Address] = []
    monkeypatch.setattr(Routes, "failed", lambda self, address: moved.append(address))
    told: list[tuple[Address, int]] = []
    endpoint, driver = Quiet(), Driver[None].open(["127.0.0.1"], 0)
    driver.start(endpoint, print, on_unreachable=lambda *what: told.append(what))
    try:
        _send_both(endpoint, driver)
    finally:
        driver.close()
    assert (told, moved) == ([], [])
    assert not driver.errors


def _send_both(endpoint: Quiet, driver: Driver[None]) -> None:
    """Something to a closed port, and then to a friend, while strangers fill the buffer."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as friend,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed,
    ):
        friend.bind(("127.0.0.1", 0))
        friend.settimeout(5)
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()
        closed.close()
        for _ in range(MOST_JUNK):
            stranger.sendto(JUNK, ("127.0.0.1", driver.port))
        endpoint.out = [(b"x", nobody)]
        driver.pump()
        endpoint.out = [(b"hello", friend.getsockname())]
        driver.pump()
        assert friend.recv(9) == b"hello"
