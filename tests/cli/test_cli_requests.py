"""`contacts requests`, `accept`, `decline`: what a person sees and what a script gets."""

import shlex
import time
from pathlib import Path

import pytest
from clirun import BOB, EVE, assert_told, run

from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint
from p2pcall.store.recordings import DAY_S
from p2pcall.store.requests import CallRequest, CallRequests

CAROL = bytes([7] * 32)


@pytest.fixture
def rung(known: Contacts) -> list[CallRequest]:
    """Carol rang twice, somebody claims to be Bob, and somebody has no name."""
    now = time.time()
    return CallRequests(known.vault).add(
        [
            CallRequest(CAROL, "carol", now - 100, now - 50, 2),
            CallRequest(EVE, "Bob", now - 90, now - 90),
            CallRequest(bytes([8] * 32), "", now - 80, now - 80),
        ]
    )


def left(known: Contacts) -> list[bytes]:
    return [one.public for one in CallRequests(known.vault).all(time.time())]


def test_nobody_waits_at_first(home: Path) -> None:
    ran = run("contacts", "requests")
    assert (ran.exit, ran.out, ran.err) == (0, "nobody waits for an answer\n", "")
    assert run("contacts", "requests", "--json").out == ""


def test_requests_are_listed_with_until_when_they_are_kept(rung: list[CallRequest]) -> None:
    carol, poser, nameless = run("contacts", "requests", "--json").rows
    assert carol == {
        "v": 1,
        "number": rung[0].number,
        "name": "carol",
        "fingerprint": fingerprint(CAROL),
        "first": rung[0].at,
        "last": rung[0].last,
        "calls": 2,
        "until": rung[0].at + 7 * DAY_S,
        "poses_as": "",
    }
    assert (poser["name"], poser["poses_as"]) == (fingerprint(EVE)[:9], "bob")
    assert (nameless["name"], nameless["poses_as"]) == (fingerprint(bytes([8] * 32))[:9], "")
    ran = run("contacts", "requests")
    assert "carol" in ran.out
    assert "(claims to be your contact bob)" in ran.out
    assert all(fingerprint(one.public) in ran.out for one in rung)
    assert "contacts accept NUMBER" in ran.err


def test_a_request_of_more_than_a_week_ago_is_erased_when_they_are_listed(known: Contacts) -> None:
    now = time.time()
    CallRequests(known.vault).add([CallRequest(CAROL, "carol", now - 8 * DAY_S, now)])
    assert run("contacts", "requests", "--json").rows == []
    assert left(known) == []


def test_with_a_call_log_of_no_days_the_list_says_so(home: Path) -> None:
    assert run("history", "keep", "0").exit == 0
    assert "no requests are kept" in run("contacts", "requests").out


def test_who_is_accepted_is_a_contact_and_not_verified(known: Contacts, rung: list[CallRequest]) -> None:
    ran = run("contacts", "accept", str(rung[0].number))
    assert (ran.exit, ran.out) == (0, "")
    assert f"carol is a contact, not verified, fingerprint {fingerprint(CAROL)}" in ran.err
    carol = known.by_name("carol")
    assert carol is not None
    assert (carol.public, carol.verified) == (CAROL, False)
    assert left(known) == [one.public for one in rung[1:]]


def test_a_request_is_accepted_by_its_whole_fingerprint_under_ones_own_name(
    known: Contacts, rung: list[CallRequest]
) -> None:
    printed = fingerprint(EVE)
    ran = run("contacts", "accept", printed.upper(), "--as", "Eve", "--json")
    assert ran.rows == [{"v": 1, "number": rung[1].number, "name": "Eve", "fingerprint": printed}]
    assert ran.err == ""
    assert known.by_key(EVE) is not None


@pytest.mark.parametrize("who", ["carol", "0", "99", "1" * 30, "\u0661", "-1", "\x1b[2J", "1.0", "h5mi-u3ca"])
def test_a_request_is_meant_by_number_or_whole_fingerprint_alone(
    known: Contacts, rung: list[CallRequest], who: str
) -> None:
    for command in ("accept", "decline"):
        ran = run("contacts", command, "--", who)
        assert_told(ran, 3, "there is no request", "p2pcall contacts requests")
        assert "\x1b" not in ran.err
    assert run("contacts", "accept", fingerprint(CAROL)[:9]).exit == 3
    assert len(left(known)) == 3


def test_a_name_that_cannot_be_taken_asks_for_another_one(known: Contacts, rung: list[CallRequest]) -> None:
    poser, nameless = str(rung[1].number), str(rung[2].number)
    assert_told(run("contacts", "accept", poser), 2, "'bob', with another key", f"accept {poser} --as NAME")
    assert_told(run("contacts", "accept", nameless), 2, "no name", f"accept {nameless} --as NAME")
    assert_told(run("contacts", "accept", nameless, "--as", "bob"), 2, "another key", fingerprint(BOB))
    assert_told(
        run("contacts", "accept", nameless, "--as", "10.0.0.5"), 2, "could not be dialled", "--as NAME"
    )
    now = time.time()
    (one,) = CallRequests(known.vault).add([CallRequest(bytes([9] * 32), "10.0.0.5", now, now)])
    ran = run("contacts", "accept", str(one.number))
    assert_told(ran, 2, "could not be dialled")
    hinted = shlex.split(ran.err.splitlines()[1].removeprefix("p2pcall: hint: "))
    hinted[-1] = "dave"
    assert run(*hinted[1:]).exit == 0
    assert [one.name for one in known.all()] == ["bob", "dave"]


def test_who_is_declined_is_forgotten_and_may_ring_again(known: Contacts, rung: list[CallRequest]) -> None:
    ran = run("contacts", "decline", str(rung[0].number))
    assert (ran.exit, ran.out, ran.err) == (0, "", "carol is forgotten, and may ring again\n")
    assert CAROL not in left(known)
    assert known.blocked() == {}
    now = time.time()
    assert CallRequests(known.vault).add([CallRequest(CAROL, "carol", now, now)])


def test_who_is_declined_with_block_does_not_ring_again(known: Contacts, rung: list[CallRequest]) -> None:
    ran = run("contacts", "decline", str(rung[0].number), "--block", "--json")
    printed = fingerprint(CAROL)
    assert ran.rows == [
        {"v": 1, "number": rung[0].number, "name": "carol", "fingerprint": printed, "blocked": True}
    ]
    assert list(known.blocked()) == [printed]
    assert CAROL not in left(known)


def test_a_block_of_a_fingerprint_takes_its_request_away(known: Contacts, rung: list[CallRequest]) -> None:
    assert run("contacts", "block", fingerprint(CAROL)).exit == 0
    assert CAROL not in left(known)


def test_all_are_declined_at_once_and_none_is_blocked_by_it(known: Contacts, rung: list[CallRequest]) -> None:
    assert_told(run("contacts", "decline"), 2, "one of a request and --all")
    assert_told(run("contacts", "decline", "1", "--all"), 2, "one of a request and --all")
    assert_told(run("contacts", "decline", "--all", "--block"), 2, "costs a stranger nothing")
    assert len(left(known)) == 3
    ran = run("contacts", "decline", "--all")
    assert (ran.exit, ran.err) == (0, "3 requests are forgotten\n")
    assert left(known) == []
    assert run("contacts", "decline", "--all").err == "nobody waits for an answer\n"


def test_who_was_declined_is_nowhere_in_the_vault(
    known: Contacts, rung: list[CallRequest], home: Path
) -> None:
    """Searched with the vault's key in hand: in all of its pages, the free ones too, and in its log."""
    run("contacts", "decline", "--all")
    known.vault.close()
    with known.vault.reading() as db:
        assert db is not None
        pages = db.serialize("main")
    assert b"bob" in pages
    for hidden in (b"carol", CAROL, fingerprint(CAROL).encode(), EVE):
        assert hidden not in pages
    log = home / "store.db-wal"
    assert not log.exists() or log.stat().st_size == 0


def test_a_sealed_home_opens_for_these_commands_too(
    known: Contacts, rung: list[CallRequest], home: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    assert run("id", "passphrase", "--new-passphrase-file", str(secret)).exit == 0
    assert_told(run("contacts", "requests"), 8, "no terminal")
    assert len(run("contacts", "requests", "--json", "--passphrase-file", str(secret)).rows) == 3
    assert Contacts(Home.at(home)).vault.home.vault_path.exists()
