"""Blocked keys: a block is of a key, by its fingerprint."""

from pathlib import Path

import pytest

from p2pcall.engine.trust import TrustStore
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import contacts as store_contacts
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, read_fingerprint

BOB, EVE, OWN = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)


@pytest.fixture
def contacts(home: Path) -> Contacts:
    return Contacts(Home.at(home))


def test_a_blocked_contact_is_no_contact_to_the_door_until_the_block_is_lifted(contacts: Contacts) -> None:
    people = TrustStore(contacts, OWN)
    contacts.pin("bob", BOB, 1)
    contacts.pin("eve", EVE, 2)
    contacts.block(fingerprint(EVE), 7.0)
    contacts.block(fingerprint(EVE), 8.0)
    assert (people.is_blocked(EVE), people.is_contact(EVE)) == (True, False)
    assert (people.is_blocked(BOB), people.is_contact(BOB)) == (False, True)
    assert list(people.let_in()) == [BOB]
    assert contacts.blocked() == {fingerprint(EVE): 7.0}
    assert [contact.blocked for contact in contacts.all()] == [False, True]
    assert contacts.unblock(fingerprint(EVE))
    assert not contacts.unblock(fingerprint(EVE))
    assert list(people.let_in()) == [EVE, BOB]


def test_a_block_needs_no_contact_and_outlives_one(contacts: Contacts) -> None:
    people = TrustStore(contacts, OWN)
    contacts.block(fingerprint(EVE), 7.0)
    assert people.is_blocked(EVE)
    assert contacts.all() == []
    assert contacts.pin("eve", EVE, 8.0).blocked
    contacts.rename("eve", "Eve")
    contacts.remove("eve")
    assert people.is_blocked(EVE)


def test_there_is_a_bound_of_blocks(contacts: Contacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_contacts, "MAX_BLOCKED", 1)
    contacts.block(fingerprint(BOB), 0)
    contacts.block(fingerprint(BOB), 0)
    with pytest.raises(P2PCallError) as caught:
        contacts.block(fingerprint(EVE), 0)
    assert (caught.value.slug, caught.value.exit) == ("too-many-blocked", ExitCode.CONFIG)


def test_a_fingerprint_is_read_as_people_type_it() -> None:
    printed = fingerprint(BOB)
    for typed in (printed, printed.upper(), printed.replace("-", ""), f" {printed.replace('-', ' ')} "):
        assert read_fingerprint(typed) == printed
    for typed in ("", "bob", printed[:-1], printed + "a", printed[:-1] + "1", printed[:-1] + "\u0131"):
        assert read_fingerprint(typed) is None
