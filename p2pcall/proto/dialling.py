"""When handshake messages are repeated and to which addresses: the dialling side's schedule, sans-IO."""

from collections.abc import Iterator, Sequence

from p2pcall.proto import constants as c
from p2pcall.proto.handshake import Initiator
from p2pcall.proto.wire import Address


class Backoff:
    """A message that is due at `due`, and again after each of `RESEND_INTERVALS_S`, the last one for ever."""

    __slots__ = ("_sent", "due")

    def __init__(self, due: float) -> None:
        self.due = due
        self._sent = 0

    def take(self, now: float) -> bool:
        """Whether the message leaves now; then the next time is set."""
        if now < self.due:
            return False
        self.due = now + c.RESEND_INTERVALS_S[min(self._sent, len(c.RESEND_INTERVALS_S) - 1)]
        self._sent += 1
        return True


class Dialling:
    """A dial before its first valid response: one initiation, to each candidate address in its own rhythm.

    `wrong_key` is the first unexpected one that was proven.
    """

    __slots__ = ("_attempts", "deadline", "initiator", "wrong_key")

    def __init__(self, initiator: Initiator, addresses: Sequence[Address], now: float) -> None:
        self.initiator = initiator
        self.deadline = now + c.HANDSHAKE_TIMEOUT_S
        self.wrong_key: bytes | None = None
        self._attempts = [
            (address, Backoff(now + place * c.CANDIDATE_STAGGER_S))
            for place, address in enumerate(list(dict.fromkeys(addresses))[: c.MAX_CANDIDATES])
        ]

    def take_due(self, now: float) -> Iterator[Address]:
        """The addresses to which the initiation leaves now."""
        return (address for address, backoff in self._attempts if backoff.take(now))

    def mistrust(self, key: bytes, now: float) -> None:
        """Somebody answered with an unexpected key: the right one has little time left to show."""
        if self.wrong_key is None:
            self.wrong_key = key
            self.deadline = min(self.deadline, now + c.KEY_GRACE_S)

    def next_timer(self) -> float:
        """The next initiation or the end of the attempt."""
        return min(self.deadline, min(backoff.due for _, backoff in self._attempts))
