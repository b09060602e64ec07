"""`p2pcall privacy`: what is kept is shown, exported and erased; by a person who is asked, or a script that says so."""

import io
import json
import os
import stat
from pathlib import Path

import pytest
from clirun import BOB, FULL, Ran, assert_told, needs_full, run
from test_cli_contacts import Terminal

from p2pcall.cli import main, own_key
from p2pcall.env import Env
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.home_use import ERASING, using
from p2pcall.store.identity import fingerprint
from p2pcall.store.inventory import KEPT
from p2pcall.store.seal import Cost
from p2pcall.store.vault import Vault

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_key, "_cost", lambda: Cost(1, 8))
    monkeypatch.setattr("p2pcall.store.home_use.LOCK_TRIES", 2)


@pytest.fixture
def log(known: Contacts, home: Path) -> CallLog:
    """Bob is a contact, and has called."""
    made = CallLog(Vault(Home.at(home)))
    made.add(LoggedCall(Env.system().clock.time(), False, "bob", fingerprint(BOB), "contact", 2.0, "hung-up"))
    return made


@pytest.fixture
def sealed(home: Path, log: CallLog, tmp_path: Path) -> str:
    """Its key is sealed; the file with the passphrase."""
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE)
    file.chmod(0o600)
    assert run("id", "passphrase", "--new-passphrase-file", str(file)).exit == 0
    return str(file)


def at_terminal(says: str, *argv: str) -> Ran:
    out, err = Terminal(), io.StringIO()
    status = main(["privacy", *argv], Env(Terminal(says), out, err, os.environ))
    return Ran(status, out.getvalue(), err.getvalue())


# ---- what is kept


def test_each_thing_that_is_kept_is_told_with_where_why_until_when_and_how_it_is_encrypted(
    home: Path, log: CallLog
) -> None:
    ran = run("privacy")
    assert ran.exit == 0
    told = ran.out[ran.out.index("\ncalls\n") + 7 : ran.out.index("\nmarks\n")]
    labels = [label for line in told.splitlines() if (label := line[2:13].strip())]
    assert labels == ["what", "why", "how much", "where", "since", "until", "encrypted"]
    assert "for 30 days each, the last until 20" in told
    assert str(home / "store.db") in told
    assert "nothing is kept now of: " in ran.out
    assert "whoever can read this disk" in ran.out
    assert "not listed, because nobody remembers where" in ran.out
    assert max(map(len, ran.out.splitlines())) <= max(80, len(str(home)) + 30)


def test_scripts_get_a_record_for_each_kind(home: Path, log: CallLog) -> None:
    rows = run("privacy", "--json").rows
    assert sorted(row["kind"] for row in rows) == sorted(one.kind for one in KEPT)
    calls = next(row for row in rows if row["kind"] == "calls")
    assert (calls["v"], calls["count"], calls["where"]) == (1, 1, [str(home / "store.db")])
    assert calls["until"] - calls["since"] == pytest.approx(30 * 86_400)
    assert all(row["what"] and row["why"] and row["how_long"] and row["encrypted"] for row in rows)


def test_a_home_with_nothing_in_it_is_told_and_not_made(home: Path) -> None:
    ran = run("privacy")
    assert ran.out.startswith("nothing is kept now of: ")
    assert not home.exists()


def test_what_needs_no_passphrase_is_told_without_one(sealed: str) -> None:
    ran = run("privacy")
    assert_told(ran, 8, "--passphrase-file")
    assert "sealed under your passphrase" in ran.out
    assert "\ncalls\n" not in ran.out
    assert "\ncalls\n" in run("privacy", "--passphrase-file", sealed).out


def test_an_entry_in_the_keyring_is_told(home: Path) -> None:
    home.mkdir(mode=0o700)
    path = home / "identity.key"
    path.write_text(f"p2pcall-keyring-1:{'ab' * 8}:AAAA\n")
    path.chmod(0o600)
    row = next(row for row in run("privacy", "--json").rows if row["kind"] == "keyring")
    assert (row["count"], row["where"]) == (1, [f"p2pcall, {'ab' * 8}"])


def test_a_recording_that_was_kept_long_enough_is_erased_first(home: Path) -> None:
    (home / "recordings").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    (home / "recordings" / "x.p2prec").write_bytes(b"p2pcallR" + bytes(80))
    assert "recordings" in run("privacy").out.splitlines()[0]
    assert not list((home / "recordings").iterdir())


# ---- the export


def test_an_export_goes_to_standard_output_or_to_a_new_file_for_the_user_alone(
    log: CallLog, tmp_path: Path
) -> None:
    printed = json.loads(run("privacy", "export").out)
    assert json.loads(run("privacy", "export", "-").out).keys() == printed.keys()
    assert [one["name"] for one in printed["contacts"]] == ["bob"]
    before = os.umask(0)
    try:
        ran = run("privacy", "export", str(tmp_path / "mine.json"))
    finally:
        os.umask(before)
    assert (ran.exit, ran.out) == (0, "")
    assert "not encrypted" in ran.err
    info = (tmp_path / "mine.json").stat()
    assert stat.S_IMODE(info.st_mode) == 0o600
    written = json.loads((tmp_path / "mine.json").read_text())
    assert written | {"exported": 0} == printed | {"exported": 0}


def test_an_export_overwrites_nothing(log: CallLog, tmp_path: Path) -> None:
    path, link = tmp_path / "mine.json", tmp_path / "link"
    path.write_text("before")
    link.symlink_to("nowhere")
    for there in (path, link):
        assert_told(run("privacy", "export", str(there)), 2, "is there already")
    assert path.read_text() == "before"
    assert not (tmp_path / "nowhere").exists()


def test_an_export_that_cannot_be_written_leaves_nothing(
    log: CallLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_told(run("privacy", "export", str(tmp_path / "no" / "mine.json")), 8, "cannot write")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert_told(run("privacy", "export", str(tmp_path / "mine.json")), 8, "no space left")
    assert not (tmp_path / "mine.json").exists()


@needs_full
def test_an_export_that_standard_output_does_not_take_is_an_error(log: CallLog) -> None:
    err = io.StringIO()
    with FULL.open("w") as out:
        assert main(["privacy", "export"], Env(io.StringIO(), out, err, os.environ)) == 8
    assert "cannot write to standard output" in err.getvalue()


def test_the_schema_is_printed_and_needs_no_home(home: Path) -> None:
    ran = run("privacy", "export", "--schema")
    assert json.loads(ran.out)["$ref"] == "#/$defs/Export"
    assert not home.exists()
    assert_told(run("privacy", "export", "--schema", "x"), 2, "takes no FILE")


def test_an_export_needs_the_passphrase(sealed: str) -> None:
    assert_told(run("privacy", "export"), 8, "--passphrase-file")
    assert json.loads(run("privacy", "export", "--passphrase-file", sealed).out)["calls"]


# ---- erasing


@pytest.mark.parametrize("argv", [(), ("--yes",), ("--contact", "bob", "--all")])
def test_it_must_be_said_what_is_to_be_erased(home: Path, log: CallLog, argv: tuple[str, ...]) -> None:
    assert_told(run("privacy", "erase", *argv), 2, "--contact")
    assert (home / "identity.key").exists()


@pytest.mark.parametrize("what", [("--all",), ("--contact", "bob")])
def test_nothing_is_erased_without_a_person_or_the_option_to_erase(
    home: Path, log: CallLog, what: tuple[str, ...]
) -> None:
    assert_told(run("privacy", "erase", *what), 2, "needs a terminal", f"erase --yes {' '.join(what)}")
    assert at_terminal("erase\n", "erase", "--json", *what).exit == 2
    for says in ("yes\n", "y\n", "\n", ""):
        ran = at_terminal(says, "erase", *what)
        assert ran.exit == 130
        assert "type erase" in ran.out
    assert log.count() == 1


def test_a_person_is_told_what_goes_before_all_is_erased(home: Path, log: CallLog) -> None:
    ran = at_terminal("erase\n", "erase", "--all")
    assert ran.exit == 0
    question, receipt = ran.out.split("to erase all of it, type erase")
    assert f"{home / 'identity.key'}: your private key" in question
    assert "nobody can undo this" in question
    assert "erased  identity" in receipt
    assert not home.exists()


def test_the_receipt_lists_what_went_and_says_what_may_remain(home: Path, log: CallLog) -> None:
    (row,) = run("privacy", "erase", "--all", "--yes", "--json").rows
    assert row.keys() == {"v", "home", "erased", "left", "may_remain", "resumed"}
    assert {one["kind"] for one in row["erased"]} >= {"identity", "vault", "reach"}
    assert str(home / "identity.key") in {one["where"] for one in row["erased"]}
    told = " ".join(row["may_remain"])
    for word in ("flash memory", "snapshot", "copies on writing", "id backup", "--all"[2:]):
        assert word in told
    again = run("privacy", "erase", "--all", "--yes", "--json").rows[0]
    assert (again["erased"], again["may_remain"]) == ([], [])
    assert "there is nothing" in run("privacy", "erase", "--all", "--yes").err


def test_a_forgotten_passphrase_hinders_nobody_from_erasing_all(home: Path, sealed: str) -> None:
    assert run("privacy", "erase", "--all", "--yes").exit == 0
    assert not home.exists()
    assert run("id", "--json").rows[0]["kept"] == "plain", "a new one"


def test_a_person_is_erased_by_name_and_the_receipt_says_what_of_them(home: Path, log: CallLog) -> None:
    ran = at_terminal("erase\n", "erase", "--contact", "BOB")
    assert ran.exit == 0
    assert f"1 of calls: {home / 'store.db'}" in ran.out
    assert "erased  contacts" in ran.out
    assert "what the other side keeps" in ran.out
    assert Contacts(Home.at(home)).all() == []
    assert_told(run("privacy", "erase", "--contact", "bob", "--yes"), 3, "nothing is kept of bob")


def test_a_person_is_erased_with_the_passphrase_alone_and_the_name_cannot_steer_the_terminal(
    home: Path, sealed: str
) -> None:
    argv = ("privacy", "erase", "--yes", "--contact")
    assert_told(run(*argv, "bob"), 8, "--passphrase-file")
    assert_told(run(*argv, "\x1b[2Jeve", "--passphrase-file", sealed), 3, "[2Jeve")
    (row,) = run(*argv, "bob", "--passphrase-file", sealed, "--json").rows
    assert {one["kind"]: one["count"] for one in row["erased"]} == {"contacts": 1, "calls": 1}


def test_while_another_command_uses_the_home_nothing_is_erased(home: Path, log: CallLog) -> None:
    with using(Home.at(home)):
        for what in (("--all",), ("--contact", "bob")):
            assert_told(run("privacy", "erase", "--yes", *what), 8, "another command uses", "fuser")
    assert log.count() == 1


@pytest.mark.parametrize(
    "argv",
    [
        *(("id",), ("contacts", "list"), ("history", "list"), ("privacy",), ("privacy", "export")),
        *(("listen", "--audio-in", "none"), ("dial", "127.0.0.1"), ("privacy", "erase", "--contact", "bob")),
        *(("contacts", "add", "eve", "x"), ("id", "restore", "x", "--force"), ("peers",), ("play",)),
    ],
)
def test_a_home_whose_erasure_was_interrupted_is_used_by_no_command(
    home: Path, log: CallLog, argv: tuple[str, ...]
) -> None:
    (home / ERASING).touch()
    (home / "identity.key").unlink()
    assert_told(run(*argv), 8, "was interrupted", "p2pcall privacy erase")
    assert not (home / "identity.key").exists()


def test_an_interrupted_erasure_is_finished_without_a_question(home: Path, log: CallLog) -> None:
    (home / ERASING).touch()
    (home / "identity.key").unlink()
    ran = run("privacy", "erase")
    assert ran.exit == 0
    assert "interrupted is finished" in ran.err
    assert not home.exists()


def test_a_mistyped_command_of_privacy_is_helped_with(home: Path) -> None:
    assert_told(run("privacy", "erse"), 2, "p2pcall privacy --help")


def test_a_path_is_told_in_full_and_cannot_steer_the_terminal(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 100 + "\x1b[2J\udcff") / ("y" * 100)
    assert run("id", "--home", str(home)).exit == 0
    for argv in ((), ("export",), ("erase", "--all", "--yes")):
        ran = run("privacy", *argv, "--home", str(home))
        assert ran.exit == 0
        assert f"{'x' * 100}[2J/{'y' * 100}" in ran.out
        assert not set("\x1b\udcff") & set(ran.out)
    assert not home.exists()
