"""The devices of one call: found before it, started only after both sides have agreed.

Left out: sound devices that fail during the call (`sound`).
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from msgspec import Struct, field

from p2pcall.codec.voice_processing import voice_processing
from p2pcall.device.base import AudioSink, AudioSource, PictureOut, VideoSource
from p2pcall.device.factory import (
    Inputs,
    card_polls,
    is_microphone,
    is_speaker,
    open_audio_sink,
    open_audio_source,
    open_microphone,
    open_speaker,
    open_video_sink,
    open_video_source,
    sound_meaning,
)
from p2pcall.device.names import PICTURE_SUFFIXES, SOUND_SUFFIXES, is_read_once, is_there, of_picture
from p2pcall.device.outfile import OutFile, check_not_the_same, same_file
from p2pcall.device.pace import CardCounts, CardPolls, MediaClock, Ticker
from p2pcall.device.streams import is_stream
from p2pcall.engine.echo import EchoAudio, EchoVideo
from p2pcall.engine.loudspeaker import Loudspeaker
from p2pcall.engine.offload import offload
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.engine.sound import Chosen, OnFailure, Stoppable, SupervisedSink, SupervisedSource
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.view.probe import PICTURE_MODES

_D = TypeVar("_D", bound=Stoppable)
WINDOW: Final = "window"
"""The value of --video-out that draws in a window."""
SCREEN_MODES: Final = ("auto", *PICTURE_MODES, WINDOW)
"""Values of --video-out that draw on a screen: the terminal, or a window."""
RING_HINT: Final = "a name of `p2pcall devices`, default, or none"
STDIN_PATH: Final = "/dev/stdin"


class NoteRelay:
    """Passes notes from the thread that reads an input to the receiver that shows them to people."""

    def __init__(self) -> None:
        self.on_note: Callable[[str], None] | None = None

    def __call__(self, text: str) -> None:
        if self.on_note is not None:
            self.on_note(text)


class Devices(Struct):
    """The sources and sinks of one call's sound and picture. `None`: that direction is off.

    Without own sound the microphone is silence, which is sent like sound, so that an observer sees no difference.
    """

    microphone: SupervisedSource
    sends_audio: bool
    """Whether this side sends sound of its own."""
    speaker: SupervisedSink
    open_camera: Callable[[], VideoSource] | None
    video_sink: PictureOut | None
    ring_on: SupervisedSink | None = None
    """Where a call rings, if that is not the speaker."""
    silent_ring: bool = False
    """It rings on no device."""
    warnings: list[P2PCallError] = field(default_factory=list)
    files: list[OutFile] = field(default_factory=list)
    """Files that the call writes."""
    notes: NoteRelay = field(default_factory=NoteRelay)
    """Notes of inputs while they are read."""
    finite_video: bool = False
    """Whether the picture has an end."""
    one_file: bool = False
    """Whether sound and picture come from one file."""
    loudspeaker: Loudspeaker | None = None
    """Where a microphone may hear it."""
    counts: CardCounts = field(default_factory=CardCounts)
    """Of its cards, if there are any."""

    @property
    def sends_video(self) -> bool:
        """Whether this side has a picture to send."""
        return self.open_camera is not None

    @property
    def ringer(self) -> SupervisedSink | None:
        """What a call rings on: something that a person hears; None: there is the terminal's bell."""
        if self.ring_on is not None or self.silent_ring:
            return self.ring_on
        return self.speaker if self.speaker.is_card else None

    def close(self) -> None:
        """Stop everything that was started, in the loop. Call `complete` afterwards for the written files."""
        self.microphone.stop()
        self.speaker.stop()

    def complete(self, on_failure: OnFailure) -> None:
        """After `close`: complete the files. This may wait for a disk, so it must not run in the loop.

        `on_failure` is called in this thread for incomplete sound files; a sink of pictures reports by itself.
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
    """Find everything that `settings` names; nothing is captured yet. P2PCallError with exit 6 or 2.

    `call` counts the calls of one `listen`: files of an earlier call are not overwritten, even with --force.
    """
    loop = loop or asyncio.get_running_loop()
    if settings.echo:
        return _echo_devices()
    media = settings.media
    stdin = env.stdin.buffer if "-" in (media.audio_in, media.video_in) else None
    stdout = _stdout(env) if "-" in (media.audio_out, media.video_out) else None
    notes = NoteRelay()
    inputs = _inputs(media, notes)
    ticker, polls = Ticker(loop), card_polls(loop)  # shared by source and sink: one wake-up each

    def source(spec: str) -> AudioSource:
        return open_audio_source(spec, loop, inputs, stdin=stdin, ticker=ticker, polls=polls)

    warnings = _meanings(media)
    files = _files(media, force=media.force and not call)
    for file in files.values():
        warnings += [P2PCallError("file-found", text, ExitCode.OK) for text in file.check()]

    def sink(spec: str) -> AudioSink:
        return open_audio_sink(
            spec,
            loop,
            stdout=stdout,
            file=files.get("--audio-out"),
            raw=media.raw,
            ticker=ticker,
            polls=polls,
        )

    microphone, speaker = _supervised(media, source, sink, polls)
    camera, finite = _camera(media, env, inputs, warnings)
    show = None
    if media.video_out not in (*SCREEN_MODES, "none"):
        show = open_video_sink(media.video_out, stdout=stdout, file=files.get("--video-out"))
    sends = media.audio_in != "none"
    one_file = finite and inputs.clock is not None
    ring_on = None
    if settings.ring_on is not None and settings.ring_on != "none":
        ring_on = _ringer(settings.ring_on, loop, first=not call)
    loudspeaker = _loudspeaker(media, warnings)
    return Devices(
        microphone,
        sends,
        speaker,
        camera,
        show,
        ring_on,
        settings.ring_on == "none",
        warnings,
        [*files.values()],
        notes,
        finite,
        one_file,
        loudspeaker,
        polls.counts,
    )


def _files(media: MediaSettings, *, force: bool) -> dict[str, OutFile]:
    """What is written, by option. P2PCallError if it is what is read."""
    written = {"--audio-out": media.audio_out, "--video-out": media.video_out}
    files = {option: OutFile(value, force=force) for option, value in written.items() if _is_file(value)}
    pipes = {option: OutFile(value) for option, value in written.items() if is_stream(value)}
    check_not_the_same({"--audio-in": media.audio_in, "--video-in": media.video_in}, pipes | files)
    return files


async def look_for_devices(settings: CallSettings, env: Env, call: int = 0) -> Devices:
    """`open_devices` in a thread, because files and sound servers may be slow."""
    loop = asyncio.get_running_loop()
    if settings.echo:
        return open_devices(settings, env)
    return await offload(lambda: open_devices(settings, env, call, loop=loop))


def _ringer(spec: str, loop: asyncio.AbstractEventLoop, *, first: bool) -> SupervisedSink | None:
    """The device to ring on. If it is away when a later call comes, that call rings elsewhere."""
    if not is_speaker(spec):
        raise P2PCallError("bad-ring-on", f"{spec!r} is no device to ring on", ExitCode.USAGE, RING_HINT)

    def sink(name: str) -> AudioSink:
        return open_audio_sink(name, loop)

    try:
        return SupervisedSink(sink(spec), sink, spec)
    except P2PCallError as error:
        if first:
            raise P2PCallError(error.slug, error.text, error.exit, RING_HINT) from error
        return None


def _inputs(media: MediaSettings, notes: NoteRelay) -> Inputs:
    """The options for inputs. P2PCallError (exit 2) if one stream would be read twice."""
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
    """Warnings about option words that are also names of existing files, and about `--loop` with a stream."""
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
    """Open both. P2PCallError if one fails; if both fail, one error describes both."""
    try:
        source = open_source()
    except P2PCallError as error:
        try:
            open_sink().stop()
        except P2PCallError as other:
            raise _both(error, other) from error
        raise
    return source, open_sink()


def _supervised(
    media: MediaSettings,
    source: Callable[[str], AudioSource],
    sink: Callable[[str], AudioSink],
    polls: CardPolls,
) -> tuple[SupervisedSource, SupervisedSink]:
    """Microphone and speaker; cards that were chosen for all calls go before the default ones."""
    chosen_in = chosen_out = None
    if (microphone := media.chosen_in) is not None:
        chosen_in = Chosen(lambda: open_microphone(microphone, polls), "microphone", microphone)
    if (speaker := media.chosen_out) is not None:
        chosen_out = Chosen(lambda: open_speaker(speaker, polls), "speaker", speaker)
    heard, played = _sound(
        lambda: _first(chosen_in, lambda: source(media.audio_in)),
        lambda: _first(chosen_out, lambda: sink(media.audio_out)),
    )
    return (
        SupervisedSource(heard, source, media.audio_in, chosen_in),
        SupervisedSink(played, sink, media.audio_out, chosen_out),
    )


def _first(chosen: Chosen[_D] | None, otherwise: Callable[[], _D]) -> _D:
    return otherwise() if chosen is None else chosen.first(otherwise)


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
    """One error for a missing microphone and a missing speaker."""
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

    The call opens it, not this function; here we only check whether it exists.
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
