"""Standard output that takes nothing: a reader that went away ends a command quietly, a full disk with an error."""

import asyncio
import io
import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from clirun import FULL, needs_full

from p2pcall.cli.line_writer import LineWriter
from p2pcall.cli.stdout import StdoutClosed, say
from p2pcall.env import Env
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home

ROOT = Path(__file__).resolve().parent.parent.parent
LISTEN = [
    *("listen", "--bind", "127.0.0.1", "--port", "0", "--announce", "off"),
    *("--audio-in", "none", "--audio-out", "none", "--no-video"),
]
PRINTING = {
    "nothing": [],
    "version": ["--version"],
    "help": ["--help"],
    "help of a command": ["dial", "--help"],
    "id": ["id"],
    "id as json": ["id", "--json"],
    "devices": ["devices"],
    "contacts": ["contacts", "list"],
    "contacts as json": ["contacts", "list", "--json"],
    "events": [*LISTEN, "--json"],
}
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}


@pytest.fixture
def nobody() -> Iterator[int]:
    """The writing end of a pipe whose reader has gone."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    yield write_end
    os.close(write_end)


@pytest.fixture
def known(home: Path) -> None:
    """Somebody to list."""
    Contacts(Home.at(home)).pin("bob", bytes(32), 1_700_000_000)


def ran(argv: list[str], stdout: int, environ: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit status and standard error of the program as a process of its own, its output buffered as usual."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    result = subprocess.run(
        [sys.executable, "-m", "p2pcall", *argv],
        cwd=ROOT,
        env=inherited | (environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return result.returncode, result.stderr


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("argv", PRINTING.values(), ids=PRINTING.keys())
def test_a_reader_that_went_away_is_no_error(argv: list[str], nobody: int) -> None:
    assert ran(argv, nobody) == (0, "")


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll")
def test_a_reader_that_goes_is_noticed_though_nothing_is_written() -> None:
    async def scene() -> None:
        read_end, write_end = os.pipe()
        gone = asyncio.Event()
        with os.fdopen(write_end, "w") as stream:
            writer = LineWriter(stream, gone.set)
            writer.put("one line")
            assert os.read(read_end, 100) == b"one line\n"
            assert not gone.is_set()
            os.close(read_end)
            async with asyncio.timeout(10):
                await gone.wait()
            assert isinstance(writer.failure, StdoutClosed)
            assert not await asyncio.to_thread(writer.close)

    asyncio.run(scene())


@needs_full
@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("argv", PRINTING.values(), ids=PRINTING.keys())
def test_a_full_disk_is_told(argv: list[str]) -> None:
    with FULL.open("w") as full:
        exit_code, told = ran(argv, full.fileno())
    assert exit_code == 8
    assert told.splitlines() == [
        "p2pcall: error: cannot write to standard output: no space left on device",
        "p2pcall: hint: df -h",
    ]


@needs_full
@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["id"]], ids=" ".join)
def test_the_same_without_a_buffer(argv: list[str], nobody: int) -> None:
    """The write fails then and not the flush, for the option parser even when it only tries what a stream can do."""
    assert ran(argv, nobody, UNBUFFERED) == (0, "")
    with FULL.open("w") as full:
        exit_code, told = ran(argv, full.fileno(), UNBUFFERED)
    assert exit_code == 8
    assert "no space left on device" in told
    assert "internal error" not in told


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["", "json"])
def test_an_error_stays_the_error_it_is(option: list[str], nobody: int) -> None:
    exit_code, told = ran(["listen", "--port", "70000", *option], nobody)
    assert exit_code == 2
    assert len(told.splitlines()) == 2


def test_a_line_for_people_is_wrapped_at_words_in_a_terminal_and_an_error_is_not() -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 20))
    with os.fdopen(slave, "w") as terminal:
        env = Env(io.StringIO(), io.StringIO(), terminal, os.environ)
        say(env, "a line that is longer than the terminal is wide")
        say(env, "p2pcall: hint: p2pcall contacts list")
    told = os.read(master, 1000).decode().replace("\r\n", "\n")
    os.close(master)
    assert told == (
        "a line that is\n  longer than the\n  terminal is wide\np2pcall: hint: p2pcall contacts list\n"
    )
