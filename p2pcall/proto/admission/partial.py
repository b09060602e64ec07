"""Parts of initiations that wait for their other part: only from proven addresses, few, and for a short time."""

from collections import Counter
from math import inf

from msgspec import Struct

from p2pcall.proto import constants as c
from p2pcall.proto.admission.limits import Source, eviction_candidate
from p2pcall.proto.wire import DropReason, Part


class _PartialInitiation(Struct, frozen=True):
    part: Part
    source: Source
    expires: float


class PartialInitiations:
    """Call `join` for each part with a valid cookie; a cookie identifies one dial from one address."""

    __slots__ = ("_dropped", "_waiting")

    def __init__(self, dropped: Counter[DropReason]) -> None:
        self._dropped = dropped
        self._waiting: dict[bytes, _PartialInitiation] = {}  # in order of age

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, part: Part, source: Source, now: float) -> bytes | None:
        """The whole initiation if the other part is here (it is then forgotten); else keep this part and give None."""
        self.expire(now)
        other = self._waiting.pop(part.cookie, None)
        if other is not None and other.part.number != part.number:
            both = sorted((other.part, part), key=lambda one: one.number)
            return b"".join(one.chunk for one in both)
        self._make_room(source)
        self._waiting[part.cookie] = _PartialInitiation(part, source, now + c.HALF_TIMEOUT_S)
        return None

    def expire(self, now: float) -> None:
        """Forget what has waited too long."""
        for cookie, other in list(self._waiting.items()):
            if now < other.expires:
                return
            del self._waiting[cookie]

    def next_timer(self) -> float:
        """When the oldest expires; `inf`: there is none."""
        for other in self._waiting.values():
            return other.expires
        return inf

    def _make_room(self, source: Source) -> None:
        cookie = eviction_candidate(self._waiting, source, c.MAX_HALVES_PER_SOURCE, c.MAX_HALVES)
        if cookie is not None:
            del self._waiting[cookie]
            self._dropped[DropReason.HALF] += 1
