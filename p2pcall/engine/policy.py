"""What the user chooses by a word: who is answered, who is told; and how long it rings if nothing is chosen.

Light: the command line has it for its help, before anything is loaded that only a call needs.
"""

from enum import StrEnum
from typing import Final

RING_TIMEOUT_S: Final = 45.0
"""How long `dial` lets it ring; as long as telephones do."""

NEUTRAL_NAME: Final = "p2pcall"
"""What others are shown as the name of somebody who shows none."""


class Answer(StrEnum):
    """Who is answered without asking."""

    ASK = "ask"
    CONTACTS = "contacts"
    VERIFIED = "verified"
    ANYONE = "anyone"
    NEVER = "never"

    def takes(self, known: str) -> bool:
        """Whether a caller who is `known` (new, contact or verified) is answered without asking."""
        match self:
            case Answer.ANYONE:
                return True
            case Answer.CONTACTS:
                return known in ("contact", "verified")
            case Answer.VERIFIED:
                return known == "verified"
            case _:
                return False


class ShowName(StrEnum):
    """Whether others are shown a name where `--name` gives none."""

    OFF = "off"
    ON = "on"


class Announce(StrEnum):
    """Whether this side tells the LAN that it can be called."""

    OFF = "off"
    CONTACTS = "contacts"
    """Nobody else recognises it."""
    PUBLIC = "public"
