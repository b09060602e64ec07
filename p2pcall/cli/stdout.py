"""stdout as commands get it: a failure to write is told apart from every other failure, and is not lost.

A reader that went away is an end, not a failure: `StdoutClosed`, which `main` turns into a quiet exit. Everything else
(a full disk) is a `P2PCallError`. Neither is an OSError: option parsers and table drawers have ways of their own with
those, and swallow some. After a failure every further use fails in the same way, and the descriptor leads to nowhere,
so that the interpreter's last flush has nothing to complain of.
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
    """A text stream whose errors are `stdout_error`'s; in all else the stream itself."""

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
    """The stream, with errors that cannot be taken for those of anything else."""
    return cast(TextIO, _Stdout(stream))


def stdout_error(error: OSError) -> StdoutClosed | P2PCallError:
    """What it means that stdout took no more."""
    if isinstance(error, BrokenPipeError):
        return StdoutClosed("nobody reads standard output any more")
    why = (error.strerror or str(error)).lower()
    hint = "df -h" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
    return P2PCallError("write-failed", f"cannot write to standard output: {why}", ExitCode.CONFIG, hint)


def silence(stream: TextIO) -> None:
    """What is still written to the stream goes nowhere, also what the interpreter flushes at its end."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, stream.fileno())
        os.close(null)


def say(env: Env, text: str) -> None:
    """A line for people, on stderr; lost if stderr is closed."""
    with suppress(OSError, ValueError):
        env.stderr.write(text + "\n")
        env.stderr.flush()
