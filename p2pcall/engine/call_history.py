"""The call log as the engine writes it: calls when they end, and consents, in the background; what is too old goes.

Rules: the log never delays a call, and its failure ends nothing: it is a warning, once. What is too old is erased at
start, and daily while listening; a machine that slept over a day does it within the hour.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from p2pcall import events
from p2pcall.engine.offload import BackgroundTasks, offload
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.trust import PeerIdentity
from p2pcall.env import Clock
from p2pcall.errors import P2PCallError
from p2pcall.events import Event
from p2pcall.store import recordings, retention
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.consent_log import Consent, keep_consent
from p2pcall.store.vault import Vault

LOOK_S: Final = 3600.0
"""How often it is seen whether a day has passed."""


class CallHistory:
    """The log of one `listen` or `dial`."""

    def __init__(self, vault: Vault, clock: Clock, emit: Callable[[Event], None]) -> None:
        self.outgoing = False
        """Whether the calls are ours."""
        self._vault, self._log = vault, CallLog(vault)
        self._clock, self._emit = clock, emit
        self._tasks = BackgroundTasks()
        self._timer: asyncio.TimerHandle | None = None
        self._enforced_at = 0.0
        self._told: set[str] = set()
        """What failed: each is told once."""

    def prepare(self) -> None:
        """Open the vault and erase what is too old. In a thread. P2PCallError if the vault cannot be used."""
        self._enforced_at = self._clock.time()
        self._enforce()

    def _enforce(self) -> None:
        retention.enforce(self._vault, self._enforced_at)
        for path in recordings.expired(self._vault.home, self._enforced_at):
            recordings.erase_recording(path)

    def remember(self, consent: Consent) -> None:
        """As `Consents`."""
        self._tasks.do(self._warned(lambda: keep_consent(self._vault, consent), "written"))

    def ended(self, outcome: Outcome, dialled: str = "", key: str = "") -> None:
        """Log a call by its outcome; `dialled` and `key`, a fingerprint, stand for whom it does not name."""
        self._add(
            outcome.name or dialled,
            outcome.fingerprint or key,
            outcome.known,
            outcome.reason,
            duration_s=outcome.duration_s,
        )

    def failed(self, dialled: str, key: str, slug: str) -> None:
        """Log a call that ended with an error before an answer."""
        self._add(dialled, key, "", slug)

    def missed(self, who: PeerIdentity, calls: int) -> None:
        """Log calls that nobody was asked about; `who` is the first caller."""
        self._add(who.name, who.fingerprint, who.known, "missed", calls=calls)

    def watch(self) -> None:
        """Erase what is too old, daily from now on."""
        if self._clock.time() - self._enforced_at >= recordings.DAY_S:
            self._enforced_at = self._clock.time()
            self._tasks.do(self._warned(self._enforce, "erased"))
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self.watch)

    async def close(self) -> None:
        """Stop watching; returns when all is on disk."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.done()

    def _add(
        self, name: str, key: str, known: str, reason: str, *, duration_s: float = 0.0, calls: int = 1
    ) -> None:
        at = self._clock.time() - duration_s
        call = LoggedCall(at, self.outgoing, name, key, known, round(duration_s, 3), reason, calls)
        self._tasks.do(self._warned(lambda: self._log.add(call), "written"))

    async def _warned(self, work: Callable[[], object], what: str) -> None:
        try:
            await offload(work)
        except P2PCallError as error:
            if error.slug in self._told:
                return
            self._told.add(error.slug)
            self._emit(events.Warning(error.slug, f"the call log could not be {what}: {error.text}"))
