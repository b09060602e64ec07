"""What a call and the process of its window say to each other: areas of shared memory, and lines of JSON back. Pure.

From the call: the other side's picture, one's own, and one state (title, what the status line tells), each only the
newest; a byte on a pipe wakes the window, its end ends it. From the window: a JSON object a line. Both ends are this
program, so a line that is none is passed over. Leaves out the pipes (`window`) and SDL (`window_main`).
"""

import json
from typing import Any, Final, get_type_hints

from msgspec import Struct, field
from msgspec.structs import asdict

from .hud import HudState

READ_BYTES: Final = 65_536
"""All that a pipe holds, at one go."""

MAX_PICTURE: Final = (1280, 960)
"""The largest picture in pixels; larger ones are scaled down before they get here, and all have even sides."""
MAX_OWN_PICTURE: Final = (320, 240)
_STATE_BYTES: Final = 64 * 1024


def _picture_bytes(size: tuple[int, int]) -> int:
    """Of a picture of 8 bits in 4:2:0: luma, then both chroma planes, row after row without a gap."""
    return size[0] * size[1] * 3 // 2


REMOTE, OWN, STATE = range(3)
INSTEAD: Final = "call with `--video-out auto` for a picture in the terminal"
AREAS: Final = ((3, _picture_bytes(MAX_PICTURE)), (3, _picture_bytes(MAX_OWN_PICTURE)), (2, _STATE_BYTES))
"""Slots and bytes of each area."""


class WindowState(Struct, frozen=True):
    """All that the window shows beside pictures. Without `shown` there is no window yet."""

    shown: bool = False
    title: str = "p2pcall"
    hud: HudState = field(default_factory=HudState)

    def pack(self) -> bytes:
        """JSON; `unpack` is its inverse."""
        return json.dumps({**asdict(self), "hud": asdict(self.hud)}, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, data: bytes) -> "WindowState":
        """ValueError, KeyError or TypeError for what `pack` has not made."""
        told: dict[str, Any] = json.loads(data)
        hud = told["hud"]
        for name in ("words", "safety"):
            hud[name] = tuple(hud[name])
        return cls(bool(told["shown"]), str(told["title"]), HudState(**hud))


class Ready(Struct, frozen=True):
    """SDL has a display; `driver` and `renderer` are its names for the ways to it (the latter once it is shown)."""

    driver: str
    renderer: str = ""


class Size(Struct, frozen=True):
    """The window has so many pixels for a picture; 0×0 while nobody sees it."""

    width: int
    height: int


class Key(Struct, frozen=True):
    """A key by its name as `keys.KeyParser` has it; `closed`: the window's own button."""

    name: str


class Drawn(Struct, frozen=True):
    """The last second: pictures shown, those overwritten before, and the longest time from decoded to shown."""

    shown: int
    skipped: int
    longest_ms: float


class Failed(Struct, frozen=True):
    """There will be no window (any more), in the words of an error."""

    slug: str
    text: str
    hint: str | None = None


class Note(Struct, frozen=True):
    """Something does not work, the window goes on."""

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
    """What a line says; None for one that says nothing. Never raises."""
    try:
        told = json.loads(line)
        kind, fields = _KINDS[told.pop("event")]
        event: WindowEvent = kind(**told)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event if all(isinstance(getattr(event, name), what) for name, what in fields.items()) else None
