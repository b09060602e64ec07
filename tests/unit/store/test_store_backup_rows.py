"""What a backup holds of the vault beside the contacts: secrets that are shared with them, settings, keys."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from test_store_rotation import BOB, CHEAP, EVE, NOW, PASSPHRASE, opening, read

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.backup import BACKUP_PREFIX, back_up, restore
from p2pcall.store.backup_rows import MAX_VALUE_BYTES, parse_rows, rows_of
from p2pcall.store.contact_secrets import Secret, contact_secret, keep_contact_secret
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.recording_keys import keep_recording_key, keys_before
from p2pcall.store.retention import keep_days, kept_days
from p2pcall.store.seal import seal
from p2pcall.store.vault import Vault

TOTP, WORD = b"the secret of a code", b"the safe word"


def furnished(home: Path) -> Vault:
    """Bob has a code and a safe word, Eve nothing; the log is kept for three days; a key was given up."""
    place = Home.at(home)
    vault = Vault(place)
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 5.0)
    contacts.pin("eve", EVE, 6.0)
    keep_contact_secret(vault, BOB, Secret.TOTP, TOTP)
    keep_contact_secret(vault, BOB, Secret.SAFE_WORD, WORD)
    keep_days(vault, 3, NOW)
    keep_recording_key(vault, load_or_create(place, os.urandom), NOW)
    return vault


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    """The backup of such a home."""
    vault = furnished(home)
    back_up(vault.home, tmp_path / "backup", PASSPHRASE, os.urandom, CHEAP, NOW, force=False)
    return tmp_path / "backup"


def restored(file: Path, place: Home) -> Vault:
    restore(place, read(file), PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    return Vault(place)


def test_codes_safe_words_and_settings_come_along_to_another_machine(file: Path, tmp_path: Path) -> None:
    vault = restored(file, opening(tmp_path / "there"))
    assert contact_secret(vault, BOB, Secret.TOTP) == TOTP
    assert contact_secret(vault, BOB, Secret.SAFE_WORD) == WORD
    assert contact_secret(vault, EVE, Secret.TOTP) is None
    assert kept_days(vault) == 3
    assert [at for _, at in keys_before(vault)] == [NOW]


def test_a_restoring_replaces_no_secret_and_no_setting(file: Path, tmp_path: Path) -> None:
    place = opening(tmp_path / "there")
    vault = Vault(place)
    Contacts(place, vault).pin("robert", BOB, 1.0)
    keep_contact_secret(vault, BOB, Secret.TOTP, b"another")
    keep_days(vault, 9, NOW)
    vault.close()
    vault = restored(file, place)
    assert contact_secret(vault, BOB, Secret.TOTP) == b"another"
    assert contact_secret(vault, BOB, Secret.SAFE_WORD) is None, "he is no contact of the backup's here"
    assert kept_days(vault) == 9


def test_no_secret_of_a_backup_is_in_the_clear_or_shown(file: Path) -> None:
    data, shown = file.read_bytes(), repr(read(file))
    for secret in (TOTP, WORD):
        assert secret not in data
        assert secret.decode() not in shown


def test_settings_that_are_the_vaults_own_affair_are_in_no_backup(home: Path) -> None:
    names = [one["name"] for one in rows_of(furnished(home))["settings"]]
    assert names == ["history-days"]


def test_a_backup_of_the_first_version_is_read(file: Path, tmp_path: Path) -> None:
    backup = read(file)
    contacts = Contacts(Home.at(tmp_path / "empty")).export()
    import base64

    private = base64.b64encode(backup.identity.private).decode()
    old = {"version": 1, "made": NOW, "private": private, "contacts": contacts, "former": None}
    sealed = seal(json.dumps(old).encode(), PASSPHRASE, os.urandom, CHEAP)
    file.write_text(f"{BACKUP_PREFIX}{sealed}\n")
    assert read(file).identity == backup.identity


SECRETS = {"key": "AQ==", "kept": {"totp_secret": "AQ=="}}


@pytest.mark.parametrize(
    "wrong",
    [
        *(None, [], {"secrets": 1}, {"secrets": [{"key": 5, "kept": {}}]}, {"settings": [{"name": 5}]}),
        *({"settings": [{"name": "x"}]}, {"settings": [{"name": "x", "value": 1, "data": "AQ=="}]}),
        *({"settings": [{"name": "x", "value": [1]}]}, {"recording_keys": [{"key": "AQ==", "at": 1}]}),
        *(
            {"secrets": [SECRETS | {"kept": {"name": "AQ=="}}]},
            {"secrets": [SECRETS | {"kept": {"totp_secret": "?"}}]},
        ),
        {"secrets": [SECRETS | {"kept": {"totp_secret": "A" * (4 * MAX_VALUE_BYTES)}}]},
    ],
)
def test_a_part_that_is_not_right_makes_the_backup_damaged(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(P2PCallError) as caught:
        parse_rows(wrong, tmp_path)
    assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)


def test_what_is_written_is_read(home: Path, tmp_path: Path) -> None:
    rows = json.loads(json.dumps(rows_of(furnished(home))))
    assert len(parse_rows(rows, tmp_path).secrets) == 1
