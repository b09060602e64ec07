"""The contacts' side of private announcements: what is announced to them, and how they are recognised.

Left out: the form of the texts (`proto/presence`), mDNS (`net/private_announcer`, `net/private_lookup`).
"""

from collections.abc import Callable, Iterable, Mapping

from p2pcall.proto.handshake.noise import KeyPair, NoiseError
from p2pcall.proto.presence import PresenceFinder, announcement, presence_key
from p2pcall.types import Entropy


class PresenceKeys:
    """The keys shared with contacts for announcements; each is computed once, which takes 40 us."""

    def __init__(self, private: bytes, *, announcer: bool) -> None:
        """`private`: our own key. `announcer`: for announcing, else for recognising."""
        self._static, self._announcer = KeyPair.from_private(private), announcer
        self._keys: dict[bytes, bytes] = {}

    def of(self, contacts: Iterable[bytes]) -> dict[bytes, bytes]:
        """Public key -> shared key. A public key that gives none is left out: its owner cannot call either."""
        keys = {}
        for public in contacts:
            try:
                keys[public] = self._keys.get(public) or presence_key(
                    self._static, public, announcer=self._announcer
                )
            except NoiseError:
                continue
        self._keys = keys
        return keys

    def texts(self, contacts: Iterable[bytes], epoch: float, port: int, entropy: Entropy) -> list[bytes]:
        """The TXT records that announce us to these contacts, at this time of day."""
        return announcement(list(self.of(contacts).values()), epoch, port, entropy)


def recogniser(
    private: bytes, contacts: Mapping[bytes, str], wall: Callable[[], float]
) -> Callable[[bytes], tuple[str, int] | None]:
    """Finds whose announcement to us a TXT record is: the name in `contacts` and the port.

    `private` is our own key, `wall` the clock.
    """
    finder = PresenceFinder(PresenceKeys(private, announcer=False).of(contacts))

    def recognise(text: bytes) -> tuple[str, int] | None:
        found = finder.find(text, wall())
        return None if found is None else (contacts[found[0]], found[1])

    return recognise
