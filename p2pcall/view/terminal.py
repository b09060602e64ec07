"""Owner of the terminal: its modes, its size, bytes to it and keys from it.

Rules: the terminal is restored on every exit: `leave`, the end of the interpreter, SIGTERM, SIGHUP, SIGQUIT (where
nobody else handles them), Ctrl-Z, and by `guard` after a sudden death. Nothing here waits for a slow terminal: output
that it does not take is kept, and `ready` is false until it has taken all. A terminal that is gone is not an error:
`gone` becomes true. Keys are in cbreak mode: Ctrl-C and Ctrl-Z come as signals. Follows POSIX termios, ECMA-48,
xterm's private modes. Left out: what is drawn (`screen`), the meaning of keys (`engine`).
"""

import atexit
import os
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from types import FrameType
from typing import Any, Final

from .guard import TerminalGuard
from .keys import KeyParser
from .sanitize import clean

_HIDE_CURSOR, _SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"
_ALTERNATE_ON, _ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"
_PASTE_ON, _PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"
_WRAP_OFF, _WRAP_ON = b"\x1b[?7l", b"\x1b[?7h"
_TITLE_PUSH, _TITLE_POP = b"\x1b[22;2t", b"\x1b[23;2t"
_SYNC_OFF, _RESET, _CANCEL = b"\x1b[?2026l", b"\x1b[0m", b"\x18"
_HOLDS_ON, _HOLDS_OFF = b"\x1b[>3u\x1b[?1004h", b"\x1b[?1004l\x1b[<u"
"""Kitty's keyboard protocol: keys that could be mistaken are told apart, and their release is told; each screen has its
own. And xterm's telling of focus."""
_SIGNALS: Final = {"ctrl-c": signal.SIGINT, "ctrl-z": signal.SIGTSTP, "ctrl-\\": signal.SIGQUIT}
"""Then they come as keys, of which the line discipline makes nothing."""
_ASK: Final = b"\x1b[5n"

_ANSWER_TIMEOUT_S: Final = 1.0
"""Longest wait for an answer; then the next frame is drawn without it, or the terminal is left."""
_MAX_UNANSWERED: Final = 2
"""A terminal that never answers is asked at most this many times."""
_LEAVE_WAIT_S: Final = 0.3
_MAX_STOPS: Final = 16
_WINSIZE: Final = struct.Struct("HHHH")
_READ_BYTES: Final = 4096
"""Largest read of keys and answers."""
_ASPECTS: Final = (1.4, 2.6)
"""Bounds of a cell's height divided by its width: no font is outside, but a terminal's answer may be."""
_DEFAULT_SIZE: Final = (80, 24)
_DEATHS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Terminal:
    """The terminal behind `fd_out`; keys come from `fd_in` or, if that is not a terminal (a pipe), from `fd_out`."""

    def __init__(
        self,
        fd_in: int = 0,
        fd_out: int = 1,
        *,
        guard: bool = True,
        sequences: bool = True,
        undo: bytes = b"",
    ) -> None:
        """Changes nothing yet. Without `sequences`, entering and leaving without `alternate` write no escape sequence.
        `undo` is written before the alternate screen is left, however that happens. Raises OSError if `fd_out` is not
        a terminal.
        """
        name = os.ttyname(fd_out)
        try:
            # Our own open file description: O_NONBLOCK must not change the shell's stdin.
            self._fd = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._fd = os.dup(fd_out)
        self.fd_in = fd_in if os.isatty(fd_in) else self._fd
        self.gone = False
        self.on_ready: Callable[[], None] | None = None
        """Called by `read_keys` when the terminal has taken the last frame."""
        self.on_resume: Callable[[], None] | None = None
        """Called when we have the terminal again after Ctrl-Z and `fg`: everything must be redrawn."""
        self.on_report: Callable[[bytes], None] | None = None
        """Called by `read_keys` with what the terminal tells of its graphics."""
        self.on_leave: Callable[[], None] | None = None
        """Called by `leave`; must not raise."""
        self._undo = undo
        self.escape_held = False
        """Whether the last byte read is an ESC: if nothing follows, call `read_keys` with `settled`."""
        self._lock = threading.RLock()
        self._keys = KeyParser()
        self._pending = b""
        self._saved: list[Any] | None = None
        self._alternate = self._titled = False
        self._asked_at: float | None = None
        self._answers = self._unanswered = 0
        self._resume_as = (False, False, False)
        self._handlers: dict[signal.Signals, Any] = {}
        self._guard = TerminalGuard() if guard else None
        self._paste = (_PASTE_ON, _PASTE_OFF) if sequences else (b"", b"")
        self._may_hold, self._holds = sequences, False
        self.on_suspend: Callable[[], object] | None = None
        """Called before the terminal is given back for Ctrl-Z."""

    @property
    def available(self) -> bool:
        """Whether `enter` can take it: it exists, and we are not in the background, where `enter` would stop us."""
        return not self.gone and not self._in_background()

    @property
    def entered(self) -> bool:
        """Whether we have taken the terminal."""
        return self._saved is not None

    def enter(self, *, alternate: bool = True, holds: bool = False) -> None:
        """Takes the terminal: single keys without echo; with `alternate` an empty screen without a cursor; with `holds`
        a terminal that can reports when keys are released and when it loses the focus.

        Can be called again to change `alternate`. `leave` ends it. Does nothing if the terminal is not `available`.
        """
        with self._lock:
            holds = (holds or self._holds) and self._may_hold
            if self._saved is None and not self._take(holds=holds):
                return
            if self._holds and alternate and not self._alternate:
                self.write(_HOLDS_OFF)
                self._holds = False
            if alternate and not self._alternate:
                self._alternate = True
                self.write(_ALTERNATE_ON + _HIDE_CURSOR + _WRAP_OFF + _RESET + b"\x1b[2J")
            elif self._alternate and not alternate:
                self._finish_output()
                self.write(self._restoring())
                self._alternate = self._titled = self._holds = False
            if holds and not self._holds:
                self._holds = True
                self.write(_HOLDS_ON)

    def leave(self) -> None:
        """Restores the terminal. Idempotent, never raises, from any thread, bounded in time."""
        locked = self._lock.acquire(timeout=_LEAVE_WAIT_S)
        try:
            saved = self._saved
            if saved is None:
                return
            answer_due = self._finish_output()
            self._pending = self._restoring() + self._paste[1]
            self._saved = None
            self._alternate = self._titled = self._holds = False
            restored = self.flush(_LEAVE_WAIT_S)
            if self.on_leave:
                self.on_leave()
            with suppress(termios.error, OSError):
                _set_mode_from_anywhere(self._fd, saved)
                if answer_due:
                    termios.tcflush(self._fd, termios.TCIFLUSH)  # a late answer is not for the shell
            atexit.unregister(self.leave)
            self._restore_signals()
            if self._guard:
                self._guard.stop(restored=restored)
        finally:
            if locked:
                self._lock.release()

    def suspend(self) -> None:
        """Restores the terminal until `resume`."""
        with self._lock:
            self._resume_as = (self.entered, self._alternate, self._holds)
            self.leave()

    def resume(self) -> None:
        """Takes the terminal again as before `suspend`; the screen must be redrawn."""
        entered, alternate, holds = self._resume_as
        if entered:
            self.enter(alternate=alternate, holds=holds)

    def close(self) -> None:
        """Leaves, and closes the file descriptor."""
        self.leave()
        with self._lock, suppress(OSError):
            self.gone = True
            os.close(self._fd)

    def size(self) -> tuple[int, int]:
        """Columns and rows now; 80×24 if the terminal does not give them."""
        cols, rows, _, _ = self._window()
        return (cols, rows) if cols > 0 and rows > 0 else _DEFAULT_SIZE

    def cell_aspect(self) -> float:
        """A cell's height divided by its width, if the terminal gives its size in pixels, else 2."""
        width, height = self.cell_pixels()
        return min(_ASPECTS[1], max(_ASPECTS[0], height / width)) if width > 0 else 2.0

    def cell_pixels(self) -> tuple[float, float]:
        """Width and height of a cell in pixels; zeros if the terminal does not give them."""
        cols, rows, x_pixels, y_pixels = self._window()
        if min(cols, rows, x_pixels, y_pixels) <= 0:
            return 0.0, 0.0
        return x_pixels / cols, y_pixels / rows

    def set_title(self, title: str) -> None:
        """Sets the window's title until `leave`."""
        with self._lock:
            push = b"" if self._titled else _TITLE_PUSH
            self._titled = self.write(push + b"\x1b]2;" + clean(title).encode() + b"\x1b\\")

    def ready(self) -> bool:
        """Whether the terminal has taken all output, as far as we know: then the next frame may be drawn."""
        with self._lock:
            if not self.flush():
                return False
            if self._asked_at is None:
                return True
            if time.monotonic() - self._asked_at < _ANSWER_TIMEOUT_S:
                return not self._answers
            self._asked_at = None
            self._unanswered += 1
            return True

    def write(self, data: bytes, *, ask: bool = False) -> bool:
        """Writes what the terminal takes now and keeps the rest for `flush`; false if it is not taken or gone.

        `ask` requests an answer after these bytes; until it comes `ready` is false.
        """
        with self._lock:
            if self.gone or self._saved is None:
                return False
            if ask and self._asked_at is None and (self._answers or self._unanswered < _MAX_UNANSWERED):
                data += _ASK
                self._asked_at = time.monotonic()
            self._pending += data
            self.flush()
            return not self.gone

    def flush(self, wait_s: float = 0.0) -> bool:
        """Writes the kept bytes, waiting for room up to `wait_s`. Returns whether all are written."""
        deadline = time.monotonic() + wait_s
        while self._pending and not self.gone:
            with self._lock:
                sent = self._put(self._pending)
                self._pending = self._pending[sent:]
            left = deadline - time.monotonic()
            if sent or not self._pending:
                continue
            if left <= 0 or not self._wait(left, writable=True):
                return False
        return not self._pending

    def read_keys(self, *, settled: bool = False) -> list[str]:
        """The keys pressed; call it when `fd_in` is readable. Never waits. "eof": the terminal went away.

        `settled`: nothing came for a while, so a held ESC is the Escape key.
        """
        keys = self._unless_signals(self._read())
        if settled:
            keys += self._keys.settle()
        self.escape_held = self._keys.escape_held
        for report in self._keys.take_reports():
            if self.on_report:
                self.on_report(report)
        if self._asked_at is None and self.on_ready:
            self.on_ready()
        return [*keys, "eof"] if self.gone else keys

    def _unless_signals(self, keys: list[str]) -> list[str]:
        """Without those that are signals, which are raised for all who have the terminal, as they always are."""
        if not self._holds:
            return keys
        for number in (_SIGNALS[key] for key in keys if key in _SIGNALS):
            try:
                os.killpg(os.tcgetpgrp(self._fd), number)
            except OSError:  # it does not control this process
                signal.raise_signal(number)
        return [key for key in keys if key not in _SIGNALS]

    def _read(self) -> list[str]:
        data = b""
        try:
            if select.select([self.fd_in], [], [], 0)[0]:
                data = os.read(self.fd_in, _READ_BYTES)
                self.gone = self.gone or not data
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            self.gone = True
        keys = self._keys.feed(data)
        self._note_answers()
        return keys

    def discard_typed(self) -> None:
        """Discards keys typed so far: they must not answer the next question."""
        with self._lock:
            if not self.entered:
                return
            with suppress(termios.error, OSError):
                termios.tcflush(self.fd_in, termios.TCIFLUSH)
            self._keys = KeyParser()
            self._keys.answers, self._asked_at = self._answers, None

    def _note_answers(self) -> None:
        with self._lock:
            if self._keys.answers > self._answers:
                self._answers, self._asked_at, self._unanswered = self._keys.answers, None, 0

    def _take(self, *, holds: bool) -> bool:
        """Sets modes, signals, and the guard. False if the terminal is gone, or another process has it now."""
        if self._in_background():
            return False
        try:
            saved = termios.tcgetattr(self._fd)
            text = TerminalGuard.saved_mode(self._fd) if self._guard else ""
            ours = [*saved[:6], list(saved[6])]
            ours[0] &= ~termios.IXON
            ours[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
            ours[6][termios.VMIN], ours[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._fd, termios.TCSANOW, ours)
        except (termios.error, OSError):
            self.gone = True
            return False
        self._saved = saved
        self._pending, self._asked_at = b"", None
        atexit.register(self.leave)
        self._catch_signals()
        on, off = self._paste
        self.write(on)
        if self._guard:
            rest = (
                _CANCEL
                + self._undo
                + (_HOLDS_OFF if holds else b"")
                + _SYNC_OFF
                + _RESET
                + _WRAP_ON
                + _SHOW_CURSOR
            )
            rest += _ALTERNATE_OFF + off + b"\r"
            self._guard.start(self._fd, text, rest if on else b"")
        return True

    def _restoring(self) -> bytes:
        """The bytes that undo `enter` on the screen."""
        out = _CANCEL if self._pending else b""
        self._pending = b""
        if self._holds:
            out += _HOLDS_OFF
        if self._alternate:
            out += self._undo + _SYNC_OFF + _RESET + _WRAP_ON + _SHOW_CURSOR + _ALTERNATE_OFF
        return out + (_TITLE_POP if self._titled else b"")

    def _finish_output(self) -> bool:
        """Waits a short time until the terminal has taken all output. Returns whether an answer is still missing."""
        self.flush(_LEAVE_WAIT_S)
        # A late answer would be echoed over the shell's prompt, so we wait even for the first one.
        while self._asked_at is not None and not self.gone:
            left = self._asked_at + _ANSWER_TIMEOUT_S - time.monotonic()
            if left <= 0 or not self._wait(left, writable=False):
                break
            self._read()
        answer_due, self._asked_at = self._asked_at is not None, None
        return answer_due

    def _put(self, data: bytes) -> int:
        """How many bytes the terminal took."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.gone, self._pending = True, b""
            return len(data)

    def _wait(self, seconds: float, *, writable: bool) -> bool:
        try:
            if writable:
                return bool(select.select([], [self._fd], [], seconds)[1])
            return bool(select.select([self.fd_in], [], [], seconds)[0])
        except (OSError, ValueError):
            self.gone = True
            return False

    def _window(self) -> tuple[int, int, int, int]:
        """Columns, rows, width and height in pixels; zeros where unknown."""
        try:
            packed = ioctl(self._fd, termios.TIOCGWINSZ, bytes(_WINSIZE.size))
        except OSError:
            return 0, 0, 0, 0
        rows, cols, x_pixels, y_pixels = _WINSIZE.unpack(packed)
        return cols, rows, x_pixels, y_pixels

    def _catch_signals(self) -> None:
        """Handles signals without a handler that would end or stop us before the terminal is restored."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (*_DEATHS, signal.SIGTSTP):
            if signal.getsignal(number) is signal.SIG_DFL:
                handler = self._on_stop if number is signal.SIGTSTP else self._on_death
                self._handlers[number] = handler
                signal.signal(number, handler)

    def _restore_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # the handlers stay; they are harmless, because `leave` is idempotent
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, signal.SIG_DFL)
        self._handlers.clear()

    def _on_death(self, number: int, _frame: FrameType | None) -> None:
        self.leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        if self.on_suspend:
            self.on_suspend()
        self.suspend()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Continued by SIGCONT. After `bg` we cannot draw, so the process stops again.
        for _ in range(_MAX_STOPS):
            if not self._in_background():
                break
            os.kill(os.getpid(), signal.SIGTTOU)
        self.resume()
        if self.on_resume:
            self.on_resume()

    def _in_background(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) != os.getpgrp()
        except OSError:
            return False


def _set_mode_from_anywhere(fd: int, mode: list[Any]) -> None:
    """tcsetattr that does not stop us if we are in the background."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        termios.tcsetattr(fd, termios.TCSANOW, mode)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
