"""The question for a code before a call rings: six digits, typed at the terminal.

Only digits are taken; spaces between them do not matter. Left out: when it is asked, and what becomes of the code
(`engine.passcode_giver`).
"""

from collections.abc import Callable
from typing import Final

from p2pcall.cli.question import Question
from p2pcall.factor.passcode import DIGITS
from p2pcall.view.sanitize import clean
from p2pcall.view.terminal import Terminal

GIVE_UP_KEYS: Final = frozenset({"eof", "ctrl-d", "q"})


class CodeQuestion(Question):
    """`name` is who wants the code; the answer is six digits."""

    def __init__(self, terminal: Terminal, name: str, asks: Callable[[Terminal | None], None]) -> None:
        super().__init__(terminal, asks)
        self._prompt = f"code for {clean(name)} ([q] none): "
        self._typed = ""

    def _show(self) -> None:
        self._terminal.write(self._prompt.encode())

    def _pressed(self, key: str) -> None:
        if key in GIVE_UP_KEYS:
            self._answer.set_result(None)
        elif key == "enter" and len(self._typed) == DIGITS:
            self._answer.set_result(self._typed)
        elif key == "backspace" and self._typed:
            self._typed = self._typed[:-1]
            self._terminal.write(b"\b \b")
        elif len(key) == 1 and key in "0123456789" and len(self._typed) < DIGITS:
            self._typed += key
            self._terminal.write(key.encode())
