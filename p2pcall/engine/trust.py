"""Who somebody is: the name a person claims and the key they prove, held against the contacts.

Keys are pinned under the user's own name for them. If the user dials, a name that is pinned to another key is a hard
stop: no media, no question that could be clicked away, and a hint how to pair again on purpose. The name that a caller
claims is only that: whoever claims a contact's gets none, and learns nothing by it.
"""

from msgspec import Struct

from p2pcall import events, names
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import undialable
from p2pcall.proto.handshake.safety_number import identity_key, identity_uri, safety_number, safety_uri
from p2pcall.store.contacts import SHORT_FINGERPRINT, Contact, Contacts, as_typed, key_changed
from p2pcall.store.identity import fingerprint


class PeerIdentity(Struct, frozen=True):
    """The other side, as this side knows it: `known` is new, contact or verified."""

    name: str
    fingerprint: str
    known: str
    poses_as: str = ""
    """The contact whose name was claimed under another key; `name` is the beginning of the fingerprint then."""

    @property
    def nameless(self) -> bool:
        """The fingerprint stands in for a name."""
        return self.fingerprint.startswith(self.name)


def poses(who: PeerIdentity) -> events.Warning:
    """What the user is told of somebody who claims a contact's name, and nobody else is."""
    text = (
        f"somebody claims the name of your contact {who.poses_as} with another key, and is shown as {who.name}; "
        f"to learn whose key that is, ask {who.poses_as} over another channel"
    )
    return events.Warning("not-your-contact", text, who.name, who.fingerprint)


def own_key() -> P2PCallError:
    """The other end proves our own key: that is nobody to talk to."""
    text = (
        "the other end has your own key: it is this machine, or another one with a copy of the key, "
        "or something that sends back what it gets"
    )
    return P2PCallError(
        "own-key", text, ExitCode.UNTRUSTED, "p2pcall listen --home DIR, for somebody else here"
    )


class TrustStore:
    """The contacts, asked in the words of a call."""

    def __init__(self, contacts: Contacts, own: bytes) -> None:
        self._contacts, self._own = contacts, own

    def expected_key(self, name: str) -> bytes | None:
        """The key pinned under a name that the user dials, if there is one. P2PCallError (usage) if it is blocked."""
        contact = self._contacts.by_name(name)
        if contact is not None and contact.blocked:
            raise _blocked(contact.name)
        return None if contact is None else contact.public

    def let_in(self) -> dict[bytes, str]:
        """The keys of all contacts but the blocked, with their names, the one kept last first."""
        contacts = sorted(self._contacts.all(), key=lambda contact: contact.added, reverse=True)
        return {contact.public: contact.name for contact in contacts if not contact.blocked}

    def stamp(self) -> object:
        """Equal to an earlier one as long as nobody has changed the contacts."""
        return self._contacts.stamp()

    def is_contact(self, public: bytes) -> bool:
        """The key is pinned under some name, and not blocked."""
        contact = self._contacts.by_key(public)
        return contact is not None and not contact.blocked

    def is_blocked(self, public: bytes) -> bool:
        """The user wants nothing of whoever has this key, a contact or not. P2PCallError if that cannot be read."""
        return fingerprint(public) in self._contacts.blocked()

    def identify(self, public: bytes, name: str) -> PeerIdentity:
        """Who proved `public` where the user dialled `name`, or an address at which somebody claims that name.

        P2PCallError `key-changed` if it is somebody else's, `blocked-key` if the user wants nothing of whoever it is.
        """
        if self.is_blocked(public):
            contact = self._contacts.by_key(public)
            raise _blocked(fingerprint(public) if contact is None else contact.name)
        who = self.introduce(public, name)
        other = self._contacts.by_name(who.poses_as) if who.poses_as else None
        if other is not None:
            raise key_changed(other.name, other.public, public)
        return who

    def introduce(self, public: bytes, claimed: str) -> PeerIdentity:
        """Who proved `public` and calls itself `claimed`, for which there is nothing but its word."""
        contact = self._contacts.by_key(public)
        if contact is not None:
            known = "verified" if contact.verified else "contact"
            return PeerIdentity(contact.name, fingerprint(public), known)
        nameless = fingerprint(public)[:SHORT_FINGERPRINT]
        name = names.kept(claimed) or nameless
        other = self._contacts.by_name(name)
        if other is not None:
            return PeerIdentity(nameless, fingerprint(public), "new", other.name)
        return PeerIdentity(name, fingerprint(public), "new")

    def is_host(self, name: str) -> bool:
        """The contact of this name was dialled as a host that the system's resolver knows."""
        contact = self._contacts.by_name(name)
        return contact is not None and contact.host

    def pin(self, name: str, public: bytes, epoch: float, *, host: bool = False) -> None:
        """Keep the key under `name`, which is a `host`'s or not; nothing if it is kept already."""
        if self._contacts.by_key(public) is None:
            self._contacts.pin(name, public, epoch, host=host)

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

        A name that nobody could dial gives way to the beginning of the fingerprint. None if somebody else changed it
        meanwhile. P2PCallError as the store raises it.
        """
        kept = fingerprint(public)[:SHORT_FINGERPRINT] if undialable(name) else name
        self.pin(kept, public, epoch)
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


def _blocked(who: str) -> P2PCallError:
    """A call to somebody who is blocked would tell them more than silence does."""
    hint = f"p2pcall contacts unblock {as_typed(who)}"
    return P2PCallError("blocked-key", f"{who} is blocked", ExitCode.USAGE, hint)
