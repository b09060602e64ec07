"""The tables of the vault, and the steps from one version of them to the next.

Rules: a step is never changed once it was released; a later version adds one at the end. All steps and the number of
the version are one transaction. A vault of a newer version is refused. Times are seconds since the epoch.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import apsw

MIGRATIONS: Final = (
    """
    CREATE TABLE contacts(
        key BLOB PRIMARY KEY CHECK(length(key) = 32), name TEXT NOT NULL, added REAL NOT NULL,
        verified INTEGER NOT NULL DEFAULT 0, host INTEGER NOT NULL DEFAULT 0,
        may_ring INTEGER NOT NULL DEFAULT 1, sound_unasked INTEGER NOT NULL DEFAULT 0,
        picture_unasked INTEGER NOT NULL DEFAULT 0, sees_announced INTEGER NOT NULL DEFAULT 1,
        totp_secret BLOB, totp_tally BLOB, safe_word BLOB) WITHOUT ROWID;
    CREATE TABLE blocked(fingerprint TEXT PRIMARY KEY, added REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE calls(
        id INTEGER PRIMARY KEY, at REAL NOT NULL, outgoing INTEGER NOT NULL, name TEXT NOT NULL,
        fingerprint TEXT NOT NULL, known TEXT NOT NULL, duration_s REAL NOT NULL, reason TEXT NOT NULL,
        calls INTEGER NOT NULL);
    CREATE INDEX calls_at ON calls(at);
    CREATE TABLE consents(
        id INTEGER PRIMARY KEY, at REAL NOT NULL, call TEXT NOT NULL, name TEXT NOT NULL,
        fingerprint TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, side TEXT NOT NULL);
    CREATE TABLE requests(key BLOB PRIMARY KEY, claimed TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE settings(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
    """,
    """
    DROP TABLE requests;
    CREATE TABLE requests(
        id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE CHECK(length(key) = 32),
        fingerprint TEXT NOT NULL, claimed TEXT NOT NULL, at REAL NOT NULL, last REAL NOT NULL,
        calls INTEGER NOT NULL, origin BLOB NOT NULL);
    CREATE TRIGGER request_met AFTER INSERT ON contacts
        BEGIN DELETE FROM requests WHERE key = NEW.key; END;
    CREATE TRIGGER request_met_anew AFTER UPDATE OF key ON contacts
        BEGIN DELETE FROM requests WHERE key = NEW.key; END;
    CREATE TRIGGER request_blocked AFTER INSERT ON blocked
        BEGIN DELETE FROM requests WHERE fingerprint = NEW.fingerprint; END;
    """,
    """
    CREATE TABLE recording_keys(key BLOB PRIMARY KEY CHECK(length(key) = 32), at REAL NOT NULL) WITHOUT ROWID;
    """,
)
"""Step `i` leads from version `i` to version `i + 1`; an empty file has version 0."""
FEW_ROWS: Final = ("contacts", "blocked", "requests", "settings", "recording_keys")
"""Tables that stay small: all of them is checked whenever the vault is opened."""
CONTACTS_CHANGED: Final = "contacts-changed"
"""The setting that gets another value with each change of contacts or blocks."""
CONTACTS_FILE: Final = "contacts-file"
"""The setting that holds the digest of the file of an older version that was taken over."""
UNFINISHED: Final = "erasing"
"""The setting that is there while rows are erased, but not yet what they have left in the file."""
OF_THIS_VAULT: Final = frozenset({CONTACTS_CHANGED, CONTACTS_FILE, UNFINISHED})
"""Settings that no user has made, and that are in no backup."""


def version(db: "apsw.Connection") -> int:
    """The version of the tables."""
    number = db.pragma("user_version")
    assert isinstance(number, int)
    return number


def few_rows(db: "apsw.Connection") -> list[str]:
    """Those of `FEW_ROWS` that a vault of its version has."""
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [name for name in FEW_ROWS if name in there]


def migrate(db: "apsw.Connection") -> None:
    """Take the missing steps. The caller has begun a transaction."""
    for number, step in enumerate(MIGRATIONS[version(db) :], version(db) + 1):
        db.execute(step)
        db.pragma("user_version", number)
