"""Events for the owner of an `Endpoint`: one frozen record each, with its peer.

Drain `Endpoint.next_event()` after every call. Names and bodies are the remote side's own words: decoded,
bounded, not filtered for terminals.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from p2pcall.proto.messages import Reason
from p2pcall.proto.peer import Peer


class HandshakeDone(Struct, frozen=True):
    """The line is up and the peer's key is known; the initiator invites next, or closes."""

    peer: Peer


class HandshakeFailed(Struct, frozen=True):
    """A dial came to nothing and the peer is gone; `remote_static` is the unexpected key of `key-changed`."""

    peer: Peer
    reason: Literal["timeout", "key-changed"]
    remote_static: bytes | None = None


class IncomingCall(Struct, frozen=True):
    """An invitation came: `ring`, `accept` or `decline` next. `audio` and `video` say what the caller offers."""

    peer: Peer
    name: str
    audio: bool
    video: bool


class RemoteRinging(Struct, frozen=True):
    """The other side rings."""

    peer: Peer
    name: str


class Accepted(Struct, frozen=True):
    """The other side answered: the call is active, and the words are known."""

    peer: Peer
    name: str
    audio: bool
    video: bool


class Revealed(Struct, frozen=True):
    """The caller, whose call we have answered, has shown its nonce: the words are known, the call is active."""

    peer: Peer


class LineInterrupted(Struct, frozen=True):
    """The other side has not been heard for SILENT_S; it may come back by itself until the line is lost."""

    peer: Peer


class LineResumed(Struct, frozen=True):
    """The other side is heard again, after this many seconds."""

    peer: Peer
    seconds: float


class CallEnded(Struct, frozen=True):
    """The call is over; the other side ended it if `remote`. The peer lingers by itself and then is gone."""

    peer: Peer
    reason: Reason
    remote: bool


class Message(Struct, frozen=True):
    """A control message that is not the call table's: `MEDIA` or a type of the owner's own."""

    peer: Peer
    kind: int
    body: bytes


class Payload(Struct, frozen=True):
    """One frame of a media channel, unreliable and in order of arrival; only while the call is active."""

    peer: Peer
    channel: int
    data: bytes


ProtocolEvent = (
    HandshakeDone
    | HandshakeFailed
    | IncomingCall
    | RemoteRinging
    | Accepted
    | Revealed
    | LineInterrupted
    | LineResumed
    | CallEnded
    | Message
    | Payload
)
