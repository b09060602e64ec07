"""Exit codes and the one error class that people see.

Every failure that a person or a script sees is a `P2PCallError`: a slug that never changes, a text in plain words,
an exit code, and an optional hint, the next command to type. Only `cli.main` turns it into output and an exit status.
Any other exception that reaches `main` is a bug (exit 1).
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every command; scripts rely on it (EXIT STATUS in p2pcall.1)."""

    OK = 0
    BUG = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNTRUSTED = 5
    DEVICE = 6
    LOST = 7
    CONFIG = 8
    INTERRUPTED = 130


class P2PCallError(Exception):
    """A failure in plain words: lower case, no full stop, and a hint when a next step is known."""

    def __init__(self, slug: str, text: str, exit: ExitCode, hint: str | None = None) -> None:
        super().__init__(text)
        self.slug = slug
        self.text = text
        self.exit = exit
        self.hint = hint
