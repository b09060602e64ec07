"""One remote end, as its owner holds it: what is known of it, and the verbs of the call.

What a verb does is its phase's business (`phase`, `phases`); an `Endpoint` makes peers and feeds their phases. Own
misuse raises at once; nothing from the network does.
"""

from __future__ import annotations

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallError, CallInput, CallState
from p2pcall.proto.handshake.exchange import Established
from p2pcall.proto.line.line import Line
from p2pcall.proto.messages import ControlType, Reason, pack_greeting, pack_name
from p2pcall.proto.phase import PHASE_TABLE, Move, Phase, PhaseName
from p2pcall.types import Address


class Peer:
    """One remote end; see the module. What is empty or None is so until the handshake is done."""

    def __init__(self, index: int, address: Address, *, initiator: bool, now: float) -> None:
        self.index = index
        """Names this peer for as long as it lives; datagrams bear it until the first rekeying."""
        self.initiator = initiator
        self.address = address
        self.remote_static = b""
        self.protocol_name = ""
        self.handshake_hash = b""
        self.call_id = ""
        self.session_start = now
        """When the handshake was done: where the clock in media packets begins."""
        self.tx_bytes = self.rx_bytes = 0
        self.line: Line | None = None
        """What the phases of a line work on; it stays, its keys wiped, when the peer is gone."""
        self.phase = Phase()
        """What it is in now; the endpoint feeds it."""

    def enter(self, move: Move, phase: Phase) -> None:
        """The next phase; KeyError and AssertionError for a move that the table does not have."""
        after = PHASE_TABLE[self.phase.name, move]
        assert after is phase.name, f"{move} leads to {after}"
        self.phase = phase

    def know(self, done: Established, line: Line, now: float) -> None:
        """The handshake is done: this is who it is."""
        self.remote_static = done.remote_static
        self.protocol_name = done.protocol_name
        self.handshake_hash = done.handshake_hash
        self.call_id = done.handshake_hash[: c.CALL_ID_BYTES].hex()
        self.session_start = now
        self.line = line

    @property
    def established(self) -> bool:
        """Whether the line is up: the handshake is done, and nobody has said goodbye."""
        return self.phase.name is PhaseName.OPEN

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        return self.phase.state

    @property
    def sas(self) -> tuple[str, ...]:
        """The words, once the call is active: both sides have shown their nonces by then."""
        return () if self.line is None else self.line.call.words

    @property
    def answered(self) -> bool:
        """Whether anything has come back from a dial, be it a cookie alone."""
        return self.phase.answered

    @property
    def rtt(self) -> float | None:
        """The smoothed round trip, None until it is measured."""
        return None if self.line is None else self.line.timing.rtt

    @property
    def clock_offset(self) -> float | None:
        """Remote session clock less ours, None until it is measured."""
        return None if self.line is None else self.line.timing.clock_offset

    @property
    def settled(self) -> bool:
        """Whether the process may exit as far as this peer is concerned."""
        return self.phase.settled

    # --- the call -------------------------------------------------------------------------------------------

    def invite(self, name: str, audio: bool, video: bool, now: float) -> None:
        """Call: only the side that dialled, once the handshake is done. ValueError for a name too long."""
        if not self.initiator:
            raise CallError("only the side that dialled invites")
        self.phase.own(CallInput.INVITE, pack_greeting(name, audio, video), now)

    def ring(self, name: str, now: float) -> None:
        """Tell the caller that it rings here."""
        self.phase.own(CallInput.RING, pack_name(name), now)

    def accept(self, name: str, audio: bool, video: bool, now: float) -> None:
        """Answer: the call is active with `Revealed`, when the caller has shown its nonce for ours."""
        self.phase.accept(pack_greeting(name, audio, video), now)

    def decline(self, reason: Reason, now: float) -> None:
        """Refuse an incoming call; nothing if it is over already."""
        self._leave(CallInput.DECLINE, reason, now)

    def hangup(self, reason: Reason, now: float) -> None:
        """End the call or the dial, in whatever state; nothing if it is over already."""
        self._leave(CallInput.HANGUP, reason, now)

    def send(self, channel: int, payload: bytes, now: float, *, padded_to: int = 0) -> None:
        """Send one frame, unreliably: at once, as if it had `padded_to` bytes if it has fewer (see `records`).

        Small FEEDBACK rides in the next record of voice. Nothing leaves after the end of the call, nor while
        the other side's address has not agreed for long. ValueError for one of this room's own channels, a payload
        longer than `MAX_PAYLOAD_BYTES`, padded or not; RuntimeError before the handshake is done.
        """
        self.phase.send(channel, payload, padded_to, now)

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Send `MEDIA` or a message of the owner's own (64 and above), reliably and in order.

        Nothing after the end of the call. ValueError for another kind or a body too long, `ControlFull`
        when the other side does not keep up, RuntimeError before the handshake is done.
        """
        if kind != ControlType.MEDIA and kind < c.FIRST_ENGINE_MESSAGE:
            raise ValueError(f"control message {kind} is not the owner's")
        self.phase.send_control(kind, body, now)

    def nudge(self, now: float) -> None:
        """This machine's addresses have changed: let the other side see at once where we are."""
        self.phase.nudge(now)

    def close(self) -> None:
        """Vanish without a word and without an event."""
        self.phase.close()

    # --- inside ---------------------------------------------------------------------------------------------

    def _leave(self, cause: CallInput, reason: Reason, now: float) -> None:
        if reason.local:
            raise ValueError(f"{reason.slug} is not for sending")
        self.phase.leave(cause, reason, now)
