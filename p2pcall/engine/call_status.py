"""What a person is told beside the picture in a call: the state of it, and notices that stay long enough to be read.

Whatever comes anew is shown at once; what it covers comes back for the rest of its time, so that nothing is lost to
the next thing that happens. Leaves out where it is shown (`view`).
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
"""A notice is on the screen for so long: a sentence, and the moment until somebody looks."""
MAX_NOTICES: Final = 4
"""Of more that want to be read at once the oldest go: after half a minute they say nothing about now."""


class Notices:
    """Short sentences for the person, each with its time; `showing` says which one is to be seen now."""

    def __init__(self) -> None:
        self._left_s: dict[str, float] = {}
        """Text -> for how long it is still to be seen; the last one is."""
        self._looked_at = 0.0

    def say(self, text: str, now: float, *, lasting: bool = False) -> None:
        """Show it from now on for its time; a `lasting` one until `end`."""
        self.showing(now)
        self._left_s.pop(text, None)
        self._left_s[text] = inf if lasting else NOTICE_S
        passing = [other for other, left_s in self._left_s.items() if left_s < inf]
        for oldest in passing[:-MAX_NOTICES]:
            del self._left_s[oldest]

    def end(self, text: str, now: float) -> None:
        """It is not so any more."""
        self.showing(now)
        self._left_s.pop(text, None)

    def showing(self, now: float) -> str:
        """What is to be seen now; "" for nothing."""
        passed_s, self._looked_at = now - self._looked_at, now
        while self._left_s:
            text = next(reversed(self._left_s))
            if self._left_s[text] > passed_s:
                self._left_s[text] -= passed_s
                return text
            passed_s -= self._left_s.pop(text)
        return ""


class CallStatus:
    """`state` as it was told last; each `tell` tells the view of it, if there is one."""

    def __init__(self, state: HudState, clock: Callable[[], float]) -> None:
        """The call begins now."""
        self.state = state
        self.view: CallView | None = None
        self._clock, self._since = clock, clock()
        self._notices = Notices()

    def tell(self, **changes: Any) -> None:
        """Something has changed, if only the time."""
        now = self._clock()
        notice = self._notices.showing(now)
        self.state = replace(self.state, elapsed_s=now - self._since, notice=notice, **changes)
        if self.view is not None:
            self.view.set_hud(self.state)

    def say(self, text: str, *, lasting: bool = False) -> None:
        """A notice; a `lasting` one until `unsay`."""
        self._notices.say(text, self._clock(), lasting=lasting)
        self.tell()

    def unsay(self, text: str) -> None:
        """A notice that is not true any more."""
        self._notices.end(text, self._clock())
        self.tell()


def no_camera(video_in: str | None) -> str:
    """Why key `v` does nothing, and what would give it something to do."""
    if video_in == "none":
        return "no camera in this call: call again with --video-in camera"
    return "no camera found: plug one in, then call again"


def unshown(settings: CallSettings) -> str:
    """Why the other side's picture is not drawn on a screen in this call; "" where it is."""
    video_out = settings.media.video_out
    if settings.echo:
        return "sent back"
    if video_out == "none":
        return "picture off"
    if video_out in SCREEN_MODES:
        return ""
    return f"picture goes to {'standard output' if video_out == '-' else video_out}"
