"""Where the program keeps its files, and the only way it reads and writes them.

Rules: directories are 0700 and files 0600; a write is complete or did not happen (temporary file, fsync, rename,
fsync of the directory). Files that others can write are not trusted; this is checked before every read and write:
the directory and each file in it must belong to this user or to root, and neither group nor others may write them.
Every failure is a `P2PCallError` (config) with the command that repairs it. `lock` orders changes by several
processes. Spec: XDG Base Directory 0.8; on macOS the platform's own place. `P2PCALL_HOME` and `--home` put everything
in one directory. Left out: checks of the parent directories, as in ssh. A user who can write there can remove the
home, but cannot replace it with files of ours, because no user can give a file to another one. Parents that a group
can write are common (umask 002).
"""

import contextlib
import errno
import fcntl
import json
import os
import shlex
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from msgspec import Struct

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.opener import IdentityOpener

MEBIBYTE: Final = 1 << 20
MAX_FILE_BYTES: Final = 8 * MEBIBYTE
"""Larger files are refused: the program never writes one."""
LOCK_TRIES: Final = 500
LOCK_PAUSE_S: Final = 0.01
"""Pause between tries, 5 s in all: the lock is held for one write, so a longer wait means a stopped process."""
_OTHERS_WRITE: Final = 0o022
_OTHERS_ANY: Final = 0o077
_ROOT: Final = 0


class Home(Struct, frozen=True):
    """The two directories: the user edits `config`, the program writes `data`."""

    config: Path
    data: Path
    opener: IdentityOpener | None = None
    """How a sealed identity is opened; None: there is nobody to ask for its passphrase."""

    @classmethod
    def at(cls, path: str | Path) -> "Home":
        """Everything in one directory."""
        return cls(Path(path).expanduser().absolute(), Path(path).expanduser().absolute())

    @classmethod
    def locate(cls, environ: Mapping[str, str], override: str | None = None) -> "Home":
        """`override` (--home), else `P2PCALL_HOME`, else the platform's directories.

        Nothing is created yet. `platformdirs` is not used: on macOS it follows XDG variables, and without HOME it takes
        another directory.
        """
        one = override or environ.get("P2PCALL_HOME")
        if one:
            return cls.at(one)
        user = environ.get("HOME")
        if not user:
            text = "there is no home directory: HOME is not set"
            raise P2PCallError("no-home", text, ExitCode.CONFIG, "give one with --home DIR")
        base = Path(user).absolute()
        if sys.platform == "darwin":
            return cls.at(base / "Library" / "Application Support" / "p2pcall")
        config = _xdg(environ, "XDG_CONFIG_HOME", base / ".config")
        data = _xdg(environ, "XDG_DATA_HOME", base / ".local" / "share")
        return cls(config / "p2pcall", data / "p2pcall")

    @property
    def identity_path(self) -> Path:
        return self.data / "identity.key"

    @property
    def contacts_path(self) -> Path:
        """The file of an older version; the vault takes it over."""
        return self.data / "contacts.json"

    @property
    def vault_path(self) -> Path:
        return self.data / "store.db"

    @property
    def settings_path(self) -> Path:
        return self.data / "settings.json"

    @property
    def devices_path(self) -> Path:
        return self.data / "devices.json"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One process (and one thread) at a time changes files in `data`. Raises `P2PCallError` after 5 s."""
        path = self.data / ".lock"
        while True:
            ensure_directory(self.data)
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                raise file_error(error, path, "open") from error
            try:
                _take(fd, path)
                if is_still_at(fd, path):  # else the home was erased meanwhile, and nobody else meets us here
                    yield
                    return
            finally:
                os.close(fd)

    @contextlib.contextmanager
    def listened_at(self) -> Iterator[bool]:
        """While a process waits for calls with this home; whether it is the only one."""
        path = self.data / ".listening"
        ensure_directory(self.data)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise file_error(error, path, "open") from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                alone = True
            except OSError as error:  # or there are no locks on this file system: nobody can know
                alone = not isinstance(error, BlockingIOError)
            yield alone
        finally:
            os.close(fd)


def _xdg(environ: Mapping[str, str], name: str, default: Path) -> Path:
    """The directory in a variable, or `default`; a relative path is ignored, as the specification says."""
    value = environ.get(name, "")
    return Path(value) if value.startswith("/") else default


def _take(fd: int, path: Path) -> None:
    for attempt in range(LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, InterruptedError):
            if attempt < LOCK_TRIES - 1:
                time.sleep(LOCK_PAUSE_S)
        except OSError as error:
            raise file_error(error, path, "lock") from error
        else:
            return
    raise in_use(path)


def is_still_at(fd: int, path: Path) -> bool:
    """Whether the open file, or directory, is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def in_use(path: Path) -> P2PCallError:
    """The error if another process keeps us from the file."""
    text = f"another process holds {path} for too long"
    return P2PCallError("store-locked", text, ExitCode.CONFIG, f"fuser -v {shell_word(path)}")


def ensure_directory(path: Path) -> None:
    """Creates the directory and its missing parents, 0700; refuses one that others can write."""
    try:
        _make(path)
        info = path.stat()
    except OSError as error:
        raise file_error(error, path, "create") from error
    if not stat.S_ISDIR(info.st_mode):
        raise _wrong("not-a-directory", f"{path} is not a directory", "give another one with --home DIR")
    _check_directory(info, path)


def _check_directory(info: os.stat_result, path: Path) -> None:
    """Refuses a directory that others can write, or that belongs to another user: its content cannot be trusted."""
    _check_owner(info, path, "directory")
    if info.st_mode & _OTHERS_WRITE:
        hint = f"chmod 700 {shell_word(path)}"
        if info.st_mode & stat.S_ISVTX:  # shared by all users, as /tmp
            hint = f"give one of your own: --home {shell_word(path / 'p2pcall')}"
        raise _wrong("unsafe-directory", f"{path} can be written by other users", hint)


def _check_owner(info: os.stat_result, path: Path, what: str) -> None:
    """Accepts files of this user and of root, because root can do everything; refuses files of another user."""
    own = os.geteuid()
    if info.st_uid not in (own, _ROOT):
        hint = f"{'sudo ' if own != _ROOT else ''}chown {own} {shell_word(path)}"
        raise _wrong(f"unsafe-{what}", f"{path} belongs to another user (uid {info.st_uid})", hint)


def _make(path: Path) -> None:
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)


def write_atomic(path: Path, data: bytes, *, ours: bool = True) -> None:
    """Replaces the file's content by `data`, 0600, completely or not at all; on disk when it returns.

    `ours` False: it is no file of the program's, and goes where the user says, whoever may write there.
    """
    if ours:
        ensure_directory(path.parent)
    temporary = None
    try:
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
        sync_directory(path.parent)
    except OSError as error:
        raise file_error(error, path, "write") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def sync_directory(path: Path) -> None:
    """Names made or removed in the directory are on disk when it returns."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def read(path: Path, *, private: bool = False) -> bytes | None:
    """The file's bytes, None if there is none.

    Refuses a file that others can write, directly or through its directory; with `private` also one that others can
    read (as ssh does).
    """
    try:
        _check_directory(path.parent.stat(), path.parent)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise file_error(error, path, "read") from error
    try:
        info = os.fstat(fd)
        _check_regular(info, path, private=private)
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise file_error(error, path, "read") from error
    finally:
        os.close(fd)
    if len(data) > MAX_FILE_BYTES:
        raise damaged(path, f"it is larger than {MAX_FILE_BYTES // MEBIBYTE} MiB")
    return data


def opened_at_once(path: Path) -> BinaryIO:
    """The file, to read; OSError if it is none. A pipe is not waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))


def check_file(path: Path) -> os.stat_result | None:
    """Refuses a file as `read` does, but does not open it; None if there is none.

    For a database: closing any descriptor of a file takes away all locks that the process has on it.
    """
    try:
        _check_directory(path.parent.stat(), path.parent)
        info = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise file_error(error, path, "read") from error
    _check_regular(info, path, private=False)
    return info


def _check_regular(info: os.stat_result, path: Path, *, private: bool) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise _wrong("not-a-file", f"{path} is not a file", f"move it away: {aside(path, 'old')}")
    _check_owner(info, path, "file")
    for refused, done in ((_OTHERS_WRITE, "written"), (_OTHERS_ANY if private else 0, "read")):
        if info.st_mode & refused:
            text = f"{path} can be {done} by other users"
            raise _wrong("unsafe-file", text, f"chmod 600 {shell_word(path)}")


def parsed(data: bytes, path: Path, *versions: int) -> dict[str, Any]:
    """The content of a JSON file in one of these versions. Raises `P2PCallError` (config) for anything else."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is not JSON") from error
    version = document.get("version") if isinstance(document, dict) else None
    if (
        type(version) is not int or version not in versions
    ):  # true and 1.0 equal 1 in Python, but are not a version
        wanted = " or ".join(map(str, versions))
        raise damaged(path, f"its version is not {wanted}; a newer p2pcall may have written it")
    return dict(document)


def damaged(path: Path, why: str) -> P2PCallError:
    """The error for an invalid file. The file is not changed: only its owner may decide to lose it."""
    text = f"{path} is damaged: {why}; nothing was changed"
    hint = f"restore it from a backup, or begin anew: {aside(path, 'damaged')}"
    return P2PCallError("damaged-file", text, ExitCode.CONFIG, hint)


def shell_word(path: Path) -> str:
    """The path quoted for a shell; it is absolute, so it never begins with a hyphen."""
    return shlex.quote(str(path))


def aside(path: Path, suffix: str) -> str:
    """The command that moves the file away."""
    return f"mv {shell_word(path)} {shell_word(path.with_name(f'{path.name}.{suffix}'))}"


def _wrong(slug: str, text: str, hint: str) -> P2PCallError:
    return P2PCallError(slug, text, ExitCode.CONFIG, hint)


def file_error(error: OSError, path: Path, verb: str) -> P2PCallError:
    """An error of the file system in plain words."""
    text, hint = (
        f"cannot {verb} {path}: {(error.strerror or str(error)).lower()}",
        f"ls -ld {shell_word(path)} {shell_word(path.parent)}",
    )
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return _wrong("disk-full", text, f"df -h {shell_word(path.parent)}")
        case errno.EROFS:
            return _wrong("read-only", text, "give another directory with --home DIR")
        case errno.ENOTDIR:
            return _wrong("not-a-directory", text, "give another directory with --home DIR")
        case errno.EACCES | errno.EPERM:
            return _wrong("no-permission", text, hint)
    return _wrong("file-error", text, hint)
