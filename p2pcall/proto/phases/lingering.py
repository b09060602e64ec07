"""Receiving on a line, during the call and after it; and the phase after the goodbye."""

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.call.table import CallInput, CallState
from p2pcall.proto.events import LineResumed, Payload
from p2pcall.proto.line.line import Line
from p2pcall.proto.messages import ControlType
from p2pcall.proto.peer import Peer
from p2pcall.proto.phase import Move, PhaseName
from p2pcall.proto.phases.alive import Alive
from p2pcall.proto.state import EndpointState
from p2pcall.proto.wire import Channel, DropReason
from p2pcall.types import Address


class OnLine(Alive):
    """A phase with a line: incoming datagrams are opened and parsed, during the call and after it."""

    __slots__ = ("_confirmation", "_deadline", "_line")

    def __init__(self, endpoint: EndpointState, peer: Peer, line: Line) -> None:
        super().__init__(endpoint, peer)
        self._line = line
        self._confirmation: tuple[bytes, Backoff] | None = None
        self._deadline: float | None = None

    @property
    def state(self) -> CallState:
        """The call's state."""
        return self._line.call.state

    def own(self, cause: CallInput, body: bytes, now: float) -> None:
        """Apply the input to the call; errors as `Call.own`."""
        self._line.call.own(cause, body, now)
        self._endpoint.touch(self._peer)

    def receive_data(self, datagram: bytes, address: Address, now: float) -> DropReason | None:
        """Open the datagram, and take its frames one after the other.

        A record with only media makes nothing due earlier, so it does not `touch` the peer.
        """
        line, peer = self._line, self._peer
        plaintext = line.epochs.open(datagram, now)
        if isinstance(plaintext, DropReason):
            return plaintext
        peer.rx_bytes += len(datagram)
        silent_s = line.liveness.heard(now)
        if silent_s is not None:
            self._reconnected(silent_s, now)
        if self._confirmation is not None:
            self._confirmed()
        frames = wire.parse_frames(plaintext)
        if isinstance(frames, DropReason):
            return frames
        path = line.path
        touched = address != path.address or path.candidate is not None
        if touched and line.epochs.newest and not line.records.quiet:
            path.heard(address, len(datagram), now)
        for channel, payload in frames:
            if channel >= c.FIRST_MEDIA_CHANNEL:
                reason = self._receive_media(channel, payload)
            else:
                touched = True
                reason = self._receive_own(channel, payload, address, now)
            if reason is not None:
                self._endpoint.dropped[reason] += 1
        if touched:
            self._endpoint.touch(peer)
        return None

    def _reconnected(self, silent_s: float, now: float) -> None:
        self._line.timing.heard()
        self._line.control.hurry(now)
        self._endpoint.touch(self._peer)
        self._tell(LineResumed(self._peer, silent_s))

    def _confirmed(self) -> None:
        """The other side was heard, so it has the confirmation."""
        self._confirmation = self._deadline = None
        self._endpoint.touch(self._peer)

    def _receive_media(self, channel: int, payload: bytes) -> DropReason | None:
        if self._line.call.state is not CallState.ACTIVE:
            return DropReason.INACTIVE
        events = self._endpoint.events
        if len(events) >= c.MAX_EVENTS:
            return DropReason.QUEUE
        events.append(Payload(self._peer, channel, payload))
        return None

    def _receive_own(self, channel: int, payload: bytes, address: Address, now: float) -> DropReason | None:
        line = self._line
        if channel == Channel.TIMING:
            if line.path.answered(payload, address, now):
                self._peer.address = address
                return None
            return line.timing.receive(payload, now)
        messages = line.control.receive(payload)
        if isinstance(messages, DropReason):
            return messages
        for kind, body in messages:
            reason = self._receive_message(kind, body, now)
            if reason is not None:
                self._endpoint.dropped[reason] += 1
        return None

    def _receive_message(self, kind: int, body: bytes, now: float) -> DropReason | None:
        """After the call only goodbyes are accepted."""
        if is_owners(kind, body) or kind == ControlType.REKEY:
            return DropReason.INACTIVE
        heard = self._line.call.hear(kind, body, now, dialled=self._peer.initiator)
        return heard if isinstance(heard, DropReason) else None

    def _flush_records(self, now: float, copies: int = 1) -> None:
        """Queue the small records that are due, and the probe to a candidate address."""
        line = self._line
        for plaintext in line.due(now) * copies:
            self._seal(plaintext, self._peer.address, now)
        probe = line.probe_due()
        if probe is not None:
            self._seal(*probe, now)

    def _seal(self, plaintext: bytes, address: Address, now: float) -> None:
        datagram = self._line.epochs.seal(plaintext, now)
        if datagram is not None:
            self._post(datagram, address)


class Lingering(OnLine):
    """The call is over: the goodbye is repeated until it is acknowledged, and the other side's is answered."""

    __slots__ = ("_copies", "_gone_at", "_said")
    name = PhaseName.LINGERING

    def __init__(self, endpoint: EndpointState, peer: Peer, line: Line, gone_at: float, copies: int) -> None:
        """`copies` of our first goodbye leave at once; 0 if the other side ended the call."""
        super().__init__(endpoint, peer, line)
        self._gone_at = gone_at
        self._said = copies > 0
        self._copies = max(copies, 1)

    @property
    def settled(self) -> bool:
        """Whether both goodbyes have arrived; after a refusal False, so that an observer cannot see its time."""
        return self._line.control.settled and not self._line.call.refused

    def handle_timer(self, now: float) -> None:
        """Leave when the time for lingering is over."""
        if now >= self._gone_at:
            self._vanish(Move.SETTLED)

    def flush(self, now: float) -> None:
        """Queue the goodbye; leave once everything has arrived."""
        copies, self._copies = self._copies, 1
        self._flush_records(now, copies)
        if self._said and self.settled:
            self._vanish(Move.SETTLED)

    def next_timer(self) -> float | None:
        """When the next record is due, or when lingering ends."""
        return min(self._line.next_due(), self._gone_at)


def is_owners(kind: int, body: bytes) -> bool:
    """Whether the message is for the owner, and not for the line or the call."""
    return kind >= c.FIRST_ENGINE_MESSAGE or (kind == ControlType.MEDIA and len(body) == 1)
