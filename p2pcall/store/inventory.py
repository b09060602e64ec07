"""What a home can hold: each thing with its files, its columns of the vault, why it is kept, and for how long.

Rules: every file that the program writes into a home, every column of the vault and every row of its settings is named
here, once; what is not named is not kept. `look` says what is there now. Files are known by their names; a recording
or a backup also by how it begins, because the user names those. Left out: words for people (`cli.privacy`), and files
that the user had written elsewhere, which nobody remembers.
"""

from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from p2pcall.store import factors, retention
from p2pcall.store.backup import BACKUP_PREFIX
from p2pcall.store.home import Home
from p2pcall.store.home_use import ERASING
from p2pcall.store.private_settings import PrivateSetting
from p2pcall.store.recordings import DAY_S, RECORDING_DAYS, recording_until, recordings_folder
from p2pcall.store.schema import CONTACTS_CHANGED, CONTACTS_FILE, UNFINISHED
from p2pcall.store.sealed import SEALED_MAGIC
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw

BEGINNING_BYTES: Final = 4096
"""So much of a file is read to know it: the comment of a backup is shorter."""


class Guard(StrEnum):
    """What keeps others from reading it."""

    IDENTITY = "identity"
    """As the private key itself is kept."""
    VAULT = "vault"
    """The vault's encryption, under a key made from the private key."""
    RECORDING = "recording"
    """A key of its own, sealed under one made from the private key."""
    PASSPHRASE = "passphrase"
    """A passphrase of its own."""
    KEYRING = "keyring"
    """The keyring of the machine."""
    NONE = "none"
    """The mode of the file alone."""


class Retention(StrEnum):
    """How long it is kept, and what says so."""

    CALLS = "calls"
    REQUESTS = "requests"
    RECORDINGS = "recordings"
    USER = "user"
    """Until the user takes it away."""
    PROGRAM = "program"
    """As long as the program needs it."""


class Kept(Struct, frozen=True):
    """One kind of thing. `files` are patterns of names in the home; `columns` are `table.column` in the vault."""

    kind: str
    what: str
    why: str
    guard: Guard
    retention: Retention
    files: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """Rows of the vault's settings."""
    query: str = ""
    """Gives how many there are in the vault, the time of the oldest and of the newest."""
    secret: bool = False
    """It is in no export."""


class Found(Struct, frozen=True):
    """What is there of one kind now; times are seconds since the epoch, None: not known, or there is none."""

    kept: Kept
    where: tuple[str, ...]
    count: int
    since: float | None = None
    until: float | None = None
    """When the last of it goes by itself."""
    size: int = 0
    """Bytes of its files; 0 for what is in the vault."""


CHOICES: Final = tuple(map(str, PrivateSetting))
_MARKS: Final = (CONTACTS_CHANGED, CONTACTS_FILE, UNFINISHED)


def _count_of(names: tuple[str, ...]) -> str:
    """The query that counts these settings."""
    return f"SELECT count(*), NULL, NULL FROM settings WHERE name IN ({', '.join(map(repr, names))})"


KEPT: Final = (
    Kept(
        "identity",
        "your private key; after `id rotate` also the one before, and whom to tell of the change",
        "it proves in a call that you are you",
        Guard.IDENTITY,
        Retention.USER,
        files=("identity.key*", ".identity.key.*"),
        secret=True,
    ),
    Kept(
        "keyring",
        "the key that opens your private key",
        "you have let the keyring of this machine open it",
        Guard.KEYRING,
        Retention.USER,
        secret=True,
    ),
    Kept(
        "contacts",
        "your name for a person, their public key, when it was kept, whether verified, what they may",
        "so that a call is with the person whom you mean, and nobody else",
        Guard.VAULT,
        Retention.USER,
        columns=(
            *("contacts.key", "contacts.name", "contacts.added", "contacts.verified", "contacts.host"),
            *("contacts.may_ring", "contacts.sound_unasked", "contacts.picture_unasked"),
            "contacts.sees_announced",
        ),
        query="SELECT count(*), min(added), NULL FROM contacts",
    ),
    Kept(
        "codes",
        "the secrets of the codes that you want of people, and the count of wrong ones",
        "to know the right code, and to lock out whoever guesses",
        Guard.VAULT,
        Retention.USER,
        columns=("contacts.totp_secret", "contacts.totp_tally"),
        settings=(factors.UNASKED, factors.UNASKED_TRIED),
        query="SELECT (SELECT count(*) FROM contacts WHERE totp_secret IS NOT NULL)"
        f" + (SELECT count(*) FROM settings WHERE name = {factors.UNASKED!r}), NULL, NULL",
        secret=True,
    ),
    Kept(
        "safe-words",
        "the safe words that you share with contacts",
        "to know an imitated voice",
        Guard.VAULT,
        Retention.USER,
        columns=("contacts.safe_word",),
        query="SELECT count(*), NULL, NULL FROM contacts WHERE safe_word IS NOT NULL",
        secret=True,
    ),
    Kept(
        "blocked",
        "the fingerprints of keys that you have blocked, and since when",
        "so that they do not ring here",
        Guard.VAULT,
        Retention.USER,
        columns=("blocked.fingerprint", "blocked.added"),
        query="SELECT count(*), min(added), NULL FROM blocked",
    ),
    Kept(
        "calls",
        "of each call who, when, how long and how it ended; never what was said",
        "so that you see who has called",
        Guard.VAULT,
        Retention.CALLS,
        columns=tuple(
            f"calls.{name}"
            for name in (
                "id",
                "at",
                "outgoing",
                "name",
                "fingerprint",
                "known",
                "duration_s",
                "reason",
                "calls",
            )
        ),
        query="SELECT count(*), min(at), max(at) FROM calls",
    ),
    Kept(
        "consents",
        "who has agreed to what in a call, refused it or taken it back, and when",
        "so that both can be shown what was agreed",
        Guard.VAULT,
        Retention.CALLS,
        columns=tuple(
            f"consents.{name}"
            for name in ("id", "at", "call", "name", "fingerprint", "kind", "state", "side")
        ),
        query="SELECT count(*), min(at), max(at) FROM consents",
    ),
    Kept(
        "requests",
        "the keys of strangers who rang and were not answered, the names that they claim, when and how often",
        "so that you can accept or block them later",
        Guard.VAULT,
        Retention.REQUESTS,
        columns=(
            *("requests.id", "requests.key", "requests.fingerprint", "requests.claimed", "requests.at"),
            *("requests.last", "requests.calls", "requests.origin"),
        ),
        query="SELECT count(*), min(at), max(at) FROM requests",
    ),
    Kept(
        "recording-keys",
        "the keys of recordings that were made before you changed your key, and when you did",
        "so that those recordings can still be played",
        Guard.VAULT,
        Retention.RECORDINGS,
        columns=("recording_keys.key", "recording_keys.at"),
        query="SELECT count(*), min(at), max(at) FROM recording_keys",
        secret=True,
    ),
    Kept(
        "choices",
        "what you have lastingly chosen with `privacy settings`",
        "so that it does what you have chosen",
        Guard.VAULT,
        Retention.USER,
        columns=("settings.name", "settings.value"),
        settings=CHOICES,
        query=_count_of(CHOICES),
    ),
    Kept(
        "marks",
        "random values, a checksum and a counter, by which the program sees what has changed",
        "so that each process knows what another one has changed",
        Guard.VAULT,
        Retention.PROGRAM,
        settings=_MARKS,
        columns=("sqlite_sequence.name", "sqlite_sequence.seq"),
        query=_count_of(_MARKS),
    ),
    Kept(
        "reach",
        "who can ring here",
        "so that strangers are not let in again after a restart",
        Guard.NONE,
        Retention.USER,
        files=("settings.json", ".settings.json.*"),
    ),
    Kept(
        "devices",
        "which microphone and which speaker calls use",
        "you have chosen them for all calls",
        Guard.NONE,
        Retention.USER,
        files=("devices.json", ".devices.json.*"),
    ),
    Kept(
        "vault",
        "the file that holds all that is in the vault, and those beside it while it is in use",
        "one encrypted file instead of many",
        Guard.VAULT,
        Retention.USER,
        files=("store.db*", ".store.db.*"),
    ),
    Kept(
        "recordings",
        "calls that were recorded because both sides had agreed: sound, pictures, who, and both consents",
        "you have asked for it in the call",
        Guard.RECORDING,
        Retention.RECORDINGS,
        files=("recordings/*.p2prec",),
    ),
    Kept(
        "backups",
        "backups of your key and contacts that you have written here",
        "you have asked for it",
        Guard.PASSPHRASE,
        Retention.USER,
        files=(f"{ERASING}.*", f"recordings/{ERASING}.*"),
        secret=True,
    ),
    Kept(
        "older-contacts",
        "the contacts of an older version, until the vault takes them over and overwrites this file",
        "so that a new version knows your contacts",
        Guard.NONE,
        Retention.PROGRAM,
        files=("contacts.json", ".contacts.json.*"),
    ),
    Kept(
        "locks",
        "empty files: by which processes take turns, and know of one that listens or erases",
        "so that no change is lost",
        Guard.NONE,
        Retention.PROGRAM,
        files=(".lock", ".listening", ERASING),
    ),
)
"""Everything."""
_BY_KIND: Final = {one.kind: one for one in KEPT}


def files_in(home: Home) -> Iterator[tuple[Path, Kept | None]]:
    """Every file in the home with what it is; None: no file of ours. Folders of others count as one such file."""
    folder = recordings_folder(home)
    for place in (home.data, folder):
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted(place.iterdir()):
                if path != folder:
                    yield path, _kind_of(home, path)


def _kind_of(home: Home, path: Path) -> Kept | None:
    name = path.relative_to(home.data).as_posix()
    for one in KEPT:
        if any(fnmatchcase(name, pattern) for pattern in one.files):
            return one
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                beginning = file.read(BEGINNING_BYTES)
            if beginning.startswith(SEALED_MAGIC):
                return _BY_KIND["recordings"]
            if any(line.startswith(BACKUP_PREFIX.encode()) for line in beginning.splitlines()):
                return _BY_KIND["backups"]
    return None


def look(home: Home, vault: Vault, entry: str | None) -> Iterator[Found]:
    """What is there of each kind, that in the vault last. `entry`: the identity's in the keyring.

    P2PCallError (config) if the vault cannot be opened; what is in files was given then.
    """
    files: dict[str, list[Path]] = {one.kind: [] for one in KEPT}
    for path, kept in files_in(home):
        if kept is not None:
            files[kept.kind].append(path)
    for one in KEPT:
        if one.kind == "keyring":
            yield Found(one, () if entry is None else (f"p2pcall, {entry}",), int(entry is not None))
        elif not one.query:
            yield _in_files(one, files[one.kind])
    calls = retention.kept_days(vault)
    with vault.reading() as db:
        for one in KEPT:
            if one.query:
                yield _in_vault(one, home, db, days_kept(one, calls))


def days_kept(kept: Kept, calls: int) -> int | None:
    """How many days it is kept where calls are kept for `calls`; None: there is no such number."""
    days = {
        Retention.CALLS: calls,
        Retention.REQUESTS: min(calls, retention.REQUEST_DAYS),
        Retention.RECORDINGS: RECORDING_DAYS,
    }
    return days.get(kept.retention)


def _in_files(kept: Kept, paths: list[Path]) -> Found:
    infos = []
    for path in paths:
        with suppress(FileNotFoundError):
            infos.append(path.lstat())
    since = min((info.st_mtime for info in infos), default=None)
    until = (
        max(filter(None, map(recording_until, paths)), default=None) if kept.kind == "recordings" else None
    )
    size = sum(info.st_size for info in infos)
    return Found(kept, tuple(map(str, paths)), len(paths), since, until, size)


def _in_vault(kept: Kept, home: Home, db: "apsw.Connection | None", days: int | None) -> Found:
    row: Any = (0, None, None) if db is None else db.execute(kept.query).fetchone()
    count, since, last = row
    until = None if days is None or last is None else last + days * DAY_S
    return Found(kept, (str(home.vault_path),) if count else (), count, since, until)
