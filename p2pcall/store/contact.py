"""A contact, and all contacts with the blocks: the records that the store's files are read into."""

from collections.abc import Collection
from typing import Final

from msgspec import Struct, field

from p2pcall.store.permission import Permission

SHORT_FINGERPRINT: Final = 9
"""Characters of the fingerprint that are shown for a person without a name."""


class Contact(Struct, frozen=True):
    """The user's name for a person, their key, when it was pinned (epoch seconds), whether verified or blocked."""

    name: str
    public: bytes
    added: float
    verified: bool = False
    blocked: bool = False
    host: bool = False
    """The name is a host name that the system's resolver has resolved, so it may be resolved again."""
    may_ring: bool = True
    sound_unasked: bool = False
    picture_unasked: bool = False
    """Whether sound, picture, of a call from them is answered without a question."""
    sees_announced: bool = True
    """Whether they may see that this side can be called."""

    @property
    def rings(self) -> bool:
        """Whether a call of theirs is told here at all; else they are treated as a stranger whom nobody answers."""
        return self.may_ring and not self.blocked

    @property
    def allowed(self) -> tuple[Permission, ...]:
        """The permissions as the user has set them; a block takes none of them away."""
        return tuple(one for one in Permission if getattr(self, one.field))


_FROM_THE_START: Final = Contact("", b"", 0.0).allowed


def unusual_permissions(allowed: Collection[Permission]) -> list[str]:
    """What differs from a new contact's, in a word each: `no ring`, `sound`."""
    differs = [one for one in Permission if (one in allowed) is not (one in _FROM_THE_START)]
    return [one if one in allowed else f"no {one}" for one in differs]


class Book(Struct):
    """All contacts, and the blocked fingerprints with their times (epoch seconds)."""

    contacts: list[Contact] = field(default_factory=list)
    blocked: dict[str, float] = field(default_factory=dict)
