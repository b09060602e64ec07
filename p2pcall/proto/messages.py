"""Bodies of the call's control messages. Parsers return None for anything malformed and never raise.

INVITE `flags, name` · RINGING `name` · ACCEPT `nonce, flags, name` · REVEAL `nonce` · DECLINE `reason` · HANGUP
`reason` · MEDIA `flags` · RECORD `act u8, number u32, days u16`. A name is `length u8, UTF-8` of at most 64 bytes. Flag
bits and reasons that this version does not know are let through (bits) or read as plain (reasons): an unknown reason
still ends the call. REKEY is `rekey`'s; PASSCODE_REQUEST, PASSCODE and SAFE_WORD are the owner's (`factor`).
"""

from enum import IntEnum, IntFlag
from struct import Struct as Layout
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from p2pcall.proto.constants import NAME_BYTES, NONCE_BYTES

_RECORD: Final = Layout(">BIH")


class ControlType(IntEnum):
    """Types of control messages; 64 and above are the owner's own."""

    INVITE = 1
    RINGING = 2
    ACCEPT = 3
    DECLINE = 4
    HANGUP = 5
    MEDIA = 6
    REKEY = 7
    REVEAL = 8
    ROTATED = 80
    """The sender's key has changed; the body is a `rotation_statement`."""
    ROTATION_KEPT = 81
    """The receiver has kept the new key; no body."""
    RECORD = 86
    PASSCODE_REQUEST = 88
    PASSCODE = 89
    SAFE_WORD = 90


class MediaFlags(IntFlag):
    """What INVITE and ACCEPT offer, and what MEDIA says is on."""

    AUDIO = 1
    VIDEO = 2
    RECORDING = 4


class RecordAct(IntEnum):
    """What RECORD says about a recording that one side, the asker, would make of the call."""

    ASK = 1
    AGREE = 2
    REFUSE = 3
    STOP = 4
    """The asker asks no longer, or has stopped."""
    REVOKE = 5
    """The other side agrees no longer."""


class Reason(IntEnum):
    """Why a call ended. Reasons from 128 on are local and never sent."""

    HUNG_UP = 1
    DECLINED = 2
    BUSY = 3
    NO_ANSWER = 4
    MAX_DURATION = 7
    FAILED = 8
    LOST = 128
    SILENT = 129
    """The line opened and no invitation followed."""
    BROKEN_PROMISE = 130
    """The other side has shown a nonce that does not match its commitment."""

    @property
    def slug(self) -> str:
        """The reason as scripts see it: `no-answer`."""
        return self.name.lower().replace("_", "-")

    @property
    def local(self) -> bool:
        """Whether this reason is never sent."""
        return self >= Reason.LOST


class Greeting(Struct, frozen=True):
    """Body of INVITE, ACCEPT (flags and name), RINGING (name alone) and REVEAL (nonce alone)."""

    name: str = ""
    audio: bool = False
    video: bool = False
    nonce: bytes = b""
    """The sender's revealed nonce; empty in INVITE and RINGING."""


class RecordMessage(Struct, frozen=True):
    """Body of RECORD: `number` is the asker's for this question, `days` for how long the recording would be kept."""

    act: RecordAct
    number: int
    days: int = 0


def pack_record(message: RecordMessage) -> bytes:
    """Body of RECORD."""
    return _RECORD.pack(message.act, message.number, message.days)


def parse_record(body: bytes) -> RecordMessage | None:
    """Body of RECORD."""
    if len(body) != _RECORD.size:
        return None
    act, number, days = _RECORD.unpack(body)
    try:
        return RecordMessage(RecordAct(act), number, days)
    except ValueError:
        return None


def media_flags(audio: bool, video: bool, recording: bool = False) -> int:
    """The flags of INVITE, ACCEPT and MEDIA."""
    return MediaFlags.AUDIO * audio | MediaFlags.VIDEO * video | MediaFlags.RECORDING * recording


def pack_name(name: str) -> bytes:
    """Length and UTF-8; ValueError if it is too long or not valid text."""
    encoded = name.encode()
    if len(encoded) > NAME_BYTES:
        raise ValueError(f"a name has at most {NAME_BYTES} bytes of UTF-8")
    return bytes([len(encoded)]) + encoded


def pack_greeting(name: str, audio: bool, video: bool) -> bytes:
    """Body of INVITE, and of ACCEPT after the nonce; ValueError as `pack_name`."""
    return bytes([media_flags(audio, video)]) + pack_name(name)


def parse_name(body: bytes) -> str | None:
    """The name in a body that holds only a name."""
    if not body or body[0] > NAME_BYTES or len(body) != 1 + body[0]:
        return None
    try:
        return body[1:].decode()
    except UnicodeDecodeError:
        return None


def parse_ringing(body: bytes) -> Greeting | None:
    """Body of RINGING."""
    name = parse_name(body)
    return None if name is None else Greeting(name)


def parse_greeting(body: bytes) -> Greeting | None:
    """Body of INVITE."""
    name = parse_name(body[1:])
    if name is None:
        return None
    return Greeting(name, bool(body[0] & MediaFlags.AUDIO), bool(body[0] & MediaFlags.VIDEO))


def parse_accept(body: bytes) -> Greeting | None:
    """Body of ACCEPT."""
    greeting = parse_greeting(body[NONCE_BYTES:])
    return None if greeting is None else replace(greeting, nonce=body[:NONCE_BYTES])


def parse_reveal(body: bytes) -> Greeting | None:
    """Body of REVEAL."""
    return Greeting(nonce=body) if len(body) == NONCE_BYTES else None


def parse_reason(body: bytes, plain: Reason) -> Reason | None:
    """Body of DECLINE and HANGUP; `plain` stands for reasons that are unknown or not for sending."""
    if len(body) != 1:
        return None
    try:
        reason = Reason(body[0])
    except ValueError:
        return plain
    return plain if reason.local else reason
