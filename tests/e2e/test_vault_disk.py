"""The vault on a full disk, and on one that may only be read: a file system of its own, mounted for the test."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOUNT = 'mount -t tmpfs -o size=600k none "$0" && exec "$@"'
HEAD = """
import os, subprocess, sys
from pathlib import Path
from p2pcall.errors import P2PCallError
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.vault import Vault
disk = Path(sys.argv[1])
home, eve = Home.at(disk / "home"), bytes([2] * 32)
contacts = Contacts(home)
contacts.pin("bob", bytes([1] * 32), 0)
def names(): return [contact.name for contact in Contacts(home).all()]
def refused(slug, *works):
    for work in works:
        try:
            work()
        except P2PCallError as error:
            assert (error.slug, error.exit) == (slug, 8), error
        else:
            raise AssertionError("it was kept")
call = LoggedCall(1.0, True, "bob", "", "contact", 1.0, "eof")
changes = (
    lambda: contacts.pin("eve", eve, 0),
    lambda: contacts.remove("bob"),
    lambda: CallLog(Vault(home)).add(call),
    lambda: Vault(home).backup(disk / "copy.db"),
)
"""
FULL = """
with (disk / "junk").open("wb", buffering=0) as junk:
    try:
        while True:
            junk.write(bytes(4096))
    except OSError:
        pass
refused("disk-full", *changes)
assert names() == [contact.name for contact in contacts.all()] == ["bob"]
(disk / "junk").unlink()
contacts.pin("eve", eve, 0)
CallLog(Vault(home)).add(call)
Vault(home).check()
assert names() == [contact.name for contact in contacts.all()] == ["bob", "eve"]
assert not [path.name for path in disk.rglob("*.new*")]
"""
READ_ONLY = """
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
for change in changes:
    try:
        change()
    except P2PCallError as error:
        assert error.exit == 8
    else:
        raise AssertionError("it was kept")
assert names() == ["bob"]
subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
contacts.pin("eve", eve, 0)
assert names() == [contact.name for contact in contacts.all()] == ["bob", "eve"]
"""


def on_a_small_disk(place: Path, script: str) -> None:
    """Run it in a process that has a small disk of its own at that place."""
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        MOUNT,
        str(place),
        sys.executable,
        "-c",
        HEAD + script,
        str(place),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.netns
def test_on_a_full_disk_the_vault_is_read_and_loses_nothing(tmp_path: Path) -> None:
    on_a_small_disk(tmp_path, FULL)


@pytest.mark.netns
def test_on_a_disk_that_may_only_be_read_the_vault_is_read(tmp_path: Path) -> None:
    on_a_small_disk(tmp_path, READ_ONLY)
