"""What is loaded by when: counted by what is in `sys.modules`, for a clock would measure the machine."""

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HEAVY = {"av", "numpy", "sounddevice", "zeroconf", "sdl2", "rich"}
AT_THE_KNOCK = """
import os, socket, sys

class Watched(socket.socket):
    __slots__ = ()

    def sendmsg(self, *args):
        os.write(1, chr(10).join(sys.modules).encode())
        os._exit(0)

socket.socket = Watched
from p2pcall.cli import run
run()
"""
"""Ends with the first datagram, and tells what was loaded by then."""
IN_THE_CALL = """
import sys
from p2pcall.cli import run
try:
    run()
finally:
    print(*sys.modules, sep=chr(10))
"""


def loaded(program: str, options: Sequence[str], home: Path) -> set[str]:
    """The modules that the program tells of."""
    command = [sys.executable, "-c", program, *options, "--home", str(home)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    found = set(ran.stdout.split())
    assert "p2pcall.cli" in found, ran.stderr
    return found


@pytest.mark.parametrize("source", ["default", "silence", "no such file.wav"])
def test_nothing_heavy_is_loaded_when_the_first_knock_leaves(tmp_path: Path, source: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{there.getsockname()[1]}"
        options = ["dial", target, "--bind", "127.0.0.1", "--port", "0", "--audio-in", source]
        found = loaded(AT_THE_KNOCK, options, tmp_path)
    assert not found & HEAVY
    assert "p2pcall.engine.live" not in found


def test_a_dial_of_an_address_without_cards_loads_no_library_of_cards_or_of_the_local_network(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        options = ["dial", f"127.0.0.1:{there.getsockname()[1]}", "--bind", "127.0.0.1", "--port", "0"]
        options += ["--audio-in", "silence", "--audio-out", "none", "--no-video", "--timeout", "2"]
        found = loaded(IN_THE_CALL, options, tmp_path)
    assert "p2pcall.engine.live" in found, "all that a call needs was loaded"
    assert not found & {"sounddevice", "zeroconf", "sdl2", "rich", "livekit"}
