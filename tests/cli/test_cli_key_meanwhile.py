"""Another process changes the private key while this one has the one before: nothing is lost, and nobody is told that a
file is damaged and should be moved away."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from clirun import BOB, assert_told, run

from p2pcall.cli import own_key
from p2pcall.errors import P2PCallError
from p2pcall.store import backup as backups
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, load_or_create
from p2pcall.store.identity_file import replace_identity, under_passphrase
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.rotation import former_key, rotate
from p2pcall.store.seal import Cost
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import vault_key
from p2pcall.types import Entropy

CHEAP, NOW, PASSPHRASE = Cost(1, 8), 1_800_000_000.0, b"correct horse battery"


def locked(folder: Path) -> Home:
    """The home, and the passphrase at hand."""
    return Home(folder, folder, IdentityOpener(lambda path: PASSPHRASE))


def seal_identity(home: Home) -> None:
    private = load_or_create(home, os.urandom).private
    with home.lock():
        replace_identity(home, under_passphrase(private, PASSPHRASE, os.urandom, CHEAP))


@pytest.fixture
def known(home: Path) -> Home:
    """A home with a sealed key, that knows Bob."""
    seal_identity(Home.at(home))
    Contacts(locked(home)).pin("bob", BOB, NOW)
    return locked(home)


def rotated(folder: Path) -> None:
    """What another process does."""
    other = locked(folder)
    rotate(
        *(other, os.urandom, NOW, lambda: (BOB,), CHEAP),
        rekey=lambda before, now: Vault(other, lambda: before).rekey(vault_key(now)),
    )


def names(folder: Path) -> list[str]:
    return [one.name for one in Contacts(locked(folder)).all()]


@pytest.mark.parametrize(
    "work",
    [
        lambda home, mine: Contacts(home).all(),
        lambda home, mine: Contacts(home).permit("bob", may_ring=False),
        lambda home, mine: former_key(home, mine, NOW),
    ],
)
def test_what_is_under_a_newer_key_is_not_called_damaged(
    known: Home, work: Callable[[Home, Identity], object]
) -> None:
    mine = load_or_create(known, os.urandom)
    rotated(known.data)
    with pytest.raises(P2PCallError, match="another process has changed the key") as told:
        work(known, mine)
    assert told.value.slug == "store-locked"
    assert "mv " not in str(told.value.hint)
    assert names(known.data) == ["bob"]


def test_what_is_damaged_is_called_so_if_the_key_is_the_same(known: Home) -> None:
    load_or_create(known, os.urandom)
    known.vault_path.write_bytes(os.urandom(4096))
    with pytest.raises(P2PCallError, match="is damaged"):
        Contacts(known).all()


def test_a_new_passphrase_does_not_bring_back_a_key_that_was_changed_while_the_old_one_was_typed(
    known: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(PASSPHRASE + b"\n")
    secret.chmod(0o600)

    def typed_slowly(home: Home, entropy: Entropy) -> Identity:
        identity = load_or_create(home, entropy)
        rotated(home.data)
        return identity

    monkeypatch.setattr(own_key, "load_or_create", typed_slowly)
    monkeypatch.setattr(own_key, "_cost", lambda: CHEAP)
    files = ("--passphrase-file", str(secret), "--new-passphrase-file", str(secret))
    assert_told(
        run("id", "passphrase", *files), 2, "another process has changed the key", "nothing was changed"
    )
    assert names(known.data) == ["bob"]


def test_a_restoring_does_not_replace_a_key_that_was_changed_while_it_looked(
    known: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would leave a vault that neither of the two keys opens."""
    other, file = locked(tmp_path / "other"), tmp_path / "backup"
    seal_identity(Home.at(other.data))
    backups.back_up(other, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=False)
    backup = backups.read_backup(file, backups.sealed_backup(file), PASSPHRASE)
    look = backups._vault_key_here

    def looked(home: Home, restored: Identity, epoch: float) -> bytes | None:
        found = look(home, restored, epoch)
        rotated(home.data)
        return found

    monkeypatch.setattr(backups, "_vault_key_here", looked)
    with pytest.raises(P2PCallError, match="another process has changed the key"):
        backups.restore(known, backup, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    assert names(known.data) == ["bob"]
