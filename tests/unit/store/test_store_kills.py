"""Killed at any moment: the vault opens each time, and what was acknowledged is in it."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from test_store_contacts_file import FULL, leave

from p2pcall.errors import P2PCallError
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home, write_atomic
from p2pcall.store.identity import Identity, load_or_create
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import vault_key

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
KILLS = 1000 if NIGHTLY else 25
LONGEST_S = 0.04
"""Most time that a process gets: some changes."""
STEPS = 4
"""Changes for each person: kept, logged, renamed, removed."""
NEW = Identity(bytes([9] * 32), b"", "")


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def change(place: Home, vault: Vault, number: int) -> None:
    """The change of this number; the person is `number // STEPS`."""
    contacts, person = Contacts(place, vault), number // STEPS
    match number % STEPS:
        case 0:
            contacts.pin(f"n{person}", key(person), float(number))
        case 1:
            CallLog(vault).add(LoggedCall(float(number), True, f"n{person}", "", "contact", 1.0, "eof"))
        case 2:
            assert contacts.rename(f"n{person}", f"r{person}") is not None
        case _:
            assert contacts.remove(f"r{person}") is not None


@contextmanager
def killed(
    work: Callable[[Callable[[], object]], None], after_s: float, *, first: bool = False
) -> Iterator[Callable[[], int]]:
    """Run `work` in a process that is killed after that time, counted from its `first` acknowledgement or its start.

    `work` calls what it is given whenever something is acknowledged; the number of these is given to the block.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            work(lambda: os.write(writer, b"."))
        finally:
            os._exit(0)
    os.close(writer)
    if first:
        select.select([reader], [], [])
    select.select([], [], [], after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = b""
    while part := os.read(reader, 4096):
        said += part
    os.close(reader)
    yield lambda: len(said)


def test_nothing_acknowledged_is_lost_by_a_kill(home: Path) -> None:
    place, random, done = Home.at(home), Random(1), 0
    load_or_create(place, os.urandom)

    def work(acknowledge: Callable[[], object]) -> None:
        vault = Vault(place)
        for number in range(done, done + 1000):
            change(place, vault, number)
            acknowledge()

    for _ in range(KILLS):
        with killed(work, random.uniform(0, LONGEST_S), first=True) as acknowledged:
            done += acknowledged()
        vault = Vault(place)
        vault.check()
        people = {one.name: one.public for one in Contacts(place, vault).all()}
        logged = {call.at for call in CallLog(vault).newest(0.0)}
        vault.close()
        person, step = divmod(done, STEPS)
        assert set(people) <= {f"n{person}", f"r{person}"}, "those before are gone"
        states = {0: [[], ["n"]], 1: [["n"]], 2: [["n"], ["r"]], 3: [["r"], []]}[step]
        assert [name[0] for name in people] in states
        assert {float(number) for number in range(1, done, STEPS)} <= logged <= {*range(1, done + 1, STEPS)}
        # One more may have been done than was acknowledged.
        done += [name[0] for name in people] != states[0] or float(done) in logged
    assert done >= KILLS


def test_an_older_file_is_taken_over_as_a_whole_or_stays_whatever_kills_us(home: Path) -> None:
    random = Random(2)
    for number in range(KILLS // 2):
        folder = home / str(number)
        place = Home.at(folder)
        load_or_create(place, os.urandom)
        leave(folder, FULL)

        def work(acknowledge: Callable[[], object], place: Home = place) -> None:
            Contacts(place, Vault(place)).all()
            acknowledge()

        with killed(work, random.uniform(0, LONGEST_S / 2)) as acknowledged:
            taken_over = acknowledged()
        path, vault = place.contacts_path, place.vault_path
        assert path.exists() or vault.exists()
        if taken_over:
            assert not path.exists()
        assert [one.name for one in Contacts(place, Vault(place)).all()] == ["bob", "eve"]
        names = {one.name for one in folder.iterdir()}
        assert names <= {".lock", "identity.key", "store.db", "store.db-wal", "store.db-shm"}, (
            "nothing is left"
        )


def test_a_kill_during_a_change_of_the_key_leaves_the_old_or_the_new(home: Path) -> None:
    random, opened = Random(3), set()
    for number in range(KILLS // 2):
        place = Home.at(home / str(number))
        load_or_create(place, os.urandom)
        Contacts(place, first := Vault(place)).pin("bob", key(1), 0.0)
        log = CallLog(first)
        log.add(LoggedCall(1.0, True, "x" * 300_000, "", "contact", 1.0, "eof"))
        first.close()

        def work(acknowledge: Callable[[], object], place: Home = place) -> None:
            Vault(place).rekey(vault_key(NEW))
            acknowledge()

        with killed(work, random.uniform(0, LONGEST_S)) as acknowledged:
            changed = acknowledged()
        old, new = Vault(place), Vault(place, lambda: NEW)
        found = []
        for name, vault in (("old", old), ("new", new)):
            try:
                vault.check()
                assert [one.name for one in Contacts(place, vault).all()] == ["bob"]
                assert len(CallLog(vault).newest(1.0)) == 1
                found.append(name)
            except P2PCallError:
                pass
            vault.close()
        assert found == ["new"] if changed else len(found) == 1
        opened.add(found[0])
    assert opened


@pytest.mark.parametrize("end", ["", "-wal", "-journal"])
def test_what_an_interrupted_making_has_left_is_taken_away(home: Path, end: str) -> None:
    place = Home.at(home)
    write_atomic(place.data / f".store.db.new{end}", b"half of it")
    Contacts(place, vault := Vault(place)).pin("bob", key(1), 0.0)
    vault.close()
    left = sorted(one.name for one in home.iterdir())
    assert left == [".lock", "identity.key", "settings.json", "store.db"]
