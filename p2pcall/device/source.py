"""What sound or picture is read from: a file, or a stream that is read as it comes. Light: no library reads it yet."""

from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from p2pcall.device.base import media_file_error

FRAMES_AT_ONCE: Final = 5
"""Read, or resampled, at one go: a fifth of the work of single frames, and still too little to be late by."""


class Reader(Protocol):
    """A stream that is read as it comes."""

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, at least one; none at the end."""


class MediaInput(Struct, frozen=True):
    """Something to read sound or picture from: a file by its path, or a stream that `reader` gives."""

    name: str
    reader: Reader | None = None
    track: int | None = None
    """Counted from 1 among the tracks of a kind; None for the one that players take."""
    head: bytes = b""
    """What a stream begins with, as far as it has been looked at; `reader` gives it again."""


def check_is_file(path: str) -> None:
    """Raises P2PCallError unless `path` can be read as a file (a URL cannot)."""
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise media_file_error(path, reason, "name a file that exists and can be read") from error
