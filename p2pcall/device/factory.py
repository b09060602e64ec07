"""From the words of `--audio-in`, `--audio-out`, `--video-in`, `--video-out` to devices.

Rules: a factory may block for a moment and raises P2PCallError for what cannot be used; it captures nothing
(that begins with `start` or the first `read`). Leaves out `auto` and the other ways to draw on a terminal,
which are the view's. Drivers are imported when asked for, so that a call from files needs no PortAudio.
"""

from typing import BinaryIO

from p2pcall.device.base import AudioSink, AudioSource, Device, Scheduler, VideoSink, VideoSource

DEFAULT_FPS = 15


def open_audio_source(
    spec: str, scheduler: Scheduler, *, loop: bool = False, stdin: BinaryIO | None = None
) -> AudioSource:
    """The sound source of `--audio-in`: a device's name, `default`, a media file, `-`, `tone`, `silence`,
    `none`, and `song` for the demo.
    """
    raise NotImplementedError


def open_audio_sink(spec: str, scheduler: Scheduler, *, stdout: BinaryIO | None = None) -> AudioSink:
    """The sound sink of `--audio-out`: a device's name, `default`, a `.wav`, `.ogg` or `.flac` file, `-`,
    `none`.
    """
    raise NotImplementedError


def open_video_source(
    spec: str, *, loop: bool = False, fps: int = DEFAULT_FPS, stdin: BinaryIO | None = None
) -> VideoSource | None:
    """The picture source of `--video-in`: `camera`, `camera:NAME`, `screen`, a media or picture file,
    `test`, `-`, and `person` for the demo; None for `none`.
    """
    raise NotImplementedError


def open_video_sink(spec: str, *, stdout: BinaryIO | None = None) -> VideoSink:
    """The picture sink of `--video-out` for a file, `-` and `none`."""
    raise NotImplementedError


def list_devices() -> list[Device]:
    """Microphones, speakers and cameras of this machine, as the names that options take."""
    raise NotImplementedError
