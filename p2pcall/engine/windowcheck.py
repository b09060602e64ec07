"""Checks before a call whether a window could be opened here, without opening one."""

import asyncio
from collections.abc import Mapping

from p2pcall.view.window import WINDOW_OPEN_WAIT_S, Window, stuck, window_error
from p2pcall.view.window_link import Failed, Ready


class WindowCheck:
    """Starts the process of a window, and ends it when it has reported whether there is a display, or on `close`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Starts it and does not wait. P2PCallError (exit 6) if it cannot be started."""
        self._window = Window(environ)
        self._loop = asyncio.get_running_loop()

    async def result(self, seconds: float = WINDOW_OPEN_WAIT_S) -> Ready:
        """SDL's video driver. P2PCallError (exit 6) if there is no display, or no answer in time."""
        readable = asyncio.Event()
        self._loop.add_reader(self._window.fileno(), readable.set)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for event in self._window.read_events():
                        if isinstance(event, Ready):
                            return event
                        if isinstance(event, Failed):
                            raise window_error(event.slug, event.text, event.hint)
                    await readable.wait()
                    readable.clear()
        except TimeoutError:
            raise stuck() from None
        finally:
            self.close()

    def close(self) -> None:
        """Ends the process. Idempotent."""
        if not self._window.closed:
            self._loop.remove_reader(self._window.fileno())
            self._window.close()
