"""How a first contact goes on and ends: the two events of both sides."""

from enum import StrEnum

from msgspec import Struct

from p2pcall.pairing.key_exchange import Introduction


class PairingEnd(StrEnum):
    """How it ended."""

    PAIRED = "paired"
    UNCONFIRMED = "unconfirmed"
    """Inviter: kept here, but the joiner has not said that it has kept us."""
    EXPIRED = "expired"
    """Inviter: nobody came in time."""
    WRONG_CODE = "wrong-code"
    """The other side does not know the code."""
    REFUSED = "refused"
    """Joiner: the other side says that we do not know the code."""
    UNUSABLE = "unusable"
    """The other side knows the code, and did not prove the key that it gave."""
    OWN_KEY = "own-key"
    OTHER_KEY = "other-key"
    """Joiner: it is not the key in the URI."""
    NO_ANSWER = "no-answer"
    """Joiner: no such invite there: unknown, used, expired."""
    LOST = "lost"
    """Joiner: it has said its proof and got no answer."""


class Met(Struct, frozen=True):
    """The other side is known. The owner keeps it, then calls `keep`."""

    who: Introduction


class PairingOver(Struct, frozen=True):
    """Nothing more will come."""

    end: PairingEnd


PairingEvent = Met | PairingOver
