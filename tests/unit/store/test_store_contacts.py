"""Pinned keys: one name, one key; a changed key is a hard stop."""

import json
import multiprocessing
import shlex
import unicodedata
from pathlib import Path

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import contacts as store_contacts
from p2pcall.store import contacts_file
from p2pcall.store.adoption import LeftOut
from p2pcall.store.contact import Contact
from p2pcall.store.contacts import Contacts, key_changed
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint

BOB, EVE = bytes([1] * 32), bytes([2] * 32)
NEW, OTHER = bytes([3] * 32), bytes([4] * 32)


@pytest.fixture
def contacts(home: Path) -> Contacts:
    return Contacts(Home.at(home))


def test_nobody_is_known_at_first(contacts: Contacts, home: Path) -> None:
    assert contacts.all() == []
    assert contacts.by_key(BOB) is None
    assert contacts.by_name("bob") is None
    assert contacts.remove("bob") is None
    assert not (home / "store.db").exists()


def test_a_pinned_key_is_known_again(contacts: Contacts, home: Path) -> None:
    bob = contacts.pin("Bob", BOB, 1000.5)
    assert bob == Contact("Bob", BOB, 1000.5, False)
    other = Contacts(Home.at(home))
    assert other.all() == [bob]
    assert other.by_key(BOB) == other.by_name("BOB") == bob
    assert (home / "store.db").stat().st_mode & 0o777 == 0o600


def test_contacts_are_listed_by_name(contacts: Contacts) -> None:
    for i, name in enumerate(["zoe", "Émile", "bob", "Anna"]):
        contacts.pin(name, bytes([i] * 32), 0)
    assert [contact.name for contact in contacts.all()] == ["Anna", "bob", "zoe", "Émile"]


def test_a_changed_key_is_a_hard_stop_and_replaces_nothing(contacts: Contacts) -> None:
    bob = contacts.pin("Bob", BOB, 0)
    with pytest.raises(P2PCallError) as caught:
        contacts.pin("bob", EVE, 1)
    assert (caught.value.slug, caught.value.exit) == ("key-changed", ExitCode.UNTRUSTED)
    assert (caught.value.hint or "").endswith(": p2pcall contacts remove Bob")
    assert fingerprint(BOB) in caught.value.text
    assert contacts.all() == [bob]
    contacts.remove("BOB")
    assert contacts.pin("bob", EVE, 1).public == EVE


@pytest.mark.parametrize(
    "name", ["bob", "-rf", "--help", "$(reboot)", "`reboot`", "a; reboot", "O'Hara", 'say "hi"', "Zoë Müller"]
)
def test_the_command_in_a_hint_means_the_name_and_nothing_else(name: str) -> None:
    hint = key_changed(name, BOB, EVE).hint or ""
    typed = ["--", name] if name.startswith("-") else [name]
    remove = shlex.split(hint.partition("theirs: ")[2])
    assert remove == ["p2pcall", "contacts", "remove", *typed]
    rename = shlex.split(hint.partition("of one name: ")[2].partition("; if the new key")[0])
    assert rename == ["p2pcall", "contacts", "rename", *typed, "NEW"]


def test_a_changed_key_shows_both_fingerprints_and_what_to_compare_with_whom() -> None:
    error = key_changed("bob", BOB, EVE)
    assert f"pinned is {fingerprint(BOB)}, shown was {fingerprint(EVE)}" in error.text
    assert "answering" in error.text
    assert (error.hint or "").startswith(
        "ask bob, over another channel, to read you the fingerprint of `p2pcall id`"
    )


def test_a_known_key_keeps_its_name(contacts: Contacts) -> None:
    bob = contacts.pin("Bob", BOB, 0)
    assert contacts.pin("Robert", BOB, 5) == bob


def test_a_key_that_was_compared_is_marked_and_the_mark_can_go(contacts: Contacts, home: Path) -> None:
    contacts.pin("Bob", BOB, 7.5)
    eve = contacts.pin("eve", EVE, 0)
    bob = contacts.verify("BOB", BOB)
    assert bob == Contact("Bob", BOB, 7.5, True)
    assert Contacts(Home.at(home)).all() == [bob, eve]
    assert contacts.verify("bob", BOB) == bob
    assert contacts.verify("bob", BOB, verified=False) == Contact("Bob", BOB, 7.5, False)
    assert not any(contact.verified for contact in contacts.all())


def test_a_mark_is_for_a_key_and_not_for_a_name(contacts: Contacts, home: Path) -> None:
    contacts.pin("bob", EVE, 0)
    before = contacts.all()
    assert contacts.verify("bob", BOB) is None
    assert contacts.verify("robert", EVE) is None
    assert contacts.all() == before


def test_a_contact_gets_another_name_and_keeps_all_else(contacts: Contacts) -> None:
    contacts.pin("bob", BOB, 7.5)
    contacts.verify("bob", BOB)
    assert contacts.rename("BOB", " Bob from  work ") == Contact("Bob from work", BOB, 7.5, True)
    assert contacts.all() == [Contact("Bob from work", BOB, 7.5, True)]
    assert contacts.pin("bob", EVE, 1).public == EVE, "there is room for another one of that name"
    renamed = contacts.rename("bob", "BOB")
    assert renamed is not None
    assert renamed.name == "BOB"


def test_a_name_that_is_somebody_elses_is_not_given(contacts: Contacts) -> None:
    contacts.pin("bob", BOB, 0)
    contacts.pin("eve", EVE, 0)
    before = contacts.all()
    for old, new, slug in (("eve", "Bob", "name-taken"), ("eve", "\x1b", "bad-name")):
        with pytest.raises(P2PCallError) as caught:
            contacts.rename(old, new)
        assert (caught.value.slug, caught.value.exit) == (slug, ExitCode.USAGE)
    assert contacts.rename("carol", "dave") is None
    assert contacts.all() == before


def test_spellings_of_one_name_are_one_name(contacts: Contacts) -> None:
    contacts.pin(unicodedata.normalize("NFD", "Zoë Straße"), BOB, 0)
    assert contacts.by_name("ZOË STRASSE") is not None
    assert contacts.all()[0].name == "Zoë Straße"


def test_a_name_is_found_with_or_without_the_joiners_of_its_script(contacts: Contacts) -> None:
    """Keyboards differ; and a joiner alone makes nobody another person."""
    name = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    contacts.pin(name, BOB, 0)
    assert contacts.all()[0].name == name
    with pytest.raises(P2PCallError, match="not the pinned one"):
        contacts.pin(name.replace("\u200c", ""), EVE, 0)
    contacts.pin("e\u200cv\u200de", EVE, 0)
    assert contacts.all()[0].name == "eve"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x1b[31m", "x" * 65, "é" * 33, "\u202eevil"])
def test_what_cannot_be_a_name_is_refused(contacts: Contacts, name: str) -> None:
    with pytest.raises(P2PCallError) as caught:
        contacts.pin(name, BOB, 0)
    assert (caught.value.slug, caught.value.exit) == ("bad-name", ExitCode.USAGE)
    assert caught.value.text.isprintable()


def test_a_key_of_the_wrong_length_is_a_mistake_of_ours(contacts: Contacts) -> None:
    with pytest.raises(ValueError, match="32"):
        contacts.pin("bob", b"short", 0)


def test_there_is_a_bound(contacts: Contacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_contacts, "MAX_CONTACTS", 1)
    contacts.pin("bob", BOB, 0)
    with pytest.raises(P2PCallError) as caught:
        contacts.pin("eve", EVE, 0)
    assert caught.value.slug == "too-many-contacts"


def _pin_some(place: Home, first: int) -> None:
    for i in range(first, first + 10):
        Contacts(place).pin(f"n{i}", bytes([i] * 32), 0)


def test_processes_that_pin_at_once_lose_nothing(home: Path, contacts: Contacts) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_pin_some, args=(Home.at(home), first)) for first in (0, 10, 20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(contacts.all()) == 30
    assert sorted(path.name for path in home.iterdir()) == [
        *(".lock", "identity.key", "settings.json", "store.db"),
        *("store.db-shm", "store.db-wal"),
    ]


def test_contacts_are_read_once_until_they_change(
    contacts: Contacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts.pin("bob", BOB, 5)
    assert contacts.by_key(BOB) is not None
    with monkeypatch.context() as patch:
        patch.setattr("p2pcall.store.contacts._load", lambda db: pytest.fail("read again"))
        assert [contacts.by_name(name) is not None for name in ("bob", "Bob", "eve")] == [True, True, False]
        assert contacts.by_key(EVE) is None
        assert contacts.blocked() == {}
    contacts.rename("bob", "rob")
    assert contacts.by_name("bob") is None
    assert contacts.by_name("rob") is not None


def test_a_hosts_name_is_one_until_it_is_another(contacts: Contacts, home: Path) -> None:
    contacts.pin("box.example", BOB, 5, host=True)
    contacts.pin("eve", EVE, 6)
    again = Contacts(Home.at(home))
    assert [(contact.name, contact.host) for contact in again.all()] == [
        ("box.example", True),
        ("eve", False),
    ]
    again.rename("box.example", "bob")
    assert [contact.host for contact in again.all()] == [False, False]


def test_a_key_that_was_rotated_takes_the_place_of_the_old_one_and_all_else_stays(contacts: Contacts) -> None:
    contacts.pin("bob", BOB, 7.5)
    contacts.verify("bob", BOB)
    assert contacts.rotate(BOB, NEW) == Contact("bob", NEW, 7.5, True)
    assert contacts.all() == [Contact("bob", NEW, 7.5, True)]
    assert contacts.by_key(BOB) is None


def test_no_key_is_rotated_to_one_that_is_known_or_blocked_or_from_one_that_is(contacts: Contacts) -> None:
    contacts.pin("bob", BOB, 0)
    contacts.pin("eve", EVE, 0)
    contacts.block(fingerprint(NEW), 0)
    assert [contacts.rotate(BOB, EVE), contacts.rotate(BOB, NEW), contacts.rotate(OTHER, BOB)] == [None] * 3
    contacts.unblock(fingerprint(NEW))
    contacts.block(fingerprint(BOB), 0)
    assert contacts.rotate(BOB, NEW) is None
    assert [contact.public for contact in contacts.all()] == [BOB, EVE]


def test_a_backup_of_contacts_replaces_nothing_and_tells_what_it_left_out(
    contacts: Contacts, tmp_path: Path
) -> None:
    contacts.pin("bob", BOB, 7.5, host=True)
    contacts.pin("eve", EVE, 0)
    contacts.block(fingerprint(EVE), 3)
    data = json.dumps(contacts.export()).encode()
    book = contacts_file.parse_contacts(data, tmp_path)
    other = Contacts(Home.at(tmp_path / "other"))
    other.pin("Eve", OTHER, 1)
    assert other.adopt(book).left_out == (LeftOut("eve", fingerprint(EVE), "name-taken", "Eve"),)
    assert other.all() == [Contact("bob", BOB, 7.5, host=True), Contact("Eve", OTHER, 1)]
    assert other.blocked() == {fingerprint(EVE): 3}
    assert [one.name for one in other.adopt(book).left_out] == ["eve"]
    assert len(other.all()) == 2


def test_a_backup_of_contacts_has_their_permissions(contacts: Contacts, tmp_path: Path) -> None:
    contacts.pin("bob", BOB, 7.5)
    contacts.permit("bob", may_ring=False, picture_unasked=True)
    exported = contacts.export()
    other = Contacts(Home.at(tmp_path / "other"))
    book = contacts_file.parse_contacts(json.dumps(exported).encode(), tmp_path)
    assert other.adopt(book).left_out == ()
    assert other.all() == contacts.all()
    for wrong in ("yes", 1, None):
        exported["contacts"][0]["may_ring"] = wrong
        with pytest.raises(P2PCallError, match="no proper permissions"):
            contacts_file.parse_contacts(json.dumps(exported).encode(), tmp_path)


def test_permissions_are_kept_and_stay_when_the_name_changes(contacts: Contacts, home: Path) -> None:
    contacts.pin("bob", BOB, 0)
    assert contacts.permit("eve", may_ring=False) is None
    contacts.permit("bob", may_ring=False, sound_unasked=True)
    contacts.rename("bob", "rob")
    (rob,) = Contacts(Home.at(home)).all()
    kept = rob.may_ring, rob.sound_unasked, rob.picture_unasked, rob.sees_announced
    assert kept == (False, True, False, True)
