"""From the words of `--audio-in`, `--audio-out`, `--video-in`, `--video-out` to devices.

Rules: a factory may block for a moment and raises P2PCallError for what cannot be used; it captures nothing
(that begins with `start` or the first `read`). Leaves out `auto` and the other ways to draw on a terminal,
which are the view's. The sound card's driver is imported when asked for: a call from files needs no PortAudio.
"""

from itertools import cycle, repeat
from pathlib import Path
from typing import BinaryIO

from p2pcall.device import camera, files, video_files
from p2pcall.device.base import SILENCE, AudioSink, AudioSource, Device, Scheduler, VideoSink, VideoSource
from p2pcall.device.files import SOUND_SUFFIXES
from p2pcall.device.outfile import OutFile
from p2pcall.device.video_files import VIDEO_SUFFIXES
from p2pcall.errors import ExitCode, P2PCallError

DEFAULT_FPS = 15
DRAWN_SIZE = (320, 240)
MEDIA_SUFFIXES = (*SOUND_SUFFIXES, *VIDEO_SUFFIXES, ".mp3", ".opus", ".m4a", ".aac")


def open_audio_source(
    spec: str, scheduler: Scheduler, *, loop: bool = False, stdin: BinaryIO | None = None
) -> AudioSource:
    """The sound source of `--audio-in`: a device's name, `default`, a media file, `-`, `tone`, `silence`,
    `none`, and `song` for the demo.
    """
    match spec:
        case "-":
            from p2pcall.device.pipes import StdinSource

            return StdinSource(_fd(stdin), scheduler)
        case "tone":
            return files.PacedSource(files.tone_frames, scheduler)
        case "silence" | "none":
            return files.PacedSource(lambda: repeat(SILENCE), scheduler)
        case "song":
            from p2pcall.device.song import song_pcm

            sung = files.cut(song_pcm())
            return files.PacedSource(lambda: cycle(sung), scheduler)
    if _is_file(spec):
        files.check_sound_file(spec)
        return files.PacedSource(
            lambda: files.repeated(spec) if loop else files.decoded_frames(spec), scheduler
        )
    from p2pcall.device.audio import Microphone
    from p2pcall.device.cards import find_card

    return Microphone(find_card(spec, "input"), scheduler)


def open_audio_sink(
    spec: str, scheduler: Scheduler, *, stdout: BinaryIO | None = None, file: OutFile | None = None
) -> AudioSink:
    """The sound sink of `--audio-out`: a device's name, `default`, a `.wav`, `.ogg` or `.flac` file (`file`, if its
    name is not `spec`'s), `-`, `none`.
    """
    if spec == "none":
        return files.PacedSink(files.NullWriter, scheduler)
    if spec == "-":
        from p2pcall.device.pipes import StdoutWriter

        fd = _fd(stdout)
        return files.PacedSink(lambda: StdoutWriter(fd), scheduler)
    if Path(spec).suffix.lower() in SOUND_SUFFIXES:
        target = file or OutFile(spec)
        return files.PacedSink(lambda: files.FileWriter(target), scheduler, spec)
    if Path(spec).suffix.lower() in MEDIA_SUFFIXES:
        hint = f"a file that ends in {', '.join(SOUND_SUFFIXES)}"
        raise P2PCallError("bad-audio-out", f"sound is not written to {spec!r}", ExitCode.USAGE, hint)
    from p2pcall.device.audio import Speaker
    from p2pcall.device.cards import find_card

    return Speaker(find_card(spec, "output"), scheduler)


def open_video_source(
    spec: str, *, loop: bool = False, fps: int = DEFAULT_FPS, stdin: BinaryIO | None = None
) -> VideoSource | None:
    """The picture source of `--video-in`: `camera`, `camera:NAME`, `screen`, a media or picture file,
    `test`, `-`, and `person` for the demo; None for `none`.
    """
    match spec:
        case "none":
            return None
        case "-":
            from p2pcall.device.y4m import StdinVideo

            return StdinVideo(_fd(stdin))
        case "test" | "person":
            from p2pcall.device.person import Person
            from p2pcall.device.testcard import TestCard

            draw = (TestCard() if spec == "test" else Person()).draw
            return video_files.PacedVideo(lambda: video_files.generated(draw, fps), DRAWN_SIZE, fps)
        case "screen":
            return camera.open_screen(fps)
        case "camera":
            return camera.open_camera(None, fps)
    if spec.startswith("camera:"):
        return camera.open_camera(spec.removeprefix("camera:"), fps)
    size = video_files.check_picture_file(spec)
    return video_files.PacedVideo(lambda: video_files.repeated_pictures(spec, loop), size, fps)


def open_video_sink(spec: str, *, stdout: BinaryIO | None = None, file: OutFile | None = None) -> VideoSink:
    """The picture sink of `--video-out` for a file (`file`, if there is more to say of it), `-` and `none`."""
    if spec == "none":
        return video_files.NullVideo()
    if spec == "-":
        from p2pcall.device.canvas import VIEW, Canvas
        from p2pcall.device.y4m import StdoutVideo

        return StdoutVideo(_fd(stdout), VIEW, Canvas(*VIEW).fit)
    if Path(spec).suffix.lower() not in VIDEO_SUFFIXES:
        hint = f"auto, blocks, ascii, window, none, -, or a file that ends in {', '.join(VIDEO_SUFFIXES)}"
        raise P2PCallError("bad-video-out", f"{spec!r} is no way to show a picture", ExitCode.USAGE, hint)
    return video_files.FileVideo(file or OutFile(spec))


def list_devices() -> list[Device]:
    """Microphones, speakers and cameras of this machine, as the names that options take."""
    from p2pcall.device.cards import list_cards

    return [*list_cards(), *camera.list_cameras()]


def is_microphone(spec: str) -> bool:
    """Whether `--audio-in` names a sound card's input."""
    return spec not in ("none", "-", "tone", "silence", "song") and not _is_file(spec)


def is_speaker(spec: str) -> bool:
    """Whether `--audio-out` names a sound card's output: something that a person hears."""
    return spec not in ("none", "-") and Path(spec).suffix.lower() not in SOUND_SUFFIXES


def _is_file(spec: str) -> bool:
    """A path, rather than the name of a device: it is there, or it is written like one."""
    return Path(spec).exists() or "/" in spec or Path(spec).suffix.lower() in MEDIA_SUFFIXES


def _fd(stream: BinaryIO | None) -> int:
    if stream is None:
        raise ValueError("the spec - needs a stream")
    return stream.fileno()
