"""Named timers of one call: a new timer replaces the one with the same name."""

import asyncio
from collections.abc import Callable


class Timers:
    """Calls things in the loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Calls `call` after `seconds`; replaces the timer with the same name."""
        if name in self._handles:
            self._handles[name].cancel()
        self._handles[name] = self._loop.call_later(seconds, self._fire, name, call)

    def waits(self, name: str) -> bool:
        """Whether a timer with that name is running."""
        return name in self._handles

    def cancel(self) -> None:
        """Stop all timers."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fire(self, name: str, call: Callable[[], None]) -> None:
        del self._handles[name]
        call()
