"""A changed key on the disk, and backups: nothing is lost, and nothing kept for longer than needed."""

import base64
import json
import os
from pathlib import Path

import pytest
from fakeenv import seeded_entropy

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import rotation
from p2pcall.store.backup import Backup, back_up, read_backup, restore, sealed_backup
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import MAX_FILE_BYTES, Home
from p2pcall.store.identity import Identity, keeping, load_or_create
from p2pcall.store.identity_file import Keeping, read_identity, replace_identity, under_passphrase
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.retention import DAY_S
from p2pcall.store.rotation import FORMER_DAYS, Rotated, former_key, rotate, told
from p2pcall.store.seal import Cost, seal
from p2pcall.store.vault import Vault

CHEAP = Cost(1, 8)
PASSPHRASE = b"correct horse battery"
BOB, EVE = bytes([1] * 32), bytes([2] * 32)
NOW = 1_700_000_000.0


def opening(home: Path, passphrase: bytes = PASSPHRASE) -> Home:
    return Home(home, home, IdentityOpener(lambda path: passphrase))


def changed(place: Home, *contacts: bytes, abandon: bool = False) -> Rotated:
    return rotate(place, os.urandom, NOW, lambda: contacts, CHEAP, abandon=abandon)


# ---- a changed key


def test_a_changed_key_is_kept_as_the_one_before_was(home: Path) -> None:
    place = opening(home)
    first = load_or_create(place, os.urandom)
    assert changed(place, BOB).before == first
    assert keeping(place) is Keeping.PLAIN
    file = under_passphrase(first.private, PASSPHRASE, os.urandom, CHEAP)
    with place.lock():
        replace_identity(place, file)
    second = changed(opening(home), BOB)
    assert keeping(place) is Keeping.PASSPHRASE
    assert load_or_create(opening(home), os.urandom) == second.now
    with pytest.raises(P2PCallError) as caught:
        load_or_create(opening(home, b"another"), os.urandom)
    assert caught.value.slug == "wrong-passphrase"


def test_a_wrong_passphrase_changes_no_key(home: Path) -> None:
    place = opening(home)
    with place.lock():
        replace_identity(place, under_passphrase(bytes(range(32)), PASSPHRASE, os.urandom, CHEAP))
    before = place.identity_path.read_bytes()
    with pytest.raises(P2PCallError) as caught:
        changed(opening(home, b"another"), BOB)
    assert caught.value.slug == "wrong-passphrase"
    assert place.identity_path.read_bytes() == before


def test_the_key_before_is_kept_sealed_until_the_last_contact_was_told(home: Path) -> None:
    place = Home.at(home)
    first = load_or_create(place, os.urandom)
    now = changed(place, BOB, EVE).now
    data = place.identity_path.read_bytes()
    for secret in (first.private, first.public, BOB, EVE):
        assert base64.b64encode(secret) not in data
    for who, left in ((BOB, (EVE,)), (BOB, (EVE,)), (EVE, None)):
        told(place, now, who, os.urandom)
        former = former_key(place, now, NOW)
        assert (None if former is None else former.untold) == left
    file = read_identity(place)
    assert file is not None
    assert file.former == ""
    told(place, now, BOB, os.urandom)


def test_the_key_before_is_kept_for_a_month_at_most(home: Path) -> None:
    place = Home.at(home)
    load_or_create(place, os.urandom)
    now = changed(place, BOB).now
    assert former_key(place, now, NOW + FORMER_DAYS * DAY_S - 1) is not None
    assert former_key(place, now, NOW + FORMER_DAYS * DAY_S) is None
    assert b"former" not in place.identity_path.read_bytes()


def test_without_contacts_the_key_before_is_gone_at_once(home: Path) -> None:
    place = Home.at(home)
    first = load_or_create(place, os.urandom)
    done = changed(place)
    assert (done.before, done.former) == (first, None)
    assert b"former" not in place.identity_path.read_bytes()


def test_a_second_change_waits_until_all_were_told_unless_they_are_given_up(home: Path) -> None:
    place = Home.at(home)
    load_or_create(place, os.urandom)
    once = changed(place, BOB, EVE)
    with pytest.raises(P2PCallError) as caught:
        changed(place, BOB)
    assert (caught.value.slug, caught.value.exit) == ("still-to-tell", ExitCode.CONFIG)
    assert load_or_create(place, os.urandom) == once.now
    twice = changed(place, EVE, abandon=True)
    former = former_key(place, twice.now, NOW)
    assert former is not None
    assert (former.private, former.untold) == (once.now.private, (EVE,))


def test_what_is_keyed_by_the_identity_is_keyed_anew_when_the_new_key_is_on_disk(home: Path) -> None:
    """And if it does not come to that, the key before can still be had."""
    place = Home.at(home)
    first = load_or_create(place, os.urandom)

    def dies(before: Identity, now: Identity) -> None:
        assert (before, load_or_create(Home.at(home), os.urandom)) == (first, now)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(place, os.urandom, NOW, tuple, CHEAP, rekey=dies)
    file = read_identity(place)
    assert file is not None
    now = load_or_create(place, os.urandom)
    assert rotation._opened(file, now, place).private == first.private


def test_a_key_before_that_another_key_has_sealed_is_damage(home: Path) -> None:
    place = Home.at(home)
    load_or_create(place, os.urandom)
    changed(place, BOB)
    with pytest.raises(P2PCallError) as caught:
        former_key(place, Identity.of(bytes(range(32))), NOW)
    assert caught.value.slug == "damaged-file"


def test_two_changes_at_once_lose_no_key(home: Path) -> None:
    place = Home.at(home)
    load_or_create(place, os.urandom)
    inner: list[Rotated] = []

    def entropy(size: int) -> bytes:
        if not inner:
            inner.append(changed(Home.at(home), BOB))
        return os.urandom(size)

    with pytest.raises(P2PCallError) as caught:
        rotate(place, entropy, NOW, lambda: (BOB,), CHEAP)
    assert caught.value.exit is ExitCode.CONFIG
    assert load_or_create(Home.at(home), os.urandom) == inner[0].now


def test_there_is_no_key_to_change_before_there_is_one(home: Path) -> None:
    with pytest.raises(P2PCallError) as caught:
        changed(Home.at(home))
    assert caught.value.slug == "no-identity"


# ---- a contact's changed key


def test_a_contacts_new_key_takes_the_place_of_the_old_one_with_all_else(home: Path) -> None:
    contacts = Contacts(Home.at(home))
    contacts.pin("bob", BOB, NOW, host=True)
    contacts.verify("bob", BOB)
    assert contacts.rotate(BOB, EVE) is not None
    bob = contacts.by_name("bob")
    assert bob is not None
    assert (bob.public, bob.added, bob.verified, bob.host) == (EVE, NOW, True, True)
    assert contacts.by_key(BOB) is None


@pytest.mark.parametrize("why", ["unknown", "blocked", "to a blocked key", "to a contact's key"])
def test_a_new_key_takes_nobody_elses_place(home: Path, why: str) -> None:
    from p2pcall.store.identity import fingerprint

    contacts = Contacts(Home.at(home))
    if why != "unknown":
        contacts.pin("bob", BOB, NOW)
    if why == "to a contact's key":
        contacts.pin("eve", EVE, NOW)
    if "blocked" in why:
        contacts.block(fingerprint(BOB if why == "blocked" else EVE), NOW)
    before = contacts.all()
    assert contacts.rotate(BOB, EVE) is None
    assert contacts.all() == before


# ---- backups


def made(home: Path, file: Path) -> Home:
    """A home with an identity, two contacts and one still to be told, and its backup."""
    place = Home.at(home)
    load_or_create(place, seeded_entropy(1))
    contacts = Contacts(place, vault := Vault(place))
    contacts.pin("bob", BOB, 5.0)
    contacts.verify("bob", BOB)
    contacts.pin("eve", EVE, 6.0)
    contacts.block("aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa", 7.0)
    vault.close()
    changed(place, BOB)
    back_up(place, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=False)
    return place


def read(file: Path) -> Backup:
    return read_backup(file, sealed_backup(file), PASSPHRASE)


def test_a_backup_restores_everything_on_another_machine(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    here, there = made(home, file), opening(tmp_path / "there")
    done = restore(there, read(file), PASSPHRASE, os.urandom, CHEAP, NOW, force=False)
    identity = load_or_create(here, os.urandom)
    assert (done.identity, done.contacts, done.left_out) == (identity, 2, ())
    assert load_or_create(opening(tmp_path / "there"), os.urandom) == identity
    assert keeping(there) is Keeping.PASSPHRASE, "under the passphrase of the backup"
    assert Contacts(there).all() == Contacts(here).all()
    assert Contacts(there).blocked() == Contacts(here).blocked()
    assert former_key(there, identity, NOW) == former_key(here, identity, NOW)


def test_a_backup_has_nothing_in_the_clear(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    private = load_or_create(made(home, file), os.urandom).private
    data = file.read_bytes()
    for clear in (private, BOB, b"bob", b"eve", base64.b64encode(private), base64.b64encode(BOB)):
        assert clear not in data
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_replaces_no_file_unless_told(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    place = made(home, file)
    before = file.read_bytes()
    with pytest.raises(P2PCallError) as caught:
        back_up(place, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=False)
    assert (caught.value.slug, caught.value.exit) == ("file-exists", ExitCode.USAGE)
    assert file.read_bytes() == before
    back_up(place, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    assert read(file).identity == load_or_create(place, os.urandom)


@pytest.mark.parametrize("there", ["a good one", "a damaged one"])
def test_a_restoring_replaces_no_identity_unless_told(home: Path, tmp_path: Path, there: str) -> None:
    file = tmp_path / "backup"
    made(home, file)
    other = opening(tmp_path / "other")
    load_or_create(other, os.urandom)
    if there == "a damaged one":
        other.identity_path.write_text("damaged")
    before = other.identity_path.read_bytes()
    with pytest.raises(P2PCallError) as caught:
        restore(other, read(file), PASSPHRASE, os.urandom, CHEAP, NOW, force=False)
    assert (caught.value.slug, caught.value.exit) == ("identity-exists", ExitCode.USAGE)
    assert other.identity_path.read_bytes() == before
    restore(other, read(file), PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    assert load_or_create(opening(tmp_path / "other"), os.urandom) == read(file).identity


def test_a_restoring_replaces_no_contact_and_names_what_is_left_out(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    made(home, file)
    other = opening(tmp_path / "other")
    Contacts(other).pin("Bob", bytes([9] * 32), 1.0)
    Contacts(other).pin("somebody", EVE, 1.0)
    done = restore(other, read(file), PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    assert (done.contacts, done.left_out) == (0, ("bob", "eve"))
    assert [one.name for one in Contacts(other).all()] == ["Bob", "somebody"]


def test_restoring_twice_leaves_nothing_out(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    made(home, file)
    other = opening(tmp_path / "other")
    for _ in range(2):
        done = restore(other, read(file), PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
        assert done.left_out == ()


def test_a_wrong_passphrase_opens_no_backup(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup"
    made(home, file)
    with pytest.raises(P2PCallError) as caught:
        read_backup(file, sealed_backup(file), b"another")
    assert caught.value.slug == "wrong-passphrase"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xff\xfe", b"p2pcall-key-1:AAAA", b"p2pcall-backup-2:x", b"p2pcall-backup-1:"),
        *(b"p2pcall-backup-1:a\np2pcall-backup-1:b", b"p2pcall-backup-1:argon2id:9:99999999:AAAA:AAAA"),
    ],
)
def test_a_file_that_is_no_backup_is_an_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "backup"
    file.write_bytes(data)
    with pytest.raises(P2PCallError) as caught:
        read(file)
    assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "backup"
    with file.open("wb") as sparse:
        sparse.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(P2PCallError) as caught:
        sealed_backup(file)
    assert caught.value.slug == "damaged-file"


GOOD = {
    "version": 1,
    "made": 1.0,
    "private": base64.b64encode(bytes(range(32))).decode(),
    "contacts": {"version": 1, "contacts": []},
    "former": None,
}


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"version": 2},
            {"made": None},
            {"made": "x"},
            {"made": 1e300},
            {"made": float("nan")},
            {"private": "AAAA"},
            {"private": 7},
        ),
        *({"private": base64.b64encode(bytes(32)).decode()}, {"contacts": []}, {"contacts": {"version": 1}}),
        *({"former": {}}, {"former": 3}, {"former": {"private": "AAAA", "until": 1.0, "untold": []}}),
    ],
)
def test_a_backup_with_a_wrong_part_restores_nothing(tmp_path: Path, wrong: dict[str, object]) -> None:
    sealed = seal(json.dumps(GOOD | wrong).encode(), PASSPHRASE, os.urandom, CHEAP)
    with pytest.raises(P2PCallError) as caught:
        read_backup(tmp_path / "backup", sealed, PASSPHRASE)
    assert caught.value.slug == "damaged-file"
    sealed = seal(json.dumps(GOOD).encode(), PASSPHRASE, os.urandom, CHEAP)
    assert read_backup(tmp_path / "backup", sealed, PASSPHRASE).identity == Identity.of(bytes(range(32)))
