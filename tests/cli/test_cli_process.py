"""The process itself: what it leaves to others on the machine."""

import os
import subprocess
import sys
from pathlib import Path

READS_THE_KEY = """
import ctypes, os, resource, sys
from p2pcall import cli
from p2pcall.store import identity

opened = identity.opened

def looked_at(file, home):
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0
    print("dumpable", dumpable, "core", *resource.getrlimit(resource.RLIMIT_CORE), file=sys.stderr)
    return opened(file, home)

identity.opened = looked_at
sys.argv = ["p2pcall", *sys.argv[1:]]
cli.run()
"""
"""With PR_GET_DUMPABLE (3), at the moment when the private key comes into the memory."""


def told(home: Path, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "P2PCALL_HOME": str(home)}
    command = [sys.executable, "-c", READS_THE_KEY, *argv]
    return subprocess.run(command, env=environ, input=stdin, capture_output=True, text=True, check=False)


def test_the_process_leaves_no_core_dump(home: Path) -> None:
    ran = told(home, "id")
    assert "dumpable 0 core 0 0" in ran.stderr.splitlines()


def test_a_process_that_leaves_nothing_reads_its_own_standard_input(home: Path) -> None:
    """/proc/PID belongs to root from then on, but not for the process itself."""
    where = ("127.0.0.1:9", "--audio-in", "/dev/stdin", "--audio-format", "s16le", "--audio-out", "none")
    ran = told(home, "dial", *where, "--video-in", "none", stdin="\0" * 4000)
    assert ran.returncode == 3, ran.stderr
    assert "dumpable 0 core 0 0" in ran.stderr.splitlines()
