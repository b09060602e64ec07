"""Push-to-talk: the microphone is on while the space bar is held, and off otherwise.

Rules: a terminal that tells when a key is released, and the window, are believed; elsewhere a key is held for as long
as it repeats. Who looks away or stops the program has let go. What another key has switched on stays on. Leaves out how
keys are read (`view`).
"""

from collections.abc import Callable
from typing import Final

from p2pcall.engine.keys import SPACE
from p2pcall.engine.mediastate import LocalMedia
from p2pcall.engine.timers import Timers
from p2pcall.view import keys

FIRST_REPEAT_S: Final = 0.8
"""A held key repeats for the first time after 0.2 to 0.66 s, as systems come."""
NEXT_REPEAT_S: Final = 0.25
"""And then 10 to 40 times a second; the network of a distant shell may bunch them."""


class PushToTalk:
    """Given the keys that say that the space bar goes down or up."""

    def __init__(self, local: LocalMedia, timers: Timers, clock: Callable[[], float]) -> None:
        self._local, self._timers, self._clock = local, timers, clock
        self._held = self._opened = self._until_told = False
        self._told_before = False
        """The terminal has said of a key that it was released: it will of every one."""
        self._last = 0.0

    def on_key(self, key: str) -> None:
        """The space bar, or that nobody looks at it any more."""
        match key:
            case _ if key == SPACE:
                self._came()
            case keys.SPACE_DOWN:
                self._hold()
                self._until_told = True
            case keys.SPACE_UP:
                self._told_before = self._told_before or (self._held and not self._until_told)
                self._let_go()
            case _:
                self._let_go()

    def _came(self) -> None:
        """A space: the first, or one more because it is held."""
        now = self._clock()
        repeats, self._last = now - self._last <= NEXT_REPEAT_S, now
        self._hold()
        if not self._release_is_told:
            self._timers.after("talk", NEXT_REPEAT_S if repeats else FIRST_REPEAT_S, self._repeats_no_more)

    @property
    def _release_is_told(self) -> bool:
        return self._until_told or self._told_before

    def _repeats_no_more(self) -> None:
        if not self._release_is_told:
            self._let_go()

    def _hold(self) -> None:
        if not self._held:
            self._held, self._opened = True, self._local.muted
            self._local.mute(False)

    def _let_go(self) -> None:
        opened = self._held and self._opened
        self._held = self._until_told = False
        if opened:
            self._local.mute(True)
