"""Restores the terminal when this process dies without a chance to do so itself (SIGKILL, a crash in a codec).

A small shell reads from a pipe. If the pipe closes without a word, its owner is dead: the shell leaves the alternate
screen, shows the cursor, and restores the line discipline unless it has changed since (interactive shells restore it
themselves, and a line editor may be running already). Left out: every ordinary exit, which is `Terminal.leave`.
"""

import os
import subprocess
from contextlib import suppress
from typing import Final

_SCRIPT: Final = """
trap "" HUP INT QUIT TERM TSTP TTIN TTOU
ours=$(stty -g <&1)
read -r word && exit 0
[ "$(stty -g <&1)" = "$ours" ] && stty "$1" <&1
printf "$2"
"""
_WAIT_S: Final = 1.0


class TerminalGuard:
    """Watches from `start` to `stop`; does nothing where there is no shell."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._former: list[subprocess.Popen[bytes]] = []
        """Shells that were told to end; they are reaped when they have ended."""

    @staticmethod
    def saved_mode(tty: int) -> str:
        """The line discipline in `stty` form, for restoring it; "" if it cannot be read."""
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                ["stty", "-g"], stdin=tty, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_WAIT_S
            )
            return done.stdout.decode("ascii", "replace").strip()
        return ""

    def start(self, tty: int, saved: str, restore: bytes) -> None:
        """Watches the terminal `tty`, which is already in call mode; `restore` is written to it if we die."""
        self._former = [process for process in self._former if process.poll() is None]
        if not saved:
            return
        escaped = "".join(f"\\{byte:03o}" for byte in restore)
        with suppress(OSError):
            own = os.open(os.ttyname(tty), os.O_RDWR | os.O_NOCTTY)  # blocking, so that everything is written
            try:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, "p2pcall-guard", saved, escaped],
                    stdin=subprocess.PIPE,
                    stdout=own,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,  # no SIGHUP comes, not even before the trap is set
                )
            finally:
                os.close(own)

    def stop(self, *, restored: bool = True) -> None:
        """Ends the shell, without waiting. If the terminal is not `restored`, the shell restores it first."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        with suppress(OSError):
            if restored:
                os.write(process.stdin.fileno(), b"done\n")
            process.stdin.close()
        self._former.append(process)
