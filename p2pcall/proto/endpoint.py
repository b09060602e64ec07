"""All peers behind one socket, sans-IO: feed it datagrams and the time, drain datagrams and events.

After every call of one of its methods, or of a peer's: drain `next_event`, drain `datagrams_to_send`, re-arm one
timer at `next_timer`. Nothing from the network raises: bad input is dropped and counted in `dropped`. Strangers get
at most a cookie and a response, each shorter than what they sent; under `reach` "contacts" they get nothing.
Addresses are opaque.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Final

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission.admission import Admission
from p2pcall.proto.admission.dial import Dial
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import CallEnded, ProtocolEvent
from p2pcall.proto.handshake import kem, noise
from p2pcall.proto.handshake.exchange import Local, StaticKey, suites
from p2pcall.proto.handshake.kem import Encapsulate
from p2pcall.proto.messages import Reason
from p2pcall.proto.peer import Peer
from p2pcall.proto.phases.connecting import connecting_peer
from p2pcall.proto.phases.open import answering_peer
from p2pcall.proto.state import EndpointState
from p2pcall.proto.wire import DatagramType, DropReason
from p2pcall.types import Address, Entropy, Reach

_DATA: Final = bytes([DatagramType.DATA])

__all__ = ["Address", "Endpoint", "Peer", "StaticKey"]


class Endpoint:
    """All peers behind one socket. `accepting` False: no knock is answered, for a dialler that takes no calls.

    `wall(now)` is the time in seconds since the epoch; the times in knocks come from it. Without it `now` is used.
    `encapsulate` replaces ML-KEM's where tests need the same bytes again. `former` is our key before this one: to the
    contacts in `untold`, and to nobody else, we are still that one, until `told`.
    """

    def __init__(
        self,
        static: StaticKey,
        entropy: Entropy,
        *,
        aes: bool | None = None,
        wall: Callable[[float], float] | None = None,
        encapsulate: Encapsulate = kem.encapsulate,
        former: StaticKey | None = None,
        untold: Collection[bytes] = (),
    ) -> None:
        self.accepting = True
        self._wall = wall
        self._last_timestamp = 0
        self._suites = suites(noise.aes_available() if aes is None else aes)
        self._state = EndpointState(Local(static, entropy, encapsulate, former, {*untold}), self._new_index)
        self._admission = Admission(
            self._state.local, self._suites, self._new_index, self._state.dropped, self._time_of_day
        )

    @property
    def reach(self) -> Reach:
        """Who may knock: "anyone", or only "contacts"; then nobody else gets a single byte in answer."""
        return self._admission.knock_filter.reach

    @reach.setter
    def reach(self, reach: Reach) -> None:
        self._admission.knock_filter.reach = reach

    def contacts(self, publics: Collection[bytes]) -> None:
        """The keys whose knocks are answered under `reach` "contacts"; ValueError above `MAX_CONTACTS`."""
        self._admission.knock_filter.set_contacts(publics)

    def told(self, public: bytes) -> None:
        """This contact knows our present key. Its lines stay; set the `contacts` again."""
        self._state.local.untold.discard(public)

    @property
    def dropped(self) -> Counter[DropReason]:
        """How much was thrown away, by reason."""
        return self._state.dropped

    @property
    def idle(self) -> bool:
        """Whether nothing is left to send or to wait for, so that the process can exit."""
        return not self._state.outbox and all(peer.settled for peer in self._state.everyone)

    def dial(
        self,
        addresses: Sequence[Address],
        now: float,
        expected_static: bytes | None = None,
        known: Collection[bytes] = (),
    ) -> Peer:
        """Begin a handshake with whoever answers first at these addresses, most likely ones first.

        HandshakeDone or HandshakeFailed follows. With `expected_static`, a responder with another key does not learn
        our key; if the expected key does not answer soon after, the dial fails with `key-changed`. Without it, if
        nobody there answers a stranger, the keys in `known` are tried, the likeliest first. ValueError without an
        address or with a key of wrong length.
        """
        if not addresses:
            raise ValueError("no address to dial")
        keys = [*known] if expected_static is None else [expected_static]
        if any(len(key) != c.KEY_BYTES for key in keys):
            raise ValueError(f"a public key has {c.KEY_BYTES} bytes")
        index = self._new_index()
        dial = Dial(
            self._state.local, index, self._suites, addresses, now, self._timestamp, expected_static, known
        )
        return connecting_peer(self._state, index, addresses[0], dial, now)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool | None:
        """Take any datagram from the network. True: it is genuine, and it came from the address of its line.

        Genuine means proven by the keys of a line: opened data, an accepted response, or an accepted confirmation.
        False: a knock, an initiation or a cookie, which anybody can send from anywhere, or a dropped datagram. None:
        it is genuine, but its address has not agreed to be the line's, and may be the address of another line.
        """
        is_data = data[:1] == _DATA
        reason = (self._receive_data if is_data else self._receive)(data, address, now)
        if reason is not None:
            self._state.dropped[reason] += 1
        if reason is not None or not (is_data or data[0] in wire.GENUINE):
            return False
        peer = self._state.peers.get(wire.RECEIVER.unpack_from(data)[0])
        return True if peer is not None and peer.address == address else None

    def handle_timer(self, now: float) -> None:
        """Let time pass: give up what has lasted too long. Drain what is due to leave afterwards."""
        self._admission.expire(now)
        self._state.handle_timers(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Everything that is due to leave."""
        self._state.flush(now)
        outbox = self._state.outbox
        datagrams = list(outbox)
        outbox.clear()
        return datagrams

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None: nothing is waiting."""
        at = min(self._state.next_timer(), self._admission.next_timer())
        return None if at == inf else at

    def next_event(self) -> ProtocolEvent | None:
        """The oldest event that was not yet taken."""
        events = self._state.events
        return events.popleft() if events else None

    def _receive(self, data: bytes, address: Address, now: float) -> DropReason | None:
        if not data or len(data) > c.MAX_HANDSHAKE_DATAGRAM_BYTES:
            return DropReason.LENGTH
        match data[0]:
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
        peer = self._state.peers.get(index)
        return DropReason.INDEX if peer is None else peer.phase.receive_data(data, address, now)

    def _receive_first(self, kind: int, data: bytes, address: Address, now: float) -> DropReason | None:
        if not self.accepting:
            return DropReason.NOT_ACCEPTING
        if self._full and self._without_call() is None:
            return DropReason.FULL
        take = self._admission.knock if kind == DatagramType.KNOCK else self._admission.part
        answer = take(data, address, now)
        if isinstance(answer, bytes):
            self._state.post(answer, address)
            return None
        return answer

    def _receive_cookie(self, data: bytes, now: float) -> DropReason | None:
        cookie = wire.parse_cookie(data)
        if isinstance(cookie, DropReason):
            return cookie
        peer = self._state.peers.get(cookie.receiver_index)
        return DropReason.INDEX if peer is None else peer.phase.receive_cookie(cookie, now)

    def _receive_response(self, data: bytes, address: Address, now: float) -> DropReason | None:
        response = wire.parse_response(data)
        if isinstance(response, DropReason):
            return response
        peer = self._state.peers.get(response.receiver_index)
        return DropReason.INDEX if peer is None else peer.phase.receive_response(response, address, now)

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
            self._close(spare)
        answering_peer(self._state, confirmation.receiver_index, address, established, now)
        return None

    @property
    def _full(self) -> bool:
        peers = self._state.peers
        return len(peers) >= c.MAX_PEERS and len(self._state.everyone) >= c.MAX_PEERS

    def _without_call(self) -> Peer | None:
        """The oldest line that carries no call: it is over, or the other side has not invited us yet."""
        for peer in self._state.everyone:
            if peer.state is CallState.ENDED or (peer.state is CallState.IDLE and not peer.initiator):
                return peer
        return None

    def _close(self, peer: Peer) -> None:
        """Close a line to make room; if its owner does not know yet that it is over, tell it now."""
        over = peer.state is CallState.ENDED
        peer.close()
        if not over:
            self._state.events.append(CallEnded(peer, Reason.SILENT, remote=False))

    def _new_index(self) -> int:
        """A new index that nobody can guess and that none of our lines or handshakes uses."""
        while True:
            index = int.from_bytes(self._state.local.entropy(c.INDEX_BYTES), "big")
            if index not in self._state.peers and index not in self._admission:
                return index

    def _time_of_day(self, now: float) -> int:
        """Microseconds since the epoch."""
        return int((now if self._wall is None else self._wall(now)) * c.CLOCK_HZ)

    def _timestamp(self, now: float) -> int:
        """The time of day for a knock; no value is given twice."""
        self._last_timestamp = max(self._last_timestamp + 1, self._time_of_day(now))
        return self._last_timestamp
