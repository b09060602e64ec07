"""The file of the vault on the disk: its errors in plain words, putting a complete file in its place, overwriting.

Left out: what is in it (`vault`), and the checks of any file of ours (`home`).
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from p2pcall.errors import P2PCallError
from p2pcall.store.home import damaged, file_error, in_use, sync_directory

if TYPE_CHECKING:
    import apsw

WHOLE_SIZE: Final = 0
"""Where `state_of` has the size of a whole file."""
SIDES: Final = ("-wal", "-shm", "-journal")
"""What SQLite adds to the file's name for the files beside it."""


@contextmanager
def closed_on_error(db: "apsw.Connection") -> Iterator[None]:
    """Closes the connection if the block raises."""
    try:
        yield
    except BaseException:
        db.close()
        raise


@contextmanager
def plainly(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into those that people see."""
    import apsw

    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        why = "it is not a vault of this identity's, or bytes in it have changed"
        raise damaged(path, why) from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise in_use(path) from error
    except apsw.FullError as error:
        raise _as_file_error(errno.ENOSPC, path, "write") from error
    except apsw.ReadOnlyError as error:
        raise _as_file_error(errno.EROFS, path, "write") from error
    except (apsw.CantOpenError, apsw.PermissionsError) as error:
        raise _as_file_error(errno.EACCES, path, "open") from error
    except apsw.IOError as error:
        full = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE
        raise _as_file_error(errno.ENOSPC if full else errno.EIO, path, "use") from error
    except OSError as error:
        raise file_error(error, path, "write") from error


def _as_file_error(number: int, path: Path, verb: str) -> P2PCallError:
    return file_error(OSError(number, os.strerror(number)), path, verb)


def state_of(path: str, *, whole: bool) -> tuple[int, ...] | None:
    """What changes when the file is replaced or given away and, with `whole`, when it is written; None: no file."""
    try:
        info = os.stat(path)  # noqa: PTH116 (each knock of a flood does this; `Path.stat` takes three times as long)
    except OSError:
        return None
    always = info.st_dev, info.st_ino, info.st_mode, info.st_uid
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns, *always) if whole else always


def fresh(path: Path) -> None:
    """An empty file that only its owner may read; what an interrupted attempt has left goes."""
    removed(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def removed(path: Path) -> None:
    """Take it away, with what is beside it."""
    for end in ("", *SIDES):
        Path(f"{path}{end}").unlink(missing_ok=True)


def put_in_place(new: Path, path: Path) -> None:
    """Put the complete file in its place; on disk when it returns."""
    fd = os.open(new, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(path)
    sync_directory(path.parent)


def erase(path: Path) -> None:
    """Overwrite the file, then remove it."""
    with path.open("r+b") as file:
        overwrite(file)
    path.unlink()
    sync_directory(path.parent)


def overwrite(file: IO[bytes]) -> None:
    """All that it has."""
    file.write(bytes(os.fstat(file.fileno()).st_size))
    file.flush()
    os.fsync(file.fileno())
