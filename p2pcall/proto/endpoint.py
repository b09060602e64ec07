"""All peers behind one socket, sans-IO: feed it datagrams and the time, drain datagrams and happenings.

After every call of one of its verbs, or of a peer's: drain `datagrams_to_send`, drain `next_event`, re-arm
one timer at `next_timer`. Nothing from the network raises: it is dropped and counted in `dropped`. To
strangers it is silent but for one response, never longer than what they sent. Addresses are opaque.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from p2pcall.proto import constants as c
from p2pcall.proto import noise, wire
from p2pcall.proto.admission import Admission
from p2pcall.proto.calling import State
from p2pcall.proto.dialling import Dialling
from p2pcall.proto.handshake import Initiator, StaticKey, suites
from p2pcall.proto.happenings import Ended, Happening
from p2pcall.proto.messages import Reason
from p2pcall.proto.noise import Entropy
from p2pcall.proto.peer import Peer, Shared
from p2pcall.proto.wire import Address, DatagramType, DropReason

__all__ = ["Address", "Endpoint", "Peer", "StaticKey"]


class Endpoint:
    """One socket's worth of peers. `accepting` False: initiations are dropped, for a dialler that takes no
    calls."""

    def __init__(self, static: StaticKey, entropy: Entropy, *, aes: bool | None = None) -> None:
        self.accepting = True
        self._static = static
        self._entropy = entropy
        self._suites = suites(noise.aes_available() if aes is None else aes)
        self._shared = Shared(entropy)
        self._admission = Admission(static, entropy, self._suites, self._new_index, self._shared.dropped)

    @property
    def dropped(self) -> Counter[DropReason]:
        """How much was thrown away, by reason."""
        return self._shared.dropped

    @property
    def idle(self) -> bool:
        """Whether nothing is left to send or to wait for, so that the process can exit."""
        return not self._shared.outbox and all(peer.settled for peer in self._shared.peers.values())

    def dial(self, addresses: Sequence[Address], now: float, expected_static: bytes | None = None) -> Peer:
        """Begin a handshake with whoever answers first at these addresses, most likely ones first.

        Then HandshakeDone or HandshakeFailed comes. With `expected_static` whoever has another key is not
        shown ours, and if nobody has the right one soon after, it fails with `key-changed`. ValueError
        without an address or with a key of wrong length.
        """
        if not addresses:
            raise ValueError("no address to dial")
        if expected_static is not None and len(expected_static) != c.KEY_BYTES:
            raise ValueError(f"a public key has {c.KEY_BYTES} bytes")
        index = self._new_index()
        initiator = Initiator(self._static, self._entropy, index, self._suites, expected_static)
        return Peer(self._shared, index, addresses[0], Dialling(initiator, addresses, now), now)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take a datagram from the network, whatever it is."""
        reason = self._receive(data, address, now)
        if reason is not None:
            self._shared.dropped[reason] += 1

    def handle_timer(self, now: float) -> None:
        """Let time pass: give up what has lasted too long. What is due to leave is drained afterwards."""
        self._admission.expire(now)
        for peer in list(self._shared.peers.values()):
            peer.handle_timer(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Everything that is due to leave."""
        for peer in list(self._shared.peers.values()):
            peer.flush(now)
        outbox = self._shared.outbox
        datagrams = list(outbox)
        outbox.clear()
        return datagrams

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None: nothing is waiting."""
        times = [peer.next_timer() for peer in self._shared.peers.values()]
        times.append(self._admission.next_timer())
        return min((at for at in times if at is not None), default=None)

    def next_event(self) -> Happening | None:
        """The oldest happening that was not yet told."""
        return self._shared.happenings.popleft() if self._shared.happenings else None

    def _receive(self, data: bytes, address: Address, now: float) -> DropReason | None:
        if not data or len(data) > c.MAX_DATAGRAM_BYTES:
            return DropReason.LENGTH
        kind = data[0]
        if kind == DatagramType.DATA:
            if len(data) < c.MIN_DATA_BYTES:
                return DropReason.LENGTH
            _, reserved, index, _ = wire.DATA.unpack_from(data)
            if reserved != wire.RESERVED:
                return DropReason.RESERVED
            peer = self._shared.peers.get(index)
            return DropReason.INDEX if peer is None else peer.receive_data(data, address, now)
        if kind == DatagramType.INITIATION:
            return self._receive_initiation(data, address, now)
        if kind == DatagramType.RESPONSE:
            return self._receive_response(data, address, now)
        if kind == DatagramType.CONFIRMATION:
            return self._receive_confirmation(data, address, now)
        return DropReason.TYPE

    def _receive_initiation(self, data: bytes, address: Address, now: float) -> DropReason | None:
        if not self.accepting:
            return DropReason.NOT_ACCEPTING
        if self._full and self._without_call() is None:
            return DropReason.FULL
        response = self._admission.answer(data, now)
        if isinstance(response, DropReason):
            return response
        self._shared.post(response, address)
        return None

    def _receive_response(self, data: bytes, address: Address, now: float) -> DropReason | None:
        response = wire.parse_response(data)
        if isinstance(response, DropReason):
            return response
        peer = self._shared.peers.get(response.receiver_index)
        return DropReason.INDEX if peer is None else peer.receive_response(response, address, now)

    def _receive_confirmation(self, data: bytes, address: Address, now: float) -> DropReason | None:
        confirmation = wire.parse_confirmation(data)
        if isinstance(confirmation, DropReason):
            return confirmation
        spare = self._without_call() if self._full else None
        if self._full and spare is None:
            return DropReason.FULL
        established = self._admission.confirm(confirmation)
        if isinstance(established, DropReason):
            return established
        if spare is not None:
            self._close(spare, now)
        Peer(self._shared, confirmation.receiver_index, address, established, now)
        return None

    @property
    def _full(self) -> bool:
        return len(self._shared.peers) >= c.MAX_PEERS

    def _without_call(self) -> Peer | None:
        """The oldest line that carries no call: it is over, or the other side has not invited us yet."""
        for peer in self._shared.peers.values():
            if peer.state is State.ENDED or (peer.state is State.IDLE and not peer.initiator):
                return peer
        return None

    def _close(self, peer: Peer, now: float) -> None:
        """Make room: what was not told to be over is told now."""
        over = peer.state is State.ENDED
        peer.close(now)
        if not over:
            self._shared.happenings.append(Ended(peer, Reason.SILENT, remote=False))

    def _new_index(self) -> int:
        """An index that nobody can guess and that no line or handshake of ours bears."""
        while True:
            index = int.from_bytes(self._entropy(c.INDEX_BYTES), "big")
            if index not in self._shared.peers and index not in self._admission:
                return index
