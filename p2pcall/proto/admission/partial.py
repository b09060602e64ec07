"""Parts of initiations that wait for the other part: only from proven addresses, few, and not for long."""

from collections import Counter
from dataclasses import dataclass
from math import inf

from p2pcall.proto import constants as c
from p2pcall.proto.admission.limits import Source, who_makes_way
from p2pcall.proto.wire import DropReason, Part


@dataclass(frozen=True, slots=True)
class _Half:
    part: Part
    source: Source
    expires: float


class Halves:
    """`join` each part whose cookie was right; a cookie stands for one dial from one address."""

    __slots__ = ("_dropped", "_halves")

    def __init__(self, dropped: Counter[DropReason]) -> None:
        self._dropped = dropped
        self._halves: dict[bytes, _Half] = {}  # in order of age

    def __len__(self) -> int:
        return len(self._halves)

    def join(self, part: Part, source: Source, now: float) -> bytes | None:
        """The whole initiation if the other part is here, which then is forgotten; else this part is kept."""
        self.expire(now)
        half = self._halves.pop(part.cookie, None)
        if half is not None and half.part.number != part.number:
            both = sorted((half.part, part), key=lambda one: one.number)
            return b"".join(one.chunk for one in both)
        self._make_room(source)
        self._halves[part.cookie] = _Half(part, source, now + c.HALF_TIMEOUT_S)
        return None

    def expire(self, now: float) -> None:
        """Forget what has waited too long."""
        for cookie, half in list(self._halves.items()):
            if now < half.expires:
                return
            del self._halves[cookie]

    def next_timer(self) -> float:
        """When the oldest goes; `inf`: there is none."""
        for half in self._halves.values():
            return half.expires
        return inf

    def _make_room(self, source: Source) -> None:
        cookie = who_makes_way(self._halves, source, c.MAX_HALVES_PER_SOURCE, c.MAX_HALVES)
        if cookie is not None:
            del self._halves[cookie]
            self._dropped[DropReason.HALF] += 1
