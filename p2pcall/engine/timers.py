"""What one call does later, each by its name: the same name takes the place of what was to be done."""

import asyncio
from collections.abc import Callable


class Timers:
    """Calls things in the loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Calls it then; the same name takes the place of what was to be called."""
        if name in self._handles:
            self._handles[name].cancel()
        self._handles[name] = self._loop.call_later(seconds, self._fire, name, call)

    def waits(self, name: str) -> bool:
        """Whether something is still to be called by that name."""
        return name in self._handles

    def cancel(self) -> None:
        """Nothing of what is waited for is called any more."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fire(self, name: str, call: Callable[[], None]) -> None:
        del self._handles[name]
        call()
