"""One peer's call: the call table applied to our wishes and to the other side's messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pcall.proto import calling
from p2pcall.proto.calling import Input, State, Tell, Transition
from p2pcall.proto.control import Control
from p2pcall.proto.happenings import Accepted, Ended, Happening, Incoming, RemoteRinging
from p2pcall.proto.messages import (
    ControlType,
    Greeting,
    Reason,
    parse_greeting,
    parse_reason,
    parse_ringing,
)
from p2pcall.proto.wire import DropReason

if TYPE_CHECKING:
    from p2pcall.proto.peer import Peer

_REMOTE: dict[int, tuple[Input, Callable[[bytes], Greeting | Reason | None]]] = {
    ControlType.INVITE: (Input.R_INVITE, parse_greeting),
    ControlType.RINGING: (Input.R_RINGING, parse_ringing),
    ControlType.ACCEPT: (Input.R_ACCEPT, parse_greeting),
    ControlType.DECLINE: (Input.R_DECLINE, lambda body: parse_reason(body, Reason.DECLINED)),
    ControlType.HANGUP: (Input.R_HANGUP, lambda body: parse_reason(body, Reason.HUNG_UP)),
}


class Call:
    """Where the call stands. `refused`: it ended by DECLINE, which nobody shall see from outside."""

    __slots__ = ("_control", "refused", "state")

    def __init__(self, control: Control) -> None:
        self.state = State.IDLE
        self.refused = False
        self._control = control

    def own(self, cause: Input, body: bytes, now: float) -> Transition:
        """Do what we want; CallError if it makes no sense now, ControlFull, ValueError as `Control.send`."""
        transition = calling.own(self.state, cause)
        if transition.send is not None:
            self._control.send(transition.send, body, now, reserve=True)
        self.state = transition.next
        self.refused = self.refused or transition.send is ControlType.DECLINE
        return transition

    def lost(self) -> None:
        """It is over, whatever it was."""
        self.state = calling.own(self.state, Input.LOST).next

    def hear(self, peer: Peer, kind: int, body: bytes) -> Happening | DropReason | None:
        """Take a message of the other side: what the owner is to be told, if anything."""
        if kind not in _REMOTE:
            return DropReason.CONTROL
        cause, parse = _REMOTE[kind]
        content = parse(body)
        if content is None:
            return DropReason.CONTROL
        transition = calling.remote(self.state, cause)
        if transition is None or (cause is Input.R_INVITE and peer.initiator):
            return DropReason.CALL
        self.state = transition.next
        if isinstance(content, Reason):
            self.refused = self.refused or (cause is Input.R_DECLINE and transition.tell is not None)
            return None if transition.tell is None else Ended(peer, content, remote=True)
        if transition.tell is Tell.REMOTE_RINGING:
            return RemoteRinging(peer, content.name)
        make = Incoming if transition.tell is Tell.INCOMING else Accepted
        return make(peer, content.name, content.audio, content.video)
