"""What an endpoint and its peers have in common: indexes, queues, counters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2pcall.proto import constants as c
from p2pcall.proto.events import Happening
from p2pcall.proto.handshake import kem
from p2pcall.proto.handshake.kem import Encapsulate
from p2pcall.proto.handshake.noise import Entropy, KeyPair
from p2pcall.proto.wire import Address, DropReason

if TYPE_CHECKING:
    from p2pcall.proto.peer import Peer


@dataclass(slots=True)
class Shared:
    """`peers` has each peer under its own `index`, for as long as it lives, and under those of its later epochs."""

    entropy: Entropy
    static: KeyPair
    new_index: Callable[[], int]
    encapsulate: Encapsulate = kem.encapsulate
    peers: dict[int, Peer] = field(default_factory=dict)
    outbox: deque[tuple[bytes, Address]] = field(default_factory=lambda: deque(maxlen=c.MAX_OUTBOX_DATAGRAMS))
    happenings: deque[Happening] = field(default_factory=deque)
    dropped: Counter[DropReason] = field(default_factory=Counter)

    @property
    def everyone(self) -> list[Peer]:
        """Each peer once, the oldest first."""
        return [peer for index, peer in self.peers.items() if peer.index == index]

    def claim(self, peer: Peer) -> int:
        """A new index for an epoch of this peer."""
        index = self.new_index()
        self.peers[index] = peer
        return index

    def release(self, index: int) -> None:
        """No datagram may bear this index any more; a peer's own one stays its name until it goes."""
        peer = self.peers.get(index)
        if peer is not None and peer.index != index:
            del self.peers[index]

    def post(self, datagram: bytes, address: Address) -> None:
        """Queue a datagram; when nobody drains, the oldest goes."""
        if len(self.outbox) == c.MAX_OUTBOX_DATAGRAMS:
            self.dropped[DropReason.QUEUE] += 1
        self.outbox.append((datagram, address))
