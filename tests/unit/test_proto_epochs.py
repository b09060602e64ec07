"""Epochs: which keys seal and open when, and that each is wiped at its end."""

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.handshake.noise import CHACHAPOLY, CipherState
from p2pcall.proto.line.epochs import Epoch, Epochs
from p2pcall.proto.line.session import Session
from p2pcall.proto.wire import DropReason


class Ends:
    """Both ends' epochs of one line; each epoch has index `10 + number` here and `20 + number` there."""

    def __init__(self) -> None:
        self.released: list[int] = []
        here, there = self.epoch(0, 0.0)
        self.here = Epochs(here, self.released.append)
        self.there = Epochs(there, self.released.append)

    def epoch(self, number: int, born: float) -> tuple[Epoch, Epoch]:
        """Both sides of one handshake's keys; "here" dialled."""
        one, two = bytes([number, 1]) * 16, bytes([number, 2]) * 16
        left, right = CipherState(CHACHAPOLY, one), CipherState(CHACHAPOLY, two)
        return (
            Epoch(Session(left, right, 20 + number), 10 + number, bytes([number]), born),
            Epoch(Session(right, left, 10 + number), 20 + number, bytes([number]), born),
        )

    def say(self, text: bytes, now: float) -> bytes | DropReason:
        """From here to there."""
        datagram = self.here.seal(text, now)
        assert datagram is not None
        return self.there.open(datagram, now)

    def answer(self, text: bytes, now: float) -> bytes | DropReason:
        """From there to here."""
        datagram = self.there.seal(text, now)
        assert datagram is not None
        return self.here.open(datagram, now)


def rekeyed(now: float = 115.0) -> Ends:
    """The called side has offered a new epoch, and the side that dialled has switched to it."""
    ends = Ends()
    assert ends.say(b"before", 1.0) == b"before"
    assert ends.answer(b"before", 1.0) == b"before"
    here, there = ends.epoch(1, now)
    ends.there.offer(there)
    ends.here.switch(here)
    return ends


def test_called_side_seals_under_the_new_epoch_once_it_has_heard_it() -> None:
    ends = rekeyed()
    assert ends.there.current.index == 20
    assert ends.answer(b"still the old one", 115.0) == b"still the old one"
    assert ends.say(b"new", 115.1) == b"new"
    assert ends.there.current.index == 21
    assert ends.answer(b"new", 115.1) == b"new"
    assert ends.here.current.index == 11


def test_offered_epoch_that_is_forged_upon_is_not_taken() -> None:
    ends = rekeyed()
    datagram = ends.here.seal(b"new", 115.0)
    assert datagram is not None
    assert ends.there.open(datagram[:-1] + b"\0", 115.0) is DropReason.AUTHENTICATION
    assert ends.there.current.index == 20


def test_late_datagram_of_the_old_epoch_opens_for_a_while() -> None:
    ends = Ends()
    late = [ends.here.seal(bytes([number]), 114.0) for number in range(2)]
    here, there = ends.epoch(1, 115.0)
    ends.there.offer(there)
    ends.here.switch(here)
    assert ends.say(b"new", 115.0) == b"new"
    assert late[0] is not None and late[1] is not None
    ends.there.expire(115.0 + c.PREVIOUS_EPOCH_S - 0.1)
    assert ends.there.open(late[0], 124.9) == b"\0"
    ends.there.expire(115.0 + c.PREVIOUS_EPOCH_S)
    assert ends.there.open(late[1], 125.0) is DropReason.INDEX
    assert ends.released == [20]


def test_dialling_side_keeps_the_old_epoch_until_it_has_heard_the_new_one() -> None:
    ends = rekeyed()
    ends.here.expire(150.0)
    assert ends.answer(b"did not get the new one yet", 150.0) == b"did not get the new one yet"
    assert ends.here.newest, "it tells where the other side is"
    ends.say(b"new", 151.0)
    assert ends.answer(b"new", 151.0) == b"new"
    assert ends.here.next_timer() == 161.0
    ends.here.expire(161.0)
    assert ends.released == [10]


def test_late_datagram_of_the_old_epoch_is_not_the_newest() -> None:
    ends = rekeyed()
    late = ends.there.seal(b"late", 115.0)
    ends.say(b"new", 115.0)
    ends.answer(b"new", 115.0)
    assert ends.here.newest
    assert late is not None
    assert ends.here.open(late, 115.1) == b"late"
    assert not ends.here.newest


def test_no_epoch_seals_or_opens_after_its_end() -> None:
    ends = Ends()
    late = ends.here.seal(b"late", c.REJECT_AFTER_S - 0.1)
    assert late is not None
    assert ends.here.next_timer() == c.REJECT_AFTER_S
    assert ends.there.open(late, c.REJECT_AFTER_S) is DropReason.EXPIRED
    assert ends.here.seal(b"", c.REJECT_AFTER_S) is None
    assert ends.here.spent(c.REJECT_AFTER_S)
    assert not ends.here.spent(c.REJECT_AFTER_S - 0.1)


def test_nothing_is_sealed_when_the_counters_are_used_up() -> None:
    ends = Ends()
    ends.here.current.session._counter = c.REJECT_AFTER_RECORDS
    assert ends.here.spent(1.0)
    assert ends.here.seal(b"", 1.0) is None


def test_previous_epoch_ends_at_its_age_even_if_the_new_one_is_not_heard() -> None:
    ends = rekeyed()
    assert ends.here.next_timer() == c.REJECT_AFTER_S
    ends.here.expire(c.REJECT_AFTER_S)
    assert ends.released == [10]
    assert ends.here.next_timer() == 115.0 + c.REJECT_AFTER_S


def test_offer_that_is_not_taken_up_is_wiped() -> None:
    ends = rekeyed()
    ends.there.expire(c.REJECT_AFTER_S)
    assert ends.released == []
    ends.there.current.born = 200.0
    assert ends.there.next_timer() == 115.0 + c.REJECT_AFTER_S
    ends.there.expire(115.0 + c.REJECT_AFTER_S)
    assert ends.released == [21]


def test_later_offer_takes_the_place_of_an_earlier_one() -> None:
    ends = rekeyed()
    _, there = ends.epoch(2, 120.0)
    ends.there.offer(there)
    assert ends.released == [21]
    assert ends.say(b"under the first offer", 120.0) is DropReason.INDEX


def test_epochs_that_follow_each_other_quickly_leave_none_behind() -> None:
    ends = rekeyed()
    here, _ = ends.epoch(2, 116.0)
    ends.here.switch(here)
    assert ends.released == [10]
    ends.here.wipe()
    assert sorted(ends.released) == [10, 11, 12]
    assert ends.here.current.session._sending is None


@pytest.mark.parametrize("number", [1, 2])
def test_unknown_index_is_dropped(number: int) -> None:
    ends = Ends()
    here, _ = ends.epoch(number, 0.0)
    assert ends.there.open(here.session.seal(b"x"), 0.0) is DropReason.INDEX
