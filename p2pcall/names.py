"""Names of persons, everywhere in the program: one spelling, and one way to compare.

A name has no invisible characters and none of uncertain width; the rest is NFC with single spaces. Two names are the
same if their `alike` forms are equal. A name is stored only as far as it is compared (`kept`), so every stored form is
found again.

The zero-width joiner and non-joiner belong to the spelling of words in Arabic and Indic scripts (RFC 5892, appendix
A.1 and A.2). Elsewhere they are invisible and would make two names look alike, so they are removed. Left out:
look-alike letters, which names can be dialled (`net.address`), and the width of a name (`view.sanitize`).
"""

import unicodedata
from bisect import bisect_left
from functools import lru_cache
from typing import Final

from p2pcall.proto.constants import NAME_BYTES

ZWNJ, ZWJ = "\u200c", "\u200d"
ONE_DOT_LEADER: Final = "\u2024"
"""Looks like a full stop, and replaces it on the local network: both spellings are one name."""
JOINERS: Final = frozenset({ZWNJ, ZWJ})
_CACHED: Final = 8192
"""Names whose forms are cached: twice the most contacts, because each caller is compared with all contacts."""
_VIRAMA: Final = 9
"""Canonical combining class of the signs that remove a letter's vowel."""
_BLOCK_BITS: Final = 7
"""A letter and the virama of its script are in one block of 2^7 code points."""
_ROUNDS: Final = 4
"""When a joiner is removed, marks may change places, and another joiner may then lose its reason to stay."""
_ARABIC: Final = (0x0600, 0x077F)
_JOINS_BEFORE_ONLY: Final = frozenset(
    map(
        chr,
        (
            *(*range(0x0622, 0x0626), 0x0627, 0x0629, *range(0x062F, 0x0633), 0x0648, *range(0x0671, 0x0674)),
            *(*range(0x0675, 0x0678), *range(0x0688, 0x069A), 0x06C0, *range(0x06C3, 0x06CC), 0x06CD, 0x06CF),
            *(0x06D2, 0x06D3, 0x06D5, 0x06EE, 0x06EF, *range(0x0759, 0x075C), 0x076B, 0x076C, 0x0771, 0x0773),
            *(0x0774, 0x0778, 0x0779),
        ),
    )
)
"""Arabic letters that never join the next one: a non-joiner after them would be invisible."""
_JOINS_NEVER: Final = frozenset("\u0621\u0674")


def _chars(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))


_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SPACE_CATEGORIES: Final = frozenset({"Zs", "Zl", "Zp"})
_SPACE_CONTROLS: Final = frozenset("\t\n\v\f\r\x85")
COMBINING_MARKS: Final = frozenset({"Mn", "Me"})
_MAX_MARKS_PER_LETTER: Final = 2

# Assigned characters with a graphic category that are still invisible, of disputed width, or many cells wide.
_DROPPED: Final = _chars(
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x17B4, 0x17B5),  # invisible Khmer vowels
    (0x180B, 0x180F),  # Mongolian selectors
    (0x2800, 0x2800),  # blank braille
    (0x2E3A, 0x2E3B),  # two-em and three-em dash
    (0x3164, 0x3164),  # Hangul filler
    (0xFDFA, 0xFDFD),  # whole sentences in one glyph
    (0xFE00, 0xFE0F),  # variation selectors: they change the width
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFFC, 0xFFFD),  # object and replacement characters
    (0x12000, 0x123FF),  # cuneiform: up to ten cells wide
    (0x1F1E6, 0x1F1FF),  # regional indicators: pairs make flags in some terminals
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0xE0100, 0xE01EF),  # variation selectors, supplement
)
_JAMO: Final = _chars((0x1100, 0x11FF), (0xD7B0, 0xD7FF))
"""Conjoining jamo; NFC leaves only those that do not form a syllable."""


def visible(text: str) -> str:
    """The visible characters of a text, `settled`, with one space for each run of white space."""
    kept: list[str] = []
    last = ""  # the last kept character, joiners not counted: they must not hide it
    marks = 0
    for char in settled("".join(filter(_shows, text))):
        category = unicodedata.category(char)
        if char in JOINERS:
            kept.append(char)
            continue
        if char in _JAMO:
            continue
        if char in _SPACE_CONTROLS or category in _SPACE_CATEGORIES:
            char = " "
            if last in ("", " "):
                continue
        elif category in COMBINING_MARKS:
            marks += 1
            if marks > _MAX_MARKS_PER_LETTER or last in ("", " "):
                continue
            kept.append(char)
            continue
        marks = 0
        last = char
        kept.append(char)
    return settled("".join(kept))


def printable(text: str) -> bool:
    """No control or format characters, no lone surrogates. Joiners are allowed here; `tidy` checks them."""
    return _bare(text).isprintable()


@lru_cache(_CACHED)
def tidy(text: str) -> str:
    """The one spelling of a name; empty if nothing is left."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return " ".join(visible(text).split())


def shortened(text: str, size: int) -> str:
    """The beginning of a tidy name that fits in `size` bytes of UTF-8; characters are never split."""
    return tidy(_cut(text, size))


@lru_cache(_CACHED)
def alike(text: str) -> str:
    """The form that all spellings of one name share: for comparing, never for showing."""
    return _cut(_folded(tidy(text)), NAME_BYTES).rstrip()


def kept(text: str) -> str:
    """The spelling in which a name is stored: tidy, and cut to the compared part if it is too long."""
    text = tidy(text)
    whole = _folded(text)
    if len(whole.encode()) <= NAME_BYTES:
        return text
    whole = alike(text)
    first = bisect_left(range(len(text)), len(whole), key=lambda end: len(_folded(text[:end])))
    beginnings = (tidy(text[:end]) for end in range(first, len(text)))
    return next((beginning for beginning in beginnings if alike(beginning) == whole), text)


def _folded(tidied: str) -> str:
    bare = _bare(tidied).replace(ONE_DOT_LEADER, ".")
    return unicodedata.normalize("NFC", bare.casefold())


def settled(text: str) -> str:
    """NFC, without joiners that its script does not need; without any if the text still changes after `_ROUNDS`."""
    text = unicodedata.normalize("NFC", text)
    for _ in range(_ROUNDS):
        if JOINERS.isdisjoint(text):
            return text
        kept = "".join(char for at, char in enumerate(text) if char not in JOINERS or _in_place(text, at))
        before, text = text, unicodedata.normalize("NFC", kept)
        if text == before:
            return text
    return unicodedata.normalize("NFC", _bare(text))


def _cut(text: str, size: int) -> str:
    return text.encode(errors="ignore")[:size].decode(errors="ignore")


def _shows(char: str) -> bool:
    """Whether the character is visible, white space, or a joiner."""
    if char in JOINERS or char in _SPACE_CONTROLS:
        return True
    if unicodedata.category(char) in _DROPPED_CATEGORIES:
        return False
    return char not in _DROPPED


def _bare(text: str) -> str:
    return "".join(char for char in text if char not in JOINERS)


def _in_place(text: str, at: int) -> bool:
    following = text[at + 1 : at + 2]
    start = at
    while start and (unicodedata.category(text[start - 1]) == "Mn" or _is_virama(text[start - 1])):
        start -= 1
    base, marks = text[start - 1 : start], text[start:at]
    if not base or unicodedata.category(base) != "Lo":
        return False
    if text[at] == ZWJ and _belongs(following, base):
        return True
    if any(_belongs(mark, base) for mark in marks):
        return text[at] == ZWJ or _is_letter(following)
    return text[at] == ZWNJ and _joins_next(base) and _joins_previous(following)


def _is_virama(char: str) -> bool:
    return unicodedata.combining(char) == _VIRAMA


def _belongs(mark: str, letter: str) -> bool:
    """Whether the mark is the virama of the letter's script."""
    return bool(mark) and _is_virama(mark) and ord(mark) >> _BLOCK_BITS == ord(letter) >> _BLOCK_BITS


def _is_letter(char: str) -> bool:
    return bool(char) and unicodedata.category(char) == "Lo"


def _joins_previous(char: str) -> bool:
    return _is_letter(char) and _ARABIC[0] <= ord(char) <= _ARABIC[1] and char not in _JOINS_NEVER


def _joins_next(char: str) -> bool:
    return _joins_previous(char) and char not in _JOINS_BEFORE_ONLY
