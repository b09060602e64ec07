"""`invite` and `join` as far as they need nobody else: codes that are none, names, what is kept, what is said."""

import io
import os
from pathlib import Path

import pytest
from clirun import BOB, EVE, assert_told, run
from hypothesis import given
from hypothesis import strategies as st

from p2pcall import events, names
from p2pcall.cli import event_text, main
from p2pcall.cli.first_contact import _InviteOutput
from p2pcall.engine import first_contact
from p2pcall.engine.first_contact import MAX_NAMESAKES, keep_paired
from p2pcall.engine.trust import TrustStore
from p2pcall.env import Env
from p2pcall.net.address import undialable
from p2pcall.pairing.key_exchange import Introduction
from p2pcall.proto.constants import NAME_BYTES
from p2pcall.store.contact import SHORT_FINGERPRINT, Contact
from p2pcall.store.contacts import Contacts, normalise_name
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint

OWN = bytes([9] * 32)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("crossover", "begins with a number"),
        ("7-crossover-clokwork", "word 2 is none"),
        ("p2pcall:id/1/" + "a" * 52, "p2pcall:invite/1/"),
        ("", "begins with a number"),
    ],
)
def test_what_is_no_code_is_told_before_anything_is_sent(code: str, why: str) -> None:
    ran = run("join", code, "127.0.0.1:9")
    assert_told(ran, 2, why, "p2pcall invite")
    assert "clokwork" not in ran.err


def test_without_a_terminal_there_is_no_question_for_the_code() -> None:
    assert_told(run("join"), 2, "without a terminal", "p2pcall join CODE")


def test_a_code_can_come_from_standard_input_where_nobody_sees_it() -> None:
    for text, why in (
        ("7-crossover-clokwork\n", "word 2"),
        ("", "begins with a number"),
        ("7" * 9999, "too long"),
    ):
        err = io.StringIO()
        assert main(["join", "-"], Env(io.StringIO(text), io.StringIO(), err, os.environ)) == 2
        assert why in err.getvalue()


def test_an_address_is_a_place_and_no_person() -> None:
    assert_told(run("join", "7-crossover-clockwork", "bob@127.0.0.1"), 2, "no address of an invite")
    assert_told(run("join", "7-crossover-clockwork", "127.0.0.1:0"), 2, "the port is a number")


@pytest.mark.parametrize("command", [("invite",), ("join", "7-crossover-clockwork")])
def test_a_name_for_the_other_that_could_not_be_dialled_is_refused(command: tuple[str, ...]) -> None:
    assert_told(run(*command, "--as", "192.0.2.1"), 2, "--as", "could not be dialled")
    assert_told(run(*command, "--as", "\x1b[1m"), 2, "cannot be a name")


@pytest.mark.parametrize("words", ["1", "9", "x"])
def test_a_code_has_two_to_eight_words(words: str) -> None:
    assert_told(run("invite", "--words", words), 2, "--words is a whole number from 2 to 8")


def test_a_uri_with_an_address_that_is_none_is_told(home: Path) -> None:
    key = "crvhna4j55mooho76gcb4zaczgqhxczwokf4q6dl6slhqjsdcb5q"
    uri = f"p2pcall:invite/1/{key}/7-crossover-clockwork/192.0.2.1.2:5"
    assert_told(run("join", uri), 2, "192.0.2.1.2:5")


# ---- under which name


def keep(contacts: Contacts, name: str, public: bytes = BOB, kept_as: str | None = None) -> str:
    kept = keep_paired(
        contacts, TrustStore(contacts, OWN), Introduction(public, name), kept_as, 1_700_000_000.0
    )
    assert kept.verified
    assert kept.public == public
    return kept.name


@pytest.fixture
def nobody(home: Path) -> Contacts:
    return Contacts(Home.at(home))


@pytest.mark.parametrize(
    ("claimed", "kept"),
    [
        ("bob", "bob"),
        ("  Bob\u202e  \x1bSmith ", "Bob Smith"),
        ("b\u200bob", "bob"),
        ("", fingerprint(BOB)[:SHORT_FINGERPRINT]),
        ("\x07\u2066", fingerprint(BOB)[:SHORT_FINGERPRINT]),
        ("192.0.2.1", fingerprint(BOB)[:SHORT_FINGERPRINT]),
        ("bob@home", fingerprint(BOB)[:SHORT_FINGERPRINT]),
        ("localhost", fingerprint(BOB)[:SHORT_FINGERPRINT]),
    ],
)
def test_a_claimed_name_is_cleaned_and_one_that_cannot_be_dialled_is_not_used(
    nobody: Contacts, claimed: str, kept: str
) -> None:
    assert keep(nobody, claimed) == kept


class Taken(Contacts):
    """A book in which others have some names."""

    def __init__(self, *taken: str) -> None:
        self._taken = {names.alike(name) for name in taken}

    def by_name(self, name: str) -> Contact | None:
        return Contact(name, EVE, 0.0) if names.alike(name) in self._taken else None


@given(claimed=st.text(max_size=NAME_BYTES), taken=st.booleans())
def test_any_claimed_name_becomes_one_that_is_free_and_can_be_dialled(claimed: str, taken: bool) -> None:
    contacts = Taken(names.kept(claimed)) if taken else Taken()
    name = first_contact._free_name(contacts, Introduction(BOB, claimed))
    assert undialable(name) is None
    assert normalise_name(name) == name
    assert contacts.by_name(name) is None


def test_a_name_that_another_contact_has_gets_a_number_and_at_last_the_key(nobody: Contacts) -> None:
    for number in range(1, MAX_NAMESAKES):
        nobody.pin("bob" if number == 1 else f"bob-{number}", bytes([200, number]) * 16, 0.0)
        if number == 3:
            assert keep(nobody, "BOB", EVE) == "BOB-4"
            nobody.remove("BOB-4")
    assert keep(nobody, "bob") == fingerprint(BOB)[:SHORT_FINGERPRINT]


def test_a_contact_is_verified_under_the_name_that_it_has(nobody: Contacts) -> None:
    nobody.pin("robert", BOB, 0.0)
    assert keep(nobody, "bob", kept_as="bobby") == "robert"


# ---- in words


def test_what_is_said_of_an_invite_and_of_the_new_contact() -> None:
    told = event_text.event_line(events.Invited("7-crossover-clockwork", "p2pcall:x", 1, (), 1_700_000_000.0))
    assert told is not None
    assert told.startswith("the code is 7-crossover-clockwork; it works once, until ")
    for name, claimed, line in (
        ("bob", "bob", "bob is a verified contact from now on: p2pcall dial bob"),
        (
            "my bob",
            "bob",
            "my bob, who says to be bob, is a verified contact from now on: p2pcall dial 'my bob'",
        ),
    ):
        assert event_text.event_line(events.Paired(name, claimed, "abcd", "verified")) == line


def test_the_code_of_an_invite_is_told_once_more_below_the_qr_code() -> None:
    out = io.StringIO()
    uri = "p2pcall:invite/1/key/7-crossover-clockwork"
    with _InviteOutput(Env(io.StringIO(), out, out, os.environ), json=False) as output:
        output.emit(events.Invited("7-crossover-clockwork", uri, 1, (), 1_700_000_000.0))
    last = out.getvalue().splitlines()[-1]
    assert last == "waiting for the other person to type 7-crossover-clockwork"
