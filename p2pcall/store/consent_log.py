"""The consents: who has agreed to what in a call, refused it or taken it back, on either side, and when.

Kept as long as calls are (`retention`); the words for kinds and states are their owner's.
"""

from typing import Any, Final

from msgspec import Struct

from p2pcall.store.vault import Vault

_COLUMNS: Final = "at, call, name, fingerprint, kind, state, side"


class Consent(Struct, frozen=True):
    """One answer. A recording of the other side's that we agree to is `local`."""

    at: float
    """Seconds since the epoch."""
    call: str
    name: str
    fingerprint: str
    """The other side's."""
    kind: str
    state: str
    by: str = "local"
    """Who has answered: `local` or `remote`."""


def keep_consent(vault: Vault, consent: Consent) -> None:
    """Keep it. In a thread. P2PCallError (config) if it cannot be kept."""
    with vault.writing() as db:
        values = tuple(getattr(consent, name) for name in Consent.__struct_fields__)
        db.execute(f"INSERT INTO consents({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?)", values)


def kept_consents(vault: Vault) -> list[Consent]:
    """All that are kept, the newest first."""
    with vault.reading() as db:
        if db is None:
            return []
        rows: Any = db.execute(f"SELECT {_COLUMNS} FROM consents ORDER BY at DESC, id DESC")
        return [Consent(*row) for row in rows]
