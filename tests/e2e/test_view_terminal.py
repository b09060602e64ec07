"""The call screen in real terminals: a pseudo-terminal of its own session, tmux, and xterm on a virtual display.

Whatever way the process ends, the terminal is as it was; and what xterm paints is the picture.
"""

import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = pytest.mark.terminal

WAIT_S = 20.0
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[0m", b"\x1b[?2004l")

PROGRAM = """
import os, signal, sys, time
import av, numpy as np
from p2pcall.view.hud import HudState
from p2pcall.view.probe import Ability, Mode
from p2pcall.view.screen import Screen
from p2pcall.view.terminal import Terminal

how = sys.argv[1]
mode = Mode(sys.argv[2]) if sys.argv[2:] else Mode.BLOCKS
terminal = Terminal()
terminal.enter()
screen = Screen(terminal, mode, ability=Ability(sixel=True))
screen.set_hud(HudState(name="Bob", remote_video=True))
picture = np.zeros((240, 320, 3), np.uint8)
picture[:120, :160], picture[:120, 160:] = (220, 30, 30), (30, 220, 30)
picture[120:, :160], picture[120:, 160:] = (30, 30, 220), (220, 220, 30)
frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
for _ in range(3):
    screen.show(frame)
if how == "return": screen.close()
elif how == "forget": pass
elif how == "raise": raise RuntimeError("a bug")
elif how == "exit": sys.exit(3)
elif how == "interrupt": signal.raise_signal(signal.SIGINT)
elif how == "abort": os.abort()
elif how == "hard": os._exit(9)
else:
    import select
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([terminal.fd_in], [], [], 0.02)[0] and "q" in terminal.read_keys():
            break
        screen.show(frame)
    screen.close()
print("END", flush=True)
"""


def environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent.parent)
    return {**os.environ, "PYTHONPATH": root, "LC_ALL": "C.UTF-8"}


class Session:
    """`PROGRAM` as leader of a session whose terminal this is."""

    def __init__(self, how: str) -> None:
        self.seen = b""
        master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                os.close(master)
                self._login(slave)
                os.execve(sys.executable, [sys.executable, "-c", PROGRAM, how], environment())
            finally:
                os._exit(127)
        self.master, self.slave = master, slave

    @staticmethod
    def _login(slave: int) -> None:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)

    def wait_for(self, done: Callable[[], bool]) -> None:
        """Reads what the terminal gets, answering its questions, until `done`."""
        deadline = time.monotonic() + WAIT_S
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, self.seen[-2000:]
            if select.select([self.master], [], [], min(left, 0.05))[0]:
                data = os.read(self.master, 65536)
                self.seen += data
                os.write(self.master, b"\x1b[0n" * data.count(b"\x1b[5n"))

    def wait_end(self) -> int:
        """Until the process is gone; its status as `os.waitstatus_to_exitcode` gives it."""
        status: list[int] = []

        def gone() -> bool:
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status.append(os.waitstatus_to_exitcode(raw))
            return bool(pid)

        self.wait_for(gone)
        self.pid = 0
        return status[0]

    def drawing(self) -> None:
        self.wait_for(lambda: self.seen.count(b"\x1b[?2026l") > 1)

    def is_restored(self) -> bool:
        after = self.seen[self.seen.rindex(b"\x1b[?1049h") :]
        return all(code in after for code in RESTORED) and termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def session() -> Iterator[Callable[[str], Session]]:
    made: list[Session] = []

    def start(how: str) -> Session:
        made.append(Session(how))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("how", "status"),
    [("return", 0), ("forget", 0), ("raise", 1), ("exit", 3), ("interrupt", -signal.SIGINT)],
)
def test_every_way_out_restores_the_terminal(
    session: Callable[[str], Session], how: str, status: int
) -> None:
    one = session(how)
    assert one.wait_end() == status
    one.wait_for(one.is_restored)


@pytest.mark.parametrize("how", ["abort", "hard"])
def test_a_death_without_warning_is_mended_by_the_guard(session: Callable[[str], Session], how: str) -> None:
    one = session(how)
    assert one.wait_end() in (9, -signal.SIGABRT)
    one.wait_for(one.is_restored)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL])
def test_every_deadly_signal_restores_the_terminal(session: Callable[[str], Session], number: int) -> None:
    one = session("run")
    one.drawing()
    os.kill(one.pid, number)
    assert one.wait_end() == -number
    one.wait_for(one.is_restored)


def test_ctrl_z_gives_the_terminal_back_and_fg_draws_again(session: Callable[[str], Session]) -> None:
    one = session("run")
    one.drawing()
    # A session's leader has no shell above it and would ignore the stop: what is tested is what surrounds it.
    os.kill(one.pid, signal.SIGTSTP)
    one.wait_for(lambda: one.seen.count(b"\x1b[?1049h") == 2)
    before, _, _ = one.seen.rpartition(b"\x1b[?1049h")
    assert b"\x1b[?1049l" in before
    one.wait_for(lambda: b"\x1b[2J" in one.seen.rpartition(b"\x1b[?1049h")[2])
    os.write(one.master, b"q")
    assert one.wait_end() == 0
    one.wait_for(one.is_restored)


def test_a_window_that_closes_ends_the_program(session: Callable[[str], Session]) -> None:
    one = session("run")
    one.drawing()
    master, one.master = one.master, os.open(os.devnull, os.O_RDWR)
    os.close(master)
    deadline = time.monotonic() + WAIT_S
    while not os.waitpid(one.pid, os.WNOHANG)[0]:
        assert time.monotonic() < deadline
        select.select([], [], [], 0.01)
    one.pid = 0


def test_late_answers_do_not_reach_the_shell(session: Callable[[str], Session]) -> None:
    one = session("run")
    one.drawing()
    os.write(one.master, b"q")
    one.wait_end()
    assert not select.select([one.slave], [], [], 0)[0]


# ---- tmux


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    if not shutil.which("tmux"):
        pytest.skip("no tmux")
    socket = str(tmp_path / "tmux")

    def run(*argv: str) -> str:
        command = ["tmux", "-S", socket, "-f", os.devnull, *argv]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(), timeout=WAIT_S, check=True
        )
        return done.stdout

    yield run
    subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True, timeout=WAIT_S, check=False)


def test_in_tmux_it_is_drawn_resized_and_gone(tmux: Callable[..., str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    tmux("new-session", "-d", "-x", "80", "-y", "24", "sh")
    tmux("send-keys", f"'{sys.executable}' '{program}' run", "Enter")

    def until(done: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + WAIT_S
        while not done(text := tmux("capture-pane", "-p")):
            assert time.monotonic() < deadline, text
        return text

    lines = until(lambda text: "▄" in text and " Bob" in text.splitlines()[-1]).splitlines()
    assert len(lines) == 24
    tmux("resize-window", "-x", "40", "-y", "12")
    until(lambda text: len(text.splitlines()) == 12 and " Bob" in text.splitlines()[-1] and "▄" in text)
    tmux("send-keys", "q")
    after = until(lambda text: "END" in text)
    assert "▄" not in after
    assert "[0n" not in after


# ---- xterm


def grab(display: str) -> NDArray[np.uint8]:
    """What is on the virtual display."""
    options = {"video_size": "900x700", "framerate": "25"}
    with av.open(f"{display}.0", format="x11grab", options=options) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture
def display() -> Iterator[str]:
    if not shutil.which("Xvfb") or not shutil.which("xterm"):
        pytest.skip("no Xvfb or xterm")
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "900x700x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL) as server:
        os.close(write_end)
        with os.fdopen(read_end) as told:
            number = told.readline().strip()
        yield f":{number}"
        server.terminate()


def blurred(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Squares of eight pixels, each in its mean colour."""
    h, w = (side // 8 * 8 for side in picture.shape[:2])
    return picture[:h, :w].reshape(h // 8, 8, w // 8, 8, 3).mean(axis=(1, 3)).astype(np.uint8)


def share(picture: NDArray[np.uint8], rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """How much of the picture has nearly that colour, and the middle of it, in shares of the picture's sides."""
    hit = np.abs(picture.astype(int) - rgb).max(axis=2) <= 10
    rows, cols = np.nonzero(hit)
    if not len(rows):
        return 0.0, 0.0, 0.0
    return float(hit.mean()), float(rows.mean() / hit.shape[0]), float(cols.mean() / hit.shape[1])


@pytest.mark.parametrize("mode", ["blocks", "sixel"])
def test_xterm_paints_the_picture(display: str, tmp_path: Path, mode: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    env = {**environment(), "DISPLAY": display}
    window = [
        "xterm",
        "-ti",
        "vt340",
        "-u8",
        "-geometry",
        "100x40+0+0",
        "-fn",
        "fixed",
        "-e",
        sys.executable,
        str(program),
        "run",
        mode,
    ]
    with subprocess.Popen(window, env=env, stderr=subprocess.DEVNULL) as xterm:
        deadline = time.monotonic() + WAIT_S
        while True:
            seen = blurred(grab(display)) if mode == "sixel" else grab(display)  # which is dithered
            red, green, blue, yellow = (
                share(seen, rgb) for rgb in ((220, 30, 30), (30, 220, 30), (30, 30, 220), (220, 220, 30))
            )
            if min(red[0], green[0], blue[0], yellow[0]) > 0.05:
                break
            assert xterm.poll() is None
            assert time.monotonic() < deadline, (red, green, blue, yellow)
        xterm.terminate()
    # Each colour in its quarter, all of one size.
    assert red[1] < blue[1]
    assert green[1] < yellow[1]
    assert red[2] < green[2]
    assert blue[2] < yellow[2]
    areas = [red[0], green[0], blue[0], yellow[0]]
    assert max(areas) < 1.1 * min(areas)
