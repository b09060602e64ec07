"""Parsers for option values. The error for a wrong value says what is allowed and what was typed.

The option parser's own messages say neither. `mistyped` rewrites the errors that only the parser can find (an unknown
option, an extra argument). Left out: values that are parsed elsewhere (targets, raw formats, addresses).
"""

import math
import socket
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.view.sanitize import clean

_E = TypeVar("_E", bound=StrEnum)
MOST_SHOWN: Final = 40
"""Characters of a wrong value that the error shows."""
INTERFACES_SHOWN: Final = 8
"""Network interfaces that the error about a wrong one shows."""


def usage(text: str, hint: str | None = None) -> P2PCallError:
    """The error for wrong options."""
    return P2PCallError("usage", text, ExitCode.USAGE, hint)


def _none(option: str, right: str, given: object) -> P2PCallError:
    return usage(f"{option} is {right}, not '{clean(str(given), MOST_SHOWN)}'")


def whole(option: str, least: int, most: int | None = None) -> Callable[[object], int]:
    """A parser for whole numbers from `least` to `most` (None: no limit). P2PCallError (usage) for anything else."""
    right = f"a whole number from {least}" + ("" if most is None else f" to {most}")

    def parse(given: object) -> int:
        try:
            number = int(str(given))
        except ValueError:  # not a number, or one with thousands of digits
            raise _none(option, right, given) from None
        if number < least or (most is not None and number > most):
            raise _none(option, right, given)
        return number

    return parse


def seconds(option: str) -> Callable[[object], float]:
    """A parser for finite numbers above 0. P2PCallError (usage) for anything else."""

    def parse(given: object) -> float:
        try:
            number = float(str(given))
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise _none(option, "a number of seconds above 0", given)
        return number

    return parse


def one_of(option: str, values: type[_E]) -> Callable[[object], _E]:
    """A parser for one of the words in `values`. P2PCallError (usage) for anything else."""
    *all_but_last, last = values

    def parse(given: object) -> _E:
        for value in values:
            if value == given:
                return value
        raise _none(option, f"{', '.join(all_but_last)} or {last}", given)

    return parse


def interface(option: str) -> Callable[[object], str]:
    """A parser for the name of a network interface that there is, up or down. P2PCallError (usage) for all others."""

    def parse(given: object) -> str:
        try:
            socket.if_nametoindex(str(given))
        except (OSError, ValueError):  # there is none, or it is no name at all
            here = ", ".join(name for _, name in socket.if_nameindex()[:INTERFACES_SHOWN])
            raise _none(option, f"a network interface of this machine ({here})", given) from None
        return str(given)

    return parse


def choice_metavar(values: type[StrEnum]) -> str:
    """The form of the values in the help."""
    return f"<{'|'.join(values)}>"


def mistyped(error: Exception) -> P2PCallError:
    """An error of the option parser in our own wording."""
    option = clean(str(getattr(error, "option_name", "")), MOST_SHOWN)
    match type(error).__name__:
        case "NoSuchOption":
            near = sorted(getattr(error, "possibilities", None) or ())
            return usage(f"there is no option {option}" + (f"; there is {', '.join(near)}" if near else ""))
        case "BadOptionUsage":
            has_one = "does not take" in str(error)
            return usage(f"{option} {'takes no value' if has_one else 'wants a value'}")
        case "MissingParameter":
            param = getattr(error, "param", None)
            return usage(f"{getattr(param, 'metavar', None) or 'an argument'} is missing")
    tell = getattr(error, "format_message", None)
    text = str(tell() if tell is not None else error).strip().rstrip(".")
    return usage(text[:1].lower() + text[1:])
