"""A key sealed, changed, backed up and restored: whole programs, scripts and calls on the loopback address."""

import subprocess
from pathlib import Path

import pytest
from harness import PROGRAM, ROOT
from pairs import Start, dialling, identity, knows, listening

from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home

pytestmark = pytest.mark.terminal


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A file with a passphrase."""
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    file.chmod(0o600)
    return str(file)


def script(home: Path, *argv: str) -> str:
    """One command without a terminal; what it prints."""
    environ = {"P2PCALL_HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [*PROGRAM, *argv], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_sealed_key_is_changed_told_in_a_call_and_restored_on_another_machine(
    p2p: Start, tmp_path: Path, secret: str
) -> None:
    alice, bob = tmp_path / "alice", tmp_path / "bob"
    knows(tmp_path, "alice", "bob")
    knows(tmp_path, "bob", "alice")
    Contacts(Home.at(bob)).verify("alice", identity(tmp_path, "alice").public)
    script(alice, "id", "passphrase", "--new-passphrase-file", secret)
    script(alice, "id", "rotate", "--passphrase-file", secret)

    there, target = listening(p2p, "--answer", "contacts", "--reach", "contacts")
    here = dialling(p2p, f"bob@{target}", "--passphrase-file", secret)
    assert there.wait_event("connected")["known"] == "verified"
    assert there.wait_event("contact-rotated", side="remote")["known"] == "verified"
    new = here.wait_event("contact-rotated", side="local")["fingerprint"]
    here.stop()
    there.wait_event("ended")

    file, machine = str(tmp_path / "backup"), tmp_path / "another machine"
    argv = ("--passphrase-file", secret, "--new-passphrase-file", secret)
    script(alice, "id", "backup", file, *argv)
    script(machine, "id", "restore", file, "--passphrase-file", secret)
    again = dialling(p2p, f"bob@{target}", "--passphrase-file", secret, home=machine)
    connected = there.wait_event("connected")
    assert (connected["known"], connected["fingerprint"]) == ("verified", new)
    again.wait_event("connected")
    assert there.all_events("warning") == []


def test_a_listener_with_a_changed_key_is_called_by_the_one_before(p2p: Start, tmp_path: Path) -> None:
    alice, bob = tmp_path / "alice", tmp_path / "bob"
    knows(tmp_path, "alice", "bob")
    knows(tmp_path, "bob", "alice")
    script(alice, "id", "rotate")
    there, target = listening(p2p, "--answer", "contacts", "--reach", "contacts", name="alice")
    here = dialling(p2p, f"alice@{target}", name="bob")
    new = here.wait_event("contact-rotated", side="remote")["fingerprint"]
    there.wait_event("contact-rotated", side="local")
    here.stop()
    there.wait_event("ended")
    assert identity(tmp_path, "alice").fingerprint == new
    here = dialling(p2p, f"alice@{target}", name="bob")
    assert here.wait_event("connected")["fingerprint"] == new
    assert Contacts(Home.at(bob)).by_name("alice") is not None
