"""Second factors and safe words as the bytes that the vault keeps. Pure; parsers raise ValueError.

Rules: the first byte is the form, and one that is not known is refused: who has to give a code must not get in because
a later version wrote it. Left out: what they are (`factor`), and where they are kept (`factors`).
"""

import math
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from p2pcall.factor.passcode import MAX_USED, SECRET_BYTES, Tally
from p2pcall.factor.safe_word import SafeWord, safe_word

_FORM: Final = b"\x01"
_COUNTS: Final = Layout(">Id")
"""Failures in a row, and the end of the lock (epoch seconds)."""
_STEP: Final = Layout(">Q")


class Tried(Struct, frozen=True):
    """What was tried: the steps of a secret whose codes are used up, and the failures of whoever tried."""

    used: tuple[int, ...] = ()
    tally: Tally = Tally()


def packed_secret(secret: bytes) -> bytes:
    return _FORM + secret


def parse_secret(blob: object) -> bytes:
    """The secret of codes in these bytes."""
    secret = _content(blob)
    if len(secret) != SECRET_BYTES:
        raise ValueError("a secret of codes in it is not valid")
    return secret


def packed_tried(tried: Tried) -> bytes | None:
    """None if there is nothing to keep."""
    if tried == Tried():
        return None
    counts = _COUNTS.pack(tried.tally.failures, tried.tally.locked_until)
    return _FORM + counts + b"".join(map(_STEP.pack, tried.used))


def parse_tried(blob: object) -> Tried:
    """What was tried, in these bytes; None is nothing."""
    if blob is None:
        return Tried()
    content = _content(blob)
    steps = content[_COUNTS.size :]
    if len(content) < _COUNTS.size or len(steps) % _STEP.size or len(steps) > MAX_USED * _STEP.size:
        raise ValueError("a count of wrong codes in it is not valid")
    failures, until = _COUNTS.unpack_from(content)
    if not math.isfinite(until):
        raise ValueError("the end of a lock in it is not valid")
    return Tried(tuple(step for (step,) in _STEP.iter_unpack(steps)), Tally(failures, until))


def packed_word(word: SafeWord | None) -> bytes | None:
    return None if word is None else _FORM + word.text.encode()


def parse_word(blob: object) -> SafeWord:
    """The safe word in these bytes, which no error repeats."""
    content = _content(blob)
    try:
        return safe_word(content.decode())
    except ValueError:
        raise ValueError("a safe word in it is not valid") from None


def _content(blob: object) -> bytes:
    """What follows the form."""
    if not isinstance(blob, bytes) or blob[: len(_FORM)] != _FORM:
        raise ValueError("a secret in it is of no known form; a newer p2pcall may have written it")
    return blob[len(_FORM) :]
