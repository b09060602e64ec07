"""A question that keys answer, on a terminal that shows nothing else now.

Input typed before the question is ignored. Nothing moves the cursor. Left out: what is asked, and what keys mean.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from p2pcall.view.terminal import Terminal


class Question(ABC):
    """Asks once."""

    def __init__(self, terminal: Terminal, asks: Callable[[Terminal | None], None]) -> None:
        """`asks` is called with the terminal when the question is shown, and with None when its line ends."""
        self._terminal, self._asks = terminal, asks
        self._answer: asyncio.Future[str | None]

    async def ask(self) -> str | None:
        """The answer; None: there is none, or no terminal."""
        loop, terminal = asyncio.get_running_loop(), self._terminal
        self._answer = loop.create_future()
        terminal.enter(alternate=False)
        if not terminal.entered:
            return None
        terminal.discard_typed()
        self._show()
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
            self._pressed(key)

    @abstractmethod
    def _show(self) -> None:
        """Write the question."""

    @abstractmethod
    def _pressed(self, key: str) -> None:
        """Take a key; sets `_answer` if that is one."""
