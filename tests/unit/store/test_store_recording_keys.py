"""The keys of recordings when the identity changes: none is lost, whatever kills us, and none stays too long."""

import os
from pathlib import Path

import pytest
from test_store_vault_rotation import CHEAP, NOW, PASSPHRASE, change, furnished, killed_at

from p2pcall.errors import P2PCallError
from p2pcall.store.backup import back_up, read_backup, restore, sealed_backup
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, load_or_create
from p2pcall.store.recording_keys import keys_before, recording_key, recording_keys
from p2pcall.store.recordings import DAY_S, RECORDING_DAYS
from p2pcall.store.retention import enforce, keep_days
from p2pcall.store.rotation import FORMER_DAYS
from p2pcall.store.vault import Vault


def own(place: Home) -> Identity:
    return load_or_create(place, os.urandom)


def keys(place: Home) -> list[bytes]:
    vault = Vault(place)
    found = list(recording_keys(vault, own(place)))
    vault.close()
    return found


def test_the_key_for_recordings_is_another_one_for_each_identity_and_the_newest_is_tried_first(
    home: Path,
) -> None:
    place, made = furnished(home), []
    for _ in range(3):
        made.insert(0, recording_key(own(place)))
        assert keys(place)[0] == made[0]
        assert set(keys(place)) == set(made)
        change(place)


@pytest.mark.parametrize("again", [False, True])
def test_a_change_killed_at_any_step_loses_no_key_of_recordings(home: Path, again: bool) -> None:
    number = 0
    while True:
        place = furnished(home / str(number))
        first = recording_key(own(place))
        if not killed_at(number, lambda place=place: change(place)):  # type: ignore[misc]
            break
        assert first in keys(place), number
        if again:
            second = recording_key(own(place))
            change(place)
            assert {first, second} <= set(keys(place)), number
        number += 1
    assert number > 5


def test_a_restoring_killed_at_any_step_loses_no_key_of_recordings(home: Path, tmp_path: Path) -> None:
    there, file = furnished(tmp_path / "there"), tmp_path / "backup"
    back_up(there, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    backup, number = read_backup(file, sealed_backup(file), PASSPHRASE), 0
    while True:
        place = furnished(home / str(number))
        first = own(place)

        def work(place: Home = place) -> None:
            restore(place, backup, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)

        if not killed_at(number, work):
            break
        now = first if place.identity_path.read_bytes().find(b"p2pcall-key-1:") >= 0 else backup.identity
        found = list(recording_keys(Vault(place, lambda now=now: now), now))  # type: ignore[misc]
        assert recording_key(first) in found, number
        number += 1
    assert number > 5


@pytest.mark.parametrize("days", [0, 30])
def test_a_key_of_recordings_goes_when_none_of_that_time_may_be_kept_whatever_is_said_of_the_log(
    home: Path, days: int
) -> None:
    place = furnished(home)
    first = recording_key(own(place))
    change(place)
    vault = Vault(place)
    keep_days(vault, days, NOW)
    last = NOW + RECORDING_DAYS * DAY_S
    enforce(vault, last - 1)
    assert keys_before(vault) == [(first, NOW)]
    enforce(vault, last)
    assert keys_before(vault) == []
    assert RECORDING_DAYS <= FORMER_DAYS, "a recording of the old key's last day"


def test_a_key_that_cannot_be_kept_keeps_the_identity_from_being_changed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = furnished(home)
    before = own(place)
    monkeypatch.setattr("p2pcall.store.rotation.keep_recording_key", _full)
    with pytest.raises(P2PCallError):
        change(place)
    assert own(place) == before


def _full(*given: object) -> None:
    from p2pcall.errors import ExitCode

    raise P2PCallError("disk-full", "no space is left", ExitCode.CONFIG)
