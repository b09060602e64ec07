"""Who may knock: everybody, or the contacts alone, to whom everybody else gets not one byte.

A knock is judged by its mac1 and, under `reach` "contacts", by its tag and by its time, which must be later than
that contact's last one: a recorded knock opens nothing. The times are kept in memory only. Trying the keys of
all contacts on one knock costs a hash each, so there is a budget for it over all senders: while strangers who
know our public key flood it, contacts may have to knock more than once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from p2pcall.proto import constants as c
from p2pcall.proto import cookie
from p2pcall.proto.limits import RateLimit
from p2pcall.proto.noise import KeyPair, NoiseError
from p2pcall.proto.wire import DropReason, Knock, PatternId

Reach = Literal["anyone", "contacts"]


@dataclass(slots=True)
class _Contact:
    tag: cookie.Mac
    last_timestamp: int = 0


class Door:
    """One responder's rules: set `reach` and `contacts`, then `judge` each knock."""

    def __init__(self, static: KeyPair) -> None:
        self.reach: Reach = "anyone"
        self._static = static
        self._mac1 = cookie.Mac(cookie.mac1_key(static.public))
        self._unknown_mac1 = cookie.Mac(cookie.mac1_key(cookie.UNKNOWN_KEY))
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

    def mac1_fits(self, datagram: bytes, pattern: PatternId) -> bool:
        """Whether the sender knows whom it calls, or need not know.

        Only under XXhfs, and only while anyone may call, is it enough not to know.
        """
        data, mac1 = datagram[: -c.MAC_BYTES], datagram[-c.MAC_BYTES :]
        if self._mac1.fits(data, mac1):
            return True
        strangers = self.reach == "anyone" and pattern is PatternId.XXHFS
        return strangers and self._unknown_mac1.fits(data, mac1)

    def judge(self, knock: Knock, datagram: bytes, now: float) -> DropReason | None:
        """Why this knock is not answered; None: it is."""
        if self.reach == "contacts" and knock.pattern is not PatternId.IKHFS:
            return DropReason.PATTERN
        if not self.mac1_fits(datagram, knock.pattern):
            return DropReason.MAC
        return None if self.reach == "anyone" else self._judge_contact(knock, datagram, now)

    def _judge_contact(self, knock: Knock, datagram: bytes, now: float) -> DropReason | None:
        if not self._trials.take(now, len(self._contacts)):
            return DropReason.RATE
        tagged = datagram[: c.KNOCK_TAGGED_BYTES]
        for contact in self._contacts.values():
            if contact.tag.fits(tagged, knock.tag):
                if knock.timestamp <= contact.last_timestamp:
                    return DropReason.TIMESTAMP
                contact.last_timestamp = knock.timestamp
                return None
        return DropReason.TAG
