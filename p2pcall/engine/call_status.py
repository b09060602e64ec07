"""The text for the person during a call: its state, and notices that stay long enough to be read.

A new notice is shown at once; the covered one comes back for the rest of its time, so no notice is lost. Left out:
where it is shown (`view`).
"""

from collections.abc import Callable
from math import inf
from typing import Any, Final

from msgspec.structs import replace

from p2pcall.engine.devices import SCREEN_MODES
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.ui import CallView
from p2pcall.view.hud import HudState

NOTICE_S: Final = 6.0
"""How long a notice is on the screen: time to notice it and to read a sentence."""
MAX_NOTICES: Final = 4
"""Notices kept at once; above it the oldest is dropped: after half a minute it says nothing about the present."""


class Notices:
    """Short sentences for the person, each with its remaining time; `showing` gives the one to show now."""

    def __init__(self) -> None:
        self._left_s: dict[str, float] = {}
        """Text -> how long it is still to be shown; the last one is shown now."""
        self._looked_at = 0.0

    def say(self, text: str, now: float, *, lasting: bool = False) -> None:
        """Show it for `NOTICE_S` from now on; a `lasting` one until `end`."""
        self.showing(now)
        self._left_s.pop(text, None)
        self._left_s[text] = inf if lasting else NOTICE_S
        passing = [other for other, left_s in self._left_s.items() if left_s < inf]
        for oldest in passing[:-MAX_NOTICES]:
            del self._left_s[oldest]

    def end(self, text: str, now: float) -> None:
        """Remove a notice that is not true any more."""
        self.showing(now)
        self._left_s.pop(text, None)

    def showing(self, now: float) -> str:
        """The notice to show now; "" for none."""
        passed_s, self._looked_at = now - self._looked_at, now
        while self._left_s:
            text = next(reversed(self._left_s))
            if self._left_s[text] > passed_s:
                self._left_s[text] -= passed_s
                return text
            passed_s -= self._left_s.pop(text)
        return ""


class CallStatus:
    """`state` is the current text; each `tell` passes it to the view, if there is one."""

    def __init__(self, state: HudState, clock: Callable[[], float]) -> None:
        """The call begins now."""
        self.state = state
        self.view: CallView | None = None
        self._clock, self._since = clock, clock()
        self._notices = Notices()

    def tell(self, **changes: Any) -> None:
        """Apply changes (if any) and the current time to the state, and update the view."""
        now = self._clock()
        notice = self._notices.showing(now)
        self.state = replace(self.state, elapsed_s=now - self._since, notice=notice, **changes)
        if self.view is not None:
            self.view.set_hud(self.state)

    def say(self, text: str, *, lasting: bool = False) -> None:
        """Show a notice; a `lasting` one until `unsay`."""
        self._notices.say(text, self._clock(), lasting=lasting)
        self.tell()

    def unsay(self, text: str) -> None:
        """Remove a notice that is not true any more."""
        self._notices.end(text, self._clock())
        self.tell()


def no_camera(video_in: str | None) -> str:
    """Why key `v` does nothing, and what would help."""
    if video_in == "none":
        return "no camera in this call: call again with --video-in camera"
    return "no camera found: plug one in, then call again"


def unshown(settings: CallSettings) -> str:
    """Why the other side's picture is not drawn on a screen in this call; "" if it is drawn."""
    video_out = settings.media.video_out
    if settings.echo:
        return "sent back"
    if video_out == "none":
        return "picture off"
    if video_out in SCREEN_MODES:
        return ""
    return f"picture goes to {'standard output' if video_out == '-' else video_out}"
