"""Types shared by rooms that do not import each other. Imports no room."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

Address = tuple[Any, ...]
"""A socket address in Python's form: `(host, port)`, or `(host, port, flowinfo, scope_id)` for IPv6. `proto` only
compares it, hashes it and gives it back."""
Entropy = Callable[[int], bytes]
"""`entropy(n)` gives n unpredictable bytes."""


class Reach(StrEnum):
    """Who can make this side ring."""

    CONTACTS = "contacts"
    ANYONE = "anyone"
