"""All peers behind one socket, sans-IO: feed it datagrams and the time, drain datagrams and happenings.

After every call of one of its verbs, or of a peer's: drain `next_event`, drain `datagrams_to_send`, re-arm
one timer at `next_timer`. Nothing from the network raises: it is dropped and counted in `dropped`. To
strangers it says at most a cookie and a response, each shorter than what they sent, and under `reach` "contacts"
nothing at all. Addresses are opaque.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from p2pcall.proto import constants as c
from p2pcall.proto import kem, noise, wire
from p2pcall.proto.admission import Admission
from p2pcall.proto.calling import State
from p2pcall.proto.dialling import Dialling
from p2pcall.proto.door import Reach
from p2pcall.proto.handshake import StaticKey, suites
from p2pcall.proto.happenings import Ended, Happening
from p2pcall.proto.kem import Encapsulate
from p2pcall.proto.messages import Reason
from p2pcall.proto.noise import Entropy
from p2pcall.proto.peer import Peer
from p2pcall.proto.shared import Shared
from p2pcall.proto.wire import Address, DatagramType, DropReason

__all__ = ["Address", "Endpoint", "Peer", "StaticKey"]


class Endpoint:
    """One socket's worth of peers. `accepting` False: as if nobody were there, for a dialler that takes no calls.

    `wall(now)` is the time in seconds since the epoch, by which a knock is newer than those before; without it
    `now` is taken. `encapsulate` is given where the same bytes are wanted again.
    """

    def __init__(
        self,
        static: StaticKey,
        entropy: Entropy,
        *,
        aes: bool | None = None,
        wall: Callable[[float], float] | None = None,
        encapsulate: Encapsulate = kem.encapsulate,
    ) -> None:
        self.accepting = True
        self._static = static
        self._entropy = entropy
        self._wall = wall
        self._last_timestamp = 0
        self._suites = suites(noise.aes_available() if aes is None else aes)
        self._shared = Shared(entropy, static, self._new_index, encapsulate)
        self._admission = Admission(
            static,
            entropy,
            self._suites,
            self._new_index,
            self._shared.dropped,
            encapsulate,
            self._time_of_day,
        )

    @property
    def reach(self) -> Reach:
        """Who may knock: "anyone", or the "contacts" alone, to whom all others get not one byte."""
        return self._admission.door.reach

    @reach.setter
    def reach(self, reach: Reach) -> None:
        self._admission.door.reach = reach

    def contacts(self, publics: Collection[bytes]) -> None:
        """Whose knocks are answered under `reach` "contacts" from now on; ValueError above `MAX_CONTACTS`."""
        self._admission.door.set_contacts(publics)

    @property
    def dropped(self) -> Counter[DropReason]:
        """How much was thrown away, by reason."""
        return self._shared.dropped

    @property
    def idle(self) -> bool:
        """Whether nothing is left to send or to wait for, so that the process can exit."""
        return not self._shared.outbox and all(peer.settled for peer in self._shared.everyone)

    def dial(
        self,
        addresses: Sequence[Address],
        now: float,
        expected_static: bytes | None = None,
        known: Collection[bytes] = (),
    ) -> Peer:
        """Begin a handshake with whoever answers first at these addresses, most likely ones first.

        Then HandshakeDone or HandshakeFailed comes. With `expected_static` whoever has another key is not
        shown ours, and if nobody has the right one soon after, it fails with `key-changed`. Without it, if
        nobody answers a stranger there, it is asked for the owners of `known`, the likeliest first. ValueError
        without an address or with a key of wrong length.
        """
        if not addresses:
            raise ValueError("no address to dial")
        keys = [*known] if expected_static is None else [expected_static]
        if any(len(key) != c.KEY_BYTES for key in keys):
            raise ValueError(f"a public key has {c.KEY_BYTES} bytes")
        index = self._new_index()
        dialling = Dialling(
            self._static,
            self._entropy,
            index,
            self._suites,
            addresses,
            now,
            self._timestamp,
            expected_static,
            known,
        )
        return Peer(self._shared, index, addresses[0], dialling, now)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """Take a datagram from the network, whatever it is. True: it is genuine, proven by the keys of a line.

        So it is for data that was opened, a response that was taken, and a confirmation that was; never for a knock,
        an initiation or a cookie, which anybody can send from anywhere.
        """
        reason = self._receive(data, address, now)
        if reason is not None:
            self._shared.dropped[reason] += 1
        return reason is None and data[0] in wire.GENUINE

    def handle_timer(self, now: float) -> None:
        """Let time pass: give up what has lasted too long. What is due to leave is drained afterwards."""
        self._admission.expire(now)
        for peer in self._shared.everyone:
            peer.handle_timer(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Everything that is due to leave."""
        for peer in self._shared.everyone:
            peer.flush(now)
        outbox = self._shared.outbox
        datagrams = list(outbox)
        outbox.clear()
        return datagrams

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None: nothing is waiting."""
        times = [peer.next_timer() for peer in self._shared.everyone]
        times.append(self._admission.next_timer())
        return min((at for at in times if at is not None), default=None)

    def next_event(self) -> Happening | None:
        """The oldest happening that was not yet told."""
        return self._shared.happenings.popleft() if self._shared.happenings else None

    def _receive(self, data: bytes, address: Address, now: float) -> DropReason | None:
        if not data or len(data) > c.MAX_HANDSHAKE_DATAGRAM_BYTES:
            return DropReason.LENGTH
        match data[0]:
            case DatagramType.DATA:
                return self._receive_data(data, address, now)
            case DatagramType.KNOCK | DatagramType.INITIATION as kind:
                return self._receive_first(kind, data, address, now)
            case DatagramType.COOKIE:
                return self._receive_cookie(data, now)
            case DatagramType.RESPONSE:
                return self._receive_response(data, address, now)
            case DatagramType.CONFIRMATION:
                return self._receive_confirmation(data, address, now)
        return DropReason.TYPE

    def _receive_data(self, data: bytes, address: Address, now: float) -> DropReason | None:
        if not c.MIN_DATA_BYTES <= len(data) <= c.MAX_DATAGRAM_BYTES:
            return DropReason.LENGTH
        _, reserved, index, _ = wire.DATA.unpack_from(data)
        if reserved != wire.RESERVED:
            return DropReason.RESERVED
        peer = self._shared.peers.get(index)
        return DropReason.INDEX if peer is None else peer.receive_data(data, address, now)

    def _receive_first(self, kind: int, data: bytes, address: Address, now: float) -> DropReason | None:
        if not self.accepting:
            return DropReason.NOT_ACCEPTING
        if self._full and self._without_call() is None:
            return DropReason.FULL
        take = self._admission.knock if kind == DatagramType.KNOCK else self._admission.part
        answer = take(data, address, now)
        if isinstance(answer, bytes):
            self._shared.post(answer, address)
            return None
        return answer

    def _receive_cookie(self, data: bytes, now: float) -> DropReason | None:
        cookie = wire.parse_cookie(data)
        if isinstance(cookie, DropReason):
            return cookie
        peer = self._shared.peers.get(cookie.receiver_index)
        return DropReason.INDEX if peer is None else peer.receive_cookie(cookie, now)

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
        if not self.accepting:
            return DropReason.NOT_ACCEPTING
        spare = self._without_call() if self._full else None
        if self._full and spare is None:
            return DropReason.FULL
        established = self._admission.confirm(confirmation, address)
        if isinstance(established, DropReason):
            return established
        if spare is not None:
            self._close(spare, now)
        Peer(self._shared, confirmation.receiver_index, address, established, now)
        return None

    @property
    def _full(self) -> bool:
        peers = self._shared.peers
        return len(peers) >= c.MAX_PEERS and len(self._shared.everyone) >= c.MAX_PEERS

    def _without_call(self) -> Peer | None:
        """The oldest line that carries no call: it is over, or the other side has not invited us yet."""
        for peer in self._shared.everyone:
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

    def _time_of_day(self, now: float) -> int:
        """Microseconds since the epoch."""
        return int((now if self._wall is None else self._wall(now)) * c.CLOCK_HZ)

    def _timestamp(self, now: float) -> int:
        """The time of day for a knock, each only once."""
        self._last_timestamp = max(self._last_timestamp + 1, self._time_of_day(now))
        return self._last_timestamp
