"""When a message that nobody has answered is sent again."""

from collections.abc import Sequence

from p2pcall.proto import constants as c


class Backoff:
    """A message is due at `due`, then again after each of the intervals; the last interval repeats for ever."""

    __slots__ = ("_intervals", "due", "sent")

    def __init__(self, due: float, intervals: Sequence[float] = c.RESEND_INTERVALS_S) -> None:
        self.due = due
        self.sent = 0
        self._intervals = intervals

    def take(self, now: float) -> bool:
        """Whether the message leaves now; then the next time is set."""
        if now < self.due:
            return False
        self.due = now + self._intervals[min(self.sent, len(self._intervals) - 1)]
        self.sent += 1
        return True
