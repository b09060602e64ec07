"""`contacts allow` and `contacts forbid`: what is set, what is said of it, and what is not."""

import pytest
from clirun import assert_told, run

from p2pcall.store.contacts import Contacts
from p2pcall.store.permission import Permission


def allowed(known: Contacts) -> tuple[Permission, ...]:
    contact = known.by_name("bob")
    assert contact is not None
    return contact.allowed


def test_a_new_contact_may_ring_and_see_one_announced_and_nothing_else(known: Contacts) -> None:
    assert allowed(known) == ("ring", "presence")
    (row,) = run("contacts", "list", "--json").rows
    assert row["allowed"] == ["ring", "presence"]
    assert "bob   not verified  2023" in run("contacts", "list").out, "which is not worth a word"


@pytest.mark.parametrize("word", ["ring", "presence"])
def test_what_is_forbidden_is_allowed_again(known: Contacts, word: str) -> None:
    assert run("contacts", "forbid", "BOB", word).exit == 0
    assert word not in allowed(known)
    assert f"not verified, no {word}" in run("contacts", "list").out
    assert run("contacts", "allow", "bob", word).exit == 0
    assert allowed(known) == ("ring", "presence")


def test_several_are_set_at_once_and_shown(known: Contacts) -> None:
    known.verify("bob", known.all()[0].public)
    assert run("contacts", "forbid", "bob", "presence", "ring").exit == 0
    ran = run("contacts", "allow", "bob", "sound", "ring")
    assert (ran.exit, ran.out) == (0, "")
    assert ran.err == (
        "bob may ring, is answered without asking, with sound, and may not see you announced to contacts\n"
    )
    assert "\nallowed        ring, sound\n" in run("contacts", "show", "bob").out
    (row,) = run("contacts", "show", "bob", "--json").rows
    assert row["allowed"] == ["ring", "sound"]
    assert "verified, sound, no presence" in run("contacts", "list").out


def test_a_picture_is_allowed_with_sound_and_goes_with_it(known: Contacts) -> None:
    assert "with sound and picture" in run("contacts", "allow", "bob", "picture").err
    assert allowed(known) == tuple(Permission)
    assert "is asked about" in run("contacts", "forbid", "bob", "sound").err
    assert allowed(known) == ("ring", "presence")
    run("contacts", "allow", "bob", "picture")
    run("contacts", "forbid", "bob", "picture")
    assert allowed(known) == ("ring", "sound", "presence")


def test_scripts_get_what_is_allowed_now(known: Contacts) -> None:
    ran = run("contacts", "allow", "bob", "sound", "--json")
    assert (ran.exit, ran.err) == (0, "")
    assert ran.rows == [{"v": 1, "name": "bob", "allowed": ["ring", "sound", "presence"]}]


def test_a_permission_that_has_no_effect_is_said_to_have_none(known: Contacts) -> None:
    run("contacts", "forbid", "bob", "ring")
    ran = run("contacts", "allow", "bob", "sound")
    assert ran.err.splitlines() == [
        "bob may not ring, and hears what a stranger hears whom nobody answers",
        "sound, presence: without effect until they may ring",
    ]
    run("contacts", "allow", "bob", "ring")
    run("contacts", "block", "bob")
    assert "p2pcall contacts unblock bob" in run("contacts", "allow", "bob", "sound").err


def test_whoever_lets_a_key_in_that_nobody_has_compared_is_told(known: Contacts) -> None:
    assert "p2pcall contacts verify bob" in run("contacts", "allow", "bob", "sound").err
    known.verify("bob", known.all()[0].public)
    assert "verify" not in run("contacts", "allow", "bob", "sound").err


def test_what_cannot_be_allowed_changes_nothing(known: Contacts) -> None:
    right = "ring, sound, picture or presence"
    assert_told(run("contacts", "allow", "bob", "sound", "everything"), 2, right, "not 'everything'")
    assert_told(run("contacts", "allow", "bob"), 2, "WHAT... is missing")
    assert_told(run("contacts", "forbid", "carol", "ring"), 3, "no contact carol", "p2pcall contacts list")
    assert allowed(known) == ("ring", "presence")


def test_permissions_are_the_keys_and_stay_under_a_new_name(known: Contacts) -> None:
    run("contacts", "allow", "bob", "sound")
    run("contacts", "rename", "bob", "robert")
    assert run("contacts", "list", "--json").rows[0]["allowed"] == ["ring", "sound", "presence"]
