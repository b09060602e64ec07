"""How often strangers may reach a person. Each limit is for all strangers together, because a new key costs nothing."""

from typing import Final

from p2pcall.proto.admission.limits import RateLimit

STRANGERS_PER_S: Final = 1.0
"""Sustained rate of questions about strangers, and of warnings about false names: a person reads no faster."""
STRANGERS_BURST: Final = 5
"""Strangers at once: some friends who call for the first time on one evening."""
MAX_TOLD: Final = 256
"""Keys remembered as reported, the newest; a second report after this many others does no harm."""


class Strangers:
    """Counts questions and warnings about strangers."""

    def __init__(self) -> None:
        self._asked = RateLimit(STRANGERS_PER_S, STRANGERS_BURST)
        self._posed = RateLimit(STRANGERS_PER_S, STRANGERS_BURST)
        self._told: dict[bytes, None] = {}

    def may_ask(self, now: float) -> bool:
        """Whether one more question about a stranger is allowed; True counts it."""
        return self._asked.take(now)

    def may_tell_poser(self, key: bytes, now: float) -> bool:
        """Whether a warning about this key's false name is allowed; True counts it. Once for each key."""
        return key not in self._told and self._posed.take(now) and self.once(key)

    def once(self, key: bytes) -> bool:
        """Whether this key was not reported yet; it is remembered now."""
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]
        return True
