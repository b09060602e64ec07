"""Who may knock: as `--reach` says, or has said before; else everybody until there is a contact, and then they alone.

Rules: the door never opens by itself, whatever becomes of the files while it runs; what the user says is kept for later
runs. Contacts are those who are on disk at the moment of a knock: whoever was removed or blocked, by whichever process,
is a stranger to the very next one, and whoever was added is let in (in a flood, 10 ms later). What cannot be read
changes nothing. Left out: lines that are up already; what a caller meets who may ring (`listener`).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from p2pcall import events
from p2pcall.engine.offload import BackgroundTasks, offload
from p2pcall.engine.trust import TrustStore
from p2pcall.errors import P2PCallError
from p2pcall.events import Event
from p2pcall.proto.admission.limits import RateLimit
from p2pcall.proto.endpoint import Endpoint
from p2pcall.proto.wire import DatagramType
from p2pcall.store.choices import keep_reach, kept_reach
from p2pcall.store.home import Home
from p2pcall.types import Address, Reach

CONTACTS_POLL_S: Final = 1.0
"""So often the contacts are looked at, to tell what has changed; a knock does not wait for it."""
LOOKS_PER_S: Final = 100.0
"""Looks for knocks, in the long run: a look takes 10 us, so a flood has a thousandth of a processor for it, and in a
flood a change may wait 10 ms."""
LOOKS_BURST: Final = 200
"""More than callers knock who do not flood."""
MAX_NAMED: Final = 3
"""So many are named in one warning."""
FIRST: Final = frozenset({DatagramType.KNOCK, DatagramType.INITIATION, DatagramType.CONFIRMATION})
"""What somebody sends who has no line yet."""


class WatchedEndpoint(Endpoint):
    """Has the contacts looked at before it judges whoever wants a line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.look: Callable[[], None] | None = None
        self._looks = RateLimit(LOOKS_PER_S, LOOKS_BURST)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool | None:
        """As in `Endpoint`."""
        if (
            self.look is not None
            and self.accepting
            and data[:1]
            and data[0] in FIRST
            and self._looks.take(now)
        ):
            self.look()
        return super().receive_datagram(data, address, now)


class ReachPolicy:
    """`let_in` once, then `watch` while calls are awaited, and `close`."""

    def __init__(
        self,
        endpoint: WatchedEndpoint,
        trust: TrustStore,
        home: Home,
        given: Reach | None,
        emit: Callable[[Event], None],
    ) -> None:
        self._endpoint, self._trust, self._home, self._emit = endpoint, trust, home, emit
        self._given, self._chosen = given, given
        self._names: dict[bytes, str] | None = None
        """Who was let in last."""
        self._stamp: object = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = BackgroundTasks()

    def let_in(self) -> None:
        """Tell the line who may knock from now on, and the user what is new in it.

        P2PCallError if that cannot be read; then all is as before.
        """
        self._stamp = self._trust.stamp()
        names = self._trust.let_in()
        self._endpoint.contacts(list(names))  # whatever else there is: who was removed is out
        kept = kept_reach(self._home)
        before, self._names = self._names, names
        was_open = self._endpoint.reach == Reach.ANYONE
        undecided = self._chosen is None
        if undecided and (kept or names):
            self._chosen = kept or Reach.CONTACTS
        reach = self._chosen or Reach.ANYONE
        if self._chosen is not None and (undecided or before is None) and kept != reach:
            self._tasks.do(self._keep(reach))
        self._endpoint.reach = reach
        if before is not None:
            self._tell_gone(before[key] for key in before.keys() - names.keys())
            if was_open and reach is Reach.CONTACTS:
                self._tell_direction(reach)
        elif self._given is not None and kept != reach:
            self._tell_direction(reach)
        if reach is Reach.CONTACTS and not names and before != {}:
            text = "nobody can ring here: only contacts can, and there are none (`--reach anyone` lets others ring)"
            self._emit(events.Warning("no-contacts", text))

    def watch(self, renew: Callable[[], None]) -> None:
        """Have `renew` called, which is to call `let_in`, whenever the contacts have changed: before the next knock is
        judged, and soon in any case.
        """

        def look() -> None:
            if self._trust.stamp() != self._stamp:
                renew()

        def look_again() -> None:
            look()
            self._timer = asyncio.get_running_loop().call_later(CONTACTS_POLL_S, look_again)

        self._endpoint.look = look
        look_again()

    async def close(self) -> None:
        """Look no more; what is to be kept is on disk then."""
        self._endpoint.look = None
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.done()

    async def _keep(self, reach: Reach) -> None:
        try:
            await offload(lambda: keep_reach(self._home, reach))
        except P2PCallError as error:
            text = f"who can ring is not kept for later: {error.text}"
            self._emit(events.Warning(error.slug, text))

    def _tell_direction(self, reach: Reach) -> None:
        text = "anyone can ring here from now on (`--reach contacts` lets contacts alone)"
        if reach is Reach.CONTACTS:
            text = "only contacts can ring here from now on (`--reach anyone` lets others ring)"
        slug = "contacts-only" if reach is Reach.CONTACTS else "anyone"
        self._emit(events.Warning(slug, text))

    def _tell_gone(self, gone: Iterable[str]) -> None:
        names = sorted(gone)
        if names:
            more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
            text = (
                f"{', '.join(names[:MAX_NAMED])}{more}: removed or blocked, and let in no more as a contact"
            )
            self._emit(events.Warning("contacts-gone", text))
