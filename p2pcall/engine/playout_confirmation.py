"""Whether the other side hears: when a message may begin, and when its end was heard.

Rules: what has a beginning (a file, a pipe) waits until the other side says that its speaker runs, or for so long that
it hardly will; an end is heard when the other side says so. A side whose first report comes without a word about its
speaker has none to say: it is sent to as if it heard. Nothing is trusted further than that: every wait has a bound.
Leaves out what says so on this side (`sound.SupervisedSink`), and the wire (`media.packets`).
"""

from collections.abc import Callable
from typing import Final

from p2pcall.media.packets import Ask, Feedback, Played

START_WAIT_S: Final = 5.0
"""For the other side's speaker: virtual cards take up to two seconds, a server that hangs is given up after four."""
HEARD_WAIT_S: Final = 5.0
"""For the other side to have heard the end; a buffer holds far less."""
ASK_EVERY_S: Final = 0.1
MAX_AHEAD_S: Final = 3.0
"""A speaker that says it has more than this in hand is not believed."""

RunAfter = Callable[[str, float, Callable[[], None]], None]


class PlayoutConfirmation:
    """The other side's ear, as far as it tells."""

    def __init__(self, send: Callable[[Feedback], None], clock: Callable[[], float], after: RunAfter) -> None:
        """`after` calls something later: a name (the same one replaces), seconds, what."""
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
        """The other side reports; what it says of its speaker comes before."""
        if not self._tells:
            self._start()

    def on_played(self, message: Played) -> None:
        """How far the other side's speaker is."""
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
        """Calls `done` when what is before `tick` was heard: with False if the other side does not get there."""
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
