"""The keys of a call: one table; and one for each question: whether the words are the same, whether to hang up."""

from typing import Final

HANGUP: Final = "hangup"
LEAVE: Final = "leave"
MUTE: Final = "mute"
VIDEO: Final = "video"
STATS: Final = "stats"
MODE: Final = "mode"
PROFILE: Final = "profile"
VERIFY: Final = "verify"
HELP: Final = "help"
REDRAW: Final = "redraw"
CLOSE: Final = "close"
SAME: Final = "same"
DIFFERENT: Final = "different"
LATER: Final = "later"

CALL_KEYS: Final[dict[str, str]] = {
    "m": MUTE,
    "v": VIDEO,
    "s": STATS,
    "w": MODE,
    "p": PROFILE,
    "i": VERIFY,
    "?": HELP,
    "q": LEAVE,
    "closed": LEAVE,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "escape": CLOSE,
    "ctrl-l": REDRAW,
}
"""key -> what it asks for in a call; `eof` is the terminal that went away, `closed` the window's own button. The words
for people are the view's. `LEAVE` hangs up too, but may be asked about first.
"""

VERIFY_ANSWERS: Final[dict[str, str]] = {
    "y": SAME,
    "n": DIFFERENT,
    "closed": LEAVE,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "ctrl-l": REDRAW,
}
"""key -> what it says while the question is there; every other key puts the question off and does nothing else."""

CONFIRMATIONS: Final[dict[str, str]] = {
    "y": HANGUP,
    "q": HANGUP,
    "closed": HANGUP,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "ctrl-l": REDRAW,
}
"""key -> what it says to the question whether to hang up; every other key goes on with the call. Who asks for it twice
means it, and need not see the question.
"""


def call_wish(key: str) -> str | None:
    """What a key asks for; None for a key that does nothing."""
    return CALL_KEYS.get(key)


def verify_answer(key: str) -> str:
    """What a key says to the question whether the words are the same."""
    return VERIFY_ANSWERS.get(key, LATER)


def confirmation(key: str) -> str:
    """What a key says to the question whether to hang up."""
    return CONFIRMATIONS.get(key, LATER)
