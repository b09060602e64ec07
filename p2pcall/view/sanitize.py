"""Filter for every string that did not come from this program before it reaches a terminal, and the width of
what is left.

Names, chat, file and host names are the other side's bytes. What goes: C0 and C1 controls (so ESC, CSI,
OSC), line ends, bidi controls, zero-width and other format characters (but for joiners in words of scripts
that are spelt with them: `names`), variation selectors, fillers that look like nothing, heaps of combining
marks, glyphs far wider than their cell, private, unassigned and surrogate code points. What stays has a
width that terminals agree on. Leaves out: look-alike letters of different scripts (names are pinned to
keys, not read for identity).
"""

import unicodedata

from p2pcall.names import JOINERS, settled

_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SPACE_CATEGORIES = frozenset({"Zs", "Zl", "Zp"})
_SPACE_CONTROLS = frozenset("\t\n\v\f\r\x85")
_MARKS = frozenset({"Mn", "Me"})
_MAX_MARKS_PER_LETTER = 2

# Assigned, graphic by category, and yet invisible, of disputed width, or many cells wide.
_DROPPED_RANGES = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x1100, 0x11FF),  # conjoining jamo: NFC has already joined what makes a syllable
    (0x17B4, 0x17B5),  # invisible Khmer vowels
    (0x180B, 0x180F),  # Mongolian selectors
    (0x2800, 0x2800),  # blank braille
    (0x2E3A, 0x2E3B),  # two-em and three-em dash
    (0x3164, 0x3164),  # Hangul filler
    (0xD7B0, 0xD7FF),  # conjoining jamo, extended
    (0xFDFA, 0xFDFD),  # whole sentences in one glyph
    (0xFE00, 0xFE0F),  # variation selectors: they change the width
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFFC, 0xFFFD),  # object and replacement characters
    (0x12000, 0x123FF),  # cuneiform: up to ten cells wide
    (0x1F1E6, 0x1F1FF),  # regional indicators: pairs make flags in some terminals
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0xE0100, 0xE01EF),  # variation selectors, supplement
)


def clean(text: str, limit: int = 64) -> str:
    """`text` made safe to show, at most `limit` cells wide; "?" if nothing visible is left. Never raises."""
    # Normalising takes quadratic time for long runs of marks: the cut comes first.
    kept: list[str] = []
    last = ""  # what was kept last, but for joiners: those must not hide it
    marks = 0
    for char in unicodedata.normalize("NFC", text[: 16 * limit]):
        category = unicodedata.category(char)
        if char in JOINERS:
            kept.append(char)
            continue
        if char in _SPACE_CONTROLS or category in _SPACE_CATEGORIES:
            char = " "
            if last in ("", " "):
                continue
        elif category in _DROPPED_CATEGORIES or _is_dropped(ord(char)):
            continue
        elif category in _MARKS:
            marks += 1
            if marks > _MAX_MARKS_PER_LETTER or last in ("", " "):
                continue
            kept.append(char)
            continue
        marks = 0
        last = char
        kept.append(char)
    return settled(clip(settled("".join(kept)).strip(), limit)).strip() or "?"


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
    if unicodedata.category(char) in _MARKS or char in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _is_dropped(code: int) -> bool:
    return any(first <= code <= last for first, last in _DROPPED_RANGES)
