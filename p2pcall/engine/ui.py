"""What the engine wants from whoever runs it: a place for events, and the terminal if there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from p2pcall.device.base import OnError, VideoSink
from p2pcall.events import Event, Incoming
from p2pcall.view.hud import HudState

if TYPE_CHECKING:
    import av


class CallView(VideoSink, Protocol):
    """The screen or the window of one call, or the plain line a second that stands in for them."""

    on_error: OnError | None
    """To be called, in any thread, for whatever fails; the view goes on with what is left."""
    on_resized: Callable[[], None] | None
    """To be called, in the loop's thread, when another number of pixels can be shown."""

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """One's own picture, small in a corner; any thread."""

    def set_hud(self, state: HudState) -> None:
        """What is told beside the picture."""

    def next_mode(self) -> object:
        """Another way to draw."""

    def clear_remote(self) -> None:
        """The other side's picture has stopped."""

    def resized(self) -> None:
        """The terminal has another size now."""

    def refresh(self) -> None:
        """Draw everything again."""


class Ui(Protocol):
    """The person or script in front of the engine."""

    on_closed: Callable[[], None] | None
    """To be called when nobody reads stdout any more."""

    def emit(self, event: Event) -> None:
        """Something happened. Never raises; never blocks for long."""

    def progress(self, text: str) -> None:
        """What is being waited for, for people only: no event tells it. Never raises."""

    def ask(self, incoming: Incoming, *, camera: bool) -> Awaitable[str] | None:
        """Ring and ask: resolves to "audio", "video" (if there is a `camera`) or "decline"; None where nobody can be
        asked (`can_ask`).
        """

    @property
    def can_ask(self) -> bool:
        """Whether there is a person to ask, as far as can be told now."""

    def ask_name(
        self, claimed: str, fingerprint: str, offered: str, problem: str
    ) -> Awaitable[str | None] | None:
        """Under which name to keep whom the last call was with: resolves to one that can be a contact's, or None.

        `offered` is one that needs no typing, if any; `problem` is what was wrong with the last answer. None at once
        where nobody can be asked, or wants to be.
        """

    def waiting(self) -> None:
        """A call is over, and the next is waited for."""

    def load_view(self, mode: str) -> None:
        """Import what `open_view` needs for `mode`, in any thread: it takes a moment, and a call that comes up has
        none.
        """

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> CallView | None:
        """Take the terminal for a call; `mode` is auto, blocks, ascii, window (the picture in one of its own) or
        none (no picture, only what is told about it).

        None where there is neither a terminal nor a window.
        """
