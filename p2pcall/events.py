"""What happens, as scripts see it: one frozen dataclass an event, one JSON object a line.

Every object has `v` (1), `event` and `t` (seconds since the epoch). Fields are only ever added. The field names
here are the wire names (an underscore in a class's `event` name is a hyphen). Strings from the other side are
already filtered (`view.sanitize`) when they get here.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

EVENTS_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; `event` is the name on the wire."""

    event: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Listening(Event):
    event: ClassVar[str] = "listening"
    port: int
    addresses: tuple[str, ...]
    fingerprint: str
    announce: str
    name: str
    reach: str = "anyone"


@dataclass(frozen=True, slots=True)
class PeerFound(Event):
    event: ClassVar[str] = "peer-found"
    name: str
    addresses: tuple[str, ...]
    port: int
    contact: str | None


@dataclass(frozen=True, slots=True)
class PeerLost(Event):
    event: ClassVar[str] = "peer-lost"
    name: str
    addresses: tuple[str, ...]
    port: int
    contact: str | None


@dataclass(frozen=True, slots=True)
class Dialling(Event):
    event: ClassVar[str] = "dialling"
    target: str
    address: str


@dataclass(frozen=True, slots=True)
class Ringing(Event):
    event: ClassVar[str] = "ringing"
    call: str


@dataclass(frozen=True, slots=True)
class Incoming(Event):
    event: ClassVar[str] = "incoming"
    call: str
    name: str
    fingerprint: str
    known: str
    audio: bool
    video: bool


@dataclass(frozen=True, slots=True)
class Missed(Event):
    event: ClassVar[str] = "missed"
    count: int
    since: float
    name: str
    fingerprint: str
    known: str


@dataclass(frozen=True, slots=True)
class Connected(Event):
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


@dataclass(frozen=True, slots=True)
class FirstAudio(Event):
    event: ClassVar[str] = "first-audio"
    call: str
    ms: float


@dataclass(frozen=True, slots=True)
class FirstVideo(Event):
    event: ClassVar[str] = "first-video"
    call: str
    ms: float


@dataclass(frozen=True, slots=True)
class Figures:
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
    """`dropped` by reason; without those that never were."""
    frames_shown: int = 0
    mic_dbfs: float | None = None
    speaker_dbfs: float | None = None


@dataclass(frozen=True, slots=True)
class Stats(Event):
    event: ClassVar[str] = "stats"
    call: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Reconnecting(Event):
    event: ClassVar[str] = "reconnecting"
    call: str
    ms: int


@dataclass(frozen=True, slots=True)
class Reconnected(Event):
    event: ClassVar[str] = "reconnected"
    call: str
    ms: int


@dataclass(frozen=True, slots=True)
class Media(Event):
    event: ClassVar[str] = "media"
    call: str
    side: str
    audio: bool
    video: bool
    recording: bool


@dataclass(frozen=True, slots=True)
class Verified(Event):
    event: ClassVar[str] = "verified"
    call: str
    name: str
    fingerprint: str
    known: str


@dataclass(frozen=True, slots=True)
class Warning(Event):
    event: ClassVar[str] = "warning"
    slug: str
    text: str
    name: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Ended(Event):
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


@dataclass(frozen=True, slots=True)
class Error(Event):
    event: ClassVar[str] = "error"
    slug: str
    text: str
    hint: str | None
    exit: int


def to_dict(event: Event, t: float) -> dict[str, Any]:
    """The event as a JSON-ready dict; `figures` are laid flat beside the other fields."""
    out: dict[str, Any] = {"v": EVENTS_VERSION, "event": event.event, "t": round(t, 3)}
    for one in dataclasses.fields(event):
        value = getattr(event, one.name)
        if isinstance(value, Figures):
            out |= dataclasses.asdict(value)
        else:
            out[one.name] = value
    return out


def to_json(event: Event, t: float) -> str:
    """The event as one line of JSON, without the line end."""
    return json.dumps(to_dict(event, t), ensure_ascii=True, separators=(",", ":"))
