"""The view of a call in a window, with the terminal's screen or its plain line beside it.

It implements the engine's `CallView`, as those in `views` do. Left out: how a window draws (`p2pcall.view.window`).
"""

import asyncio
import signal
from collections.abc import Callable, Mapping

import av
from msgspec.structs import replace

from p2pcall.cli.views import PlainView, ScreenView
from p2pcall.device.base import OnError
from p2pcall.errors import P2PCallError
from p2pcall.view.hud import HudState
from p2pcall.view.window import WINDOW_OPEN_WAIT_S, Window, may_open, stuck, window_error
from p2pcall.view.window_link import Drawn, Failed, Key, Note, Ready, Size


class WindowView:
    """A window, opened now or by the key for the next mode, together with the terminal, if there is one.

    While the window is open it shows the pictures, and the terminal says so; both show the texts and take keys. If the
    window fails, an error is reported and the terminal shows the picture again.
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
        """Whether the window has been open: then it may be opened again later."""
        self._offered = True
        self._renderer = ""
        self._drawn: dict[str, str] = {}
        self._noted: set[str] = set()
        self._late: asyncio.TimerHandle | None = None
        self._closed = False
        if base is not None:
            base.on_resized = self._tell_size
        self.on_error: OnError | None = None
        self.on_resized: Callable[[], None] | None = None
        if open_now:
            self._open()

    def _open(self) -> None:
        """Start the window; it appears with the first texts that it gets."""
        self._shown = False
        try:
            window = Window(self._environ)
        except P2PCallError as error:
            self._loop.call_soon(self._failed, error)  # by then `on_error` is set
            return
        self._window = window
        self._loop.add_reader(window.fileno(), self._happened, window)
        self._late = self._loop.call_later(WINDOW_OPEN_WAIT_S, self._stuck)

    def _stuck(self) -> None:
        if not self._shown:
            self._close_window()
            self._failed(stuck())

    def _happened(self, window: Window) -> None:
        for event in window.read_events():
            match event:
                case Key("ctrl-c") if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                    signal.raise_signal(signal.SIGINT)  # as the terminal does for this key
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
        """The terminal shows the picture again, in its best mode."""
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
        """The size of the window or the screen, whichever shows the picture."""
        shown = self._window or self._base
        return (0, 0) if shown is None else shown.view_size()

    def next_mode(self) -> None:
        """The terminal's modes in turn, then the window. If the terminal cannot draw, the window stays."""
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
        """Clear both."""
        for view in (self._window, self._base):
            if view is not None:
                view.clear_remote()

    def resized(self) -> None:
        """The size of the terminal has changed."""
        if self._base is not None:
            self._base.resized()

    def refresh(self) -> None:
        """Redraw the terminal; the window system redraws the window by itself."""
        if self._base is not None:
            self._base.refresh()

    def close(self) -> None:
        """Close the window and restore the terminal."""
        self._closed = True
        self._close_window()
        if self._base is not None:
            self._base.close()
