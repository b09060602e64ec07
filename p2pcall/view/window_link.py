"""The protocol between a call and its window's process: areas of shared memory, and lines of JSON back. Pure.

From the call: the other side's picture, one's own, and one state (title, content of the status line), each only the
newest. A byte on a pipe wakes the window; when the pipe closes, the window ends. From the window: a JSON object a line.
Both ends are this program, so an invalid line is ignored. Left out: the pipes (`window`) and SDL (`window_app`).
"""

import json
from typing import Any, Final, get_type_hints

from msgspec import Struct, field
from msgspec.structs import asdict

from .hud import HudState

READ_BYTES: Final = 65_536
"""Largest read: everything that a pipe holds."""

MAX_PICTURE: Final = (1280, 960)
"""The largest picture in pixels; larger ones are scaled down before, and all have even sides."""
MAX_OWN_PICTURE: Final = (320, 240)
_STATE_BYTES: Final = 64 * 1024


def _picture_bytes(size: tuple[int, int]) -> int:
    """Bytes of an 8-bit picture in 4:2:0: luma, then both chroma planes, rows without gaps."""
    return size[0] * size[1] * 3 // 2


REMOTE, OWN, STATE = range(3)
INSTEAD: Final = "call with `--video-out auto` for a picture in the terminal"
AREAS: Final = ((3, _picture_bytes(MAX_PICTURE)), (3, _picture_bytes(MAX_OWN_PICTURE)), (2, _STATE_BYTES))
"""Slots and bytes of each area."""


class WindowState(Struct, frozen=True):
    """Everything that the window shows besides pictures. Until `shown` is true there is no window."""

    shown: bool = False
    title: str = "p2pcall"
    hud: HudState = field(default_factory=HudState)

    def pack(self) -> bytes:
        """JSON; `unpack` is its inverse."""
        return json.dumps({**asdict(self), "hud": asdict(self.hud)}, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, data: bytes) -> "WindowState":
        """ValueError, KeyError or TypeError for bytes that `pack` has not made."""
        told: dict[str, Any] = json.loads(data)
        hud = told["hud"]
        for name in ("words", "safety", "question"):
            hud[name] = tuple(hud[name])
        return cls(bool(told["shown"]), str(told["title"]), HudState(**hud))


class Ready(Struct, frozen=True):
    """SDL has a display; `driver` and `renderer` are SDL's names (`renderer` is empty until the window is shown)."""

    driver: str
    renderer: str = ""


class Size(Struct, frozen=True):
    """Pixels of the window for a picture; 0×0 while it is not visible."""

    width: int
    height: int


class Key(Struct, frozen=True):
    """A key, named as by `keys.KeyParser`; `closed`: the window's close button."""

    name: str


class Drawn(Struct, frozen=True):
    """The last second: pictures shown, pictures overwritten unshown, and the longest time from decoding to showing."""

    shown: int
    skipped: int
    longest_ms: float


class Failed(Struct, frozen=True):
    """There is no window (any more); the fields are those of an error."""

    slug: str
    text: str
    hint: str | None = None


class Note(Struct, frozen=True):
    """Something does not work, but the window continues."""

    slug: str
    text: str


WindowEvent = Ready | Size | Key | Drawn | Failed | Note
_KINDS: Final[dict[str, tuple[type[Any], dict[str, Any]]]] = {
    kind.__name__.lower(): (kind, get_type_hints(kind)) for kind in (Ready, Size, Key, Drawn, Failed, Note)
}


def pack_event(event: WindowEvent) -> bytes:
    """One line with its end."""
    told = {"event": type(event).__name__.lower(), **asdict(event)}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def parse_event(line: bytes) -> WindowEvent | None:
    """The event in a line; None for an invalid line. Never raises."""
    try:
        told = json.loads(line)
        kind, fields = _KINDS[told.pop("event")]
        event: WindowEvent = kind(**told)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event if all(isinstance(getattr(event, name), what) for name, what in fields.items()) else None
