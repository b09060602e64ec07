"""What a backup holds of the vault beside the contacts: their secrets, the user's settings, keys of old recordings.

Rules: the secrets come with the contacts that they are shared with, else a contact who has to give a code would have to
give none after a restoring; nothing that is here is replaced. Each part is of its type and not longer than it ever is,
or the backup is damaged. Left out: the call log, consents and requests, which are erased in time, as no backup is; and
settings that are this vault's own affair.
"""

import math
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from p2pcall.proto.constants import KEY_BYTES
from p2pcall.store.contact_secrets import Secret, set_secret
from p2pcall.store.home import damaged
from p2pcall.store.recording_keys import keys_before, put_recording_keys
from p2pcall.store.schema import OF_THIS_VAULT
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw

MAX_VALUE_BYTES: Final = 1 << 16
"""Of a secret or a setting; all that are written are far shorter."""


class _Secrets(Struct, frozen=True):
    key: bytes
    kept: dict[Secret, bytes]

    def __repr__(self) -> str:
        return "_Secrets()"


class _Setting(Struct, frozen=True):
    """One of the two values is set."""

    name: str
    value: int | float | str | None = None
    data: bytes | None = None

    def __repr__(self) -> str:
        return f"_Setting(name={self.name!r})"


class _RecordingKey(Struct, frozen=True):
    key: bytes
    at: float

    def __repr__(self) -> str:
        return "_RecordingKey()"


class BackupRows(Struct, frozen=True):
    """All of it; bytes are base64 in JSON."""

    secrets: tuple[_Secrets, ...] = ()
    settings: tuple[_Setting, ...] = ()
    recording_keys: tuple[_RecordingKey, ...] = ()

    def __repr__(self) -> str:
        return "BackupRows()"


def rows_of(vault: Vault) -> dict[str, Any]:
    """What is in the vault, as JSON has it."""
    secrets, settings = [], []
    columns = ", ".join(Secret)
    with vault.reading() as db:
        rows: Any = () if db is None else db.execute(f"SELECT key, {columns} FROM contacts")
        for key, *values in rows:
            kept = {which: value for which, value in zip(Secret, values, strict=True) if value is not None}
            secrets += [_Secrets(key, kept)] if kept else []
        rows = () if db is None else db.execute("SELECT name, value FROM settings ORDER BY name")
        for name, value in rows:
            if name not in OF_THIS_VAULT:
                is_data = isinstance(value, bytes)
                settings.append(_Setting(name, *((None, value) if is_data else (value, None))))
    keys = tuple(_RecordingKey(key, at) for key, at in keys_before(vault))
    found: dict[str, Any] = msgspec.to_builtins(BackupRows(tuple(secrets), tuple(settings), keys))
    return found


def parse_rows(document: object, path: Path) -> BackupRows:
    """What `rows_of` has made. P2PCallError (config) if it is anything else."""
    try:
        rows = msgspec.convert(document, BackupRows)
    except msgspec.ValidationError as error:
        raise damaged(path, "a part of what it has of the vault is not right") from error
    values = [value for one in rows.secrets for value in one.kept.values()]
    values += [one.data for one in rows.settings if one.data is not None]
    wrong = any((one.value is None) == (one.data is None) for one in rows.settings)
    wrong |= any(len(one.key) != KEY_BYTES or not math.isfinite(one.at) for one in rows.recording_keys)
    if wrong or any(len(value) > MAX_VALUE_BYTES for value in values):
        raise damaged(path, "a part of what it has of the vault is not right")
    return rows


def put_back(db: "apsw.Connection", rows: BackupRows, added: Collection[bytes]) -> None:
    """Within a transaction in which the contacts of these keys were added."""
    for one in rows.secrets:
        if one.key in added:
            for which, secret in one.kept.items():
                set_secret(db, one.key, which, secret)
    for setting in rows.settings:
        value = setting.data if setting.value is None else setting.value
        if setting.name not in OF_THIS_VAULT:
            db.execute("INSERT OR IGNORE INTO settings VALUES(?, ?)", (setting.name, value))
    here: Any = db.execute("SELECT key FROM recording_keys")
    known = {key for (key,) in here}
    put_recording_keys(db, [(one.key, one.at) for one in rows.recording_keys if one.key not in known])
