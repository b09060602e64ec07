"""The vault: what is kept about people and calls, in one encrypted file (SQLite, ChaCha20-Poly1305 for each page).

Rules: the key of the file is derived from the identity; nothing of its content is ever on disk in the clear. A change
is complete or did not happen, and is on disk when its method returns; the lock of the home orders the changes of all
processes. Reading waits for no writer and sees each committed change, also that of another process. What is deleted is
overwritten (`secure_delete`), and leaves no gap and no trace in the log of changes (`forget`). A file that cannot be
read, or not with this identity's key, is an error and is kept as it is. The tables are checked whenever the file is
opened, the long ones only in `check` and in copying, because that takes 50 ms for 100,000 rows. The file of contacts
of an older version is taken over when the vault is made, and then erased. Nothing is made before there is something
to keep, or a key was changed. The file is under one key as a whole: another one comes with a copy that takes its
place, and if a change of the identity was interrupted before that, the next opening does it (`vault_key`).

Write and open it in a thread, never on the loop; reading what has not changed takes microseconds. Left out: who may
see what of it (`contacts`, `calllog`), and erasing what was on the disk's own spare blocks.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import contacts_file, schema
from p2pcall.store.home import Home, check_file, damaged, ensure_directory, read
from p2pcall.store.identity import Identity, load_or_create
from p2pcall.store.identity_file import is_replaced, replaced_meanwhile
from p2pcall.store.vault_file import (
    SIDES,
    WHOLE_SIZE,
    closed_on_error,
    erase,
    fresh,
    overwrite,
    plainly,
    put_in_place,
    removed,
    state_of,
)
from p2pcall.store.vault_key import forget_before, key_before, vault_key

if TYPE_CHECKING:
    import apsw

BUSY_MS: Final = 5000
"""How long SQLite waits for another process that writes at the same moment; the lock of the home lets nobody wait so
long."""
UNWRITABLE: Final = frozenset({"disk-full", "read-only", "no-permission"})
"""Errors with which a vault can still be read."""


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
                db.pragma("journal_mode", "wal")  # an interrupted `rekey` has left it at another one
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                    db.execute("COMMIT")
                finally:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                if forget:
                    _vacuum(db)
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
        key = self._ready_key()
        with self.home.lock(), plainly(path):
            source = self._opened(locked=True)
            if source is None:
                raise P2PCallError("nothing-kept", "there is nothing to copy yet", ExitCode.CONFIG)
            with closing(source), self._copied(source, path, key, "delete") as new:  # with nothing beside it
                put_in_place(new, path)

    @contextmanager
    def _copied(self, source: "apsw.Connection", path: Path, key: bytes, mode: str) -> Iterator[Path]:
        """A complete copy under `key`, to be put at `path`; `mode` is how it is journalled. Taken away at the end."""
        _sound(source, self._path, "integrity_check")
        new = path.with_name(f".{path.name}.new")
        fresh(new)
        try:
            with closing(self._connect(new, key=key)) as copy:
                with copy.backup("main", source, "main") as work:
                    work.step()
                copy.pragma("journal_mode", mode)
            yield new
        finally:
            removed(new)

    def opens_with(self, key: bytes) -> bool:
        """Whether there is a file, and this is its key. Changes nothing, whatever a crash has left beside it."""
        import apsw

        if check_file(self._path) is None:
            return False
        with (
            plainly(self._path),
            suppress(apsw.NotADBError, apsw.CorruptError),
            closing(self._connect(self._path, unchanged=True, key=key)) as db,
        ):
            return schema.version(db) > 0
        return False

    def check_alone(self) -> None:
        """P2PCallError (config) if another process has the vault open, or it cannot be used."""
        self._ready_key()
        with self._turn, self.home.lock(), plainly(self._path):
            self._drop()
            db = self._opened(locked=True)
            if db is not None:
                with closing(db), _undivided(db):
                    db.pragma("journal_mode", "wal")

    def rekey(self, key: bytes) -> None:
        """Put the file under another key; one that is not there is made. A crash leaves the one or the other.

        What was under the key before is overwritten. P2PCallError (config) if another process has the vault open, or
        the disk is full.
        """
        self._ready_key()
        with self._turn, self.home.lock(), plainly(self._path):
            self._rekeyed(key)
            forget_before(self.home)

    def _rekeyed(self, key: bytes) -> None:
        """As `rekey`; the caller has the lock.

        A file is made because another process that still has the identity before must not make one of its own.
        """
        self._drop()
        db = self._opened(locked=True)
        if db is None:
            self._key = key
            self._created().close()
            return
        with closing(db), _undivided(db), self._copied(db, self._path, key, "wal") as new:
            db.close()  # before its file is opened: closing any descriptor of that gives up the locks on it
            with self._path.open("r+b") as before:
                put_in_place(new, self._path)
                self._key = key
                overwrite(before)

    def _finish(self, identity: Identity) -> None:
        """Do what a change of the identity has left undone."""
        if key_before(self.home, identity) is None:
            return
        with self.home.lock(), plainly(self._path):
            before, now = key_before(self.home, identity), vault_key(identity)
            if before is not None and check_file(self._path) is not None and not self.opens_with(now):
                self._key = before
                try:
                    self._rekeyed(now)
                finally:
                    self._key = None
            if before is not None:
                forget_before(self.home)

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
        return state_of(str(self._path), whole=True), state_of(self._place, whole=False), self._older()

    def _older(self) -> object:
        """The file of an older version, as long as it was not taken over."""
        return state_of(str(self.home.contacts_path), whole=True)

    def _ready_key(self) -> bytes:
        """The key. The first time it may take the lock of the home, so whoever takes the lock asks for it before."""
        key = self._key
        if key is None:
            identity = self._unlock()
            self._finish(identity)
            key = self._key = vault_key(identity)
        return key

    def _connect(self, path: Path, *, unchanged: bool = False, key: bytes | None = None) -> "apsw.Connection":
        """A connection with the key; `unchanged`: to read by alone, from a file that nobody changes."""
        import apsw

        how = apsw.SQLITE_OPEN_READONLY if unchanged else apsw.SQLITE_OPEN_READWRITE
        uri = f"{path.as_uri()}?immutable={int(unchanged)}"
        db = apsw.Connection(uri, flags=how | apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_NOFOLLOW)
        with closed_on_error(db):
            db.set_busy_timeout(BUSY_MS)
            db.pragma("key", _raw(self._ready_key() if key is None else key))
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
        log = state_of(f"{self._path}-wal", whole=True)
        if error.slug not in UNWRITABLE or self._older() is not None or (log is not None and log[WHOLE_SIZE]):
            raise error
        return self._checked(unchanged=True)

    def _checked(self, *, unchanged: bool = False) -> "apsw.Connection":
        with self._by_the_key_now(), plainly(self._path):
            db = self._connect(self._path, unchanged=unchanged)
            with closed_on_error(db):
                if not 0 < schema.version(db) <= len(schema.MIGRATIONS):
                    raise damaged(self._path, "a newer p2pcall may have written it")
                for one in schema.few_rows(db):
                    _sound(db, self._path, f"quick_check({one})")
        return db

    @contextmanager
    def _by_the_key_now(self) -> Iterator[None]:
        """A file that is under a newer key than ours is not damaged: nobody is told to move it away."""
        try:
            yield
        except P2PCallError as error:
            if error.slug == "damaged-file" and is_replaced(self.home):
                raise replaced_meanwhile() from error
            raise

    def _created(self) -> "apsw.Connection":
        """A new vault, with what a file of an older version holds; it appears complete. The caller has the lock."""
        ensure_directory(self.home.data)
        old = self.home.contacts_path
        data = read(old)
        new = self._path.with_name(f".{self._path.name}.new")
        with plainly(self._path):
            fresh(new)
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
                put_in_place(new, self._path)
            finally:
                removed(new)
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
            erase(self._half_erased)


@contextmanager
def _undivided(db: "apsw.Connection") -> Iterator[None]:
    """Nothing of it is in another file, and no other process has it open; if one has, `plainly` says so.

    If the block raises it is journalled as before.
    """
    import apsw

    db.pragma("journal_mode", "delete")
    try:
        yield
    except BaseException:
        with suppress(apsw.Error):
            db.pragma("journal_mode", "wal")
        raise


def _vacuum(db: "apsw.Connection") -> None:
    """Write the file anew without gaps, and move the log's content into it, so that nothing older stays there."""
    import apsw

    db.execute("VACUUM")
    with suppress(apsw.BusyError):  # somebody reads for longer than `BUSY_MS`; the next one empties it
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _raw(key: bytes) -> str:
    """The key as SQLite takes it without deriving another one from it."""
    return f"raw:{key.hex()}"


def _sound(db: "apsw.Connection", path: Path, check: str) -> None:
    found: Any = db.execute(f"PRAGMA {check}").fetchone()
    if found != ("ok",):
        raise damaged(path, "its tables contradict each other")
