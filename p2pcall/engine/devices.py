"""The devices of one call: looked for before it, started only once both sides have said yes.

Leaves out what becomes of sound devices that fail in it (`sound`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from p2pcall.codec.voice_processing import voice_processing
from p2pcall.device.base import AudioSink, AudioSource, PictureOut, VideoSource
from p2pcall.device.factory import (
    Inputs,
    is_microphone,
    is_speaker,
    open_audio_sink,
    open_audio_source,
    open_video_sink,
    open_video_source,
    sound_meaning,
)
from p2pcall.device.names import PICTURE_SUFFIXES, SOUND_SUFFIXES, is_read_once, is_there, of_picture
from p2pcall.device.outfile import OutFile, check_not_the_same, same_file
from p2pcall.device.pace import MediaClock, Ticker
from p2pcall.device.streams import is_stream
from p2pcall.engine.echo import EchoAudio, EchoVideo
from p2pcall.engine.loudspeaker import Loudspeaker
from p2pcall.engine.offload import offload
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.engine.sound import OnFailure, SupervisedSink, SupervisedSource
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.view.probe import PICTURE_MODES

WINDOW: Final = "window"
"""The value of --video-out that draws in a window."""
SCREEN_MODES: Final = ("auto", *PICTURE_MODES, WINDOW)
"""Values of --video-out that draw on a screen: the terminal, or a window."""
STDIN_PATH: Final = "/dev/stdin"


class NoteRelay:
    """From whichever thread reads an input to whoever tells people."""

    def __init__(self) -> None:
        self.on_note: Callable[[str], None] | None = None

    def __call__(self, text: str) -> None:
        if self.on_note is not None:
            self.on_note(text)


@dataclass(slots=True)
class Devices:
    """What one call hears, plays, films and shows. `None`: that direction is off.

    Without sound of our own the microphone is a silence that is sent like sound, so that nobody sees from outside.
    """

    microphone: SupervisedSource
    sends_audio: bool
    """There is something to say."""
    speaker: SupervisedSink
    open_camera: Callable[[], VideoSource] | None
    video_sink: PictureOut | None
    warnings: list[P2PCallError] = field(default_factory=list)
    files: list[OutFile] = field(default_factory=list)
    """What is written."""
    notes: NoteRelay = field(default_factory=NoteRelay)
    """What inputs have to say while they are read."""
    finite_video: bool = False
    """The picture has an end of its own."""
    one_file: bool = False
    """Sound and picture are those of one file."""
    loudspeaker: Loudspeaker | None = None
    """Where a microphone may hear it."""

    @property
    def sends_video(self) -> bool:
        """There is something to show."""
        return self.open_camera is not None

    def close(self) -> None:
        """Stop whatever was started, in the loop; what a call has written is still to be completed."""
        self.microphone.stop()
        self.speaker.stop()

    def complete(self, on_failure: OnFailure) -> None:
        """After `close`: complete the files, which may wait for a disk, so not in the loop.

        `on_failure` is told here, in whichever thread, of sound that is not whole; a sink of pictures tells by itself.
        """
        try:
            self.speaker.complete()
        except P2PCallError as error:
            on_failure(error)
        finally:
            if self.video_sink is not None:
                self.video_sink.close()


def open_devices(
    settings: CallSettings, env: Env, call: int = 0, *, loop: asyncio.AbstractEventLoop | None = None
) -> Devices:
    """Look for everything that `settings` names; nothing is captured yet. P2PCallError with exit 6 or 2.

    `call` counts the calls of one `listen`: files that a former call has written are not overwritten, even by force.
    """
    loop = loop or asyncio.get_running_loop()
    if settings.echo:
        return _echo_devices()
    media = settings.media
    stdin = env.stdin.buffer if "-" in (media.audio_in, media.video_in) else None
    stdout = _stdout(env) if "-" in (media.audio_out, media.video_out) else None
    notes = NoteRelay()
    inputs = _inputs(media, notes)
    ticker = Ticker(loop)  # of both: one wake-up

    def source(spec: str) -> AudioSource:
        return open_audio_source(spec, loop, inputs, stdin=stdin, ticker=ticker)

    warnings = _meanings(media)
    written = {"--audio-out": media.audio_out, "--video-out": media.video_out}
    files = {
        option: OutFile(value, force=media.force and not call)
        for option, value in written.items()
        if _is_file(value)
    }
    pipes = {option: OutFile(value) for option, value in written.items() if is_stream(value)}
    check_not_the_same({"--audio-in": media.audio_in, "--video-in": media.video_in}, pipes | files)
    for file in files.values():
        warnings += [P2PCallError("file-found", text, ExitCode.OK) for text in file.check()]

    def sink(spec: str) -> AudioSink:
        return open_audio_sink(
            spec, loop, stdout=stdout, file=files.get("--audio-out"), raw=media.raw, ticker=ticker
        )

    heard, played = _sound(lambda: source(media.audio_in), lambda: sink(media.audio_out))
    microphone = SupervisedSource(heard, source, media.audio_in)
    speaker = SupervisedSink(played, sink, media.audio_out)
    camera, finite = _camera(media, env, inputs, warnings)
    show = None
    if media.video_out not in (*SCREEN_MODES, "none"):
        show = open_video_sink(media.video_out, stdout=stdout, file=files.get("--video-out"))
    sends = media.audio_in != "none"
    one_file = finite and inputs.clock is not None
    loudspeaker = _loudspeaker(media, warnings)
    return Devices(
        microphone,
        sends,
        speaker,
        camera,
        show,
        warnings,
        [*files.values()],
        notes,
        finite,
        one_file,
        loudspeaker,
    )


async def look_for_devices(settings: CallSettings, env: Env, call: int = 0) -> Devices:
    """`open_devices` beside the loop: files and sound servers may be slow."""
    loop = asyncio.get_running_loop()
    if settings.echo:
        return open_devices(settings, env)
    return await offload(lambda: open_devices(settings, env, call, loop=loop))


def _inputs(media: MediaSettings, notes: NoteRelay) -> Inputs:
    """P2PCallError (exit 2) if one stream is to be read twice."""
    heard, seen = (STDIN_PATH if spec == "-" else spec or "" for spec in (media.audio_in, media.video_in))
    if is_stream(heard) and is_stream(seen) and same_file(Path(heard), Path(seen)):
        text = f"{media.audio_in} can be read once: as sound or as picture"
        raise P2PCallError("same-file", text, ExitCode.USAGE, "write it to a file first, or use two pipes")
    together = (
        media.video_in is not None
        and is_there(media.audio_in)
        and is_there(media.video_in)
        and not is_stream(media.audio_in)
        and same_file(Path(media.audio_in), Path(media.video_in))
    )
    return Inputs(
        loop=media.loop,
        raw=media.raw,
        audio_track=media.audio_track,
        video_track=media.video_track,
        fps=media.fps,
        clock=MediaClock() if together else None,
        note=notes,
    )


def _meanings(media: MediaSettings) -> list[P2PCallError]:
    """What is to be said about words that could be two things, for there is a file of that name, and of `--loop`."""
    meanings = [sound_meaning(media.audio_in, "input")] if is_there(media.audio_in) else []
    meanings += [sound_meaning(media.audio_out, "output")] if is_there(media.audio_out) else []
    meanings += [of_picture(media.video_in)] if media.video_in is not None else []
    noted = [P2PCallError("device-or-file", one.note, ExitCode.OK) for one in meanings if one.note]
    once = [spec for spec in (media.audio_in, media.video_in) if media.loop and spec and is_read_once(spec)]
    told = [
        f"{'standard input' if spec == '-' else spec} is read once: --loop repeats files" for spec in once
    ]
    return noted + [P2PCallError("not-repeated", text, ExitCode.OK) for text in told]


def _sound(
    open_source: Callable[[], AudioSource], open_sink: Callable[[], AudioSink]
) -> tuple[AudioSource, AudioSink]:
    """Both opened. P2PCallError of whichever cannot be; where both cannot, one error tells both."""
    try:
        source = open_source()
    except P2PCallError as error:
        try:
            open_sink().stop()
        except P2PCallError as other:
            raise _both(error, other) from error
        raise
    return source, open_sink()


def _loudspeaker(media: MediaSettings, warnings: list[P2PCallError]) -> Loudspeaker | None:
    """Files and pipes are sent as they are, and what goes to them is heard by no microphone."""
    if media.raw_audio or not (is_microphone(media.audio_in) and is_speaker(media.audio_out)):
        return None
    processing = voice_processing()
    if processing is None:
        text = "there is no echo canceller here: beside a loudspeaker one side is heard at a time"
        hint = "`pip install livekit`, or use headphones and --raw-audio"
        warnings.append(P2PCallError("no-echo-canceller", text, ExitCode.OK, hint))
    return Loudspeaker(processing)


def _both(error: P2PCallError, other: P2PCallError) -> P2PCallError:
    """A microphone and a speaker that are missing, in one."""
    if not error.exit is other.exit is ExitCode.DEVICE:
        return error
    text = error.text if error.text == other.text else f"{error.text}, and {other.text}"
    hint = error.hint and error.hint.replace("--audio-in none", "--no-audio")
    return P2PCallError(error.slug, text, error.exit, hint)


def _stdout(env: Env) -> BinaryIO:
    if env.stdout.isatty():
        raise P2PCallError(
            "stdout-terminal",
            "raw sound or picture is not for a terminal",
            ExitCode.USAGE,
            "... | aplay -f S16_LE -r 48000",
        )
    return env.stdout.buffer


def _is_file(sink: str) -> bool:
    return Path(sink).suffix.lower() in (*SOUND_SUFFIXES, *PICTURE_SUFFIXES)


def _camera(
    media: MediaSettings, env: Env, inputs: Inputs, warnings: list[P2PCallError]
) -> tuple[Callable[[], VideoSource] | None, bool]:
    """How to open the camera, and whether its picture has an end.

    It is opened by the call, not before; whether there is one is found out here.
    """
    if media.video_in == "none":
        return None, False
    spec = media.video_in or "camera"
    stdin = env.stdin.buffer if spec == "-" else None

    def opener() -> VideoSource:
        source = open_video_source(spec, inputs, stdin=stdin)
        assert source is not None
        return source

    if spec == "-":
        return opener, True
    try:
        source = opener()
        source.close()
    except P2PCallError as error:
        if media.video_in is not None or error.exit is not ExitCode.DEVICE:
            raise
        warnings.append(error)
        return None, False
    return opener, not source.endless


def _echo_devices() -> Devices:
    audio, video = EchoAudio(), EchoVideo()
    microphone = SupervisedSource(audio, lambda _: audio, "echo")
    speaker = SupervisedSink(audio.sink, lambda _: audio.sink, "none")
    return Devices(microphone, True, speaker, video.reopened, video)
