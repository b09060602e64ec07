"""The call table: what a call does in each state upon each input. The man page's diagram is printed from it.

Inputs without a prefix are this side's own; `R_` are the remote side's messages. An own input that is not
in the table raises (`CallError`), a remote one is ignored and counted by the caller.
"""

from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct

from p2pcall.proto.messages import ControlType


class CallState(StrEnum):
    """Where a call stands, seen from one side."""

    IDLE = "idle"
    DIALLING = "dialling"
    RINGING = "ringing"
    INCOMING = "incoming"
    ANSWERED = "answered"
    ACTIVE = "active"
    ENDED = "ended"


class CallInput(StrEnum):
    """What can happen to a call."""

    INVITE = "invite"
    RING = "ring"
    ACCEPT = "accept"
    DECLINE = "decline"
    HANGUP = "hangup"
    R_INVITE = "r-invite"
    R_RINGING = "r-ringing"
    R_ACCEPT = "r-accept"
    R_REVEAL = "r-reveal"
    R_DECLINE = "r-decline"
    R_HANGUP = "r-hangup"
    LOST = "lost"


class Tell(StrEnum):
    """The event that the owner gets."""

    INCOMING = "Incoming"
    REMOTE_RINGING = "RemoteRinging"
    ACCEPTED = "Accepted"
    REVEALED = "Revealed"
    ENDED = "Ended"


class CallError(RuntimeError):
    """An input of our own that makes no sense in this state."""


class Transition(Struct, frozen=True):
    """The next state, the message to send, the event for the owner."""

    next: CallState
    send: ControlType | None = None
    tell: Tell | None = None


_S, _I = CallState, CallInput
_BYE: Final = Transition(_S.ENDED, ControlType.HANGUP, Tell.ENDED)
_REFUSE: Final = Transition(_S.ENDED, ControlType.DECLINE, Tell.ENDED)
_OVER: Final = Transition(_S.ENDED, None, Tell.ENDED)
_STAY_ENDED: Final = Transition(_S.ENDED)

CALL_TABLE: Final[dict[tuple[CallState, CallInput], Transition]] = {
    (_S.IDLE, _I.INVITE): Transition(_S.DIALLING, ControlType.INVITE),
    (_S.IDLE, _I.R_INVITE): Transition(_S.INCOMING, None, Tell.INCOMING),
    (_S.IDLE, _I.DECLINE): _REFUSE,
    (_S.IDLE, _I.HANGUP): _BYE,
    (_S.IDLE, _I.R_DECLINE): _OVER,
    (_S.IDLE, _I.R_HANGUP): _OVER,
    (_S.IDLE, _I.LOST): _OVER,
    (_S.DIALLING, _I.R_RINGING): Transition(_S.RINGING, None, Tell.REMOTE_RINGING),
    (_S.DIALLING, _I.R_ACCEPT): Transition(_S.ACTIVE, ControlType.REVEAL, Tell.ACCEPTED),
    (_S.DIALLING, _I.HANGUP): _BYE,
    (_S.DIALLING, _I.R_DECLINE): _OVER,
    (_S.DIALLING, _I.R_HANGUP): _OVER,
    (_S.DIALLING, _I.LOST): _OVER,
    (_S.RINGING, _I.R_ACCEPT): Transition(_S.ACTIVE, ControlType.REVEAL, Tell.ACCEPTED),
    (_S.RINGING, _I.HANGUP): _BYE,
    (_S.RINGING, _I.R_DECLINE): _OVER,
    (_S.RINGING, _I.R_HANGUP): _OVER,
    (_S.RINGING, _I.LOST): _OVER,
    (_S.INCOMING, _I.RING): Transition(_S.INCOMING, ControlType.RINGING),
    (_S.INCOMING, _I.ACCEPT): Transition(_S.ANSWERED, ControlType.ACCEPT),
    (_S.INCOMING, _I.DECLINE): _REFUSE,
    (_S.INCOMING, _I.HANGUP): _BYE,
    (_S.INCOMING, _I.R_HANGUP): _OVER,
    (_S.INCOMING, _I.LOST): _OVER,
    (_S.ANSWERED, _I.R_REVEAL): Transition(_S.ACTIVE, None, Tell.REVEALED),
    (_S.ANSWERED, _I.HANGUP): _BYE,
    (_S.ANSWERED, _I.R_HANGUP): _OVER,
    (_S.ANSWERED, _I.LOST): _OVER,
    (_S.ACTIVE, _I.HANGUP): _BYE,
    (_S.ACTIVE, _I.R_HANGUP): _OVER,
    (_S.ACTIVE, _I.LOST): _OVER,
    # Goodbyes may cross, and an end may come between a key press and its handling.
    (_S.ENDED, _I.DECLINE): _STAY_ENDED,
    (_S.ENDED, _I.HANGUP): _STAY_ENDED,
    (_S.ENDED, _I.R_DECLINE): _STAY_ENDED,
    (_S.ENDED, _I.R_HANGUP): _STAY_ENDED,
    (_S.ENDED, _I.LOST): _STAY_ENDED,
}


def own(state: CallState, cause: CallInput) -> Transition:
    """What an input of our own does; CallError if it makes no sense in this state."""
    transition = CALL_TABLE.get((state, cause))
    if transition is None:
        raise CallError(f"{cause} makes no sense while {state}")
    return transition


def remote(state: CallState, cause: CallInput) -> Transition | None:
    """What a remote input does, or None if it makes no sense in this state."""
    return CALL_TABLE.get((state, cause))


def glare_winner(our_static: bytes, their_static: bytes) -> Literal["ours", "theirs"]:
    """Whose call is kept when both dial at once: that of the lower static key, so both sides agree."""
    return "ours" if our_static < their_static else "theirs"


def call_diagram() -> str:
    """The table as text, one line a transition, for the manual."""
    lines = []
    for (state, cause), transition in CALL_TABLE.items():
        effects = [f"sends {transition.send.name}"] if transition.send is not None else []
        effects += [f"tells {transition.tell}"] if transition.tell is not None else []
        lines.append(f"{state:<9} {cause:<10} {transition.next:<9} {', '.join(effects)}".rstrip())
    return "\n".join(lines)
