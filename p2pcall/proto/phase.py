"""The phases of a peer, and which may follow which. The man page's table is printed from it.

A phase is an object: it holds the state of that phase alone, and implements every operation of a `Peer`. `Phase`
itself is the phase of a peer that is gone; the subclasses (`phases`) override what they do more.
"""

from enum import StrEnum
from typing import ClassVar, Final

from p2pcall.proto import wire
from p2pcall.proto.call import table
from p2pcall.proto.call.table import CallInput, CallState
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import DropReason
from p2pcall.types import Address


class PhaseName(StrEnum):
    """The phases of a peer."""

    CONNECTING = "connecting"
    OPEN = "open"
    LINGERING = "lingering"
    GONE = "gone"


class Move(StrEnum):
    """What takes a peer from one phase to another."""

    ESTABLISHED = "established"
    UNREACHED = "unreached"
    GOODBYE = "goodbye"
    LOST = "lost"
    SETTLED = "settled"
    CLOSED = "closed"


PHASE_TABLE: Final[dict[tuple[PhaseName, Move], PhaseName]] = {
    (PhaseName.CONNECTING, Move.ESTABLISHED): PhaseName.OPEN,
    (PhaseName.CONNECTING, Move.UNREACHED): PhaseName.GONE,
    (PhaseName.CONNECTING, Move.CLOSED): PhaseName.GONE,
    (PhaseName.OPEN, Move.GOODBYE): PhaseName.LINGERING,
    (PhaseName.OPEN, Move.LOST): PhaseName.GONE,
    (PhaseName.OPEN, Move.CLOSED): PhaseName.GONE,
    (PhaseName.LINGERING, Move.SETTLED): PhaseName.GONE,
    (PhaseName.LINGERING, Move.CLOSED): PhaseName.GONE,
    (PhaseName.GONE, Move.CLOSED): PhaseName.GONE,
}
"""All legal moves; on the side that did not dial a peer begins in the phase open."""


def phase_diagram() -> str:
    """The table as text, one line a move, for the manual."""
    return "\n".join(f"{phase:<11} {move:<12} {after}" for (phase, move), after in PHASE_TABLE.items())


class Phase:
    """One phase of one peer. This base class is the phase gone: every operation does nothing."""

    __slots__ = ()
    name: ClassVar[PhaseName] = PhaseName.GONE

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        return CallState.ENDED

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return True

    @property
    def answered(self) -> bool:
        """Whether anything has come back from a dial."""
        return False

    def own(self, cause: CallInput, body: bytes, now: float) -> None:
        """An input of our own for the call, with the body of its message; CallError if it makes no sense."""
        table.own(CallState.ENDED, cause)

    def accept(self, greeting: bytes, now: float) -> None:
        """Answer an incoming call."""
        table.own(CallState.ENDED, CallInput.ACCEPT)

    def leave(self, cause: CallInput, reason: Reason, now: float) -> None:
        """Refuse, or hang up."""

    def send(self, channel: int, payload: bytes, padded_to: int, now: float) -> None:
        """Send one frame of media."""

    def send_control(self, kind: int, body: bytes, now: float) -> None:
        """Send one message of the owner's."""

    def nudge(self, now: float) -> None:
        """Let the other side see our address."""

    def receive_cookie(self, cookie: wire.Cookie, now: float) -> DropReason | None:
        """Take a cookie with the peer's index."""
        return DropReason.DUPLICATE

    def receive_response(self, response: wire.Response, address: Address, now: float) -> DropReason | None:
        """Take a response with the peer's index."""
        return DropReason.DUPLICATE

    def receive_data(self, datagram: bytes, address: Address, now: float) -> DropReason | None:
        """Take a data datagram with one of the peer's indexes."""
        return DropReason.INDEX

    def handle_timer(self, now: float) -> None:
        """Give up what has lasted too long."""

    def flush(self, now: float) -> None:
        """Queue every datagram that is due."""

    def next_timer(self) -> float | None:
        """When `handle_timer` and `flush` have something to do again."""
        return None

    def close(self) -> None:
        """Leave without a goodbye."""
