"""From the words of `--audio-in`, `--audio-out`, `--video-in`, `--video-out` to devices.

Rules: a factory may block for a moment and raises P2PCallError for what cannot be used; it captures nothing
(that begins with `start` or the first `read`), and of a stream it reads nothing. Leaves out `auto` and the other ways
to draw on a terminal, which are the view's. What takes memory and time is imported when it is asked for, and then here,
before the call, and not in the middle of it: a call from files needs no PortAudio, one without picture no FFmpeg.
"""

import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle, repeat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from msgspec import Struct

from p2pcall.device import files, names, prefetch, sound_in
from p2pcall.device.base import (
    SILENT_FRAME,
    AudioSink,
    AudioSource,
    Device,
    OnNote,
    PictureOut,
    Scheduler,
    VideoSource,
)
from p2pcall.device.cards import Direction, find_card
from p2pcall.device.fill import POLL_S
from p2pcall.device.names import PICTURE_SUFFIXES, SOUND_SUFFIXES, VIDEO_SUFFIXES, Meaning
from p2pcall.device.outfile import OutFile
from p2pcall.device.pace import CardPolls, MediaClock, Ticker
from p2pcall.device.pipes import STDOUT, FdReader
from p2pcall.device.prefetch import Prefetch
from p2pcall.device.raw import RawFormat
from p2pcall.device.source import MediaInput
from p2pcall.device.streams import (
    MakeWriter,
    StreamWriter,
    is_stream,
    reader_of,
    standard_output,
    stream_frames,
    writer_to,
)
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import VIDEO_FPS

if TYPE_CHECKING:
    from p2pcall.device.video_in import Timed

STDIN_NAME: Final = "standard input"


class Inputs(Struct, frozen=True):
    """How inputs are to be read."""

    loop: bool = False
    raw: RawFormat | None = None
    """Of a stream; None: what its first bytes tell."""
    audio_track: int | None = None
    video_track: int | None = None
    fps: int | None = None
    """The rate of pictures that bear no times."""
    clock: MediaClock | None = None
    """Sound and picture are of one file, and keep together."""
    note: OnNote | None = None


DEFAULTS: Final = Inputs()


def sound_meaning(spec: str, direction: Direction) -> Meaning:
    """What `--audio-in` (`input`) or `--audio-out` names. P2PCallError if it is nothing."""
    return names.meaning(spec, direction, find_card)


def card_polls(scheduler: Scheduler) -> CardPolls:
    """When the cards of a call are looked at."""
    return CardPolls(scheduler, POLL_S)


def open_audio_source(
    spec: str,
    scheduler: Scheduler,
    inputs: Inputs = DEFAULTS,
    *,
    stdin: BinaryIO | None = None,
    ticker: Ticker | None = None,
    polls: CardPolls | None = None,
) -> AudioSource:
    """The sound source of `--audio-in`: a device's name, `default`, a media file, a stream, `-`, `tone`, `silence`,
    `none`, and `song` for the demo. A card goes by `polls` and all else by `ticker`, or by one of its own.
    """
    ticker = ticker or Ticker(scheduler)
    match spec:
        case "tone":
            return files.PacedSource(files.tone_frames, ticker)
        case "silence" | "none":
            return files.PacedSource(lambda: repeat(SILENT_FRAME), ticker)
        case "song":
            from p2pcall.device.drawn.song import song_pcm

            sung = files.cut(song_pcm())
            return files.PacedSource(lambda: cycle(sung), ticker)
        case "-":
            fd = _fd(stdin)
            return _stream_source(FdReader(lambda: fd), STDIN_NAME, ticker, inputs)
    found = sound_meaning(spec, "input")
    if found.kind == "stream":
        return _stream_source(reader_of(spec, inputs.note), spec, ticker, inputs)
    if found.card is not None:
        from p2pcall.device.audio import Microphone

        return Microphone(found.card, polls or card_polls(scheduler))
    media = MediaInput(spec, track=inputs.audio_track)
    sound_in.check_sound(media)
    read = sound_in.repeated if inputs.loop else sound_in.decoded_frames
    frames = partial(read, media, together=inputs.clock is not None, note=inputs.note)
    fetch = partial(Prefetch, frames, prefetch.FILE_AHEAD, wait_s=prefetch.FILE_WAIT_S)
    return files.PacedSource(fetch, ticker, inputs.clock, endless=inputs.loop)


def _stream_source(reader: FdReader, name: str, ticker: Ticker, inputs: Inputs) -> AudioSource:
    _load_pcm(inputs.raw)
    if inputs.raw is None:
        from p2pcall.device import decoding  # noqa: F401  (loaded for the call: it may be anything)
    frames = partial(stream_frames, reader, name, inputs.raw, inputs.audio_track, inputs.note)
    fetch = partial(Prefetch, frames, prefetch.STREAM_AHEAD, wake=reader.close)
    return files.PacedSource(fetch, ticker, endless=False)


def _load_pcm(form: RawFormat | None) -> None:
    """Have what makes our sound of another form, or back, there before anybody is rung: it brings a library."""
    if form not in (None, RawFormat()):
        from p2pcall.device import pcm  # noqa: F401  (loaded for the call)


def open_microphone(name: str, polls: CardPolls) -> AudioSource:
    """The sound card of this name, and nothing else."""
    from p2pcall.device.audio import Microphone

    return Microphone(find_card(name, "input"), polls)


def open_speaker(name: str, polls: CardPolls) -> AudioSink:
    """The same, to be heard on."""
    from p2pcall.device.audio import Speaker

    return Speaker(find_card(name, "output"), polls)


def open_audio_sink(
    spec: str,
    scheduler: Scheduler,
    *,
    stdout: BinaryIO | None = None,
    file: OutFile | None = None,
    raw: RawFormat | None = None,
    ticker: Ticker | None = None,
    polls: CardPolls | None = None,
) -> AudioSink:
    """The sound sink of `--audio-out`: a device's name, `default`, a `.wav`, `.ogg` or `.flac` file (`file`, if its
    name is not `spec`'s), a stream, `-`, `none`. A card goes by `polls` and all else by `ticker`, or by one of its own.
    """
    ticker = ticker or Ticker(scheduler)
    if spec == "none":
        return files.PacedSink(files.NullWriter, ticker)
    if spec == "-":
        out = standard_output(_fd(stdout))
        _load_pcm(raw)
        return files.PacedSink(lambda: StreamWriter(out, raw), ticker)
    found = sound_meaning(spec, "output")
    if found.card is not None:
        from p2pcall.device.audio import Speaker

        return Speaker(found.card, polls or card_polls(scheduler))
    suffix = Path(spec).suffix.lower()
    if suffix in SOUND_SUFFIXES:
        target = file or OutFile(spec)
        if suffix != ".wav":
            from p2pcall.device import encoded  # noqa: F401  (loaded for the call)
        return files.PacedSink(lambda: files.FileWriter(target), ticker, spec)
    if found.kind == "stream":
        _load_pcm(raw)
        return files.PacedSink(lambda: StreamWriter(partial(writer_to, spec), raw), ticker, spec)
    hint = f"a file that ends in {', '.join(SOUND_SUFFIXES)}"
    raise P2PCallError("bad-audio-out", f"sound is not written to {spec!r}", ExitCode.USAGE, hint)


def open_video_source(
    spec: str, inputs: Inputs = DEFAULTS, *, fps: int = VIDEO_FPS, stdin: BinaryIO | None = None
) -> VideoSource | None:
    """The picture source of `--video-in`: `camera`, `camera:NAME`, `screen`, a media or picture file, a stream,
    `test`, `-`, and `person` for the demo; None for `none`. At most `fps` pictures a second.
    """
    if spec == "none":
        return None
    from p2pcall.device import camera, video_in

    match spec:
        case "-":
            fd = _fd(stdin)
            return _stream_video(FdReader(lambda: fd), STDIN_NAME, inputs, fps)
        case "test" | "person":
            from p2pcall.device.drawn import HEIGHT, WIDTH
            from p2pcall.device.drawn.person import DrawnPerson
            from p2pcall.device.drawn.testcard import TestCard

            draw = (TestCard() if spec == "test" else DrawnPerson()).draw
            return video_in.PacedVideo(
                lambda: video_in.generated(draw, fps), (WIDTH, HEIGHT), fps, endless=True
            )
        case "screen":
            return camera.open_screen(fps)
        case "camera":
            return camera.open_camera(None, fps)
    if spec.startswith("camera:"):
        return camera.open_camera(spec.removeprefix("camera:"), fps)
    if names.of_picture(spec).kind == "stream":
        return _stream_video(reader_of(spec, inputs.note), spec, inputs, fps)
    media = MediaInput(spec, track=inputs.video_track)
    size, still = video_in.check_pictures(media)
    clock = inputs.clock

    def pictures() -> "Iterator[Timed]":
        """From where the sound is: the camera may be switched on at any time."""
        skip = 0.0 if clock is None else clock.position(time.monotonic())
        together = clock is not None
        return video_in.repeated_pictures(
            media, inputs.loop, fps=inputs.fps, together=together, skip=skip, note=inputs.note
        )

    return video_in.PacedVideo(pictures, size, fps, clock, endless=inputs.loop or still)


def _stream_video(reader: FdReader, name: str, inputs: Inputs, fps: int) -> VideoSource:
    from p2pcall.device import video_in

    pictures = partial(video_in.file_pictures, fps=inputs.fps, note=inputs.note)
    return video_in.StreamVideo(reader, name, inputs.video_track, pictures, fps)


def open_video_sink(spec: str, *, stdout: BinaryIO | None = None, file: OutFile | None = None) -> PictureOut:
    """The picture sink of `--video-out` for a file (`file`, if there is more to say of it), a stream, `-`."""
    if spec == "-":
        return _streamed(standard_output(_fd(stdout)), STDOUT)
    suffix = Path(spec).suffix.lower()
    stream = is_stream(spec)
    if stream and suffix not in VIDEO_SUFFIXES:
        return _streamed(partial(writer_to, spec), spec)
    if suffix not in PICTURE_SUFFIXES:
        suffixes = ", ".join(PICTURE_SUFFIXES)
        modes = "auto, blocks, ascii, quadrants, sextants, braille, kitty, sixel, window, none"
        hint = f"{modes}, -, or a file that ends in {suffixes}"
        raise P2PCallError("bad-video-out", f"{spec!r} is no way to show a picture", ExitCode.USAGE, hint)
    from p2pcall.device.picture_file import PictureFile
    from p2pcall.device.video_files import FilmWriter
    from p2pcall.device.y4m import Y4mWriter

    target = file or OutFile(spec)
    return PictureFile(target, Y4mWriter if suffix == ".y4m" else FilmWriter)


def _streamed(make: MakeWriter, what: str) -> PictureOut:
    from p2pcall.device.letterbox import VIEW, Letterbox
    from p2pcall.device.y4m import StreamedY4m

    return StreamedY4m(make, VIEW, Letterbox(*VIEW).fit, what)


def list_devices() -> list[Device]:
    """Microphones, speakers and cameras of this machine, as the names that options take."""
    from p2pcall.device import camera
    from p2pcall.device.cards import list_cards

    return [*list_cards(), *camera.list_cameras()]


def is_microphone(spec: str) -> bool:
    """Whether `--audio-in` names a sound card's input."""
    return _is_card(spec, "input")


def is_speaker(spec: str) -> bool:
    """Whether `--audio-out` names a sound card's output: something that a person hears."""
    return _is_card(spec, "output")


def _is_card(spec: str, direction: Direction) -> bool:
    """A name that is nothing else is a card's, whether it is there now or not."""
    if spec in names.SOURCES or names.looks_like_path(spec):
        return False
    try:
        return not names.is_there(spec) or sound_meaning(spec, direction).card is not None
    except P2PCallError:
        return True


def _fd(stream: BinaryIO | None) -> int:
    if stream is None:
        raise ValueError("the spec - needs a stream")
    return stream.fileno()
