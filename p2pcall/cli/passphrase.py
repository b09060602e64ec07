"""Where a passphrase comes from: `--passphrase-file`, then P2PCALL_PASSPHRASE_COMMAND, then a prompt on the terminal.

Rules: never from an argument, and never into one, a log, an event or a traceback. The first source that is given
decides: if it fails, no other is tried. A person who mistypes it is asked again, three times in all; files and
commands are not. The command is split as a shell splits words and run without a shell; its standard input is empty, its
standard error is ours, and the first line of its output counts. The prompt is `hidden_line`'s.
"""

import os
import select
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from p2pcall.cli.hidden_line import first_of, hidden_line
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.home import Home, read
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.seal import MAX_PASSPHRASE_BYTES

if TYPE_CHECKING:
    import subprocess

_T = TypeVar("_T")
COMMAND: Final = "P2PCALL_PASSPHRASE_COMMAND"
COMMAND_TIMEOUT_S: Final = 60.0
"""Longest run of the command: a person may have to touch a token, or unlock a store of passwords."""
MAX_COMMAND_BYTES: Final = 1 << 16
"""Most that the command may print: a page of notes below the passphrase."""
PIPE_BYTES: Final = 4096
"""Largest read at once."""
LEAST_CHARACTERS: Final = 8
"""Of a new passphrase: shorter ones are guessed, whatever a guess costs."""
PASSPHRASE_TRIES: Final = 3
"""How often a person may type a passphrase, as with ssh: a fourth time nobody mistypes it."""
SPINNER: Final = "|/-\\"
SPINNER_S: Final = 0.1
"""How long each of its signs stands."""


def home_with_opener(env: Env, home: Home, file: str | None) -> Home:
    """The home, whose identity is opened by what is given to this run."""
    source = PassphraseSource(env, file)
    return Home(home.config, home.data, IdentityOpener(source.passphrase, lambda: spinner(env), source.again))


class PassphraseSource:
    """The passphrase of one file; `again` says whether a wrong one is followed by another try."""

    def __init__(self, env: Env, file: str | None) -> None:
        self._env, self._file = env, file
        self._typed = 0

    def passphrase(self, path: Path) -> bytes:
        """The passphrase of `path`. P2PCallError (config) if there is no way to get it."""
        if self._file is not None:
            return from_file(self._file)
        command = self._env.environ.get(COMMAND)
        if command:
            return _from_command(command)
        typed = hidden_line(self._env, f"passphrase of {path}: ")
        if typed is None:
            text = f"{path} is sealed, and there is no terminal to ask for its passphrase"
            raise P2PCallError(
                "locked-identity", text, ExitCode.CONFIG, f"--passphrase-file FILE, or {COMMAND}"
            )
        self._typed += 1
        return _first_line(typed, "what was typed")

    def again(self) -> bool:
        """It was wrong: whether a person is asked once more, who is told so."""
        if not 0 < self._typed < PASSPHRASE_TRIES:
            return False
        say(self._env, "that is not the passphrase")
        return True


def opened_by_passphrase(env: Env, file: str | None, path: Path, opened: Callable[[bytes], _T]) -> _T:
    """What `opened` makes of `path` with its passphrase; a person has three tries. P2PCallError (config)."""
    source = PassphraseSource(env, file)
    opener = IdentityOpener(source.passphrase, lambda: spinner(env), source.again)
    return opener.with_passphrase(path, opened)


def new_passphrase(env: Env, file: str | None, what: str) -> bytes:
    """The passphrase to seal `what` under: from a file, or typed twice. P2PCallError (usage) if it will not do."""
    if file is not None:
        return _good(from_file(file))
    typed = hidden_line(env, f"new passphrase for {what}: ")
    if typed is None:
        text = "a new passphrase is asked for on a terminal, and there is none"
        raise usage(text, "give one with --new-passphrase-file FILE")
    good = _good(_first_line(typed, "what was typed"))
    if hidden_line(env, "the same again: ") != good:
        raise usage("the two are not the same; nothing was changed", "try again")
    return good


def from_file(name: str) -> bytes:
    """The first line of a file that is ours alone. P2PCallError (config)."""
    path = Path(name).absolute()
    try:
        data = read(path, private=True)
    except P2PCallError as error:
        hints = {
            "unsafe-directory": "keep it in a directory that only you can write",
            "not-a-file": "give a file: a pipe or a device is none",
        }
        hint = hints.get(error.slug, error.hint)
        raise P2PCallError(error.slug, error.text, error.exit, hint) from error
    if data is None:
        text = f"there is no file {path}"
        raise P2PCallError(
            "no-passphrase", text, ExitCode.CONFIG, "give another one with --passphrase-file FILE"
        )
    return _first_line(data, str(path))


def _first_line(data: bytes, where: str) -> bytes:
    line = data.partition(b"\n")[0].removesuffix(b"\r")
    if not line or len(line) > MAX_PASSPHRASE_BYTES:
        what = "empty" if not line else f"longer than {MAX_PASSPHRASE_BYTES} bytes"
        text = f"the first line of {where} is {what}: that is no passphrase"
        raise P2PCallError("no-passphrase", text, ExitCode.CONFIG, "its first line is the passphrase")
    return line


def _good(passphrase: bytes) -> bytes:
    if len(passphrase.decode(errors="replace")) < LEAST_CHARACTERS:
        text = f"a passphrase has at least {LEAST_CHARACTERS} characters; nothing was changed"
        raise usage(text, "four words that nobody has seen together are good")
    return passphrase


# --- the command -------------------------------------------------------------------------------------------------


def _from_command(command: str) -> bytes:
    import subprocess

    try:
        words = shlex.split(command)
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except (OSError, ValueError, IndexError) as error:
        raise _failed("cannot be run") from error
    with process:
        try:
            line = _output(process, time.monotonic() + COMMAND_TIMEOUT_S)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status:
        raise _failed(f"ended with status {status}")
    return _first_line(line, "what it prints")


def _output(process: "subprocess.Popen[bytes]", deadline: float) -> bytes:
    """The beginning of what it prints, read to the end. P2PCallError (config) if it takes too long."""
    from subprocess import TimeoutExpired

    assert process.stdout is not None
    fd, kept, closed, count = process.stdout.fileno(), bytearray(), False, 0
    while not closed or process.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _failed(f"takes longer than {COMMAND_TIMEOUT_S:g} s")
        if closed:
            with suppress(TimeoutExpired):
                process.wait(left)
        elif select.select([fd], [], [], left)[0]:
            data = os.read(fd, PIPE_BYTES)
            closed, count = not data, count + len(data)
            if count > MAX_COMMAND_BYTES:
                raise _failed("prints without end")
            kept += (
                data[: MAX_PASSPHRASE_BYTES + 2 - len(kept)] if len(kept) < MAX_PASSPHRASE_BYTES + 2 else b""
            )
    return first_of(kept)


def _failed(how: str) -> P2PCallError:
    text = f"the command in {COMMAND} {how}"
    return P2PCallError(
        "passphrase-command", text, ExitCode.CONFIG, "it prints the passphrase on its first line"
    )


@contextmanager
def spinner(env: Env, what: str = "opening the private key") -> Iterator[None]:
    """A sign that turns on stderr while `what` takes half a second, if that is a terminal."""
    if not env.stderr.isatty() or env.environ.get("TERM", "dumb") == "dumb":
        yield
        return
    over = threading.Event()
    turning = threading.Thread(
        target=_turn, args=(env.stderr.write, env.stderr.flush, over, what), daemon=True
    )
    turning.start()
    try:
        yield
    finally:
        over.set()
        turning.join()


def _turn(
    write: Callable[[str], object], flush: Callable[[], object], over: threading.Event, what: str
) -> None:
    """Writes in place, and leaves nothing behind."""
    turn = 0
    with suppress(OSError, ValueError):
        while not over.is_set():
            write(f"\r{what} {SPINNER[turn % len(SPINNER)]}")
            flush()
            turn += 1
            over.wait(SPINNER_S)
        write("\r\x1b[K")
        flush()
