"""Requests in the vault: bounded, a week at most, and none of a contact or a blocked key."""

from pathlib import Path
from typing import Any

import pytest

from p2pcall.store import requests
from p2pcall.store.adoption import Adopted
from p2pcall.store.contact import Book, Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint
from p2pcall.store.recordings import DAY_S
from p2pcall.store.requests import MAX_REQUESTS, CallRequest, CallRequests
from p2pcall.store.retention import enforce, keep_days
from p2pcall.store.schema import MIGRATIONS
from p2pcall.store.vault import Vault

NOW = 1_700_000_000.0
KEY, OTHER = bytes([1] * 32), bytes([2] * 32)


@pytest.fixture
def vault(home: Path) -> Vault:
    return Vault(Home.at(home))


@pytest.fixture
def kept(vault: Vault) -> CallRequests:
    return CallRequests(vault)


@pytest.fixture
def contacts(home: Path, vault: Vault) -> Contacts:
    return Contacts(Home.at(home), vault)


def rung(
    key: int | bytes, at: float = NOW, name: str = "x", origin: bytes = b"o", calls: int = 1
) -> CallRequest:
    public = key if isinstance(key, bytes) else key.to_bytes(32, "big")
    return CallRequest(public, name, at, at, calls, origin)


def publics(kept: CallRequests) -> set[bytes]:
    return {one.public for one in kept.all(NOW)}


def test_a_request_keeps_its_first_name_and_counts_its_calls(kept: CallRequests) -> None:
    """Who looks at the list and answers then answers the name that was seen."""
    (new,) = kept.add([rung(KEY, NOW - 50, "carol", calls=2)])
    assert kept.add([rung(KEY, NOW, "mum", calls=3)]) == []
    (one,) = kept.all(NOW)
    assert (one.claimed, one.at, one.last, one.calls) == ("carol", NOW - 50, NOW, 5)
    assert one.number == new.number > 0


def test_a_number_is_never_given_again(kept: CallRequests) -> None:
    first, second = kept.add([rung(1), rung(2)])
    assert kept.forget([second.public]) == 1
    (third,) = kept.add([rung(3)])
    assert first.number < second.number < third.number
    assert [one.number for one in kept.all(NOW)] == [first.number, third.number]


def test_a_request_is_kept_for_a_week_after_its_first_call(vault: Vault, kept: CallRequests) -> None:
    kept.add([rung(KEY, NOW)])
    later = NOW + 6 * DAY_S
    kept.add([rung(KEY, later)])
    assert enforce(vault, later) == 0
    assert len(kept.all(later)) == 1
    assert kept.all(NOW + 7 * DAY_S) == [], "it is not listed even before it is erased"
    assert enforce(vault, NOW + 7 * DAY_S) == 1
    assert kept.all(NOW) == []


def test_requests_are_kept_no_longer_than_calls(vault: Vault, kept: CallRequests) -> None:
    keep_days(vault, 2, NOW)
    kept.add([rung(1, NOW - 3 * DAY_S), rung(2, NOW)])
    assert publics(kept) == {rung(2).public}
    assert keep_days(vault, 0, NOW) == 2
    assert kept.add([rung(3)]) == []
    assert kept.all(NOW) == []


def test_a_key_that_becomes_a_contacts_is_no_request_any_more(
    vault: Vault, kept: CallRequests, contacts: Contacts
) -> None:
    """However it becomes one: kept, taken from a file, or shown to be a contact's new key."""
    kept.add([rung(number) for number in range(1, 5)])
    contacts.pin("bob", rung(1).public, NOW)
    added: Adopted = contacts.adopt(Book([Contact("eve", rung(2).public, NOW)]))
    assert len(added.added) == 1
    assert contacts.rotate(rung(1).public, rung(3).public) is not None
    assert publics(kept) == {rung(4).public}
    assert kept.add([rung(2), rung(3)]) == [], "not even if it rang before and is written after"


def test_a_key_that_is_blocked_is_no_request_any_more(kept: CallRequests, contacts: Contacts) -> None:
    kept.add([rung(KEY), rung(OTHER)])
    contacts.block(fingerprint(KEY), NOW)
    assert publics(kept) == {OTHER}
    assert kept.add([rung(KEY)]) == []


def test_a_crowd_from_one_network_pushes_nobody_out(kept: CallRequests) -> None:
    honest = [rung(10_000 + number, NOW + number, origin=bytes([number])) for number in range(20)]
    for one in honest[:10]:
        kept.add([one])
    for number in range(3 * MAX_REQUESTS):
        kept.add([rung(number, NOW + 100, origin=b"crowd")])
    for one in honest[10:]:
        assert kept.add([one]), "there is room for who comes after the crowd"
    found = publics(kept)
    assert len(found) == MAX_REQUESTS
    assert {one.public for one in honest} <= found
    assert {rung(number).public for number in range(MAX_REQUESTS - 20)} <= found, (
        "the first of the crowd stay"
    )
    assert kept.add([rung(99_999, NOW + 200, origin=b"crowd")]) == [], "it has gone by the time it is written"


def test_among_as_many_networks_as_there_is_room_for_who_was_not_heard_for_longest_goes(
    kept: CallRequests,
) -> None:
    kept.add([rung(number, NOW + number, origin=number.to_bytes(2, "big")) for number in range(MAX_REQUESTS)])
    kept.add([rung(0, NOW + 1000)])
    kept.add([rung(5_000, NOW + 2000, origin=b"new")])
    gone = {rung(number).public for number in range(MAX_REQUESTS)} - {one.public for one in kept.all(NOW)}
    assert gone == {rung(1).public}


def test_what_is_forgotten_is_written_only_if_it_is_there(
    vault: Vault, kept: CallRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept.forget([KEY]) == 0
    assert not vault.home.vault_path.exists()
    kept.add([rung(KEY, name="secret name")])
    assert kept.forget([KEY, OTHER]) == 1
    assert kept.all(NOW) == []

    def fail(*args: Any, **kwargs: Any) -> Any:
        pytest.fail("written")

    monkeypatch.setattr(Vault, "writing", fail)
    assert kept.forget([KEY]) == 0


def test_a_vault_of_the_version_before_comes_with_its_contacts(
    vault: Vault, kept: CallRequests, contacts: Contacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pcall.store.schema.MIGRATIONS", MIGRATIONS[:1])
    contacts.pin("bob", KEY, NOW)
    vault.close()
    monkeypatch.undo()
    assert [one.name for one in contacts.all()] == ["bob"]
    assert kept.add([rung(OTHER), rung(KEY)])[0].public == OTHER
    vault.check()


def test_the_newest_of_the_largest_crowd_is_evicted() -> None:
    crowd = [rung(number, NOW + number) for number in range(3)]
    assert requests.evicted(crowd) == crowd[2]
    assert requests.evicted([*crowd, rung(9, NOW + 99, origin=b"z")]) == crowd[2]
