"""Second factors and safe words as they stand in the file of contacts. Pure; parsers raise ValueError.

Left out: what they are (`factor`), and who has them (`factors`).
"""

import base64
from collections.abc import Mapping
from typing import Any

from p2pcall.factor.passcode import MAX_USED, SECRET_BYTES, Passcode, Tally
from p2pcall.factor.safe_word import SafeWord, safe_word


def packed(passcode: Passcode | None, tally: Tally) -> dict[str, Any]:
    """The fields of a contact, or of the whole file; empty if there is nothing to keep."""
    row: dict[str, Any] = {}
    if passcode is not None:
        secret = base64.b64encode(passcode.secret).decode()
        row["code"] = {"secret": secret, "used": list(passcode.used)}
    if tally != Tally():
        row["failures"] = {"count": tally.failures, "locked_until": tally.locked_until}
    return row


def packed_word(word: SafeWord | None) -> dict[str, Any]:
    """The field of a safe word."""
    return {} if word is None else {"safe_word": word.text}


def parse_passcode(row: Mapping[str, Any]) -> Passcode | None:
    """The secret in these fields, None if there is none."""
    match row.get("code"):
        case None:
            return None
        case {"secret": str(text), "used": list(used)} if len(used) <= MAX_USED and all(
            type(step) is int and step >= 0 for step in used
        ):
            secret = base64.b64decode(text, validate=True)
            if len(secret) == SECRET_BYTES:
                return Passcode(secret, tuple(used))
    raise ValueError("a secret for codes in it is not valid")


def parse_tally(row: Mapping[str, Any]) -> Tally:
    """The failures in these fields."""
    match row.get("failures"):
        case None:
            return Tally()
        case {"count": int(count), "locked_until": int() | float() as until} if count >= 0:
            return Tally(count, float(until))
    raise ValueError("a count of failures in it is not valid")


def parse_word(row: Mapping[str, Any]) -> SafeWord | None:
    """The safe word in these fields."""
    text = row.get("safe_word")
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("a safe word in it is not valid")
    return safe_word(text)
