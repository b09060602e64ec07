"""What others may write is not believed: neither read nor written to, and the command that mends it is told."""

import os
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import home as store_home
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home, read, write_atomic
from p2pcall.store.identity import load_or_create

STRANGER = 54321
"""A user who is neither root nor whoever runs the tests."""
BOB = bytes([1] * 32)
USES: dict[str, Callable[[Home], object]] = {
    "reading contacts": lambda home: Contacts(home).all(),
    "writing contacts": lambda home: Contacts(home).pin("eve", bytes([2] * 32), 0),
    "the key": lambda home: load_or_create(home, os.urandom),
}


@pytest.fixture
def kept(home: Path) -> Path:
    """A home with a key and a contact in it, and an odd name."""
    place = home / "it's mine"
    load_or_create(Home.at(place), os.urandom)
    Contacts(Home.at(place)).pin("bob", BOB, 0)
    return place


def given_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path belongs to somebody else: by root's right, or because this process is somebody else by now."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, -1)
    else:
        monkeypatch.setattr(store_home.os, "geteuid", lambda: STRANGER)


def refusals(place: Path, slug: str, uses: dict[str, Callable[[Home], object]]) -> set[str]:
    """What the hints say, for each way to use the home, none of which does anything."""
    before = {path: path.read_bytes() for path in place.iterdir()}
    hints = set()
    for use in uses.values():
        with pytest.raises(P2PCallError) as caught:
            use(Home.at(place))
        assert (caught.value.slug, caught.value.exit) == (slug, ExitCode.CONFIG)
        hints.add(caught.value.hint or "")
    assert {path: path.read_bytes() for path in place.iterdir()} == before
    return hints


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720])
def test_a_home_that_others_may_write_is_neither_read_nor_written(kept: Path, mode: int) -> None:
    kept.chmod(mode)
    (hint,) = refusals(kept, "unsafe-directory", USES)
    assert shlex.split(hint) == ["chmod", "700", str(kept)]
    kept.chmod(0o755)
    assert Contacts(Home.at(kept)).all()


def test_a_home_of_another_user_is_neither_read_nor_written(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_away(kept, monkeypatch)
    (hint,) = refusals(kept, "unsafe-directory", USES)
    words = shlex.split(hint.removeprefix("sudo "))
    assert words == ["chown", str(store_home.os.geteuid()), str(kept)]


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o622])
def test_contacts_that_others_may_write_are_not_believed(kept: Path, mode: int) -> None:
    path = Home.at(kept).vault_path
    path.chmod(mode)
    hints = refusals(kept, "unsafe-file", {name: use for name, use in USES.items() if "contacts" in name})
    assert [shlex.split(hint) for hint in hints] == [["chmod", "600", str(path)]]
    path.chmod(0o644)
    assert Contacts(Home.at(kept)).all(), "to read them takes nothing from the user but what is private"


@pytest.mark.parametrize("name", ["identity.key", "store.db"])
def test_a_file_of_another_user_is_not_believed(
    kept: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    given_away(kept / name, monkeypatch)
    if os.geteuid():
        pytest.skip("only root can give a single file away")
    uses = {use: USES[use] for use in USES if ("key" in use) == ("key" in name)}
    (hint,) = refusals(kept, "unsafe-file", uses)
    assert shlex.split(hint) == ["chown", "0", str(kept / name)]


def test_what_root_owns_is_believed(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        pytest.skip("only root has files of root")
    monkeypatch.setattr(store_home.os, "geteuid", lambda: STRANGER)
    assert Contacts(Home.at(kept)).all()


def test_a_directory_for_everybody_is_nobodys_home(tmp_path: Path) -> None:
    """Nobody is told to take /tmp away from all others."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o777 | stat.S_ISVTX)
    for use in (lambda: read(shared / "file"), lambda: write_atomic(shared / "file", b"")):
        with pytest.raises(P2PCallError) as caught:
            use()
        assert caught.value.hint == f"give one of your own: --home {shared / 'p2pcall'}"
    write_atomic(shared / "p2pcall" / "file", b"x")
    assert read(shared / "p2pcall" / "file") == b"x"
