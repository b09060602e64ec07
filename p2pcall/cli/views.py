"""What a call is seen on: the terminal's screen, a plain line a second, and a window beside either.

All are the engine's `CallView`. The terminal has one owner at a time, and gives it back with `close`. Leaves out who
opens them (`output`), and how they draw (`p2pcall.view`).
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TextIO

import av

from p2pcall.cli import stdout
from p2pcall.device.base import OnError
from p2pcall.errors import P2PCallError
from p2pcall.view.hud import HudState
from p2pcall.view.plainline import plain_confirm, plain_figures, plain_help, plain_line, plain_verify
from p2pcall.view.screen import Screen
from p2pcall.view.terminal import Terminal
from p2pcall.view.window import OPEN_WAIT_S, Window, may_open, stuck, window_error
from p2pcall.view.window_link import Drawn, Failed, Key, Note, Ready, Size

ESCAPE_WAIT_S = 0.05
"""After so long without another byte an ESC is the key: the rest of a sequence comes at once."""


class Host(Protocol):
    """Who opens views: told when the terminal is free again, and says lines for them."""

    def say(self, text: str) -> None:
        """A line for people."""

    def view_closed(self) -> None:
        """The terminal is free for lines again."""


class _Keys:
    """Reads keys for as long as a view is open; none where the terminal was not to be had."""

    def __init__(self, terminal: Terminal, on_key: Callable[[str], None]) -> None:
        self._terminal, self._on_key = terminal, on_key
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        if terminal.entered:
            self._loop.add_reader(terminal.fd_in, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._terminal.fd_in)
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


class Quiet:
    """Until `close`, what others write to stderr goes nowhere if that is a terminal: there is a picture on it.

    PortAudio tells of every failing card there, from C, each time it is tried.
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
        """stderr as it was."""
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
        quiet: Quiet,
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

    @property
    def at_last_mode(self) -> bool:
        """The next way to draw would be the first again."""
        return self._screen.mode == self._screen.modes[-1]

    def first_mode(self) -> None:
        """The best way to draw."""
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
    """One plain line a second instead of a picture: for screen readers, logs, and dumb terminals."""

    def __init__(self, output: Host, terminal: Terminal | None, on_key: Callable[[str], None]) -> None:
        self._output, self._terminal = output, terminal
        self._told = HudState(elapsed_s=-1.0)
        self._keys = None
        self.pixels = (0, 0)
        """The picture to ask for, though it is not drawn."""
        self.on_error: OnError | None = None
        self.on_resized: Callable[[], None] | None = None
        if terminal is not None:
            terminal.enter(alternate=False)
            terminal.discard_typed()
            self._keys = _Keys(terminal, on_key)

    def set_hud(self, state: HudState) -> None:
        """A line when a second has passed since the last; keys, figures, and what to compare when asked for."""
        before, self._told = self._told, state
        if state.show_help and not before.show_help:
            self._output.say(plain_help())
        if state.show_stats and not before.show_stats:
            self._output.say(plain_figures(state))
        if state.show_confirm and not before.show_confirm:
            self._output.say(plain_confirm())
        if state.show_verify and not before.show_verify:
            for line in plain_verify(state):
                self._output.say(line)
        if int(state.elapsed_s) != int(before.elapsed_s):
            self._output.say(plain_line(state))

    def view_size(self) -> tuple[int, int]:
        """No picture, unless somebody wants to know that one comes."""
        return self.pixels

    def show(self, frame: av.VideoFrame) -> None:
        """No picture."""

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """No picture."""

    def next_mode(self) -> None:
        """There is but one."""

    def clear_remote(self) -> None:
        """Nothing to clear."""

    def resized(self) -> None:
        """A line is a line."""

    def refresh(self) -> None:
        """The next line comes in a second."""

    def close(self) -> None:
        """The terminal as it was."""
        if self._keys is not None and self._terminal is not None:
            self._keys.close()
            self._terminal.leave()
        self._output.view_closed()


class WindowView:
    """A window, opened now or by the key for the next mode; and behind it the terminal, where there is one.

    While the window is there it has the pictures, and the terminal says so; both have the texts and the keys. A window
    that fails is told as an error, and the picture is the terminal's again.
    """

    def __init__(
        self,
        base: ScreenView | PlainView | None,
        on_key: Callable[[str], None],
        environ: Mapping[str, str],
        *,
        open_now: bool,
    ) -> None:
        self._base, self._on_key, self._environ = base, on_key, environ
        self._loop = asyncio.get_running_loop()
        self._hud = HudState()
        self._window: Window | None = None
        self._shown = False
        """The window has been there: when it goes, it is worth trying again."""
        self._offered = True
        self._renderer = ""
        self._drawn: dict[str, str] = {}
        self._noted: set[str] = set()
        self._late: asyncio.TimerHandle | None = None
        self._closed = False
        self.on_error: OnError | None = None
        self.on_resized: Callable[[], None] | None = None
        if open_now:
            self._open()

    def _open(self) -> None:
        """The window itself opens with the first texts it gets."""
        self._shown = False
        try:
            window = Window(self._environ)
        except P2PCallError as error:
            self._loop.call_soon(self._failed, error)  # by then somebody listens to `on_error`
            return
        self._window = window
        self._loop.add_reader(window.fileno(), self._happened, window)
        self._late = self._loop.call_later(OPEN_WAIT_S, self._stuck)

    def _stuck(self) -> None:
        if not self._shown:
            self._close_window()
            self._failed(stuck())

    def _happened(self, window: Window) -> None:
        for event in window.read_events():
            match event:
                case Key("ctrl-c") if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                    signal.raise_signal(signal.SIGINT)  # as the terminal makes of it
                case Key():
                    self._on_key(event.name)
                case Ready() if event.renderer:
                    self._shown, self._renderer = True, event.renderer
                case Size():
                    self._tell_size()
                case Drawn():
                    self._drawn = {
                        "window": f"{event.shown}/s, {event.longest_ms:.0f} ms later, by {self._renderer}"
                    }
                case Failed():
                    self._close_window()
                    self._failed(window_error(event.slug, event.text, event.hint))
                case Note() if event.slug not in self._noted:
                    self._noted.add(event.slug)
                    self._tell(window_error(event.slug, event.text, None))
                case _:
                    pass

    def _failed(self, error: P2PCallError) -> None:
        """The picture is the terminal's again, in its best mode."""
        if self._closed:
            return
        self._offered = self._shown
        if isinstance(self._base, ScreenView):
            self._base.first_mode()
        self.set_hud(self._hud)
        self._tell_size()
        self._tell(error)

    def _tell(self, error: P2PCallError) -> None:
        if self.on_error is not None:
            self.on_error(error)

    def _tell_size(self) -> None:
        if self.on_resized is not None:
            self.on_resized()

    def _close_window(self) -> None:
        window, self._window = self._window, None
        self._drawn = {}
        if self._late is not None:
            self._late.cancel()
        if window is not None:
            self._loop.remove_reader(window.fileno())
            window.close()

    def show(self, frame: av.VideoFrame) -> None:
        """To the window, or the terminal."""
        shown = self._window or self._base
        if shown is not None:
            shown.show(frame)

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """To the window, or the terminal."""
        shown = self._window or self._base
        if shown is not None:
            shown.show_local(frame)

    def set_hud(self, state: HudState) -> None:
        """To both."""
        self._hud = state
        if self._window is not None:
            state = replace(state, stats={**state.stats, **self._drawn})
            self._window.set_hud(state)
            state = replace(state, elsewhere="in the window")
        if self._base is not None:
            self._base.set_hud(state)

    def view_size(self) -> tuple[int, int]:
        """Of whichever has the picture."""
        shown = self._window or self._base
        return (0, 0) if shown is None else shown.view_size()

    def next_mode(self) -> None:
        """The terminal's ways to draw in turn, then the window. A window without a terminal that draws stays."""
        base = self._base
        if not isinstance(base, ScreenView):
            return
        if self._window is not None:
            self._close_window()
            base.first_mode()
            self.set_hud(self._hud)
        elif base.at_last_mode and self._offered and may_open(self._environ):
            self._open()
            self.set_hud(self._hud)
        else:
            base.next_mode()

    def clear_remote(self) -> None:
        """Of both."""
        for view in (self._window, self._base):
            if view is not None:
                view.clear_remote()

    def resized(self) -> None:
        """The terminal has another size."""
        if self._base is not None:
            self._base.resized()

    def refresh(self) -> None:
        """The terminal; a window's system sees to that by itself."""
        if self._base is not None:
            self._base.refresh()

    def close(self) -> None:
        """No window any more, the terminal as it was."""
        self._closed = True
        self._close_window()
        if self._base is not None:
            self._base.close()
