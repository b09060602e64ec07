"""A contact, and all contacts with the blocks: the records that the store's files are read into."""

from typing import Final

from msgspec import Struct, field

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


class Book(Struct):
    """All contacts, and the blocked fingerprints with their times (epoch seconds)."""

    contacts: list[Contact] = field(default_factory=list)
    blocked: dict[str, float] = field(default_factory=dict)
