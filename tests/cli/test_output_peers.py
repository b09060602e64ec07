"""`peers`: what is found goes out as it comes, and stops when nobody takes it."""

import asyncio
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TextIO

import pytest
from clirun import FULL, needs_full, run
from msgspec.structs import replace

from p2pcall.cli import lan, main
from p2pcall.engine.presence import PresenceKeys
from p2pcall.env import Env
from p2pcall.errors import P2PCallError
from p2pcall.net.lanpeer import LanPeer
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, load_or_create

BOB = LanPeer("bob", 51729, (("192.0.2.7", 51729), ("2001:db8::7", 51729, 0, 0)), {}, "bob.local.")


class Network:
    """In the place of `Browser`: Bob comes at once."""

    def __init__(
        self, *, on_found: Callable[[LanPeer], None], on_lost: Callable[[LanPeer], None], recognise: Any
    ) -> None:
        self._found = on_found
        self.problem: P2PCallError | None = None

    def start(self) -> Self:
        asyncio.get_running_loop().call_soon(self._found, BOB)
        return self

    async def stop(self) -> None:
        """Nothing to stop."""


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def browse(recognise: Any) -> list[LanPeer]:
        return [BOB]

    monkeypatch.setattr(lan, "browse", browse)
    monkeypatch.setattr(lan, "Browser", Network)


@pytest.fixture
def nobody() -> Iterator[TextIO]:
    """A pipe whose reader has gone."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        yield stream


def told(argv: list[str], stdout: TextIO) -> tuple[int, str]:
    errors = io.StringIO()
    return main(argv, Env(io.StringIO(), stdout, errors, os.environ)), errors.getvalue()


def test_who_is_there() -> None:
    assert run("peers").out.split() == ["bob", "192.0.2.7:51729,", "[2001:db8::7]:51729"]
    (row,) = run("peers", "--json").rows
    assert (row["event"], row["name"], row["port"], row["contact"]) == ("peer-found", "bob", 51729, None)
    assert row["addresses"] == ["192.0.2.7:51729", "[2001:db8::7]:51729"]


def test_a_contact_who_announces_to_contacts_alone_is_shown_as_such_and_nobody_else_is(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """Contacts are recognised with our own key; without contacts nothing is recognised, and no key is made."""
    asked: list[Any] = []

    async def browse(recognise: Any) -> list[LanPeer]:
        asked.append(recognise)
        known = recognise(text) if recognise is not None else None
        return [] if known is None else [replace(BOB, name=known[0], port=known[1], private=True)]

    monkeypatch.setattr(lan, "browse", browse)
    bob = KeyPair.from_private(bytes([7]) * 32)
    text = b""
    assert run("peers").out == ""
    assert asked == [None]
    assert not Home.at(home).identity_path.exists()
    ours = load_or_create(Home.at(home), os.urandom)
    Contacts(Home.at(home)).pin("robert", bob.public, 0)
    (text,) = PresenceKeys(bob.private, announcer=True).texts([ours.public], time.time(), 4242, os.urandom)
    assert run("peers").out.split(maxsplit=3)[::3] == ["robert", "(announced to contacts alone)\n"]
    (row,) = run("peers", "--json").rows
    assert (row["name"], row["port"], row["contact"]) == ("robert", 4242, "robert")
    Contacts(Home.at(home)).block(fingerprint(bob.public), 0)
    assert run("peers").out == ""


@pytest.mark.parametrize("watch", [[], ["--watch"]], ids=["once", "watch"])
@pytest.mark.parametrize("json", [[], ["--json"]], ids=["words", "json"])
def test_when_nobody_reads_it_is_over(watch: list[str], json: list[str], nobody: TextIO) -> None:
    assert told(["peers", *watch, *json], nobody) == (0, "")


@needs_full
@pytest.mark.parametrize("watch", [[], ["--watch"]], ids=["once", "watch"])
@pytest.mark.parametrize("json", [[], ["--json"]], ids=["words", "json"])
def test_a_full_disk_is_told(watch: list[str], json: list[str]) -> None:
    with FULL.open("w") as full:
        code, errors = told(["peers", *watch, *json], full)
    assert code == 8
    assert errors.startswith("p2pcall: error: cannot write to standard output: no space left on device")
