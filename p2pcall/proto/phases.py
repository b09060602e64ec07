"""What a peer does while it connects, while its line is open, and while it lingers after the goodbye.

Each phase posts datagrams and tells events through the endpoint's state, and makes the next phase. Which may follow
which is `phase`'s table.
"""

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission.dial import Dial
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.call.call import Heard
from p2pcall.proto.call.table import Input, State, Tell
from p2pcall.proto.events import (
    Accepted,
    Ended,
    HandshakeDone,
    HandshakeFailed,
    Incoming,
    Message,
    Payload,
    ProtocolEvent,
    Reconnected,
    Reconnecting,
    RemoteRinging,
    Revealed,
)
from p2pcall.proto.handshake.exchange import Established
from p2pcall.proto.line.line import Line
from p2pcall.proto.messages import ControlType, Greeting, Reason
from p2pcall.proto.peer import Peer
from p2pcall.proto.phase import Move, Phase, PhaseName
from p2pcall.proto.state import EndpointState
from p2pcall.proto.wire import Address, Channel, DropReason


def connect(state: EndpointState, index: int, address: Address, dial: Dial, now: float) -> Peer:
    """A peer that is dialled; `address` is where it is looked for first."""
    peer = Peer(index, address, initiator=True, now=now)
    peer.phase = Connecting(state, peer, dial)
    state.add(peer)
    return peer


def answer(state: EndpointState, index: int, address: Address, done: Established, now: float) -> Peer:
    """A peer that has dialled us; it has INVITE_TIMEOUT_S to invite."""
    peer = Peer(index, address, initiator=False, now=now)
    line = _line(state, peer, done, now)
    peer.phase = Open(state, peer, line, now + c.INVITE_TIMEOUT_S)
    state.add(peer)
    state.events.append(HandshakeDone(peer))
    return peer


def _line(state: EndpointState, peer: Peer, done: Established, now: float) -> Line:
    line = Line(
        done,
        peer.index,
        peer.address,
        state.local,
        lambda: state.claim(peer),
        state.release,
        state.dropped,
        now,
        dialled=peer.initiator,
    )
    peer.know(done, line, now)
    return line


class _Alive(Phase):
    """A peer that is not gone."""

    __slots__ = ("_endpoint", "_peer")

    def __init__(self, endpoint: EndpointState, peer: Peer) -> None:
        self._endpoint = endpoint
        self._peer = peer

    @property
    def settled(self) -> bool:
        """Nothing is until it is over."""
        return False

    def close(self) -> None:
        """Vanish without a word."""
        self._vanish(Move.CLOSED)

    def _vanish(self, move: Move) -> None:
        """Forget the keys and leave the endpoint."""
        peer = self._peer
        if peer.line is not None:
            peer.line.call.lost()
            peer.line.epochs.wipe()
        peer.enter(move, Phase())
        self._endpoint.forget(peer)

    def _tell(self, event: ProtocolEvent) -> None:
        self._endpoint.events.append(event)

    def _post(self, datagram: bytes, address: Address) -> None:
        self._peer.tx_bytes += len(datagram)
        self._endpoint.post(datagram, address)


class Connecting(_Alive):
    """A handshake of ours is on its way; there are no keys, and nobody is known."""

    __slots__ = ("_dial",)
    name = PhaseName.CONNECTING

    def __init__(self, endpoint: EndpointState, peer: Peer, dial: Dial) -> None:
        super().__init__(endpoint, peer)
        self._dial = dial

    @property
    def state(self) -> State:
        """There is no call yet."""
        return State.IDLE

    @property
    def answered(self) -> bool:
        """A cookie is enough."""
        return self._dial.answered

    def own(self, cause: Input, body: bytes, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def accept(self, greeting: bytes, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def send(self, channel: int, payload: bytes, padded_to: int, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Too early: RuntimeError."""
        raise _too_early()

    def leave(self, cause: Input, reason: Reason, now: float) -> None:
        """Give the dial up; there is nobody to be told."""
        self._vanish(Move.UNREACHED)
        self._tell(Ended(self._peer, reason, remote=False))

    def receive_cookie(self, cookie: wire.Cookie, now: float) -> DropReason | None:
        """The answer to a knock."""
        reason = self._dial.receive_cookie(cookie, now)
        if reason is None:
            self._endpoint.touch(self._peer)
        return reason

    def receive_response(self, response: wire.Response, address: Address, now: float) -> DropReason | None:
        """The other side's part of the handshake: with a good one the line is open."""
        outcome = self._dial.receive_response(response, address, now)
        if not isinstance(outcome, DropReason):
            self._establish(*outcome, now)
            return None
        if outcome is DropReason.KEY:
            self._endpoint.touch(self._peer)  # there is less time now
        return outcome

    def handle_timer(self, now: float) -> None:
        """Nobody has answered, or nobody with the right key."""
        if now >= self._dial.deadline:
            wrong_key = self._dial.wrong_key
            self._vanish(Move.UNREACHED)
            self._tell(HandshakeFailed(self._peer, "key-changed" if wrong_key else "timeout", wrong_key))

    def flush(self, now: float) -> None:
        """Knocks and initiations."""
        for datagram, address in self._dial.take_due(now):
            self._post(datagram, address)

    def next_timer(self) -> float | None:
        """The next of them, or the end."""
        return self._dial.next_timer()

    def _establish(self, done: Established, address: Address, now: float) -> None:
        """The line is open, and its confirmation is on its way."""
        endpoint, peer = self._endpoint, self._peer
        peer.address = address
        line = _line(endpoint, peer, done, now)
        deadline = now + c.HANDSHAKE_TIMEOUT_S
        peer.enter(Move.ESTABLISHED, Open(endpoint, peer, line, deadline, (done.confirmation, Backoff(now))))
        endpoint.touch(peer)
        self._tell(HandshakeDone(peer))


class _OnLine(_Alive):
    """There is a line: what comes by it is opened and taken apart, whether the call on it is over or not."""

    __slots__ = ("_confirmation", "_deadline", "_line")

    def __init__(self, endpoint: EndpointState, peer: Peer, line: Line) -> None:
        super().__init__(endpoint, peer)
        self._line = line
        self._confirmation: tuple[bytes, Backoff] | None = None
        self._deadline: float | None = None

    @property
    def state(self) -> State:
        """As the call's table has it."""
        return self._line.call.state

    def own(self, cause: Input, body: bytes, now: float) -> None:
        """As the call's table has it; errors as `Call.own`."""
        self._line.call.own(cause, body, now)
        self._endpoint.touch(self._peer)

    def receive_data(self, datagram: bytes, address: Address, now: float) -> DropReason | None:
        """Open it, and take its frames one after the other.

        A record of media alone makes nothing due earlier than it was, so the peer is not touched by it.
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
        asks = line.epochs.newest and not line.records.quiet and len(datagram) >= c.PROBE_DATAGRAM_BYTES
        if touched and asks:
            path.heard(address, now)
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
        self._tell(Reconnected(self._peer, silent_s))

    def _confirmed(self) -> None:
        """The other side is heard: it has what opens the line."""
        self._confirmation = self._deadline = None
        self._endpoint.touch(self._peer)

    def _receive_media(self, channel: int, payload: bytes) -> DropReason | None:
        if self._line.call.state is not State.ACTIVE:
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
        """When the call is over only goodbyes are heard."""
        if _is_owners(kind, body) or kind == ControlType.REKEY:
            return DropReason.INACTIVE
        heard = self._line.call.hear(kind, body, now, dialled=self._peer.initiator)
        return heard if isinstance(heard, DropReason) else None

    def _flush_records(self, now: float, copies: int = 1) -> None:
        """The small records that are due, and the question to another address."""
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


class Open(_OnLine):
    """The line is up and carries a call, or will: until `_deadline` if there is one, else as long as it is heard."""

    __slots__ = ()
    name = PhaseName.OPEN
    answered = True

    def __init__(
        self,
        endpoint: EndpointState,
        peer: Peer,
        line: Line,
        deadline: float,
        confirmation: tuple[bytes, Backoff] | None = None,
    ) -> None:
        """`confirmation` is repeated until the other side is heard, on the side that dialled."""
        super().__init__(endpoint, peer, line)
        self._confirmation = confirmation
        self._deadline = deadline

    def accept(self, greeting: bytes, now: float) -> None:
        """Answer; the caller has REVEAL_TIMEOUT_S to show its nonce."""
        self._line.call.accept(greeting, now)
        self._deadline = now + c.REVEAL_TIMEOUT_S
        self._endpoint.touch(self._peer)

    def leave(self, cause: Input, reason: Reason, now: float) -> None:
        """Say goodbye."""
        self._leave(cause, reason, now, told=reason)

    def send(self, channel: int, payload: bytes, padded_to: int, now: float) -> None:
        """One frame of media, sealed and on its way."""
        if not c.FIRST_MEDIA_CHANNEL <= channel <= c.MAX_U8:
            raise ValueError(f"channel {channel} is not for payloads")
        length = max(len(payload), padded_to)
        if length > c.MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload has at most {c.MAX_PAYLOAD_BYTES} bytes, not {length}")
        line = self._line
        if not line.path.lapsed:
            plaintext = line.records.payload(channel, payload, padded_to, now)
            if plaintext is None:  # it waits to ride along
                self._endpoint.touch(self._peer)
            else:
                self._seal(plaintext, self._peer.address, now)

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """One message of the owner's."""
        self._line.control.send(kind, body, now)
        self._endpoint.touch(self._peer)

    def nudge(self, now: float) -> None:
        """Ask at once."""
        self._line.timing.nudge(now)
        self._endpoint.touch(self._peer)

    def handle_timer(self, now: float) -> None:
        """Give up a line that is silent or of no use; keep the keys fresh."""
        line, peer = self._line, self._peer
        line.epochs.expire(now)  # also before a deadline: what is not done would be due for ever
        if now >= line.lost_at or line.epochs.spent(now):
            self._lose(Reason.LOST)
        elif self._deadline is not None:
            if now < self._deadline:
                return
            if self.state is State.ANSWERED:
                self._leave(Input.HANGUP, Reason.FAILED, now, told=Reason.LOST)
            else:
                self._lose(Reason.LOST if peer.initiator else Reason.SILENT)
        else:
            line.keys.step(line.control, now)
            if line.liveness.breaks(now):
                line.timing.silent(now)
                self._tell(Reconnecting(peer))

    def flush(self, now: float) -> None:
        """The confirmation, parts of new keys, and what else is due."""
        if self._confirmation is not None and self._confirmation[1].take(now):
            self._post(self._confirmation[0], self._peer.address)
        self._line.keys.feed(self._line.control, now)
        self._flush_records(now)

    def next_timer(self) -> float | None:
        """The earliest of all concerns."""
        line = self._line
        use = line.liveness.next_timer() if self._deadline is None else self._deadline
        at = min(line.next_due(), line.next_timer(), use)
        return at if self._confirmation is None else min(at, self._confirmation[1].due)

    def _receive_message(self, kind: int, body: bytes, now: float) -> DropReason | None:
        line = self._line
        if line.call.state is State.ENDED:  # by a frame before, in the same datagram
            return super()._receive_message(kind, body, now)
        if _is_owners(kind, body):
            self._tell(Message(self._peer, kind, body))
            return None
        if kind == ControlType.REKEY:
            return line.keys.receive(body, now)
        heard = line.call.hear(kind, body, now, dialled=self._peer.initiator)
        if heard is DropReason.COMMITMENT:
            self._leave(Input.HANGUP, Reason.FAILED, now, told=Reason.BROKEN_PROMISE)
        elif isinstance(heard, Heard):
            self._take(heard, now)
            return None
        return heard

    def _take(self, heard: Heard, now: float) -> None:
        """Tell the owner what the other side has said."""
        peer, said = self._peer, heard.content
        if isinstance(said, Reason):
            self._line.control.abandon()
            self._linger(Ended(peer, said, remote=True), now)
            return
        self._deadline = None
        self._tell(_event(peer, heard.tell, said))

    def _leave(self, cause: Input, reason: Reason, now: float, *, told: Reason) -> None:
        """Say `reason` to the other side, and `told` to the owner."""
        call = self._line.call
        call.own(cause, bytes([reason]), now)
        if not call.refused:
            self._line.control.hurry(now)
        copies = 1 if call.refused else c.GOODBYE_COPIES
        self._linger(Ended(self._peer, told, remote=False), now, copies)

    def _linger(self, ended: Ended, now: float, copies: int = 0) -> None:
        """Tell it; from here on the line is there for the sake of the goodbye, as if it were ringing if refused."""
        if not self._line.call.refused:
            self._line.records.hang_up()
        after = Lingering(self._endpoint, self._peer, self._line, now + c.LINGER_S, copies)
        self._peer.enter(Move.GOODBYE, after)
        self._endpoint.touch(self._peer)
        self._tell(ended)

    def _lose(self, reason: Reason) -> None:
        """The end without a goodbye."""
        self._vanish(Move.LOST)
        self._tell(Ended(self._peer, reason, remote=False))


class Lingering(_OnLine):
    """The call is over: the goodbye is repeated until it is acknowledged, and the other side's is answered."""

    __slots__ = ("_copies", "_gone_at", "_said")
    name = PhaseName.LINGERING

    def __init__(self, endpoint: EndpointState, peer: Peer, line: Line, gone_at: float, copies: int) -> None:
        """`copies` of the first goodbye leave, none if it was the other side's."""
        super().__init__(endpoint, peer, line)
        self._gone_at = gone_at
        self._said = copies > 0
        self._copies = max(copies, 1)

    @property
    def settled(self) -> bool:
        """Both goodbyes have arrived; a refusal never shows when."""
        return self._line.control.settled and not self._line.call.refused

    def handle_timer(self, now: float) -> None:
        """Enough."""
        if now >= self._gone_at:
            self._vanish(Move.SETTLED)

    def flush(self, now: float) -> None:
        """The goodbye, and then the end."""
        copies, self._copies = self._copies, 1
        self._flush_records(now, copies)
        if self._said and self.settled:
            self._vanish(Move.SETTLED)

    def next_timer(self) -> float | None:
        """What is due, or the end."""
        return min(self._line.next_due(), self._gone_at)


def _too_early() -> RuntimeError:
    return RuntimeError("the handshake is not done")


def _is_owners(kind: int, body: bytes) -> bool:
    """Whether the message is for the owner, and not for the line or the call."""
    return kind >= c.FIRST_ENGINE_MESSAGE or (kind == ControlType.MEDIA and len(body) == 1)


def _event(peer: Peer, tell: Tell, said: Greeting) -> ProtocolEvent:
    """What the owner is told of what the other side has said."""
    if tell is Tell.REMOTE_RINGING:
        return RemoteRinging(peer, said.name)
    if tell is Tell.REVEALED:
        return Revealed(peer)
    make = Incoming if tell is Tell.INCOMING else Accepted
    return make(peer, said.name, said.audio, said.video)
