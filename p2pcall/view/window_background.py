"""What the window's process does beside drawing: it waits for the end of the call, and looks for a font."""

import os
import threading
import time
from typing import Final

from .window_text import find_font

HANGS_S: Final = 1.0
"""How long SDL may take to close the display after the call has ended."""


class Background:
    """Work outside the drawing thread: waiting for the end of the call, and looking for a font."""

    def __init__(self, end: int) -> None:
        """`end` is the reading end of a pipe that is never written to."""
        self._end_of_call = end
        self.font: str | None = None
        self.font_looked_for = False

    def start(self) -> None:
        """Start both threads."""
        for work in (self._end, self._look):
            threading.Thread(target=work, daemon=True).start()

    def _end(self) -> None:
        os.read(self._end_of_call, 1)
        time.sleep(HANGS_S)
        os._exit(0)  # the main thread hangs in a display or a driver

    def _look(self) -> None:
        self.font = find_font()
        self.font_looked_for = True
