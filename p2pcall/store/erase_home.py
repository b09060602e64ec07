"""Erasing all that a home holds, for good: the keys first, then the files that they open, then the rest.

Rules: no passphrase is needed. The private key, and its entry in the keyring, go before anything else: from then on
nobody reads the vault or a recording, or a copy of them from earlier days, whatever passphrase they know. Each file is
overwritten before it is removed. A mark (`ERASING`) is there from before the first step until after the last, so that
an interrupted erasure is seen, and finished by the next one; until then no command uses the home. Only files that
`inventory` knows are erased, and only in a directory that is a home. Left out: what is elsewhere, which nobody here
knows, and what a file system, a flash memory or a backup program has kept of an overwritten file.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from stat import S_ISREG
from typing import Final

from msgspec import Struct

from p2pcall.errors import P2PCallError
from p2pcall.store.home import (
    MAX_FILE_BYTES,
    Home,
    ensure_directory,
    file_error,
    opened_at_once,
    sync_directory,
)
from p2pcall.store.home_use import ERASING, is_half_erased
from p2pcall.store.identity_file import keyring_entry, parse_identity
from p2pcall.store.inventory import Kept, files_in
from p2pcall.store.recordings import erase_recording, recordings_folder
from p2pcall.store.system_keyring import forget_sealing_key
from p2pcall.store.vault_file import overwrite

ORDER: Final = ("identity", "backups", "recordings", "vault", "older-contacts", "reach", "devices", "locks")
"""What goes first: what opens the others."""
OF_A_HOME: Final = frozenset({"identity", "vault", "recordings"})
"""A directory without any of these is no home: its other files may be another program's."""
_OWN_MODE: Final = 0o600


class Gone(Struct, frozen=True):
    """What was erased: so many of a kind of `inventory`, there."""

    kind: str
    where: str
    count: int = 1


class Receipt(Struct, frozen=True):
    """What an erasure has done. `left` has sentences: what it has found and not erased, and why."""

    gone: tuple[Gone, ...] = ()
    left: tuple[str, ...] = ()
    resumed: bool = False
    """It has finished one that was interrupted."""


def all_files(home: Home) -> tuple[list[tuple[Path, Kept]], list[Path]]:
    """What `erase_home` would erase, in that order, and what it would leave because it is not ours.

    P2PCallError (config) if others can write there: what they put there may lead to files of the user's.
    """
    for place in (home.data, recordings_folder(home)):
        if place.exists():
            ensure_directory(place)
    ours, others = [], []
    for path, kept in files_in(home):
        if kept is None or (path.is_dir() and not path.is_symlink()):
            others.append(path)
        else:
            ours.append((path, kept))
    if not is_half_erased(home) and not any(kept.kind in OF_A_HOME for _, kept in ours):
        return [], [path for path, _ in ours] + others
    return sorted(ours, key=lambda one: (ORDER.index(one[1].kind), one[0])), others


def erase_home(home: Home) -> Receipt:
    """Erase all of it; the caller has the home alone. P2PCallError (config) if a file cannot be erased: then again."""
    ours, others = all_files(home)
    if not ours:
        return Receipt()
    resumed = is_half_erased(home)
    mark = home.data / ERASING
    with _plainly(mark):
        mark.touch(_OWN_MODE)
        sync_directory(home.data)
    gone, left = [], [f"{path} is no file of this program's" for path in others]
    for entry in dict.fromkeys(_entries(ours)):
        if forget_sealing_key(entry):
            gone.append(Gone("keyring", entry))
        else:
            left.append(f"the keyring could not be asked to forget its entry p2pcall, {entry}")
    for path, kept in ours:
        if path != mark:
            _erased(_renamed(path) if kept.kind == "backups" else path, kept.kind)
            gone.append(Gone(kept.kind, str(path)))
    with _plainly(mark):
        _remove_folders(home, mark)
    return Receipt(tuple(one for one in gone if one.kind != "locks"), tuple(left), resumed)


def _entries(ours: list[tuple[Path, Kept]]) -> Iterator[str]:
    """The keyring's entries that identities here need."""
    for path, kept in ours:
        if kept.kind == "identity":
            with suppress(OSError, P2PCallError), opened_at_once(path) as file:
                entry = keyring_entry(parse_identity(file.read(MAX_FILE_BYTES), path))
                if entry is not None:
                    yield entry


def _erased(path: Path, kind: str) -> None:
    """The file is overwritten and gone, on disk, when it returns; of a long recording, its key is overwritten."""
    with _plainly(path):
        with suppress(FileNotFoundError):  # a link that leads nowhere
            info = path.stat()
            if S_ISREG(info.st_mode):
                if info.st_mode & _OWN_MODE != _OWN_MODE:
                    path.chmod(_OWN_MODE)
                if kind == "recordings":
                    erase_recording(path)
                else:
                    with path.open("r+b") as file:
                        overwrite(file)
        path.unlink(missing_ok=True)
        sync_directory(path.parent)


def _renamed(path: Path) -> Path:
    """The file under a name by which it is known when its content is overwritten, and the program was stopped then."""
    if path.name.startswith(ERASING):
        return path
    new = next(one for number in count() if not (one := path.with_name(f"{ERASING}.{number}")).exists())
    with _plainly(path):
        return path.rename(new)


def _remove_folders(home: Home, mark: Path) -> None:
    """The folders, unless something is in them; the mark before the last."""
    folder = recordings_folder(home)
    if folder.is_symlink():
        folder.unlink()
    with suppress(OSError):
        folder.rmdir()
    mark.unlink()
    sync_directory(home.data)
    with suppress(OSError):
        home.data.rmdir()


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Turns errors of the file system into those that people see."""
    try:
        yield
    except OSError as error:
        raise file_error(error, path, "erase") from error
