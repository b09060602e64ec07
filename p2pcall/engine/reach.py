"""Who may knock: as `--reach` says now, or said before; else everybody until there is a contact, then only contacts.

Rules: access is never widened without the user, even if files are lost while the program runs; the user's choice is
kept for later runs. The contacts are read from disk at every knock: a contact that any process has removed, blocked or
forbidden to ring is a stranger at the next knock, and a new one is let in (in a flood, 10 ms later). If the file cannot
be read, nothing changes. Left out: lines that are up already, and what happens to a caller who may ring (`listener`).
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
"""Interval of checks for changed contacts, for messages to the user; a knock does not wait for it."""
LOOKS_PER_S: Final = 100.0
"""Sustained rate of checks caused by knocks: a check takes 10 us, so a flood uses a thousandth of a CPU for it, and in
a flood a change may take effect 10 ms late."""
LOOKS_BURST: Final = 200
"""Checks at once; more than the knocks of honest callers."""
MAX_NAMED: Final = 3
"""Most names in one warning."""
FIRST: Final = frozenset({DatagramType.KNOCK, DatagramType.INITIATION, DatagramType.CONFIRMATION})
"""Types of datagrams from senders without a line."""


class WatchedEndpoint(Endpoint):
    """Checks for changed contacts before it handles the datagram of a sender without a line."""

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
    """Call `let_in` once, then `watch` while waiting for calls, and `close` at the end."""

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
        """The contacts that were let in last."""
        self._stamp: object = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = BackgroundTasks()

    def let_in(self) -> None:
        """Set who may knock from now on, and tell the user about changes.

        P2PCallError if the files cannot be read; then nothing changes.
        """
        self._stamp = self._trust.stamp()
        names = self._trust.let_in()
        self._endpoint.contacts(list(names))  # first, whatever fails below: removed contacts are out
        kept = kept_reach(self._home)
        before, self._names = self._names, names
        was_open = self._endpoint.reach == Reach.ANYONE
        undecided = self._chosen is None
        if undecided and (kept or self._trust.permissions.callees()):
            self._chosen = kept or Reach.CONTACTS
        reach = self._chosen or Reach.ANYONE
        if self._chosen is not None and (undecided or before is None) and kept != reach:
            self._tasks.do(self._keep(reach))
        self._endpoint.reach = reach
        if before is not None:
            still = {*names.values()}  # under a name that is still there: the contact has a new key
            gone = {key: name for key, name in before.items() if key not in names and name not in still}
            mute = {key for key in gone if self._trust.is_contact(key)}
            self._tell_gone((gone[key] for key in gone.keys() - mute), "removed or blocked")
            self._tell_gone((gone[key] for key in mute), "not allowed to ring")
            if was_open and reach is Reach.CONTACTS:
                self._tell_direction(reach)
        elif self._given is not None and kept != reach:
            self._tell_direction(reach)
        if reach is Reach.CONTACTS and not names and before != {}:
            none = "none of them may" if self._trust.permissions.callees() else "there are none"
            text = f"nobody can ring here: only contacts can, and {none} (`--reach anyone` lets others ring)"
            self._emit(events.Warning("no-contacts", text))

    def watch(self, renew: Callable[[], None]) -> None:
        """Call `renew`, which must call `let_in`, whenever the contacts have changed: before the next knock is handled,
        and in any case after `CONTACTS_POLL_S`.
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
        """Stop watching; returns when the choice is on disk."""
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

    def _tell_gone(self, gone: Iterable[str], why: str) -> None:
        names = sorted(gone)
        if names:
            more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
            text = f"{', '.join(names[:MAX_NAMED])}{more}: {why}, and no longer let in as a contact"
            self._emit(events.Warning("contacts-gone", text))
