"""Who somebody is: the name a person claims and the key they prove, held against the contacts.

Keys are pinned on first use under the user's own name for them. A name that is pinned to another key is a hard
stop: no media, no question that could be clicked away, and a hint how to pair again on purpose.
"""

from dataclasses import dataclass

from p2pcall import names
from p2pcall.engine.settings import MAX_NAME_BYTES
from p2pcall.proto.safety import identity_key, identity_uri, safety_number, safety_uri
from p2pcall.store.contacts import Contact, Contacts, key_changed
from p2pcall.store.identity import fingerprint
from p2pcall.view.sanitize import clean

SHORT_FINGERPRINT = 9
"""Characters of the fingerprint that stand in for the name of somebody who gives none."""


@dataclass(frozen=True, slots=True)
class Who:
    """The other side, as this side knows it: `known` is new, contact or verified."""

    name: str
    fingerprint: str
    known: str


class People:
    """The contacts, asked in the words of a call."""

    def __init__(self, contacts: Contacts, own: bytes) -> None:
        self._contacts, self._own = contacts, own

    def expected_key(self, name: str) -> bytes | None:
        """The key pinned under a name that the user dials, if there is one."""
        contact = self._contacts.by_name(name)
        return None if contact is None else contact.public

    def keys(self) -> list[bytes]:
        """The keys of all contacts but the blocked, the one kept last first."""
        contacts = sorted(self._contacts.all(), key=lambda contact: contact.added, reverse=True)
        return [contact.public for contact in contacts if not contact.blocked]

    def is_contact(self, public: bytes) -> bool:
        """The key is pinned under some name, and not blocked."""
        contact = self._contacts.by_key(public)
        return contact is not None and not contact.blocked

    def is_blocked(self, public: bytes) -> bool:
        """The user wants nothing of whoever has this key, a contact or not. P2PCallError if that cannot be read."""
        return fingerprint(public) in self._contacts.blocked()

    def identify(self, public: bytes, claimed: str, *, calling: bool = False) -> Who:
        """Who proved `public` and calls itself `claimed`; `calling` if we are the one who is called.

        P2PCallError `key-changed` if that name is somebody else's.
        """
        contact = self._contacts.by_key(public)
        if contact is not None:
            known = "verified" if contact.verified else "contact"
            return Who(clean(contact.name), fingerprint(public), known)
        name = clean(claimed) if claimed.strip() else fingerprint(public)[:SHORT_FINGERPRINT]
        name = names.shortened(name, MAX_NAME_BYTES)
        other = self._contacts.by_name(name)
        if other is not None:
            raise key_changed(other.name, other.public, public, calling=calling)
        return Who(name, fingerprint(public), "new")

    def pin(self, name: str, public: bytes, epoch: float) -> None:
        """Keep the key under `name`; nothing if it is kept already or is our own (a call to oneself)."""
        if public != self._own and self._contacts.by_key(public) is None:
            self._contacts.pin(name, public, epoch)

    def safety_number(self, public: bytes) -> tuple[str, ...]:
        """Twelve groups of five digits, the same at the side whose key is `public`. Takes some milliseconds."""
        return safety_number(self._own, public)

    def safety_uri(self, number: tuple[str, ...]) -> str:
        """A safety number as its QR code has it."""
        return safety_uri(number)

    def own_uri(self) -> str:
        """One's own key as its QR code has it."""
        return identity_uri(self._own)

    def key_in(self, uri: str) -> bytes:
        """Somebody else's key, out of such a URI. ValueError, with the reason in plain words."""
        public = identity_key(uri)
        if public == self._own:
            raise ValueError("that is your own key")
        return public

    def verify(self, name: str, public: bytes, epoch: float) -> Contact | None:
        """The words were the same: a verified contact from now on, kept under `name` if the key was not kept yet.

        None if nothing can be kept: it is our own key. P2PCallError as the store raises it.
        """
        self.pin(name, public, epoch)
        contact = self._contacts.by_key(public)
        return None if contact is None else self._contacts.verify(contact.name, public)

    def distrust(self, public: bytes, *, forget: bool) -> Contact | None:
        """The words were not the same: no longer verified or, with `forget`, no contact any more.

        The contact as it was; None if the key is nobody's. P2PCallError as the store raises it.
        """
        contact = self._contacts.by_key(public)
        if contact is not None and forget:
            return self._contacts.remove(contact.name)
        if contact is not None:
            self._contacts.verify(contact.name, public, verified=False)
        return contact
