"""Who may knock: everybody, or the contacts alone, to whom everybody else gets not one byte.

A knock for XXhfs says nothing about whom it is from or for: it is answered if anyone may call. One for IKhfs is
judged by its tag and by its time, which must be later than that contact's last one: a recorded knock opens nothing.
A time that is far ahead of ours is no measure for later ones, for the clock may have been wrong; such a knock just
does not count twice. The times are kept in memory only. Trying the keys of all contacts on one knock costs a hash
each, so there is a budget for it over all senders: while strangers flood it, contacts may have to knock more than
once, and if anyone may call, the same contact is answered as a stranger.
"""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

from p2pcall.proto import constants as c
from p2pcall.proto.admission import cookie
from p2pcall.proto.admission.limits import RateLimit
from p2pcall.proto.handshake.noise import KeyPair, NoiseError
from p2pcall.proto.wire import DropReason, Knock, PatternId

Reach = Literal["anyone", "contacts"]


@dataclass(slots=True)
class _Contact:
    mac: cookie.Mac
    newest: int = 0
    ahead: deque[int] = field(default_factory=lambda: deque(maxlen=c.MAX_KNOCKS_AHEAD))

    def takes(self, time: int, now: int) -> bool:
        """Whether a knock of this time (microseconds, as is `now`) is a new one."""
        if time <= self.newest or time in self.ahead:
            return False
        if time > now + c.KNOCK_AHEAD_S * c.CLOCK_HZ:
            if len(self.ahead) == c.MAX_KNOCKS_AHEAD and time < min(self.ahead):
                return False  # it may be one that made way
            self.ahead.append(time)
        else:
            self.newest = time
        return True


class Door:
    """One responder's rules: set `reach` and `contacts`, then `judge` each knock."""

    def __init__(self, static: KeyPair, wall: Callable[[float], int]) -> None:
        """`wall(now)` is the time of day: microseconds since the epoch."""
        self.reach: Reach = "anyone"
        self._static = static
        self._wall = wall
        self._contacts: dict[bytes, _Contact] = {}
        self._trials = RateLimit(c.TAG_TRIALS_PER_S, c.TAG_TRIAL_BURST)

    def set_contacts(self, publics: Collection[bytes]) -> None:
        """From now on these are the contacts; ValueError above `MAX_CONTACTS`.

        One DH for each that was not one before. A key with which there is no DH is nobody's and left out.
        """
        if len(publics) > c.MAX_CONTACTS:
            raise ValueError(f"at most {c.MAX_CONTACTS} contacts")
        before, self._contacts = self._contacts, {}
        for public in publics:
            known = before.get(public)
            if known is None:
                try:
                    pair_key = cookie.pair_key(self._static, public, initiator=False)
                except NoiseError:
                    continue
                known = _Contact(cookie.Mac(pair_key))
            self._contacts[public] = known

    def admits(self, public: bytes) -> bool:
        """Whether the owner of this key, which is proven, may open a line."""
        return self.reach == "anyone" or public in self._contacts

    def opens(self, pattern: PatternId) -> bool:
        """Whether this handshake is made at all."""
        return self.reach == "anyone" or pattern is PatternId.IKHFS

    def judge(self, knock: Knock, datagram: bytes, now: float) -> DropReason | None:
        """Why this knock is not answered; None: it is."""
        if not self.opens(knock.pattern):
            return DropReason.PATTERN
        return None if knock.pattern is PatternId.XXHFS else self._judge_contact(knock, datagram, now)

    def _judge_contact(self, knock: Knock, datagram: bytes, now: float) -> DropReason | None:
        if not self._trials.take(now, len(self._contacts)):
            return DropReason.RATE
        tagged = datagram[: c.KNOCK_TAGGED_BYTES]
        for contact in self._contacts.values():
            if contact.mac.fits(tagged, knock.tag):
                time = cookie.hide_time(contact.mac, knock.nonce, knock.hidden_time)
                new = contact.takes(int.from_bytes(time, "big"), self._wall(now))
                return None if new else DropReason.TIMESTAMP
        return DropReason.TAG
