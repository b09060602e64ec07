"""The user's settings in one frozen record: the checked options of `listen`, `dial` and `demo`.

The defaults are those of p2pcall(1). `cli` parses the command line; nothing here reads argv.
"""

from msgspec import Struct

from p2pcall.device.raw import RawFormat
from p2pcall.engine.policy import RING_TIMEOUT_S, Announce, Answer
from p2pcall.store.recordings import RECORDING_DAYS
from p2pcall.types import Profile, Reach


class MediaSettings(Struct, frozen=True):
    """Sources and destinations of sound and picture; `auto` for video out is the terminal's best mode.

    `video_in` None: the camera, if there is one.
    """

    audio_in: str = "default"
    audio_out: str = "default"
    video_in: str | None = None
    video_out: str = "auto"
    loop: bool = False
    hangup_on_eof: bool = False
    force: bool = False
    """Overwrite an existing file."""
    raw: RawFormat | None = None
    """The format of raw sound on a pipe; None: detected from its first bytes, else the default."""
    audio_track: int | None = None
    video_track: int | None = None
    """Which track of a file with several, counted from 1."""
    fps: int | None = None
    """The rate of pictures without time stamps."""
    raw_audio: bool = False
    """The microphone as it is: nothing cancelled, suppressed or raised; and coded as music."""
    profile: Profile = Profile.NORMAL
    """What voice is sent for."""
    chosen_in: str | None = None
    chosen_out: str | None = None
    """Sound cards that are used in the place of the default ones while they are there."""


class CallSettings(Struct, frozen=True):
    """One `listen` or `dial`."""

    name: str
    media: MediaSettings = MediaSettings()
    port: int = 0
    port_given: bool = False
    bind: tuple[str, ...] = ()
    ring_timeout_s: float = RING_TIMEOUT_S
    answer: Answer = Answer.ASK
    reach: Reach | None = None
    """None: only contacts, once there are any."""
    announce: Announce = Announce.PUBLIC
    announce_on: tuple[str, ...] = ()
    """The names of the interfaces to announce on; empty means all."""
    once: bool = False
    max_duration_s: float | None = None
    confirm: bool = False
    """Ask before a key or the window's button hangs up."""
    echo: bool = False
    ring_on: str | None = None
    """A sound device to ring on, `none` for the terminal's bell alone; None: the speaker of the call."""
    sound_only: bool = False
    """The camera is off until a key switches it on."""
    record: str | None = None
    """Ask to record each call once it is up, to this file."""
    pin_file: str | None = None
    pin_command: str | None = None
    """Where a code comes from that the other side asks for; both None: a person is asked."""
    push_to_talk: bool = False
    """The microphone is on while a key is held."""
    recording_days: int = RECORDING_DAYS
    """How long a recording is kept."""
    unsaid: frozenset[str] = frozenset()
    """The fields that no option has set: what the user has lastingly chosen takes the place of the default."""

    @property
    def films_unasked(self) -> bool:
        """Whether a call that is answered without asking gets a picture: only where one was named."""
        return self.echo or (self.media.video_in is not None and not self.sound_only)
