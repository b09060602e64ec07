"""Types shared by rooms that do not import each other. Imports no room."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

Address = tuple[Any, ...]
"""A socket address in Python's form: `(host, port)`, or `(host, port, flowinfo, scope_id)` for IPv6. `proto` only
compares it, hashes it and gives it back."""
Entropy = Callable[[int], bytes]
"""`entropy(n)` gives n unpredictable bytes."""


class Profile(StrEnum):
    """What voice is sent for."""

    FAST = "fast"
    """The shortest delay, for more data and processor: a network that is uneven or loses much is heard sooner."""
    NORMAL = "normal"
    """As short a delay as the network bears without being heard."""
    SAFE = "safe"
    """More copies that reach further back, for delay and bandwidth: much loss is not heard."""


class Reach(StrEnum):
    """Who can make this side ring."""

    CONTACTS = "contacts"
    ANYONE = "anyone"
