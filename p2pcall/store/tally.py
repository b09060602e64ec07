"""How much is kept in the vault, in numbers: for those who look for a fault and need not know who it is about."""

from typing import Any, Final

from msgspec import Struct

from p2pcall.store import schema
from p2pcall.store.vault import Vault

_COUNTED: Final = ("contacts", "blocked", "calls", "consents", "requests")


class Ends(Struct, frozen=True):
    """So many calls with one person ended in one way."""

    fingerprint: str
    """Empty if no key was seen."""
    name: str
    outgoing: bool
    reason: str
    calls: int


def row_counts(vault: Vault) -> dict[str, int]:
    """The version of the vault and the rows of each table; empty if nothing is kept."""
    with vault.reading() as db:
        if db is None:
            return {}
        found = {"version": schema.version(db)}
        for table in _COUNTED:
            row: Any = db.execute(f"SELECT count(*) FROM {table}").fetchone()
            found[table] = int(row[0])
        return found


def all_ends(vault: Vault) -> list[Ends]:
    """How the calls of each person ended, from the most on."""
    query = (
        "SELECT fingerprint, name, outgoing, reason, sum(calls) AS number FROM calls"
        " GROUP BY fingerprint, name, outgoing, reason ORDER BY number DESC, reason"
    )
    with vault.reading() as db:
        rows: Any = () if db is None else db.execute(query)
        return [Ends(row[0], row[1], bool(row[2]), row[3], int(row[4])) for row in rows]
