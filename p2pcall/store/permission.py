"""What a contact may be allowed: apart from the record of a contact, for whoever only asks for help."""

from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """What a contact may be allowed."""

    RING = "ring"
    SOUND = "sound"
    """To be answered without a question, with this side's sound."""
    PICTURE = "picture"
    PRESENCE = "presence"
    """To see that this side can be called."""

    @property
    def field(self) -> str:
        """Where a `Contact` has it."""
        return _FIELDS[self]


_FIELDS: Final = {
    Permission.RING: "may_ring",
    Permission.SOUND: "sound_unasked",
    Permission.PICTURE: "picture_unasked",
    Permission.PRESENCE: "sees_announced",
}
