"""The contacts: names that the user chose, and the keys that are pinned to them.

Rules: one key, one name; one name, one key. If a name comes with another key than the pinned one, the program stops
(`key_changed`). Nothing here replaces a key: the user removes or renames the contact, then pins again. Addresses are
not stored, because trust depends on the key alone. `names` decides which names are equal. A block is stored by the
key's fingerprint: it needs no contact, and stays when the contact is removed. A damaged file is an error and is not
changed. The file is read again whenever it has changed, because other processes change it too. Left out: encryption
of the file at rest.
"""

import base64
import binascii
import json
import os
import shlex
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from p2pcall import names
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import KEY_BYTES, MAX_CONTACTS, NAME_BYTES
from p2pcall.store.choices import close_to_strangers
from p2pcall.store.home import Home, damaged, parsed, read, write_atomic
from p2pcall.store.identity import fingerprint, read_fingerprint

CONTACTS_VERSION: Final = 1
BLOCKING_VERSION: Final = 2
"""File version with blocks in it: an older program refuses the file instead of letting blocked people ring."""
SHORT_FINGERPRINT: Final = 9
"""Characters of the fingerprint that are shown for a person without a name."""
MAX_BLOCKED: Final = 4096


class Contact(Struct, frozen=True):
    """The user's name for a person, their key, when it was pinned (epoch seconds), whether verified or blocked."""

    name: str
    public: bytes
    added: float
    verified: bool = False
    blocked: bool = False
    host: bool = False
    """The name is a host name that the system's resolver has resolved, so it may be resolved again."""


class Book(Struct):
    """All content of the file: the contacts, and the blocked fingerprints with their times (epoch seconds)."""

    contacts: list[Contact] = field(default_factory=list)
    blocked: dict[str, float] = field(default_factory=dict)


def normalise_name(name: str) -> str:
    """The name as it is stored (`names.kept`). Raises `P2PCallError` (usage) if it is not a name, or too long."""
    text = names.kept(name)
    if not text or not names.printable(name.strip()):
        raise P2PCallError(
            "bad-name", f"{name!r} cannot be a name", ExitCode.USAGE, "letters, digits, spaces"
        )
    if text != names.tidy(name):
        raise P2PCallError("bad-name", f"a name has at most {NAME_BYTES} bytes", ExitCode.USAGE)
    return text


class Contacts:
    """The contacts in a home; every method raises `P2PCallError` (config) if the file cannot be used."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path, self._place = str(home.contacts_path), str(home.contacts_path.parent)
        self._read: _Read | None = None

    def all(self) -> list[Contact]:
        """All contacts, by name."""
        return [contact for _, contact in sorted(self._look().by_name.items())]

    def by_key(self, public: bytes) -> Contact | None:
        return self._look().by_key.get(public)

    def by_name(self, name: str) -> Contact | None:
        return self._look().by_name.get(names.alike(name))

    def pin(self, name: str, public: bytes, now_epoch: float, *, host: bool = False) -> Contact:
        """Stores the key under the name. A key that is already a contact's keeps its name.

        Raises `P2PCallError` (untrusted) if the name has another key; (usage) if it cannot be a name.
        """
        if len(public) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        name = normalise_name(name)
        with self._home.lock():
            book = self._load()
            known = next((contact for contact in book.contacts if contact.public == public), None)
            if known is not None:
                return known
            other = _named(book, name)
            if other is not None:
                raise key_changed(other.name, other.public, public)
            if len(book.contacts) >= MAX_CONTACTS:
                raise P2PCallError(
                    "too-many-contacts", f"there are {MAX_CONTACTS} contacts already", ExitCode.CONFIG
                )
            blocked = fingerprint(public) in book.blocked
            contact = Contact(name, public, now_epoch, blocked=blocked, host=host)
            book.contacts.append(contact)
            self._save(book)
            return contact

    def verify(self, name: str, public: bytes, *, verified: bool = True) -> Contact | None:
        """Marks the contact as verified, or removes the mark; None if the name does not have this key now.

        People verify a key: if the name has got another key meanwhile, that key must not get the mark.
        """
        with self._home.lock():
            book = self._load()
            contact = _named(book, name)
            if contact is None or contact.public != public:
                return None
            return contact if contact.verified == verified else self._change(book, contact, verified=verified)

    def rename(self, old: str, new: str) -> Contact | None:
        """Gives the contact another name; all else stays. None if there is no contact of the old name.

        Raises `P2PCallError` (usage) if another contact has the new name, or it cannot be a name.
        """
        new = normalise_name(new)
        with self._home.lock():
            book = self._load()
            contact = _named(book, old)
            if contact is None:
                return None
            if _named(book, new) not in (None, contact):
                text = f"there is another contact called {new!r}"
                raise P2PCallError("name-taken", text, ExitCode.USAGE, "p2pcall contacts list")
            return self._change(book, contact, name=new, host=False)

    def rotate(self, old: bytes, new: bytes) -> Contact | None:
        """The owner of the key `old` has shown that `new` is theirs: it replaces it, and all else stays.

        None if `old` is no contact's or blocked, or `new` is a contact's or blocked: then nothing changes.
        """
        with self._home.lock():
            book = self._load()
            by_key = {contact.public: contact for contact in book.contacts}
            contact = by_key.get(old)
            if contact is None or new in by_key or {fingerprint(old), fingerprint(new)} & book.blocked.keys():
                return None
            return self._change(book, contact, public=new)

    def export(self) -> dict[str, Any]:
        """Everything, in the form of the file; `parse` reads it."""
        return _document(self._load())

    def adopt(self, others: Book) -> list[str]:
        """Adds what a backup holds: nothing that is here is replaced. Returns the names that were left out."""
        with self._home.lock():
            book, left_out = self._load(), []
            keys = {contact.public for contact in book.contacts}
            taken = {names.alike(contact.name) for contact in book.contacts}
            for contact in others.contacts:
                clash = contact.public in keys or names.alike(contact.name) in taken
                if clash or len(keys) >= MAX_CONTACTS:
                    if contact not in book.contacts:
                        left_out.append(contact.name)
                    continue
                book.contacts.append(contact)
                keys.add(contact.public)
                taken.add(names.alike(contact.name))
            for printed, at in others.blocked.items():
                if len(book.blocked) < MAX_BLOCKED:
                    book.blocked.setdefault(printed, at)
            self._save(book)
            return left_out

    def remove(self, name: str) -> Contact | None:
        """Removes the contact; a block of its key stays. None if there is no contact of that name."""
        with self._home.lock():
            book = self._load()
            contact = _named(book, name)
            if contact is not None:
                close_to_strangers(self._home)
                book.contacts.remove(contact)
                self._save(book)
            return contact

    def stamp(self) -> tuple[int, ...] | None:
        """A value that changes whenever the file changes; takes microseconds."""
        return _stamp_of(self._path)

    def blocked(self) -> dict[str, float]:
        """The blocked fingerprints, of contacts and others, and since when they are blocked (epoch seconds)."""
        return self._look().blocked

    def block(self, printed: str, now_epoch: float) -> None:
        """Blocks the key of this fingerprint (`read_fingerprint`), a contact's or not."""
        with self._home.lock():
            book = self._load()
            if printed in book.blocked:
                return
            if len(book.blocked) >= MAX_BLOCKED:
                text = f"there are {MAX_BLOCKED} blocked keys already"
                raise P2PCallError("too-many-blocked", text, ExitCode.CONFIG)
            book.blocked[printed] = now_epoch
            self._save(book)

    def unblock(self, printed: str) -> bool:
        """Unblocks the key of this fingerprint; False if it was not blocked."""
        with self._home.lock():
            book = self._load()
            if book.blocked.pop(printed, None) is None:
                return False
            self._save(book)
        return True

    def _change(self, book: Book, contact: Contact, **changes: Any) -> Contact:
        changed = replace(contact, **changes)
        book.contacts[book.contacts.index(contact)] = changed
        self._save(book)
        return changed

    def _look(self) -> "_Read":
        """The file's content, read again only if it has changed: every caller is looked up, even during a call."""
        stamp = self.stamp(), _stamp_of(self._place)
        if self._read is None or self._read.stamp != stamp:
            self._read = _Read(stamp, self._load())
        return self._read

    def _load(self) -> Book:
        data = read(self._home.contacts_path)
        return Book() if data is None else parse(data, self._home.contacts_path)

    def _save(self, book: Book) -> None:
        if book.contacts:
            close_to_strangers(self._home)
        text = json.dumps(_document(book), ensure_ascii=False, indent=1)
        write_atomic(self._home.contacts_path, text.encode() + b"\n")


def _document(book: Book) -> dict[str, Any]:
    """The content of the file."""
    rows = [
        {
            "name": contact.name,
            "key": base64.b64encode(contact.public).decode(),
            "added": contact.added,
            "verified": contact.verified,
            **({"host": True} if contact.host else {}),
        }
        for contact in book.contacts
    ]
    document: dict[str, Any] = {"version": CONTACTS_VERSION, "contacts": rows}
    if book.blocked:
        document["version"] = BLOCKING_VERSION
        document["blocked"] = [{"fingerprint": key, "added": at} for key, at in book.blocked.items()]
    return document


def _stamp_of(path: str) -> tuple[int, ...] | None:
    try:
        info = os.stat(path)  # noqa: PTH116 (each knock of a flood does this; `Path.stat` takes three times as long)
    except OSError:
        return None
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


class _Read:
    """The content of a file, indexed: a look-up takes the same time whether or not the entry exists."""

    def __init__(self, stamp: object, book: Book) -> None:
        self.stamp = stamp
        self.by_key = {contact.public: contact for contact in book.contacts}
        self.by_name = {names.alike(contact.name): contact for contact in book.contacts}
        self.blocked = book.blocked


def _named(book: Book, name: str) -> Contact | None:
    key = names.alike(name)
    return next((contact for contact in book.contacts if names.alike(contact.name) == key), None)


def key_changed(name: str, pinned: bytes, shown: bytes) -> P2PCallError:
    """The error for a key that differs from the one pinned to this name."""
    keys = f"pinned is {fingerprint(pinned)}, shown was {fingerprint(shown)}"
    text = f"the key of {name!r} is not the pinned one: {keys}; somebody else may be answering, or it is a new key"
    typed = as_typed(name)
    hint = (
        f"ask {name}, over another channel, to read you the fingerprint of `p2pcall id`, and compare it with both; "
        f"two people of one name: p2pcall contacts rename {typed} NEW; "
        f"if the new key is theirs: p2pcall contacts remove {typed}"
    )
    return P2PCallError("key-changed", text, ExitCode.UNTRUSTED, hint)


def as_typed(*names: str) -> str:
    """Names as the last arguments of a command line, quoted for a shell."""
    return ("-- " if any(name.startswith("-") for name in names) else "") + shlex.join(names)


def parse(data: bytes, path: Path) -> Book:
    """The content of a file's bytes. Raises `P2PCallError` (config) if any part is invalid."""
    document = parsed(data, path, CONTACTS_VERSION, BLOCKING_VERSION)
    if not isinstance(document.get("contacts"), list):
        raise damaged(path, "it holds no list of contacts")
    if len(document["contacts"]) > MAX_CONTACTS:
        raise damaged(path, f"it holds more than {MAX_CONTACTS} contacts")
    blocked = _parse_blocked(document, path)
    contacts = [_parse_row(row, path) for row in document["contacts"]]
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


def _parse_blocked(document: dict[str, Any], path: Path) -> dict[str, float]:
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


def _parse_row(row: Any, path: Path) -> Contact:
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
    return Contact(name, public, _epoch(added, path), verified, host=row.get("host") is True)
