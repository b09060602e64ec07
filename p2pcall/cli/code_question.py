"""The question for a code before a call rings: six digits, typed at the terminal.

Only digits are taken; spaces between them do not matter. Input typed before the question is ignored. Left out: when it
is asked, and what becomes of the code (`engine.passcode_giver`).
"""

import asyncio
from collections.abc import Callable
from typing import Final

from p2pcall.factor.passcode import DIGITS
from p2pcall.view.sanitize import clean
from p2pcall.view.terminal import Terminal

GIVE_UP_KEYS: Final = frozenset({"eof", "ctrl-d", "q"})


class CodeQuestion:
    """Asks once. `name` is who wants the code."""

    def __init__(self, terminal: Terminal, name: str, asks: Callable[[Terminal | None], None]) -> None:
        """`asks` is called with the terminal when the question is shown, and with None when its line ends."""
        self._terminal, self._asks = terminal, asks
        self._prompt = f"code for {clean(name)} ([q] none): "
        self._typed = ""
        self._answer: asyncio.Future[str | None]

    async def ask(self) -> str | None:
        """The six digits; None: no code."""
        loop, terminal = asyncio.get_running_loop(), self._terminal
        self._answer = loop.create_future()
        terminal.enter(alternate=False)
        if not terminal.entered:
            return None
        terminal.discard_typed()
        terminal.write(self._prompt.encode())
        self._asks(terminal)
        loop.add_reader(terminal.fd_in, self._readable)
        try:
            return await self._answer
        finally:
            loop.remove_reader(terminal.fd_in)
            self._asks(None)
            terminal.leave()

    def _readable(self) -> None:
        for key in self._terminal.read_keys():
            if self._answer.done():
                return
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
