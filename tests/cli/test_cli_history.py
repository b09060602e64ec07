"""`p2pcall history`: the newest calls, all of them for scripts, erased on purpose, kept for so many days."""

import io
import json
import os
import time
from pathlib import Path

import pytest
from clirun import BOB, assert_told, run
from test_cli_contacts import Terminal

from p2pcall.cli import main
from p2pcall.env import Env
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint
from p2pcall.store.vault import Vault

DAY_S = 86_400


@pytest.fixture
def log(home: Path) -> CallLog:
    """Three calls: with Bob, from a stranger, and one that is too old."""
    vault, now = Vault(Home.at(home)), time.time()
    Contacts(Home.at(home), vault).pin("bob", BOB, 1_700_000_000)
    log = CallLog(vault)
    log.add(LoggedCall(now - 31 * DAY_S, True, "old", fingerprint(BOB), "contact", 5.0, "hung-up"))
    log.add(LoggedCall(now - DAY_S, True, "bob", fingerprint(BOB), "contact", 3725.4, "hung-up"))
    log.add(LoggedCall(now - 60, False, "eve\x1b[2J\u202e", "eve's", "new", 0.0, "missed", 3))
    return log


def test_the_newest_calls_are_listed_first_and_what_is_too_old_is_erased(log: CallLog) -> None:
    ran = run("history", "list")
    assert ran.exit == 0
    heading, first, second = ran.out.splitlines()
    assert heading.split() == ["when", "who", "how", "long", "how", "it", "ended", "until"]
    assert first.split()[2:4] == ["from", "eve[2J"]
    assert "(the first of 3 calls)" in first
    assert "missed call" in first
    assert second.split()[2:7] == ["to", "bob", "1:02:05", "hung", "up"]
    assert log.count() == 2


def test_names_in_the_log_cannot_steer_the_terminal(log: CallLog) -> None:
    for argv in (["list"], ["list", "--json"], ["export"]):
        assert not set("\x1b\u202e") & set(run("history", *argv).out)


def test_scripts_get_a_row_for_each_call_with_its_last_day(log: CallLog) -> None:
    eve, bob = run("history", "list", "--json").rows
    assert bob["v"] == 1
    assert (bob["name"], bob["outgoing"], bob["known"]) == ("bob", True, "contact")
    assert (bob["fingerprint"], bob["duration_s"], bob["reason"]) == (fingerprint(BOB), 3725.4, "hung-up")
    assert bob["until"] - bob["at"] == pytest.approx(30 * DAY_S)
    assert (eve["calls"], bob["calls"]) == (3, 1)


def test_so_many_are_listed_as_are_wanted(log: CallLog) -> None:
    ran = run("history", "list", "--last", "1")
    assert len(ran.out.splitlines()) == 2
    assert "and 1 before" in ran.err
    assert len(run("history", "list", "--last", "1", "--json").rows) == 1
    for number in range(60):
        log.add(LoggedCall(time.time() - number, True, "bob", fingerprint(BOB), "contact", 1.0, "eof"))
    assert len(run("history", "list", "--json").rows) == 50
    assert len(run("history", "list", "--json", "--all").rows) == 62
    assert run("history", "list", "--last", "0").exit == 2


def test_an_export_is_one_document(log: CallLog) -> None:
    document = json.loads(run("history", "export").out)
    assert document.keys() == {"v", "exported", "days", "calls"}
    assert (document["v"], document["days"]) == (1, 30)
    rows = run("history", "list", "--json").rows
    assert document["calls"] == [{key: row[key] for key in row if key != "v"} for row in rows]


def test_a_home_without_calls_says_so_and_nothing_is_made(home: Path) -> None:
    assert run("history", "list").out == "no calls\n"
    assert run("history", "list", "--json").out == ""
    assert json.loads(run("history", "export").out)["calls"] == []
    assert "no call to erase" in run("history", "erase", "--yes").err
    assert not home.exists()


def test_nothing_is_erased_without_a_person_or_the_option(log: CallLog) -> None:
    assert_told(run("history", "erase"), 2, "needs a terminal", "--yes")
    assert log.count() == 2


@pytest.mark.parametrize(("says", "left", "status"), [("yes\n", 0, 0), ("no\n", 2, 130), ("", 2, 130)])
def test_a_person_is_asked_before_calls_are_erased(log: CallLog, says: str, left: int, status: int) -> None:
    out, err = Terminal(), io.StringIO()
    assert main(["history", "erase"], Env(Terminal(says), out, err, os.environ)) == status
    assert "erase 2 calls?" in out.getvalue()
    assert log.count() == left


def test_one_persons_calls_are_erased(log: CallLog) -> None:
    ran = run("history", "erase", "BOB", "--yes")
    assert (ran.exit, ran.err) == (0, "1 call with BOB erased\n")
    assert [row["fingerprint"] for row in run("history", "list", "--json").rows] == ["eve's"]
    assert_told(run("history", "erase", "nobody", "--yes"), 3, "p2pcall contacts list")
    assert run("history", "erase", fingerprint(bytes(32)), "--yes").exit == 0


def test_all_calls_are_erased(log: CallLog) -> None:
    assert run("history", "erase", "--yes").err == "2 calls erased\n"
    assert run("history", "list").out == "no calls\n"


def test_calls_are_kept_for_as_long_as_the_user_says(log: CallLog) -> None:
    assert run("history", "keep", "1").err == "calls are kept for 1 day from now on; 1 erased\n"
    (eve,) = run("history", "list", "--json").rows
    assert eve["until"] - eve["at"] == pytest.approx(DAY_S)
    assert run("history", "keep", "0").err == "calls are not logged from now on; 1 erased\n"
    assert "not logged" in run("history", "list").out
    for wrong in ("31", "x", "1.5", "", "\x1b[2J"):
        told = run("history", "keep", wrong)
        assert_told(told, 2, "DAYS is a whole number from 0 to 30, not '", "p2pcall history keep --help")
        assert "\x1b" not in told.err
    assert_told(run("history", "keep", "-1"), 2)


@pytest.mark.parametrize("argv", [["list"], ["export"], ["erase", "--yes"], ["keep", "3"]])
def test_a_damaged_vault_is_told_and_left_alone(home: Path, log: CallLog, argv: list[str]) -> None:
    (home / "store.db").write_bytes(b"x" * 9000)
    assert_told(run("history", *argv), 8, str(home / "store.db"))
    assert (home / "store.db").read_bytes() == b"x" * 9000


def test_a_mistyped_command_is_helped_with(home: Path) -> None:
    assert_told(run("history", "erse"), 2, "p2pcall history --help")


@pytest.mark.parametrize("last", ["0", "-1", "x", "99999999999999999999"])
def test_a_number_of_calls_that_is_none_is_refused(home: Path, last: str) -> None:
    assert_told(run("history", "list", "--last", last), 2, "--last")
