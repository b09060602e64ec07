"""Erasing one person: the contact with its secrets, calls, consents, requests, recordings with them.

Rules: a person is a key, a name, or both; what has either of the two is theirs, also entries from before they changed
their key, and of somebody who has only claimed the name. Recordings go first, then all rows in one step, the contact
with them: so whoever is interrupted finds the contact still there, and erases again. What the rows have left in the
file is overwritten in a last step (`Vault.writing`), which a mark (`UNFINISHED`) has the next erasure repeat if it was
interrupted. A block stays: it is a fingerprint alone, and to lift it is another decision.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from p2pcall import names
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.choices import close_to_strangers
from p2pcall.store.contacts import Contacts, note_change
from p2pcall.store.erase_home import Gone, Receipt
from p2pcall.store.home import Home, opened_at_once
from p2pcall.store.identity import Identity, fingerprint, load_or_create, read_fingerprint
from p2pcall.store.identity_file import read_identity
from p2pcall.store.inventory import files_in
from p2pcall.store.recording_keys import recording_keys
from p2pcall.store.recordings import RecordingHead, RecordingReader, erase_recording
from p2pcall.store.rotation import former_key, told
from p2pcall.store.schema import UNFINISHED
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw


class Person(Struct, frozen=True):
    """Who is meant; "" and None are not known."""

    name: str
    printed: str
    """The fingerprint of the key."""
    key: bytes | None = None
    """The key, if it is a contact's."""


class Traces(Struct, frozen=True):
    """What there is of a person: in the vault the table, its column and the values of the rows; and recordings."""

    rows: dict[str, tuple[str, list[Any]]]
    secrets: dict[str, int]
    """Codes and safe words, which go with the contact."""
    recordings: list[Path]
    unknown: list[Path]
    """Recordings that cannot be read, so that nobody knows with whom they are."""

    def gone(self, home: Home) -> tuple[Gone, ...]:
        """It as a receipt lists it."""
        vault = str(home.vault_path)
        counts = {kind: len(values) for kind, (_, values) in self.rows.items()} | self.secrets
        found = [Gone(kind, vault, count) for kind, count in counts.items() if count]
        return (*found, *(Gone("recordings", str(path)) for path in self.recordings))


def person_meant(contacts: Contacts, who: str) -> Person:
    """A contact by name or fingerprint; or whoever has that name, or fingerprint, in calls and requests.

    Text that has the form of a fingerprint is always one, even if somebody calls themselves so.
    """
    printed = read_fingerprint(who)
    if printed is None:
        contact = contacts.by_name(who)
    else:
        contact = next((one for one in contacts.all() if fingerprint(one.public) == printed), None)
    if contact is not None:
        return Person(contact.name, fingerprint(contact.public), contact.public)
    return Person("", printed) if printed is not None else Person(who, "")


def traces(home: Home, vault: Vault, person: Person) -> Traces:
    """All that is kept of the person."""
    with vault.reading() as db:
        rows, secrets = ({}, {}) if db is None else (_rows(db, person), _secrets(db, person))
    recordings: list[Path] = []
    unknown: list[Path] = []
    for path, head in recording_heads(home, vault):
        if head is None:
            unknown.append(path)
        elif _is_meant(person, fingerprint(bytes.fromhex(head.other.key)), head.other.name):
            recordings.append(path)
    return Traces(rows, secrets, recordings, unknown)


def erase_person(home: Home, vault: Vault, person: Person, now_epoch: float) -> Receipt:
    """Erase all that is kept of the person; the caller has the home alone. P2PCallError (config) if that fails."""
    found = traces(home, vault, person)
    for path in found.recordings:
        erase_recording(path)
    if person.key is not None:
        _forget_to_tell(home, person.key, now_epoch)
    if any(values for _, values in found.rows.values()):
        with vault.writing(forget=True) as db:
            if person.key is not None:
                close_to_strangers(home)
            for table, (column, values) in _rows(db, person).items():
                db.executemany(f"DELETE FROM {table} WHERE {column} = ?", ((value,) for value in values))
            note_change(db)
            db.execute("REPLACE INTO settings VALUES(?, ?)", (UNFINISHED, now_epoch))
        _unmark(vault)
    left = [f"{path} cannot be read here, so it is not known with whom it is" for path in found.unknown]
    if person.printed in Contacts(home, vault).blocked():
        left.append(f"the block of the key {person.printed} stays: p2pcall contacts unblock lifts it")
    return Receipt(found.gone(home), tuple(left))


def finish(vault: Vault) -> bool:
    """Do what an interrupted erasure of a person has left undone. Whether there was something."""
    with vault.reading() as db:
        query = "SELECT 1 FROM settings WHERE name = ?"
        if db is None or db.execute(query, (UNFINISHED,)).fetchone() is None:
            return False
    with vault.writing(forget=True) as db:
        note_change(db)
    _unmark(vault)
    return True


def recording_heads(home: Home, vault: Vault) -> Iterator[tuple[Path, RecordingHead | None]]:
    """The recordings in the home, and what their heads say; None: it cannot be read with this identity's key."""
    paths = [path for path, kept in files_in(home) if kept is not None and kept.kind == "recordings"]
    if not paths:
        return
    keys = list(recording_keys(vault, load_or_create(home, os.urandom)))
    for path in paths:
        try:
            with opened_at_once(path) as file:
                head = RecordingReader(path, file, keys).head
                bytes.fromhex(head.other.key)
        except (OSError, ValueError, P2PCallError):
            yield path, None
        else:
            yield path, head


def no_traces(who: str, unknown: int) -> P2PCallError:
    """The error if there is nothing of that person in all that can be read, but for so many recordings."""
    text = f"nothing is kept of {who}" + (
        f", unless in {unknown} recordings that cannot be read" if unknown else ""
    )
    return P2PCallError("no-such-contact", text, ExitCode.NOT_FOUND, "p2pcall contacts list")


def _unmark(vault: Vault) -> None:
    with vault.writing() as db:
        db.execute("DELETE FROM settings WHERE name = ?", (UNFINISHED,))


def _forget_to_tell(home: Home, public: bytes, now_epoch: float) -> None:
    """The contact is not told of a change of the key any more."""
    file = read_identity(home)
    if file is None or not file.former:
        return
    identity: Identity = load_or_create(home, os.urandom)
    former = former_key(home, identity, now_epoch)
    if former is not None and public in former.untold:
        told(home, identity, public, os.urandom)


def _is_meant(person: Person, printed: str, name: str) -> bool:
    if person.printed and printed == person.printed:
        return True
    dialled_at, _, _ = name.rpartition("@")
    return bool(person.name) and names.alike(person.name) in (names.alike(name), names.alike(dialled_at))


def _rows(db: "apsw.Connection", person: Person) -> dict[str, tuple[str, list[Any]]]:
    """What there is in the vault: the table, the column that names a row, and its values."""
    contacts: Any = db.execute("SELECT key FROM contacts WHERE key = ?", (person.key,))
    requests: Any = db.execute("SELECT key, claimed FROM requests")
    found = {
        "contacts": ("key", [key for (key,) in contacts]),
        "requests": ("key", [key for key, name in requests if _is_meant(person, fingerprint(key), name)]),
    }
    for table in ("calls", "consents"):
        rows: Any = db.execute(f"SELECT DISTINCT fingerprint, name FROM {table}")
        meant = [row for row in rows if _is_meant(person, *row)]
        ids: list[Any] = []
        for row in meant:
            ids += db.execute(f"SELECT id FROM {table} WHERE fingerprint = ? AND name = ?", row)
        found[table] = ("id", [number for (number,) in ids])
    return found


def _secrets(db: "apsw.Connection", person: Person) -> dict[str, int]:
    query = "SELECT totp_secret IS NOT NULL, safe_word IS NOT NULL FROM contacts WHERE key = ?"
    row: Any = db.execute(query, (person.key,)).fetchone()
    return {} if row is None else dict(zip(("codes", "safe-words"), row, strict=True))
