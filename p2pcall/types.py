"""Types that rooms share which know nothing of one another. Imports no room."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

Address = tuple[Any, ...]
"""A socket address as Python has it: `(host, port)`, or `(host, port, flowinfo, scope_id)` for IPv6. `proto` only
compares it, hashes it and hands it back."""
Entropy = Callable[[int], bytes]
"""`entropy(n)` gives n unpredictable bytes."""


class Reach(StrEnum):
    """Who can make this side ring."""

    CONTACTS = "contacts"
    ANYONE = "anyone"
