"""The helper that runs real processes (`harness.P2P`) does what it says, shown on small programs and on ours."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import P2P, Surroundings, session_members
from netns import NetnsPair

Start = Callable[..., P2P]
PYTHON = (sys.executable, "-c")
QUIET = ("--audio-in", "silence", "--audio-out", "none", "--no-video")

TELLS = """
import json, os, sys
print("noise")
for name in ("listening", "stats", "stats"):
    print(json.dumps({"v": 1, "event": name, "port": 5, "home": os.environ["P2PCALL_HOME"]})
        .replace(", ", ",").replace(": ", ":"), flush=True)
print("done", file=sys.stderr, flush=True)
sys.stdin.read()
"""

SHOWS = """
import os, shutil, signal, sys, termios, tty
def draw(*_):
    size = os.get_terminal_size(1)
    os.write(1, b"\\x1b[2J\\x1b[H%d columns\\x1b[2;1H\\x1b[38;2;255;0;0mred" % size.columns)
signal.signal(signal.SIGWINCH, draw)
before = termios.tcgetattr(0)
tty.setcbreak(0)
draw()
os.write(1, b"\\x1b[6n")
keys = b""
while not keys.endswith(b"q"):
    keys += os.read(0, 100)
    os.write(1, b"\\x1b[5;1H%s" % keys.replace(b"\\x1b", b"ESC"))
termios.tcsetattr(0, termios.TCSANOW, before)
"""


def test_events_are_collected_and_waited_for(p2p: Start, tmp_path: Path) -> None:
    process = p2p(TELLS, program=PYTHON, stdin=subprocess.PIPE, name="bob")
    assert process.wait_event("listening", port=5)["home"] == str(tmp_path / "bob")
    process.wait_event("stats")
    process.wait_event("stats")
    process.wait_stderr("done")
    assert len(process.all_events("stats")) == 2
    assert process.exit_code is None
    process.feed(b"", close=True)
    assert process.wait_exit() == 0
    assert process.stdout.startswith(b"noise\n")


def test_the_end_of_the_process_ends_the_wait(p2p: Start) -> None:
    process = p2p("import sys; sys.exit('it broke')", program=PYTHON)
    with pytest.raises(AssertionError, match=r"no event connected(.|\n)*exit 1(.|\n)*it broke"):
        process.wait_event("connected", timeout=1000)
    assert process.wait_exit() == 1


@pytest.mark.terminal
def test_a_terminal_shows_answers_and_takes_keys(p2p: Start) -> None:
    process = p2p(SHOWS, program=PYTHON, terminal=(60, 20))
    modes = process.terminal_modes()
    process.wait_screen("60 columns", "ESC[2;4R")
    assert process.screen is not None
    assert process.screen.cell(1, 0).fg == "ff0000"
    assert process.screen.colours >= 2
    assert process.terminal_modes() != modes
    process.resize(40, 12)
    process.wait_screen("40 columns")
    process.send("xyz")
    process.wait_screen("xyz")
    process.send("q")
    assert process.wait_exit() == 0
    assert process.terminal_modes() == modes


@pytest.mark.terminal
def test_ctrl_c_in_the_terminal_is_a_signal(p2p: Start) -> None:
    process = p2p("import time; print('up'); time.sleep(100)", program=PYTHON, terminal=(60, 20))
    process.wait_screen("up")
    process.send("\x03")
    assert process.wait_exit() in {1, 130, -signal.SIGINT}


def test_what_is_left_behind_is_found_and_ended(tmp_path: Path) -> None:
    child = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, flush=True)"
    process = P2P([child], Surroundings(tmp_path, program=PYTHON, stderr=subprocess.DEVNULL))
    process.wait_stdout_bytes(2)
    pid = int(process.stdout)
    assert session_members(process.pid) != []
    with pytest.raises(AssertionError, match=f"processes left behind: .*{pid}"):
        process.stop()
    assert session_members(process.pid) == []


def test_raw_bytes_go_through_pipes(p2p: Start) -> None:
    copy = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    process = p2p(copy, program=PYTHON, stdin=subprocess.PIPE)
    data = bytes(range(256)) * 100
    writer = threading.Thread(target=process.feed, args=[data], kwargs={"close": True})
    writer.start()
    process.wait_stdout_bytes(len(data))
    writer.join()
    assert process.wait_exit() == 0
    assert process.stdout == data


@pytest.mark.netns
def test_a_process_in_a_namespace_has_the_pid_it_is_known_by(p2p: Start, netns_pair: NetnsPair) -> None:
    tell = "import os, subprocess; print(os.getpid(), subprocess.getoutput('ip -4 -o addr'), flush=True)"
    process = p2p(tell, program=PYTHON, net=netns_pair, side="b")
    assert process.wait_exit() == 0
    pid, addresses = process.stdout.decode().split(" ", 1)
    assert int(pid) == process.pid
    assert netns_pair.ipv4["b"] in addresses


def test_the_program_listens_and_ends_on_sigterm(p2p: Start) -> None:
    listener = p2p("listen", "--json", "--port", "0", "--bind", "127.0.0.1", "--announce", "off", *QUIET)
    assert listener.wait_event("listening")["port"] > 0
    listener.signal(signal.SIGTERM)
    listener.wait_exit()
    assert not os.path.lexists(f"/proc/{listener.pid}")


def test_the_program_calls_itself(p2p: Start) -> None:
    options = ("--json", *QUIET)
    listen = ("listen", "--port", "0", "--bind", "127.0.0.1", "--announce", "off", "--answer", "anyone")
    bob = p2p(*listen, "--once", *options, "--name", "bob")
    port = bob.wait_event("listening")["port"]
    alice = p2p("dial", f"127.0.0.1:{port}", *options, "--name", "alice", "--max-duration", "1")
    assert alice.wait_event("connected")["sas"] == bob.wait_event("connected")["sas"]
    assert alice.wait_exit() == 0
    assert bob.wait_exit() == 0
    assert bob.all_events("ended")[0]["exit"] == 0
