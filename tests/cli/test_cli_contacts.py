"""The commands that change what is kept of people: add, rename, verify."""

import io
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from clirun import BOB, EVE, Ran, assert_told, run

from p2pcall.cli import main
from p2pcall.env import Env
from p2pcall.proto.handshake.safety_number import identity_uri
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, load_or_create


def names(contacts: Contacts) -> dict[str, bytes]:
    return {contact.name: contact.public for contact in contacts.all()}


def hinted(ran: Ran) -> list[str]:
    """The command in the hint, as a shell reads it."""
    return shlex.split(ran.err.splitlines()[1].removeprefix("p2pcall: hint: ").partition(",")[0])


# ---- add


def test_a_key_that_id_shows_makes_a_contact(home: Path, tmp_path: Path) -> None:
    (row,) = run("id", "--json", "--home", str(tmp_path / "eve")).rows
    ran = run("contacts", "add", "Eve", str(row["uri"]).upper())
    assert (ran.exit, ran.out) == (0, "")
    assert ran.err == f"Eve is a contact, fingerprint {row['fingerprint']}\n"
    (listed,) = run("contacts", "list", "--json").rows
    assert (listed["name"], listed["fingerprint"], listed["verified"]) == ("Eve", row["fingerprint"], False)
    assert run("contacts", "add", "eve", str(row["uri"])).exit == 0, "it is one already"


def test_what_is_no_uri_is_told_with_the_reason(home: Path) -> None:
    for uri, why in (
        ("bob", "does not begin with p2pcall:id/1/"),
        ("p2pcall:safety/1/" + "0" * 60, "a safety number"),
        (identity_uri(BOB)[:-2], "not whole"),
        (identity_uri(bytes(32)), "safe"),
        ("\x1b[2J", "nobody's URI"),
    ):
        ran = run("contacts", "add", "bob", uri)
        assert_told(ran, 2, why, "p2pcall id")
        assert "\x1b" not in ran.err
    assert not (home / "store.db").exists()


def test_ones_own_key_is_no_contact(home: Path) -> None:
    own = load_or_create(Home.at(home), os.urandom).public
    assert_told(run("contacts", "add", "me", identity_uri(own)), 2, "your own key")


def test_a_key_or_a_name_that_is_kept_already_is_told_with_the_way_out(known: Contacts) -> None:
    assert_told(run("contacts", "add", "robert", identity_uri(BOB)), 2, "under the name 'bob'")
    ran = run("contacts", "add", "--", "-robert", identity_uri(BOB))
    assert hinted(ran) == ["p2pcall", "contacts", "rename", "--", "bob", "-robert"]
    ran = run("contacts", "add", "Bob", identity_uri(EVE))
    assert_told(ran, 2, "another key", fingerprint(BOB))
    assert hinted(ran) == ["p2pcall", "contacts", "rename", "bob", "NEW"]
    assert names(known) == {"bob": BOB}


@pytest.mark.parametrize("name", ["bob:1", "10.0.0.5", "[bob]", "\x1b", " "])
def test_a_contact_has_a_name_that_can_be_dialled(known: Contacts, name: str) -> None:
    assert_told(run("contacts", "add", name, identity_uri(EVE)), 2)
    assert_told(run("contacts", "rename", "bob", name), 2)
    assert names(known) == {"bob": BOB}


# ---- rename


def test_renaming_makes_room_for_another_one_of_that_name(known: Contacts) -> None:
    ran = run("contacts", "rename", "BOB", "Bob from work")
    assert (ran.exit, ran.out, ran.err) == (0, "", "BOB is called Bob from work from now on\n")
    assert run("contacts", "add", "bob", identity_uri(EVE)).exit == 0
    assert names(known) == {"bob": EVE, "Bob from work": BOB}
    assert_told(
        run("contacts", "rename", "bob", "BOB FROM WORK"), 2, "another contact", "p2pcall contacts list"
    )
    assert_told(run("contacts", "rename", "carol", "dave"), 3, "no contact carol", "p2pcall contacts list")


# ---- verify


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def verify(home: Path) -> Callable[..., Ran]:
    """`verify("bob", says="y\\n")` at a terminal."""

    def ask(name: str, says: str) -> Ran:
        out, err = Terminal(), io.StringIO()
        status = main(["contacts", "verify", name], Env(Terminal(says), out, err, os.environ))
        return Ran(status, out.getvalue(), err.getvalue())

    return ask


def test_who_says_that_the_numbers_are_the_same_has_verified(
    known: Contacts, verify: Callable[..., Ran]
) -> None:
    ran = verify("BOB", says="y\n")
    assert (ran.exit, ran.err) == (0, "bob is verified from now on\n")
    (shown,) = run("contacts", "show", "bob", "--json").rows
    groups = str(shown["safety_number"]).split()
    assert " ".join(groups[:6]) in ran.out
    assert " ".join(groups[6:]) in ran.out
    assert ran.out.endswith("type yes or no, then Enter; anything else changes nothing: ")
    assert shown["verified"] is True


def test_who_says_that_they_are_not_takes_the_mark_away(known: Contacts, verify: Callable[..., Ran]) -> None:
    known.verify("bob", BOB)
    ran = verify("bob", says="n\n")
    assert_told(ran, 5, "bob is not verified", "in between", "p2pcall contacts remove bob")
    assert not known.all()[0].verified


@pytest.mark.parametrize("says", ["", "\n", "later\n", "yesterday\n"])
@pytest.mark.parametrize("before", [False, True])
def test_whoever_has_not_compared_changes_nothing(
    known: Contacts, verify: Callable[..., Ran], says: str, before: bool
) -> None:
    known.verify("bob", BOB, verified=before)
    assert_told(verify("bob", says=says), 130, "nothing was changed", "p2pcall contacts verify bob")
    assert known.all()[0].verified is before


def test_without_a_terminal_nobody_is_verified(known: Contacts) -> None:
    assert_told(run("contacts", "verify", "bob"), 2, "terminal", "p2pcall contacts show bob")
    assert_told(run("contacts", "verify", "bob", "--yes"), 2, "--yes")
    assert not known.all()[0].verified


def test_nobody_of_that_name_can_be_verified(home: Path) -> None:
    assert_told(run("contacts", "verify", "bob"), 3, "there is no contact bob", "p2pcall contacts list")


def test_the_answer_is_for_the_key_that_was_shown(
    known: Contacts, verify: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the question is there, somebody pairs anew."""

    def pairs_anew(self: io.StringIO) -> str:
        known.remove("bob")
        known.pin("bob", EVE, 0)
        return "y\n"

    monkeypatch.setattr(Terminal, "readline", pairs_anew)
    assert_told(verify("bob", says=""), 3)
    assert not known.all()[0].verified


# ---- what others may write


def test_a_command_ends_with_8_and_the_command_that_mends_it(home: Path) -> None:
    Contacts(Home.at(home)).pin("bob", BOB, 0)
    home.chmod(0o777)
    assert_told(run("contacts", "list"), 8, "can be written by other users", f"chmod 700 {home}")
    assert_told(run("contacts", "remove", "bob"), 8, "can be written by other users")
    home.chmod(0o700)
    assert run("contacts", "list").exit == 0
