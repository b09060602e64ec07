"""The keys of a call: one table."""

from typing import Final

HANGUP: Final = "hangup"
MUTE: Final = "mute"
VIDEO: Final = "video"
STATS: Final = "stats"
MODE: Final = "mode"
HELP: Final = "help"
REDRAW: Final = "redraw"

KEYS: Final[dict[str, str]] = {
    "m": MUTE,
    "v": VIDEO,
    "s": STATS,
    "w": MODE,
    "?": HELP,
    "q": HANGUP,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "ctrl-l": REDRAW,
}
"""key -> what it asks for in a call; `eof` is the terminal that went away. The words for people are the view's."""


def wish(key: str) -> str | None:
    """What a key asks for; None for a key that does nothing."""
    return KEYS.get(key)
