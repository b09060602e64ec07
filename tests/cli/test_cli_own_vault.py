"""The vault of one's own key, as a script meets it: one passphrase a run, and a change of the key takes it along."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clirun import BOB, assert_told, run

from p2pcall.cli import own_key
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import vault as vaults
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity
from p2pcall.store.identity_file import read_identity
from p2pcall.store.rotation import rotate
from p2pcall.store.seal import Cost
from p2pcall.store.vault import Vault

CHEAP = Cost(1, 8)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_key, "_cost", lambda: CHEAP)
    monkeypatch.setattr(vaults, "BUSY_MS", 10)


@pytest.fixture
def known(home: Path) -> Path:
    """A home that knows Bob."""
    Contacts(Home.at(home)).pin("bob", BOB, 1.0)
    return home


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A file with a passphrase."""
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    file.chmod(0o600)
    return str(file)


def names(*argv: str) -> list[object]:
    return [one["name"] for one in run("contacts", "list", "--json", *argv).rows]


@pytest.mark.parametrize(
    "argv",
    [
        *(("contacts", "list"), ("contacts", "show", "bob"), ("contacts", "rename", "bob", "b")),
        *(("contacts", "block", "bob"), ("contacts", "remove", "bob"), ("history", "list")),
        *(("history", "export"), ("history", "keep", "3"), ("id",), ("id", "rotate")),
    ],
)
def test_the_passphrase_is_got_once_in_a_run(
    known: Path, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    run("id", "passphrase", "--new-passphrase-file", secret)
    trace = tmp_path / "trace"
    script = f"echo . >> {trace}; cat {secret}"
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", f"sh -c {shlex.quote(script)}")
    assert run(*argv).exit == 0
    assert trace.read_text() == ".\n"


def test_a_wrong_passphrase_opens_no_contacts_and_changes_nothing(
    known: Path, secret: str, tmp_path: Path
) -> None:
    run("id", "passphrase", "--new-passphrase-file", secret)
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase\n")
    wrong.chmod(0o600)
    before = {one: one.read_bytes() for one in known.iterdir()}
    for argv in (("contacts", "remove", "bob"), ("history", "erase", "--yes"), ("id", "rotate")):
        assert_told(run(*argv, "--passphrase-file", str(wrong)), 8, "not the passphrase")
        assert {one: one.read_bytes() for one in known.iterdir()} == before
    assert names("--passphrase-file", secret) == ["bob"]


def test_contacts_and_call_log_come_along_with_a_rotated_key(known: Path) -> None:
    run("history", "keep", "3")
    for _ in range(2):
        assert run("id", "rotate", "--abandon").exit == 0
        assert names() == ["bob"]
    assert json.loads(run("history", "export").out)["days"] == 3


@pytest.fixture
def interrupted(known: Path) -> Path:
    """A home whose key was changed, and the vault's not yet."""
    rotate(Home.at(known), os.urandom, 1.0, tuple, CHEAP, rekey=lambda before, now: None)
    return known


def vault_line(home: Path) -> str:
    file = read_identity(Home.at(home))
    assert file is not None
    return file.vault


def test_an_interrupted_change_outlives_another_passphrase_and_any_look_at_the_key(
    interrupted: Path, secret: str
) -> None:
    run("id")
    run("id", "passphrase", "--new-passphrase-file", secret)
    run("id", "--passphrase-file", secret)
    assert vault_line(interrupted)
    assert names("--passphrase-file", secret) == ["bob"]
    assert not vault_line(interrupted)


def test_a_vault_line_that_is_none_is_damage_and_the_vault_is_kept(interrupted: Path) -> None:
    good, path = vault_line(interrupted), interrupted / "identity.key"
    text, vault = path.read_text(), (interrupted / "store.db").read_bytes()
    for wrong in ("?", "AAAA", good[:-8] + "AAAAAAA=", f"{good}\np2pcall-vault-1:{good}"):
        path.write_text(text.replace(good, wrong))
        assert_told(run("contacts", "list"), 8, "is damaged")
        assert (interrupted / "store.db").read_bytes() == vault
    path.write_text(text)
    assert names() == ["bob"]


@pytest.fixture
def held(known: Path) -> Iterator[None]:
    """Somebody has the vault open."""
    vault = Vault(Home.at(known))
    with vault.reading():
        yield
    vault.close()


def test_a_key_is_not_changed_while_another_process_has_the_vault_open(known: Path, held: None) -> None:
    before = (known / "identity.key").read_bytes()
    assert_told(run("id", "rotate"), 8, "another process holds")
    assert (known / "identity.key").read_bytes() == before
    assert names() == ["bob"]


def test_a_vault_that_cannot_get_its_new_key_now_gets_it_at_the_next_start(
    known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(vault: Vault, key: bytes) -> None:
        raise P2PCallError("disk-full", "no space is left", ExitCode.CONFIG)

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "rekey", full)
        rotated = run("id", "rotate")
    assert rotated.exit == 0
    assert "not yet" in rotated.err
    assert "the next start changes it" in rotated.err
    assert vault_line(known)
    assert names() == ["bob"]
    assert not vault_line(known)


def test_a_restored_key_takes_over_the_vault_that_is_here(known: Path, tmp_path: Path, secret: str) -> None:
    there, file = str(tmp_path / "there"), str(tmp_path / "backup")
    uri = run("id", "--json").rows[0]["uri"]
    assert run("contacts", "add", "me", str(uri), "--home", there).exit == 0
    run("id", "backup", file, "--home", there, "--new-passphrase-file", secret)
    restored = run("id", "restore", file, "--force", "--passphrase-file", secret, "--json")
    assert restored.rows[0]["contacts"] == 1
    assert names("--passphrase-file", secret) == ["bob", "me"]


def test_a_restoring_beside_another_keys_vault_is_refused(known: Path, tmp_path: Path, secret: str) -> None:
    there, file = str(tmp_path / "there"), str(tmp_path / "backup")
    run("id", "backup", file, "--home", there, "--new-passphrase-file", secret)
    (known / "identity.key").unlink()
    before = {one: one.read_bytes() for one in known.iterdir()}
    for force in ((), ("--force",)):
        told = run("id", "restore", file, *force, "--passphrase-file", secret)
        assert_told(told, 8, "under another key than the backup's", "mv ")
    assert {one: one.read_bytes() for one in known.iterdir()} == before


@pytest.mark.parametrize(
    "argv",
    [
        *(("id",), ("contacts", "list"), ("contacts", "add", "eve", "p2pcall:id/1/x"), ("history", "list")),
        *(("listen", "--no-audio", "--no-video"), ("dial", "127.0.0.1"), ("id", "passphrase", "--remove")),
    ],
)
def test_a_lost_key_beside_a_vault_is_told_and_no_other_is_made(known: Path, argv: tuple[str, ...]) -> None:
    lost = (known / "identity.key").read_bytes()
    (known / "identity.key").unlink()
    before = {one: one.read_bytes() for one in known.iterdir()}
    told = run(*argv)
    assert_told(told, 8, "the private key is gone", "p2pcall id restore FILE", "mv ")
    assert {one: one.read_bytes() for one in known.iterdir()} == before
    (known / "identity.key").write_bytes(lost)
    (known / "identity.key").chmod(0o600)
    assert names() == ["bob"]


def test_who_has_lost_the_key_begins_anew_as_the_hint_says(known: Path) -> None:
    (known / "identity.key").unlink()
    hint = run("id").err.rpartition("begin anew: ")[2]
    subprocess.run(hint, shell=True, check=True)
    assert run("id").exit == 0
    assert names() == []


def test_the_record_of_the_file_shows_no_secret() -> None:
    from p2pcall.store.identity_file import IdentityFile, Keeping

    shown = repr(IdentityFile(Keeping.PLAIN, "SECRET", "FORMER", "VAULT"))
    assert not {word for word in ("SECRET", "FORMER", "VAULT") if word in shown}
    assert "01" not in repr(Identity.of(bytes([1] * 32))).partition("public")[0]


def test_a_wrong_passphrase_is_not_got_again_in_the_same_run(
    known: Path, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("id", "passphrase", "--new-passphrase-file", secret)
    trace = tmp_path / "trace"
    script = f"echo . >> {trace}; echo another passphrase"
    monkeypatch.setenv("P2PCALL_PASSPHRASE_COMMAND", f"sh -c {shlex.quote(script)}")
    assert_told(run("contacts", "list"), 8, "not the passphrase")
    assert trace.read_text() == ".\n"
