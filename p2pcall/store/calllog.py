"""The call log: who, when, how long, how it ended. Never what was said, seen or typed, nor addresses.

Rules: an entry is kept for as many days as the user says, at most 30 (`retention`); what is older is not shown, even
before it is erased. Strangers cannot push out other entries: their calls that nobody answered are one entry an hour,
that of the first of them, with their number. Beyond the bound the oldest entry goes.
"""

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from p2pcall.store import retention
from p2pcall.store.recordings import DAY_S
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw

MAX_CALLS: Final = 100_000
"""Entries; a call every half minute, day and night, for a month."""
SUMMED_S: Final = 3600.0
"""Strangers' calls without an answer within this time are one entry."""
_COLUMNS: Final = "at, outgoing, name, fingerprint, known, duration_s, reason, calls"


class LoggedCall(Struct, frozen=True):
    """One entry; `at` is when the call became active or, if it never did, when it ended (epoch seconds)."""

    at: float
    outgoing: bool
    name: str
    """The contact's name at that time, the name that was claimed or dialled, or the start of the fingerprint."""
    fingerprint: str
    """Empty if no key was seen."""
    known: str
    """new, contact or verified, at that time; empty if no key was seen."""
    duration_s: float
    reason: str
    calls: int = 1
    """How many calls the entry stands for."""

    @property
    def counted(self) -> bool:
        """Whether it is only counted if there is an entry of its kind: nobody has answered a stranger."""
        return not self.outgoing and self.known == "new" and not self.duration_s


class CallLog:
    """The call log of a vault; every method raises `P2PCallError` (config) if the vault cannot be used."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def add(self, call: LoggedCall) -> None:
        """Keep the entry, unless the user wants none."""
        if retention.kept_days(self._vault) == 0:
            return
        with self._vault.writing() as db:
            if call.counted and _counted(db, call):
                return
            values = tuple(getattr(call, field) for field in LoggedCall.__struct_fields__)
            db.execute(f"INSERT INTO calls({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?)", values)
            db.execute(
                "DELETE FROM calls WHERE id IN (SELECT id FROM calls ORDER BY at, id"
                " LIMIT max(0, (SELECT count(*) FROM calls) - ?))",
                (MAX_CALLS,),
            )

    def newest(self, now_epoch: float, most: int | None = None) -> list[LoggedCall]:
        """The entries from the newest on, at most `most`; None: all."""
        since = now_epoch - retention.kept_days(self._vault) * DAY_S
        with self._vault.reading() as db:
            if db is None:
                return []
            query = f"SELECT {_COLUMNS} FROM calls WHERE at > ? ORDER BY at DESC, id DESC LIMIT ?"
            rows: Any = db.execute(query, (since, -1 if most is None else most))
            return [LoggedCall(row[0], bool(row[1]), *row[2:]) for row in rows]

    def count(self, key: str | None = None) -> int:
        """How many entries there are, of the key with this fingerprint or of all."""
        with self._vault.reading() as db:
            if db is None:
                return 0
            query = "SELECT count(*) FROM calls"
            if key is None:  # the short index is enough, in a tenth of the time
                rows: Any = db.execute(query)
            else:
                rows = db.execute(f"{query} WHERE fingerprint = ?", (key,))
            return int(rows.fetchone()[0])

    def erase(self, key: str | None = None) -> int:
        """Overwrite the entries of the key with this fingerprint, or all. Returns how many they were."""
        if not self.count(key):
            return 0
        with self._vault.writing(forget=True) as db:
            db.execute("DELETE FROM calls WHERE ?1 IS NULL OR fingerprint = ?1", (key,))
            return db.changes()


def _counted(db: "apsw.Connection", call: LoggedCall) -> bool:
    """Whether the newest entry is of its kind and of this hour, and counts it now."""
    row: Any = db.execute(f"SELECT id, {_COLUMNS} FROM calls ORDER BY at DESC, id DESC LIMIT 1").fetchone()
    if row is None:
        return False
    newest = LoggedCall(row[1], bool(row[2]), *row[3:])
    if not newest.counted or not 0 <= call.at - newest.at < SUMMED_S:
        return False
    db.execute("UPDATE calls SET calls = calls + ? WHERE id = ?", (call.calls, row[0]))
    return True
