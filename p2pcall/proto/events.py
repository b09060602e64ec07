"""Events for the owner of an `Endpoint`: one frozen dataclass each, with its peer.

Drain `Endpoint.next_event()` after every call. Names and bodies are the remote side's own words: decoded,
bounded, not filtered for terminals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2pcall.proto.messages import Reason
from p2pcall.proto.peer import Peer


@dataclass(frozen=True, slots=True)
class HandshakeDone:
    """The line is up and the peer's key is known; the initiator invites next, or closes."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """A dial came to nothing and the peer is gone; `remote_static` is the unexpected key of `key-changed`."""

    peer: Peer
    reason: Literal["timeout", "key-changed"]
    remote_static: bytes | None = None


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """An invitation came: `ring`, `accept` or `decline` next. `audio` and `video` say what the caller offers."""

    peer: Peer
    name: str
    audio: bool
    video: bool


@dataclass(frozen=True, slots=True)
class RemoteRinging:
    """The other side rings."""

    peer: Peer
    name: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side answered: the call is active, and the words are known."""

    peer: Peer
    name: str
    audio: bool
    video: bool


@dataclass(frozen=True, slots=True)
class Revealed:
    """The caller, whose call we have answered, has shown its nonce: the words are known, the call is active."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class LineInterrupted:
    """The other side has not been heard for SILENT_S; it may come back by itself until the line is lost."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class LineResumed:
    """The other side is heard again, after this many seconds."""

    peer: Peer
    seconds: float


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over; the other side ended it if `remote`. The peer lingers by itself and then is gone."""

    peer: Peer
    reason: Reason
    remote: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A control message that is not the call table's: `MEDIA` or a type of the owner's own."""

    peer: Peer
    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Payload:
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
