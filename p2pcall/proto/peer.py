"""One remote end: a handshake, then a line with a call on it. An `Endpoint` makes peers and feeds them.

The owner reads the attributes and calls the verbs of the call (`invite` ... `hangup`), `send` and
`send_control`; `receive_*`, `handle_timer`, `flush` and `next_timer` are the endpoint's. Datagrams and
happenings collect in the endpoint. Own misuse raises at once; nothing from the network does.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from p2pcall.proto import calling, wire
from p2pcall.proto import constants as c
from p2pcall.proto.calling import CallError, Input, State, Tell, Transition
from p2pcall.proto.control import Control
from p2pcall.proto.dialling import Backoff, Dialling
from p2pcall.proto.handshake import Established, KeyChanged
from p2pcall.proto.happenings import (
    Accepted,
    Ended,
    HandshakeDone,
    HandshakeFailed,
    Happening,
    Incoming,
    Message,
    Payload,
    RemoteRinging,
)
from p2pcall.proto.messages import (
    ControlType,
    Greeting,
    Reason,
    pack_greeting,
    pack_name,
    parse_greeting,
    parse_reason,
    parse_ringing,
)
from p2pcall.proto.noise import Entropy
from p2pcall.proto.path import Path
from p2pcall.proto.session import Session
from p2pcall.proto.timing import Timing
from p2pcall.proto.wire import Address, Channel, DropReason

_REMOTE: dict[int, tuple[Input, Callable[[bytes], Greeting | Reason | None]]] = {
    ControlType.INVITE: (Input.R_INVITE, parse_greeting),
    ControlType.RINGING: (Input.R_RINGING, parse_ringing),
    ControlType.ACCEPT: (Input.R_ACCEPT, parse_greeting),
    ControlType.DECLINE: (Input.R_DECLINE, lambda body: parse_reason(body, Reason.DECLINED)),
    ControlType.HANGUP: (Input.R_HANGUP, lambda body: parse_reason(body, Reason.HUNG_UP)),
}


@dataclass(slots=True)
class Shared:
    """What an endpoint and its peers have in common."""

    entropy: Entropy
    peers: dict[int, Peer] = field(default_factory=dict)
    outbox: deque[tuple[bytes, Address]] = field(default_factory=lambda: deque(maxlen=c.MAX_OUTBOX_DATAGRAMS))
    happenings: deque[Happening] = field(default_factory=deque)
    dropped: Counter[DropReason] = field(default_factory=Counter)

    def post(self, datagram: bytes, address: Address) -> None:
        """Queue a datagram; when nobody drains, the oldest goes."""
        if len(self.outbox) == c.MAX_OUTBOX_DATAGRAMS:
            self.dropped[DropReason.QUEUE] += 1
        self.outbox.append((datagram, address))


class Peer:
    """One remote end; see the module. What is empty or None is so until the handshake is done."""

    def __init__(
        self, shared: Shared, index: int, address: Address, line: Dialling | Established, now: float
    ) -> None:
        self.index = index
        self.initiator = isinstance(line, Dialling)
        self.address = address
        self.remote_static = b""
        self.protocol_name = ""
        self.handshake_hash = b""
        self.sas: tuple[str, ...] = ()
        self.call_id = ""
        self.state = State.IDLE
        self.established = False
        self.rtt: float | None = None
        self.clock_offset: float | None = None
        self.session_start = now
        self.tx_bytes = self.rx_bytes = 0
        self._shared = shared
        self._dialling: Dialling | None = None
        self._session: Session | None = None
        self._control = Control()
        self._timing = Timing(now)
        self._path = Path(shared.entropy)
        self._last_heard = now
        self._confirmation: tuple[bytes, Backoff] | None = None
        self._deadline: float | None = None  # by when the line must be of use
        self._gone_at: float | None = None
        self._saying_goodbye = False
        self._goodbye_copies = 1
        shared.peers[index] = self
        if isinstance(line, Dialling):
            self._dialling = line
        else:
            self._establish(line, now + c.INVITE_TIMEOUT_S, now)

    # --- the call -------------------------------------------------------------------------------------------

    def invite(self, name: str, audio: bool, video: bool, now: float) -> None:
        """Call: only the side that dialled, once the handshake is done. ValueError for a name too long."""
        if not self.initiator:
            raise CallError("only the side that dialled invites")
        self._own(Input.INVITE, pack_greeting(name, audio, video), now)

    def ring(self, name: str, now: float) -> None:
        """Tell the caller that it rings here."""
        self._own(Input.RING, pack_name(name), now)

    def accept(self, name: str, audio: bool, video: bool, now: float) -> None:
        """Answer: the call is active."""
        self._own(Input.ACCEPT, pack_greeting(name, audio, video), now)

    def decline(self, reason: Reason, now: float) -> None:
        """Refuse an incoming call; nothing if it is over already."""
        self._leave(Input.DECLINE, reason, now)

    def hangup(self, reason: Reason, now: float) -> None:
        """End the call or the dial, in whatever state; nothing if it is over already."""
        self._leave(Input.HANGUP, reason, now)

    def send(self, channel: int, payload: bytes, now: float) -> None:
        """Seal one frame into one datagram of its own; unreliable.

        Nothing leaves after the end of the call, nor before the other side's address has answered a probe.
        ValueError for one of this room's own channels or a payload longer than `MAX_PAYLOAD_BYTES`;
        RuntimeError before the handshake is done.
        """
        session = self._session
        if session is None or self.state is State.ENDED:
            self._check_usable()
            return
        if not c.FIRST_MEDIA_CHANNEL <= channel <= c.MAX_U8:
            raise ValueError(f"channel {channel} is not for payloads")
        if len(payload) > c.MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload has at most {c.MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
        if self._path.proven:
            self._post(session.seal(wire.FRAME.pack(channel, len(payload)) + payload), self.address)

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Send `MEDIA` or a message of the owner's own (64 and above), reliably and in order.

        Nothing after the end of the call. ValueError for another kind or a body too long, `ControlFull`
        when the other side does not keep up, RuntimeError before the handshake is done.
        """
        if kind != ControlType.MEDIA and kind < c.FIRST_ENGINE_MESSAGE:
            raise ValueError(f"control message {kind} is the call table's")
        self._check_usable()
        if self.state is State.ENDED:
            return
        self._control.send(kind, body, now)

    def close(self, now: float) -> None:
        """Vanish without a word and without a happening."""
        self._vanish()

    def session_ms(self, now: float) -> int:
        """Milliseconds since the handshake was done: the clock that goes into media packets."""
        return int((now - self.session_start) * 1000)

    # --- the endpoint's verbs -------------------------------------------------------------------------------

    def receive_response(self, response: wire.Response, address: Address, now: float) -> DropReason | None:
        """Take a response that bears our index."""
        dialling = self._dialling
        if dialling is None:
            return DropReason.DUPLICATE
        outcome = dialling.initiator.read_response(response)
        if isinstance(outcome, DropReason):
            return outcome
        if isinstance(outcome, KeyChanged):
            dialling.mistrust(outcome.remote_static, now)
            return DropReason.KEY
        self.address = address
        self._confirmation = dialling.initiator.confirmation, Backoff(now)
        self._establish(outcome, now + c.HANDSHAKE_TIMEOUT_S, now)
        return None

    def receive_data(self, datagram: bytes, address: Address, now: float) -> DropReason | None:
        """Take a data datagram that bears our index."""
        session = self._session
        if session is None:
            return DropReason.INDEX
        plaintext = session.open(datagram)
        if isinstance(plaintext, DropReason):
            return plaintext
        self._last_heard = now
        self.rx_bytes += len(datagram)
        if session.newest and self.established and len(datagram) >= c.PROBE_DATAGRAM_BYTES:
            self._path.heard(address, self.address, now)
        if self._confirmation is not None:
            self._confirmation = self._deadline = None
        frames = wire.parse_frames(plaintext)
        if isinstance(frames, DropReason):
            return frames
        for channel, payload in frames:
            reason = self._receive_frame(channel, payload, address, now)
            if reason is not None:
                self._shared.dropped[reason] += 1
        return None

    def handle_timer(self, now: float) -> None:
        """Give up what has lasted too long."""
        if self._dialling is not None:
            if now >= self._dialling.deadline:
                wrong_key = self._dialling.wrong_key
                self._lose(HandshakeFailed(self, "key-changed" if wrong_key else "timeout", wrong_key))
        elif self._gone_at is not None:
            if now >= self._gone_at:
                self._vanish()
        elif now >= self._last_heard + c.LOST_TIMEOUT_S:
            self._lose(Ended(self, Reason.LOST, remote=False))
        elif self._deadline is not None and now >= self._deadline:
            reason = Reason.LOST if self.initiator else Reason.SILENT
            self._lose(Ended(self, reason, remote=False))

    def flush(self, now: float) -> None:
        """Queue every datagram that is due."""
        if self._dialling is not None:
            for address in self._dialling.take_due(now):
                self._post(self._dialling.initiator.initiation, address)
        elif self._session is not None:
            self._flush_line(self._session, now)

    def next_timer(self) -> float | None:
        """When `handle_timer` and `flush` have something to do again."""
        if self._dialling is not None:
            return self._dialling.next_timer()
        if self._gone_at is not None:
            times = [self._gone_at]
        else:
            times = [self._last_heard + c.LOST_TIMEOUT_S, self._timing.next_ping]
            if self._confirmation is not None:
                times.append(self._confirmation[1].due)
            if self._deadline is not None:
                times.append(self._deadline)
        control = self._control.next_due()
        if control is not None:
            times.append(control)
        return min(times)

    @property
    def settled(self) -> bool:
        """Whether the process may exit as far as this peer is concerned."""
        return self.state is State.ENDED and self._control.settled

    # --- inside ---------------------------------------------------------------------------------------------

    def _establish(self, done: Established, deadline: float, now: float) -> None:
        self._dialling = None
        self._session = done.session
        self.remote_static = done.remote_static
        self.protocol_name = done.protocol_name
        self.handshake_hash = done.handshake_hash
        self.sas = done.sas
        self.call_id = done.handshake_hash[: c.CALL_ID_BYTES].hex()
        self.established = True
        self.session_start = self._last_heard = now
        self._timing = Timing(now)
        self._deadline = deadline
        self._path.heard(self.address, self.address, now)
        self._tell(HandshakeDone(self))

    def _flush_line(self, session: Session, now: float) -> None:
        if self._confirmation is not None and self._confirmation[1].take(now):
            self._post(self._confirmation[0], self.address)
        frames: list[bytes] = []
        if self.established:
            frames = [wire.pack_frame(Channel.TIMING, frame) for frame in self._timing.frames_due(now)]
        for frame in self._control.frames_due(now, self._timing.rto):
            frames.append(wire.pack_frame(Channel.CONTROL, frame))
        if frames:
            self._post_frames(session, frames)
        probe = self._path.probe_due() if self.established else None
        if probe is not None:
            ping, candidate = probe
            self._post(session.seal(wire.pack_frame(Channel.TIMING, ping)), candidate)
        if self._saying_goodbye and self._control.settled:
            self._vanish()

    def _receive_frame(self, channel: int, payload: bytes, address: Address, now: float) -> DropReason | None:
        if channel >= c.FIRST_MEDIA_CHANNEL:
            if self.state is not State.ACTIVE:
                return DropReason.INACTIVE
            if len(self._shared.happenings) >= c.MAX_HAPPENINGS:
                return DropReason.QUEUE
            self._tell(Payload(self, channel, payload))
            return None
        if channel == Channel.TIMING:
            if self._path.answered(payload, address):
                self.address = address
                return None
            reason = self._timing.receive(payload, now)
            self.rtt = self._timing.rtt
            self.clock_offset = self._timing.clock_offset
            return reason
        messages = self._control.receive(payload)
        if isinstance(messages, DropReason):
            return messages
        for kind, body in messages:
            reason = self._receive_message(kind, body, now)
            if reason is not None:
                self._shared.dropped[reason] += 1
        return None

    def _receive_message(self, kind: int, body: bytes, now: float) -> DropReason | None:
        if kind >= c.FIRST_ENGINE_MESSAGE or (kind == ControlType.MEDIA and len(body) == 1):
            if self.state is State.ENDED:
                return DropReason.INACTIVE
            self._tell(Message(self, kind, body))
            return None
        if kind not in _REMOTE:
            return DropReason.CONTROL
        cause, parse = _REMOTE[kind]
        content = parse(body)
        if content is None:
            return DropReason.CONTROL
        transition = calling.remote(self.state, cause)
        if transition is None or (cause is Input.R_INVITE and self.initiator):
            return DropReason.CALL
        self.state = transition.next
        if isinstance(content, Greeting):
            self._deadline = None
            self._tell(self._greeted(transition, content))
        elif transition.tell is not None:
            self._control.abandon()
            self._end(content, remote=True, now=now)
        return None

    def _greeted(self, transition: Transition, content: Greeting) -> Happening:
        if transition.tell is Tell.REMOTE_RINGING:
            return RemoteRinging(self, content.name)
        make = Incoming if transition.tell is Tell.INCOMING else Accepted
        return make(self, content.name, content.audio, content.video)

    def _own(self, cause: Input, body: bytes, now: float) -> Transition:
        transition = calling.own(self.state, cause)
        if transition.send is not None:
            self._check_usable()
            self._control.send(transition.send, body, now, reserve=True)
        self.state = transition.next
        return transition

    def _leave(self, cause: Input, reason: Reason, now: float) -> None:
        if reason.local:
            raise ValueError(f"{reason.slug} is not for sending")
        if self._dialling is not None:
            self._lose(Ended(self, reason, remote=False))
            return
        transition = self._own(cause, bytes([reason]), now)
        if transition.tell is not None:
            self._saying_goodbye = True
            self._goodbye_copies = c.GOODBYE_COPIES
            self._control.hurry(now)
            self._end(reason, remote=False, now=now)

    def _end(self, reason: Reason, *, remote: bool, now: float) -> None:
        """Tell it; from here on the line only lingers, for the sake of the goodbye."""
        self.established = False
        self._confirmation = self._deadline = None
        self._gone_at = now + c.LINGER_S
        self._tell(Ended(self, reason, remote))

    def _lose(self, happening: Ended | HandshakeFailed) -> None:
        """The end without a goodbye."""
        self._vanish()
        self._tell(happening)

    def _vanish(self) -> None:
        """Forget the keys and leave the endpoint."""
        self.state = calling.own(self.state, Input.LOST).next
        self.established = False
        self._dialling = None
        self._confirmation = None
        if self._session is not None:
            self._session.wipe()
            self._session = None
        self._shared.peers.pop(self.index, None)

    def _check_usable(self) -> None:
        if self._dialling is not None:
            raise RuntimeError("the handshake is not done")

    def _tell(self, happening: Happening) -> None:
        self._shared.happenings.append(happening)

    def _post(self, datagram: bytes, address: Address) -> None:
        self.tx_bytes += len(datagram)
        self._shared.post(datagram, address)

    def _post_frames(self, session: Session, frames: Iterable[bytes]) -> None:
        """Seal frames into as few datagrams as hold them, a goodbye's into several copies."""
        plaintexts = [b""]
        for frame in frames:
            if len(plaintexts[-1]) + len(frame) > c.MAX_PLAINTEXT_BYTES:
                plaintexts.append(b"")
            plaintexts[-1] += frame
        for plaintext in plaintexts * self._goodbye_copies:
            self._post(session.seal(plaintext), self.address)
        self._goodbye_copies = 1
