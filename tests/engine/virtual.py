"""Virtual time for asyncio, and a network in memory: whole calls of two nodes in milliseconds, the same every time."""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from p2pcall.engine import offload
from p2pcall.net.pump import pump
from p2pcall.types import Address

T = TypeVar("T")


BESIDE_S = 0.001
"""Between two looks whether a thread beside the loop is done."""


class _JumpingSelector(selectors.SelectSelector):
    """Waits for work beside the loop, which takes no time, and for nothing else: what would be waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        while not ready and timeout != 0 and _beside():
            ready = super().select(BESIDE_S)
        ready = ready or super().select(0)  # it may have ended after the last look, and said so before
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen again")
            self.now += max(timeout, 0.0)
        return ready


def _beside() -> bool:
    return any(thread.name == offload.THREAD_NAME for thread in threading.enumerate())


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while code runs and jumps to the next timer when none does."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def pass_time(self, seconds: float) -> None:
        """What runs now takes so long."""
        self._jumping.now += seconds


def run_virtual(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


class Network:
    """Carries datagrams between drivers, with loss and delay drawn from a seed."""

    def __init__(
        self, seed: int = 1, *, loss: float = 0.0, delay_s: float = 0.005, jitter_s: float = 0.0
    ) -> None:
        self._random = Random(seed)
        self.loss, self.delay_s, self.jitter_s = loss, delay_s, jitter_s
        self.up = True
        self.sent = 0
        self.seen: list[bytes] = []
        self.sources: list[str] = []
        """Who has sent each datagram."""
        self._targets: set[str] = set()
        self._drivers: dict[tuple[str, int], MemoryDriver] = {}

    def driver(self, host: str, port: int = 51729) -> "MemoryDriver":
        """One host's socket."""
        driver = self._drivers[host, port] = MemoryDriver(self, (host, port))
        return driver

    def reached(self, host: str) -> bool:
        """Whether anybody has ever sent anything to that host."""
        return host in self._targets

    def carry(self, data: bytes, source: tuple[str, int], target: tuple[Any, ...]) -> None:
        """Deliver, late or never."""
        self.sent += 1
        self.seen.append(data)
        self.sources.append(source[0])
        self._targets.add(target[0])
        driver = self._drivers.get((target[0], target[1]))
        if driver is None or not self.up or self._random.random() < self.loss:
            return
        delay = self.delay_s + self.jitter_s * self._random.random()
        asyncio.get_running_loop().call_later(delay, driver.receive, data, source)


class MemoryDriver:
    """`net.udp.Driver` without sockets: the same verbs, the same pump."""

    def __init__(self, network: Network, address: tuple[str, int]) -> None:
        self._network, self._address = network, address
        self._endpoint: Any = None
        self._on_event: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False
        self.port = address[1]
        self.asleep_s = 0.0

    def start(self, endpoint: Any, on_event: Any, *, on_wake: Any, **_: Any) -> None:
        self._endpoint, self._on_event = endpoint, on_event
        self._wake = on_wake
        self.pump()

    def _now(self) -> float:
        return asyncio.get_running_loop().time() + self.asleep_s

    def bound(self) -> list[str]:
        """As in `Driver`."""
        return [self._address[0]]

    def addresses(self) -> list[str]:
        return [self._address[0]]

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        if self._endpoint is not None:
            self._wake()
            self._endpoint.receive_datagram(data, source, self._now())
            self.pump()

    def pump(self) -> None:
        if self._pumping or self._endpoint is None:
            return
        self._pumping = True
        try:
            pump(self._endpoint, self._now, self._send, self._on_event)
        finally:
            self._pumping = False
        if self._timer is not None:
            self._timer.cancel()
        due = self._endpoint.next_timer()
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_at(due - self.asleep_s, self._fire)

    def _send(self, data: bytes, target: Address, now: float) -> None:
        self._network.carry(data, self._address, target)

    def _fire(self) -> None:
        self._wake()
        self._endpoint.handle_timer(self._now())
        self.pump()

    def close(self) -> None:
        self._endpoint = None
        if self._timer is not None:
            self._timer.cancel()
