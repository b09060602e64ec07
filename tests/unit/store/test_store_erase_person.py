"""Erasing a person: nothing of them is left, in no table, no recording and no page of the vault; others' stays."""

import os
from pathlib import Path
from typing import Any

import pytest
from fullhome import BOB, BOBS, EVE, EVES, NOW, everything, fill, locked, record, seal_identity
from test_store_vault import plaintext

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.safe_word import safe_word
from p2pcall.store import erase_person as module
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.choices import kept_reach
from p2pcall.store.consent_log import kept_consents
from p2pcall.store.contacts import Contacts
from p2pcall.store.erase_home import Receipt
from p2pcall.store.erase_person import Person, erase_person, finish, no_traces, person_meant, traces
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, load_or_create
from p2pcall.store.recordings import all_recordings, recordings_folder
from p2pcall.store.rotation import former_key
from p2pcall.store.vault import Vault
from p2pcall.types import Reach

TRACES = (b"Boris", b"Rosenthal", BOB, BOBS.encode(), b"marmalade of Boris")


@pytest.fixture
def place(home: Path) -> Home:
    made = locked(home)
    seal_identity(made)
    fill(made).close()
    return made


def erased(place: Home, who: str) -> Receipt:
    vault = Vault(place)
    try:
        finish(vault)
        return erase_person(place, vault, person_meant(Contacts(place, vault), who), NOW)
    finally:
        vault.close()


def all_bytes(place: Home) -> bytes:
    """Of every file, and of the vault's pages as its key opens them."""
    files = b"".join(path.read_bytes() for path in place.data.rglob("*") if path.is_file())
    return files + plaintext(place)


@pytest.mark.parametrize("who", ["boris ROSENTHAL", BOBS])
def test_nothing_of_the_person_is_found_with_the_key_in_hand(place: Home, who: str) -> None:
    before = plaintext(place)
    assert all(trace in before for trace in TRACES[:4])
    receipt = erased(place, who)
    found = all_bytes(place)
    assert [trace for trace in TRACES if trace in found] == []
    counts = {one.kind: one.count for one in receipt.gone}
    assert counts == {
        "contacts": 1,
        "codes": 1,
        "safe-words": 1,
        "requests": 1,
        "calls": 1,
        "consents": 1,
        "recordings": 1,
    }


def test_what_is_kept_of_others_stays(place: Home) -> None:
    erased(place, "Boris Rosenthal")
    vault = Vault(place)
    assert [one.public for one in Contacts(place, vault).all()] == [EVE]
    assert [one.fingerprint for one in CallLog(vault).newest(NOW)] == [EVES]
    assert [one.fingerprint for one in kept_consents(vault)] == [EVES]
    assert Factors(vault).word(EVE) == safe_word("marmalade of eve")
    assert len(all_recordings(place)) == 1
    assert kept_reach(place) is Reach.CONTACTS, "strangers are not let in by it"
    with vault.reading() as db:
        assert db is not None
        assert db.execute("SELECT claimed FROM requests").fetchall() == [("eve",)]


def test_calls_under_the_name_or_the_key_are_the_persons_whatever_the_other_is(place: Home) -> None:
    """From before they changed their key or their name, dialled at an address, or only claimed."""
    log = CallLog(Vault(place))
    for name, printed in (
        *(("boris rosenthal", "an older key"), ("renamed since", BOBS), ("Boris Rosenthal@192.0.2.7", "")),
        *(("Boris Rosenthal", "a stranger's"), ("somebody", "else's")),
    ):
        log.add(LoggedCall(NOW, True, name, printed, "", 0.0, "away"))
    counts = {one.kind: one.count for one in erased(place, "Boris Rosenthal").gone}
    assert counts["calls"] == 5
    assert {call.name for call in log.newest(NOW)} == {"eve", "somebody"}


def test_a_person_who_is_no_contact_any_more_is_found_by_name_or_fingerprint(place: Home) -> None:
    Contacts(place).remove("Boris Rosenthal")
    kinds = {"requests", "calls", "consents", "recordings"}
    assert {one.kind for one in erased(place, "Boris Rosenthal").gone} == kinds
    Contacts(place).remove("eve")
    assert {one.kind for one in erased(place, EVES).gone} == kinds
    assert all_recordings(place) == []


def test_a_fingerprint_means_its_key_even_if_another_contact_calls_themselves_so(place: Home) -> None:
    Contacts(place).rename("eve", BOBS)
    erased(place, BOBS)
    assert [fingerprint(one.public) for one in Contacts(place).all()] == [EVES]


def test_who_was_to_be_told_of_a_new_key_is_told_no_more(home: Path) -> None:
    everything(home).close()
    place = locked(home)
    identity = load_or_create(place, os.urandom)
    former = former_key(place, identity, NOW)
    assert former is not None
    assert BOB in former.untold
    erased(place, "Boris Rosenthal")
    former = former_key(place, identity, NOW)
    assert former is not None
    assert former.untold == (EVE,)


def test_a_recording_anywhere_in_the_home_is_found_and_one_that_cannot_be_read_is_named(place: Home) -> None:
    mine = record(place, place.data / "a name", "Boris Rosenthal", bytes([5] * 32))
    foreign = record(Home.at(place.data / "x"), recordings_folder(place) / "foreign.p2prec", "bob", BOB)
    receipt = erased(place, "Boris Rosenthal")
    assert not mine.exists()
    assert foreign.exists()
    assert len(receipt.left) == 1
    assert str(foreign) in receipt.left[0]


def test_a_block_stays_and_is_told(place: Home) -> None:
    Contacts(place).block(BOBS, NOW)
    receipt = erased(place, "Boris Rosenthal")
    assert BOBS in Contacts(place).blocked()
    assert BOBS in receipt.left[0]


def test_of_an_unknown_person_nothing_is_found_and_nothing_is_made(home: Path, place: Home) -> None:
    vault = Vault(place)
    assert traces(place, vault, Person("nobody", "")).gone(place) == ()
    before = vault.stamp()
    assert erased(place, "nobody").gone == ()
    assert vault.stamp() == before
    empty = Home.at(home / "empty")
    assert erased(empty, "nobody").gone == ()
    assert not empty.data.exists()
    assert no_traces("nobody", 0).exit is ExitCode.NOT_FOUND
    assert "2 recordings" in no_traces("nobody", 2).text


def test_a_person_is_erased_with_the_passphrase_alone(home: Path, place: Home) -> None:
    for wrong in (Home.at(home), locked(home, b"another one")):
        with pytest.raises(P2PCallError) as caught:
            erased(wrong, "eve")
        assert caught.value.exit is ExitCode.CONFIG
    assert len(Contacts(place).all()) == 2


# ---- interrupted


@pytest.mark.parametrize(
    "where", ["after the recordings", "before it is overwritten", "before the mark goes"]
)
def test_what_is_interrupted_is_done_by_erasing_again(
    place: Home, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def stop(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        match where:
            case "after the recordings":
                patch.setattr(module, "_forget_to_tell", stop)
            case "before it is overwritten":
                patch.setattr("p2pcall.store.vault._vacuum", stop)
            case _:
                patch.setattr(module, "_unmark", stop)
        with pytest.raises(KeyboardInterrupt):
            erased(place, "Boris Rosenthal")
    known = Contacts(place).by_name("Boris Rosenthal") is not None
    assert known == (where == "after the recordings")
    if where == "before it is overwritten":
        assert b"erasing" in plaintext(place), "the mark"
    receipt = erased(place, "Boris Rosenthal")
    assert bool(receipt.gone) == known
    assert not [trace for trace in TRACES if trace in all_bytes(place)]
    assert not finish(Vault(place))


def test_a_contact_who_changed_the_key_is_erased_with_what_was_under_the_old_one(place: Home) -> None:
    new = bytes([6] * 32)
    Contacts(place).rotate(BOB, new)
    erased(place, fingerprint(new))
    found = all_bytes(place)
    assert not [trace for trace in (*TRACES, new) if trace in found]
