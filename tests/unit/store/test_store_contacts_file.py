"""The file of contacts of an older version: taken over as a whole or not at all, and erased when the vault has it."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import MAX_CONTACTS
from p2pcall.store import vault as store_vault
from p2pcall.store.contact import Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home, write_atomic
from p2pcall.store.identity import fingerprint, load_or_create

BOB, EVE = bytes([1] * 32), bytes([2] * 32)


@pytest.fixture
def contacts(home: Path) -> Contacts:
    load_or_create(Home.at(home), os.urandom)
    return Contacts(Home.at(home))


def row(**changes: object) -> dict[str, object]:
    key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    return {"name": "bob", "key": key, "added": 1, "verified": False} | changes


def block(**changes: object) -> dict[str, object]:
    return {
        "version": 2,
        "contacts": [],
        "blocked": [{"fingerprint": fingerprint(EVE), "added": 1} | changes],
    }


def leave(home: Path, document: object) -> Path:
    """What an older version has left."""
    path = home / "contacts.json"
    write_atomic(path, json.dumps(document).encode())
    return path


FULL: dict[str, Any] = {
    "version": 2,
    "contacts": [
        row(verified=True, host=True),
        row(name="eve", key=base64.b64encode(EVE).decode(), added=2.5),
    ],
    "blocked": [{"fingerprint": fingerprint(EVE), "added": 7}],
}


def test_a_file_of_an_older_version_is_taken_over_and_erased(contacts: Contacts, home: Path) -> None:
    path = leave(home, FULL)
    assert contacts.all() == [
        Contact("bob", BOB, 1, verified=True, host=True),
        Contact("eve", EVE, 2.5, blocked=True),
    ]
    assert contacts.blocked() == {fingerprint(EVE): 7}
    assert not path.exists()
    assert Contacts(Home.at(home)).all() == contacts.all()


def test_the_content_of_an_erased_file_is_overwritten(contacts: Contacts, home: Path) -> None:
    path = leave(home, FULL)
    beside = home / "beside"
    os.link(path, beside)
    contacts.all()
    assert not any(beside.read_bytes())


@pytest.mark.parametrize("where", ["before", "within"])
def test_a_file_is_taken_over_once_though_a_crash_left_it(
    contacts: Contacts, home: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    leave(home, FULL)

    class Killed(BaseException):
        pass

    def killed(path: Path) -> None:
        if where == "within":
            path.write_bytes(bytes(10) + path.read_bytes()[10:])
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        if where == "within":
            patch.setattr(store_vault, "erase", killed)
        else:
            patch.setattr(
                Path, "replace", lambda path, to: killed(path) if "json" in str(to) else path.rename(to)
            )
        contacts.all()
    assert any("contacts.json" in path.name for path in home.iterdir())
    assert contacts.remove("bob") is not None
    assert not any("contacts.json" in path.name for path in home.iterdir())
    assert [contact.name for contact in contacts.all()] == ["eve"]


def test_another_file_beside_the_vault_is_an_error_and_both_stay(contacts: Contacts, home: Path) -> None:
    contacts.pin("bob", BOB, 0)
    path = leave(home, FULL)
    for use in (contacts.all, lambda: contacts.pin("eve", EVE, 0)):
        with pytest.raises(P2PCallError) as caught:
            use()
        assert (caught.value.slug, caught.value.exit) == ("two-stores", ExitCode.CONFIG)
    path.unlink()
    assert [contact.name for contact in contacts.all()] == ["bob"]


def test_names_that_an_older_version_took_for_two_are_told_apart(contacts: Contacts, home: Path) -> None:
    """And it took for a name what cannot be seen."""
    keys = [base64.b64encode(bytes([i] * 32)).decode() for i in range(1, 5)]
    spelt = ["bob\u2764", "bob\u2764\ufe0f", "\U0001f1f3\U0001f1f1", "x" * 64]
    rows = [row(name=name, key=key) for name, key in zip(spelt, keys, strict=True)]
    leave(home, {"version": 1, "contacts": rows})
    flag = fingerprint(bytes([3] * 32))[:9]
    assert {contact.name for contact in contacts.all()} == {"bob\u2764", "bob\u2764-2", flag, "x" * 64}
    contacts.remove("bob\u2764")
    assert len(contacts.all()) == 3


DAMAGED: list[object] = [
    {"version": 2, "contacts": [], "blocked": {}},
    {"version": 3, "contacts": [], "blocked": []},
    *(block(**{k: v}) for k, v in (("fingerprint", "x"), ("fingerprint", 1), ("added", "1"))),
    {"version": 2, "contacts": [], "blocked": [None]},
    *(
        [],
        {},
        {"version": 1},
        {"version": 1, "contacts": {}},
        {"version": 2, "contacts": []},
        {"contacts": []},
    ),
    *({"version": 1, "contacts": [entry]} for entry in (None, [], {}, {"name": "bob"})),
    *({"version": 1, "contacts": [row(**{k: v})]} for k, v in (("name", 1), ("name", ""), ("name", "\x00"))),
    *({"version": 1, "contacts": [row(**{k: v})]} for k, v in (("key", "%"), ("key", "QUJD"), ("key", "é"))),
    *({"version": 1, "contacts": [row(**{k: v})]} for k, v in (("added", "1"), ("verified", 1))),
    {"version": 1, "contacts": [row(), row(name="eve")]},
    {"version": 1, "contacts": [row(), row(name="BOB", key="AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")]},
    {"version": 1, "contacts": [row()] * (MAX_CONTACTS + 1)},
    *({"version": 1, "contacts": [row(added=added)]} for added in (int("1" * 400), -int("9" * 400))),
]
TEXTS = ["", "{", "[" * 100_000, "\x00", '"x"', "\udcff\udcfe\x00{"]


@pytest.mark.parametrize("document", [*map(json.dumps, DAMAGED), *TEXTS], ids=range(len(DAMAGED + TEXTS)))
def test_a_damaged_file_is_an_error_and_stays_as_it_is(contacts: Contacts, home: Path, document: str) -> None:
    path = home / "contacts.json"
    data = document.encode(errors="surrogateescape")
    path.write_bytes(data)
    for use in (
        contacts.all,
        lambda: contacts.pin("eve", EVE, 0),
        lambda: contacts.remove("bob"),
        lambda: contacts.verify("bob", BOB),
        lambda: contacts.rename("bob", "robert"),
        lambda: contacts.block(fingerprint(BOB), 0),
        lambda: contacts.unblock(fingerprint(BOB)),
    ):
        with pytest.raises(P2PCallError) as caught:
            use()
        assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)
    assert path.read_bytes() == data
    assert sorted(one.name for one in home.iterdir()) == [".lock", "contacts.json", "identity.key"]
