"""What only this side and one contact know. It is in no record, so that nothing shows it by accident.

Rules: each is read on its own, when it is needed; one that is taken away or replaced is overwritten. What the bytes
mean is their owner's affair.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw


class Secret(StrEnum):
    """Which; the names of their columns."""

    TOTP = "totp_secret"
    TOTP_TALLY = "totp_tally"
    """What was tried with it."""
    SAFE_WORD = "safe_word"


def contact_secret(vault: Vault, public: bytes, which: Secret) -> bytes | None:
    """What is kept with the contact of this key; None: nothing, or there is no such contact."""
    with vault.reading() as db:
        return None if db is None else secret_in(db, public, which)


def keep_contact_secret(vault: Vault, public: bytes, which: Secret, value: bytes | None) -> bool:
    """Keep it with the contact, None takes it away. False if there is no such contact."""
    with vault.writing(forget=True) as db:
        return set_secret(db, public, which, value)


def secret_in(db: "apsw.Connection", public: bytes, which: Secret) -> bytes | None:
    """As `contact_secret`, within a transaction."""
    row: Any = db.execute(f"SELECT {which} FROM contacts WHERE key = ?", (public,)).fetchone()
    return None if row is None else row[0]


def set_secret(db: "apsw.Connection", public: bytes, which: Secret, value: bytes | None) -> bool:
    """As `keep_contact_secret`, within a transaction, which decides whether the old one is overwritten."""
    db.execute(f"UPDATE contacts SET {which} = ? WHERE key = ?", (value, public))
    return db.changes() > 0
