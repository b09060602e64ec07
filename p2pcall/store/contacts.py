"""The contacts: names that the user chose, and the keys that are pinned to them.

Rules: one key, one name; one name, one key. If a name comes with another key than the pinned one, the program stops
(`key_changed`). Nothing here replaces a key: the user removes or renames the contact, then pins again. Addresses are
not stored, because trust depends on the key alone. `names` decides which names are equal. A block is stored by the
key's fingerprint: it needs no contact, and stays when the contact is removed. All is kept in the vault, and read again
whenever it has changed there, because other processes change it too; what decides about a caller is in memory. What
changes something is to be called in a thread, for it waits for the disk. Left out: a contact's secrets
(`contact_secrets`), which are in no record.
"""

import shlex
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from p2pcall import names
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import KEY_BYTES, MAX_CONTACTS, NAME_BYTES
from p2pcall.store import contacts_file
from p2pcall.store.adoption import MAX_BLOCKED, Adopted, adoption
from p2pcall.store.choices import close_to_strangers
from p2pcall.store.contact import Book, Contact
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint
from p2pcall.store.schema import CONTACTS_CHANGED
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw


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
    """The contacts in a home; every method raises `P2PCallError` (config) if the vault cannot be used."""

    def __init__(self, home: Home, vault: Vault | None = None) -> None:
        """`vault`: the one of this home, if it is open already."""
        self._home = home
        self.vault = Vault(home) if vault is None else vault
        self._read: _Read | None = None
        self._seen: object = None
        self._stamp: object = None
        """The state of the vault when it was looked at last, and of the contacts in it."""

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
        with self.vault.writing() as db:
            book = _load(db)
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
            close_to_strangers(self._home)
            db.execute(
                "INSERT INTO contacts(key, name, added, host) VALUES(?, ?, ?, ?)",
                (public, name, now_epoch, host),
            )
            note_change(db)
            return Contact(name, public, now_epoch, blocked=fingerprint(public) in book.blocked, host=host)

    def verify(self, name: str, public: bytes, *, verified: bool = True) -> Contact | None:
        """Marks the contact as verified, or removes the mark; None if the name does not have this key now.

        People verify a key: if the name has got another key meanwhile, that key must not get the mark.
        """
        return self._change(name, public, verified=verified)

    def permit(self, name: str, **permissions: bool) -> Contact | None:
        """Sets `may_ring`, `sound_unasked`, `picture_unasked`, `sees_announced`; None if there is no such contact."""
        return self._change(name, None, **permissions)

    def rename(self, old: str, new: str) -> Contact | None:
        """Gives the contact another name; all else stays. None if there is no contact of the old name.

        Raises `P2PCallError` (usage) if another contact has the new name, or it cannot be a name.
        """
        return self._change(old, None, name=normalise_name(new), host=False)

    def remove(self, name: str) -> Contact | None:
        """Removes the contact, whose entry is overwritten; a block of its key stays.

        None if there is no contact of that name.
        """
        if self.by_name(name) is None:
            return None
        with self.vault.writing(forget=True) as db:
            contact = _named(_load(db), name)
            if contact is not None:
                close_to_strangers(self._home)
                db.execute("DELETE FROM contacts WHERE key = ?", (contact.public,))
                note_change(db)
            return contact

    def rotate(self, old: bytes, new: bytes) -> Contact | None:
        """The owner of the key `old` has shown that `new` is theirs: it replaces it, and all else stays.

        None if `old` is no contact's or blocked, or `new` is a contact's or blocked: then nothing changes.
        """
        with self.vault.writing(forget=True) as db:
            book = _load(db)
            by_key = {contact.public: contact for contact in book.contacts}
            contact = by_key.get(old)
            if contact is None or new in by_key or {fingerprint(old), fingerprint(new)} & book.blocked.keys():
                return None
            db.execute("UPDATE contacts SET key = ? WHERE key = ?", (new, old))
            note_change(db)
            return replace(contact, public=new)

    def export(self) -> dict[str, Any]:
        """All contacts and blocks, in the form of the file of older versions; `contacts_file` reads it."""
        book = self._look()
        return contacts_file.document(Book(list(book.by_key.values()), book.blocked))

    def adopt(
        self,
        others: Book,
        beside: Callable[["apsw.Connection", Collection[bytes]], None] = lambda db, keys: None,
    ) -> Adopted:
        """Adds what a backup or an export holds, in one step: nothing that is here is replaced.

        `beside` is given the keys of those that were added, within the transaction.
        """
        with self.vault.writing() as db:
            book = _load(db)
            done = adoption(book, others)
            if done.added:
                close_to_strangers(self._home)
            contacts_file.insert(db, Book(list(done.added), done.blocked))
            beside(db, [contact.public for contact in done.added])
            note_change(db)
        return done

    def stamp(self) -> object:
        """A value that changes whenever the contacts or blocks change; takes microseconds."""
        seen = self.vault.stamp()
        if seen != self._seen:
            try:
                with self.vault.reading() as db:
                    self._stamp = None if db is None else _changed(db)
                self._seen = self.vault.stamp()
            except P2PCallError:  # nobody looks again until the file is another one
                self._seen = self._stamp = seen
        return self._stamp

    def blocked(self) -> dict[str, float]:
        """The blocked fingerprints, of contacts and others, and since when they are blocked (epoch seconds)."""
        return self._look().blocked

    def block(self, printed: str, now_epoch: float) -> None:
        """Blocks the key of this fingerprint (`read_fingerprint`), a contact's or not."""
        with self.vault.writing() as db:
            blocked = _load(db).blocked
            if printed in blocked:
                return
            if len(blocked) >= MAX_BLOCKED:
                text = f"there are {MAX_BLOCKED} blocked keys already"
                raise P2PCallError("too-many-blocked", text, ExitCode.CONFIG)
            db.execute("INSERT INTO blocked VALUES(?, ?)", (printed, now_epoch))
            note_change(db)

    def unblock(self, printed: str) -> bool:
        """Unblocks the key of this fingerprint; False if it was not blocked."""
        if printed not in self.blocked():
            return False
        with self.vault.writing() as db:
            db.execute("DELETE FROM blocked WHERE fingerprint = ?", (printed,))
            gone = db.changes() > 0
            note_change(db)
            return gone

    def _change(self, name: str, public: bytes | None, /, **changes: Any) -> Contact | None:
        """Changes the contact of this name; None if there is none, or it has another key than `public`."""
        if self.by_name(name) is None:
            return None
        with self.vault.writing(forget="name" in changes) as db:
            book = _load(db)
            contact = _named(book, name)
            if contact is None or public not in (None, contact.public):
                return None
            if "name" in changes and _named(book, changes["name"]) not in (None, contact):
                text = f"there is another contact called {changes['name']!r}"
                raise P2PCallError("name-taken", text, ExitCode.USAGE, "p2pcall contacts list")
            changed = replace(contact, **changes)
            if changed != contact:
                columns = ", ".join(f"{column} = ?" for column in changes)
                db.execute(
                    f"UPDATE contacts SET {columns} WHERE key = ?", (*changes.values(), contact.public)
                )
                note_change(db)
            return changed

    def _look(self) -> "_Read":
        """The content, read again only if it has changed: every caller is looked up, even during a call."""
        stamp = self.stamp()
        if self._read is None or self._read.stamp != stamp:
            with self.vault.reading() as db:
                self._read = _Read(stamp, Book() if db is None else _load(db))
        return self._read


class _Read:
    """The content, indexed: a look-up takes the same time whether or not the entry exists."""

    def __init__(self, stamp: object, book: Book) -> None:
        self.stamp = stamp
        self.by_key = {contact.public: contact for contact in book.contacts}
        self.by_name = {names.alike(contact.name): contact for contact in book.contacts}
        self.blocked = book.blocked


def _load(db: "apsw.Connection") -> Book:
    """All contacts and blocks."""
    rows: Any = db.execute("SELECT fingerprint, added FROM blocked")
    blocked = dict(rows)
    contacts = []
    rows = db.execute(f"SELECT {contacts_file.COLUMNS} FROM contacts")
    for key, name, added, verified, host, *permissions in rows:
        shut = bool(blocked) and fingerprint(key) in blocked
        contacts.append(Contact(name, key, added, bool(verified), shut, bool(host), *map(bool, permissions)))
    return Book(contacts, blocked)


def _changed(db: "apsw.Connection") -> object:
    return db.execute("SELECT value FROM settings WHERE name = ?", (CONTACTS_CHANGED,)).fetchone()


def note_change(db: "apsw.Connection") -> None:
    """Contacts or blocks change in this transaction: whoever has read them reads them again."""
    db.execute("REPLACE INTO settings VALUES(?, randomblob(16))", (CONTACTS_CHANGED,))


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
