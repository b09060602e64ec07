"""Calls that nobody was asked about, told at most once a second: however many strangers ring, a line says it.

The first is told at once; what follows within a second is summed up at its end. Left out: calls that rang, which have
events of their own.
"""

import asyncio
from typing import Final

from msgspec import Struct, field

from p2pcall import events
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent

EVERY_S: Final = 1.0
"""Between two lines: what a person reads, and a script takes, without being flooded."""
MAX_KEYS: Final = 1000
"""Different keys that are counted in one line; more are that many."""


class _Sum(Struct):
    """What one line tells: the first call, and how many there were."""

    who: PeerIdentity
    slug: str
    why: str
    since: float
    count: int = 0
    keys: set[str] = field(default_factory=set)


class MissedCalls:
    """`note` each; `close` at the end tells what is left."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self._sum: _Sum | None = None
        self._timer: asyncio.TimerHandle | None = None

    def note(self, who: PeerIdentity, why: str, slug: str = "missed-call") -> None:
        """Somebody called; `why` nobody was asked."""
        if self._sum is None:
            self._sum = _Sum(who, slug, why, self._agent.env.clock.time())
        self._sum.count += 1
        if len(self._sum.keys) < MAX_KEYS:
            self._sum.keys.add(who.fingerprint)
        if self._timer is None:
            self._tell()

    def close(self) -> None:
        """Tell what is left."""
        self._tell()
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        told, self._sum, self._timer = self._sum, None, None
        if told is None:
            return
        self._timer = self._loop.call_later(EVERY_S, self._tell)
        who, what = told.who, "missed call"
        if told.count > 1:
            keys = f"{len(told.keys)} keys" if len(told.keys) > 1 else "one key"
            what = f"{told.count} missed calls within a second, with {keys}, the first"
        text = f"{what} from {who.name} ({who.fingerprint}): {told.why}"
        emit = self._agent.ui.emit
        emit(events.Missed(told.count, round(told.since, 3), who.name, who.fingerprint, who.known))
        emit(events.Warning(told.slug, text, who.name, who.fingerprint))
