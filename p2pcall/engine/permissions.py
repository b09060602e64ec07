"""What contacts are allowed, as the calls ask: read anew whenever the contacts have changed, from memory else."""

from p2pcall.store.contact import Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.identity import fingerprint


class ContactPermissions:
    """Every method raises P2PCallError if the contacts cannot be read."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts

    def contact(self, public: bytes) -> Contact | None:
        """The contact who has this key, blocked or not."""
        return self._contacts.by_key(public)

    def lets_in(self, public: bytes) -> bool:
        """Whether the owner of this key is a contact who may ring."""
        contact = self.contact(public)
        return contact is not None and contact.rings

    def may_ring(self, public: bytes) -> bool:
        """Whether the user has neither blocked this key nor forbidden its owner, a contact, to ring."""
        contact = self.contact(public)
        return contact.rings if contact is not None else fingerprint(public) not in self._contacts.blocked()

    def may_see(self, public: bytes) -> bool:
        """Whether this contact may see what is announced to contacts alone."""
        contact = self.contact(public)
        return contact is not None and contact.sees_announced

    def ringers(self) -> dict[bytes, str]:
        """The keys of all contacts who may ring, with their names; the contact kept last comes first."""
        return {one.public: one.name for one in self._latest_first() if one.rings}

    def callees(self) -> list[bytes]:
        """The keys of all contacts that are not blocked, those who may not ring included; in the same order."""
        return [one.public for one in self._latest_first() if not one.blocked]

    def _latest_first(self) -> list[Contact]:
        return sorted(self._contacts.all(), key=lambda contact: contact.added, reverse=True)
