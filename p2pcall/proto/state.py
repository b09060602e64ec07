"""What an endpoint and the phases of its peers have in common: indexes, timers, queues, counters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from math import inf

from msgspec import Struct, field

from p2pcall.proto import constants as c
from p2pcall.proto.events import ProtocolEvent
from p2pcall.proto.handshake.exchange import Local
from p2pcall.proto.peer import Peer
from p2pcall.proto.wire import DropReason
from p2pcall.types import Address


class EndpointState(Struct):
    """`peers` maps indexes to peers: each peer's own `index` for its whole life, and those of its later epochs.

    `timers` says when each peer has something to do again. It is valid for all but the `touched` peers, which have
    changed since they were last flushed. So the cost of a datagram does not grow with the number of peers.
    """

    local: Local
    new_index: Callable[[], int]
    peers: dict[int, Peer] = field(default_factory=dict)
    timers: dict[int, float] = field(default_factory=dict)
    touched: dict[int, Peer] = field(default_factory=dict)
    outbox: deque[tuple[bytes, Address]] = field(default_factory=lambda: deque(maxlen=c.MAX_OUTBOX_DATAGRAMS))
    events: deque[ProtocolEvent] = field(default_factory=deque)
    dropped: Counter[DropReason] = field(default_factory=Counter)

    @property
    def everyone(self) -> list[Peer]:
        """Each peer once, the oldest first."""
        return [self.peers[index] for index in self.timers]

    def add(self, peer: Peer) -> None:
        """Add a new peer, after its first phase has begun."""
        self.peers[peer.index] = self.touched[peer.index] = peer
        self.timers[peer.index] = inf

    def touch(self, peer: Peer) -> None:
        """This peer has changed: it may have something to send, and another timer."""
        self.touched[peer.index] = peer

    def forget(self, peer: Peer) -> None:
        """The peer is gone."""
        for index in [index for index, one in self.peers.items() if one is peer]:
            del self.peers[index]
        self.timers.pop(peer.index, None)
        self.touched.pop(peer.index, None)

    def handle_timers(self, now: float) -> None:
        """Let time pass for the peers whose timers are due."""
        if self.touched:
            self._look_anew()
        for index in [index for index, at in self.timers.items() if at <= now]:
            peer = self.touched[index] = self.peers[index]
            peer.phase.handle_timer(now)

    def flush(self, now: float) -> None:
        """Queue every datagram that is due."""
        for index, at in self.timers.items():
            if at <= now:
                self.touched[index] = self.peers[index]
        if self.touched:
            for peer in list(self.touched.values()):
                peer.phase.flush(now)
            self._look_anew()
            self.touched.clear()

    def next_timer(self) -> float:
        """When there is something to do again, `inf` for never."""
        if self.touched:
            self._look_anew()
        return min(self.timers.values(), default=inf)

    def claim(self, peer: Peer) -> int:
        """A new index for an epoch of this peer."""
        index = self.new_index()
        self.peers[index] = peer
        return index

    def release(self, index: int) -> None:
        """No datagram may carry this index any more; a peer's own `index` still identifies it until it goes."""
        peer = self.peers.get(index)
        if peer is not None and peer.index != index:
            del self.peers[index]

    def post(self, datagram: bytes, address: Address) -> None:
        """Queue a datagram; if the queue is full, the oldest is dropped."""
        if len(self.outbox) == c.MAX_OUTBOX_DATAGRAMS:
            self.dropped[DropReason.QUEUE] += 1
        self.outbox.append((datagram, address))

    def _look_anew(self) -> None:
        for index, peer in self.touched.items():
            at = peer.phase.next_timer()
            self.timers[index] = inf if at is None else at
