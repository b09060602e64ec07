"""The terminal's owner on a pseudo-terminal: modes, keys, back-pressure, and a terminal that goes away."""

import os
import pty
import select
import signal
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from struct import pack

import pytest

from p2pcall.view.guard import TerminalGuard
from p2pcall.view.terminal import Terminal


class Pty:
    """A pseudo-terminal: `master` is the window's side."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.before = termios.tcgetattr(self.slave)

    def seen(self) -> bytes:
        """All that has been written to the terminal so far."""
        out = b""
        while select.select([self.master], [], [], 0)[0]:
            out += os.read(self.master, 65536)
        return out

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def resize(self, cols: int, rows: int, x_pixels: int = 0, y_pixels: int = 0) -> None:
        ioctl(self.slave, termios.TIOCSWINSZ, pack("HHHH", rows, cols, x_pixels, y_pixels))

    def close(self) -> None:
        for fd in (self.master, self.slave):
            try:
                os.close(fd)
            except OSError:
                continue


@pytest.fixture
def tty() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.close()


@pytest.fixture
def terminal(tty: Pty) -> Iterator[Terminal]:
    made = Terminal(tty.slave, tty.slave, guard=False)
    yield made
    made.close()


def test_entering_and_leaving(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    during = termios.tcgetattr(tty.slave)
    assert not during[3] & (termios.ECHO | termios.ICANON)
    assert during[3] & termios.ISIG
    seen = tty.seen()
    for wanted in (b"\x1b[?1049h", b"\x1b[?25l", b"\x1b[?2004h", b"\x1b[?7l"):
        assert wanted in seen
    terminal.set_title("Bob \x1b[31m")
    assert tty.seen() == b"\x1b[22;2t\x1b]2;Bob [31m\x1b\\"
    terminal.leave()
    assert termios.tcgetattr(tty.slave) == tty.before
    seen = tty.seen()
    for wanted in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l", b"\x1b[?7h", b"\x1b[0m", b"\x1b[23;2t"):
        assert wanted in seen
    terminal.leave()
    assert tty.seen() == b""


def test_keys_for_a_question_leave_the_screen_alone(tty: Pty, terminal: Terminal) -> None:
    terminal.enter(alternate=False)
    assert b"1049" not in tty.seen()
    tty.type(b"a")
    assert terminal.read_keys() == ["a"]
    terminal.enter()
    assert b"\x1b[?1049h" in tty.seen()
    terminal.enter(alternate=False)
    assert b"\x1b[?1049l" in tty.seen()
    assert terminal.entered
    terminal.leave()
    assert termios.tcgetattr(tty.slave) == tty.before


def test_nothing_is_written_when_it_is_not_ours(tty: Pty, terminal: Terminal) -> None:
    assert not terminal.write(b"early")
    terminal.enter()
    terminal.leave()
    tty.seen()
    assert not terminal.write(b"late")
    assert tty.seen() == b""


def test_keys_never_wait(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    assert terminal.read_keys() == []
    tty.type(b"m\x1b[A")
    assert terminal.read_keys() == ["m", "up"]


@pytest.mark.parametrize("typed", [b"q", b"\x1b[200~", b"\x1b", b"\xc3"])
@pytest.mark.parametrize("read", [False, True])
def test_what_was_typed_before_can_be_forgotten(
    tty: Pty, terminal: Terminal, typed: bytes, read: bool
) -> None:
    """Whether it waits in the system's queue, or is half of something and waits here."""
    tty.type(typed)
    terminal.enter()
    if read:
        terminal.read_keys()
    terminal.discard_typed()
    assert terminal.read_keys() == []
    tty.type(b"m")
    assert terminal.read_keys() == ["m"]


def test_what_was_typed_is_left_to_whoever_has_the_terminal(tty: Pty, terminal: Terminal) -> None:
    tty.type(b"ls\n")
    terminal.discard_typed()
    assert os.read(tty.slave, 100) == b"ls\n"


def test_a_terminal_that_answers_still_does_after_keys_are_forgotten(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    terminal.write(b"one", ask=True)
    tty.type(b"\x1b[0n")
    terminal.read_keys()
    terminal.write(b"two", ask=True)
    tty.type(b"\x1b[0n")
    terminal.discard_typed()
    assert terminal.ready()
    terminal.write(b"three", ask=True)
    assert not terminal.ready()
    tty.type(b"\x1b[0n")
    terminal.read_keys()
    assert terminal.ready()


def test_keys_come_from_the_terminal_where_stdin_is_a_pipe(tty: Pty) -> None:
    read_end, write_end = os.pipe()
    terminal = Terminal(read_end, tty.slave, guard=False)
    terminal.enter()
    assert terminal.fd_in != read_end
    tty.type(b"q")
    assert terminal.read_keys() == ["q"]
    terminal.close()
    os.close(read_end)
    os.close(write_end)


def test_the_callers_stdin_stays_blocking(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    assert os.get_blocking(tty.slave)


def test_no_terminal_is_said_at_once() -> None:
    read_end, write_end = os.pipe()
    with pytest.raises(OSError, match="ioctl"):
        Terminal(read_end, write_end)
    os.close(read_end)
    os.close(write_end)


def test_sizes(tty: Pty, terminal: Terminal) -> None:
    tty.resize(0, 0)
    assert terminal.size() == (80, 24)
    assert terminal.cell_aspect() == 2.0
    tty.resize(120, 40, 840, 560)
    assert terminal.size() == (120, 40)
    assert terminal.cell_aspect() == 2.0
    tty.resize(100, 30, 600, 390)
    assert terminal.cell_aspect() == pytest.approx(13 / 6)
    tty.resize(100, 30, 60000, 30)
    assert terminal.cell_aspect() == 1.4


def test_what_a_full_terminal_does_not_take_is_kept(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    tty.seen()
    data = bytes(range(32, 127)) * 3000
    assert terminal.write(data)
    assert not terminal.ready()
    assert not terminal.flush(0.01)
    seen = b""
    while not terminal.ready():
        seen += tty.seen()
    seen += tty.seen()
    assert seen == data


def test_a_terminal_that_answers_sets_the_pace(tty: Pty, terminal: Terminal) -> None:
    ready = []
    terminal.on_ready = lambda: ready.append(True)
    terminal.enter()
    terminal.write(b"one", ask=True)
    assert tty.seen().endswith(b"one\x1b[5n")
    assert terminal.ready()  # not known yet whether it answers
    tty.type(b"\x1b[0n")
    assert terminal.read_keys() == []
    terminal.write(b"two", ask=True)
    assert not terminal.ready()
    ready.clear()
    tty.type(b"\x1b[0n")
    terminal.read_keys()
    assert ready
    assert terminal.ready()


def test_the_first_answer_is_not_left_for_the_shell(
    tty: Pty, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, answered = Terminal._wait, []

    def answering(self: Terminal, seconds: float, *, writable: bool) -> bool:
        if not writable:
            tty.type(b"\x1b[0n")
            answered.append(True)
        return wait(self, seconds, writable=writable)

    monkeypatch.setattr(Terminal, "_wait", answering)
    terminal.enter()
    terminal.write(b"one", ask=True)
    terminal.leave()
    assert answered == [True]
    assert not select.select([tty.slave], [], [], 0)[0]
    assert b"[0n" not in tty.seen()


def test_a_terminal_that_never_answers_is_not_asked_for_ever(
    tty: Pty, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("p2pcall.view.terminal.time.monotonic", lambda: now[0])
    terminal.enter()
    asked = 0
    for _ in range(20):
        assert terminal.ready()
        terminal.write(b"x", ask=True)
        asked += tty.seen().count(b"\x1b[5n")
        now[0] += 0.7
    assert asked == 2


def test_a_terminal_that_stopped_answering_is_drawn_on_after_a_while(
    tty: Pty, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("p2pcall.view.terminal.time.monotonic", lambda: now[0])
    terminal.enter()
    terminal.write(b"x", ask=True)
    tty.type(b"\x1b[0n")
    terminal.read_keys()
    terminal.write(b"x", ask=True)
    assert not terminal.ready()
    now[0] += 1.1
    assert terminal.ready()


def test_a_terminal_that_goes_away_is_no_error(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    os.close(tty.master)
    assert terminal.read_keys() == ["eof"]
    assert terminal.gone
    assert not terminal.available
    assert not terminal.write(b"x")
    assert terminal.size() == (80, 24) or terminal.size()
    terminal.leave()
    terminal.enter()
    terminal.leave()


def test_leaving_a_terminal_that_takes_nothing_ends(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    terminal.write(b"x" * 1_000_000)
    terminal.leave()
    assert termios.tcgetattr(tty.slave) == tty.before
    assert not terminal.entered


def test_leaving_cuts_a_sequence_off_cleanly(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    terminal.write(b"\x1b[38;2;1;2;3m" * 100_000)
    terminal.leave()
    terminal.flush()
    terminal_end = tty.seen()
    assert terminal.flush(0.1)
    assert b"\x18\x1b[?2026l" in terminal_end + tty.seen()


def test_another_ones_terminal_is_left_alone(
    tty: Pty, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the background it would stop us to change its modes. Not gone: with `fg` it is ours again."""
    foreground = [os.getpgrp() + 1]
    monkeypatch.setattr("p2pcall.view.terminal.os.tcgetpgrp", lambda _: foreground[0])
    assert not terminal.available
    terminal.enter()
    assert not terminal.entered
    assert (tty.seen(), termios.tcgetattr(tty.slave)) == (b"", tty.before)
    foreground[0] = os.getpgrp()
    assert terminal.available
    terminal.enter()
    assert terminal.entered


def test_suspend_and_resume(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    terminal.suspend()
    assert termios.tcgetattr(tty.slave) == tty.before
    tty.seen()
    terminal.resume()
    assert terminal.entered
    assert b"\x1b[?1049h" in tty.seen()
    terminal.leave()
    terminal.suspend()
    terminal.resume()
    assert not terminal.entered


def test_signals_of_others_are_left_alone(terminal: Terminal) -> None:
    mine = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        terminal.enter()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
        terminal.leave()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_the_guard_goes_with_the_terminal(tty: Pty) -> None:
    terminal = Terminal(tty.slave, tty.slave)
    terminal.enter()
    assert terminal._guard
    process = terminal._guard._process
    assert process
    assert process.poll() is None
    terminal.close()
    assert process.wait() == 0
    assert tty.seen().count(b"\x1b[?1049l") == 1


def test_a_guard_that_is_slow_to_go_is_not_waited_for_and_collected_later(
    tty: Pty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setattr("p2pcall.view.guard._SCRIPT", f"read -r word; read -r word <{gate}; exit 3")
    guard = TerminalGuard()
    guard.start(tty.slave, "saved", b"")
    process = guard._process
    assert process
    guard.stop()
    assert process.poll() is None
    gate.write_text("go\n")
    process.wait()
    guard.start(tty.slave, "", b"")
    assert (process.returncode, guard._former) == (3, [])


def test_how_long_a_key_is_held_is_asked_for_and_taken_back_on_each_screen(
    tty: Pty, terminal: Terminal
) -> None:
    on, off = b"\x1b[>3u\x1b[?1004h", b"\x1b[?1004l\x1b[<u"
    terminal.enter(alternate=False, holds=True)
    terminal.enter()
    terminal.enter(alternate=False)
    terminal.suspend()
    terminal.resume()
    terminal.leave()
    seen, screens = tty.seen(), []
    while on in seen:
        before, _, seen = seen.partition(on)
        screens.append(before)
    screens.append(seen)
    assert [off in screen for screen in screens] == [False, *[True] * 4]
    assert screens[1].index(off) < screens[1].index(b"\x1b[?1049h")
    assert screens[2].index(off) < screens[2].index(b"\x1b[?1049l")
    terminal.enter()
    terminal.leave()
    assert on not in tty.seen()


def test_a_terminal_without_sequences_is_not_asked_how_long_a_key_is_held(tty: Pty) -> None:
    terminal = Terminal(tty.slave, tty.slave, guard=False, sequences=False)
    terminal.enter(alternate=False, holds=True)
    terminal.leave()
    terminal.close()
    assert tty.seen() == b""


def test_the_guard_takes_back_what_tells_how_long_a_key_is_held(
    tty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    restores: list[bytes] = []
    monkeypatch.setattr(TerminalGuard, "start", lambda _, tty, saved, restore: restores.append(restore))
    terminal = Terminal(tty.slave, tty.slave)
    for holds in (True, False):
        terminal.enter(holds=holds)
        terminal.leave()
    terminal.close()
    assert [b"\x1b[<u" in restore for restore in restores] == [True, False]
    assert restores[0].index(b"\x1b[<u") < restores[0].index(b"\x1b[?1049l")


def test_a_control_key_that_comes_as_a_key_is_still_a_signal(
    tty: Pty, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[int] = []
    monkeypatch.setattr("p2pcall.view.terminal.signal.raise_signal", raised.append)
    terminal.enter(alternate=False, holds=True)
    tty.type(b"a\x1b[99;5u\x1b[122;5u\x1b[92;5u\x1b[108;5u")
    assert terminal.read_keys() == ["a", "ctrl-l"]
    assert raised == [signal.SIGINT, signal.SIGTSTP, signal.SIGQUIT]


def test_pictures_in_pixels_are_removed_before_the_screen_is_left(
    tty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bytes] = []
    monkeypatch.setattr(TerminalGuard, "start", lambda _self, _tty, _mode, rest: told.append(rest))
    terminal = Terminal(tty.slave, tty.slave, undo=b"\x1b_Ga=d\x1b\\")
    terminal.enter()
    terminal.leave()
    for out in (tty.seen(), *told):
        assert 0 < out.index(b"\x1b_Ga=d\x1b\\") < out.index(b"\x1b[?1049l")
    terminal.close()


def test_what_the_terminal_tells_of_its_graphics_is_passed_on(tty: Pty, terminal: Terminal) -> None:
    terminal.enter()
    told: list[bytes] = []
    terminal.on_report = told.append
    tty.type(b"a\x1b_Gi=1;OK\x1b\\\x1b[?62;4cb")
    select.select([tty.slave], [], [], 1)
    assert terminal.read_keys() == ["a", "b"]
    assert told == [b"\x1b_Gi=1;OK\x1b\\", b"\x1b[?62;4c"]
