"""Whether the other side hears us: when a message may begin, and when its end was heard.

Rules: input with a beginning (a file, a pipe) waits until the other side reports that its speaker runs, or until
START_WAIT_S is over. Its end counts as heard when the other side says so. If the first report says nothing about a
speaker, no such message will come, and the input starts at once. Every wait has a bound, so a hostile side cannot block
us. Left out: the report of this side (`sound.SupervisedSink`), and the wire format (`media.packets`).
"""

from collections.abc import Callable
from typing import Final

from p2pcall.media.packets import Ask, Feedback, Played

START_WAIT_S: Final = 5.0
"""Longest wait for the other side's speaker: virtual cards take up to 2 s, a hanging server is given up after 4 s."""
HEARD_WAIT_S: Final = 5.0
"""Longest wait until the other side has heard the end; buffers are far shorter."""
ASK_EVERY_S: Final = 0.1
MAX_AHEAD_S: Final = 3.0
"""If a speaker reports a longer buffer, this value is used instead."""

RunAfter = Callable[[str, float, Callable[[], None]], None]


class PlayoutConfirmation:
    """What the other side has heard, according to its reports."""

    def __init__(self, send: Callable[[Feedback], None], clock: Callable[[], float], after: RunAfter) -> None:
        """`after(name, seconds, call)` calls something later; the same name replaces the earlier call."""
        self._send, self._clock, self._after = send, clock, after
        self._tells = self._plays = False
        self._release: Callable[[], None] | None = None
        self._end: tuple[int, Callable[[bool], None]] | None = None
        self._end_by = 0.0

    def begin(self, release: Callable[[], None]) -> None:
        """Calls `release` once the other side plays."""
        self._release = release
        self._after("playout", START_WAIT_S, self._start)
        if self._plays:
            self._start()

    def on_report(self) -> None:
        """A report of the other side came; a message about its speaker would have come before it."""
        if not self._tells:
            self._start()

    def on_played(self, message: Played) -> None:
        """Take the other side's message about how far its speaker is."""
        self._tells = True
        if message.ahead_ms is None:
            return
        self._plays = True
        self._start()
        if self._end is not None and message.next_tick >= self._end[0]:
            _, done = self._end
            self._end = None
            self._after("playout", min(MAX_AHEAD_S, message.ahead_ms / 1000), lambda: done(True))

    def end(self, tick: int, done: Callable[[bool], None]) -> None:
        """Calls `done(True)` when what is before `tick` was heard, `done(False)` if it is not heard in time."""
        if self._end is None:
            self._end, self._end_by = (tick, done), self._clock() + HEARD_WAIT_S
            self._ask()

    def _start(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()

    def _ask(self) -> None:
        if self._end is None:
            return
        if not self._plays or self._clock() >= self._end_by:
            _, done = self._end
            self._end = None
            done(not self._plays)
            return
        self._send(Ask())
        self._after("ask", ASK_EVERY_S, self._ask)
