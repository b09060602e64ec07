"""Who may knock: everybody, or only contacts; then nobody else gets a single byte in answer.

A knock for XXhfs does not say whom it is from or for: it is answered if anyone may call. A knock for IKhfs is checked
by its tag and by its time, which must be later than that contact's last one. So a recorded knock gets no answer. If
the time is far ahead of our clock, later knocks are not compared with it, because the sender's clock may have been
wrong; only the same time is not accepted twice. The times are kept in memory only. Those of removed contacts are kept
too, because they may become contacts again.

A hint in the knock names the contact: the filter looks it up. So a forged knock costs one look-up, and a repeated one
also a hash. If a contact's clock is so wrong that its hint belongs to no epoch near ours, the keys of all contacts are
tried, one hash each. One budget for this covers all senders. While strangers use it up, such a contact may have to
knock more than once; if anyone may call, it is answered as a stranger.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from msgspec import Struct, field

from p2pcall.proto import constants as c
from p2pcall.proto.admission import cookie
from p2pcall.proto.admission.limits import RateLimit
from p2pcall.proto.handshake.exchange import Local
from p2pcall.proto.handshake.noise import NoiseError
from p2pcall.proto.wire import DropReason, Knock, PatternId
from p2pcall.types import Reach


class _Contact(Struct):
    mac: cookie.Mac
    newest: int = 0
    ahead: deque[int] = field(default_factory=lambda: deque(maxlen=c.MAX_KNOCKS_AHEAD))

    def takes(self, time: int, now: int) -> bool:
        """Whether a knock with this `time` is new; both times are in microseconds."""
        if time <= self.newest or time in self.ahead:
            return False
        if time > now + c.KNOCK_AHEAD_S * c.CLOCK_HZ:
            if len(self.ahead) == c.MAX_KNOCKS_AHEAD and time < min(self.ahead):
                return False  # it may be one that was dropped from the list
            self.ahead.append(time)
        else:
            self.newest = time
        return True


class _Epoch(Struct):
    """The hints of one epoch, each with its contact. `left`: the contacts whose hints are still to be computed."""

    number: int
    left: Iterator[_Contact]
    whose: dict[bytes, _Contact] = field(default_factory=dict)


class _Hints:
    """The hints of some contacts for the epochs around now. They are computed in small steps, when knocks arrive."""

    __slots__ = ("_contacts", "_left", "_near", "_ours")

    def __init__(self, contacts: Collection[_Contact]) -> None:
        self._contacts = contacts
        self._ours = -1
        self._near: list[_Epoch] = []  # ours first
        self._left = False

    def find(self, hint: bytes, now: int) -> _Contact | None:
        """The contact that has this hint at time `now` (microseconds); another sender's hint may match by chance."""
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

    def __init__(self, local: Local, wall: Callable[[float], int]) -> None:
        """`wall(now)` is the time of day: microseconds since the epoch."""
        self.reach = Reach.ANYONE
        self._local = local
        self._wall = wall
        self._admitted: set[bytes] = set()
        self._contacts: dict[bytes, _Contact] = {}  # by our key and theirs
        self._known: dict[
            bytes, _Contact
        ] = {}  # contacts and former contacts, the one removed last is the last
        self._hints = _Hints(())
        self._trials = RateLimit(c.TAG_TRIALS_PER_S, c.TAG_TRIAL_BURST)

    def set_contacts(self, publics: Collection[bytes]) -> None:
        """From now on these are the contacts; ValueError above `MAX_CONTACTS`.

        Each new contact costs one DH, two if they may not know our present key yet. A key of low order, for which DH
        fails, is left out. Up to MAX_CONTACTS former contacts are remembered.
        """
        if len(publics) > c.MAX_CONTACTS:
            raise ValueError(f"at most {c.MAX_CONTACTS} contacts")
        self._contacts, self._admitted = {}, set()
        for public in publics:
            for static in self._local.towards(public):
                pair = static.public + public
                known = self._known.pop(pair, None)
                if known is None:
                    try:
                        pair_key = cookie.pair_key(static, public, initiator=False)
                    except NoiseError:
                        continue
                    known = _Contact(cookie.Mac(pair_key))
                self._contacts[pair] = self._known[pair] = known
                self._admitted.add(public)
        for pair in list(self._known)[: -2 * c.MAX_CONTACTS]:
            del self._known[pair]
        self._hints = _Hints(self._contacts.values())

    def admits(self, public: bytes) -> bool:
        """Whether the owner of this proven key may open a line."""
        return self.reach == Reach.ANYONE or public in self._admitted

    def opens(self, pattern: PatternId) -> bool:
        """Whether this pattern is answered at all."""
        return self.reach == Reach.ANYONE or pattern is PatternId.IKHFS

    def judge(self, knock: Knock, datagram: bytes, now: float) -> DropReason | None:
        """Why this knock is not answered; None: it is answered."""
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
