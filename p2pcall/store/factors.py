"""Second factors and safe words among the contacts: who has to give a code, whether it was right, which word is set.

Rules: what a code has cost or used up is on disk before anybody is told, so that a restart forgives nothing; two calls
at once are judged one after the other. A contact's own secret goes first; else whoever is answered without asking
gives a code of the home's own secret, if there is one. Failures are counted for each contact, and for all strangers
together, because a new key costs a stranger nothing. Left out: what a code is (`factor`).
"""

from typing import Any

from msgspec.structs import replace

from p2pcall.factor.passcode import Judgement, Passcode, Tally, judge_code, locked_s
from p2pcall.factor.safe_word import SafeWord
from p2pcall.store.contacts import Book, Contact, Contacts, named


class Factors:
    """Every method raises `P2PCallError` (config) if the file of contacts cannot be used."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts

    def required(self, public: bytes, *, unasked: bool) -> bool:
        """Whether this caller has to give a code; `unasked`: no person would be asked about the call."""
        return _passcode(self._contacts.book(), self._contacts.by_key(public), unasked) is not None

    def locked_s(self, public: bytes, epoch: float) -> int:
        """How long this caller is still locked out."""
        return locked_s(_tally(self._contacts.book(), self._contacts.by_key(public)), epoch)

    def judge(self, public: bytes, given: bytes, epoch: float, *, unasked: bool) -> Judgement | None:
        """What the code is that this caller has given; kept when it returns. None: no code is required any more."""
        with self._contacts.edit() as book:
            contact = next((one for one in book.contacts if one.public == public), None)
            passcode = _passcode(book, contact, unasked)
            if passcode is None:
                return None
            judged = judge_code(passcode, _tally(book, contact), given, epoch)
            if contact is None:
                book.strangers = judged.tally
            else:
                own = contact.code is not None
                code = judged.passcode if own else None
                book.contacts[book.contacts.index(contact)] = replace(contact, code=code, tally=judged.tally)
            if contact is None or contact.code is None:
                book.unasked = judged.passcode
            return judged

    def require(self, name: str, secret: bytes | None) -> Contact | None:
        """Set the secret of this contact's codes, or none. None if there is no such contact."""
        return self._set(name, code=_new(secret), tally=Tally())

    def unlock(self, name: str) -> Contact | None:
        """Forget this contact's failures. None if there is no such contact."""
        return self._set(name, tally=Tally())

    def unasked(self) -> bool:
        """Whether whoever is answered without asking has to give a code."""
        return self._contacts.book().unasked is not None

    def require_unasked(self, secret: bytes | None) -> None:
        """Set the secret for whoever is answered without asking, or none."""
        with self._contacts.edit() as book:
            book.unasked, book.strangers = _new(secret), Tally()

    def set_word(self, name: str, word: SafeWord | None) -> Contact | None:
        """Set the safe word shared with this contact, or none. None if there is no such contact."""
        return self._set(name, safe_word=word)

    def word(self, public: bytes) -> SafeWord | None:
        """The safe word shared with the owner of this key."""
        contact = self._contacts.by_key(public)
        return None if contact is None else contact.safe_word

    def _set(self, name: str, **changes: Any) -> Contact | None:
        with self._contacts.edit() as book:
            contact = named(book, name)
            if contact is not None:
                book.contacts[book.contacts.index(contact)] = replace(contact, **changes)
            return contact


def _new(secret: bytes | None) -> Passcode | None:
    return None if secret is None else Passcode(secret)


def _passcode(book: Book, contact: Contact | None, unasked: bool) -> Passcode | None:
    """The secret whose codes this caller has to give."""
    own = None if contact is None else contact.code
    return own or (book.unasked if unasked else None)


def _tally(book: Book, contact: Contact | None) -> Tally:
    return book.strangers if contact is None else contact.tally
