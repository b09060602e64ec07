"""`peers`: what is found goes out as it comes, and stops when nobody takes it."""

import asyncio
import io
import os
from collections.abc import Callable, Iterator
from typing import Self, TextIO

import pytest
from clirun import FULL, needs_full, run

from p2pcall.cli import lan, main
from p2pcall.env import Env
from p2pcall.errors import P2PCallError
from p2pcall.net.lanpeer import LanPeer

BOB = LanPeer("bob", 51729, (("192.0.2.7", 51729), ("2001:db8::7", 51729, 0, 0)), {}, "bob.local.")


class Network:
    """In the place of `Browser`: Bob comes at once."""

    def __init__(self, *, on_found: Callable[[LanPeer], None], on_lost: Callable[[LanPeer], None]) -> None:
        self._found = on_found
        self.problem: P2PCallError | None = None

    def start(self) -> Self:
        asyncio.get_running_loop().call_soon(self._found, BOB)
        return self

    async def stop(self) -> None:
        """Nothing to stop."""


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def browse() -> list[LanPeer]:
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
