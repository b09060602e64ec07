"""The keys of a call: one table; and one for each question: whether the words are the same, whether to hang up."""

from typing import Final

from p2pcall.view.keys import LOOKED_AWAY, SPACE_DOWN, SPACE_UP

HANGUP: Final = "hangup"
LEAVE: Final = "leave"
MUTE: Final = "mute"
VIDEO: Final = "video"
STATS: Final = "stats"
MODE: Final = "mode"
PROFILE: Final = "profile"
VERIFY: Final = "verify"
RECORD: Final = "record"
SAFE_WORD: Final = "safe-word"
HELP: Final = "help"
REDRAW: Final = "redraw"
CLOSE: Final = "close"
SAME: Final = "same"
DIFFERENT: Final = "different"
LATER: Final = "later"
AGREE: Final = "agree"
REFUSE: Final = "refuse"

SPACE: Final = " "
HELD_KEYS: Final = (SPACE_DOWN, SPACE_UP, LOOKED_AWAY)
"""What says that the space bar went down (in the window, once) or up, or that keys go elsewhere; it answers nothing.
A terminal gives a space for each time that it goes down or repeats.
"""

CALL_KEYS: Final[dict[str, str]] = {
    "m": MUTE,
    "v": VIDEO,
    "s": STATS,
    "w": MODE,
    "p": PROFILE,
    "i": VERIFY,
    "r": RECORD,
    "k": SAFE_WORD,
    "?": HELP,
    "q": LEAVE,
    "closed": LEAVE,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "escape": CLOSE,
    "ctrl-l": REDRAW,
}
"""key -> its wish in a call; `eof`: the terminal went away; `closed`: the window's close button. The view has the words
for people. `LEAVE` hangs up too, but with --confirm a question comes first.
"""

VERIFY_ANSWERS: Final[dict[str, str]] = {
    "y": SAME,
    "n": DIFFERENT,
    "closed": LEAVE,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "ctrl-l": REDRAW,
}
"""key -> its answer while this question is shown; every other key only closes the question."""

CONFIRMATIONS: Final[dict[str, str]] = {
    "y": HANGUP,
    "q": HANGUP,
    "closed": HANGUP,
    "ctrl-c": HANGUP,
    "eof": HANGUP,
    "ctrl-l": REDRAW,
}
"""key -> its answer to the question whether to hang up; every other key continues the call. The key for hanging up,
pressed again, means yes, so a person need not see the question.
"""

QUESTION_ANSWERS: Final[dict[str, str]] = {"y": AGREE, "n": REFUSE, "escape": REFUSE}
"""key -> its answer to a question of the other side; every other key keeps its meaning, and answers nothing."""


def call_wish(key: str) -> str | None:
    """The wish of a key; None for a key that does nothing."""
    return CALL_KEYS.get(key)


def verify_answer(key: str) -> str:
    """The key's answer to the question whether the words are the same."""
    return VERIFY_ANSWERS.get(key, LATER)


def question_answer(key: str) -> str | None:
    """The key's answer to a question of the other side, or its wish."""
    return QUESTION_ANSWERS.get(key) or call_wish(key)


def confirmation(key: str) -> str:
    """The key's answer to the question whether to hang up."""
    return CONFIRMATIONS.get(key, LATER)
