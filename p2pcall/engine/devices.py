"""The devices of one call: looked for before it, started only once both sides have said yes.

A sound device that fails while the call is up is replaced by silence (or nothing), told as a warning, and tried
again every few seconds: a sound server that comes back brings the sound back.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

from p2pcall.device.base import SILENCE, AudioSink, AudioSource, PictureOut, VideoSource
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
from p2pcall.engine.aside import aside
from p2pcall.engine.echo import EchoAudio, EchoVideo
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError

REOPEN_EVERY_S = 3.0
"""Between two tries to get a lost sound device back."""
WINDOW = "window"
"""The value of --video-out that draws in a window."""
SCREEN_MODES = ("auto", "blocks", "ascii", WINDOW)
"""Values of --video-out that draw on a screen: the terminal, or a window."""
STEADY_GAP_S = 0.1
"""A card that takes no frame for so long does not run (yet): some take a few at once and then pause for two seconds."""
STEADY_S = 0.2
"""After such a pause it runs when it has taken frames for so long without another,"""
NEVER_PAUSED_S = 0.8
"""and if there was none, for so long: it may still come."""
STDIN = "/dev/stdin"
WARN_AGAIN_S = 60.0
"""A device that fails more often than this is told of once."""

OnFrame = Callable[[bytes, float], None]
Pull = Callable[[], bytes]
OnFailure = Callable[[P2PCallError], None]
D = TypeVar("D", bound="Stoppable")


class Stoppable(Protocol):
    """What sources and sinks of sound have in common."""

    def stop(self) -> None:
        """Ends it."""


class Keeper(Generic[D]):
    """Keeps a sound device going: a stand-in while it is away, the real one tried again every few seconds.

    Only a sound card comes back; a file that failed (a full disk) is not begun anew over what it holds.
    """

    def __init__(
        self,
        device: D,
        reopen: Callable[[str], D],
        spec: str,
        stand_in: str,
        begin: Callable[[D], None],
        *,
        card: bool,
    ) -> None:
        self.device = device
        self.on_failure: OnFailure | None = None
        self._reopen, self._spec, self._stand_in, self._begin, self._card = (
            reopen,
            spec,
            stand_in,
            begin,
            card,
        )
        self._running = False
        self._lost = False
        self._untold: P2PCallError | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._told_at = -inf

    def tell(self, on_failure: OnFailure | None) -> None:
        """Whom to tell what fails from now on, and what has failed before anybody was there to be told."""
        self.on_failure = on_failure
        untold, self._untold = self._untold, None
        if untold is not None and on_failure is not None:
            on_failure(untold)

    def start(self) -> None:
        """Begin with the device; if it was lost before, with what stands in for it until it is back."""
        self._running = True
        self._begin(self.device)
        if self._lost:
            self._again()

    def stop(self) -> None:
        """End, whatever is in use."""
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
        self.device.stop()

    def failed(self, error: P2PCallError) -> None:
        """The device in use has failed."""
        self.device.stop()
        if not self._running:
            return
        self.device = self._reopen(self._stand_in)
        self._lost = self._card and error.exit is ExitCode.DEVICE
        self._begin(self.device)
        now = asyncio.get_running_loop().time()
        if self.on_failure is None:
            self._untold = error
        elif now - self._told_at >= WARN_AGAIN_S:
            self._told_at = now
            self.on_failure(error)
        if self._lost:
            self._again()

    def _again(self) -> None:
        self._retry = asyncio.get_running_loop().call_later(REOPEN_EVERY_S, self._try)

    def _try(self) -> None:
        """Looks for the card in a thread: a sound server that hangs takes its time."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._look, args=(loop,), name="p2pcall-reopen", daemon=True).start()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        device = None
        with suppress(P2PCallError):
            device = self._reopen(self._spec)
        with suppress(RuntimeError):  # the loop is closed: the call is over
            loop.call_soon_threadsafe(self._looked, device)

    def _looked(self, device: D | None) -> None:
        if not self._running:
            return
        if device is None:
            self._again()
            return
        try:
            self._begin(device)
        except P2PCallError:
            self._again()
            return
        self._lost = False
        stand_in, self.device = self.device, device
        stand_in.stop()


class Microphone:
    """The sound source of one call: silence while the device is away."""

    def __init__(self, source: AudioSource, reopen: Callable[[str], AudioSource], spec: str) -> None:
        self._keeper: Keeper[AudioSource] = Keeper(
            source, reopen, spec, "silence", self._begin, card=is_microphone(spec)
        )
        self._on_frame: OnFrame | None = None
        self.on_end: Callable[[], None] | None = None

    @property
    def endless(self) -> bool:
        """It has no end of its own."""
        return self._keeper.device.endless

    def hold(self, held: bool = True) -> None:
        """Silence in the place of what has an end, or no longer."""
        self._keeper.device.held = held

    def start(self, on_frame: OnFrame, on_failure: OnFailure) -> None:
        """Begin to capture."""
        self._on_frame = on_frame
        self._keeper.tell(on_failure)
        self._keeper.start()

    def stop(self) -> None:
        """End capture."""
        self._keeper.stop()

    def _begin(self, source: AudioSource) -> None:
        assert self._on_frame is not None
        source.on_end, source.on_error = self._ended, self._keeper.failed
        source.start(self._on_frame)

    def _ended(self) -> None:
        if self.on_end is not None:
            self.on_end()


class Speaker:
    """The sound sink of one call: nothing is heard while the device is away."""

    def __init__(self, sink: AudioSink, reopen: Callable[[str], AudioSink], spec: str) -> None:
        self._keeper: Keeper[AudioSink] = Keeper(
            sink, reopen, spec, "none", self._begin, card=is_speaker(spec)
        )
        self._pull: Pull | None = None
        self._card = is_speaker(spec)
        self._since: float | None = None
        self._last, self._paused = 0.0, False
        self.steady = False
        """It takes frames evenly: what it is given now is heard."""
        self.on_steady: Callable[[], None] | None = None
        self.on_playout: Callable[[bytes], None] | None = None
        """Given every frame that is played."""

    @property
    def is_card(self) -> bool:
        """Somebody hears it; not a file or a pipe."""
        return self._card

    @property
    def latency_s(self) -> float:
        """From pull to ear, now."""
        return self._keeper.device.latency_s

    def prepare(self) -> None:
        """Have a sound card run before there is something to hear: it takes its time to start. Others are as they are.

        If it fails, `play` tells.
        """
        if self._card and self._pull is None:
            self.play(lambda: SILENCE)

    def play(self, pull: Pull, on_failure: OnFailure | None = None) -> None:
        """Play what `pull` gives from now on."""
        running, self._pull = self._pull is not None, pull
        self._keeper.tell(on_failure)
        if not running:
            self._keeper.start()
            if not self._card:
                self._is_steady()

    def stop(self) -> None:
        """End playing; files are completed. It may play again."""
        self._pull, self._since, self.steady = None, None, False
        self._keeper.stop()

    def _begin(self, sink: AudioSink) -> None:
        sink.on_error = self._keeper.failed
        sink.start(self._next)

    def _next(self) -> bytes:
        if self._pull is None:
            return SILENCE
        if self._card:
            self._count(asyncio.get_running_loop().time())
        pcm = self._pull()
        if self.on_playout is not None:
            self.on_playout(pcm)
        return pcm

    def _count(self, now: float) -> None:
        """Cards ask for some frames at once when they start, and then for a while for none."""
        if self._since is None or now - self._last > STEADY_GAP_S:
            self._paused = self._since is not None
            self._since, self.steady = now, False
        self._last = now
        if not self.steady and now - self._since >= (STEADY_S if self._paused else NEVER_PAUSED_S):
            self._is_steady()

    def _is_steady(self) -> None:
        self.steady = True
        if self.on_steady is not None:
            self.on_steady()


class Notes:
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

    microphone: Microphone
    sends_audio: bool
    """There is something to say."""
    speaker: Speaker
    open_camera: Callable[[], VideoSource] | None
    video_sink: PictureOut | None
    warnings: list[P2PCallError] = field(default_factory=list)
    files: list[OutFile] = field(default_factory=list)
    """What is written."""
    notes: Notes = field(default_factory=Notes)
    """What inputs have to say while they are read."""
    finite_video: bool = False
    """The picture has an end of its own."""
    one_file: bool = False
    """Sound and picture are those of one file."""

    @property
    def sends_video(self) -> bool:
        """There is something to show."""
        return self.open_camera is not None

    def close(self) -> None:
        """Stop whatever was started; files are completed."""
        self.microphone.stop()
        self.speaker.stop()
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
    notes = Notes()
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
    microphone = Microphone(heard, source, media.audio_in)
    speaker = Speaker(played, sink, media.audio_out)
    camera, finite = _camera(media, env, inputs, warnings)
    show = None
    if media.video_out not in (*SCREEN_MODES, "none"):
        show = open_video_sink(media.video_out, stdout=stdout, file=files.get("--video-out"))
    sends = media.audio_in != "none"
    one_file = finite and inputs.clock is not None
    return Devices(
        microphone, sends, speaker, camera, show, warnings, [*files.values()], notes, finite, one_file
    )


async def look_for_devices(settings: CallSettings, env: Env, call: int = 0) -> Devices:
    """`open_devices` beside the loop: files and sound servers may be slow."""
    loop = asyncio.get_running_loop()
    if settings.echo:
        return open_devices(settings, env)
    return await aside(lambda: open_devices(settings, env, call, loop=loop))


def _inputs(media: MediaSettings, notes: Notes) -> Inputs:
    """P2PCallError (exit 2) if one stream is to be read twice."""
    heard, seen = (STDIN if spec == "-" else spec or "" for spec in (media.audio_in, media.video_in))
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
    microphone = Microphone(audio, lambda _: audio, "echo")
    speaker = Speaker(audio.sink, lambda _: audio.sink, "none")
    return Devices(microphone, True, speaker, video.reopened, video)
