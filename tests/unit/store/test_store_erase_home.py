"""Erasing a home: the keys first, then all else; what was interrupted is seen and finished; nothing is recoverable."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import apsw
import keyring
import pytest
from fullhome import CHEAP, PASSPHRASE, everything, fill, locked, record, seal_identity
from test_store_kills import KILLS, killed

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import erase_home as module
from p2pcall.store.backup import back_up
from p2pcall.store.erase_home import Receipt, erase_home
from p2pcall.store.home import Home
from p2pcall.store.home_use import alone, is_half_erased, using
from p2pcall.store.identity import load_or_create
from p2pcall.store.identity_file import in_keyring, parse_identity, replace_identity
from p2pcall.store.seal import unseal
from p2pcall.store.sealed import HEAD_BYTES, KEY_OFFSET, SEALED_MAGIC
from p2pcall.store.vault import Vault


def erased(home: Home) -> Receipt:
    with alone(home):
        return erase_home(home)


@pytest.fixture
def place(home: Path) -> Home:
    """Everything in it."""
    everything(home).close()
    return Home.at(home)


def test_nothing_is_left_and_the_receipt_lists_each_file(place: Home) -> None:
    before = {str(path) for path in place.data.rglob("*") if path.is_file() and path.name != ".lock"}
    receipt = erased(place)
    assert not place.data.exists()
    assert {one.where for one in receipt.gone} == before
    assert receipt.left == ()
    assert not receipt.resumed


def test_no_passphrase_is_needed(place: Home) -> None:
    assert place.opener is None
    erased(place)
    assert not place.data.exists()


def test_with_the_old_passphrase_and_a_copy_of_the_old_database_nothing_can_be_read(
    place: Home, tmp_path: Path
) -> None:
    """All that is left of the old home is searched, too: bytes of files that were overwritten before they went."""
    thief, kept = tmp_path / "thief", tmp_path / "links"
    thief.mkdir(mode=0o700)
    kept.mkdir()
    for path in place.data.rglob("*"):
        if path.name.startswith(("store.db", ".store.db")) or path.suffix == ".p2prec":
            shutil.copy(path, thief)
        if path.is_file() and path.name != ".lock":
            os.link(path, kept / path.name)  # what has the file's place on the disk
    sealed = parse_identity(place.identity_path.read_bytes(), place.identity_path).text
    assert unseal(sealed, PASSPHRASE, place.identity_path)
    erased(place)
    for path in kept.iterdir():
        data = path.read_bytes()
        if data.startswith(SEALED_MAGIC):
            data = data[KEY_OFFSET:HEAD_BYTES]  # the key, without which nobody reads the rest
        assert not any(data), path
    with pytest.raises(P2PCallError):
        Vault(locked(thief)).check()
    for key in (PASSPHRASE.hex(), PASSPHRASE.decode()):
        db = apsw.Connection(str(thief / "store.db"))
        db.pragma("key", key)
        with pytest.raises(apsw.NotADBError):
            db.execute("SELECT * FROM sqlite_master").fetchall()
        db.close()


def test_the_private_key_goes_before_anything_that_it_opens(
    place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    really: Callable[..., None] = module._erased
    monkeypatch.setattr(module, "_erased", lambda path, kind: (order.append(kind), really(path, kind)))
    erased(place)
    assert list(dict.fromkeys(order)) == [
        *("identity", "backups", "recordings", "vault", "older-contacts", "reach", "devices", "locks"),
    ]


def test_its_entry_in_the_keyring_goes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring: dict[str, str] = {}
    monkeypatch.setattr(keyring, "set_password", lambda service, entry, key: ring.update({entry: key}))
    monkeypatch.setattr(keyring, "get_password", lambda service, entry: ring.get(entry))
    monkeypatch.setattr(keyring, "delete_password", lambda service, entry: ring.pop(entry))
    place = Home.at(home)
    private = load_or_create(place, os.urandom).private
    replace_identity(place, in_keyring(private, os.urandom))
    (entry,) = ring
    assert erased(place).gone[0].kind == "keyring"
    assert ring == {}

    replace_identity(place, in_keyring(private, os.urandom))
    (entry,) = ring
    monkeypatch.setattr(keyring, "get_password", lambda service, entry: (_ for _ in ()).throw(RuntimeError))
    receipt = erased(place)
    assert not home.exists()
    assert entry in receipt.left[0]


@pytest.mark.parametrize("damage", ["damaged", "no identity", "read-only", "others can read it"])
def test_a_home_that_cannot_be_used_is_erased_too(place: Home, damage: str) -> None:
    match damage:
        case "damaged":
            place.identity_path.write_bytes(b"\xff")
            place.vault_path.write_bytes(b"x")
        case "no identity":
            place.identity_path.unlink()
        case "read-only":
            place.identity_path.chmod(0o400)
        case _:
            place.identity_path.chmod(0o644)
    erased(place)
    assert not place.data.exists()


def test_files_of_others_stay_and_are_named(place: Home) -> None:
    (place.data / "notes.txt").write_text("mine")
    (place.data / "a folder").mkdir()
    receipt = erased(place)
    assert sorted(path.name for path in place.data.iterdir()) == ["a folder", "notes.txt"]
    assert len(receipt.left) == 2
    assert str(place.data / "notes.txt") in receipt.left[1]


def test_a_directory_that_is_no_home_is_left_alone(home: Path) -> None:
    home.mkdir(mode=0o700)
    for name in (".lock", "settings.json", "contacts.json"):
        (home / name).write_text("another program's")
    assert erased(Home.at(home)) == Receipt()
    assert len(list(home.iterdir())) == 3
    assert erased(Home.at(home / "nowhere")) == Receipt()


def test_what_a_link_leads_to_is_overwritten_and_the_link_goes(place: Home, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    place.identity_path.rename(stick)
    place.identity_path.symlink_to(stick)
    (place.data / "identity.key.old").symlink_to("nowhere")
    erased(place)
    assert not any(stick.read_bytes())
    assert not place.data.exists()


def test_where_others_can_write_nothing_is_erased(place: Home, tmp_path: Path) -> None:
    """They could put a link there that leads to a file of ours."""
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (place.data / "store.db.old").symlink_to(mine)
    for folder in (place.data, place.data / "recordings"):
        folder.chmod(0o777)
        with pytest.raises(P2PCallError) as caught:
            erased(place)
        assert (caught.value.slug, caught.value.exit) == ("unsafe-directory", ExitCode.CONFIG)
        folder.chmod(0o700)
    assert mine.read_text() == "precious"
    assert place.identity_path.exists()


# ---- interrupted


def test_wherever_it_is_interrupted_nothing_is_used_any_more_and_the_next_one_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each file, before it is overwritten and after."""
    everything(tmp_path / "first").close()
    really: Callable[..., Any] = module._erased
    count = 0
    for stop in range(1000):
        folder = tmp_path / str(stop)
        shutil.copytree(tmp_path / "first", folder)
        place, steps = Home.at(folder), iter(range(1000))

        def step(path: Path, kind: str, steps: Any = steps, stop: int = stop) -> None:
            if next(steps) == stop // 2:
                if stop % 2:
                    really(path, kind)
                raise KeyboardInterrupt
            really(path, kind)

        with monkeypatch.context() as patch:
            patch.setattr(module, "_erased", step)
            try:
                erased(place)
                break
            except KeyboardInterrupt:
                count += 1
        assert is_half_erased(place)
        with pytest.raises(P2PCallError) as caught, using(place):
            pass
        assert (caught.value.slug, caught.value.exit) == ("half-erased", ExitCode.CONFIG)
        assert erased(place).resumed
        assert not folder.exists()
    assert count > 20


def test_killed_at_any_moment_it_is_whole_or_is_finished_by_the_next(tmp_path: Path) -> None:
    random, seen = Random(5), set()
    home = locked(tmp_path / "first")
    seal_identity(home)
    fill(home).close()
    back_up(home, home.data / "mine", PASSPHRASE, os.urandom, CHEAP, 0.0, force=False)
    for number in range(KILLS):
        folder = tmp_path / str(number)
        shutil.copytree(home.data, folder)
        place = locked(folder)

        def work(acknowledge: Callable[[], object], place: Home = place) -> None:
            acknowledge()
            erased(place)
            acknowledge()

        with killed(work, random.uniform(0, 0.01), first=True) as said:
            done = said() > 1
        if done:
            assert not folder.exists()
        elif not folder.exists() or not any(folder.iterdir()):
            seen.add("gone")
        elif is_half_erased(place):
            seen.add("half")
            with pytest.raises(P2PCallError), using(place):
                pass
        else:
            seen.add("whole")
            assert (folder / "mine").exists()
            Vault(place).check()
        erased(place)
        assert not folder.exists() or not list(folder.iterdir()), seen
    assert seen


# ---- others who use it


def test_a_home_that_another_command_uses_is_not_erased(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pcall.store.home_use.LOCK_TRIES", 2)
    with using(place), using(place):
        with pytest.raises(P2PCallError) as caught, alone(place):
            pass
        assert (caught.value.slug, caught.value.exit) == ("home-in-use", ExitCode.CONFIG)
    with alone(place), pytest.raises(P2PCallError) as caught, using(place):
        pass
    assert caught.value.slug == "store-locked"
    with using(Home.at(place.data / "nowhere")):
        pass


def test_who_has_waited_for_a_home_that_is_gone_meets_the_others_in_the_new_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Home.at(home)
    with place.lock():
        pass
    times = iter(range(10))

    def replaced(fd: int, path: Path) -> None:
        if next(times) == 0:
            path.unlink()

    monkeypatch.setattr("p2pcall.store.home._take", replaced)
    with place.lock():
        assert next(times) == 2, "the lock of the new file was taken"


def test_a_recording_somewhere_in_the_home_is_known_by_its_beginning(home: Path) -> None:
    place = Home.at(home)
    load_or_create(place, os.urandom)
    path = record(place, home / "a call with bob", "bob", bytes(32))
    assert str(path) in {one.where for one in erased(place).gone}
