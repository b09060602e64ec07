"""Events for scripts: one frozen record for each event, one JSON object a line.

Every object has `v` (1), `event` and `t` (seconds since the epoch). Fields are only ever added. The field names
here are the wire names (an underscore in a class's `event` name is a hyphen). Strings from the other side are
already filtered (`view.sanitize`) when they get here.
"""

import json
from typing import Any, ClassVar, Final

from msgspec import Struct, field
from msgspec.structs import asdict

EVENTS_VERSION: Final = 1


class Event(Struct, frozen=True):
    """Base of all events; `event` is the name on the wire."""

    event: ClassVar[str] = ""


class Listening(Event, frozen=True):
    event: ClassVar[str] = "listening"
    port: int
    addresses: tuple[str, ...]
    fingerprint: str
    announce: str
    name: str
    reach: str = "anyone"


class PeerFound(Event, frozen=True):
    event: ClassVar[str] = "peer-found"
    name: str
    addresses: tuple[str, ...]
    port: int
    contact: str | None


class PeerLost(Event, frozen=True):
    event: ClassVar[str] = "peer-lost"
    name: str
    addresses: tuple[str, ...]
    port: int
    contact: str | None


class Dialling(Event, frozen=True):
    event: ClassVar[str] = "dialling"
    target: str
    address: str


class Ringing(Event, frozen=True):
    event: ClassVar[str] = "ringing"
    call: str


class CodeRequired(Event, frozen=True):
    event: ClassVar[str] = "code-required"
    call: str
    name: str
    fingerprint: str
    why: str
    left: int
    seconds: int


class Incoming(Event, frozen=True):
    event: ClassVar[str] = "incoming"
    call: str
    name: str
    fingerprint: str
    known: str
    audio: bool
    video: bool


class Missed(Event, frozen=True):
    event: ClassVar[str] = "missed"
    count: int
    since: float
    name: str
    fingerprint: str
    known: str


class Requested(Event, frozen=True):
    event: ClassVar[str] = "request"
    count: int
    number: int
    name: str
    fingerprint: str
    until: float


class Connected(Event, frozen=True):
    event: ClassVar[str] = "connected"
    call: str
    name: str
    fingerprint: str
    known: str
    protocol: str
    sas: tuple[str, ...]
    audio: bool
    video: bool
    setup_ms: float


class FirstAudio(Event, frozen=True):
    event: ClassVar[str] = "first-audio"
    call: str
    ms: float


class FirstVideo(Event, frozen=True):
    event: ClassVar[str] = "first-video"
    call: str
    ms: float


class Figures(Struct, frozen=True):
    """The figures of `stats`, and of `ended` over the whole call."""

    rtt_ms: float | None = None
    loss: float = 0.0
    jitter_ms: float = 0.0
    audio_delay_ms: float | None = None
    concealed: float = 0.0
    recovered: int = 0
    tx_kbps: float = 0.0
    rx_kbps: float = 0.0
    video_fps: float = 0.0
    video_size: str | None = None
    cpu: float = 0.0
    dropped: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    """`dropped` by reason; reasons with a count of 0 are left out."""
    frames_shown: int = 0
    mic_dbfs: float | None = None
    speaker_dbfs: float | None = None
    underruns: int = 0
    mic_stale_ms: int = 0


class Stats(Event, frozen=True):
    event: ClassVar[str] = "stats"
    call: str
    figures: Figures


class Reconnecting(Event, frozen=True):
    event: ClassVar[str] = "reconnecting"
    call: str
    ms: int


class Reconnected(Event, frozen=True):
    event: ClassVar[str] = "reconnected"
    call: str
    ms: int


class Media(Event, frozen=True):
    event: ClassVar[str] = "media"
    call: str
    side: str
    audio: bool
    video: bool
    recording: bool


class Recording(Event, frozen=True):
    event: ClassVar[str] = "recording"
    call: str
    side: str
    state: str
    by: str = ""
    file: str = ""


class Verified(Event, frozen=True):
    event: ClassVar[str] = "verified"
    call: str
    name: str
    fingerprint: str
    known: str


class Invited(Event, frozen=True):
    event: ClassVar[str] = "invite"
    code: str
    uri: str
    port: int
    addresses: tuple[str, ...]
    until: float


class Paired(Event, frozen=True):
    event: ClassVar[str] = "paired"
    name: str
    claimed: str
    fingerprint: str
    known: str


class ContactRotated(Event, frozen=True):
    event: ClassVar[str] = "contact-rotated"
    call: str
    side: str
    name: str
    fingerprint: str
    known: str


class SafeWordChecked(Event, frozen=True):
    event: ClassVar[str] = "safe-word"
    call: str
    name: str
    fingerprint: str
    result: str


class Warning(Event, frozen=True):
    event: ClassVar[str] = "warning"
    slug: str
    text: str
    name: str = ""
    fingerprint: str = ""


class Ended(Event, frozen=True):
    event: ClassVar[str] = "ended"
    call: str | None
    reason: str
    duration_s: float
    exit: int
    figures: Figures
    sas: tuple[str, ...] = ()
    name: str = ""
    fingerprint: str = ""
    by: str = ""


class Error(Event, frozen=True):
    event: ClassVar[str] = "error"
    slug: str
    text: str
    hint: str | None
    exit: int


def to_dict(event: Event, t: float) -> dict[str, Any]:
    """The event as a JSON-ready dict; the fields of `figures` are on the same level as the others."""
    out: dict[str, Any] = {"v": EVENTS_VERSION, "event": event.event, "t": round(t, 3)}
    for name, value in asdict(event).items():
        if isinstance(value, Figures):
            out |= asdict(value)
        else:
            out[name] = value
    return out


def to_json(event: Event, t: float) -> str:
    """The event as one line of JSON, without the line end."""
    return json.dumps(to_dict(event, t), ensure_ascii=True, separators=(",", ":"))
