"""What the user asked for, in one frozen record: the options of `listen`, `dial` and `demo`, checked.

Defaults are those of the contract. Parsing the command line is the business of `cli`; nothing here reads argv.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from p2pcall.device.raw import RawFormat
from p2pcall.types import Profile, Reach

RING_TIMEOUT_S: Final = 45.0
"""How long `dial` lets it ring, as telephones do."""


class Answer(StrEnum):
    """Who is answered without asking."""

    ASK = "ask"
    CONTACTS = "contacts"
    VERIFIED = "verified"
    ANYONE = "anyone"
    NEVER = "never"

    def takes(self, known: str) -> bool:
        """Whether somebody who is new, a contact or verified is answered without asking."""
        match self:
            case Answer.ANYONE:
                return True
            case Answer.CONTACTS:
                return known in ("contact", "verified")
            case Answer.VERIFIED:
                return known == "verified"
            case _:
                return False


class Announce(StrEnum):
    """Whether this side tells the LAN that it can be called."""

    OFF = "off"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Where sound and picture come from and go to; `auto` for video out is the best that the terminal can do.

    `video_in` None is the camera if there is one.
    """

    audio_in: str = "default"
    audio_out: str = "default"
    video_in: str | None = None
    video_out: str = "auto"
    loop: bool = False
    hangup_on_eof: bool = False
    force: bool = False
    """Write over a file that is there."""
    raw: RawFormat | None = None
    """What raw sound on a pipe is; None: what its first bytes tell, else the usual."""
    audio_track: int | None = None
    video_track: int | None = None
    """Of a file with several: counted from 1."""
    fps: int | None = None
    """The rate of pictures without time stamps."""
    profile: Profile = Profile.NORMAL
    """What voice is sent for."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """One `listen` or `dial`."""

    name: str
    media: MediaSettings = MediaSettings()
    port: int = 0
    port_given: bool = False
    bind: tuple[str, ...] = ()
    ring_timeout_s: float = RING_TIMEOUT_S
    answer: Answer = Answer.ASK
    reach: Reach | None = None
    """None: the contacts, once there are any."""
    announce: Announce = Announce.PUBLIC
    once: bool = False
    max_duration_s: float | None = None
    confirm: bool = False
    """Ask before a key or the window's button hangs up."""
    echo: bool = False
