"""One remote end, as its owner sees it: what is known about it, and the operations of the call.

The current phase (`phase`, `phases`) decides what an operation does. An `Endpoint` makes peers and passes input to
their phases. Wrong use by our own code raises at once; nothing from the network does.
"""

from __future__ import annotations

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallError, CallInput, CallState
from p2pcall.proto.handshake.exchange import Established, StaticKey
from p2pcall.proto.line.line import Line
from p2pcall.proto.messages import ControlType, Reason, pack_greeting, pack_name
from p2pcall.proto.phase import PHASE_TABLE, Move, Phase, PhaseName
from p2pcall.types import Address


class Peer:
    """One remote end; see the module. Fields that are empty or None are set when the handshake is done."""

    def __init__(self, index: int, address: Address, *, initiator: bool, now: float) -> None:
        self.index = index
        """Identifies this peer for its whole life; datagrams carry it until the first rekeying."""
        self.initiator = initiator
        self.address = address
        self.remote_static = b""
        self.local_static: StaticKey | None = None
        """Our own key in this line."""
        self.protocol_name = ""
        self.handshake_hash = b""
        self.call_id = ""
        self.session_start = now
        """When the handshake was done: the zero of the clock in media packets."""
        self.tx_bytes = self.rx_bytes = 0
        self.line: Line | None = None
        """The line, once there is one; when the peer is gone it stays, with its keys wiped."""
        self.phase = Phase()
        """The current phase; the endpoint passes input to it."""

    def enter(self, move: Move, phase: Phase) -> None:
        """Enter the next phase; KeyError or AssertionError for a move that is not in the table."""
        after = PHASE_TABLE[self.phase.name, move]
        assert after is phase.name, f"{move} leads to {after}"
        self.phase = phase

    def know(self, done: Established, line: Line, now: float) -> None:
        """The handshake is done: set the remote key and the line."""
        self.remote_static = done.remote_static
        self.local_static = done.local_static
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
        """Whether anything has come back from a dial; a cookie is enough."""
        return self.phase.answered

    @property
    def rtt(self) -> float | None:
        """The smoothed round trip, None until it is measured."""
        return None if self.line is None else self.line.timing.rtt

    @property
    def clock_offset(self) -> float | None:
        """Remote session clock minus ours; None until it is measured."""
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
        """Tell the caller that we are ringing."""
        self.phase.own(CallInput.RING, pack_name(name), now)

    def accept(self, name: str, audio: bool, video: bool, now: float) -> None:
        """Answer; the call becomes active with the event `Revealed`, when the caller has shown its nonce."""
        self.phase.accept(pack_greeting(name, audio, video), now)

    def decline(self, reason: Reason, now: float) -> None:
        """Refuse an incoming call; does nothing if it is over already."""
        self._leave(CallInput.DECLINE, reason, now)

    def hangup(self, reason: Reason, now: float) -> None:
        """End the call or the dial, in any state; does nothing if it is over already."""
        self._leave(CallInput.HANGUP, reason, now)

    def send(self, channel: int, payload: bytes, now: float, *, padded_to: int = 0) -> None:
        """Send one frame at once, unreliably, padded to `padded_to` bytes if it is shorter (see `records`).

        Small FEEDBACK waits for the next record of voice. Nothing leaves after the end of the call, or while the
        address has not agreed for too long. ValueError for a channel below FIRST_MEDIA_CHANNEL, or a payload longer
        than `MAX_PAYLOAD_BYTES`, padded or not; RuntimeError before the handshake is done.
        """
        self.phase.send(channel, payload, padded_to, now)

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Send `MEDIA` or a message of the owner's own (64 and above), reliably and in order.

        Does nothing after the end of the call. ValueError for another kind or a body too long, `ControlFull` when
        the other side does not keep up, RuntimeError before the handshake is done.
        """
        if kind != ControlType.MEDIA and kind < c.FIRST_ENGINE_MESSAGE:
            raise ValueError(f"control message {kind} is not the owner's")
        self.phase.send_control(kind, body, now)

    def nudge(self, now: float) -> None:
        """This machine's addresses have changed: let the other side see our new address at once."""
        self.phase.nudge(now)

    def close(self) -> None:
        """Leave without a goodbye and without an event."""
        self.phase.close()

    # --- inside ---------------------------------------------------------------------------------------------

    def _leave(self, cause: CallInput, reason: Reason, now: float) -> None:
        if reason.local:
            raise ValueError(f"{reason.slug} is not for sending")
        self.phase.leave(cause, reason, now)
