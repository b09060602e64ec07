"""The line is up and carries a call."""

from p2pcall.proto import constants as c
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.call.call import Heard
from p2pcall.proto.call.table import CallInput, CallState, Tell
from p2pcall.proto.events import (
    Accepted,
    CallEnded,
    HandshakeDone,
    IncomingCall,
    LineInterrupted,
    Message,
    ProtocolEvent,
    RemoteRinging,
    Revealed,
)
from p2pcall.proto.handshake.exchange import Established
from p2pcall.proto.line.line import Line
from p2pcall.proto.messages import ControlType, Greeting, Reason
from p2pcall.proto.peer import Peer
from p2pcall.proto.phase import Move, PhaseName
from p2pcall.proto.phases.lingering import Lingering, OnLine, is_owners
from p2pcall.proto.state import EndpointState
from p2pcall.proto.wire import DropReason
from p2pcall.types import Address


def answering_peer(state: EndpointState, index: int, address: Address, done: Established, now: float) -> Peer:
    """A peer that has dialled us; it must invite within INVITE_TIMEOUT_S."""
    peer = Peer(index, address, initiator=False, now=now)
    line = line_of(state, peer, done, now)
    peer.phase = Open(state, peer, line, now + c.INVITE_TIMEOUT_S)
    state.add(peer)
    state.events.append(HandshakeDone(peer))
    return peer


def line_of(state: EndpointState, peer: Peer, done: Established, now: float) -> Line:
    """Make the line of this finished handshake and give it to the peer."""
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


class Open(OnLine):
    """The line is up and carries a call, or soon will. It ends at `_deadline` if there is one, or when it is lost."""

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
        """`confirmation`: the dialling side repeats it until the other side is heard."""
        super().__init__(endpoint, peer, line)
        self._confirmation = confirmation
        self._deadline = deadline

    def accept(self, greeting: bytes, now: float) -> None:
        """Answer; the caller must show its nonce within REVEAL_TIMEOUT_S."""
        self._line.call.accept(greeting, now)
        self._deadline = now + c.REVEAL_TIMEOUT_S
        self._endpoint.touch(self._peer)

    def leave(self, cause: CallInput, reason: Reason, now: float) -> None:
        """Send the goodbye and linger."""
        self._leave(cause, reason, now, told=reason)

    def send(self, channel: int, payload: bytes, padded_to: int, now: float) -> None:
        """Seal and queue one frame of media."""
        if not c.FIRST_MEDIA_CHANNEL <= channel <= c.MAX_U8:
            raise ValueError(f"channel {channel} is not for payloads")
        length = max(len(payload), padded_to)
        if length > c.MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload has at most {c.MAX_PAYLOAD_BYTES} bytes, not {length}")
        line = self._line
        if not line.path.lapsed:
            plaintext = line.records.payload(channel, payload, padded_to, now)
            if plaintext is None:  # it waits for the next record of voice
                self._endpoint.touch(self._peer)
            else:
                self._seal(plaintext, self._peer.address, now)

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Send one message of the owner's."""
        self._line.control.send(kind, body, now)
        self._endpoint.touch(self._peer)

    def nudge(self, now: float) -> None:
        """Ping at once."""
        self._line.timing.nudge(now)
        self._endpoint.touch(self._peer)

    def handle_timer(self, now: float) -> None:
        """Give up a line that is lost or past its deadline; renew the keys."""
        line, peer = self._line, self._peer
        line.epochs.expire(now)  # even when a deadline has passed: else it would stay due for ever
        if now >= line.lost_at or line.epochs.spent(now):
            self._lose(Reason.LOST)
        elif self._deadline is not None:
            if now < self._deadline:
                return
            if self.state is CallState.ANSWERED:
                self._leave(CallInput.HANGUP, Reason.FAILED, now, told=Reason.LOST)
            else:
                self._lose(Reason.LOST if peer.initiator else Reason.SILENT)
        else:
            line.keys.step(line.control, now)
            if line.liveness.breaks(now):
                line.timing.silent(now)
                self._tell(LineInterrupted(peer))

    def flush(self, now: float) -> None:
        """Queue the confirmation, parts of a rekeying, and everything else that is due."""
        if self._confirmation is not None and self._confirmation[1].take(now):
            self._post(self._confirmation[0], self._peer.address)
        self._line.keys.feed(self._line.control, now)
        self._flush_records(now)

    def next_timer(self) -> float | None:
        """The earliest timer of all parts of the line."""
        line = self._line
        use = line.liveness.next_timer() if self._deadline is None else self._deadline
        at = min(line.next_due(), line.next_timer(), use)
        return at if self._confirmation is None else min(at, self._confirmation[1].due)

    def _receive_message(self, kind: int, body: bytes, now: float) -> DropReason | None:
        line = self._line
        if line.call.state is CallState.ENDED:  # ended by an earlier frame of the same datagram
            return super()._receive_message(kind, body, now)
        if is_owners(kind, body):
            self._tell(Message(self._peer, kind, body))
            return None
        if kind == ControlType.REKEY:
            return line.keys.receive(body, now)
        heard = line.call.hear(kind, body, now, dialled=self._peer.initiator)
        if heard is DropReason.COMMITMENT:
            self._leave(CallInput.HANGUP, Reason.FAILED, now, told=Reason.BROKEN_PROMISE)
        elif isinstance(heard, Heard):
            self._take(heard, now)
            return None
        return heard

    def _take(self, heard: Heard, now: float) -> None:
        """Tell the owner what the other side has said."""
        peer, said = self._peer, heard.content
        if isinstance(said, Reason):
            self._line.control.abandon()
            self._linger(CallEnded(peer, said, remote=True), now)
            return
        self._deadline = None
        self._tell(_event(peer, heard.tell, said))

    def _leave(self, cause: CallInput, reason: Reason, now: float, *, told: Reason) -> None:
        """End the call: `reason` goes to the other side, `told` to the owner."""
        call = self._line.call
        call.own(cause, bytes([reason]), now)
        if not call.refused:
            self._line.control.hurry(now)
        copies = 1 if call.refused else c.GOODBYE_COPIES
        self._linger(CallEnded(self._peer, told, remote=False), now, copies)

    def _linger(self, ended: CallEnded, now: float, copies: int = 0) -> None:
        """Report the end and linger: the line stays only for the goodbye; after a refusal it acts as if ringing."""
        if not self._line.call.refused:
            self._line.records.hang_up()
        after = Lingering(self._endpoint, self._peer, self._line, now + c.LINGER_S, copies)
        self._peer.enter(Move.GOODBYE, after)
        self._endpoint.touch(self._peer)
        self._tell(ended)

    def _lose(self, reason: Reason) -> None:
        """End the call without a goodbye."""
        self._vanish(Move.LOST)
        self._tell(CallEnded(self._peer, reason, remote=False))


def _event(peer: Peer, tell: Tell, said: Greeting) -> ProtocolEvent:
    """The event for the owner about what the other side has said."""
    if tell is Tell.REMOTE_RINGING:
        return RemoteRinging(peer, said.name)
    if tell is Tell.REVEALED:
        return Revealed(peer)
    make = IncomingCall if tell is Tell.INCOMING else Accepted
    return make(peer, said.name, said.audio, said.video)
