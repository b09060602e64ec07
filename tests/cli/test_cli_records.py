"""`id`, `contacts`, `devices`: what they show, what they change, what they say to a damaged home."""

import json
import os
import re
from pathlib import Path

import pytest
from clirun import assert_told, run

from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint

FINGERPRINT = re.compile(r"([a-z2-7]{4}-){7}[a-z2-7]{4}")
KEYS = {"bob": bytes(range(32)), "Ève Müller": bytes(range(1, 33))}


@pytest.fixture
def known(home: Path) -> Contacts:
    """Two people."""
    contacts = Contacts(Home.at(home))
    for number, (name, key) in enumerate(KEYS.items()):
        contacts.pin(name, key, 1_700_000_000 + number)
    path = home / "contacts.json"
    path.write_text(path.read_text().replace('"verified": false', '"verified": true', 1))  # bob's
    return contacts


def test_who_i_am_stays_who_i_am(home: Path) -> None:
    first = run("id")
    found = FINGERPRINT.search(first.out)
    assert first.exit == 0
    assert found is not None
    assert run("id").out == first.out
    (row,) = run("id", "--json").rows
    assert row["v"] == 1
    assert row["fingerprint"] == found[0]
    assert row["name"] in first.out
    assert oct((home / "identity.key").stat().st_mode)[-4:] == "0600"


def test_another_home_is_somebody_else(tmp_path: Path) -> None:
    mine, other = run("id"), run("id", "--home", str(tmp_path / "other"))
    assert FINGERPRINT.findall(mine.out) != FINGERPRINT.findall(other.out) or mine.out != other.out
    assert (tmp_path / "other" / "identity.key").exists()


def test_nobody_is_known_at_first() -> None:
    ran = run("contacts", "list")
    assert (ran.exit, ran.err) == (0, "")
    assert "no contacts" in ran.out
    assert run("contacts", "list", "--json").out == ""


def test_the_people_i_know(known: Contacts) -> None:
    lines = run("contacts", "list").out.splitlines()
    assert len(lines) == 3
    for (name, key), line, state in zip(KEYS.items(), lines[1:], ("verified", "contact"), strict=True):
        assert all(part in line for part in (name, fingerprint(key), state, "2023-11-14"))
    rows = run("contacts", "list", "--json").rows
    assert [(row["name"], row["fingerprint"], row["verified"]) for row in rows] == [
        ("bob", fingerprint(KEYS["bob"]), True),
        ("Ève Müller", fingerprint(KEYS["Ève Müller"]), False),
    ]


def test_somebody_is_forgotten(known: Contacts) -> None:
    ran = run("contacts", "remove", "ÈVE müller")
    assert (ran.exit, ran.out) == (0, "")
    assert "forgotten" in ran.err
    assert [contact.name for contact in known.all()] == ["bob"]
    assert_told(run("contacts", "remove", "Ève Müller"), 3, "p2pcall contacts list")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"version":9,"contacts":[]}', '{"version":1,"contacts":[{"name":"bob"}]}', "\x00\xff"],
)
def test_damaged_contacts_are_told_and_left_alone(home: Path, text: str) -> None:
    run("id")
    path = home / "contacts.json"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    for argv in (["contacts", "list"], ["contacts", "remove", "bob"]):
        assert_told(run(*argv), 8, str(path))
    assert path.read_bytes() == text.encode("latin-1")


def test_a_name_in_the_file_cannot_steer_the_terminal(home: Path, known: Contacts) -> None:
    path = home / "contacts.json"
    document = json.loads(path.read_text())
    document["contacts"][0]["name"] = "bob\x1b[2J\u202e"
    path.write_text(json.dumps(document))
    ran = run("contacts", "list")
    assert not set("\x1b\u202e") & set(ran.out + ran.err)


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    run("id")
    (home / "identity.key").chmod(0o644)
    assert_told(run("id"), 8, "chmod 600", "identity.key")


def test_a_damaged_key_is_told_and_left_alone(home: Path) -> None:
    run("id")
    path = home / "identity.key"
    path.write_text("p2pcall-key-1:AAAA\n")
    assert_told(run("id"), 8, "identity.key")
    assert path.read_text() == "p2pcall-key-1:AAAA\n"


def test_a_home_that_is_a_file_is_told(home: Path) -> None:
    home.write_text("")
    assert_told(run("id"), 8, str(home))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert_told(run("id", "--home", str(tmp_path / "home")), 8, str(tmp_path))
