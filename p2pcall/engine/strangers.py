"""How often strangers may reach a person: each limit holds for all of them together, for a key costs nothing."""

from typing import Final

from p2pcall.proto.admission.limits import RateLimit

STRANGERS_PER_S: Final = 1.0
"""So often strangers are asked about, and told as posing as somebody, in the long run: a person reads no faster."""
STRANGERS_BURST: Final = 5
"""So many of them may come at once: some friends who ring for the first time on one evening."""
MAX_TOLD: Final = 256
"""Keys that are remembered as told, the newest; what is told once more after so many others does no harm."""


class Strangers:
    """What was asked and told of them."""

    def __init__(self) -> None:
        self._asked = RateLimit(STRANGERS_PER_S, STRANGERS_BURST)
        self._posed = RateLimit(STRANGERS_PER_S, STRANGERS_BURST)
        self._told: dict[bytes, None] = {}

    def may_ask(self, now: float) -> bool:
        """Whether one more may be asked about, which it then is."""
        return self._asked.take(now)

    def may_tell_poser(self, key: bytes, now: float) -> bool:
        """Whether it may be told that this key poses as somebody, which it then is; once for each key."""
        return key not in self._told and self._posed.take(now) and self.once(key)

    def once(self, key: bytes) -> bool:
        """Whether nothing was told of this key yet; it is, now."""
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]
        return True
