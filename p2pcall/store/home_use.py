"""Who uses a home: each command while it runs, together with others; an erasure, which wants it for itself.

Rules: the lock is on the directory itself, so that no file is made for it, and whoever is killed gives it up. A home
that was being erased when the machine or the program stopped is used by nobody until that is finished. Left out: the
order of changes by those who use it (`Home.lock`), and file systems that lock no directories, as some over a network:
there nobody is kept out.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.home import LOCK_PAUSE_S, LOCK_TRIES, Home, in_use, is_still_at, shell_word

ERASING: Final = ".erasing"
"""The file that is there from before the first thing is erased until after the last."""


@contextmanager
def using(home: Home) -> Iterator[None]:
    """Use the home together with others, if it is there.

    P2PCallError (config): `half-erased`, or it is being erased just now.
    """
    fd = _locked(home.data, fcntl.LOCK_SH, in_use(home.data))
    try:
        check_whole(home)
        yield
    finally:
        _give_up(fd)


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Use the home while no other command does. P2PCallError (config) `home-in-use` if one does."""
    text = f"another command uses {home.data}, perhaps one that listens or is in a call; nothing was erased"
    hint = f"end it first: fuser -v {shell_word(home.data)} shows it"
    fd = _locked(home.data, fcntl.LOCK_EX, P2PCallError("home-in-use", text, ExitCode.CONFIG, hint))
    try:
        yield
    finally:
        _give_up(fd)


def is_half_erased(home: Home) -> bool:
    """Whether an erasure of all of it was begun and not finished."""
    return (home.data / ERASING).exists()


def check_whole(home: Home) -> None:
    """P2PCallError (config) `half-erased` if an erasure of it was not finished."""
    if is_half_erased(home):
        text = f"the erasure of {home.data} was interrupted; what is left there is not used any more"
        raise P2PCallError("half-erased", text, ExitCode.CONFIG, "p2pcall privacy erase finishes it")


def _locked(path: Path, how: int, taken: P2PCallError) -> int | None:
    """A descriptor that holds the lock; None if there is no directory, or it cannot be locked. Raises `taken`."""
    for attempt in range(LOCK_TRIES):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # there is none, or whoever reads in it says what is wrong
            return None
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
            if is_still_at(fd, path):
                return fd
        except (BlockingIOError, InterruptedError):
            if attempt < LOCK_TRIES - 1:
                time.sleep(LOCK_PAUSE_S)
        except OSError:
            os.close(fd)
            return None
        os.close(fd)
    raise taken


def _give_up(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)
