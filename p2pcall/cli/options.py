"""The options that commands share: one definition each, with its help; and their conversion to `CallSettings`."""

import getpass
import socket
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from p2pcall import names
from p2pcall.cli.values import choice_metavar, interface, one_of, seconds, usage, whole
from p2pcall.engine.policy import NEUTRAL_NAME, RING_TIMEOUT_S, Announce, Answer
from p2pcall.media.constants import MAX_FPS, MAX_U16
from p2pcall.pairing.constants import CODE_WORDS, MAX_CODE_WORDS
from p2pcall.proto.constants import NAME_BYTES
from p2pcall.types import Profile, Reach

if TYPE_CHECKING:
    from p2pcall.engine.settings import CallSettings, MediaSettings

AudioIn = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        help="Microphone: a device name, default, a media file, - (raw PCM), tone, silence, none.",
    ),
]
AudioOut = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        help="Speaker: a device name, default, a .wav, .ogg or .flac file, - (raw PCM), none.",
    ),
]
VideoIn = Annotated[
    str | None,
    typer.Option(
        metavar="WHAT",
        show_default="camera, if there is one",
        help="Camera: camera, camera:NAME, screen, a media or picture file, test, - (y4m), none.",
    ),
]
VideoOut = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        help="Where to draw: auto, blocks, ascii, quadrants, sextants, braille, kitty, sixel, window, a file, "
        "- (y4m), none.",
    ),
]
NoAudio = Annotated[bool, typer.Option("--no-audio", help="Same as --audio-in none --audio-out none.")]
NoVideo = Annotated[bool, typer.Option("--no-video", help="Same as --video-in none --video-out none.")]
Loop = Annotated[bool, typer.Option("--loop", help="Repeat an input file.")]
HangupOnEof = Annotated[bool, typer.Option("--hangup-on-eof", help="Hang up when the input ends.")]
AudioFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        show_default="s16le:48000:1",
        help="Raw sound on a pipe: s16le or f32le, rate, channels.",
    ),
]
AudioTrack = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole("--audio-track", 1),
        show_default="the default one",
        help="Which sound of the input file.",
    ),
]
VideoTrack = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole("--video-track", 1),
        show_default="the default one",
        help="Which picture of the input file.",
    ),
]
Fps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole("--fps", 1, MAX_FPS),
        show_default="25",
        help="Rate of an input picture without time stamps.",
    ),
]
RawAudio = Annotated[
    bool, typer.Option("--raw-audio", help="Send the microphone as it is: for music, with headphones.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default="your login name",
        help="What you call yourself.",
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole("--port", 0, MAX_U16),
        show_default="51729",
        help="UDP port; 0 is any free one.",
    ),
]
Bind = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDR", help="Use only this address of the machine (repeatable)."),
]
Timeout = Annotated[
    float,
    typer.Option(metavar="SECONDS", parser=seconds("--timeout"), help="Give up ringing after so long."),
]
WhoIsAnswered = Annotated[
    Answer | None,
    typer.Option(
        metavar=choice_metavar(Answer),
        parser=one_of("--answer", Answer),
        show_default=str(Answer.ASK),
        help="Who is answered without asking.",
    ),
]
WhoCanRing = Annotated[
    Reach | None,
    typer.Option(
        metavar=choice_metavar(Reach),
        parser=one_of("--reach", Reach),
        show_default="contacts, once there are any",
        help="Who can make this side ring; to all others the port is silent.",
    ),
]
ToldTo = Annotated[
    Announce | None,
    typer.Option(
        metavar=choice_metavar(Announce),
        parser=one_of("--announce", Announce),
        show_default=str(Announce.PUBLIC),
        help="Tell the local network that you can be called.",
    ),
]
ToldOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="INTERFACE",
        parser=interface("--announce-on"),
        help="Announce only on this network interface (repeatable).",
    ),
]
MaxDuration = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", parser=seconds("--max-duration"), help="Hang up after so long."),
]
DemoLength = Annotated[
    float, typer.Option(metavar="SECONDS", parser=seconds("--seconds"), help="How long the call lasts.")
]
RingOn = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        show_default="the speaker of the call",
        help="Where it rings: a device name, default, none.",
    ),
]
PinFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="Where the code is that the other side may ask for.")
]
PinCommand = Annotated[
    str | None, typer.Option(metavar="COMMAND", help="A program that prints that code, run when it is asked.")
]
TalkKey = Annotated[bool, typer.Option("--push-to-talk", help="The microphone is on while space is held.")]
SentFor = Annotated[
    Profile,
    typer.Option(
        "--profile",
        metavar=choice_metavar(Profile),
        parser=one_of("--profile", Profile),
        help="How voice is sent: fast has less delay, safe hides more loss.",
    ),
]
SoundOnly = Annotated[
    bool, typer.Option("--sound-only", help="Begin with sound alone: v switches the camera on.")
]
Record = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Ask to record the call, sealed, once it is up.", show_default=False),
]
Confirm = Annotated[bool, typer.Option("--confirm", help="Ask before q, or closing the window, hangs up.")]
KeptAs = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        show_default="what they call themselves",
        help="Your name for the other person.",
    ),
]
CodeWords = Annotated[
    int,
    typer.Option(
        "--words",
        metavar="N",
        parser=whole("--words", CODE_WORDS, MAX_CODE_WORDS),
        help="Words in the code; each makes a guess 256 times harder.",
    ),
]
ContactName = Annotated[str, typer.Argument(metavar="NAME", help="The contact's name.")]
Blocked = Annotated[str, typer.Argument(metavar="WHO", help="A contact's name, or a whole fingerprint.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Events on stdout, one JSON object a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Plain = Annotated[bool, typer.Option("--plain", help="No cursor movement: one line a second.")]
PassphraseFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", show_default=False, help="Its first line opens the sealed private key."),
]
NewPassphraseFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", show_default=False, help="Its first line is the new passphrase."),
]
HomeDir = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="DIR",
        envvar="P2PCALL_HOME",
        show_default=False,
        help="Keep keys and contacts here.",
    ),
]

CHOSEN_LASTINGLY: Final = ("name", "answer", "announce", "recording_days")
"""Settings of a call for which `p2pcall privacy settings` counts where no option is given."""


class ReservedMode(StrEnum):
    """Values of --video-out that later versions may support; until then they are refused with a clear message."""

    OCTANTS = "octants"
    ITERM = "iterm"


def check_video_out(value: str) -> None:
    """P2PCallError for a drawing mode that is not implemented yet."""
    if value in list(ReservedMode):
        raise usage(f"--video-out {value} is not available in this version", "--video-out auto")


def check_untested(audio_in: str, audio_out: str) -> None:
    """P2PCallError for devices that are named where none is tested."""
    for option, value in (("--audio-in", audio_in), ("--audio-out", audio_out)):
        if value != "default":
            raise usage(f"{option} is only for --test: it says which device to try", "p2pcall devices --test")


def media_settings(given: Mapping[str, Any]) -> "MediaSettings":
    """The media options as parsed (parameter name -> value), checked against each other."""
    from p2pcall.device.raw import RawFormat
    from p2pcall.engine.settings import MediaSettings

    audio_in, audio_out = given["audio_in"], given["audio_out"]
    if given["no_audio"]:
        for option, value in (("--audio-in", audio_in), ("--audio-out", audio_out)):
            if value not in ("default", "none"):
                raise usage(f"--no-audio and {option} {value}: one or the other")
        audio_in = audio_out = "none"
    video_in, video_out = given["video_in"], given["video_out"]
    if given["no_video"]:
        video_in = video_out = "none"
    audio_in, audio_out = _standard(audio_in, 0), _standard(audio_out, 1)
    video_in, video_out = video_in and _standard(video_in, 0), _standard(video_out, 1)
    check_video_out(video_out)
    outputs = {"--audio-out": audio_out, "--video-out": video_out}
    to_stdout = [option for option, value in outputs.items() if value == "-"]
    if len(to_stdout) > 1:
        raise usage("only one of --audio-out and --video-out can be -")
    if to_stdout and given["json"]:
        raise usage(f"--json and {to_stdout[0]} - both want stdout")
    if audio_in == "-" and video_in == "-":
        raise usage("only one of --audio-in and --video-in can be -")
    return MediaSettings(
        audio_in,
        audio_out,
        video_in,
        video_out,
        given["loop"],
        given["hangup_on_eof"],
        given["force"],
        None if given["audio_format"] is None else RawFormat.parse(given["audio_format"]),
        given["audio_track"],
        given["video_track"],
        given["fps"],
        given["raw_audio"],
        given["profile"],
    )


def _standard(value: str, number: int) -> str:
    """`-` if the value is another name of standard input (0) or output (1)."""
    names = (f"/dev/fd/{number}", f"/proc/self/fd/{number}", ("/dev/stdin", "/dev/stdout")[number])
    return "-" if value in names else value


def own_name(name: str | None) -> str:
    """This side's name: `--name`, else the login name, else the host name; always one that can be dialled."""
    if name is None:
        return _default_name()
    if not names.printable(name) or not names.tidy(name):
        raise usage("--name wants one to 64 printable characters")
    name = names.tidy(name)
    if len(name.encode()) > NAME_BYTES:
        raise usage(f"--name has one to {NAME_BYTES} bytes of UTF-8")
    check_dialable(name, "--name")
    return name


def check_dialable(name: str, what: str) -> None:
    """P2PCallError (usage) if this name could not be dialled; `what` says in the message where the name is from."""
    from p2pcall.net.address import undialable

    why = undialable(name)
    if why is not None:
        hint = "take letters, digits, spaces, dots and hyphens, for example jan.smit"
        raise usage(f"{what} {name!r} could not be dialled: {why}", hint)


def _default_name() -> str:
    """The usable part of the login name, else of the host name, else the program's own name."""
    from p2pcall.net.address import undialable

    found = [socket.gethostname()]
    with suppress(KeyError, OSError):
        found.insert(0, getpass.getuser())
    for one in found:
        text = "".join(char for char in one if names.printable(char))
        name = names.shortened(text, NAME_BYTES)
        if name and undialable(name) is None:
            return name
    return NEUTRAL_NAME


def call_settings(given: Mapping[str, Any]) -> "CallSettings":
    """All options of `listen` or `dial` as parsed (parameter name -> value) in one record."""
    from p2pcall.engine.settings import CallSettings
    from p2pcall.net.address import DEFAULT_PORT

    port = given["port"]
    if given.get("pin_file") is not None and given.get("pin_command") is not None:
        raise usage("--pin-file and --pin-command: one or the other")
    return CallSettings(
        name=own_name(given["name"]),
        media=media_settings(given),
        port=DEFAULT_PORT if port is None else port,
        port_given=port is not None,
        bind=tuple(given["bind"] or ()),
        ring_timeout_s=given.get("timeout", RING_TIMEOUT_S),
        answer=given.get("answer") or Answer.ASK,
        reach=given.get("reach"),
        announce=given.get("announce") or Announce.PUBLIC,
        announce_on=tuple(given.get("announce_on") or ()),
        once=given.get("once", False),
        max_duration_s=given["max_duration"],
        confirm=given["confirm"],
        echo=given.get("echo", False),
        ring_on=given.get("ring_on"),
        push_to_talk=given["push_to_talk"],
        sound_only=given["sound_only"],
        record=given["record"],
        pin_file=given.get("pin_file"),
        pin_command=given.get("pin_command"),
        unsaid=frozenset(name for name in CHOSEN_LASTINGLY if given.get(name) is None),
    )
