"""`contacts block` and `unblock`: by a contact's name, or by the fingerprint of whoever called."""

from clirun import BOB, EVE, NO_MEDIA, assert_told, run

from p2pcall.proto.handshake.safety_number import identity_uri
from p2pcall.store.contacts import Contacts
from p2pcall.store.identity import fingerprint


def listed() -> list[tuple[object, object, object]]:
    return [
        (row["name"], row["fingerprint"], row["blocked"]) for row in run("contacts", "list", "--json").rows
    ]


def test_a_contact_is_blocked_by_name_and_let_in_again(known: Contacts) -> None:
    ran = run("contacts", "block", "BOB")
    assert (ran.exit, ran.out, ran.err) == (0, "", "bob is blocked, and cannot make you ring any more\n")
    assert listed() == [("bob", fingerprint(BOB), True)]
    assert "blocked" in run("contacts", "list").out
    assert "; blocked" in run("contacts", "show", "bob").out
    (row,) = run("contacts", "show", "bob", "--json").rows
    assert row["blocked"] is True
    ran = run("contacts", "unblock", "bob")
    assert (ran.exit, ran.err) == (0, "bob is not blocked any more\n")
    assert listed() == [("bob", fingerprint(BOB), False)]
    assert_told(run("contacts", "unblock", "bob"), 3, "bob is not blocked", "p2pcall contacts list")


def test_whoever_has_called_is_blocked_by_the_fingerprint(known: Contacts) -> None:
    key = fingerprint(EVE)
    assert run("contacts", "block", key.upper().replace("-", " ")).err.startswith(f"{key[:9]} is blocked")
    assert listed() == [("bob", fingerprint(BOB), False), (key[:9], key, True)]
    assert [contact.name for contact in known.all()] == ["bob"], "a blocked key is no contact"
    assert key in run("contacts", "list").out
    assert_told(run("contacts", "add", "eve", identity_uri(EVE)), 2, "blocked", f"unblock {key}")
    assert run("contacts", "unblock", key[:9].upper()).exit == 0
    assert listed() == [("bob", fingerprint(BOB), False)]


def test_a_fingerprint_means_its_key_whatever_somebody_calls_himself(known: Contacts) -> None:
    known.pin(fingerprint(EVE), bytes([4] * 32), 0)
    run("contacts", "block", fingerprint(EVE))
    assert known.blocked().keys() == {fingerprint(EVE)}
    run("contacts", "block", fingerprint(BOB))
    assert known.blocked().keys() == {fingerprint(EVE), fingerprint(BOB)}
    assert run("contacts", "unblock", fingerprint(BOB)).err.startswith("bob is not")


def test_a_block_stays_when_the_contact_goes(known: Contacts) -> None:
    run("contacts", "block", "bob")
    assert run("contacts", "rename", "bob", "robert").exit == 0
    assert run("contacts", "remove", "robert").err == "robert is forgotten; the key stays blocked\n"
    assert listed() == [(fingerprint(BOB)[:9], fingerprint(BOB), True)]


def test_who_is_blocked_is_not_called_either(known: Contacts) -> None:
    run("contacts", "block", "bob")
    ran = run("dial", "bob", "--port", "0", *NO_MEDIA)
    assert_told(ran, 2, "bob is blocked", "p2pcall contacts unblock bob")


def test_nobody_and_oneself_cannot_be_blocked(known: Contacts) -> None:
    (own,) = run("id", "--json").rows
    assert_told(run("contacts", "block", "carol"), 3, "no contact carol", "p2pcall contacts list")
    assert_told(run("contacts", "unblock", "carol"), 3, "no contact carol", "p2pcall contacts list")
    assert_told(run("contacts", "block", own["fingerprint"]), 2, "your own key", "p2pcall id")
    assert known.blocked() == {}
