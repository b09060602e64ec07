"""What the vault costs a start: nothing where it is not needed, and no more work with more in it."""

import subprocess
import sys
from pathlib import Path

import pytest

from p2pcall.engine.trust import TrustStore
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.vault import Vault

ROOT = Path(__file__).resolve().parents[3]
MANY = 4000
CALL = LoggedCall(1000.0, False, "bob", "x", "contact", 3.5, "hung-up")


def loaded(*argv: str) -> set[str]:
    """The modules that the command loads."""
    command = [sys.executable, "-X", "importtime", "-m", "p2pcall", *argv]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if "|" in line}
    assert "p2pcall.cli" in names, "the list of imports was read"
    return names


@pytest.mark.parametrize(
    "argv",
    [
        ("--version",),
        ("--help",),
        ("devices",),
        ("id",),
        ("contacts", "list"),
        ("history", "list"),
        ("wrong",),
    ],
    ids=" ".join,
)
def test_a_start_that_needs_no_vault_loads_no_database(argv: tuple[str, ...]) -> None:
    assert "apsw" not in loaded(*argv)


def test_a_start_that_needs_the_vault_loads_the_database_alone(home: Path) -> None:
    Contacts(Home.at(home)).pin("bob", bytes(32), 0)
    names = loaded("contacts", "list", "--json")
    assert "apsw" in names
    assert not names & {"av", "numpy", "sounddevice", "zeroconf", "sdl2"}


def filled(home: Path, people: int, calls: int) -> Vault:
    """A vault with so many contacts and calls in it."""
    vault = Vault(Home.at(home))
    with vault.writing() as db:
        rows = ((number.to_bytes(32, "big"), f"person {number}", float(number)) for number in range(people))
        db.executemany("INSERT INTO contacts(key, name, added) VALUES(?, ?, ?)", rows)
        log = ((1000.0 + number, f"person {number}", "x" * 39) for number in range(calls))
        db.executemany(
            "INSERT INTO calls(at, outgoing, name, fingerprint, known, duration_s, reason, calls)"
            " VALUES(?, 0, ?, ?, 'contact', 1.5, 'hung-up', 1)",
            log,
        )
    return vault


def test_a_ring_is_decided_in_memory(home: Path) -> None:
    """Among 4,000 contacts, and though calls are logged meanwhile: no row is read, whoever rings."""
    vault = filled(home, MANY, 0)
    trust = TrustStore(Contacts(vault.home, vault), bytes(32))
    known, stranger = (7).to_bytes(32, "big"), b"\xff" * 32

    def decide() -> None:
        assert (trust.is_contact(known), trust.is_blocked(known)) == (True, False)
        assert (trust.is_contact(stranger), trust.is_blocked(stranger)) == (False, False)
        assert trust.introduce(known, "somebody").name == "person 7"
        assert trust.introduce(stranger, "Person 8").poses_as == "person 8"

    decide()
    CallLog(Vault(vault.home)).add(CALL)
    read: list[str] = []
    with vault.reading() as db:
        assert db is not None
        db.exec_trace = lambda cursor, sql, bindings: read.append(sql) or True
    decide()
    db.exec_trace = None
    vault.close()
    rows = [sql for sql in read if "data_version" not in sql and "settings" not in sql]
    assert not rows
    assert len([sql for sql in read if "settings" in sql]) == 1, "whether contacts have changed, once"


def test_opening_reads_no_more_of_a_long_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in steps of SQLite's machine."""

    def steps(calls: int) -> int:
        counted = 0
        place = home / str(calls)
        filled(place, 10, calls).close()
        vault = Vault(Home.at(place))
        connect = vault._connect

        def watched(path: Path, **how: bool) -> object:
            db = connect(path, **how)

            def step() -> bool:
                nonlocal counted
                counted += 1
                return False

            db.set_progress_handler(step, 1)
            return db

        monkeypatch.setattr(vault, "_connect", watched)
        assert len(CallLog(vault).newest(2000.0, 50)) == min(calls, 50)
        assert len(Contacts(vault.home, vault).all()) == 10
        vault.close()
        return counted

    assert steps(20_000) <= 1.1 * steps(200)
