"""The file of contacts of older versions (JSON), read once and for all into the vault.

Rules: the whole file is right or it is an error; nothing of a wrong one is taken over. The vault remembers which file
it has taken over, so that after a crash only that one is erased. Backups hold the contacts in the same form.
"""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from p2pcall import names
from p2pcall.proto.constants import KEY_BYTES, MAX_CONTACTS, NAME_BYTES
from p2pcall.store.contact import SHORT_FINGERPRINT, Book, Contact
from p2pcall.store.home import damaged, parsed
from p2pcall.store.identity import fingerprint, read_fingerprint
from p2pcall.store.schema import CONTACTS_FILE

if TYPE_CHECKING:
    import apsw

CONTACTS_VERSION: Final = 1
BLOCKING_VERSION: Final = 2
"""File version with blocks in it."""
COLUMNS: Final = "key, name, added, verified, host, may_ring, sound_unasked, picture_unasked, sees_announced"
"""What the vault keeps of a contact, in `Contact`'s names but for the key."""
PERMISSIONS: Final = {
    "may_ring": True,
    "sound_unasked": False,
    "picture_unasked": False,
    "sees_announced": True,
}
"""As they are for a new contact. Backups have those that are not; no older version has written any."""


def take_over(db: "apsw.Connection", data: bytes, path: Path) -> None:
    """Keep all that the file of an older version holds. P2PCallError (config) if any part of it is invalid."""
    insert(db, parse_contacts(data, path))
    db.execute("INSERT INTO settings VALUES(?, ?)", (CONTACTS_FILE, hashlib.sha256(data).digest()))


def insert(db: "apsw.Connection", book: Book) -> None:
    """Keep these contacts and blocks, of which none is there yet."""
    db.executemany(
        f"INSERT INTO contacts({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((one.public, *(getattr(one, name) for name in COLUMNS.split(", ")[1:])) for one in book.contacts),
    )
    db.executemany("INSERT INTO blocked VALUES(?, ?)", book.blocked.items())


def is_taken_over(db: "apsw.Connection", data: bytes) -> bool:
    """Whether it was this file that was taken over."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (CONTACTS_FILE,)).fetchone()
    return row == (hashlib.sha256(data).digest(),)


def document(book: Book) -> dict[str, Any]:
    """The content of such a file, for backups; `parse_contacts` reads it as JSON."""
    rows = [
        {
            "name": contact.name,
            "key": base64.b64encode(contact.public).decode(),
            "added": contact.added,
            "verified": contact.verified,
            **({"host": True} if contact.host else {}),
            **{name: not usual for name, usual in PERMISSIONS.items() if getattr(contact, name) != usual},
        }
        for contact in book.contacts
    ]
    found: dict[str, Any] = {"version": CONTACTS_VERSION, "contacts": rows}
    if book.blocked:
        found["version"] = BLOCKING_VERSION
        found["blocked"] = [{"fingerprint": key, "added": at} for key, at in book.blocked.items()]
    return found


def parse_contacts(data: bytes, path: Path) -> Book:
    """The content of a file's bytes. Raises `P2PCallError` (config) if any part is invalid."""
    document = parsed(data, path, CONTACTS_VERSION, BLOCKING_VERSION)
    if not isinstance(document.get("contacts"), list):
        raise damaged(path, "it holds no list of contacts")
    if len(document["contacts"]) > MAX_CONTACTS:
        raise damaged(path, f"it holds more than {MAX_CONTACTS} contacts")
    blocked = parse_blocked(document, path)
    contacts = [parse_row(row, path) for row in document["contacts"]]
    raw = {str(row["name"]).casefold() for row in document["contacts"]}
    if len(raw) < len(contacts) or len({contact.public for contact in contacts}) < len(contacts):
        raise damaged(path, "a name or a key is in it twice")
    contacts = _told_apart(contacts)
    if blocked:
        contacts = [replace(c, blocked=fingerprint(c.public) in blocked) for c in contacts]
    return Book(contacts, blocked)


def _told_apart(contacts: list[Contact]) -> list[Contact]:
    """Add a number to names that look the same but that an older version kept as two."""
    apart: dict[str, Contact] = {}
    for contact in contacts:
        name, number = contact.name, 1
        while names.alike(name) in apart:
            number += 1
            name = f"{names.shortened(contact.name, NAME_BYTES - len(f'-{number}'))}-{number}"
        apart[names.alike(name)] = replace(contact, name=name)
    return list(apart.values())


def parse_blocked(document: dict[str, Any], path: Path) -> dict[str, float]:
    if document["version"] == CONTACTS_VERSION:
        return {}
    if not isinstance(document.get("blocked"), list):
        raise damaged(path, "it holds no list of blocked keys")
    blocked = {}
    for row in document["blocked"]:
        match row:
            case {"fingerprint": str(printed), "added": int() | float() as added} if (
                read_fingerprint(printed) == printed
            ):
                blocked[printed] = _epoch(added, path)
            case _:
                raise damaged(path, "a blocked key in it lacks a part")
    return blocked


def _epoch(added: float, path: Path) -> float:
    try:
        return float(added)
    except OverflowError as error:
        raise damaged(path, "a time in it is not valid") from error


def parse_row(row: Any, path: Path) -> Contact:
    match row:
        case {
            "name": str(name),
            "key": str(key),
            "added": int() | float() as added,
            "verified": bool(verified),
        }:
            pass
        case _:
            raise damaged(path, "a contact in it lacks a part")
    try:
        public = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise damaged(path, "a contact in it has no proper key") from error
    if len(public) != KEY_BYTES:
        raise damaged(path, "a contact in it has a key of the wrong length")
    if not name.strip() or not names.printable(name):
        raise damaged(path, "a contact in it has no proper name")
    name = (
        names.kept(name) or fingerprint(public)[:SHORT_FINGERPRINT]
    )  # older versions accepted invisible characters
    permitted = {name: row.get(name, usual) for name, usual in PERMISSIONS.items()}
    if not all(type(permission) is bool for permission in permitted.values()):
        raise damaged(path, "a contact in it has no proper permissions")
    return Contact(name, public, _epoch(added, path), verified, host=row.get("host") is True, **permitted)
