"""A line that a person types at the terminal without its being shown: a passphrase, a safe word.

Rules: it is asked on /dev/tty, so input and output may be pipes; where none of the three standard streams is a
terminal, or we are in the background of it, nobody is asked. What is typed is shown again on every way out, also when a
signal ends or stops us; a process that goes on asks again. The bytes that were read are overwritten; the copies that
the library and CPython make of them cannot be. Left out: SIGKILL and SIGSTOP, which nobody can catch.
"""

import os
import signal
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.seal import MAX_PASSPHRASE_BYTES

TTY: Final = "/dev/tty"
LEAVING: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
"""Signals that end or stop us where we stand; Ctrl-C is an exception already."""


def hidden_line(env: Env, prompt: str) -> bytes | None:
    """What is typed, without the end of the line; None if there is nobody to ask. P2PCallError if the terminal goes."""
    fd = _terminal(env)
    if fd is None:
        return None
    try:
        with _unseen(fd, prompt.encode()):
            return _line(fd)
    except (OSError, termios.error) as error:
        text = "the terminal is gone"
        raise P2PCallError("locked-identity", text, ExitCode.CONFIG, "give it in a file") from error
    finally:
        os.close(fd)


@contextmanager
def _unseen(fd: int, prompt: bytes) -> Iterator[None]:
    """Within the block what is typed is not shown."""
    before = termios.tcgetattr(fd)
    quiet = [*before]
    quiet[3] = (before[3] & ~termios.ECHO) | termios.ICANON | termios.ISIG

    def ask() -> None:
        # flush: what was typed before the question is no answer
        termios.tcsetattr(fd, termios.TCSAFLUSH, quiet)
        os.write(fd, prompt)

    def leave(number: int, frame: object) -> None:
        """The signal does what it would have done; who comes back from it asks again."""
        with suppress(OSError, termios.error):
            _shown_again(fd, before)
        _handle(others)
        os.kill(os.getpid(), number)
        _handle(ours)
        ask()

    main = threading.current_thread() is threading.main_thread()  # no other thread may set a handler
    others = {number: signal.getsignal(number) for number in LEAVING if main}
    ours = {number: leave for number, handler in others.items() if handler is not signal.SIG_IGN}
    try:
        _handle(ours)
        ask()
        yield
    finally:
        try:
            _shown_again(fd, before)
        finally:
            _handle(others)


def _handle(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _shown_again(fd: int, before: list[Any]) -> None:
    termios.tcsetattr(fd, termios.TCSAFLUSH, before)
    with suppress(OSError):
        os.write(fd, b"\n")


def _line(fd: int) -> bytes:
    """One line as typed, or up to Ctrl-D; canonical mode bounds it."""
    kept = bytearray()
    while b"\n" not in kept and len(kept) <= MAX_PASSPHRASE_BYTES:
        data = os.read(fd, MAX_PASSPHRASE_BYTES + 1)
        if not data:
            break
        kept += data
    return first_of(kept)


def first_of(kept: bytearray) -> bytes:
    """A copy of the first line; the buffer is overwritten."""
    line = bytes(kept.partition(b"\n")[0])
    kept[:] = bytes(len(kept))
    return line


def _terminal(env: Env) -> int | None:
    """The terminal of this process, None if there is none, or if we are in its background, where it would stop us."""
    if not any(stream.isatty() for stream in (env.stdin, env.stdout, env.stderr)):
        return None
    try:
        fd = os.open(TTY, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):
        if os.tcgetpgrp(fd) == os.getpgrp():
            return fd
    os.close(fd)
    return None
