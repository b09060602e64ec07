"""What the engine needs from its user interface: a receiver of events, and the terminal if there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from p2pcall.device.base import OnError, VideoSink
from p2pcall.events import Event, Incoming
from p2pcall.view.hud import HudState

if TYPE_CHECKING:
    import av


class CallView(VideoSink, Protocol):
    """The screen or the window of one call, or one plain line a second in place of them."""

    on_error: OnError | None
    """The view calls it, in any thread, for each failure, and continues as far as it can."""
    on_resized: Callable[[], None] | None
    """The view calls it, in the loop's thread, when the number of pixels that it can show changes."""

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """Show one's own picture, small in a corner; any thread."""

    def set_hud(self, state: HudState) -> None:
        """Set the text beside the picture."""

    def next_mode(self) -> object:
        """Change to the next drawing mode."""

    def clear_remote(self) -> None:
        """The other side's picture has stopped."""

    def resized(self) -> None:
        """The terminal's size has changed."""

    def refresh(self) -> None:
        """Draw everything again."""


class Ui(Protocol):
    """The user interface: the person or script that uses the engine."""

    on_closed: Callable[[], None] | None
    """Called when nobody reads stdout any more."""

    def emit(self, event: Event) -> None:
        """Report an event. Never raises; never blocks for long."""

    def progress(self, text: str) -> None:
        """Say what is being waited for, only for people: there is no event for it. Never raises."""

    def ask(self, incoming: Incoming, *, camera: bool) -> Awaitable[str] | None:
        """Ring and ask: resolves to "audio", "video" (if there is a `camera`) or "decline"; None if nobody can be asked
        (`can_ask`).
        """

    @property
    def can_ask(self) -> bool:
        """Whether there is a person to ask, as far as known now."""

    def ask_name(
        self, claimed: str, fingerprint: str, offered: str, problem: str
    ) -> Awaitable[str | None] | None:
        """Ask under which name to keep the person of the last call: resolves to a valid contact name, or None.

        `offered` is a name that needs no typing, or empty; `problem` says what was wrong with the last answer. None at
        once if nobody can be asked, or --quiet is set.
        """

    def ask_code(self, name: str) -> Awaitable[str | None] | None:
        """Ask for the code that `name` wants: resolves to six digits, or None. None at once if nobody can be asked."""

    def waiting(self) -> None:
        """A call is over; say that we wait for the next."""

    def load_view(self, mode: str) -> None:
        """Import what `open_view` needs for `mode`, in any thread; there is no time for it when a call gets active."""

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> CallView | None:
        """Take the terminal for a call; `mode` is auto, a drawing mode, window (the picture in its own window) or none
        (no picture, only the text about the call).

        None if there is neither a terminal nor a window.
        """
