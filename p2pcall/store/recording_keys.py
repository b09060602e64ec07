"""The keys of recordings: that of the identity, and those of the identities before it.

Rules: a recording is made under a key that is derived from the identity. Before the identity is changed, its key for
recordings is put into the vault, which comes along; so a change that is interrupted at any moment loses none. There it
stays for as long as a recording of that time may be kept (`retention`), and is overwritten then.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from p2pcall.store.identity import Identity
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw

_RECORDING_PURPOSE: Final = b"p2pcall recording 1"


def recording_key(identity: Identity) -> bytes:
    """The key under which this identity makes recordings."""
    return identity.derived_key(_RECORDING_PURPOSE)


def recording_keys(vault: Vault, identity: Identity) -> Iterator[bytes]:
    """All keys that may open a recording; the vault is opened only if the first one does not."""
    yield recording_key(identity)
    for key, _ in keys_before(vault):
        yield key


def keys_before(vault: Vault) -> list[tuple[bytes, float]]:
    """The keys of identities before, and when each was given up (epoch seconds)."""
    with vault.reading() as db:
        rows: Any = () if db is None else db.execute("SELECT key, at FROM recording_keys ORDER BY at DESC")
        return list(rows)


def keep_recording_key(vault: Vault, identity: Identity, now_epoch: float) -> None:
    """This identity is about to be given up. In a thread. P2PCallError (config) if the vault cannot be used."""
    with vault.writing() as db:
        put_recording_keys(db, [(recording_key(identity), now_epoch)])


def put_recording_keys(db: "apsw.Connection", keys: Iterable[tuple[bytes, float]]) -> None:
    """Within a transaction; one that is there gets its new time."""
    db.executemany("REPLACE INTO recording_keys VALUES(?, ?)", keys)
