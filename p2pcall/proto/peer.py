"""One remote end: a handshake, then a line with a call on it. An `Endpoint` makes peers and feeds them.

The owner reads the attributes and calls the verbs of the call (`invite` ... `hangup`), `send`, `send_control` and
`nudge`; `receive_*`, `handle_timer`, `flush` and `next_timer` are the endpoint's. Datagrams and happenings
collect in the endpoint. Own misuse raises at once; nothing from the network does. Each concern of the line has
its own object: keys `epochs` and `rekey`, shapes `records`, messages `control`, the call `calls`, and so on.
"""

from __future__ import annotations

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.calling import CallError, Input, State, Transition
from p2pcall.proto.calls import Call
from p2pcall.proto.control import Control
from p2pcall.proto.dialling import Backoff, Dialling
from p2pcall.proto.epochs import Epoch, Epochs
from p2pcall.proto.handshake import Established
from p2pcall.proto.happenings import (
    Ended,
    HandshakeDone,
    HandshakeFailed,
    Happening,
    Message,
    Payload,
    Reconnected,
    Reconnecting,
)
from p2pcall.proto.messages import ControlType, Reason, pack_greeting, pack_name
from p2pcall.proto.path import Path
from p2pcall.proto.records import Records
from p2pcall.proto.rekey import Rekey
from p2pcall.proto.shared import Shared
from p2pcall.proto.silence import Silence
from p2pcall.proto.timing import Timing
from p2pcall.proto.wire import Address, Channel, DropReason


class Peer:
    """One remote end; see the module. What is empty or None is so until the handshake is done."""

    def __init__(
        self, shared: Shared, index: int, address: Address, line: Dialling | Established, now: float
    ) -> None:
        self.index = index
        """Names this peer for as long as it lives; datagrams bear it until the first rekeying."""
        self.initiator = isinstance(line, Dialling)
        self.address = address
        self.remote_static = b""
        self.protocol_name = ""
        self.handshake_hash = b""
        self.call_id = ""
        self.established = False
        self.session_start = now
        """When the handshake was done: where the clock in media packets begins."""
        self.tx_bytes = self.rx_bytes = 0
        self._shared = shared
        self._dialling: Dialling | None = None
        self._keys: Rekey | None = None
        self._control = Control()
        self._call = Call(self._control)
        self._timing = Timing(now)
        self._records = Records(self._control, self._timing, shared.dropped)
        self._path = Path(shared.entropy, address, now)
        self._silence = Silence(now)
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

    @property
    def state(self) -> State:
        """Where the call stands."""
        return self._call.state

    @property
    def sas(self) -> tuple[str, ...]:
        """The words, once the call is active: both sides have shown their nonces by then."""
        return self._call.words

    @property
    def answered(self) -> bool:
        """Whether anything has come back from a dial, be it a cookie alone."""
        return self.established or (self._dialling is not None and self._dialling.answered)

    @property
    def rtt(self) -> float | None:
        """The smoothed round trip, None until it is measured."""
        return self._timing.rtt

    @property
    def clock_offset(self) -> float | None:
        """Remote session clock less ours, None until it is measured."""
        return self._timing.clock_offset

    @property
    def settled(self) -> bool:
        """Whether the process may exit as far as this peer is concerned."""
        return self.state is State.ENDED and self._control.settled and not self._call.refused

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
        """Answer: the call is active with `Revealed`, when the caller has shown its nonce for ours."""
        self._check_usable()
        self._call.accept(pack_greeting(name, audio, video), now)
        self._deadline = now + c.REVEAL_TIMEOUT_S

    def decline(self, reason: Reason, now: float) -> None:
        """Refuse an incoming call; nothing if it is over already."""
        self._leave(Input.DECLINE, reason, now)

    def hangup(self, reason: Reason, now: float) -> None:
        """End the call or the dial, in whatever state; nothing if it is over already."""
        self._leave(Input.HANGUP, reason, now)

    def send(self, channel: int, payload: bytes, now: float, *, padded_to: int = 0) -> None:
        """Send one frame, unreliably: at once, as if it had `padded_to` bytes if it has fewer (see `records`).

        Small FEEDBACK rides in the next record of voice. Nothing leaves after the end of the call, nor while
        the other side's address has not agreed for long. ValueError for one of this room's own channels, a payload
        longer than `MAX_PAYLOAD_BYTES`, padded or not; RuntimeError before the handshake is done.
        """
        keys = self._keys
        if keys is None or self.state is State.ENDED:
            self._check_usable()
            return
        if not c.FIRST_MEDIA_CHANNEL <= channel <= c.MAX_U8:
            raise ValueError(f"channel {channel} is not for payloads")
        length = max(len(payload), padded_to)
        if length > c.MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload has at most {c.MAX_PAYLOAD_BYTES} bytes, not {length}")
        if not self._path.lapsed:
            plaintext = self._records.payload(channel, payload, padded_to, now)
            if plaintext is not None:
                self._seal(keys.epochs, plaintext, self.address, now)

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Send `MEDIA` or a message of the owner's own (64 and above), reliably and in order.

        Nothing after the end of the call. ValueError for another kind or a body too long, `ControlFull`
        when the other side does not keep up, RuntimeError before the handshake is done.
        """
        if kind != ControlType.MEDIA and kind < c.FIRST_ENGINE_MESSAGE:
            raise ValueError(f"control message {kind} is not the owner's")
        self._check_usable()
        if self.state is State.ENDED:
            return
        self._control.send(kind, body, now)

    def nudge(self, now: float) -> None:
        """This machine's addresses have changed: let the other side see at once where we are."""
        self._timing.nudge(now)

    def close(self, now: float) -> None:
        """Vanish without a word and without a happening."""
        self._vanish()

    # --- the endpoint's verbs -------------------------------------------------------------------------------

    def receive_cookie(self, cookie: wire.Cookie, now: float) -> DropReason | None:
        """Take a cookie that bears our index."""
        dialling = self._dialling
        return DropReason.DUPLICATE if dialling is None else dialling.receive_cookie(cookie, now)

    def receive_response(self, response: wire.Response, address: Address, now: float) -> DropReason | None:
        """Take a response that bears our index."""
        dialling = self._dialling
        if dialling is None:
            return DropReason.DUPLICATE
        outcome = dialling.receive_response(response, address, now)
        if isinstance(outcome, DropReason):
            return outcome
        done, self.address = outcome
        self._confirmation = done.confirmation, Backoff(now)
        self._establish(done, now + c.HANDSHAKE_TIMEOUT_S, now)
        return None

    def receive_data(self, datagram: bytes, address: Address, now: float) -> DropReason | None:
        """Take a data datagram that bears one of our indexes."""
        keys = self._keys
        if keys is None:
            return DropReason.INDEX
        plaintext = keys.epochs.open(datagram, now)
        if isinstance(plaintext, DropReason):
            return plaintext
        self.rx_bytes += len(datagram)
        silent_s = self._silence.heard(now)
        if silent_s is not None:
            self._reconnected(silent_s, now)
        if keys.epochs.newest and not self._records.quiet and len(datagram) >= c.PROBE_DATAGRAM_BYTES:
            self._path.heard(address, now)
        if self._confirmation is not None:
            self._confirmation = self._deadline = None
        frames = wire.parse_frames(plaintext)
        if isinstance(frames, DropReason):
            return frames
        for channel, payload in frames:
            reason = self._receive_frame(keys, channel, payload, address, now)
            if reason is not None:
                self._shared.dropped[reason] += 1
        return None

    def handle_timer(self, now: float) -> None:
        """Give up what has lasted too long; keep the keys fresh."""
        if self._dialling is not None:
            if now >= self._dialling.deadline:
                wrong_key = self._dialling.wrong_key
                self._lose(HandshakeFailed(self, "key-changed" if wrong_key else "timeout", wrong_key))
        elif self._gone_at is not None:
            if now >= self._gone_at:
                self._vanish()
        elif self._keys is not None:
            self._watch_line(self._keys, now)

    def flush(self, now: float) -> None:
        """Queue every datagram that is due."""
        if self._dialling is not None:
            for datagram, address in self._dialling.take_due(now):
                self._post(datagram, address)
        elif self._keys is not None:
            self._flush_line(self._keys, now)

    def next_timer(self) -> float | None:
        """When `handle_timer` and `flush` have something to do again."""
        if self._dialling is not None:
            return self._dialling.next_timer()
        if self._keys is None:
            return None
        times = [None if self._asks_only else self._records.next_due()]
        if self._gone_at is not None:
            times.append(self._gone_at)
        else:
            times += [
                self._keys.epochs.next_timer(),
                self._keys.next_timer(self._control),
                self._path.next_timer,
            ]
            times.append(self._silence.next_timer() if self._deadline is None else self._deadline)
            if self._confirmation is not None:
                times.append(self._confirmation[1].due)
        return min((at for at in times if at is not None), default=None)

    # --- inside ---------------------------------------------------------------------------------------------

    def _establish(self, done: Established, deadline: float, now: float) -> None:
        self._dialling = None
        self.remote_static = done.remote_static
        self.protocol_name = done.protocol_name
        self.handshake_hash = done.handshake_hash
        self._call = Call(self._control, done.sas)
        self.call_id = done.handshake_hash[: c.CALL_ID_BYTES].hex()
        self.established = True
        self.session_start = now
        self._deadline = deadline
        shared = self._shared
        self._keys = Rekey(
            Epochs(Epoch(done.session, self.index, done.handshake_hash, now), shared.release),
            done.remote_static,
            shared,
            lambda: shared.claim(self),
            dialled=self.initiator,
        )
        self._timing = Timing(now)
        self._records = Records(self._control, self._timing, shared.dropped)
        self._silence = Silence(now)
        self._path = Path(shared.entropy, self.address, now)
        self._tell(HandshakeDone(self))

    def _watch_line(self, keys: Rekey, now: float) -> None:
        if now >= min(self._silence.lost_at, self._path.lost_at) or keys.epochs.spent(now):
            self._lose(Ended(self, Reason.LOST, remote=False))
        elif self._deadline is not None:
            if now < self._deadline:
                return
            if self.state is State.ANSWERED:
                self._leave(Input.HANGUP, Reason.FAILED, now, told=Reason.LOST)
            else:
                reason = Reason.LOST if self.initiator else Reason.SILENT
                self._lose(Ended(self, reason, remote=False))
        else:
            keys.epochs.expire(now)
            keys.step(self._control, now)
            if self._silence.breaks(now):
                self._timing.silent(now)
                self._tell(Reconnecting(self))

    def _reconnected(self, silent_s: float, now: float) -> None:
        self._timing.heard()
        self._control.hurry(now)
        self._tell(Reconnected(self, silent_s))

    def _flush_line(self, keys: Rekey, now: float) -> None:
        if self._confirmation is not None and self._confirmation[1].take(now):
            self._post(self._confirmation[0], self.address)
        if self.established:
            keys.feed(self._control, now)
        for plaintext in self._due(now) * self._goodbye_copies:
            self._seal(keys.epochs, plaintext, self.address, now)
        self._goodbye_copies = 1
        probe = None if self._records.quiet else self._path.probe_due()
        if probe is not None:
            ping, candidate = probe
            frame = wire.pack_frame(Channel.TIMING, ping)
            self._seal(keys.epochs, frame.ljust(c.RECORD_BYTES, b"\0"), candidate, now)
        if self._saying_goodbye and self.settled:
            self._vanish()

    def _due(self, now: float) -> list[bytes]:
        """The small records that leave now: only one with each question, where nobody has agreed for long."""
        number = self._path.consent_due(now)
        if number is not None:
            self._timing.ask(number)
        if not self._asks_only:
            return self._records.due(now)
        return self._records.due(now, 1) if number is not None else []

    @property
    def _asks_only(self) -> bool:
        return self._path.lapsed and not self._records.quiet

    def _receive_frame(
        self, keys: Rekey, channel: int, payload: bytes, address: Address, now: float
    ) -> DropReason | None:
        if channel >= c.FIRST_MEDIA_CHANNEL:
            if self.state is not State.ACTIVE:
                return DropReason.INACTIVE
            if len(self._shared.happenings) >= c.MAX_HAPPENINGS:
                return DropReason.QUEUE
            self._tell(Payload(self, channel, payload))
            return None
        if channel == Channel.TIMING:
            if self._path.answered(payload, address, now):
                self.address = address
                return None
            return self._timing.receive(payload, now)
        messages = self._control.receive(payload)
        if isinstance(messages, DropReason):
            return messages
        for kind, body in messages:
            reason = self._receive_message(keys, kind, body, now)
            if reason is not None:
                self._shared.dropped[reason] += 1
        return None

    def _receive_message(self, keys: Rekey, kind: int, body: bytes, now: float) -> DropReason | None:
        own = kind >= c.FIRST_ENGINE_MESSAGE or (kind == ControlType.MEDIA and len(body) == 1)
        if own or kind == ControlType.REKEY:
            if self.state is State.ENDED:
                return DropReason.INACTIVE
            if kind == ControlType.REKEY:
                return keys.receive(body, now)
            self._tell(Message(self, kind, body))
            return None
        heard = self._call.hear(self, kind, body, now)
        if isinstance(heard, Ended):
            self._control.abandon()
            self._end(heard, now)
        elif isinstance(heard, DropReason):
            if heard is DropReason.COMMITMENT:
                self._leave(Input.HANGUP, Reason.FAILED, now, told=Reason.BROKEN_PROMISE)
            return heard
        elif heard is not None:
            self._deadline = None
            self._tell(heard)
        return None

    def _own(self, cause: Input, body: bytes, now: float) -> Transition:
        self._check_usable()
        return self._call.own(cause, body, now)

    def _leave(self, cause: Input, reason: Reason, now: float, *, told: Reason | None = None) -> None:
        """Say `reason` to the other side, and `told` or the same to the owner."""
        if reason.local:
            raise ValueError(f"{reason.slug} is not for sending")
        if self._dialling is not None:
            self._lose(Ended(self, reason, remote=False))
            return
        transition = self._own(cause, bytes([reason]), now)
        if transition.tell is not None:
            self._saying_goodbye = True
            if not self._call.refused:
                self._goodbye_copies = c.GOODBYE_COPIES
                self._control.hurry(now)
            self._end(Ended(self, told or reason, remote=False), now)

    def _end(self, ended: Ended, now: float) -> None:
        """Tell it; from here on the line only lingers, for the sake of the goodbye.

        After a refusal it does so as if it were ringing.
        """
        self.established = False
        self._confirmation = self._deadline = None
        self._gone_at = now + c.LINGER_S
        if not self._call.refused:
            self._records.hang_up()
        self._tell(ended)

    def _lose(self, happening: Ended | HandshakeFailed) -> None:
        """The end without a goodbye."""
        self._vanish()
        self._tell(happening)

    def _vanish(self) -> None:
        """Forget the keys and leave the endpoint."""
        self._call.lost()
        self.established = False
        self._dialling = None
        self._confirmation = None
        if self._keys is not None:
            self._keys.epochs.wipe()
            self._keys = None
        for index in [index for index, peer in self._shared.peers.items() if peer is self]:
            del self._shared.peers[index]

    def _check_usable(self) -> None:
        if self._dialling is not None:
            raise RuntimeError("the handshake is not done")

    def _tell(self, happening: Happening) -> None:
        self._shared.happenings.append(happening)

    def _seal(self, epochs: Epochs, plaintext: bytes, address: Address, now: float) -> None:
        datagram = epochs.seal(plaintext, now)
        if datagram is not None:
            self._post(datagram, address)

    def _post(self, datagram: bytes, address: Address) -> None:
        self.tx_bytes += len(datagram)
        self._shared.post(datagram, address)
