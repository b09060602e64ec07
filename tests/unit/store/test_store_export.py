"""The export: all that is kept but for secrets, in the form that the published schema describes."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fullhome import BOB, EVES, NOW, PASSPHRASE, everything, fill, locked, seal_identity

from p2pcall.store.contacts import Contacts
from p2pcall.store.export import LEFT_OUT, SCHEMA_DIALECT, SCHEMA_FILE, Export, exported, schema
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.identity_file import read_identity
from p2pcall.store.inventory import KEPT
from p2pcall.store.rotation import former_key
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import vault_key


def plain(text: str) -> str:
    return text.replace("\x1b", "")


def export_of(place: Home) -> bytes:
    identity = load_or_create(place, os.urandom) if read_identity(place) else None
    return msgspec.json.encode(exported(place, Vault(place), identity, NOW, plain))


@pytest.fixture
def place(home: Path) -> Home:
    everything(home).close()
    return locked(home)


def validated(value: Any, shape: dict[str, Any], defined: dict[str, Any], where: str = "document") -> None:
    """What the schema says of the value holds: as much of JSON Schema as ours uses, and nothing else is in it."""
    shape = {
        key: one for key, one in shape.items() if key not in ("title", "description", "$schema", "$defs")
    }
    if "$ref" in shape:
        assert shape.keys() == {"$ref"}
        return validated(value, defined[shape["$ref"].removeprefix("#/$defs/")], defined, where)
    if "anyOf" in shape:
        assert shape.keys() == {"anyOf"}
        null = [one for one in shape["anyOf"] if one == {"type": "null"}]
        (other,) = [one for one in shape["anyOf"] if one != {"type": "null"}]
        return None if value is None and null else validated(value, other, defined, where)
    match shape.pop("type"):
        case "object":
            others = shape.pop("additionalProperties")
            if others is not False:
                assert others == {"type": ["integer", "string"]} or "anyOf" in others
                assert all(isinstance(one, int | str) for one in value.values())
                return None
            assert value.keys() == shape["properties"].keys() == set(shape.pop("required")), where
            for key, one in shape.pop("properties").items():
                validated(value[key], one, defined, f"{where}.{key}")
        case "array":
            items = shape.pop("items")
            for one in value:
                validated(one, items, defined, f"{where}[]")
        case kind:
            types = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}[kind]
            assert isinstance(value, types), where
            assert kind == "boolean" or not isinstance(value, bool), where
    assert not shape, f"{where}: {shape}"
    return None


def test_the_schema_in_the_tree_is_that_of_the_document() -> None:
    assert SCHEMA_FILE.read_bytes() == schema()
    assert json.loads(SCHEMA_FILE.read_text())["$schema"] == SCHEMA_DIALECT


@pytest.mark.parametrize("full", [True, False])
def test_an_export_is_valid_by_the_published_schema(home: Path, full: bool) -> None:
    if full:
        everything(home).close()
    published = json.loads(SCHEMA_FILE.read_text())
    document = json.loads(export_of(locked(home)))
    validated(document, published, published["$defs"])
    assert all(
        bool(document[name]) == full for name in ("contacts", "calls", "consents", "requests", "blocked")
    )
    assert all(bool(document[name]) == full for name in ("recordings", "identity"))
    assert msgspec.json.decode(json.dumps(document), type=Export).v == 1
    assert full or not home.exists(), "nothing is made"


def test_a_document_of_another_form_is_none() -> None:
    published = json.loads(SCHEMA_FILE.read_text())
    for wrong in ({}, {"v": "1"}, []):
        with pytest.raises((AssertionError, AttributeError)):
            validated(wrong, published, published["$defs"])


def test_no_key_and_no_secret_is_in_an_export_and_it_says_so(place: Home) -> None:
    data = export_of(place)
    identity = load_or_create(place, os.urandom)
    former = former_key(place, identity, NOW)
    assert former is not None
    secrets = [identity.private, former.private, vault_key(identity), bytes(range(20)), PASSPHRASE]
    for secret in secrets:
        forms = (secret, secret.hex().encode(), base64.b64encode(secret)[:-4], base64.b32encode(secret)[:-8])
        assert not any(form in data or form.lower() in data for form in forms)
    assert b"marmalade" not in data
    assert json.loads(data)["left_out"] == list(LEFT_OUT)
    assert "private key" in LEFT_OUT[0]
    assert "secrets of codes" in LEFT_OUT[1]


def test_every_column_that_is_no_secret_is_in_an_export(home: Path) -> None:
    """Each value of each column is looked for; so a new column is exported, or is a secret."""
    place = locked(home)
    seal_identity(place)
    vault = fill(place)
    data = json.loads(export_of(place))
    told = json.dumps(data)
    left = {
        **dict.fromkeys(("calls.id", "consents.id", "requests.id"), "its place in the table"),
        "requests.origin": "made with a secret of one run: tells only which belong together",
        "sqlite_sequence.name": "the name of a table",
        "sqlite_sequence.seq": "how many places a table has given",
    }
    settings = {"settings.name": "history-days", "settings.value": "history_days"}
    for kept in KEPT:
        for column in () if kept.secret else kept.columns:
            table, name = column.split(".")
            if column in left or column in settings:
                continue
            with vault.reading() as db:
                assert db is not None
                for (value,) in db.execute(f"SELECT {name} FROM {table}").fetchall():
                    form = base64.b64encode(value).decode() if isinstance(value, bytes) else value
                    if name in ("verified", "host", "outgoing") or name.startswith(
                        ("may_", "sound_", "picture_")
                    ):
                        form = bool(value)
                    assert json.dumps(form).strip('"') in told, column
    assert data["settings"]["history_days"] == data["settings"]["chosen"]["history-days"] == 29


def test_codes_and_safe_words_are_told_by_whether_there_is_one(place: Home) -> None:
    document = json.loads(export_of(place))
    assert [(one["code"], one["safe_word"]) for one in document["contacts"]] == [(True, True)] * 2
    assert document["settings"]["code_of_unasked"] is True
    assert EVES in document["identity"]["untold"]


def test_text_of_other_people_is_cleaned(home: Path) -> None:
    place = locked(home)
    Contacts(place).pin("bob", BOB, NOW)
    vault = Vault(place)
    with vault.writing() as db:
        db.execute(
            "INSERT INTO requests(key, fingerprint, claimed, at, last, calls, origin)"
            " VALUES(?, 'x', ?, ?, ?, 1, x'00')",
            (bytes(32), "\x1b[2Jmallory", NOW, NOW),
        )
    assert json.loads(export_of(place))["requests"][0]["name"] == "[2Jmallory"


def test_a_recording_that_cannot_be_read_is_listed_without_its_head(place: Home) -> None:
    (place.data / "recordings" / "x.p2prec").write_bytes(b"damaged")
    rows = json.loads(export_of(place))["recordings"]
    unread = next(row for row in rows if row["file"].endswith("/x.p2prec"))
    assert (unread["bytes"], unread["name"], unread["until"]) == (7, None, None)
    assert {row["name"] for row in rows} >= {"eve", None}
