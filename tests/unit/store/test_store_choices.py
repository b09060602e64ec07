"""Who can ring, as it is kept: the first contact closes the door, and only the user's word opens it."""

from pathlib import Path

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.choices import keep_reach, kept_reach
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home, write_atomic
from p2pcall.store.identity import fingerprint

BOB, EVE = bytes([1] * 32), bytes([2] * 32)


def test_the_first_contact_closes_the_door_for_good(home: Path) -> None:
    place = Home.at(home)
    contacts = Contacts(place)
    contacts.block(fingerprint(EVE), 0)
    assert kept_reach(place) is None, "to block somebody makes nobody a contact"
    contacts.pin("bob", BOB, 0)
    contacts.remove("bob")
    place.contacts_path.unlink()
    assert kept_reach(place) == "contacts"
    assert place.settings_path.stat().st_mode & 0o777 == 0o600


def test_a_contact_of_an_older_version_closes_it_when_he_goes(home: Path) -> None:
    place = Home.at(home)
    contacts = Contacts(place)
    contacts.pin("bob", BOB, 0)
    place.settings_path.unlink()
    contacts.remove("bob")
    assert kept_reach(place) == "contacts"


def test_the_users_word_goes_before(home: Path) -> None:
    place = Home.at(home)
    keep_reach(place, "anyone")
    Contacts(place).pin("bob", BOB, 0)
    assert kept_reach(place) == "anyone"
    before = place.settings_path.stat().st_ino
    keep_reach(place, "anyone")
    assert place.settings_path.stat().st_ino == before, "nothing new is not written"
    keep_reach(place, "contacts")
    assert kept_reach(place) == "contacts"


def test_a_choice_that_others_may_write_is_not_believed(home: Path) -> None:
    place = Home.at(home)
    keep_reach(place, "anyone")
    place.settings_path.chmod(0o666)
    for use in (lambda: kept_reach(place), lambda: keep_reach(place, "contacts")):
        with pytest.raises(P2PCallError) as caught:
            use()
        assert (caught.value.slug, caught.value.exit) == ("unsafe-file", ExitCode.CONFIG)


@pytest.mark.parametrize("version", ["true", "1.0", '"1"', "null", "4", "[1]"])
def test_a_version_that_is_not_ours_is_refused_whichever_file_it_is_in(home: Path, version: str) -> None:
    place = Home.at(home)
    for path in (place.settings_path, place.contacts_path):
        write_atomic(path, f'{{"version": {version}, "reach": "anyone", "contacts": []}}'.encode())
    for look in (lambda: kept_reach(place), lambda: Contacts(place).all()):
        with pytest.raises(P2PCallError, match="its version is not 1") as caught:
            look()
        assert caught.value.exit is ExitCode.CONFIG
