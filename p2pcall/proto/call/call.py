"""One peer's call: the call table applied to our wishes and to the other side's messages."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from p2pcall.proto.call import table
from p2pcall.proto.call.table import CallInput, CallState, Tell, Transition
from p2pcall.proto.handshake.sas import Exchange
from p2pcall.proto.messages import (
    ControlType,
    Greeting,
    Reason,
    parse_accept,
    parse_greeting,
    parse_reason,
    parse_reveal,
    parse_ringing,
)
from p2pcall.proto.wire import DropReason

_REMOTE: dict[int, tuple[CallInput, Callable[[bytes], Greeting | Reason | None]]] = {
    ControlType.INVITE: (CallInput.R_INVITE, parse_greeting),
    ControlType.RINGING: (CallInput.R_RINGING, parse_ringing),
    ControlType.ACCEPT: (CallInput.R_ACCEPT, parse_accept),
    ControlType.REVEAL: (CallInput.R_REVEAL, parse_reveal),
    ControlType.DECLINE: (CallInput.R_DECLINE, lambda body: parse_reason(body, Reason.DECLINED)),
    ControlType.HANGUP: (CallInput.R_HANGUP, lambda body: parse_reason(body, Reason.HUNG_UP)),
}


class Sender(Protocol):
    """What brings the call's messages to the other side, reliably and in order."""

    def send(self, kind: int, body: bytes, now: float, *, reserve: bool = False) -> None:
        """Queue one; `reserve` opens the places that are kept for the call."""


class Heard(Struct, frozen=True):
    """What the other side has said: the event and its content, for the owner."""

    tell: Tell
    content: Greeting | Reason


class Call:
    """The state of one call. `refused`: it ended by DECLINE, and an observer must not see this from the traffic."""

    __slots__ = ("_control", "_exchange", "refused", "state", "words")

    def __init__(self, control: Sender, exchange: Exchange | None = None) -> None:
        """`exchange` holds the nonces that the handshake has committed to; None until it is done."""
        self.state = CallState.IDLE
        self.refused = False
        self.words: tuple[str, ...] = ()
        """Known once both sides have shown their nonces."""
        self._control = control
        self._exchange = exchange

    def own(self, cause: CallInput, body: bytes, now: float) -> Transition:
        """Apply an input of our own. CallError if this state does not allow it; other errors as `Control.send`."""
        transition = table.own(self.state, cause)
        if transition.send is not None:
            self._control.send(transition.send, body, now, reserve=True)
        self.state = transition.next
        self.refused = self.refused or transition.send is ControlType.DECLINE
        return transition

    def accept(self, greeting: bytes, now: float) -> None:
        """Answer the call; this reveals our nonce. Errors as `own`."""
        table.own(self.state, CallInput.ACCEPT)  # raises for a dial that is over, which has no nonces
        assert self._exchange is not None, "a call comes in by a line"
        self.own(CallInput.ACCEPT, self._exchange.nonce + greeting, now)

    def lost(self) -> None:
        """The call is over, whatever its state was."""
        self.state = table.own(self.state, CallInput.LOST).next

    def hear(self, kind: int, body: bytes, now: float, *, dialled: bool) -> Heard | DropReason | None:
        """Take a message of the other side; give what to tell the owner, if anything. `dialled`: we have dialled, so an
        invitation is dropped.

        COMMITMENT: the nonce does not match the commitment. Nothing has changed, and the call must end.
        """
        if kind not in _REMOTE:
            return DropReason.CONTROL
        cause, parse = _REMOTE[kind]
        content = parse(body)
        if content is None:
            return DropReason.CONTROL
        transition = table.remote(self.state, cause)
        if transition is None or (cause is CallInput.R_INVITE and dialled):
            return DropReason.CALL
        if isinstance(content, Greeting) and content.nonce:
            assert self._exchange is not None, "messages come by a line"
            words = self._exchange.words(content.nonce)
            if words is None:
                return DropReason.COMMITMENT
            self.words = words
            if transition.send is not None:
                self._control.send(transition.send, self._exchange.nonce, now, reserve=True)
        self.state = transition.next
        if transition.tell is None:
            return None
        self.refused = self.refused or cause is CallInput.R_DECLINE
        return Heard(transition.tell, content)
