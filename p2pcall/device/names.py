"""What the words of `--audio-in`, `--audio-out`, `--video-in` and `--video-out` mean: a device, a file, or a stream.

Rules: a word is a device first; a file needs a path that looks like one (a slash at the start, `./`, a media file's
suffix), or a name that no device has. Where both could be meant the device is taken, and it is said how to name the
file. A directory is nothing that sound goes to, whatever its name. Leaves out opening anything.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from p2pcall.device.cards import WORD, Card, Direction
from p2pcall.device.streams import is_stream
from p2pcall.errors import P2PCallError

FORMATS: Final = {".mkv": "matroska", ".mp4": "mp4", ".webm": "webm", ".mov": "mov", ".avi": "avi"}
"""FFmpeg's name of the format that a file's name asks for."""
VIDEO_SUFFIXES: Final = tuple(FORMATS)
SOUND_SUFFIXES: Final = (".wav", ".ogg", ".flac")
"""Files that sound is written to."""
PICTURE_SUFFIXES: Final = (*VIDEO_SUFFIXES, ".y4m")
"""Files that pictures are written to."""
OTHER_SUFFIXES: Final = (
    ".mp3", ".opus", ".m4a", ".aac", ".mka", ".aif", ".aiff", ".au", ".caf", ".wma", ".amr",
    ".ts", ".m2ts", ".mpg", ".mpeg", ".m4v", ".3gp", ".ogv", ".flv", ".wmv", ".h264", ".264",
    ".hevc", ".h265", ".mjpeg", ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic",
)  # fmt: skip
MEDIA_SUFFIXES: Final = (*SOUND_SUFFIXES, *PICTURE_SUFFIXES, *OTHER_SUFFIXES)
SOURCES: Final = ("-", "tone", "silence", "song", "none")
SINKS: Final = ("-", "none")
VIDEO_SOURCES: Final = ("-", "test", "person", "screen", "camera", "none")


class Meaning(Struct, frozen=True):
    """What a word means."""

    kind: Literal["word", "card", "file", "stream"]
    """`word` is one of the options' own."""
    card: Card | None = None
    note: str | None = None
    """What to say about it."""


def looks_like_path(spec: str) -> bool:
    """Whether it can be no device's name."""
    return spec.startswith(("/", "./", "../")) or Path(spec).suffix.lower() in MEDIA_SUFFIXES


def meaning(spec: str, direction: Direction, find: Callable[[str, Direction], Card]) -> Meaning:
    """Of `--audio-in` (`input`) or `--audio-out`. P2PCallError if it is neither a device nor a file."""
    own = SOURCES if direction == "input" else SINKS
    if spec in own:
        return Meaning("word", note=_beside(spec, "word"))
    if looks_like_path(spec):
        return Meaning(_of_path(spec))
    try:
        card = find(spec, direction)
    except P2PCallError:
        if is_there(spec):
            return Meaning(_of_path(spec))
        raise
    return Meaning("card", card, _beside(spec, WORD[direction]))


def of_picture(spec: str) -> Meaning:
    """Of `--video-in`."""
    if spec in VIDEO_SOURCES:
        return Meaning("word", note=_beside(spec, "word"))
    if spec.startswith("camera:"):
        return Meaning("word", note=_beside(spec, "camera"))
    return Meaning(_of_path(spec))


def is_there(spec: str) -> bool:
    """A file, a pipe or the like of this name; not a directory."""
    path = Path(spec)
    try:
        return path.exists() and not path.is_dir()
    except OSError:  # a name that is too long, a directory that is closed to us
        return False


def is_read_once(spec: str) -> bool:
    """Of an input: a stream, which has no beginning to go back to."""
    return spec == "-" or (spec not in (*SOURCES, *VIDEO_SOURCES) and is_stream(spec))


def _of_path(spec: str) -> Literal["file", "stream"]:
    return "stream" if is_stream(spec) else "file"


def _beside(spec: str, what: str) -> str | None:
    if spec == "-" or not is_there(spec):
        return None
    return f"{spec!r} is taken for the {what} of that name; ./{spec} is the file"
