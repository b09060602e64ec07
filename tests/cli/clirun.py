"""The command line in this process: `run("dial", "bob", "--port", "x").exit`, with streams in memory.

For commands that end by themselves and place no call. What needs a second side, a signal or a pipe is shown with
real processes, in the end-to-end tests.
"""

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from p2pcall.cli import main
from p2pcall.env import Env

FULL = Path("/dev/full")
"""A disk with no room left; macOS has none."""
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
BOB, EVE = bytes([1] * 32), bytes([2] * 32)
"""Public keys."""
NO_MEDIA = ("--audio-in", "none", "--audio-out", "none", "--no-video")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: exit status, standard output, standard error."""

    exit: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Standard output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*argv: str) -> Ran:
    """Run one command with the environment of this process (a home of its own in each test)."""
    out, err = io.StringIO(), io.StringIO()
    status = main(argv, Env(io.StringIO(), out, err, os.environ))
    return Ran(status, out.getvalue(), err.getvalue())


def assert_told(ran: Ran, exit_code: int, *words: str) -> None:
    """The error is told as the contract says: one line, lower case, no full stop, a hint, these words, no trace."""
    assert ran.exit == exit_code, ran.err
    lines = ran.err.splitlines()
    assert lines[0].startswith("p2pcall: error: "), ran.err
    text = lines[0].removeprefix("p2pcall: error: ")
    assert not text.endswith("."), text
    assert not (text[0].isupper() and text[1:2].islower()), text
    assert len(lines) == 2, f"no hint, or more than one: {ran.err}"
    assert lines[1].startswith("p2pcall: hint: "), ran.err
    assert len(lines[1]) > len("p2pcall: hint: ")
    for word in words:
        assert word in ran.err, f"{word!r} is not in {ran.err!r}"
