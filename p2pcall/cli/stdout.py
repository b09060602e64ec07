"""stdout for commands: a write error is distinguished from every other error, and is not lost.

A reader that went away is a normal end, not an error: `StdoutClosed`, which `main` turns into a quiet exit. Any other
write error (a full disk) is a `P2PCallError`. Neither is an OSError, because option parsers and table printers handle
those in their own way, and swallow some. After an error every further use fails in the same way, and the descriptor
leads to the null device, so that the interpreter's last flush does not fail.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, TypeVar, cast

from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError

_T = TypeVar("_T")


class StdoutClosed(Exception):
    """Nobody reads stdout any more."""


class _Stdout:
    """A text stream whose errors are converted by `stdout_error`; otherwise it behaves as the stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failure: Exception | None = None

    def write(self, text: str) -> int:
        return self._do(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._do(self._stream.flush)

    def _do(self, work: Callable[[], _T]) -> _T:
        if self._failure is not None:
            raise self._failure
        try:
            return work()
        except OSError as error:
            silence(self._stream)
            self._failure = stdout_error(error)
            raise self._failure from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def checked(stream: TextIO) -> TextIO:
    """The stream, with write errors that cannot be confused with other errors."""
    return cast(TextIO, _Stdout(stream))


def stdout_error(error: OSError) -> StdoutClosed | P2PCallError:
    """The exception for a failed write to stdout."""
    if isinstance(error, BrokenPipeError):
        return StdoutClosed("nobody reads standard output any more")
    why = (error.strerror or str(error)).lower()
    hint = "df -h" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
    return P2PCallError("write-failed", f"cannot write to standard output: {why}", ExitCode.CONFIG, hint)


def silence(stream: TextIO) -> None:
    """Send all further output of the stream to the null device, also the interpreter's flush at exit."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, stream.fileno())
        os.close(null)


def say(env: Env, text: str) -> None:
    """A line for people, on stderr, `fitted`; lost if stderr is closed."""
    with suppress(OSError, ValueError):
        env.stderr.write(fitted(env, text) + "\n")
        env.stderr.flush()


def fitted(env: Env, text: str) -> str:
    """A line for people, wrapped at words if stderr is a terminal.

    Errors and hints are not wrapped, so that commands in them can be copied.
    """
    cells = 0 if text.startswith("p2pcall: ") else _columns(env)
    if not cells:
        return text
    from p2pcall.view.plainline import wrapped

    return wrapped(text, cells)


def _columns(env: Env) -> int:
    """The width of the terminal on stderr; 0 if there is none, or its width is not known."""
    with suppress(OSError, ValueError):
        if env.stderr.isatty():
            return os.get_terminal_size(env.stderr.fileno()).columns
    return 0
