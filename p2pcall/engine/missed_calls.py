"""Calls without a question to the user, reported at most once a second: one line for any number of strangers.

The first is reported at once; further ones within a second are summed up at its end. Left out: calls that rang; they
have their own events.
"""

import asyncio
from typing import Final

from msgspec import Struct, field

from p2pcall import events
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent

EVERY_S: Final = 1.0
"""Shortest time between two lines, so that neither a person nor a script is flooded."""
MAX_KEYS: Final = 1000
"""Most different keys that one line counts."""


class _Sum(Struct):
    """The content of one line: the first call, and how many there were."""

    who: PeerIdentity
    slug: str
    why: str
    since: float
    count: int = 0
    unlogged: int = 0
    """Those of them that get no event `ended`, by which they would be logged."""
    keys: set[str] = field(default_factory=set)


class MissedCalls:
    """Call `note` for each missed call; `close` at the end reports the rest."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self._sum: _Sum | None = None
        self._timer: asyncio.TimerHandle | None = None

    def note(self, who: PeerIdentity, why: str, slug: str = "missed-call", *, ended: bool = False) -> None:
        """Add a call; `why`: the reason why the user was not asked; `ended`: it also gets the event of that name."""
        if self._sum is None:
            self._sum = _Sum(who, slug, why, self._agent.env.clock.time())
        self._sum.count += 1
        self._sum.unlogged += not ended
        if len(self._sum.keys) < MAX_KEYS:
            self._sum.keys.add(who.fingerprint)
        if self._timer is None:
            self._tell()

    def close(self) -> None:
        """Report the rest."""
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
        if told.unlogged:
            self._agent.history.missed(who, told.unlogged)
        emit = self._agent.ui.emit
        emit(events.Missed(told.count, round(told.since, 3), who.name, who.fingerprint, who.known))
        emit(events.Warning(told.slug, text, who.name, who.fingerprint))
