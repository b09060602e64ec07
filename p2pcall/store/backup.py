"""A backup: one file with the identity, the key before it, the contacts and what is shared with them, and settings.

It is sealed under a passphrase of its own.

Format: a comment, and one line `p2pcall-backup-1:SEALED` (`seal`); inside is JSON. It can be read on any machine, and
holds nothing of this one; who else can read or write it does not matter. Rules: restoring replaces no identity unless
told, and never a contact; the restored key is sealed under the passphrase of the backup. A vault that is there stays,
and comes under the restored key; if it cannot be opened, nothing is changed. A backup that cannot be read whole changes
nothing. One of version 1 has no secrets and no settings. Left out: who can ring (`choices`), recordings, which are
files, and the call log (`backup_rows`).
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import KEY_BYTES
from p2pcall.store.backup_rows import BackupRows, parse_rows, put_back, rows_of
from p2pcall.store.contact import Book
from p2pcall.store.contacts import Contacts
from p2pcall.store.contacts_file import parse_contacts
from p2pcall.store.home import (
    Home,
    aside,
    check_file,
    damaged,
    parsed,
    write_atomic,
)
from p2pcall.store.identity import Identity, load_or_create
from p2pcall.store.identity_file import (
    opened,
    read_identity,
    replace_identity,
    replaced_meanwhile,
    under_passphrase,
)
from p2pcall.store.recording_keys import keep_recording_key
from p2pcall.store.rotation import FormerKey, former_key, former_of, former_row, sealed_former
from p2pcall.store.seal import Cost, from_base64, read_sealed, seal, unseal
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import sealed_before, vault_key
from p2pcall.types import Entropy

BACKUP_PREFIX: Final = "p2pcall-backup-1:"
BACKUP_COMMENT: Final = "# a backup of p2pcall: your private key and your contacts, sealed under a passphrase"
BACKUP_VERSION: Final = 2
"""Version of what is inside."""
FIRST_VERSION: Final = 1
"""It has no `vault`."""


class Backup(Struct, frozen=True):
    """What a backup holds."""

    identity: Identity
    made: float
    book: Book
    former: FormerKey | None = None
    rows: BackupRows = BackupRows()


class Restored(Struct, frozen=True):
    """What a restoring has done: whose key it is, how many contacts there were, and the names that were left out."""

    identity: Identity
    contacts: int
    left_out: tuple[str, ...]


def back_up(
    home: Home, path: Path, passphrase: bytes, entropy: Entropy, cost: Cost, epoch: float, *, force: bool
) -> int:
    """Write the backup; give the number of contacts in it. P2PCallError (usage) if the file is there already."""
    check_no_file(path, force=force)
    identity = load_or_create(home, entropy)
    former = former_key(home, identity, epoch)
    vault = Vault(home, lambda: identity)
    contacts = Contacts(home, vault).export()
    document = {
        "version": BACKUP_VERSION,
        "made": epoch,
        "private": base64.b64encode(identity.private).decode(),
        "contacts": contacts,
        "former": None if former is None else former_row(former),
        "vault": rows_of(vault),
    }
    sealed = seal(json.dumps(document).encode(), passphrase, entropy, cost)
    write_atomic(path, f"{BACKUP_COMMENT}\n{BACKUP_PREFIX}{sealed}\n".encode(), ours=False)
    return len(contacts["contacts"])


def check_no_file(path: Path, *, force: bool) -> None:
    """P2PCallError (usage) if the file is there already, without `force`."""
    if (path.exists() or path.is_symlink()) and not force:
        text = f"{path} is there already"
        raise P2PCallError("file-exists", text, ExitCode.USAGE, "give another name, or --force")


def read_backup(path: Path, sealed: str, passphrase: bytes) -> Backup:
    """What is inside. P2PCallError (config): `wrong-passphrase`, `damaged-file`."""
    data = unseal(sealed, passphrase, path)
    document = parsed(data, path, FIRST_VERSION, BACKUP_VERSION)
    try:
        private = from_base64(document["private"], path)
        book = parse_contacts(json.dumps(document["contacts"]).encode(), path)
        former = None if document["former"] is None else former_of(document["former"], path)
        rows = document["vault"] if document["version"] != FIRST_VERSION else {}
        made = float(document["made"])
        datetime.fromtimestamp(made, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise damaged(path, "a part of it is missing") from error
    if len(private) != KEY_BYTES or not any(private):
        raise damaged(path, f"the key in it does not have {KEY_BYTES} bytes")
    return Backup(Identity.of(private), made, book, former, parse_rows(rows, path))


def sealed_backup(path: Path) -> str:
    """The sealed text in a backup's file. P2PCallError (config) if there is none."""
    return read_sealed(path, BACKUP_PREFIX)


def check_no_identity(home: Home) -> None:
    """P2PCallError (usage) if there is an identity, even a damaged one."""
    try:
        there = read_identity(home) is not None
    except P2PCallError:
        there = True
    if there:
        text = f"there is a private key already: {home.identity_path}"
        hint = "p2pcall id backup FILE keeps it; then --force restores over it"
        raise P2PCallError("identity-exists", text, ExitCode.USAGE, hint)


def restore(
    home: Home, backup: Backup, passphrase: bytes, entropy: Entropy, cost: Cost, epoch: float, *, force: bool
) -> Restored:
    """Put the identity and the contacts into `home`. P2PCallError (usage) if there is an identity, without `force`."""
    if not force:
        check_no_identity(home)
    here = _line_of_key(home)  # first: what is asked for now is of this key
    before = _vault_key_here(home, backup.identity, epoch)
    former = "" if backup.former is None else sealed_former(backup.former, backup.identity, entropy)
    file = under_passphrase(backup.identity.private, passphrase, entropy, cost, former)
    if before is not None:
        file = replace(file, vault=sealed_before(before, backup.identity, entropy))
    with home.lock():
        if not force:
            check_no_identity(home)
        if _line_of_key(home) != here:
            raise replaced_meanwhile()
        replace_identity(home, file)
    if home.opener is not None:
        home.opener.now(backup.identity.private, file.text)
    contacts = Contacts(home, Vault(home, lambda: backup.identity))
    done = contacts.adopt(backup.book, lambda db, added: put_back(db, backup.rows, added))
    left_out = tuple(one.name for one in done.left_out)
    return Restored(backup.identity, len(done.added) + done.here, left_out)


def _line_of_key(home: Home) -> str | None:
    """The line that holds the key here; None if there is none, or the file is damaged."""
    try:
        file = read_identity(home)
    except P2PCallError:
        return None
    return None if file is None else file.text


def _vault_key_here(home: Home, restored: Identity, epoch: float) -> bytes | None:
    """The key of the vault that is there; None: there is none, or it has the key of the restored identity.

    What the identity that is here has recorded stays readable. P2PCallError (config) if nobody can open the vault.
    """
    path, why = home.vault_path, "the private key that is here does not open it"
    if check_file(path) is None or Vault(home).opens_with(vault_key(restored)):
        return None
    try:
        file = read_identity(home)
        if file is not None:
            here = Identity.of(opened(file, home))
            vault = Vault(home, lambda: here)
            vault.check_alone()
            keep_recording_key(vault, here, epoch)
            return vault_key(here)
    except P2PCallError as error:
        why = error.text
    text = f"{path} is under another key than the backup's: {why}"
    hint = f"open it with that key, or move it away: {aside(path, 'old')}"
    raise P2PCallError("foreign-vault", text, ExitCode.CONFIG, hint)
