"""First messages: nothing is kept or computed before the cookie, copies are free, tables are bounded and forget."""

from collections import Counter
from itertools import count
from math import inf
from random import Random

import pytest
from msgspec.structs import replace

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.admission.admission import Admission
from p2pcall.proto.handshake import noise
from p2pcall.proto.handshake.exchange import Established, Initiator, Local, StaticKey, suites
from p2pcall.proto.wire import DropReason, PatternId, Suites
from p2pcall.types import Address, Reach

BOB = StaticKey.from_private(Random(2).randbytes(32))
STRANGER = StaticKey.from_private(Random(9).randbytes(32))
HOME: Address = ("192.0.2.1", 51729)
CHACHA = suites(False)
XX, IK = PatternId.XXHFS, PatternId.IKHFS


def admission(able: Suites = CHACHA) -> Admission:
    made = Admission(
        Local(BOB, Random(1).randbytes),
        able,
        count(100).__next__,
        Counter(),
        lambda now: round(now * 1e6),
    )
    made.knock_filter.set_contacts([STRANGER.public])
    return made


class Dialler:
    """What a dialler says, one datagram at a time."""

    def __init__(self, seed: int = 1, pattern: PatternId = XX) -> None:
        entropy = Random(seed).randbytes
        known = BOB.public if pattern is IK else None
        self.pattern, self.index = pattern, seed
        self.noise = Initiator(Local(STRANGER, entropy), seed, pattern, CHACHA, CHACHA, known)
        self.mac = cookie.Mac(cookie.pair_key(STRANGER, BOB.public, initiator=True))
        self.times = count(1000 * seed)

    def knock(self) -> bytes:
        nonce, time = bytes(c.KNOCK_NONCE_BYTES), next(self.times).to_bytes(c.KNOCK_TIME_BYTES, "big")
        hidden = cookie.hide_time(self.mac, nonce, time)
        said = wire.pack_knock(self.pattern, CHACHA, self.index, b"token 8b", nonce, hidden)
        return said + self.mac(said)

    def parts(self, door: Admission, address: Address = HOME, now: float = 0.0) -> list[bytes]:
        answer = door.knock(self.knock(), address, now)
        assert isinstance(answer, bytes)
        parsed = wire.parse_cookie(answer)
        assert isinstance(parsed, wire.Cookie)
        assert (parsed.receiver_index, parsed.token) == (self.index, b"token 8b")
        return self.parts_with(parsed.cookie)

    def parts_with(self, value: bytes, offered: int = CHACHA, whole: bytes | None = None) -> list[bytes]:
        return wire.pack_parts(whole or self.noise.initiation, offered, self.index, value)

    def confirmation(self, response: bytes) -> wire.Confirmation:
        parsed = wire.parse_response(response)
        assert isinstance(parsed, wire.Response)
        left = self.noise.read_response(parsed.noise)
        assert isinstance(left, Established)
        confirmed = wire.parse_confirmation(left.confirmation)
        assert isinstance(confirmed, wire.Confirmation)
        return confirmed


def opened(door: Admission, ours: Dialler, address: Address = HOME, now: float = 0.0) -> bytes:
    """The response to a knock and an initiation."""
    first, second = ours.parts(door, address, now)
    assert door.part(first, address, now) is None
    response = door.part(second, address, now)
    assert isinstance(response, bytes), response
    return response


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every DH, key pair and encapsulation from here on."""
    done: list[str] = []

    def note(where: object, name: str) -> None:
        real = getattr(where, name)

        def noted(*args: bytes) -> object:
            done.append(name)
            return real(*args)

        monkeypatch.setattr(where, name, noted)

    note(noise.bindings, "crypto_scalarmult")
    note(noise.bindings, "crypto_scalarmult_base")
    return done


@pytest.mark.parametrize("pattern", list(PatternId))
def test_handshake_from_the_knock_to_the_confirmation(pattern: PatternId) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    response = opened(door, ours)
    confirmed = door.confirm(ours.confirmation(response), HOME)
    assert not isinstance(confirmed, DropReason)
    assert confirmed.remote_static == STRANGER.public


@pytest.mark.parametrize("pattern", list(PatternId))
def test_no_dh_and_no_memory_before_the_cookie(pattern: PatternId, work: list[str]) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    made = len(work)
    for port in range(200):
        assert isinstance(door.knock(ours.knock(), ("192.0.2.9", port), 0.0), bytes)
        for part in ours.parts_with(bytes([port]) * 16):
            assert door.part(part, ("192.0.2.9", port), 0.0) is DropReason.COOKIE
    assert len(work) == made
    assert (len(door), len(door._partial), len(door._limits), door.next_timer()) == (0, 0, 0, inf)


def test_a_line_begins_at_an_address_that_has_agreed_less_than_25_s_ago() -> None:
    oldest = 2 * c.COOKIE_SECRET_S + c.HANDSHAKE_TIMEOUT_S
    assert oldest == 25.0
    for step in range(2 * round(oldest)):
        done_at: list[float] = []
        for waited in (0.0, c.HANDSHAKE_TIMEOUT_S - 0.1):
            door, ours, asked_at = admission(), Dialler(), step / 2
            assert isinstance(door.knock(Dialler().knock(), HOME, 0.0), bytes), (
                "the secret is as old as it may be"
            )
            parts = ours.parts(door, HOME, c.COOKIE_SECRET_S - 0.1)
            answers = [door.part(part, HOME, c.COOKIE_SECRET_S + asked_at) for part in parts]
            door.expire(c.COOKIE_SECRET_S + asked_at + waited)
            if isinstance(answers[1], bytes) and isinstance(
                door.confirm(ours.confirmation(answers[1]), HOME), Established
            ):
                done_at.append(0.1 + asked_at + waited)
        assert all(at < oldest for at in done_at)
        assert bool(done_at) == (asked_at < c.COOKIE_SECRET_S), "a dial has its time"


def test_cookie_of_another_address_proves_nothing(work: list[str]) -> None:
    door, ours = admission(), Dialler()
    made = len(work)
    for part in ours.parts(door):
        assert door.part(part, ("192.0.2.1", 1), 0.0) is DropReason.COOKIE
    assert len(work) == made and len(door._partial) == 0


@pytest.mark.parametrize("pattern", list(PatternId))
def test_first_part_costs_no_dh_and_gets_no_answer(pattern: PatternId, work: list[str]) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    made = len(work)
    for part in ours.parts(door)[::-1][:1] * 3:
        assert door.part(part, HOME, 0.0) is None
    assert len(work) == made
    assert len(door._partial) == 1


def test_copy_of_an_initiation_gets_the_same_response_without_dh(work: list[str]) -> None:
    door, ours = admission(), Dialler()
    first = opened(door, ours)
    made = len(work)
    for _ in range(10 * c.SOURCE_BURST):
        assert opened(door, ours, now=1.0) == first
    assert len(work) == made
    assert len(door) == 1
    assert isinstance(opened(door, Dialler(2), now=1.0), bytes), "copies cost nothing of the rate"


ELSEWHERE: list[Address] = [("203.0.113.9", 9), ("192.0.2.1", 1), ("192.0.2.2", 51729)]


@pytest.mark.parametrize("pattern", list(PatternId))
def test_confirmation_counts_only_from_where_an_initiation_came(pattern: PatternId, work: list[str]) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    confirmation = ours.confirmation(opened(door, ours))
    made = len(work)
    for _ in range(c.MAX_CONFIRMATION_FAILURES):
        for address in ELSEWHERE:
            assert door.confirm(confirmation, address) is DropReason.ADDRESS
    assert len(work) == made, "no DH for it, and it is no failure of the handshake"
    assert isinstance(door.confirm(confirmation, HOME), Established)


def test_confirmation_may_come_from_each_address_that_the_initiation_came_from() -> None:
    others: list[Address] = [("198.51.100.1", port) for port in range(4)]
    for address in (HOME, *others[: c.MAX_INITIATIONS - 1]):
        door, ours = admission(), Dialler()
        confirmation = ours.confirmation(opened(door, ours))
        for other in others:
            opened(door, ours, other)
        assert door.confirm(confirmation, others[c.MAX_INITIATIONS - 1]) is DropReason.ADDRESS, "too many"
        assert isinstance(door.confirm(confirmation, address), Established)


@pytest.mark.parametrize("take", ["knock", "part"])
def test_what_is_malformed_is_dropped(take: str) -> None:
    door, ours = admission(), Dialler()
    good = ours.knock() if take == "knock" else ours.parts(door)[0]
    judge = door.knock if take == "knock" else door.part
    assert judge(good[:-1], HOME, 0.0) is DropReason.LENGTH
    assert judge(good[:3] + b"\x80" + good[4:], HOME, 0.0) is DropReason.SUITE
    assert judge(good[:1] + b"\2" + good[2:], HOME, 0.0) is DropReason.VERSION


@pytest.mark.parametrize("pattern", list(PatternId))
def test_every_flipped_byte_before_the_message_is_dropped_and_the_honest_one_still_answered(
    pattern: PatternId,
) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    parts = ours.parts(door)
    for number, part in enumerate(parts):
        for at in range(c.PART_HEADER_BYTES):
            bad = part[:at] + bytes([part[at] ^ 1]) + part[at + 1 :]
            if at not in (0, 2):  # the type is judged before, the other part's number is as good
                assert isinstance(door.part(bad, HOME, 0.0), DropReason), (number, at)
    assert (len(door), len(door._partial)) == (0, 0)
    assert door.part(parts[0], HOME, 0.0) is None
    assert isinstance(door.part(parts[1], HOME, 0.0), bytes)


@pytest.mark.parametrize("pattern", list(PatternId))
def test_flipped_byte_of_the_message_makes_no_line_and_the_honest_one_is_still_answered(
    pattern: PatternId,
) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    whole = ours.noise.initiation
    value = wire.parse_part(ours.parts(door)[0])
    assert isinstance(value, wire.Part)
    for place, at in enumerate(range(c.INITIATION_HEADER_BYTES, len(whole), 41)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        first, second = ours.parts_with(value.cookie, whole=changed)
        assert door.part(first, HOME, place / 5) is None
        answer = door.part(second, HOME, place / 5)
        if isinstance(answer, bytes):  # message 1 of XXhfs is in the clear: it shows at the other end
            assert pattern is XX
            response = wire.parse_response(answer)
            assert isinstance(response, wire.Response)
            assert ours.noise.read_response(response.noise) is DropReason.HANDSHAKE
        else:
            assert answer is DropReason.HANDSHAKE
    assert isinstance(opened(door, ours, now=20.0), bytes)


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 5, 8, 11, 12, 15])
def test_header_that_does_not_say_what_knock_and_cookie_said_is_dropped(at: int, work: list[str]) -> None:
    door, ours = admission(), Dialler()
    whole = ours.noise.initiation
    changed = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
    value = wire.parse_part(ours.parts(door)[0])
    assert isinstance(value, wire.Part)
    made = len(work)
    first, second = ours.parts_with(value.cookie, whole=changed)
    assert door.part(first, HOME, 0.0) is None
    assert door.part(second, HOME, 0.0) is DropReason.HEADER
    assert len(work) == made


def test_offer_cannot_be_made_smaller_on_the_path() -> None:
    door = admission(suites(True))
    weak = Dialler()  # whose knock was changed to offer ChaCha20-Poly1305 alone
    value = wire.parse_part(weak.parts(door)[0])
    assert isinstance(value, wire.Part)
    for part in weak.parts_with(value.cookie, offered=suites(True)):
        assert door.part(part, HOME, 0.0) is DropReason.COOKIE


def test_new_handshakes_of_a_source_are_rated() -> None:
    door = admission()
    outcomes = []
    for seed in range(1, c.SOURCE_BURST + 4):
        first, second = Dialler(seed).parts(door)
        door.part(first, HOME, 0.0)
        outcomes.append(door.part(second, HOME, 0.0))
    assert outcomes.count(DropReason.RATE) == 3
    assert isinstance(opened(door, Dialler(999), now=1 / c.SOURCE_RATE_PER_S), bytes)


def test_source_with_many_half_open_handshakes_pushes_out_its_own() -> None:
    door, honest = admission(), Dialler(500)
    response = opened(door, honest, ("192.0.2.200", 1))
    for seed in range(1, 3 * c.MAX_HALF_OPEN):
        opened(door, Dialler(seed), now=seed / c.SOURCE_RATE_PER_S)
    assert len(door) == c.MAX_HALF_OPEN_PER_SOURCE + 1
    assert not isinstance(door.confirm(honest.confirmation(response), ("192.0.2.200", 1)), DropReason)


def test_oldest_half_open_handshake_makes_way() -> None:
    door, first = admission(), Dialler(500)
    response = opened(door, first)
    for seed in range(1, c.MAX_HALF_OPEN + 1):
        opened(door, Dialler(seed), (f"192.0.2.{seed + 1}", 1), seed / 10)
    assert len(door) == c.MAX_HALF_OPEN
    assert door._dropped[DropReason.HALF_OPEN] == 1
    assert door.confirm(first.confirmation(response), HOME) is DropReason.INDEX


def test_half_open_handshake_is_forgotten_in_time() -> None:
    door = admission()
    opened(door, Dialler(1), now=10.0)
    opened(door, Dialler(2), now=12.0)
    assert door.next_timer() == 10.0 + c.HANDSHAKE_TIMEOUT_S
    door.part(Dialler(3).parts(door, now=12.0)[0], HOME, 12.0)
    assert door.next_timer() == 12.0 + c.HALF_TIMEOUT_S
    door.expire(10.0 + c.HANDSHAKE_TIMEOUT_S)
    assert len(door) == 1
    door.expire(12.0 + c.HANDSHAKE_TIMEOUT_S)
    assert len(door) == 0
    assert door.next_timer() == inf


def test_confirmed_handshake_cannot_be_confirmed_again() -> None:
    door, ours = admission(), Dialler()
    response = opened(door, ours)
    message = ours.confirmation(response)
    assert isinstance(door.confirm(message, HOME), Established)
    assert door.confirm(message, HOME) is DropReason.DUPLICATE
    assert opened(door, ours, now=0.1) == response


def bad_confirmations(good: wire.Confirmation, count: int) -> list[wire.Confirmation]:
    """Such that cannot be read, each in another way."""
    return [
        replace(good, noise=good.noise[:at] + bytes([good.noise[at] ^ 1]) + good.noise[at + 1 :])
        for at in range(count)
    ]


@pytest.mark.parametrize("pattern", list(PatternId))
def test_two_bad_confirmations_leave_the_handshake_open(pattern: PatternId) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    good = ours.confirmation(opened(door, ours))
    for bad in bad_confirmations(good, c.MAX_CONFIRMATION_FAILURES - 1):
        assert door.confirm(bad, HOME) is DropReason.HANDSHAKE
    assert isinstance(door.confirm(good, HOME), Established)


@pytest.mark.parametrize("pattern", list(PatternId))
def test_handshake_is_forgotten_after_three_confirmations_that_cannot_be_read(pattern: PatternId) -> None:
    door, ours = admission(), Dialler(pattern=pattern)
    good = ours.confirmation(opened(door, ours))
    for bad in bad_confirmations(good, c.MAX_CONFIRMATION_FAILURES):
        assert door.confirm(bad, HOME) is DropReason.HANDSHAKE
    assert len(door) == 0
    assert door.confirm(good, HOME) is DropReason.INDEX
    again = Dialler(2, pattern)
    response = opened(door, again, now=1.0)
    assert isinstance(door.confirm(again.confirmation(response), HOME), Established), "the next one is as any"


def test_confirmation_after_the_handshake_is_done_does_not_count_as_a_failure() -> None:
    door, ours = admission(), Dialler()
    response = opened(door, ours)
    good = ours.confirmation(response)
    assert isinstance(door.confirm(good, HOME), Established)
    for bad in bad_confirmations(good, 2 * c.MAX_CONFIRMATION_FAILURES):
        assert door.confirm(bad, HOME) is DropReason.DUPLICATE
    assert opened(door, ours, now=0.1) == response


def test_refused_confirmations_cost_no_more_than_three_dh_for_each_answered_initiation(
    work: list[str],
) -> None:
    """Message 3 of XXhfs with a key that can be read and then no proof of it: the dearest that there is."""
    door = admission()
    spent, refused = [], 0
    for seed in range(1, 9):
        ours = Dialler(seed)
        response = wire.parse_response(opened(door, ours, now=float(seed)))
        assert isinstance(response, wire.Response)
        left = ours.noise.read_response(response.noise)
        assert isinstance(left, Established)
        good = wire.parse_confirmation(left.confirmation)
        assert isinstance(good, wire.Confirmation)
        bad = replace(good, noise=good.noise[:-1] + bytes([good.noise[-1] ^ 1]))
        made = len(work)
        for _ in range(50):
            assert isinstance(door.confirm(bad, HOME), DropReason)
            refused += 1
        spent.append(work[made:].count("crypto_scalarmult"))
    assert (refused, max(spent)) == (400, c.MAX_CONFIRMATION_FAILURES)


def test_initiations_are_silent_where_only_contacts_may_knock() -> None:
    door, stranger, contact = admission(), Dialler(), Dialler(2, IK)
    parts, response = stranger.parts(door), opened(door, Dialler(3))
    assert isinstance(response, bytes)
    door.knock_filter.reach = "contacts"
    assert door.knock(stranger.knock(), HOME, 0.0) is DropReason.PATTERN
    assert [door.part(part, HOME, 0.0) for part in parts] == [DropReason.PATTERN] * 2, (
        "even with a good cookie"
    )
    assert len(door._partial) == 0
    assert isinstance(door.confirm(contact.confirmation(opened(door, contact)), HOME), Established)


@pytest.mark.parametrize("reach", ["anyone", "contacts"])
def test_ik_of_nobody_who_is_a_contact_is_silent(reach: Reach) -> None:
    door, contact = admission(), Dialler(pattern=IK)
    parts = contact.parts(door)
    door.knock_filter.reach = reach
    door.knock_filter.set_contacts([])
    assert door.knock(contact.knock(), HOME, 0.0) is DropReason.TAG
    if reach == "contacts":
        assert door.part(parts[0], HOME, 0.0) is None
        assert door.part(parts[1], HOME, 0.0) is DropReason.STRANGER


def test_initiation_that_cannot_be_answered_takes_no_place() -> None:
    door, ours = admission(), Dialler()
    value = wire.parse_part(ours.parts(door)[0])
    assert isinstance(value, wire.Part)
    low_order = ours.noise.initiation[:16] + bytes(32) + ours.noise.initiation[48:]
    first, second = ours.parts_with(value.cookie, whole=low_order)
    assert door.part(first, HOME, 0.0) is None
    assert door.part(second, HOME, 0.0) is DropReason.HANDSHAKE
    assert len(door) == 0


@pytest.mark.parametrize("pattern", list(PatternId))
def test_who_is_no_contact_any_more_gets_no_answer_and_no_line_in_mid_handshake(pattern: PatternId) -> None:
    door, dialler = admission(), Dialler(pattern=pattern)
    parts = dialler.parts(door)
    response = [door.part(part, HOME, 0.0) for part in parts][-1]
    assert isinstance(response, bytes)
    confirmation = dialler.confirmation(response)
    door.knock_filter.reach = "contacts"
    door.knock_filter.set_contacts([])
    again = [door.part(part, HOME, 0.1) for part in parts][-1]
    assert again is (DropReason.STRANGER if pattern is IK else DropReason.PATTERN)
    assert door.confirm(confirmation, HOME) is (DropReason.INDEX if pattern is IK else DropReason.STRANGER)
    assert len(door) == 0


def test_who_is_no_contact_any_more_gets_no_line_by_a_confirmation_alone() -> None:
    door, dialler = admission(), Dialler(pattern=IK)
    response = [door.part(part, HOME, 0.0) for part in dialler.parts(door)][-1]
    assert isinstance(response, bytes)
    door.knock_filter.reach = "contacts"
    door.knock_filter.set_contacts([])
    assert door.confirm(dialler.confirmation(response), HOME) is DropReason.STRANGER
    assert len(door) == 0
