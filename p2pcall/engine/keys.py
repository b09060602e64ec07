"""The keys of a call: one table; and one for the question whether the words are the same."""

from typing import Final

HANGUP: Final = "hangup"
MUTE: Final = "mute"
VIDEO: Final = "video"
STATS: Final = "stats"
MODE: Final = "mode"
VERIFY: Final = "verify"
HELP: Final = "help"
REDRAW: Final = "redraw"
SAME: Final = "same"
DIFFERENT: Final = "different"
LATER: Final = "later"

KEYS: Final[dict[str, str]] = {
    "m": MUTE,
    "v": VIDEO,
    "s": STATS,
    "w": MODE,
    "i": VERIFY,
    "?": HELP,
    "q": HANGUP,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "ctrl-l": REDRAW,
}
"""key -> what it asks for in a call; `eof` is the terminal that went away. The words for people are the view's."""

ANSWERS: Final[dict[str, str]] = {
    "y": SAME,
    "n": DIFFERENT,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "ctrl-l": REDRAW,
}
"""key -> what it says while the question is there; every other key puts the question off and does nothing else."""


def wish(key: str) -> str | None:
    """What a key asks for; None for a key that does nothing."""
    return KEYS.get(key)


def answer(key: str) -> str:
    """What a key says to the question whether the words are the same."""
    return ANSWERS.get(key, LATER)
