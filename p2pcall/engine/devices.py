"""The devices of one call: looked for before it, started only once both sides have said yes.

A sound device that fails while the call is up is replaced by silence (or nothing), told as a warning, and tried
again every few seconds: a sound server that comes back brings the sound back.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from p2pcall.device.base import AudioSink, AudioSource, VideoSink, VideoSource
from p2pcall.device.factory import (
    open_audio_sink,
    open_audio_source,
    open_video_sink,
    open_video_source,
)
from p2pcall.device.files import SOUND_SUFFIXES
from p2pcall.device.video_files import VIDEO_SUFFIXES
from p2pcall.engine.echo import EchoAudio, EchoVideo
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError

REOPEN_EVERY_S = 3.0
"""Between two tries to get a lost sound device back."""
TERMINAL_MODES = ("auto", "blocks", "ascii")
"""Values of --video-out that draw in the terminal."""
NOT_HARDWARE = ("none", "-")

OnFrame = Callable[[bytes, float], None]
Pull = Callable[[], bytes]
OnFailure = Callable[[P2PCallError], None]


class Microphone:
    """The sound source, kept alive: silence while the device is away."""

    def __init__(self, source: AudioSource, reopen: Callable[[str], AudioSource], spec: str) -> None:
        self._source, self._reopen, self._spec = source, reopen, spec
        self._on_frame: OnFrame | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.on_end: Callable[[], None] | None = None
        self.on_failure: OnFailure | None = None

    def start(self, on_frame: OnFrame) -> None:
        """Begin to capture."""
        self._on_frame = on_frame
        self._begin(self._source)

    def stop(self) -> None:
        """End capture."""
        self._on_frame = None
        if self._retry is not None:
            self._retry.cancel()
        self._source.stop()

    def _begin(self, source: AudioSource) -> None:
        assert self._on_frame is not None
        self._source = source
        source.on_end, source.on_error = self._ended, self._failed
        source.start(self._on_frame)

    def _ended(self) -> None:
        if self.on_end is not None:
            self.on_end()

    def _failed(self, error: P2PCallError) -> None:
        self._source.stop()
        if self._on_frame is None:
            return
        self._begin(self._reopen("silence"))
        if self.on_failure is not None:
            self.on_failure(error)
        self._again()

    def _again(self) -> None:
        self._retry = asyncio.get_running_loop().call_later(REOPEN_EVERY_S, self._try)

    def _try(self) -> None:
        try:
            source = self._reopen(self._spec)
            old = self._source
            self._begin(source)
        except P2PCallError:
            self._again()
            return
        old.stop()


class Speaker:
    """The sound sink, kept alive, and shared by the ring tone and the call."""

    def __init__(self, sink: AudioSink, reopen: Callable[[str], AudioSink], spec: str) -> None:
        self._sink, self._reopen, self._spec = sink, reopen, spec
        self._pull: Pull | None = None
        self._used = False
        self._retry: asyncio.TimerHandle | None = None
        self.on_failure: OnFailure | None = None
        self.on_playout: Callable[[bytes], None] | None = None
        """Given every frame that is played."""
        self.rings = spec not in NOT_HARDWARE and not _is_file(spec)
        """A device that a person hears, not a file or a pipe."""

    @property
    def latency_s(self) -> float:
        """From pull to ear, now."""
        return self._sink.latency_s

    def play(self, pull: Pull) -> None:
        """Play what `pull` gives from now on."""
        playing, self._pull = self._pull is not None, pull
        if playing:
            return
        if self._used:
            self._sink = self._reopen(self._spec)
        self._used = True
        self._begin(self._sink)

    def stop(self) -> None:
        """End playing; files are completed. `play` opens the device again."""
        self._pull = None
        if self._retry is not None:
            self._retry.cancel()
        self._sink.stop()

    def _begin(self, sink: AudioSink) -> None:
        self._sink = sink
        sink.on_error = self._failed
        sink.start(self._next)

    def _next(self) -> bytes:
        assert self._pull is not None
        pcm = self._pull()
        if self.on_playout is not None:
            self.on_playout(pcm)
        return pcm

    def _failed(self, error: P2PCallError) -> None:
        self._sink.stop()
        if self._pull is None:
            return
        self._begin(self._reopen("none"))
        if self.on_failure is not None:
            self.on_failure(error)
        if error.exit is ExitCode.DEVICE:
            self._again()

    def _again(self) -> None:
        self._retry = asyncio.get_running_loop().call_later(REOPEN_EVERY_S, self._try)

    def _try(self) -> None:
        try:
            sink = self._reopen(self._spec)
            old = self._sink
            self._begin(sink)
        except P2PCallError:
            self._again()
            return
        old.stop()


@dataclass(slots=True)
class Devices:
    """What one call hears, plays, films and shows. `None`: that direction is off."""

    microphone: Microphone | None
    speaker: Speaker
    open_camera: Callable[[], VideoSource] | None
    video_sink: VideoSink | None
    warnings: list[P2PCallError] = field(default_factory=list)

    @property
    def sends_audio(self) -> bool:
        """There is something to say."""
        return self.microphone is not None

    @property
    def sends_video(self) -> bool:
        """There is something to show."""
        return self.open_camera is not None

    def close(self) -> None:
        """Stop whatever was started; files are completed."""
        if self.microphone is not None:
            self.microphone.stop()
        self.speaker.stop()
        if self.video_sink is not None:
            self.video_sink.close()


async def open_devices(settings: CallSettings, env: Env, call: int = 0) -> Devices:
    """Look for everything that `settings` names; nothing is captured yet. P2PCallError with exit 6 or 2.

    `call` counts the calls of one `listen`: files that a former call has written are not overwritten.
    """
    loop = asyncio.get_running_loop()
    if settings.echo:
        return _echo_devices()
    media = settings.media
    stdin = env.stdin.buffer if "-" in (media.audio_in, media.video_in) else None
    stdout = _stdout(env) if "-" in (media.audio_out, media.video_out) else None

    def source(spec: str) -> AudioSource:
        return open_audio_source(spec, loop, loop=media.loop, stdin=stdin)

    def sink(spec: str) -> AudioSink:
        return open_audio_sink(_numbered(spec, call), loop, stdout=stdout)

    warnings: list[P2PCallError] = []
    microphone = (
        None if media.audio_in == "none" else Microphone(source(media.audio_in), source, media.audio_in)
    )
    speaker = Speaker(sink(media.audio_out), sink, media.audio_out)
    camera = _camera(media, env, warnings)
    show = None
    if media.video_out not in (*TERMINAL_MODES, "none"):
        show = open_video_sink(_numbered(media.video_out, call), stdout=stdout)
    return Devices(microphone, speaker, camera, show, warnings)


def _stdout(env: Env) -> BinaryIO:
    if env.stdout.isatty():
        raise P2PCallError(
            "stdout-terminal",
            "raw sound or picture is not for a terminal",
            ExitCode.USAGE,
            "... | aplay -f S16_LE -r 48000",
        )
    return env.stdout.buffer


def _numbered(spec: str, call: int) -> str:
    """`out.wav` for the first call, `out-2.wav` for the second; devices and pipes as they are."""
    path = Path(spec)
    return str(path.with_stem(f"{path.stem}-{call + 1}")) if call and _is_file(spec) else spec


def _is_file(sink: str) -> bool:
    return Path(sink).suffix.lower() in (*SOUND_SUFFIXES, *VIDEO_SUFFIXES)


def _camera(media: MediaSettings, env: Env, warnings: list[P2PCallError]) -> Callable[[], VideoSource] | None:
    """How to open the camera. It is opened by the call, not before; whether there is one is found out here."""
    if media.video_in == "none":
        return None
    spec = media.video_in or "camera"
    stdin = env.stdin.buffer if spec == "-" else None

    def opener() -> VideoSource:
        source = open_video_source(spec, loop=media.loop, stdin=stdin)
        assert source is not None
        return source

    if spec == "-":
        return opener
    try:
        opener().close()
    except P2PCallError as error:
        if media.video_in is not None or error.exit is not ExitCode.DEVICE:
            raise
        warnings.append(error)
        return None
    return opener


def _echo_devices() -> Devices:
    audio, video = EchoAudio(), EchoVideo()
    microphone = Microphone(audio, lambda _: audio, "echo")
    return Devices(microphone, Speaker(audio.sink, lambda _: audio.sink, "none"), video.reopened, video)
