"""Contacts in one file, to take to another machine or to give to somebody: sealed under a passphrase of its own.

Format: a comment, and one line `p2pcall-contacts-1:SEALED` (`seal`); inside is JSON: the contacts and blocks as in a
backup (`contacts_file`), and a proof. Rules: it holds names, keys, marks, permissions and blocks, but no secret of a
second factor, no safe word, and not the private key. What is damaged changes nothing; what clashes with what is here
is left out (`adoption`).

Whom a file can be believed: the passphrase shows only that its maker knew the passphrase. So the file is one's own if
the proof is right, a MAC under a key made from the private key here. Only then are the marks of verified contacts
believed, and the permissions to be answered without asking. From another file nobody is verified, because the
comparison was somebody else's, or with another key of ours; and nobody opens the microphone or camera unasked. What
makes less possible (a block, no ring, not to see the announcement) is taken from any file. Names in it are hostile:
they are cleaned, and a name that could not be dialled becomes the start of the fingerprint. Left out: files made
before `id rotate`, which are like another's.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from p2pcall import names
from p2pcall.errors import P2PCallError
from p2pcall.proto.constants import KEY_BYTES, MAX_CONTACTS
from p2pcall.store.adoption import LeftOut
from p2pcall.store.backup import check_no_file
from p2pcall.store.contact import SHORT_FINGERPRINT, Book, Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.contacts_file import BLOCKING_VERSION, CONTACTS_VERSION, parse_blocked, parse_row
from p2pcall.store.home import Home, damaged, parsed, write_atomic
from p2pcall.store.identity import Identity, fingerprint
from p2pcall.store.seal import Cost, from_base64, read_sealed, seal, unseal
from p2pcall.types import Entropy

EXPORT_PREFIX: Final = "p2pcall-contacts-1:"
EXPORT_COMMENT: Final = "# contacts of p2pcall, sealed under a passphrase"
EXPORT_VERSION: Final = 1
PROOF_KEY: Final = b"p2pcall contacts export 1"
"""What the key of the proof is derived from the identity for."""
MAX_NAME_CHARS: Final = 1024
"""Of a name in a file this much is looked at: many times what can be kept of it."""
OWN_KEY, TWICE = "own-key", "twice"


class ExportChecks(Struct, frozen=True):
    """What the rooms above know of names and keys."""

    dialable: Callable[[str], bool]
    safe: Callable[[bytes], bool]
    """Whether a key is of no low order."""


class ContactsExport(Struct, frozen=True):
    """What a file holds, as far as it is believed."""

    made: float
    ours: bool
    """Whether the private key here has made it."""
    book: Book
    cleaned: tuple[str, ...] = ()
    """The names that were written in another way in the file."""
    lowered: tuple[str, ...] = ()
    """Those whose mark or permissions were not believed."""
    left_out: tuple[LeftOut, ...] = ()


def export_contacts(
    home: Home,
    identity: Identity,
    path: Path,
    passphrase: bytes,
    entropy: Entropy,
    cost: Cost,
    epoch: float,
    *,
    force: bool,
) -> Book:
    """Write the file; returns what is in it. P2PCallError (usage) if it is there already."""
    check_no_file(path, force=force)
    contacts = Contacts(home)
    book = Book(contacts.all(), contacts.blocked())
    content = json.dumps({"made": epoch, **contacts.export()})
    proof = base64.b64encode(_proof(identity, content)).decode()
    document = {"version": EXPORT_VERSION, "kind": "contacts", "content": content, "proof": proof}
    sealed = seal(json.dumps(document).encode(), passphrase, entropy, cost)
    write_atomic(path, f"{EXPORT_COMMENT}\n{EXPORT_PREFIX}{sealed}\n".encode(), ours=False)
    return book


def sealed_export(path: Path) -> str:
    """The sealed text in the file. P2PCallError (config) if there is none."""
    return read_sealed(path, EXPORT_PREFIX)


def read_export(
    path: Path, sealed: str, passphrase: bytes, identity: Identity, epoch: float, checks: ExportChecks
) -> ContactsExport:
    """What is inside. P2PCallError (config): `wrong-passphrase`, `damaged-file`."""
    try:
        document = parsed(unseal(sealed, passphrase, path), path, EXPORT_VERSION)
    except P2PCallError as error:
        if error.slug != "wrong-passphrase":
            raise
        hint = "try again; if it is the right one, the file is damaged: p2pcall contacts export FILE"
        raise P2PCallError(error.slug, error.text, error.exit, hint) from error
    content, proof = document.get("content"), document.get("proof")
    if document.get("kind") != "contacts" or not isinstance(content, str) or not isinstance(proof, str):
        raise damaged(path, "a part of it is missing")
    ours = hmac.compare_digest(_proof(identity, content), from_base64(proof, path))
    inside = parsed(content.encode(errors="replace"), path, CONTACTS_VERSION, BLOCKING_VERSION)
    return _believed(inside, path, identity, epoch, ours, checks)


def _proof(identity: Identity, content: str) -> bytes:
    key = identity.derived_key(PROOF_KEY)
    return hashlib.blake2b(content.encode(errors="replace"), key=key, digest_size=KEY_BYTES).digest()


def _believed(
    inside: dict[str, Any],
    path: Path,
    identity: Identity,
    epoch: float,
    ours: bool,
    checks: ExportChecks,
) -> ContactsExport:
    rows = inside.get("contacts")
    if not isinstance(rows, list) or len(rows) > MAX_CONTACTS:
        raise damaged(path, f"it does not hold a list of at most {MAX_CONTACTS} contacts")
    contacts: dict[bytes, Contact] = {}
    cleaned, lowered, left_out = [], [], []
    for row in rows:
        contact, changed = _contact(row, path, epoch, checks)
        if contact.public in contacts or contact.public == identity.public:
            why = TWICE if contact.public in contacts else OWN_KEY
            left_out.append(LeftOut(contact.name, fingerprint(contact.public), why))
            continue
        if changed:
            cleaned.append(contact.name)
        if not ours and (contact.verified or contact.sound_unasked or contact.picture_unasked):
            contact = replace(contact, verified=False, sound_unasked=False, picture_unasked=False)
            lowered.append(contact.name)
        contacts[contact.public] = contact
    blocked = {
        printed: _time(at, epoch)
        for printed, at in parse_blocked(inside, path).items()
        if printed != identity.fingerprint
    }
    book = Book(
        [replace(one, blocked=fingerprint(one.public) in blocked) for one in contacts.values()], blocked
    )
    made = _time(inside.get("made"), epoch)
    return ContactsExport(made, ours, book, tuple(cleaned), tuple(lowered), tuple(left_out))


def _contact(row: Any, path: Path, epoch: float, checks: ExportChecks) -> tuple[Contact, bool]:
    """The contact in a row, and whether its name was cleaned. P2PCallError (config) if the row is damaged."""
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise damaged(path, "a contact in it lacks a part")
    given = row["name"]
    name = names.kept(given[:MAX_NAME_CHARS])
    usable = bool(name) and checks.dialable(name)
    timed = {**row, "added": _time(row.get("added"), epoch)}
    contact = parse_row({**timed, "name": name if usable else "?"}, path)
    if not checks.safe(contact.public):
        raise damaged(path, "a contact in it has a key that is not safe to use")
    if not usable:
        contact = replace(contact, name=fingerprint(contact.public)[:SHORT_FINGERPRINT])
    return contact, contact.name != given


def _time(given: Any, epoch: float) -> float:
    """A time in a file; now if it is none, or is still to come."""
    timed = type(given) in (int, float) and 0 <= given <= epoch
    return float(given) if timed else epoch
