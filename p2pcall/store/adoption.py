"""What is taken from a backup or an export into the contacts that are here. Pure.

Rules: nothing that is here is replaced or changed, and each thing that is left out is told with the reason. Where the
file and this home say different things of a key or a name, this home is right.
"""

from typing import Final

from msgspec import Struct

from p2pcall import names
from p2pcall.proto.constants import MAX_CONTACTS
from p2pcall.store.contact import SHORT_FINGERPRINT, Book, Contact
from p2pcall.store.identity import fingerprint

MAX_BLOCKED: Final = 4096
NAME_TAKEN, KEY_KEPT, BLOCKED_HERE, CONTACT_HERE, NO_ROOM = (
    "name-taken",
    "key-kept",
    "blocked",
    "contact",
    "full",
)


class LeftOut(Struct, frozen=True):
    """Something of a file that was not taken: the name there, the key's fingerprint, and why."""

    name: str
    fingerprint: str
    why: str
    here: str = ""
    """The contact here that is in the way."""


class Adopted(Struct, frozen=True):
    """What becomes of a file's content."""

    added: tuple[Contact, ...]
    blocked: dict[str, float]
    """The new blocks: fingerprints, and since when."""
    here: int
    """How many contacts are here already, under the same names."""
    left_out: tuple[LeftOut, ...]


def adoption(book: Book, others: Book) -> Adopted:
    """What of `others` is added to `book`."""
    keys = {contact.public: contact for contact in book.contacts}
    taken = {names.alike(contact.name): contact for contact in book.contacts}
    added: list[Contact] = []
    left_out: list[LeftOut] = []
    here = 0
    for contact in others.contacts:
        printed = fingerprint(contact.public)
        known, other = keys.get(contact.public), taken.get(names.alike(contact.name))
        if known is not None and known == other:
            here += 1
        elif known is not None:
            left_out.append(LeftOut(contact.name, printed, KEY_KEPT, known.name))
        elif other is not None:
            left_out.append(LeftOut(contact.name, printed, NAME_TAKEN, other.name))
        elif printed in book.blocked:
            left_out.append(LeftOut(contact.name, printed, BLOCKED_HERE))
        elif len(keys) >= MAX_CONTACTS:
            left_out.append(LeftOut(contact.name, printed, NO_ROOM))
        else:
            added.append(contact)
            keys[contact.public] = taken[names.alike(contact.name)] = contact
    blocked, refused = _blocks(book, others)
    return Adopted(tuple(added), blocked, here, (*left_out, *refused))


def _blocks(book: Book, others: Book) -> tuple[dict[str, float], list[LeftOut]]:
    """The blocks that are added, and those that are left out: of contacts here, or too many."""
    contacts = (
        {fingerprint(contact.public): contact.name for contact in book.contacts} if others.blocked else {}
    )
    blocked: dict[str, float] = {}
    left_out = []
    for printed, at in others.blocked.items():
        if printed in book.blocked:
            continue
        name = contacts.get(printed, "")
        if name or len(book.blocked) + len(blocked) >= MAX_BLOCKED:
            why = CONTACT_HERE if name else NO_ROOM
            left_out.append(LeftOut(name or printed[:SHORT_FINGERPRINT], printed, why, name))
        else:
            blocked[printed] = at
    return blocked, left_out
