"""Everything an endpoint holds, as one flat list, to see that a datagram changed nothing.

It walks all objects of the program that can be reached, each once, so it costs the same however they refer to each
other. What is meant to change is left out by name: the counters of drops, the budget for trying contacts' keys, which
a hostile knock uses up, the contacts' hints, which are made for the time of day as knocks come, and the cookies'
secrets, which go by the clock and are made when they are first asked for.
What is not ours (functions, native keys) counts by identity.
"""

from collections import deque
from enum import Enum
from typing import Any

MEANT_TO_CHANGE = frozenset({"dropped", "_dropped", "_trials", "_hints", "_secrets", "_since"})
_PLAIN = (int, float, str, bytes, type(None), Enum)
_names: dict[type, tuple[str, ...]] = {}


def _attributes(value: Any) -> tuple[str, ...]:
    """Where an object of ours keeps what it holds."""
    kind = type(value)
    if kind not in _names:
        _names[kind] = tuple(
            name
            for base in kind.__mro__
            for name in getattr(base, "__slots__", ())
            if name not in MEANT_TO_CHANGE
        )
    own = [name for name in getattr(value, "__dict__", ()) if name not in MEANT_TO_CHANGE]
    return (*_names[kind], *own)


def fingerprint(root: Any) -> list[Any]:
    """Compare two of them, before and after."""
    seen: dict[int, int] = {}
    out: list[Any] = []
    stack = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, _PLAIN):
            out.append(value)
            continue
        if id(value) in seen:
            out.append(("seen", seen[id(value)]))
            continue
        seen[id(value)] = len(seen)
        if isinstance(value, bytearray):
            out.append(bytes(value))
        elif isinstance(value, dict):
            out.append(("dict", len(value)))
            stack += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | deque | set | frozenset):
            out.append((type(value).__name__, len(value)))
            stack += value
        elif type(value).__module__.startswith("p2pcall."):
            names = _attributes(value)
            out.append((type(value).__name__, names))
            stack += [getattr(value, name, None) for name in names]
        else:
            out.append(id(value))
    return out
