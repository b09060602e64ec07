"""Contacts in a file: what is in it, whom it can be believed, and that nothing here is replaced."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import MAX_CONTACTS
from p2pcall.store import adoption, contacts_export
from p2pcall.store.adoption import LeftOut
from p2pcall.store.backup import back_up
from p2pcall.store.contact import Contact
from p2pcall.store.contact_secrets import Secret, keep_contact_secret
from p2pcall.store.contacts import Contacts
from p2pcall.store.contacts_export import (
    EXPORT_PREFIX,
    ContactsExport,
    ExportChecks,
    export_contacts,
    read_export,
    sealed_export,
)
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, fingerprint, load_or_create
from p2pcall.store.seal import Cost, seal

BOB, EVE, CAROL, DAVE = (bytes([number] * 32) for number in (1, 2, 3, 4))
CHEAP = Cost(1, 8)
PASSPHRASE = b"correct horse battery"
NOW = 2000.0
CHECKS = ExportChecks(lambda name: ":" not in name, lambda public: any(public))


class Side:
    """One home."""

    def __init__(self, folder: Path) -> None:
        self.home = Home.at(folder)
        self.identity = load_or_create(self.home, os.urandom)
        self.contacts = Contacts(self.home)

    def export(self, file: Path) -> Path:
        export_contacts(self.home, self.identity, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
        return file

    def read(self, file: Path, passphrase: bytes = PASSPHRASE) -> ContactsExport:
        return read_export(file, sealed_export(file), passphrase, self.identity, NOW, CHECKS)

    def take(self, file: Path) -> tuple[ContactsExport, adoption.Adopted]:
        export = self.read(file)
        return export, self.contacts.adopt(export.book)


@pytest.fixture
def here(home: Path) -> Side:
    return Side(home)


@pytest.fixture
def there(tmp_path: Path) -> Side:
    return Side(tmp_path / "there")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contacts.p2p"


def forged(file: Path, rows: Any, identity: Identity | None = None, **more: Any) -> Path:
    """A file by somebody who knows the format and the passphrase."""
    content = json.dumps({"made": 5.0, "version": 1, "contacts": rows, **more})
    proof = b"\x00" * 32 if identity is None else contacts_export._proof(identity, content)
    document = {
        "version": 1,
        "kind": "contacts",
        "content": content,
        "proof": base64.b64encode(proof).decode(),
    }
    return sealed_as(file, document)


def sealed_as(file: Path, document: object) -> Path:
    file.write_text(f"{EXPORT_PREFIX}{seal(json.dumps(document).encode(), PASSPHRASE, os.urandom, CHEAP)}\n")
    return file


def row(name: Any, key: bytes, **more: Any) -> dict[str, Any]:
    encoded = base64.b64encode(key).decode()
    return {"name": name, "key": encoded, "added": 1.0, "verified": False, **more}


def test_a_file_has_names_keys_marks_permissions_and_blocks(here: Side, file: Path) -> None:
    here.contacts.pin("bob", BOB, 7.5, host=True)
    here.contacts.verify("bob", BOB)
    here.contacts.permit("bob", may_ring=False, sound_unasked=True)
    here.contacts.pin("eve", EVE, 8)
    here.contacts.block(fingerprint(EVE), 9)
    here.contacts.block(fingerprint(CAROL), 10)
    export = here.read(here.export(file))
    assert (export.made, export.ours) == (NOW, True)
    assert export.book.contacts == here.contacts.all()
    assert export.book.blocked == here.contacts.blocked()
    assert (export.cleaned, export.lowered, export.left_out) == ((), (), ())
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_secret_is_in_a_file(here: Side, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the private key, nor what a second factor or a safe word rests on."""
    inside: list[bytes] = []
    real = contacts_export.seal

    def seen(secret: bytes, *rest: Any) -> str:
        inside.append(secret)
        return real(secret, *rest)

    monkeypatch.setattr(contacts_export, "seal", seen)
    here.contacts.pin("bob", BOB, 1)
    secret = b"a secret of the factor"
    for kind in Secret:
        keep_contact_secret(here.contacts.vault, BOB, kind, secret)
    here.export(file)
    for hidden in (secret, here.identity.private):
        for form in (hidden, base64.b64encode(hidden), hidden.hex().encode()):
            assert form not in inside[0]
            assert form not in file.read_bytes()
    assert b"bob" in inside[0]
    assert b"bob" not in file.read_bytes()


def test_marks_and_open_ears_are_believed_only_of_ones_own_file(here: Side, there: Side, file: Path) -> None:
    for side in (here, there):
        side.contacts.pin("bob", BOB, 1)
        side.contacts.verify("bob", BOB)
        side.contacts.permit(
            "bob", may_ring=False, sees_announced=False, sound_unasked=True, picture_unasked=True
        )
    here.contacts.pin("eve", EVE, 2)
    here.export(file)
    bob = here.contacts.by_key(BOB)
    there.contacts.remove("bob")
    export, done = there.take(file)
    assert (export.ours, export.lowered) == (False, ("bob",))
    assert [one.name for one in done.added] == ["bob", "eve"]
    assert there.contacts.by_key(BOB) == Contact("bob", BOB, 1, may_ring=False, sees_announced=False)
    here.contacts.remove("bob")
    export, _ = here.take(file)
    assert export.lowered == ()
    assert here.contacts.by_key(BOB) == bob


def test_a_proof_of_another_content_makes_no_file_ones_own(here: Side, file: Path) -> None:
    forged(file, [row("bob", BOB, verified=True)], here.identity)
    assert here.read(file).ours
    forged(file, [row("bob", BOB, verified=True)])
    assert not here.read(file).ours
    assert not here.read(file).book.contacts[0].verified


def test_what_clashes_is_left_out_and_told_and_nothing_is_overwritten(
    here: Side, there: Side, file: Path
) -> None:
    for name, key in (("bob", BOB), ("eve", EVE), ("carol", CAROL), ("dave", DAVE), ("fay", bytes([6] * 32))):
        there.contacts.pin(name, key, 5)
    there.contacts.block(fingerprint(DAVE), 6)
    there.contacts.block(fingerprint(bytes([9] * 32)), 6)
    there.export(file)
    here.contacts.pin("Bob", bytes([8] * 32), 1)
    here.contacts.pin("evelyn", EVE, 1)
    here.contacts.block(fingerprint(CAROL), 1)
    here.contacts.pin("dave", DAVE, 1)
    before = here.contacts.all()
    _, done = here.take(file)
    assert sorted(done.left_out, key=lambda one: one.name) == [
        LeftOut("bob", fingerprint(BOB), "name-taken", "Bob"),
        LeftOut("carol", fingerprint(CAROL), "blocked"),
        LeftOut("dave", fingerprint(DAVE), "contact", "dave"),
        LeftOut("eve", fingerprint(EVE), "key-kept", "evelyn"),
    ]
    assert (done.here, [one.name for one in done.added]) == (1, ["fay"])
    assert [one for one in here.contacts.all() if one.name != "fay"] == before
    assert here.contacts.blocked() == {fingerprint(CAROL): 1, fingerprint(bytes([9] * 32)): 6}
    _, again = here.take(file)
    assert (again.here, again.added, again.blocked) == (2, (), {})


def test_an_import_is_whole_or_did_not_happen(
    here: Side, there: Side, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.contacts.pin("bob", BOB, 5)
    there.contacts.pin("eve", EVE, 5)
    there.export(file)
    export = here.read(file)
    here.contacts.pin("carol", CAROL, 1)

    def fails(db: Any) -> None:
        raise P2PCallError("disk-full", "no room", ExitCode.CONFIG)

    monkeypatch.setattr("p2pcall.store.contacts.note_change", fails)
    with pytest.raises(P2PCallError):
        here.contacts.adopt(export.book)
    assert [one.name for one in Contacts(here.home).all()] == ["carol"]


def test_names_with_escapes_bidi_controls_or_ten_thousand_letters_are_cleaned_and_told(
    here: Side, file: Path
) -> None:
    names = ["\x1b[2Jbob", "e\u202eve", "c" * 10_000, "\u200b\x07", "10.0.0.1:5", "\ud800dave", "fine"]
    forged(file, [row(name, bytes([number + 1] * 32)) for number, name in enumerate(names)])
    export, done = here.take(file)
    kept = [one.name for one in done.added]
    start = [fingerprint(bytes([number] * 32))[:9] for number in (4, 5)]
    assert kept == ["[2Jbob", "eve", "c" * 64, *start, "dave", "fine"]
    assert list(export.cleaned) == kept[:-1]
    assert done.left_out == ()


def test_ones_own_key_and_a_key_that_comes_twice_are_left_out(here: Side, file: Path) -> None:
    own = here.identity
    rows = [row("me", own.public), row("bob", BOB), row("robert", BOB), row("BOB", EVE)]
    blocked = [{"fingerprint": own.fingerprint, "added": 1}, {"fingerprint": fingerprint(DAVE), "added": 1}]
    forged(file, rows, version=2, blocked=blocked)
    export, done = here.take(file)
    assert [(one.name, one.why) for one in export.left_out] == [("me", "own-key"), ("robert", "twice")]
    assert [(one.name, one.why, one.here) for one in done.left_out] == [("BOB", "name-taken", "bob")]
    assert [one.name for one in here.contacts.all()] == ["bob"]
    assert list(here.contacts.blocked()) == [fingerprint(DAVE)]


@pytest.mark.parametrize("when", [float("nan"), float("inf"), -1, 10**400, 9e9, True])
def test_a_time_that_is_none_becomes_that_of_the_import(here: Side, file: Path, when: Any) -> None:
    blocked = [{"fingerprint": fingerprint(DAVE), "added": float("inf")}]
    forged(file, [{**row("bob", BOB), "added": when}], version=2, blocked=blocked, made=when)
    export, _ = here.take(file)
    assert export.made == NOW
    assert [one.added for one in here.contacts.all()] == [NOW]
    assert [*here.contacts.blocked().values()] == [NOW]


@pytest.mark.parametrize(
    "rows",
    [
        None,
        ["bob"],
        [{"name": "bob"}],
        [row(7, BOB)],
        [row("bob", b"short")],
        [row("bob", BOB), row("zero", bytes(32))],
        [row("bob", BOB, sound_unasked="yes")],
        [row(f"n{number}", number.to_bytes(32, "big")) for number in range(1, MAX_CONTACTS + 2)],
    ],
)
def test_a_file_with_anything_wrong_in_it_changes_nothing(here: Side, file: Path, rows: Any) -> None:
    forged(file, rows)
    with pytest.raises(P2PCallError) as caught:
        here.take(file)
    assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)
    assert not here.home.vault_path.exists()


@pytest.mark.parametrize(
    "document",
    [
        *([], {}, {"version": 2, "kind": "contacts", "content": "{}", "proof": ""}),
        *({"version": 1, "kind": "else", "content": "{}", "proof": ""}, {"version": 1, "kind": "contacts"}),
        {"version": 1, "kind": "contacts", "content": "{}", "proof": "*"},
        {"version": 1, "kind": "contacts", "content": "\ud800", "proof": ""},
    ],
)
def test_what_is_sealed_but_no_file_of_contacts_is_told(here: Side, file: Path, document: Any) -> None:
    with pytest.raises(P2PCallError) as caught:
        here.take(sealed_as(file, document))
    assert caught.value.exit is ExitCode.CONFIG


def test_a_backup_is_no_file_of_contacts_not_even_under_its_name(here: Side, file: Path) -> None:
    back_up(here.home, file, PASSPHRASE, os.urandom, CHEAP, NOW, force=True)
    with pytest.raises(P2PCallError) as caught:
        sealed_export(file)
    assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)
    file.write_text(file.read_text().replace("p2pcall-backup-1:", EXPORT_PREFIX))
    with pytest.raises(P2PCallError):
        here.take(file)


def test_a_changed_byte_or_a_wrong_passphrase_opens_nothing(here: Side, file: Path) -> None:
    here.contacts.pin("bob", BOB, 1)
    here.export(file)
    whole = file.read_text()
    with pytest.raises(P2PCallError) as caught:
        here.read(file, b"another one")
    assert (caught.value.slug, caught.value.exit) == ("wrong-passphrase", ExitCode.CONFIG)
    assert "contacts export" in (caught.value.hint or "")
    at = len(whole) - 40
    file.write_text(whole[:at] + ("A" if whole[at] != "A" else "B") + whole[at + 1 :])
    with pytest.raises(P2PCallError) as caught:
        here.read(file)
    assert caught.value.exit is ExitCode.CONFIG


def test_blocks_beyond_the_bound_are_left_out(
    here: Side, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "MAX_BLOCKED", 2)
    monkeypatch.setattr(adoption, "MAX_CONTACTS", 1)
    here.contacts.block(fingerprint(EVE), 1)
    keys = [fingerprint(bytes([number] * 32)) for number in (10, 11)]
    blocked = [{"fingerprint": key, "added": 1} for key in (fingerprint(EVE), *keys)]
    forged(file, [row("bob", BOB), row("carol", CAROL)], version=2, blocked=blocked)
    _, done = here.take(file)
    assert [(one.name, one.why) for one in done.left_out] == [("carol", "full"), (keys[1][:9], "full")]
    assert list(here.contacts.blocked()) == sorted([fingerprint(EVE), keys[0]])


def test_a_contact_that_is_blocked_in_the_file_comes_blocked(here: Side, there: Side, file: Path) -> None:
    there.contacts.pin("eve", EVE, 5)
    there.contacts.block(fingerprint(EVE), 6)
    here.take(there.export(file))
    assert here.contacts.all() == [replace(Contact("eve", EVE, 5), blocked=True)]
