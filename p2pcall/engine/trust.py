"""Identity of the other side: the claimed name and the proven key are compared with the contacts.

Keys are pinned under the user's own names. If the user dials a name that is pinned to another key, the call stops: no
media, no question that the user could dismiss, only a hint how to pair again on purpose. The name that a caller claims
proves nothing: a caller who claims a contact's name is shown without a name, and does not learn this.
"""

from msgspec import Struct

from p2pcall import events, names
from p2pcall.engine.permissions import ContactPermissions
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import undialable
from p2pcall.proto.handshake.safety_number import identity_key, identity_uri, safety_number, safety_uri
from p2pcall.store.contact import SHORT_FINGERPRINT, Contact
from p2pcall.store.contacts import Contacts, as_typed, key_changed
from p2pcall.store.factors import Factors
from p2pcall.store.identity import fingerprint


class PeerIdentity(Struct, frozen=True):
    """What this side knows about the other side: `known` is new, contact or verified."""

    name: str
    fingerprint: str
    known: str
    poses_as: str = ""
    """The contact whose name was claimed with another key; then `name` is the start of the fingerprint."""

    @property
    def nameless(self) -> bool:
        """Whether the fingerprint is shown in place of a name."""
        return self.fingerprint.startswith(self.name)


def poses(who: PeerIdentity) -> events.Warning:
    """The warning about a caller who claims a contact's name; only the user gets it."""
    text = (
        f"somebody claims the name of your contact {who.poses_as} with another key, and is shown as {who.name}; "
        f"to learn whose key that is, ask {who.poses_as} over another channel"
    )
    return events.Warning("not-your-contact", text, who.name, who.fingerprint)


def own_key() -> P2PCallError:
    """The error if the other side proves our own key: then there is nobody to talk to."""
    text = (
        "the other end has your own key: it is this machine, or another one with a copy of the key, "
        "or something that sends back what it gets"
    )
    return P2PCallError(
        "own-key", text, ExitCode.UNTRUSTED, "p2pcall listen --home DIR, for somebody else here"
    )


def safe_key(public: bytes) -> bool:
    """Whether it is of no low order: everybody knows the secret that such a key gives with any other."""
    try:
        return identity_key(identity_uri(public)) == public
    except ValueError:
        return False


class TrustStore:
    """The contacts, with the questions that a call has about them."""

    def __init__(self, contacts: Contacts, own: bytes) -> None:
        self._contacts, self._own = contacts, own
        self.factors = Factors(contacts.vault)
        self.permissions = ContactPermissions(contacts)

    def expected_key(self, name: str) -> bytes | None:
        """The key pinned to a dialled name, or None. P2PCallError (usage) if it is blocked."""
        contact = self._contacts.by_name(name)
        if contact is not None and contact.blocked:
            raise _blocked(contact.name)
        return None if contact is None else contact.public

    def let_in(self) -> dict[bytes, str]:
        """The keys of all contacts who may ring, with their names; the contact kept last comes first."""
        return self.permissions.ringers()

    def stamp(self) -> object:
        """A value that stays equal as long as nobody changes the contacts."""
        return self._contacts.stamp()

    def is_contact(self, public: bytes) -> bool:
        """Whether the key is pinned to a name and not blocked."""
        contact = self._contacts.by_key(public)
        return contact is not None and not contact.blocked

    def is_blocked(self, public: bytes) -> bool:
        """Whether the user has blocked this key, a contact's or not. P2PCallError if the file cannot be read."""
        return fingerprint(public) in self._contacts.blocked()

    def identify(self, public: bytes, name: str) -> PeerIdentity:
        """The identity of the owner of `public`. The user dialled `name`, or an address whose owner claims `name`.

        P2PCallError `key-changed` if the name has another key, `blocked-key` if the key is blocked.
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
        """The identity of a caller who proved `public` and only claims the name `claimed`."""
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
        """Whether the contact of this name was dialled as a host that the system's resolver knew."""
        contact = self._contacts.by_name(name)
        return contact is not None and contact.host

    def pin(self, name: str, public: bytes, epoch: float, *, host: bool = False) -> None:
        """Keep the key under `name` (`host`: it is a host name); does nothing if the key is kept already."""
        if self._contacts.by_key(public) is None:
            self._contacts.pin(name, public, epoch, host=host)

    def safety_number(self, public: bytes) -> tuple[str, ...]:
        """Twelve groups of five digits, the same on the side whose key is `public`. Takes some milliseconds."""
        return safety_number(self._own, public)

    def safety_uri(self, number: tuple[str, ...]) -> str:
        """The content of a safety number's QR code."""
        return safety_uri(number)

    def own_uri(self) -> str:
        """The content of our own key's QR code."""
        return identity_uri(self._own)

    def key_in(self, uri: str) -> bytes:
        """The key in another person's URI. ValueError, with the reason in plain words."""
        public = identity_key(uri)
        if public == self._own:
            raise ValueError("that is your own key")
        return public

    def verify(self, name: str, public: bytes, epoch: float) -> Contact | None:
        """The words were the same: mark the contact as verified; a key without a contact is kept under `name`.

        If the name cannot be dialled, the start of the fingerprint is used. None if another process has changed the
        contact meanwhile. P2PCallError as the store raises it.
        """
        kept = fingerprint(public)[:SHORT_FINGERPRINT] if undialable(name) else name
        self.pin(kept, public, epoch)
        contact = self._contacts.by_key(public)
        return None if contact is None else self._contacts.verify(contact.name, public)

    def distrust(self, public: bytes, *, forget: bool) -> Contact | None:
        """The words were not the same: remove the mark or, with `forget`, the contact.

        Returns the contact as it was; None if no contact has the key. P2PCallError as the store raises it.
        """
        contact = self._contacts.by_key(public)
        if contact is not None and forget:
            return self._contacts.remove(contact.name)
        if contact is not None:
            self._contacts.verify(contact.name, public, verified=False)
        return contact


def _blocked(who: str) -> P2PCallError:
    """The error for a blocked person: a call would tell them more than silence does."""
    hint = f"p2pcall contacts unblock {as_typed(who)}"
    return P2PCallError("blocked-key", f"{who} is blocked", ExitCode.USAGE, hint)
