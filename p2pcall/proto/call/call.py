"""One peer's call: the call table applied to our wishes and to the other side's messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pcall.proto.call import table as calling
from p2pcall.proto.call.table import Input, State, Tell, Transition
from p2pcall.proto.events import Accepted, Ended, Happening, Incoming, RemoteRinging, Revealed
from p2pcall.proto.handshake.sas import Exchange
from p2pcall.proto.line.control import Control
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

if TYPE_CHECKING:
    from p2pcall.proto.peer import Peer

_REMOTE: dict[int, tuple[Input, Callable[[bytes], Greeting | Reason | None]]] = {
    ControlType.INVITE: (Input.R_INVITE, parse_greeting),
    ControlType.RINGING: (Input.R_RINGING, parse_ringing),
    ControlType.ACCEPT: (Input.R_ACCEPT, parse_accept),
    ControlType.REVEAL: (Input.R_REVEAL, parse_reveal),
    ControlType.DECLINE: (Input.R_DECLINE, lambda body: parse_reason(body, Reason.DECLINED)),
    ControlType.HANGUP: (Input.R_HANGUP, lambda body: parse_reason(body, Reason.HUNG_UP)),
}


class Call:
    """Where the call stands. `refused`: it ended by DECLINE, which nobody shall see from outside."""

    __slots__ = ("_control", "_exchange", "refused", "state", "words")

    def __init__(self, control: Control, exchange: Exchange | None = None) -> None:
        """`exchange` holds the nonces that the handshake has promised; None until it is done."""
        self.state = State.IDLE
        self.refused = False
        self.words: tuple[str, ...] = ()
        """Known once both sides have shown their nonces."""
        self._control = control
        self._exchange = exchange

    def own(self, cause: Input, body: bytes, now: float) -> Transition:
        """Do what we want; CallError if it makes no sense now, ControlFull, ValueError as `Control.send`."""
        transition = calling.own(self.state, cause)
        if transition.send is not None:
            self._control.send(transition.send, body, now, reserve=True)
        self.state = transition.next
        self.refused = self.refused or transition.send is ControlType.DECLINE
        return transition

    def accept(self, greeting: bytes, now: float) -> None:
        """Answer, which shows our nonce; errors as `own`."""
        calling.own(self.state, Input.ACCEPT)  # raises for a dial that is over, which has no nonces
        assert self._exchange is not None, "a call comes in by a line"
        self.own(Input.ACCEPT, self._exchange.nonce + greeting, now)

    def lost(self) -> None:
        """It is over, whatever it was."""
        self.state = calling.own(self.state, Input.LOST).next

    def hear(self, peer: Peer, kind: int, body: bytes, now: float) -> Happening | DropReason | None:
        """Take a message of the other side: what the owner is to be told, if anything.

        COMMITMENT for a nonce that is not the promised one: nothing has changed, and the call must end.
        """
        if kind not in _REMOTE:
            return DropReason.CONTROL
        cause, parse = _REMOTE[kind]
        content = parse(body)
        if content is None:
            return DropReason.CONTROL
        transition = calling.remote(self.state, cause)
        if transition is None or (cause is Input.R_INVITE and peer.initiator):
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
        if isinstance(content, Reason):
            self.refused = self.refused or (cause is Input.R_DECLINE and transition.tell is not None)
            return None if transition.tell is None else Ended(peer, content, remote=True)
        if transition.tell is Tell.REMOTE_RINGING:
            return RemoteRinging(peer, content.name)
        if transition.tell is Tell.REVEALED:
            return Revealed(peer)
        make = Incoming if transition.tell is Tell.INCOMING else Accepted
        return make(peer, content.name, content.audio, content.video)
