"""Filter for every string that did not come from this program before it reaches a terminal, and the width of
what is left.

Names, chat, file and host names are the other side's bytes. What goes: C0 and C1 controls (so ESC, CSI,
OSC), line ends, bidi controls, zero-width and other format characters, variation selectors, fillers that look
like nothing, heaps of combining marks, glyphs far wider than their cell, private, unassigned and surrogate
code points: `names.visible`, for what a name cannot be told apart by is not in a name either. What stays has a
width that terminals agree on. Leaves out: look-alike letters of different scripts (names are pinned to
keys, not read for identity).
"""

import unicodedata
from typing import Final

from p2pcall.names import COMBINING_MARKS, JOINERS, settled, visible

TEXT_CELLS: Final = 64
"""What is shown of a remote text of no certain kind; of the kinds below, as much as they need."""
NAME_CELLS: Final = 48
PHASE_CELLS: Final = 32
WORD_CELLS: Final = 16
"""Of one of the words that are compared."""
GROUP_CELLS: Final = 8
"""Of one group of the safety number."""
LINE_CELLS: Final = 80
ERROR_CELLS: Final = 200
"""Of what a library says about its failure."""
CHARS_PER_CELL: Final = 16
"""More characters than this for a cell, marks and joiners, are cut before they are looked at."""


def clean(text: str, limit: int = TEXT_CELLS) -> str:
    """`text` made safe to show, at most `limit` cells wide; "?" if nothing visible is left. Never raises."""
    # Normalising takes quadratic time for long runs of marks: the cut comes first.
    return settled(clip(visible(text[: CHARS_PER_CELL * limit]).strip(), limit)).strip() or "?"


def width(text: str) -> int:
    """Cells that cleaned `text` takes: wide East Asian and emoji two, marks none, all else one."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def clip(text: str, cells: int, ellipsis: str = "") -> str:
    """The beginning of `text` that fits in `cells`; what is cut ends in `ellipsis`, which is counted."""
    if width(text) <= cells:
        return text
    room = cells - width(ellipsis)
    if room < 0:
        return ""
    used = 0
    for end, char in enumerate(text):
        used += _char_width(char)
        if used > room:
            return text[:end].rstrip() + ellipsis
    return text


def _char_width(char: str) -> int:
    if char < "\u0300":
        return 1
    if unicodedata.category(char) in COMBINING_MARKS or char in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
