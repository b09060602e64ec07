"""`p2pcall privacy bundle`: what helps to find a fault, shown before it is written, and nothing of who it is about."""

import base64
import io
import ipaddress
import json
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clirun import Ran, assert_told, run
from test_cli_contacts import Terminal

from p2pcall.cli import main, privacy_bundle
from p2pcall.device.base import Device
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.passcode import SECRET_BYTES
from p2pcall.factor.safe_word import safe_word
from p2pcall.net.interfaces import Interface
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.consent_log import Consent, keep_consent
from p2pcall.store.contacts import Contacts
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, fingerprint, load_or_create
from p2pcall.store.recordings import make_recording, recordings_folder
from p2pcall.store.vault import Vault

LOGIN, HOST = "jantje-verbeek", "werkplaats-oost"
PEOPLE = ("Margaretha Oosterling", "Олександр Шевченко", "dr.p.achterberg")
"""Contacts; the second has a name that JSON writes with escapes."""
STRANGER, DIALLED = "Zwarte Hendrik", "laptop.huisnetwerk.example"
ADDRESSES = ("203.0.113.94", "192.0.2.177", "fd4a:9c31:77e2::1f08", "2001:db8:51c3::be9")
"""Two of this machine, two that were dialled."""
INTERFACE, CARD, NOTES = "wg-verbeek0", "Jantje's hoofdtelefoon", "margaretha.txt"
SAFE_WORD = "koekoeksklok"
MIN_WORD = 5
"""Letters of a part of a name that is looked for."""
SEEN = (INTERFACE, CARD, NOTES, SAFE_WORD, "xterm-van-verbeek", "eigenbouw")


def key_of(number: int) -> bytes:
    return Identity.of(bytes([number] * 32)).public


KEYS = [key_of(number) for number in range(1, 6)]
"""Those of the contacts, of a stranger, and one that is blocked."""


def parts_of_names() -> Iterator[str]:
    """Names, and each word of them."""
    for name in (LOGIN, HOST, *PEOPLE, STRANGER, DIALLED, *SEEN):
        yield name
        yield from (
            word for word in name.replace("-", " ").replace(".", " ").split() if len(word) >= MIN_WORD
        )


def parts_of_key(key: bytes) -> Iterator[str]:
    """A key as it may be written, and how each of that begins and ends."""
    whole = [key.hex(), base64.b64encode(key).decode(), base64.b32encode(key).decode().rstrip("=")]
    for text in (*whole, fingerprint(key)):
        yield from (text, text[:8], text[-8:])


def parts_of_address(text: str) -> Iterator[str]:
    """An address in its forms, and its network."""
    address = ipaddress.ip_address(text)
    yield from (str(address), address.exploded, address.packed.hex(), address.reverse_pointer)
    yield str(address).rpartition("." if address.version == 4 else "::")[0]


def secrets(keys: list[bytes], places: list[Path]) -> set[str]:
    """All that must not be found, in small letters."""
    found = {*parts_of_names(), *map(str, places)}
    found |= {part for place in places for part in place.parts if len(part) >= MIN_WORD}
    found |= {part for key in keys for part in parts_of_key(key)}
    found |= {part for address in ADDRESSES for part in parts_of_address(address)}
    return {text.casefold() for text in found} - {"p2pcall"}


def leaked(text: str, wanted: set[str]) -> set[str]:
    """What is found in a JSON text, as it stands or once it is read."""
    plain = (text + json.dumps(json.loads(text), ensure_ascii=False)).casefold()
    return {one for one in wanted if one in plain}


@pytest.fixture
def lived_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with everything in it, of a user and on a machine whose names are known."""
    home = Home.at(tmp_path / LOGIN / ".local" / "share" / "p2pcall")
    home.data.mkdir(parents=True, mode=0o700)
    for name, value in (("P2PCALL_HOME", home.data), ("HOME", tmp_path / LOGIN), ("TERM", SEEN[-2])):
        monkeypatch.setenv(name, str(value))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, LOGIN)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.setattr(platform, "node", lambda: HOST)
    monkeypatch.setattr(platform, "release", lambda: f"6.1.0-{SEEN[-1]}")
    monkeypatch.setattr(privacy_bundle, "version", lambda _: f"1.2.3+{SEEN[-1]}")
    addresses = tuple(map(ipaddress.ip_interface, ADDRESSES[::2]))
    network = Interface(INTERFACE, 7, addresses, loopback=False, point_to_point=False, multicast=True)
    monkeypatch.setattr(privacy_bundle, "interfaces", lambda: [network])
    monkeypatch.setattr(privacy_bundle, "list_devices", lambda: [Device("microphone", CARD, True)])
    fill(home)
    return home


def fill(home: Home) -> None:
    vault, now = Vault(home), time.time()
    contacts, log, factors = Contacts(home, vault), CallLog(vault), Factors(vault)
    for name, key in zip(PEOPLE, KEYS, strict=False):
        contacts.pin(name, key, now)
        log.add(LoggedCall(now - 9, True, name, fingerprint(key), "contact", 60.0, "hung-up"))
        keep_consent(vault, Consent(now, "call", name, fingerprint(key), "recording", "given"))
    contacts.verify(PEOPLE[0], KEYS[0], verified=True)
    contacts.block(fingerprint(KEYS[4]), now)
    factors.require(KEYS[0], b"s" * SECRET_BYTES)
    word = safe_word(SAFE_WORD)
    assert word is not None
    factors.set_word(KEYS[0], word)
    log.add(LoggedCall(now - 8, False, STRANGER, fingerprint(KEYS[3]), "new", 0.0, "missed", 3))
    for target in (DIALLED, *ADDRESSES[1::2]):
        log.add(LoggedCall(now - 7, True, target, "", "", 0.0, "not-found"))
    log.add(
        LoggedCall(now - 6, True, PEOPLE[0].upper(), fingerprint(KEYS[0]), "contact", 5.0, "Zwarte Hendrik!")
    )
    recordings_folder(home).mkdir(mode=0o700)
    with make_recording(recordings_folder(home) / "x.p2prec") as file:
        file.write(b"sealed")
    (home.data / NOTES).write_text("...")


def made() -> dict[str, Any]:
    ran = run("privacy", "bundle")
    assert ran.exit == 0, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


def test_nothing_that_tells_who_it_is_about_is_in_a_bundle(lived_in: Home, tmp_path: Path) -> None:
    own = load_or_create(lived_in, os.urandom)
    wanted = secrets([*KEYS, own.public, own.private], [lived_in.data, tmp_path / LOGIN])
    ran = run("privacy", "bundle")
    assert leaked(ran.out, wanted) == set()
    for planted in (PEOPLE[1], KEYS[0].hex()[:8], fingerprint(own.public), "192.0.2", HOST.upper()):
        assert leaked(json.dumps({"x": planted}), wanted), "the search finds what is there"


@pytest.mark.parametrize("damage", ["damaged", "locked", "gone"])
def test_nothing_more_is_in_that_of_a_home_that_is_not_whole(
    lived_in: Home, tmp_path: Path, damage: str
) -> None:
    own = load_or_create(lived_in, os.urandom)
    if damage == "damaged":
        lived_in.vault_path.write_bytes(b"x" * 9000)
    elif damage == "gone":
        lived_in.identity_path.unlink()
    else:
        (tmp_path / "new").write_text("a long passphrase of many words\n")
        (tmp_path / "new").chmod(0o600)
        assert run("id", "passphrase", "--new-passphrase-file", str(tmp_path / "new")).exit == 0
    ran = run("privacy", "bundle")
    assert ran.exit == 0
    wanted = secrets([*KEYS, own.public, own.private], [lived_in.data, tmp_path / LOGIN])
    assert leaked(ran.out, wanted) == set()
    document = json.loads(ran.out)
    slug = {"damaged": "damaged-file", "locked": "locked-identity", "gone": "lost-identity"}[damage]
    for part in ("settings", "kept", "ends", "people"):
        assert document[part] == {"error": slug}
    assert document["home"]["files"]["store.db"]["mode"] == "0600", "what can be told is told"


def test_a_bundle_counts_what_is_kept_and_how_calls_ended(lived_in: Home) -> None:
    document = made()
    assert document["kept"] == {
        "version": document["kept"]["version"],
        "contacts": 3,
        "blocked": 1,
        "calls": 8,
        "consents": 3,
        "requests": 0,
    }
    assert document["ends"] == {"to": {"hung-up": 3, "not-found": 3, "other": 1}, "from": {"missed": 3}}
    assert document["devices"] == {"microphone": 1, "speaker": 0, "camera": 0}
    assert [(one["family"], one["scope"]) for one in document["addresses"]] == [
        (4, "private"),
        (6, "private"),
    ]
    assert document["home"]["recordings"] == {"number": 1, "bytes": 6}
    assert document["home"]["others"] == 1
    assert document["platform"]["release"] == "6.1.0"
    assert set(document["program"]["libraries"].values()) <= {"1.2.3"}
    assert document["settings"]["keep-calls"] == {"value": 30, "source": "default"}


def pseudonyms(document: dict[str, Any]) -> Iterator[str]:
    for row in (*document["people"], *document["addresses"]):
        yield from (row[field] for field in ("key", "name", "address", "interface") if row.get(field))


def test_a_pseudonym_is_the_same_within_a_bundle_and_never_again(lived_in: Home) -> None:
    first, second = made(), made()
    assert len(first["people"]) == 7
    stranger, friend = first["people"][:2]
    assert (stranger["calls"], stranger["contact"], stranger["ends"]) == (3, False, {"missed": 3})
    assert (friend["calls"], friend["contact"], friend["verified"]) == (2, True, True)
    shown = [set(pseudonyms(bundle)) for bundle in (first, second)]
    assert len(shown[0]) == len(shown[1]) == 14
    assert not shown[0] & shown[1]


def test_a_bundle_is_written_by_nobody_who_was_not_asked(lived_in: Home, tmp_path: Path) -> None:
    ran = run("privacy", "bundle")
    assert "neither written nor sent" in ran.err
    assert_told(run("privacy", "bundle", str(tmp_path / "a.json")), 2, "needs a terminal", "--yes")
    assert [path.name for path in tmp_path.iterdir()] == [LOGIN]


@pytest.fixture
def ask() -> Callable[..., Ran]:
    """`ask("a.json", says="yes\\n")` at a terminal."""

    def asked(file: Path, says: str) -> Ran:
        out, err = Terminal(), io.StringIO()
        status = main(["privacy", "bundle", str(file)], Env(Terminal(says), out, err, os.environ))
        return Ran(status, out.getvalue(), err.getvalue())

    return asked


@pytest.mark.parametrize("says", ["no\n", "", "\n", "yess\n"])
def test_anything_but_yes_writes_nothing(
    lived_in: Home, tmp_path: Path, ask: Callable[..., Ran], says: str
) -> None:
    ran = ask(tmp_path / "a.json", says)
    assert ran.exit == 130
    assert not (tmp_path / "a.json").exists()


def test_what_was_shown_is_what_is_written_and_others_cannot_read_it(
    lived_in: Home, tmp_path: Path, ask: Callable[..., Ran]
) -> None:
    path = tmp_path / "a.json"
    ran = ask(path, "yes\n")
    assert ran.exit == 0
    shown, _, question = ran.out.rpartition("write this to ")
    assert path.read_text() == shown
    assert str(path) in question
    assert path.stat().st_mode & 0o777 == 0o600
    assert "was not sent" in ran.err
    assert_told(run("privacy", "bundle", "--yes", str(path)), 2, "not overwritten")
    assert path.read_text() == shown
    other = run("privacy", "bundle", "--yes", str(tmp_path / "b.json"))
    assert (tmp_path / "b.json").read_text() == other.out, "it is shown to scripts, too"


def test_a_link_is_not_followed_out_of_the_way(lived_in: Home, tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "elsewhere")
    assert_told(run("privacy", "bundle", "--yes", str(tmp_path / "a.json")), 2, "not overwritten")
    assert not (tmp_path / "elsewhere").exists()


def test_a_bundle_of_an_empty_home_makes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy_bundle, "list_devices", list)
    document = made()
    assert (document["kept"], document["people"]) == ({}, [])
    assert not home.exists()


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (P2PCallError("no-portaudio", f"cannot open {LOGIN}", ExitCode.DEVICE), "no-portaudio"),
        (OSError(5, f"/dev/{LOGIN}"), "OSError"),
    ],
)
def test_what_fails_is_told_by_a_word_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, slug: str
) -> None:
    def fails() -> list[Device]:
        raise error

    monkeypatch.setattr(privacy_bundle, "list_devices", fails)
    document = made()
    assert document["devices"] == {"error": slug}
    assert LOGIN not in json.dumps(document)
