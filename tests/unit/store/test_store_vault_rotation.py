"""The vault whose identity changes: it comes along, whatever kills us, and one passphrase opens both."""

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from test_store_kills import KILLS, LONGEST_S, killed

from p2pcall.errors import P2PCallError
from p2pcall.store import seal as seals
from p2pcall.store import vault as vaults
from p2pcall.store.backup import back_up, read_backup, restore, sealed_backup
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, load_or_create
from p2pcall.store.identity_file import read_identity, replace_identity, under_passphrase
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.retention import DAY_S
from p2pcall.store.rotation import FORMER_DAYS, former_key, rotate
from p2pcall.store.seal import Cost
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import vault_key

CHEAP = Cost(1, 8)
PASSPHRASE = b"correct horse battery"
BOB, EVE = bytes([1] * 32), bytes([2] * 32)
NOW = 1_700_000_000.0
LATER = NOW + FORMER_DAYS * DAY_S
SPLIT = 100_000
"""Letters in the log: the vault has several pages."""


def people(place: Home) -> list[str]:
    """The names in the vault, opened anew and checked, when the key before has gone if it ever does."""
    former_key(place, load_or_create(place, os.urandom), LATER)
    vault = Vault(place)
    vault.check()
    found = [one.name for one in Contacts(place, vault).all()]
    assert [call.name for call in CallLog(vault).newest(NOW)] == ["x" * SPLIT] * bool(found)
    vault.close()
    return found


def furnished(home: Path) -> Home:
    """A home with a contact, and a call in the log."""
    place = Home.at(home)
    load_or_create(place, os.urandom)
    vault = Vault(place)
    Contacts(place, vault).pin("bob", BOB, 5.0)
    CallLog(vault).add(LoggedCall(NOW, True, "x" * SPLIT, "", "contact", 1.0, "eof"))
    vault.close()
    return place


def change(place: Home, *to_tell: bytes) -> None:
    """As `id rotate` does it."""
    vault = Vault(place)

    def rekey(before: Identity, now: Identity) -> None:
        vault.rekey(vault_key(now))

    def told() -> tuple[bytes, ...]:
        vault.check_alone()
        return to_tell

    rotate(place, os.urandom, NOW, told, CHEAP, rekey=rekey)


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Run `work` in a process that is killed just before its `number`th wait for the disk; whether it came to that."""
    child = os.fork()
    if not child:
        try:
            left, wait = [number], os.fsync

            def waiting(fd: int) -> None:
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                wait(fd)

            os.fsync = waiting
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def test_the_vault_comes_along_with_a_changed_key(home: Path) -> None:
    place = furnished(home)
    before = load_or_create(place, os.urandom)
    change(place)
    assert people(place) == ["bob"]
    assert b"p2pcall-vault" not in place.identity_path.read_bytes(), "the key before is gone"
    assert not Vault(place).opens_with(vault_key(before))
    with pytest.raises(P2PCallError) as caught:
        Contacts(place, Vault(place, lambda: before)).all()
    assert caught.value.slug == "damaged-file"
    assert people(place) == ["bob"], "and it is kept"


def test_what_was_under_the_key_before_is_overwritten(home: Path) -> None:
    place = furnished(home)
    beside = home / "beside"
    os.link(place.vault_path, beside)
    change(place)
    assert beside.stat().st_size
    assert not any(beside.read_bytes())


def test_a_change_killed_before_the_vault_had_its_new_key_is_finished_at_the_next_opening(home: Path) -> None:
    place = furnished(home)
    first = load_or_create(place, os.urandom)

    def work() -> None:
        rotate(
            place,
            os.urandom,
            NOW,
            tuple,
            CHEAP,
            rekey=lambda before, now: os.kill(os.getpid(), signal.SIGKILL),
        )

    assert killed_at(1000, work)
    now = load_or_create(place, os.urandom)
    assert now != first
    assert Vault(place).opens_with(vault_key(first))
    assert people(place) == ["bob"]
    assert Vault(place).opens_with(vault_key(now))
    file = read_identity(place)
    assert file is not None
    assert file.vault == ""


@pytest.mark.parametrize("to_tell", [(), (BOB,)])
def test_a_change_killed_at_any_step_loses_nothing(home: Path, to_tell: tuple[bytes, ...]) -> None:
    number, keys = 0, set()
    while True:
        place = furnished(home / str(number))
        first = load_or_create(place, os.urandom)
        if not killed_at(number, lambda place=place: change(place, *to_tell)):  # type: ignore[misc]
            break
        keys.add(load_or_create(place, os.urandom) == first)
        assert people(place) == ["bob"], number
        change(place)
        assert people(place) == ["bob"], number
        number += 1
    assert keys == {True, False}, "there were kills before the key was changed, and after"


def test_a_finishing_killed_at_any_step_is_finished_by_the_next(home: Path) -> None:
    number = 0
    while True:
        place = furnished(home / str(number))
        rotate(place, os.urandom, NOW, tuple, CHEAP)
        if not killed_at(number, lambda place=place: assert_bob(place)):  # type: ignore[misc]
            break
        assert people(place) == ["bob"], number
        number += 1
    assert number


def assert_bob(place: Home) -> None:
    assert people(place) == ["bob"]


def test_a_change_killed_at_any_moment_loses_nothing(home: Path) -> None:
    random = Random(4)
    for number in range(KILLS):
        place = furnished(home / str(number))

        def work(acknowledge: Callable[[], object], place: Home = place) -> None:
            change(place)
            acknowledge()

        with killed(work, random.uniform(0, LONGEST_S)):
            assert people(place) == ["bob"]


def test_a_second_change_finishes_the_one_before(home: Path) -> None:
    place = furnished(home)
    rotate(place, os.urandom, NOW, tuple, CHEAP)
    rotate(place, os.urandom, NOW, tuple, CHEAP)
    assert people(place) == ["bob"]


def test_a_finishing_that_finds_another_process_in_the_vault_waits_for_the_next(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vaults, "BUSY_MS", 10)
    place = furnished(home)
    with Vault(place).reading():
        rotate(place, os.urandom, NOW, tuple, CHEAP)
        for _ in range(2):
            with pytest.raises(P2PCallError) as caught:
                Contacts(place).all()
            assert caught.value.slug == "store-locked"
    assert people(place) == ["bob"]


def test_a_process_with_the_key_before_makes_no_vault_of_its_own(home: Path) -> None:
    place = Home.at(home)
    before = load_or_create(place, os.urandom)
    stale = Vault(place, lambda: before)
    assert Contacts(place, stale).all() == []
    change(place)
    with pytest.raises(P2PCallError) as caught:
        Contacts(place, stale).pin("bob", BOB, NOW)
    assert caught.value.slug == "damaged-file"
    assert Contacts(place).all() == []


# ---- one passphrase


def sealed(home: Path, place: Home) -> None:
    file = under_passphrase(load_or_create(place, os.urandom).private, PASSPHRASE, os.urandom, CHEAP)
    with place.lock():
        replace_identity(place, file)


def opening(home: Path, asked: Callable[[Path], bytes] = lambda path: PASSPHRASE) -> Home:
    return Home(home, home, IdentityOpener(asked))


def test_the_vault_of_a_sealed_identity_costs_one_question_and_one_guess(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(home, furnished(home))
    asked: list[Path] = []
    guesses, derive = [], seals._derive

    def counted(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
        guesses.append(cost)
        return derive(passphrase, salt, cost)

    monkeypatch.setattr(seals, "_derive", counted)
    place = opening(home, lambda path: asked.append(path) or PASSPHRASE)  # type: ignore[func-returns-value]
    load_or_create(place, os.urandom)
    assert people(place) == ["bob"]
    Contacts(place).pin("eve", EVE, NOW)
    assert (asked, len(guesses)) == ([place.identity_path], 1)
    change(place)
    assert people(place) == ["bob", "eve"]
    assert (len(asked), len(guesses)) == (2, 3), "a change asks once, opens once and seals once"


def test_the_passphrase_is_asked_for_before_the_lock_is_taken(home: Path) -> None:
    sealed(home, furnished(home))

    def asked(path: Path) -> bytes:
        fd = os.open(home / ".lock", os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
        return PASSPHRASE

    for use in (
        lambda place: Contacts(place).pin("eve", EVE, NOW),
        lambda place: Contacts(place).remove("eve"),
        lambda place: Vault(place).check(),
        lambda place: Vault(place).backup(home / "copy"),
        lambda place: change(place),
    ):
        use(opening(home, asked))
    assert people(opening(home)) == ["bob"]


def test_a_wrong_passphrase_loses_neither_the_key_nor_the_vault(home: Path) -> None:
    place = furnished(home)
    sealed(home, place)
    before = {one: one.read_bytes() for one in (place.identity_path, place.vault_path)}
    for use in (people, change, lambda place: Contacts(place).pin("eve", EVE, NOW)):
        with pytest.raises(P2PCallError) as caught:
            use(opening(home, lambda path: b"another"))
        assert caught.value.slug == "wrong-passphrase"
        assert {one: one.read_bytes() for one in before} == before
    assert people(opening(home)) == ["bob"]


# ---- restoring where there is a vault


def backed_up(home: Path, file: Path) -> Identity:
    """A backup of another machine's identity, with the contact Eve."""
    there = Home.at(home)
    Contacts(there).pin("eve", EVE, NOW)
    back_up(there, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    return load_or_create(there, os.urandom)


def put_back(place: Home, file: Path) -> None:
    backup = read_backup(file, sealed_backup(file), PASSPHRASE)
    restore(place, backup, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)


def test_a_restoring_over_another_identity_keeps_the_vault_whatever_kills_it(
    home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    restored, number, keys = backed_up(tmp_path / "there", file), 0, set()
    while True:
        furnished(home / str(number))
        place = opening(home / str(number))
        if not killed_at(number, lambda place=place: put_back(place, file)):  # type: ignore[misc]
            break
        keys.add(load_or_create(opening(place.data), os.urandom) == restored)
        assert people(opening(place.data))[:1] == ["bob"], number
        put_back(place, file)
        assert people(opening(place.data)) == ["bob", "eve"], number
        number += 1
    assert people(opening(place.data)) == ["bob", "eve"]
    assert keys == {True, False}


@pytest.mark.parametrize("why", ["damaged", "gone", "sealed"])
def test_a_restoring_beside_a_vault_that_nobody_can_open_changes_nothing(
    home: Path, tmp_path: Path, why: str
) -> None:
    file = tmp_path / "backup"
    backed_up(tmp_path / "there", file)
    place = furnished(home)
    match why:
        case "damaged":
            place.identity_path.write_text("damaged")
        case "gone":
            place.identity_path.unlink()
        case _:
            sealed(home, place)
    before = {one: one.read_bytes() for one in home.iterdir()}
    with pytest.raises(P2PCallError) as caught:
        put_back(opening(home, lambda path: b"another"), file)
    assert caught.value.slug == "foreign-vault"
    assert "mv " in (caught.value.hint or "")
    assert {one: one.read_bytes() for one in home.iterdir()} == before
    place.vault_path.rename(home / "store.db.old")
    put_back(opening(home), file)
    assert [one.name for one in Contacts(opening(home)).all()] == ["eve"]
