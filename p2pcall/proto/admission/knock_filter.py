"""Who may knock: everybody, or the contacts alone, to whom everybody else gets not one byte.

A knock for XXhfs says nothing about whom it is from or for: it is answered if anyone may call. One for IKhfs is
judged by its tag and by its time, which must be later than that contact's last one: a recorded knock opens nothing.
A time that is far ahead of ours is no measure for later ones, for the clock may have been wrong; such a knock just
does not count twice. The times are kept in memory only, also of who is no contact any more, for it may be one again.

Whose tag it may be a hint tells, which is looked up: a knock that is made up costs no more than that, and one that is
repeated a hash. A contact whose clock is so wrong that its hint is of no epoch near ours has the keys of all contacts
tried on its knock, a hash each. There is a budget for that over all senders: while strangers flood it, that one may
have to knock more than once, and if anyone may call, it is answered as a stranger.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from msgspec import Struct, field

from p2pcall.proto import constants as c
from p2pcall.proto.admission import cookie
from p2pcall.proto.admission.limits import RateLimit
from p2pcall.proto.handshake.noise import KeyPair, NoiseError
from p2pcall.proto.wire import DropReason, Knock, PatternId
from p2pcall.types import Reach


class _Contact(Struct):
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


class _Epoch(Struct):
    """Whose the hints of one epoch are. `left`: for whom they are still to be made."""

    number: int
    left: Iterator[_Contact]
    whose: dict[bytes, _Contact] = field(default_factory=dict)


class _Hints:
    """The hints of some contacts around the time of day, made bit by bit as knocks come, and only then."""

    __slots__ = ("_contacts", "_left", "_near", "_ours")

    def __init__(self, contacts: Collection[_Contact]) -> None:
        self._contacts = contacts
        self._ours = -1
        self._near: list[_Epoch] = []  # ours first
        self._left = False

    def find(self, hint: bytes, now: int) -> _Contact | None:
        """Whose hint it is at this time of day in microseconds; a hint may be somebody else's by chance."""
        ours = cookie.epoch_of(now)
        if ours != self._ours:
            self._turn(ours)
        if self._left:
            self._make()
        for epoch in self._near:
            contact = epoch.whose.get(hint)
            if contact is not None:
                return contact
        return None

    def _turn(self, ours: int) -> None:
        before = {epoch.number: epoch for epoch in self._near}
        numbers = [number for number in (ours, ours + 1, ours - 1) if number >= 0]
        self._near = [before.get(number) or _Epoch(number, iter(self._contacts)) for number in numbers]
        self._ours, self._left = ours, True

    def _make(self) -> None:
        budget = c.HINTED_PER_KNOCK
        for epoch in self._near:
            for contact in islice(epoch.left, budget):
                budget -= 1
                for hint in cookie.hints(contact.mac, epoch.number):
                    epoch.whose[hint] = contact
        self._left = budget == 0


class KnockFilter:
    """One responder's rules: set `reach` and `contacts`, then `judge` each knock."""

    def __init__(self, static: KeyPair, wall: Callable[[float], int]) -> None:
        """`wall(now)` is the time of day: microseconds since the epoch."""
        self.reach = Reach.ANYONE
        self._static = static
        self._wall = wall
        self._contacts: dict[bytes, _Contact] = {}
        self._known: dict[
            bytes, _Contact
        ] = {}  # and those who were, the one who was a contact last is the last
        self._hints = _Hints(())
        self._trials = RateLimit(c.TAG_TRIALS_PER_S, c.TAG_TRIAL_BURST)

    def set_contacts(self, publics: Collection[bytes]) -> None:
        """From now on these are the contacts; ValueError above `MAX_CONTACTS`.

        One DH for each that was not one before. A key with which there is no DH is nobody's and left out. Of those
        who are none any more, as many as may be contacts are remembered.
        """
        if len(publics) > c.MAX_CONTACTS:
            raise ValueError(f"at most {c.MAX_CONTACTS} contacts")
        self._contacts = {}
        for public in publics:
            known = self._known.pop(public, None)
            if known is None:
                try:
                    pair_key = cookie.pair_key(self._static, public, initiator=False)
                except NoiseError:
                    continue
                known = _Contact(cookie.Mac(pair_key))
            self._contacts[public] = self._known[public] = known
        for public in list(self._known)[: -2 * c.MAX_CONTACTS]:
            del self._known[public]
        self._hints = _Hints(self._contacts.values())

    def admits(self, public: bytes) -> bool:
        """Whether the owner of this key, which is proven, may open a line."""
        return self.reach == Reach.ANYONE or public in self._contacts

    def opens(self, pattern: PatternId) -> bool:
        """Whether this handshake is made at all."""
        return self.reach == Reach.ANYONE or pattern is PatternId.IKHFS

    def judge(self, knock: Knock, datagram: bytes, now: float) -> DropReason | None:
        """Why this knock is not answered; None: it is."""
        if not self.opens(knock.pattern):
            return DropReason.PATTERN
        return None if knock.pattern is PatternId.XXHFS else self._judge_contact(knock, datagram, now)

    def _judge_contact(self, knock: Knock, datagram: bytes, now: float) -> DropReason | None:
        tagged, time_of_day = datagram[: c.KNOCK_TAGGED_BYTES], self._wall(now)
        contact = self._hints.find(knock.nonce[: c.KNOCK_HINT_BYTES], time_of_day)
        if contact is None or not contact.mac.fits(tagged, knock.tag):
            if not self._trials.take(now, len(self._contacts)):
                return DropReason.RATE
            fitting = (one for one in self._contacts.values() if one.mac.fits(tagged, knock.tag))
            contact = next(fitting, None)
        if contact is None:
            return DropReason.TAG
        time = cookie.hide_time(contact.mac, knock.nonce, knock.hidden_time)
        return None if contact.takes(int.from_bytes(time, "big"), time_of_day) else DropReason.TIMESTAMP
