"""The views of a call in the terminal: the screen, or one plain line a second.

Both implement the engine's `CallView`. The terminal has one owner at a time, which releases it with `close`. Left out:
who opens them (`output`), how they draw (`p2pcall.view`), and the window beside them (`windowview`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from p2pcall.cli import stdout
from p2pcall.device.base import OnError
from p2pcall.view.hud import HudState
from p2pcall.view.keys import LOOKED_AWAY
from p2pcall.view.plainline import (
    plain_confirm,
    plain_figures,
    plain_help,
    plain_line,
    plain_question,
    plain_verify,
)
from p2pcall.view.terminal import Terminal

if TYPE_CHECKING:
    import av

    from p2pcall.view.screen import Screen

ESCAPE_WAIT_S: Final = 0.05
"""If no byte follows an ESC for this time, it is the Escape key: the rest of a sequence would come at once."""


class Host(Protocol):
    """The opener of views: it prints their lines, and is called when the terminal is free again."""

    def say(self, text: str) -> None:
        """A line for people."""

    def view_closed(self) -> None:
        """The terminal is free for lines again."""


class _Keys:
    """Reads keys while a view is open; none if the terminal cannot be read."""

    def __init__(self, terminal: Terminal, on_key: Callable[[str], None]) -> None:
        self._terminal, self._on_key = terminal, on_key
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        if terminal.entered:
            self._loop.add_reader(terminal.fd_in, self._readable)
            terminal.on_suspend = lambda: self._loop.call_soon_threadsafe(on_key, LOOKED_AWAY)

    def close(self) -> None:
        self._loop.remove_reader(self._terminal.fd_in)
        self._terminal.on_suspend = None
        if self._later is not None:
            self._later.cancel()

    def _readable(self, *, settled: bool = False) -> None:
        if self._later is not None:
            self._later.cancel()
        for key in self._terminal.read_keys(settled=settled):
            if key == "eof":
                self.close()
            self._on_key(key)
        if self._terminal.escape_held:
            self._later = self._loop.call_later(ESCAPE_WAIT_S, lambda: self._readable(settled=True))


class StderrSilencer:
    """Until `close`, discards output of libraries to stderr if that is a terminal, because it shows a picture.

    PortAudio writes a message there, from C, each time it tries a failing card.
    """

    def __init__(self, stderr: TextIO) -> None:
        self._kept: tuple[int, int] | None = None
        with suppress(OSError, ValueError):
            stderr.flush()
            fd = stderr.fileno()
            if os.isatty(fd):
                self._kept = fd, os.dup(fd)
                stdout.silence(stderr)

    def close(self) -> None:
        """Restore stderr."""
        if self._kept is not None:
            fd, copy = self._kept
            self._kept = None
            os.dup2(copy, fd)
            os.close(copy)


class ScreenView:
    """`Screen` with its keys; without `picture` only the lines around it are drawn, and no picture is asked for."""

    def __init__(
        self,
        output: Host,
        screen: Screen,
        terminal: Terminal,
        on_key: Callable[[str], None],
        quiet: StderrSilencer,
        *,
        picture: bool,
    ) -> None:
        self._output, self._screen, self._quiet, self._picture = output, screen, quiet, picture
        self._keys = _Keys(terminal, on_key)
        self.on_error: OnError | None = None
        self.on_resized: Callable[[], None] | None = None
        self.show = screen.show
        self.show_local = screen.show_local
        self.set_hud = screen.set_hud
        self.next_mode = screen.next_mode
        self.clear_remote = screen.clear_remote
        self.resized = screen.resized
        self.refresh = screen.refresh
        screen.on_mode = self._mode_changed

    def _mode_changed(self) -> None:
        if self.on_resized is not None:
            self.on_resized()

    @property
    def at_last_mode(self) -> bool:
        """Whether the next mode would be the first again."""
        return self._screen.mode == self._screen.modes[-1]

    def first_mode(self) -> None:
        """Change to the best mode."""
        self._screen.set_mode(self._screen.modes[0])

    def view_size(self) -> tuple[int, int]:
        """Pixels to ask for."""
        return self._screen.view_size() if self._picture else (0, 0)

    def close(self) -> None:
        """The terminal as it was."""
        self._keys.close()
        self._screen.close()
        self._quiet.close()
        self._output.view_closed()


class PlainView:
    """One plain line a second instead of a picture: for screen readers, logs, and simple terminals."""

    def __init__(
        self, output: Host, terminal: Terminal | None, on_key: Callable[[str], None], *, holds: bool = False
    ) -> None:
        """`holds`: it matters how long a key is held."""
        self._output, self._terminal = output, terminal
        self._told = HudState(elapsed_s=-1.0)
        self._keys = None
        self.pixels = (0, 0)
        """The picture size to ask for, though it is not drawn."""
        self.on_error: OnError | None = None
        self.on_resized: Callable[[], None] | None = None
        if terminal is not None:
            terminal.enter(alternate=False, holds=holds)
            terminal.discard_typed()
            self._keys = _Keys(terminal, on_key)

    def set_hud(self, state: HudState) -> None:
        """Print a line if a second has passed since the last; also help, figures and words when requested."""
        before, self._told = self._told, state
        if state.show_help and not before.show_help:
            self._output.say(plain_help(state))
        if state.show_stats and not before.show_stats:
            self._output.say(plain_figures(state))
        if state.show_confirm and not before.show_confirm:
            self._output.say(plain_confirm())
        if state.question and not before.question:
            self._output.say(plain_question(state))
        if state.show_verify and not before.show_verify:
            for line in plain_verify(state):
                self._output.say(line)
        if int(state.elapsed_s) != int(before.elapsed_s):
            self._output.say(plain_line(state))

    def view_size(self) -> tuple[int, int]:
        """`pixels`: (0, 0) means that no picture is requested."""
        return self.pixels

    def show(self, frame: av.VideoFrame) -> None:
        """No picture."""

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """No picture."""

    def next_mode(self) -> None:
        """There is only one mode."""

    def clear_remote(self) -> None:
        """Nothing to clear."""

    def resized(self) -> None:
        """The size does not matter."""

    def refresh(self) -> None:
        """The next line comes in a second."""

    def close(self) -> None:
        """The terminal as it was."""
        if self._keys is not None and self._terminal is not None:
            self._keys.close()
            self._terminal.leave()
        self._output.view_closed()
