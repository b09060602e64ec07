"""One part waits for the other: in any order, not for long, few at once, and few for one source."""

from collections import Counter
from math import inf

from p2pcall.proto import constants as c
from p2pcall.proto.admission.limits import Source
from p2pcall.proto.admission.partial import PartialInitiations
from p2pcall.proto.wire import DropReason, Part, PatternId


def source(name: str) -> Source:
    return Source(name, name)


def part(number: int, cookie: int = 0, chunk: bytes | None = None) -> Part:
    text = [b"first ", b"second"][number] if chunk is None else chunk
    return Part(PatternId.XXHFS, number, 3, 1, cookie.to_bytes(16, "big"), text)


def test_parts_are_joined_in_their_order_whichever_comes_first() -> None:
    waiting = PartialInitiations(Counter())
    assert waiting.join(part(0), source("a"), 0.0) is None
    assert waiting.join(part(1), source("a"), 0.0) == b"first second"
    assert waiting.join(part(1), source("a"), 0.0) is None
    assert waiting.join(part(0), source("a"), 0.0) == b"first second"
    assert len(waiting) == 0


def test_later_copy_of_a_part_replaces_the_earlier_one() -> None:
    waiting = PartialInitiations(Counter())
    waiting.join(part(0), source("a"), 0.0)
    waiting.join(part(0, chunk=b"newer "), source("a"), 0.0)
    assert len(waiting) == 1
    assert waiting.join(part(1), source("a"), 0.0) == b"newer second"


def test_parts_under_different_cookies_do_not_meet() -> None:
    waiting = PartialInitiations(Counter())
    waiting.join(part(0, cookie=1), source("a"), 0.0)
    assert waiting.join(part(1, cookie=2), source("a"), 0.0) is None


def test_part_waits_for_two_seconds() -> None:
    waiting = PartialInitiations(Counter())
    assert waiting.next_timer() == inf
    waiting.join(part(0, cookie=1), source("a"), 10.0)
    waiting.join(part(0, cookie=2), source("b"), 11.0)
    assert waiting.next_timer() == 10.0 + c.HALF_TIMEOUT_S
    waiting.expire(10.0 + c.HALF_TIMEOUT_S)
    assert len(waiting) == 1
    assert waiting.join(part(1, cookie=2), source("b"), 11.0 + c.HALF_TIMEOUT_S) is None, (
        "too late, with or without a timer"
    )


def test_one_source_has_two_parts_of_which_the_older_makes_way() -> None:
    dropped: Counter[DropReason] = Counter()
    waiting = PartialInitiations(dropped)
    waiting.join(part(0, cookie=99), source("honest"), 0.0)
    for cookie in range(10):
        waiting.join(part(0, cookie=cookie), source("flood"), 0.0)
    assert len(waiting) == 3
    assert dropped == {DropReason.HALF: 8}
    assert waiting.join(part(1, cookie=99), source("honest"), 0.1) == b"first second"
    assert waiting.join(part(1, cookie=9), source("flood"), 0.1) == b"first second"


def test_parts_are_bounded_and_the_oldest_makes_way() -> None:
    dropped: Counter[DropReason] = Counter()
    waiting = PartialInitiations(dropped)
    for number in range(c.MAX_HALVES + 5):
        waiting.join(part(0, cookie=number), source(f"source {number}"), 0.0)
    assert len(waiting) == c.MAX_HALVES
    assert dropped == {DropReason.HALF: 5}
    assert waiting.join(part(1, cookie=5), source("source 5"), 0.0) == b"first second"
    assert waiting.join(part(1, cookie=4), source("source 4"), 0.0) is None


def test_part_of_the_site_with_the_most_makes_way() -> None:
    waiting = PartialInitiations(Counter())
    waiting.join(part(0, cookie=999), source("honest"), 0.0)
    for number in range(c.MAX_HALVES + 5):
        waiting.join(part(0, cookie=number), Source(f"network {number}", "flood"), 0.0)
    assert len(waiting) == c.MAX_HALVES
    assert waiting.join(part(1, cookie=999), source("honest"), 0.0) == b"first second"
