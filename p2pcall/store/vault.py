"""The vault: what is kept about people and calls, in one encrypted file (SQLite, ChaCha20-Poly1305 for each page).

Rules: the key of the file is derived from the identity; nothing of its content is ever on disk in the clear. A change
is complete or did not happen, and is on disk when its method returns; the lock of the home orders the changes of all
processes. Reading waits for no writer and sees each committed change, also that of another process. What is deleted is
overwritten (`secure_delete`), and leaves no gap and no trace in the log of changes (`forget`). A file that cannot be
read, or not with this identity's key, is an error and is kept as it is. The tables are checked whenever the file is
opened, the long ones only in `check` and `backup`, because that takes 50 ms for 100,000 rows. The file of contacts of
an older version is taken over when the vault is made, and then erased. Nothing is made before there is something to
keep.

Write and open it in a thread, never on the loop; reading what has not changed takes microseconds. Left out: who may
see what of it (`contacts`, `calllog`), and erasing what was on the disk's own spare blocks.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import contacts_file, schema
from p2pcall.store.home import (
    Home,
    check_file,
    damaged,
    ensure_directory,
    file_error,
    in_use,
    read,
    sync_directory,
)
from p2pcall.store.identity import Identity, load_or_create

if TYPE_CHECKING:
    import apsw

VAULT_PURPOSE: Final = b"p2pcall vault 1"
BUSY_MS: Final = 5000
"""How long SQLite waits for another process that writes at the same moment; the lock of the home lets nobody wait so
long."""
_SIZE: Final = 0
"""Where `_stat` has the file's size."""
UNWRITABLE: Final = frozenset({"disk-full", "read-only", "no-permission"})
"""Errors with which a vault can still be read."""
SIDES: Final = ("-wal", "-shm", "-journal")
"""What SQLite adds to the file's name for the files beside it."""


class Vault:
    """The vault of a home, in one process. One thread at a time reads, and one writes."""

    def __init__(self, home: Home, unlock: Callable[[], Identity] | None = None) -> None:
        """`unlock` gives the identity, and is called at most once, when it is needed; without it the home's is read."""
        self.home = home
        self._path, self._place = home.vault_path, str(home.data)
        self._half_erased = home.contacts_path.with_name(f".{home.contacts_path.name}.old")
        """The name of the file of an older version while it is being overwritten."""
        self._unlock = unlock or (lambda: load_or_create(home, os.urandom))
        self._key: bytes | None = None
        self._turn = threading.RLock()
        """Held while the connection for reading is used."""
        self._db: apsw.Connection | None = None
        self._seen: object = None
        """The state of the file when that connection was opened."""

    @contextmanager
    def reading(self) -> Iterator["apsw.Connection | None"]:
        """A connection to read by, None if nothing is kept yet. P2PCallError (config) if the file cannot be used."""
        with self._turn:
            now = self._state()
            if self._db is None or now != self._seen:
                self._drop()
                try:
                    self._db = self._opened()
                except P2PCallError as error:
                    self._db = self._unchanged(error)
                self._closes_quietly(True)
                self._seen = self._state()
            if self._db is None:
                yield None
                return
            with plainly(self._path):
                yield self._db

    @contextmanager
    def writing(self, *, forget: bool = False) -> Iterator["apsw.Connection"]:
        """One transaction, made if the block ends, undone if it raises. `forget`: no trace of the old is left.

        P2PCallError (config) if it cannot be kept.
        """
        self._ready_key()
        with self.home.lock(), plainly(self._path):
            db = self._opened(locked=True) or self._created()
            try:
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                    db.execute("COMMIT")
                finally:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                if forget:
                    db.execute("VACUUM")
                    _empty_log(db)
            finally:
                db.close()

    def stamp(self) -> object:
        """A value that stays equal as long as nobody changes the vault; takes microseconds."""
        with self._turn:
            now = self._state()
            if self._db is None or now != self._seen:
                return now
            with plainly(self._path):
                return now, self._db.pragma("data_version")

    def check(self) -> None:
        """Check all of the file. P2PCallError (config) if it is damaged."""
        with self.reading() as db:
            if db is not None:
                _sound(db, self._path, "integrity_check")

    def backup(self, path: Path) -> None:
        """Write a complete copy to `path`, under the same key; one that is there is replaced in one step.

        P2PCallError (config) if there is nothing to copy, or the copy cannot be written.
        """
        new = path.with_name(f".{path.name}.new")
        self._ready_key()
        with self.home.lock(), plainly(path):
            source = self._opened(locked=True)
            if source is None:
                raise P2PCallError("nothing-kept", "there is nothing to copy yet", ExitCode.CONFIG)
            try:
                _sound(source, self._path, "integrity_check")
                _fresh(new)
                copy = self._connect(new)
                try:
                    with copy.backup("main", source, "main") as work:
                        work.step()
                    copy.pragma("journal_mode", "delete")  # one file, with nothing beside it
                finally:
                    copy.close()
                _settled(new, path)
            finally:
                source.close()
                _removed(new)

    def rekey(self, key: bytes) -> None:
        """Encrypt the file under another key. A crash leaves the one or the other.

        P2PCallError (config) if another process has the vault open, or the disk is full.
        """
        self._ready_key()
        with self._turn, self.home.lock(), plainly(self._path):
            self._drop()
            db = self._opened(locked=True)
            if db is not None:
                try:
                    # In WAL mode the file itself would stay under the old key until its next checkpoint.
                    db.pragma("journal_mode", "delete")
                    try:
                        db.pragma("rekey", _raw(key))
                    finally:
                        db.pragma("journal_mode", "wal")
                finally:
                    db.close()
            self._key = key

    def close(self) -> None:
        """Give the file up; it is opened again when it is needed."""
        with self._turn:
            self._closes_quietly(False)
            self._drop()

    def _closes_quietly(self, quietly: bool) -> None:
        """Whether the connection for reading leaves the log as it is when it is closed, because that may wait."""
        if self._db is not None:
            import apsw

            self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, quietly)

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with plainly(self._path):
                db.close()

    def _state(self) -> object:
        """What tells that the file was replaced, written, or that others may write it. Not that SQLite has appended a
        change: `data_version` tells that."""
        return _stat(str(self._path), whole=True), _stat(self._place, whole=False), self._older()

    def _older(self) -> object:
        """The file of an older version, as long as it was not taken over."""
        return _stat(str(self.home.contacts_path), whole=True)

    def _ready_key(self) -> bytes:
        """The key. The first time it may take the lock of the home, so whoever takes the lock asks for it before."""
        if self._key is None:
            self._key = self._unlock().derived_key(VAULT_PURPOSE)
        return self._key

    def _connect(self, path: Path, *, unchanged: bool = False) -> "apsw.Connection":
        """A connection with the key; `unchanged`: to read by alone, from a file that nobody changes."""
        import apsw

        how = apsw.SQLITE_OPEN_READONLY if unchanged else apsw.SQLITE_OPEN_READWRITE
        uri = f"{path.as_uri()}?immutable={int(unchanged)}"
        db = apsw.Connection(uri, flags=how | apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_NOFOLLOW)
        with closed_on_error(db):
            db.set_busy_timeout(BUSY_MS)
            db.pragma("key", _raw(self._ready_key()))
            db.pragma("secure_delete", True)
            db.pragma("temp_store", "memory")
            db.pragma("synchronous", "full")
        return db

    def _opened(self, *, locked: bool = False) -> "apsw.Connection | None":
        """A connection to the checked file, in the current version; None if there is none.

        `locked`: the caller has the lock of the home, without which nothing is made or moved to another version.
        """
        missing = check_file(self._path) is None
        if missing and self._older() is None:
            return None
        self._ready_key()
        db = None if missing else self._checked()
        settled = self._older() is None and not self._half_erased.exists()
        if db is not None and settled and schema.version(db) == len(schema.MIGRATIONS):
            return db
        if not locked:
            if db is not None:
                db.close()
            with self.home.lock():
                return self._opened(locked=True)
        if db is None:
            return self._created()
        with plainly(self._path), closed_on_error(db):
            with db:
                schema.migrate(db)
            self._take_away(db)
        return db

    def _unchanged(self, error: P2PCallError) -> "apsw.Connection":
        """A connection to read by where SQLite can write nothing beside the file; raises `error` if that is not why.

        What is only in the log of changes cannot be read so.
        """
        log = _stat(f"{self._path}-wal", whole=True)
        if error.slug not in UNWRITABLE or self._older() is not None or (log is not None and log[_SIZE]):
            raise error
        return self._checked(unchanged=True)

    def _checked(self, *, unchanged: bool = False) -> "apsw.Connection":
        with plainly(self._path):
            db = self._connect(self._path, unchanged=unchanged)
            with closed_on_error(db):
                if not 0 < schema.version(db) <= len(schema.MIGRATIONS):
                    raise damaged(self._path, "a newer p2pcall may have written it")
                for one in schema.FEW_ROWS:
                    _sound(db, self._path, f"quick_check({one})")
        return db

    def _created(self) -> "apsw.Connection":
        """A new vault, with what a file of an older version holds; it appears complete. The caller has the lock."""
        ensure_directory(self.home.data)
        old = self.home.contacts_path
        data = read(old)
        new = self._path.with_name(f".{self._path.name}.new")
        with plainly(self._path):
            _fresh(new)
            try:
                db = self._connect(new)
                try:
                    with db:
                        schema.migrate(db)
                        if data is not None:
                            contacts_file.take_over(db, data, old)
                    db.pragma("journal_mode", "wal")
                finally:
                    db.close()
                for side in SIDES:  # of a vault that is gone: its log must not be taken for the new one's
                    with suppress(FileNotFoundError):
                        beside = Path(f"{self._path}{side}")
                        beside.replace(f"{beside}.old")
                _settled(new, self._path)
            finally:
                _removed(new)
        db = self._connect(self._path)
        with closed_on_error(db):
            self._take_away(db)
        return db

    def _take_away(self, db: "apsw.Connection") -> None:
        """Erase the file of an older version whose content is in the vault. P2PCallError (config) for another one."""
        path = self.home.contacts_path
        data = read(path)
        if data is not None and not contacts_file.is_taken_over(db, data):
            text = f"{path} is of an older p2pcall, and its contacts are not those in {self._path}; nothing was changed"
            hint = f"move one of the two away; {path} alone is taken over"
            raise P2PCallError("two-stores", text, ExitCode.CONFIG, hint)
        if data is not None:
            path.replace(self._half_erased)
        if self._half_erased.exists():
            _erase(self._half_erased)


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


def _empty_log(db: "apsw.Connection") -> None:
    """Move the log's content into the file, so that nothing older stays in it."""
    import apsw

    with suppress(apsw.BusyError):  # somebody reads for longer than `BUSY_MS`; the next one empties it
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _raw(key: bytes) -> str:
    """The key as SQLite takes it without deriving another one from it."""
    return f"raw:{key.hex()}"


def _sound(db: "apsw.Connection", path: Path, check: str) -> None:
    found: Any = db.execute(f"PRAGMA {check}").fetchone()
    if found != ("ok",):
        raise damaged(path, "its tables contradict each other")


def _stat(path: str, *, whole: bool) -> tuple[int, ...] | None:
    try:
        info = os.stat(path)  # noqa: PTH116 (each knock of a flood does this; `Path.stat` takes three times as long)
    except OSError:
        return None
    always = info.st_dev, info.st_ino, info.st_mode, info.st_uid
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns, *always) if whole else always


def _fresh(path: Path) -> None:
    """An empty file that only its owner may read; what an interrupted attempt has left goes."""
    _removed(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _removed(path: Path) -> None:
    for end in ("", *SIDES):
        Path(f"{path}{end}").unlink(missing_ok=True)


def _settled(new: Path, path: Path) -> None:
    """Put the complete file in its place; on disk when it returns."""
    fd = os.open(new, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(path)
    sync_directory(path.parent)


def _erase(path: Path) -> None:
    """Overwrite the file, then remove it."""
    with path.open("r+b") as file:
        file.write(bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_directory(path.parent)
