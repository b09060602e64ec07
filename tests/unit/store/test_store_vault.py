"""The vault: one encrypted file that is whole or an error, and keeps what it acknowledged whatever happens to us."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import schema
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contact_secrets import Secret, contact_secret, keep_contact_secret
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, load_or_create
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import vault_key

BOB, EVE = bytes([1] * 32), bytes([2] * 32)
CALL = LoggedCall(1000.0, False, "Boris Rosenthal", "abcd-" * 8, "contact", 3.5, "hung-up")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def place(home: Path) -> Home:
    return Home.at(home)


@pytest.fixture
def vault(place: Home) -> Iterator[Vault]:
    made = Vault(place)
    yield made
    made.close()


def names_in(place: Home) -> list[str]:
    return [contact.name for contact in Contacts(place, Vault(place)).all()]


def everything(place: Home) -> bytes:
    """All bytes of the home's files."""
    return b"".join(path.read_bytes() for path in sorted(place.data.iterdir()))


def plaintext(place: Home) -> bytes:
    """The pages of the vault as the key opens them, and its log: what whoever has the key could find."""
    db = apsw.Connection(str(place.vault_path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        key = vault_key(load_or_create(place, os.urandom))
        db.pragma("key", f"raw:{key.hex()}")
        return db.serialize("main")
    finally:
        db.close()


# ---- what is on the disk


def test_nothing_is_made_before_there_is_something_to_keep(place: Home, vault: Vault) -> None:
    with vault.reading() as db:
        assert db is None
    assert CallLog(vault).newest(0) == []
    assert CallLog(vault).erase() == 0
    assert not place.data.exists()


def test_nothing_of_the_content_is_on_the_disk_in_the_clear(place: Home, vault: Vault) -> None:
    contacts, log = Contacts(place, vault), CallLog(vault)
    contacts.pin("Boris Rosenthal", BOB, 7.5)
    keep_contact_secret(vault, BOB, Secret.SAFE_WORD, b"marmalade")
    contacts.block("block-ed", 1)
    log.add(CALL)
    for held in (False, True):
        found = everything(place)
        assert found
        for text in (
            b"Boris",
            b"Rosenthal",
            BOB,
            b"marmalade",
            b"block-ed",
            b"hung-up",
            b"SQLite",
            b"CREATE",
        ):
            assert text not in found, (held, text)
        vault.close()
    assert b"Boris Rosenthal" in plaintext(place), "the key finds it"


def test_its_files_are_for_the_user_alone(place: Home, vault: Vault) -> None:
    before = os.umask(0)
    try:
        contacts = Contacts(place, vault)
        contacts.pin("bob", BOB, 0)
        contacts.all()
        contacts.pin("eve", EVE, 0)
        vault.backup(place.data / "copy.db")
    finally:
        os.umask(before)
    files = {path.name: path.stat().st_mode & 0o777 for path in place.data.iterdir()}
    assert files.keys() >= {"store.db", "store.db-wal", "store.db-shm", "copy.db"}
    assert set(files.values()) == {0o600}
    assert place.data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["contact", "rename", "secret", "calls", "one person's calls"])
def test_what_is_deleted_is_overwritten(place: Home, vault: Vault, how: str) -> None:
    """Looked for with the key in hand, in all pages, free ones too."""
    contacts, log = Contacts(place, vault), CallLog(vault)
    contacts.pin("Boris Rosenthal", BOB, 0)
    keep_contact_secret(vault, BOB, Secret.TOTP, b"marmalade")
    for number in range(300):
        log.add(LoggedCall(1000.0 + number, True, f"Boris Rosenthal {number}", "abcd", "contact", 1, "eof"))
    assert plaintext(place).count(b"Boris Rosenthal") > 300
    match how:
        case "contact":
            contacts.remove("Boris Rosenthal")
            gone, left = BOB, 300
        case "rename":
            contacts.rename("Boris Rosenthal", "x")
            gone, left = b"Boris Rosenthal\0", 300
        case "secret":
            keep_contact_secret(vault, BOB, Secret.TOTP, None)
            gone, left = b"marmalade", 301
        case "calls":
            assert log.erase() == 300
            gone, left = b"Boris Rosenthal 1", 1
        case _:
            assert log.erase("abcd") == 300
            gone, left = b"Boris Rosenthal 2", 1
    found = plaintext(place)
    assert gone not in found
    assert found.count(b"Boris Rosenthal") == left
    assert Path(f"{place.vault_path}-wal").stat().st_size == 0, "nor is it in the log of changes"


# ---- keys


def test_another_identity_cannot_open_it_and_changes_nothing(place: Home, vault: Vault) -> None:
    Contacts(place, vault).pin("bob", BOB, 0)
    vault.close()
    before = place.vault_path.read_bytes()
    other = Identity(bytes([9] * 32), b"", "")
    foreign = Contacts(place, Vault(place, lambda: other))
    for use in (foreign.all, lambda: foreign.pin("eve", EVE, 0), Vault(place, lambda: other).check):
        with pytest.raises(P2PCallError) as caught:
            use()
        assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)
    assert place.vault_path.read_bytes() == before
    assert names_in(place) == ["bob"]


def test_after_a_new_key_only_the_new_key_opens_it(place: Home, vault: Vault) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    assert contacts.by_key(BOB) is not None
    new = Identity(bytes([9] * 32), b"", "")
    vault.rekey(vault_key(new))
    assert contacts.pin("eve", EVE, 0)
    assert [one.name for one in contacts.all()] == ["bob", "eve"]
    vault.close()
    with pytest.raises(P2PCallError):
        names_in(place)
    assert [one.name for one in Contacts(place, Vault(place, lambda: new)).all()] == ["bob", "eve"]


def test_a_vault_that_another_process_has_open_keeps_its_key(
    place: Home, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pcall.store.vault.BUSY_MS", 1)
    Contacts(place, vault).pin("bob", BOB, 0)
    with vault.reading() as db:
        assert db is not None
    with pytest.raises(P2PCallError) as caught:
        Vault(place).rekey(bytes(32))
    assert (caught.value.slug, caught.value.exit) == ("store-locked", ExitCode.CONFIG)
    assert names_in(place) == ["bob"]


def test_the_key_is_in_no_error_and_in_no_repr(place: Home, vault: Vault) -> None:
    Contacts(place, vault).pin("bob", BOB, 0)
    vault.close()
    key = vault_key(load_or_create(place, os.urandom))
    place.vault_path.write_bytes(b"x" * 9000)
    with pytest.raises(P2PCallError) as caught:
        vault.check()
    shown = repr(vault) + repr(caught.value) + str(caught.value) + str(caught.value.__cause__)
    assert key.hex() not in shown
    assert repr(key) not in shown


def test_derived_keys_differ_by_purpose_and_tell_nothing_of_the_identity(place: Home) -> None:
    mine = load_or_create(place, os.urandom)
    assert len(mine.derived_key(b"a")) == 32
    assert len({mine.derived_key(b"a"), mine.derived_key(b"b"), mine.private, mine.public}) == 4
    assert mine.derived_key(b"a") == load_or_create(place, os.urandom).derived_key(b"a")


# ---- damage


@pytest.mark.parametrize("where", [0, 20, 5000, -1])
def test_a_changed_byte_is_an_error_and_the_file_is_kept(place: Home, vault: Vault, where: int) -> None:
    contacts = Contacts(place, vault)
    for number in range(200):
        CallLog(vault).add(LoggedCall(number, True, "bob", "x", "contact", 1, "eof"))
    contacts.pin("bob", BOB, 0)
    vault.close()
    data = bytearray(place.vault_path.read_bytes())
    data[where] ^= 1
    place.vault_path.write_bytes(data)
    with pytest.raises(P2PCallError) as caught:
        Vault(place).check()
    assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)
    assert place.vault_path.read_bytes() == bytes(data)


@pytest.mark.parametrize("size", [1, 100, 4096, 5000])
def test_a_truncated_file_is_an_error_and_is_kept(place: Home, vault: Vault, size: int) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    vault.close()
    data = place.vault_path.read_bytes()[:size]
    place.vault_path.write_bytes(data)
    for use in (contacts.all, lambda: contacts.pin("eve", EVE, 0), lambda: contacts.remove("bob")):
        with pytest.raises(P2PCallError) as caught:
            use()
        assert caught.value.exit is ExitCode.CONFIG
    assert place.vault_path.read_bytes() == data


def test_an_empty_file_is_no_vault(place: Home, vault: Vault) -> None:
    Contacts(place, vault).pin("bob", BOB, 0)
    vault.close()
    place.vault_path.write_bytes(b"")
    with pytest.raises(P2PCallError) as caught:
        Contacts(place, vault).all()
    assert caught.value.exit is ExitCode.CONFIG


def test_the_log_of_a_vault_that_is_gone_is_kept_apart_from_the_new_one(place: Home, vault: Vault) -> None:
    Contacts(place, vault).pin("bob", BOB, 0)
    vault.close()
    place.vault_path.unlink()
    Path(f"{place.vault_path}-wal").write_bytes(b"old log")
    Contacts(place, vault).pin("eve", EVE, 0)
    assert names_in(place) == ["eve"]
    assert Path(f"{place.vault_path}-wal.old").read_bytes() == b"old log"


# ---- versions


def test_a_newer_version_is_refused_and_kept(place: Home, vault: Vault) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    with vault.writing() as db:
        db.pragma("user_version", len(schema.MIGRATIONS) + 1)
    for use in (contacts.all, lambda: contacts.pin("eve", EVE, 0)):
        with pytest.raises(P2PCallError, match="newer") as caught:
            use()
        assert caught.value.exit is ExitCode.CONFIG


def test_an_older_version_is_brought_to_the_newest_in_one_step_or_not_at_all(
    place: Home, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    vault.close()
    add = "ALTER TABLE contacts ADD COLUMN shoe REAL"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add, "CREATE TABLE calls(x)"))
        with pytest.raises(apsw.SQLError):
            contacts.all()
    assert names_in(place) == ["bob"], "as it was"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add))
    assert [one.name for one in contacts.all()] == ["bob"]
    with vault.reading() as db:
        assert db is not None
        assert schema.version(db) == len(schema.MIGRATIONS)
        assert db.execute("SELECT shoe FROM contacts").fetchall() == [(None,)]


# ---- copies


def test_a_copy_is_whole_and_opens_with_the_same_key(place: Home, vault: Vault, tmp_path: Path) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    CallLog(vault).add(CALL)
    assert contacts.all()
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"an older one")
    vault.backup(copy)
    assert b"Boris" not in copy.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy.db"]
    contacts.remove("bob")
    vault.close()
    copy.replace(place.vault_path)
    assert names_in(place) == ["bob"]
    assert CallLog(vault).newest(CALL.at) == [CALL]


def test_a_copy_that_cannot_be_written_leaves_the_old_one(
    place: Home, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Contacts(place, vault).pin("bob", BOB, 0)
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"an older one")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(P2PCallError) as caught:
        vault.backup(copy)
    assert (caught.value.slug, caught.value.exit) == ("disk-full", ExitCode.CONFIG)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"copy.db": b"an older one"}


def test_there_is_nothing_to_copy_before_there_is_a_vault(place: Home, vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(P2PCallError) as caught:
        vault.backup(tmp_path / "copy.db")
    assert (caught.value.slug, caught.value.exit) == ("nothing-kept", ExitCode.CONFIG)


# ---- several at once


def test_a_change_by_another_process_is_seen_at_once(place: Home, vault: Vault) -> None:
    mine = Contacts(place, vault)
    mine.pin("bob", BOB, 0)
    assert mine.by_name("eve") is None
    stamp = mine.stamp()
    script = (
        "import os, sys\nfrom p2pcall.store.contacts import Contacts\nfrom p2pcall.store.home import Home\n"
    )
    pin = f"{script}Contacts(Home.at(sys.argv[1])).pin('eve', bytes([2] * 32), 0)"
    subprocess.run([sys.executable, "-c", pin, str(place.data)], cwd=ROOT, check=True)
    assert mine.stamp() != stamp
    assert mine.by_name("eve") is not None


def test_a_logged_call_makes_nobody_read_the_contacts_again(
    place: Home, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    stamp = contacts.stamp(), contacts.by_key(BOB)
    monkeypatch.setattr("p2pcall.store.contacts._load", lambda db: pytest.fail("read again"))
    CallLog(Vault(place)).add(CALL)
    assert (contacts.stamp(), contacts.by_key(BOB)) == stamp


def test_threads_read_while_one_writes(place: Home, vault: Vault) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    wrong: list[Any] = []

    def read() -> None:
        try:
            for _ in range(200):
                if contacts.by_key(BOB) is None:
                    wrong.append("bob is gone")
        except (P2PCallError, apsw.Error) as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(3, 13):
        contacts.pin(f"n{number}", bytes([number] * 32), 0)
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(contacts.all()) == 11


# ---- no room


def test_a_full_disk_changes_nothing_and_is_told(place: Home, vault: Vault) -> None:
    contacts = Contacts(place, vault)
    contacts.pin("bob", BOB, 0)
    big = b"x" * 4_000_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(P2PCallError) as caught:
            keep_contact_secret(vault, BOB, Secret.TOTP, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.exit is ExitCode.CONFIG
    assert contact_secret(vault, BOB, Secret.TOTP) is None
    assert contacts.pin("eve", EVE, 0)
    vault.check()
