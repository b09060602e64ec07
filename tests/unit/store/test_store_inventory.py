"""The inventory names everything that a home can hold: each file, each column of the vault, each of its settings."""

from pathlib import Path

import pytest
from fullhome import LEFTOVERS, NOW, everything, fill, locked, seal_identity

from p2pcall.errors import P2PCallError
from p2pcall.store.home import Home
from p2pcall.store.inventory import KEPT, Found, Guard, Retention, days_kept, files_in, look
from p2pcall.store.recordings import DAY_S
from p2pcall.store.vault import Vault


def found(home: Home, vault: Vault) -> dict[str, Found]:
    return {one.kept.kind: one for one in look(home, vault, None)}


def test_every_file_that_a_home_can_hold_is_named(home: Path) -> None:
    vault = everything(home)
    for name in (*LEFTOVERS, ".erasing"):
        (home / name).touch()
    names = {path.relative_to(home).as_posix() for path, _ in files_in(Home.at(home))}
    assert names > {*LEFTOVERS, "store.db-wal", "store.db-shm", "identity.key", ".lock", "settings.json"}
    assert [path.name for path, kept in files_in(Home.at(home)) if kept is None] == []
    kinds = {kept.kind for _, kept in files_in(Home.at(home)) if kept is not None}
    assert kinds == {one.kind for one in KEPT if not one.query} - {"keyring"}
    vault.close()


def test_every_column_of_the_vault_is_named_once_and_nothing_else(home: Path) -> None:
    vault = everything(home)
    with vault.reading() as db:
        assert db is not None
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        there = [f"{table}.{row[1]}" for table in tables for row in db.execute(f"PRAGMA table_info({table})")]
    named = [column for one in KEPT for column in one.columns]
    assert sorted(named) == sorted(there)


def test_every_setting_in_the_vault_is_named_once(home: Path) -> None:
    vault = everything(home)
    with vault.reading() as db:
        assert db is not None
        there = [str(name) for (name,) in db.execute("SELECT name FROM settings")]
    named = [name for one in KEPT for name in one.settings]
    assert sorted(named) == sorted(there)


def test_every_path_that_a_home_gives_out_is_named(home: Path) -> None:
    place = Home.at(home)
    paths = [getattr(place, name) for name in dir(Home) if name.endswith("_path")]
    assert len(paths) > 3
    home.mkdir()
    for path in paths:
        path.touch()
    assert [path for path, kept in files_in(place) if kept is None] == []


def test_everything_that_is_there_is_counted_with_its_times(home: Path) -> None:
    place = locked(home)
    seal_identity(place)
    there = found(place, fill(place))
    counts = {kind: one.count for kind, one in there.items() if kind not in ("vault", "marks")}
    assert counts == {
        "identity": 1,
        "keyring": 0,
        "contacts": 2,
        "codes": 3,
        "safe-words": 2,
        "blocked": 2,
        "calls": 2,
        "consents": 2,
        "requests": 2,
        "choices": 1,
        "reach": 1,
        "devices": 1,
        "recording-keys": 0,
        "recordings": 2,
        "backups": 0,
        "older-contacts": 0,
        "locks": 1,
    }
    assert there["calls"].since == NOW
    assert there["calls"].until == NOW + 29 * DAY_S
    assert there["requests"].until == NOW + 7 * DAY_S
    assert there["recordings"].until == 1 << 40
    assert there["contacts"].until is None
    assert there["recordings"].size > 0


def test_what_has_a_clock_has_a_number_of_days() -> None:
    for one in KEPT:
        assert (days_kept(one, 5) is None) == (one.retention in (Retention.USER, Retention.PROGRAM)), one.kind
    assert days_kept(next(one for one in KEPT if one.kind == "calls"), 5) == 5


def test_what_is_in_the_vault_is_said_to_be(home: Path) -> None:
    assert all((one.guard is Guard.VAULT) == bool(one.query) or one.kind == "vault" for one in KEPT)


def test_what_needs_no_key_is_told_before_it_is_asked_for(home: Path) -> None:
    everything(home).close()
    place = Home.at(home)
    seen = []
    with pytest.raises(P2PCallError) as caught:
        for one in look(place, Vault(place), None):
            seen.append(one.kept.kind)
    assert caught.value.slug == "locked-identity"
    assert set(seen) == {one.kind for one in KEPT if not one.query}


def test_nothing_is_made_where_nothing_is_kept(home: Path) -> None:
    place = Home.at(home)
    assert not any(one.count for one in found(place, Vault(place)).values())
    assert not home.exists()


@pytest.mark.parametrize("name", ["notes.txt", "settings.json.mine", "lock", "recordings/notes.txt"])
def test_a_file_of_somebody_else_is_none_of_ours(home: Path, name: str) -> None:
    (home / "recordings").mkdir(parents=True)
    (home / name).write_bytes(b"p2pcall")
    (home / "a folder").mkdir()
    assert {path.name: kept for path, kept in files_in(Home.at(home))} == {
        Path(name).name: None,
        "a folder": None,
    }
