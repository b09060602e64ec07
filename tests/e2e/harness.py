"""The program as a real process: `python -m p2pcall ...` with a home, a namespace, a terminal of its own.

    bob = p2p("listen", "--json", "--port", "0", "--answer", "anyone")
    port = bob.wait_event("listening")["port"]
    alice = p2p("dial", f"127.0.0.1:{port}", terminal=(120, 40))
    alice.wait_screen("bob")
    alice.send("q")
    assert alice.wait_exit() == 0

(`p2p` is the fixture.) Its standard output is read by a thread: lines of JSON become events, all of it stays in
`stdout`. With a terminal, what is not said otherwise is the terminal, and `screen` shows what a person would see.
Everything waits on a condition that the reading threads announce; nothing sleeps, and a process that ends ends the
wait. `stop` ends it by its own pid and asserts that no process of its session is left. Linux and macOS.
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pyte
from netns import NetnsPair, Side

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT_S = 30.0
"""How long anything is waited for; a passing test never waits this long."""
END_GRACE_S = 10.0
LAST_BREATH_S = 2.0
"""How long a child that is just ending may still be seen."""
OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0);"
    " os.execvp(sys.argv[2], sys.argv[2:])"
)
"""Takes the terminal on this descriptor as the controlling one (so that Ctrl-C in it is a signal), then goes on."""

HEAD_BYTES = 1024
"""What is kept of standard output in any case."""

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the screen: its character and colours (`default`, a name or six hex digits)."""

    char: str
    fg: str
    bg: str


class Emulator(pyte.Screen):
    """pyte's terminal, which answers when it is asked where the cursor is, as a real one does."""

    def __init__(self, cols: int, rows: int, reply: Callable[[bytes], None]) -> None:
        self._answer = reply
        super().__init__(cols, rows)

    def write_process_input(self, data: str) -> None:
        self._answer(data.encode())


class Screen:
    """What a person would see in the terminal; fed by the thread that reads it."""

    def __init__(self, cols: int, rows: int, reply: Callable[[bytes], None]) -> None:
        self._screen = Emulator(cols, rows, reply)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    def resize(self, cols: int, rows: int) -> None:
        self._screen.resize(rows, cols)

    @property
    def lines(self) -> list[str]:
        """The rows, each as long as the screen is wide."""
        return list(self._screen.display)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    def cell(self, row: int, col: int) -> Cell:
        cell = self._screen.buffer[row][col]
        return Cell(cell.data, cell.fg, cell.bg)

    @property
    def colours(self) -> int:
        """How many different colours are on the screen: few for text, many for a picture."""
        rows, cols = self._screen.lines, self._screen.columns
        cells = [self.cell(row, col) for row in range(rows) for col in range(cols)]
        return len({cell.fg for cell in cells} | {cell.bg for cell in cells})

    @property
    def cursor_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)


PROGRAM = (sys.executable, "-m", "p2pcall")


@dataclass(slots=True)
class Surroundings:
    """Where a process runs."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    net: NetnsPair | None = None
    side: Side = "a"
    terminal: tuple[int, int] | None = None
    """Columns and rows of its terminal; None: no terminal, standard input is empty (or `stdin`)."""
    program: Sequence[str] = PROGRAM
    """What is run with the arguments; another one for a pipeline (`["sh", "-c"]`)."""
    keep: bool = True
    """False: what it writes to standard output and terminal is counted (`stdout_count`), not kept but for a head."""
    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    """Descriptors or `subprocess.PIPE`/`DEVNULL`, as for `Popen`. Standard output is read if it is a pipe."""


class P2P:
    """One process of the program."""

    def __init__(self, argv: Sequence[str], where: Surroundings) -> None:
        self.argv = list(argv)
        self._json = "--json" in self.argv
        self.stdout = bytearray()
        self.stdout_count = 0
        self.stderr = bytearray()
        self.terminal_output = bytearray()
        self.events: list[Event] = []
        self.screen: Screen | None = None
        self._changed = threading.Condition()
        self._partial = b""
        self._seen: dict[str, int] = {}
        self._threads: list[threading.Thread] = []
        self._open = 0
        self._keep = where.keep
        self._master: int | None = None
        self.process = self._start(where)
        self._read(self.process.stdout, self._take_stdout, "stdout")
        self._read(self.process.stderr, self._take_stderr, "stderr")
        if self._master is not None:
            self._read_descriptor(self._master, self._take_terminal, "terminal")
        waiter = threading.Thread(target=self._wait_process, name="p2pcall-exit")
        waiter.start()
        self._threads.append(waiter)

    # ---- start

    def _start(self, where: Surroundings) -> "subprocess.Popen[bytes]":
        command = [*where.program, *self.argv]
        quiet = {"COLUMNS", "LINES", "TERM", "COLORTERM", "NO_COLOR", "CI", "PYTHONDONTWRITEBYTECODE"}
        quiet |= {"DISPLAY", "WAYLAND_DISPLAY"}
        environ = {name: value for name, value in os.environ.items() if name not in quiet}
        environ |= {"P2PCALL_HOME": str(where.home), "PYTHONPATH": str(ROOT)}
        environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"} | dict(where.env)
        stdin, stdout, stderr = where.stdin, where.stdout, where.stderr
        slave = None
        if where.terminal is not None:
            self._master, slave = pty.openpty()
            self._set_size(*where.terminal)
            self.screen = Screen(*where.terminal, self._reply)
            tty = slave
            stdin = tty if stdin is None else stdin
            stdout = (subprocess.PIPE if self._json else tty) if stdout is None else stdout
            stderr = tty if stderr is None else stderr
            command = [sys.executable, "-c", OWN_TERMINAL, str(slave), *command]
        if where.net is not None:
            command = where.net.argv(where.side, command)
        try:
            return subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.PIPE if stderr is None else stderr,
                start_new_session=True,
                pass_fds=[] if slave is None else [slave],
            )
        finally:
            if slave is not None:
                os.close(slave)

    # ---- reading

    def _read(self, pipe: Any, take: Callable[[bytes], None], name: str) -> None:
        if pipe is not None:
            self._read_descriptor(pipe.fileno(), take, name)

    def _read_descriptor(self, descriptor: int, take: Callable[[bytes], None], name: str) -> None:
        def read() -> None:
            while True:
                try:
                    data = os.read(descriptor, 65536)
                except OSError:  # a terminal whose other end is closed says EIO where a pipe says end of file
                    data = b""
                with self._changed:
                    if data:
                        take(data)
                    else:
                        self._open -= 1
                    self._changed.notify_all()
                if not data:
                    return

        self._open += 1
        thread = threading.Thread(target=read, name=f"p2pcall-{name}")
        thread.start()
        self._threads.append(thread)

    def _take_stdout(self, data: bytes) -> None:
        self.stdout_count += len(data)
        self.stdout += data if self._keep else data[: max(0, HEAD_BYTES - len(self.stdout))]
        if not self._keep and not self._json:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line.startswith(b'{"v":'):
                self.events.append(json.loads(line))

    def _take_stderr(self, data: bytes) -> None:
        self.stderr += data

    def _take_terminal(self, data: bytes) -> None:
        if not self._keep:
            return
        self.terminal_output += data
        if self.screen is not None:
            self.screen.feed(data)

    def _wait_process(self) -> None:
        self.process.wait()
        with self._changed:
            self._changed.notify_all()

    # ---- waiting

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.returncode

    def _ended(self) -> bool:
        """Whether the process and all that it wrote have been seen."""
        return self._open == 0 and self.process.returncode is not None

    def wait_until(self, true: Callable[[], bool], what: str, timeout: float = WAIT_S) -> None:
        """Wait until something that the reading threads bring about is true; a process that has ended is no hope."""
        with self._changed:
            self._changed.wait_for(lambda: true() or self._ended(), timeout)
            if not true():
                raise AssertionError(f"no {what}\n{self.report()}")

    def wait_event(self, name: str, /, timeout: float = WAIT_S, **fields: object) -> Event:
        """The next event of this name (with these fields) that no earlier wait for the name has given."""
        found: list[Event] = []

        def seek() -> bool:
            for index in range(self._seen.get(name, 0), len(self.events)):
                event = self.events[index]
                if event["event"] == name and all(event.get(key) == value for key, value in fields.items()):
                    self._seen[name] = index + 1
                    found.append(event)
                    return True
            return bool(found)

        self.wait_until(lambda: bool(found) or seek(), f"event {name} {fields or ''}", timeout)
        return found[0]

    def all_events(self, name: str) -> list[Event]:
        """Every event of this name so far."""
        with self._changed:
            return [event for event in self.events if event["event"] == name]

    def wait_screen(self, *texts: str, timeout: float = WAIT_S) -> None:
        """Wait until the terminal shows all of these texts at once."""
        self.wait_until(
            lambda: all(text in self.screen_text for text in texts), f"screen with {texts}", timeout
        )

    def wait_stderr(self, text: str, timeout: float = WAIT_S) -> None:
        """Wait until this was written to standard error (a pipe)."""
        self.wait_until(lambda: text in self.stderr_text, f"standard error with {text!r}", timeout)

    def wait_stdout_bytes(self, count: int, timeout: float = WAIT_S) -> None:
        """Wait until this many bytes came out of standard output (a pipe)."""
        self.wait_until(lambda: self.stdout_count >= count, f"{count} bytes of output", timeout)

    def wait_exit(self, timeout: float = WAIT_S) -> int:
        """Wait for the end and all output; the exit status."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.process.returncode is not None, timeout):
                raise AssertionError(f"still running\n{self.report()}")
        for thread in self._threads:
            thread.join(END_GRACE_S)
        return int(self.process.returncode)

    # ---- what it shows

    @property
    def screen_text(self) -> str:
        """What the terminal shows, rows joined by line ends."""
        with self._changed:
            return self.screen.text if self.screen is not None else ""

    @property
    def stderr_text(self) -> str:
        return self.stderr.decode(errors="replace")

    def report(self) -> str:
        """All that is known, for the message of a failed test."""
        lines = [f"{' '.join(self.argv)}: exit {self.exit_code}, pid {self.pid}"]
        names = [event["event"] for event in self.events if event["event"] != "stats"]
        lines += [f"events: {' '.join(names) or 'none'}"]
        lines += [f"last events: {json.dumps(event)}" for event in self.events[-3:]]
        if self.stderr:
            lines += ["stderr:", self.stderr_text[-2000:]]
        if self.screen is not None:
            lines += ["screen:", self.screen.text]
        elif self.stdout and not self.events:
            lines += ["stdout:", self.stdout[-500:].decode(errors="replace")]
        return "\n".join(lines)

    # ---- what is done to it

    def send(self, keys: str | bytes) -> None:
        """Type into the terminal."""
        if self._master is None:
            raise ValueError("started without a terminal")
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def _reply(self, data: bytes) -> None:
        if self._master is not None:
            with contextlib.suppress(OSError):
                os.write(self._master, data)

    def feed(self, data: bytes, *, close: bool = False) -> None:
        """Write to standard input (started with `stdin=PIPE`); waits while the pipe is full."""
        assert self.process.stdin is not None, "started without stdin=PIPE"
        self.process.stdin.write(data)
        self.process.stdin.flush()
        if close:
            self.process.stdin.close()

    def _set_size(self, cols: int, rows: int) -> None:
        assert self._master is not None
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def resize(self, cols: int, rows: int) -> None:
        """Change the size of the terminal; the process gets SIGWINCH."""
        with self._changed:
            assert self.screen is not None, "started without a terminal"
            self.screen.resize(cols, rows)
            self._set_size(cols, rows)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def terminal_modes(self) -> list[Any]:
        """The terminal's settings as `termios.tcgetattr` gives them, to see that they come back."""
        assert self._master is not None, "started without a terminal"
        return termios.tcgetattr(self._master)

    def stop(self) -> None:
        """End the process by its pid, collect it, and assert that nothing of its session is left."""
        stubborn = False
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_GRACE_S)
            except subprocess.TimeoutExpired:
                stubborn = True
                self.process.kill()
                self.process.wait()
        left = [pid for pid in session_members(self.pid) if not ends(pid, LAST_BREATH_S)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            ends(pid, END_GRACE_S)
        for thread in self._threads:
            thread.join(END_GRACE_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if self._master is not None:
            os.close(self._master)
            self._master = None
        assert not stubborn, f"SIGTERM did not end it\n{self.report()}"
        assert not left, f"processes left behind: {left}\n{self.report()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def ends(pid: int, timeout: float) -> bool:
    """Wait for a process that is not our child to end; whether it did in time. Linux."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)


def session_members(session: int) -> list[int]:
    """The processes of that session which still live, on Linux; elsewhere none are known."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, _group, its_session = entry.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state not in "ZX":
                found.append(int(entry.parent.name))
    return found
