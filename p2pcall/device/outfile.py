"""A file that a call writes: made when there is something to write, complete before it has its name.

Rules: nothing is made or touched by looking (`check`). What is written is called `NAME.part`, beside the file that was
asked for, readable by its owner alone, and locked for as long as somebody writes it; at the end it takes its name. A
file that is there is never written over unless `force` says so: the next free name is taken (`call-2.wav`), and told.
What a crash has left is found by the next `check` and gets a name. Pipes and devices are written as they are. Leaves
out what is written.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Final

from p2pcall.errors import ExitCode, P2PCallError

PART: Final = ".part"
OUTFILE_MODE: Final = 0o600
HEADER_BYTES: Final = 44
"""A WAV file without a sample in it has as much: nothing was said."""


class OutFile:
    """One file to be written. `check` it before the call, `begin` in it, `finish` at its end."""

    def __init__(self, path: str, *, force: bool = False) -> None:
        self.path = Path(path)
        self._force = force
        self._part: Path | None = None
        self._name = self.path
        self._lock = -1
        self.on_note: Callable[[str], None] | None = None
        """Told, in any thread, when the file has another name than was asked for."""

    @property
    def name(self) -> str:
        """The file that is written, which is not always the one that was asked for."""
        return str(self._name)

    @property
    def is_plain(self) -> bool:
        """An ordinary file, or to become one; not a pipe or a device."""
        try:
            return stat.S_ISREG(self.path.stat().st_mode)
        except OSError:
            return True

    def check(self) -> list[str]:
        """P2PCallError (exit 2) if it cannot be written; what was found of earlier calls that did not end well."""
        folder = self.path.parent
        try:
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "not a directory")
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a directory")
            if self.is_plain and not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "permission denied")
            if (
                self.path.exists()
                and (self._force or not self.is_plain)
                and not os.access(self.path, os.W_OK)
            ):
                raise PermissionError(errno.EACCES, "permission denied")
        except OSError as error:
            raise self._cannot(error) from error
        return [f"a call that was cut short is kept as {name}" for name in self._left_over()]

    def begin(self) -> str:
        """Where to write, made just now and empty. P2PCallError (exit 2) if it cannot be made."""
        if not self.is_plain:
            return str(self.path)
        try:
            self._part, self._lock = self._reserve()
        except OSError as error:
            raise self._cannot(error) from error
        if self._name != self.path:
            self._tell(f"{self.path} is there already: this call is written to {self._name}")
        return str(self._part)

    def finish(self) -> None:
        """Give it its name; what is empty goes. OSError if that fails, then it stays as it was written. Idempotent."""
        part, self._part = self._part, None
        if part is None:
            return
        try:
            if not part.stat().st_size:
                part.unlink()
            elif self._force and self._name == self.path:
                part.replace(self._name)
            else:
                named = _take_name(part, self._name, self.path)
                if named != self._name:
                    self._tell(f"{self._name} is there already: this call was written to {named}")
        finally:
            os.close(self._lock)

    def _reserve(self) -> tuple[Path, int]:
        """The first free name, and a file for it that nobody else has."""
        for number in count(1):
            name = numbered(self.path, number)
            if name.exists() and not (self._force and number == 1):
                continue
            part = Path(f"{name}{PART}")
            try:
                fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OUTFILE_MODE)
            except FileExistsError:
                continue
            with suppress(OSError):  # a file system without locks
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._name = name
            return part, fd
        raise AssertionError("counting has no end")

    def _left_over(self) -> list[Path]:
        """What crashed calls have left of this file, each with a name now."""
        kept: list[Path] = []
        for number in count(1):
            name = numbered(self.path, number)
            part = Path(f"{name}{PART}")
            if not part.exists():
                if not name.exists():
                    return kept
                continue
            with suppress(OSError):
                fd = os.open(part, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.fstat(fd).st_size <= HEADER_BYTES:
                        part.unlink()
                    else:
                        kept.append(_take_name(part, name, self.path))
                finally:
                    os.close(fd)
        return kept

    def _tell(self, text: str) -> None:
        if self.on_note is not None:
            self.on_note(text)

    def _cannot(self, error: OSError) -> P2PCallError:
        reason = (error.strerror or str(error)).lower()
        hint = "name a file in a directory that you can write to"
        return P2PCallError("file-not-writable", f"{self.path}: {reason}", ExitCode.USAGE, hint)


def numbered(path: Path, number: int) -> Path:
    """`out.wav`, `out-2.wav`, `out-3.wav` and so on."""
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")


def _take_name(part: Path, name: Path, path: Path) -> Path:
    """Rename without ever replacing a file: to `name`, or the next one of `path` that is free."""
    for free in chain((name,), (numbered(path, number) for number in count(1))):
        try:
            os.link(part, free)
        except FileExistsError:
            continue
        except OSError:  # a file system without links
            if free.exists():
                continue
            part.rename(free)
            return free
        part.unlink()
        return free
    raise AssertionError("counting has no end")


def check_not_the_same(inputs: Mapping[str, str | None], outputs: Mapping[str, OutFile]) -> None:
    """P2PCallError (exit 2) if a file is to be read and written at once, or written twice; both by their option."""
    known = [(option, Path(value)) for option, value in inputs.items() if value and value != "-"]
    for option, file in outputs.items():
        for other, path in known:
            if not _is_device(file.path) and same_file(path, file.path):
                text = f"{other} and {option} are the same file, {file.path}"
                raise P2PCallError("same-file", text, ExitCode.USAGE, "name another file to write to")
        known.append((option, file.path))


def _is_device(path: Path) -> bool:
    """Such as /dev/null, which may well be read and written."""
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file: by device and inode; of files that are still to be made, by their place."""
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()
