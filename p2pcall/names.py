"""What a person's name is: NFC, printable, one space at a time, and joiners only where their script needs them.

The zero-width joiner and non-joiner are part of how words of Arabic and Indic scripts are spelt (RFC 5892, appendix
A.1 and A.2). Anywhere else they are invisible, and would make two names look alike: there they go. Left out: filtering
for terminals (`view.sanitize`), and what can be dialled (`net.address`).
"""

import unicodedata

ZWNJ, ZWJ = "\u200c", "\u200d"
ONE_DOT_LEADER = "\u2024"
"""Looks like a full stop, and stands for one on the local network: one name, not two."""
JOINERS = frozenset({ZWNJ, ZWJ})
_VIRAMA = 9
"""Canonical combining class of the signs that take a letter's vowel away."""
_BLOCK_BITS = 7
"""A letter and the virama of its script are in one block of so many bits."""
_ROUNDS = 4
"""A joiner that goes lets marks change places, which may take another one's reason away."""
_ARABIC = (0x0600, 0x077F)
_JOINS_BEFORE_ONLY = frozenset(
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
"""Arabic letters that the next one does not join in any case: a non-joiner behind them would not show."""
_JOINS_NEVER = frozenset("\u0621\u0674")


def printable(text: str) -> bool:
    """No control or format characters, no lone surrogates; joiners are let through, for `tidy` to judge."""
    return _bare(text).isprintable()


def tidy(text: str) -> str:
    """One spelling for one name; empty if nothing is left."""
    return " ".join(settled(text).split())


def shortened(text: str, size: int) -> str:
    """The beginning of a tidy name that fits in so many bytes of UTF-8; never part of a character."""
    return tidy(text.encode(errors="ignore")[:size].decode(errors="ignore"))


def alike(text: str) -> str:
    """What all spellings of one name have in common: for comparing, never for showing."""
    bare = _bare(tidy(text)).replace(ONE_DOT_LEADER, ".")
    return unicodedata.normalize("NFC", bare.casefold())


def settled(text: str) -> str:
    """NFC, without the joiners that its script has no use for; without any if that does not come to rest soon."""
    text = unicodedata.normalize("NFC", text)
    for _ in range(_ROUNDS):
        if JOINERS.isdisjoint(text):
            return text
        kept = "".join(char for at, char in enumerate(text) if char not in JOINERS or _in_place(text, at))
        before, text = text, unicodedata.normalize("NFC", kept)
        if text == before:
            return text
    return unicodedata.normalize("NFC", _bare(text))


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
    """The mark is the virama of the letter's script."""
    return bool(mark) and _is_virama(mark) and ord(mark) >> _BLOCK_BITS == ord(letter) >> _BLOCK_BITS


def _is_letter(char: str) -> bool:
    return bool(char) and unicodedata.category(char) == "Lo"


def _joins_previous(char: str) -> bool:
    return _is_letter(char) and _ARABIC[0] <= ord(char) <= _ARABIC[1] and char not in _JOINS_NEVER


def _joins_next(char: str) -> bool:
    return _joins_previous(char) and char not in _JOINS_BEFORE_ONLY
