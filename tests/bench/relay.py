"""A bad network between two programs on this machine: a relay for UDP that loses, delays and bunches, with a seed.

    with Relay(port, seed=1) as relay:      # listens on relay.port, passes on to 127.0.0.1:port, and back
        relay.network = NETWORKS["10 % loss"]

Order is kept, as on most paths. Until a network is set, all passes at once.
"""

import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
MOST_BYTES = 2048
CALM_S = 0.5
"""The longest wait for nothing."""


@dataclass(frozen=True, slots=True)
class Network:
    """Both directions alike. `burst`: how many packets are lost in a row, in the mean (Gilbert-Elliott)."""

    loss: float = 0.0
    burst: float = 1.0
    jitter_s: float = 0.0
    """Each packet waits for up to so long, evenly spread."""
    spike_s: float = 0.0
    """Now and then (once in two seconds in the mean) everything waits for so long, as on Wi-Fi."""


NETWORKS = {
    "clean": Network(),
    "1 % loss": Network(loss=0.01),
    "5 % loss": Network(loss=0.05),
    "10 % loss": Network(loss=0.10),
    "20 % loss": Network(loss=0.20),
    "30 % loss": Network(loss=0.30),
    "10 % in bursts of 3": Network(loss=0.10, burst=3),
    "10 % in bursts of 5": Network(loss=0.10, burst=5),
    "10 ms jitter": Network(jitter_s=0.01),
    "30 ms jitter": Network(jitter_s=0.03),
    "60 ms jitter": Network(jitter_s=0.06),
    "spikes of 100 ms": Network(jitter_s=0.005, spike_s=0.1),
}
SPIKES_PER_S = 0.5


class _Way:
    """One direction."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._bad = False
        self._held_until = self._next_spike = 0.0
        self.waiting: deque[tuple[float, bytes]] = deque()

    def take(self, data: bytes, network: Network, now: float) -> None:
        """A datagram has come."""
        if self._lost(network):
            return
        if network.spike_s and now > self._next_spike:
            self._held_until = now + network.spike_s
            self._next_spike = self._held_until + self._chance.expovariate(SPIKES_PER_S)
        due = max(now + self._chance.random() * network.jitter_s, self._held_until)
        if self.waiting:
            due = max(due, self.waiting[-1][0])
        self.waiting.append((due, data))

    def _lost(self, network: Network) -> bool:
        if not network.loss:
            return False
        if self._bad:
            self._bad = self._chance.random() >= 1 / network.burst
        else:
            self._bad = self._chance.random() < network.loss / (network.burst * (1 - network.loss))
        return self._bad


class Relay(threading.Thread):
    """Between whoever sends to `port` here and a port of this machine."""

    def __init__(self, target: int, *, seed: int = 1) -> None:
        super().__init__(name="relay")
        self.network = Network()
        self._near, self._far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for one in (self._near, self._far):
            one.bind((HOST, 0))
            one.setblocking(False)
        self._far.connect((HOST, target))
        self.port: int = self._near.getsockname()[1]
        self._caller: tuple[str, int] | None = None
        self._ways = {self._near: _Way(Random(seed)), self._far: _Way(Random(seed + 1))}
        self._ended = False

    def run(self) -> None:
        while not self._ended:
            due = [way.waiting[0][0] for way in self._ways.values() if way.waiting]
            wait = max(0.0, min(due) - time.monotonic()) if due else CALM_S
            for ready in select.select([*self._ways], [], [], min(wait, CALM_S))[0]:
                self._receive(ready)
            now = time.monotonic()
            for source, way in self._ways.items():
                while way.waiting and way.waiting[0][0] <= now:
                    self._pass_on(source, way.waiting.popleft()[1])

    def _receive(self, source: socket.socket) -> None:
        try:
            data, sender = source.recvfrom(MOST_BYTES)
        except OSError:  # nobody is there (any more)
            return
        if source is self._near:
            self._caller = sender
        self._ways[source].take(data, self.network, time.monotonic())

    def _pass_on(self, source: socket.socket, data: bytes) -> None:
        try:
            if source is self._near:
                self._far.send(data)
            elif self._caller is not None:
                self._near.sendto(data, self._caller)
        except OSError:
            return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self.join()
        self._near.close()
        self._far.close()
