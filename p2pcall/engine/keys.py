"""The keys of a call: one table, from which the help on the screen and the man page are made."""

from typing import Final

HANGUP: Final = "hangup"
MUTE: Final = "mute"
VIDEO: Final = "video"
STATS: Final = "stats"
MODE: Final = "mode"
HELP: Final = "help"
REDRAW: Final = "redraw"

KEYS: Final[dict[str, tuple[str, str]]] = {
    "m": (MUTE, "mute"),
    "v": (VIDEO, "camera on/off"),
    "s": (STATS, "statistics"),
    "w": (MODE, "picture mode"),
    "?": (HELP, "help"),
    "q": (HANGUP, "hang up"),
    "ctrl-c": (HANGUP, "hang up"),
    "eof": (HANGUP, "the terminal was closed"),
    "ctrl-l": (REDRAW, "draw again"),
}
"""key -> (what it does, in words)."""


def wish(key: str) -> str | None:
    """What a key asks for in a call; None for a key that does nothing."""
    found = KEYS.get(key)
    return found[0] if found else None
