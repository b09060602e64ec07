"""Filter for every string that did not come from this program before it reaches a terminal, and the width of
what is left.

Names, chat, file and host names are the other side's bytes. Removed are: C0 and C1 controls (so ESC, CSI, OSC), line
ends, bidi controls, zero-width and other format characters, variation selectors, invisible fillers, long runs of
combining marks, glyphs far wider than their cell, private, unassigned and surrogate code points. `names.visible` does
it, because the same characters are not allowed in names. The rest has a width that terminals agree on. Left out:
look-alike letters of different scripts (names are pinned to keys and do not prove an identity).
"""

import unicodedata
from typing import Final

from p2pcall.names import COMBINING_MARKS, JOINERS, settled, visible

TEXT_CELLS: Final = 64
"""Widest remote text in general; the kinds below have limits of their own."""
NAME_CELLS: Final = 48
PHASE_CELLS: Final = 32
WORD_CELLS: Final = 16
"""Widest spoken word."""
GROUP_CELLS: Final = 8
"""Widest group of the safety number."""
LINE_CELLS: Final = 80
ERROR_CELLS: Final = 200
"""Widest error text of a library."""
CHARS_PER_CELL: Final = 16
"""At most this many characters for each cell (marks and joiners included) are examined; the rest is cut first."""


def clean(text: str, limit: int = TEXT_CELLS) -> str:
    """`text` made safe to show, at most `limit` cells wide; "?" if nothing visible is left. Never raises."""
    # Normalising takes quadratic time for long runs of marks, so the text is cut first.
    return settled(clip(visible(text[: CHARS_PER_CELL * limit]).strip(), limit)).strip() or "?"


def width(text: str) -> int:
    """Cells that cleaned `text` takes: wide East Asian and emoji two, marks none, all else one."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def clip(text: str, cells: int, ellipsis: str = "") -> str:
    """The beginning of `text` that fits in `cells`; a cut text ends in `ellipsis`, which is counted."""
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
