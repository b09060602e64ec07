"""Recordings of calls on disk: what is in one, where they are, how long they are kept.

Rules: a recording is a sealed file (`sealed`). Its first chunk is the `RecordingHead`: whose call it was, and both
sides' consent. The chunks after it hold whole entries: packets of sound and coded pictures as they were sent and came,
each with its time. The name of a file in the home tells nothing. A recording is kept until the time in its head and
not longer; `erase_recording` destroys its key first. Left out: what packets mean (`media`), who asks whom (`engine`).
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from struct import Struct as Layout
from typing import BinaryIO, Final, NamedTuple

import msgspec
from msgspec import Struct

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.home import Home, file_error, opened_at_once
from p2pcall.store.sealed import HEAD_BYTES, KEY_OFFSET, NotSealed, SealedReader, kept_until

RECORDING_SUFFIX: Final = ".p2prec"
RECORDING_DAYS: Final = 30
"""How long a recording is kept, unless the user has chosen less; the other side is told so when it is asked."""
MIN_RECORDING_DAYS: Final = 1
"""The least that can be chosen: so that a recording can be played at all."""
DAY_S: Final = 24 * 3600
RECORDING_MODE: Final = 0o600
NAME_RANDOM_BYTES: Final = 8
"""Of a file's name in the home: as many as never meet."""
MAX_ENTRY_BYTES: Final = 1 << 19
"""A coded picture has at most half of this."""
_ENTRY: Final = Layout(">BII")


class Track(IntEnum):
    """What an entry is."""

    SOUND_SENT = 1
    SOUND_RECEIVED = 2
    PICTURE_SENT = 3
    PICTURE_RECEIVED = 4
    KEY_PICTURE_SENT = 5
    KEY_PICTURE_RECEIVED = 6


class Entry(NamedTuple):
    """One packet of sound or one coded picture, so many milliseconds after the recording began."""

    track: Track
    at_ms: int
    data: bytes


class Party(Struct, frozen=True):
    """One of the two: the name under which the one who records knows them, and their public key in hexadecimal."""

    name: str
    key: str


class RecordingHead(Struct, frozen=True):
    """Whose call was recorded, and who has agreed to it. Times are seconds since the epoch."""

    call: str
    handshake: str
    """The hash of the handshake in hexadecimal: this call and no other."""
    own: Party
    other: Party
    asked_at: float
    """When `own` asked."""
    agreed_at: float
    """When the agreement of `other` came."""
    kept_days: int
    """For how long, as `other` was told."""
    version: int = 1


def packed_entry(track: Track, at_ms: int, data: bytes) -> bytes:
    """One entry as it is in a chunk."""
    return _ENTRY.pack(track, at_ms, len(data)) + data


def _entries(chunk: bytes) -> Iterator[Entry]:
    """The entries of a chunk; what a newer version has added is left out."""
    at = 0
    while at < len(chunk):
        if at + _ENTRY.size > len(chunk):
            raise NotSealed("an entry breaks off")
        kind, at_ms, length = _ENTRY.unpack_from(chunk, at)
        at += _ENTRY.size
        if length > MAX_ENTRY_BYTES or at + length > len(chunk):
            raise NotSealed("an entry breaks off")
        with suppress(ValueError):
            yield Entry(Track(kind), at_ms, chunk[at : at + length])
        at += length


class RecordingReader:
    """One recording that is open to be read."""

    def __init__(self, path: Path, file: BinaryIO, owner_keys: Iterable[bytes]) -> None:
        """One of the keys opens it. P2PCallError (config) if it is damaged or sealed by somebody else."""
        self.path = path
        try:
            self._reader = _opened(file, owner_keys)
            self._chunks = self._reader.chunks()
            self.head = msgspec.json.decode(next(self._chunks, b""), type=RecordingHead)
        except (NotSealed, msgspec.MsgspecError) as error:
            raise _foreign(path) from error
        self.until = self._reader.until

    @property
    def whole(self) -> bool:
        """Whether it has an end, once all entries were read: what a crash has left breaks off."""
        return self._reader.whole

    def entries(self) -> Iterator[Entry]:
        """Everything that was recorded, in order. P2PCallError (config) where it was changed."""
        try:
            for chunk in self._chunks:
                yield from _entries(chunk)
        except NotSealed as error:
            text = f"{self.path} is damaged: {error}; nothing was changed"
            raise P2PCallError("damaged-recording", text, ExitCode.CONFIG, None) from error


def _opened(file: BinaryIO, owner_keys: Iterable[bytes]) -> SealedReader:
    for key in owner_keys:
        file.seek(0)
        with suppress(NotSealed):
            return SealedReader(file, key)
    raise NotSealed("it is not sealed with any of these keys")


def _foreign(path: Path) -> P2PCallError:
    text = f"{path} is no recording of this identity, or is damaged"
    return P2PCallError("foreign-recording", text, ExitCode.CONFIG, "p2pcall play, for a list of yours")


def recordings_folder(home: Home) -> Path:
    """Where recordings are, unless a file was named."""
    return home.data / "recordings"


def make_recording(path: Path) -> BinaryIO:
    """A new file that only its owner can read. FileExistsError if it is there, P2PCallError if it cannot be made."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, RECORDING_MODE)
    except FileExistsError:
        raise
    except OSError as error:
        raise file_error(error, path, "write") from error
    return os.fdopen(fd, "wb", buffering=0)


def all_recordings(home: Home) -> list[Path]:
    """Every recording in the home, oldest first; not what has such a name and is no file, or is gone by now."""
    found = []
    for path in recordings_folder(home).glob(f"*{RECORDING_SUFFIX}"):
        with suppress(OSError):
            info = path.stat()
            if stat.S_ISREG(info.st_mode):
                found.append((info.st_mtime, path))
    return [path for _, path in sorted(found)]


def expired(home: Home, now: float) -> list[Path]:
    """The recordings in the home that are not to be kept any longer; no key is needed to know."""
    return [
        path for path in all_recordings(home) if (until := recording_until(path)) is not None and until <= now
    ]


def recording_until(path: Path) -> int | None:
    """Until when a recording is to be kept, as its head says in clear; None if it is none, or cannot be read."""
    with suppress(OSError), opened_at_once(path) as file:
        return kept_until(file.read(HEAD_BYTES))
    return None


def erase_recording(path: Path) -> None:
    """Destroy its key, then remove it; another process may have done so. P2PCallError if that fails."""
    try:
        with path.open("r+b", buffering=0) as file:
            file.seek(KEY_OFFSET)
            file.write(bytes(HEAD_BYTES - KEY_OFFSET))
            os.fsync(file.fileno())
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise file_error(error, path, "erase") from error
