"""Knocks that are made up or repeated by the thousand, and the contacts who knock meanwhile: their hints are known."""

from collections import Counter
from random import Random

import pytest
from netem import BOB
from opening import Opening

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.events import CallEnded, HandshakeDone
from p2pcall.proto.handshake.exchange import Responder
from p2pcall.proto.wire import DatagramType, DropReason, PatternId
from p2pcall.types import Address

STRANGER: Address = ("203.0.113.66", 6666)
START = 1000.0
DIALS = 20
BEGIN_WITHIN_S = 3.0
TICK_S = 0.01


def someone(number: int) -> StaticKey:
    return StaticKey.from_private(Random(f"someone {number}").randbytes(c.KEY_BYTES))


def time_of_day(now: float) -> float:
    return 1_700_000_000 + now


def callee(contacts: int) -> Endpoint:
    """Bob, who lets only contacts knock."""
    bob = Endpoint(someone(-1), Random("bob").randbytes, wall=time_of_day)
    bob.contacts([someone(number).public for number in range(contacts)])
    bob.reach = "contacts"
    return bob


def dialler(number: int, *, clock_ahead_s: float = 0.0) -> Endpoint:
    random = Random(f"dialler {number}").randbytes
    return Endpoint(someone(number), random, wall=lambda now: time_of_day(now) + clock_ahead_s)


def knocks_of(ours: Endpoint, now: float) -> list[bytes]:
    """What leaves now of a dial of Bob, the knocks for a contact alone."""
    sent = [data for data, _ in ours.datagrams_to_send(now)]
    return [data for data in sent if (data[0], data[2]) == (DatagramType.KNOCK, PatternId.IKHFS)]


def first_knock(ours: Endpoint, now: float) -> bytes:
    ours.dial([BOB], now, someone(-1).public)
    (knock,) = knocks_of(ours, now)
    return knock


def take(bob: Endpoint, knock: bytes, source: Address, now: float) -> bool:
    """Whether there was a cookie for it, for that one and nobody else."""
    bob.receive_datagram(knock, source, now)
    answers = bob.datagrams_to_send(now)
    assert all((data[0], to) == (DatagramType.COOKIE, source) for data, to in answers)
    return bool(answers)


def forged(count: int) -> list[bytes]:
    """Knocks of somebody who has no key of a contact's, and has seen none of their knocks."""
    random = Random("forger")
    parts = (c.TOKEN_BYTES, c.KNOCK_NONCE_BYTES, c.KNOCK_TIME_BYTES)
    said = (
        wire.pack_knock(PatternId.IKHFS, 3, random.getrandbits(32), *map(random.randbytes, parts))
        for _ in range(count)
    )
    return [one + random.randbytes(c.MAC_BYTES) for one in said]


@pytest.mark.parametrize(("contacts", "per_s"), [(100, 10_000), (1000, 5_000)])
def test_forged_knocks_keep_no_contact_out(contacts: int, per_s: int) -> None:
    """Twenty contacts dial at some moment of a flood: each is let in at its first knock."""
    bob, flood, chance = callee(contacts), forged(1000), Random("moments")
    who = chance.sample(range(contacts), DIALS)
    begin = sorted((START + 0.1 + chance.uniform(0, BEGIN_WITHIN_S), number) for number in who)
    knocked: Counter[int] = Counter()
    dials: dict[int, Endpoint] = {}
    granted: set[int] = set()
    each = round(per_s * TICK_S)
    for tick in range(round((BEGIN_WITHIN_S + c.HANDSHAKE_TIMEOUT_S) / TICK_S)):
        now = START + tick * TICK_S
        for at in range(each):
            assert not take(bob, flood[(tick * each + at) % len(flood)], STRANGER, now)
        while begin and begin[0][0] <= now:
            number = begin.pop(0)[1]
            dials[number] = dialler(number)
            dials[number].dial([BOB], now, someone(-1).public)
        for number, ours in list(dials.items()):
            ours.handle_timer(now)
            knocks = knocks_of(ours, now)
            knocked[number] += len(knocks)
            if any(take(bob, knock, ("192.0.2.1", number), now) for knock in knocks):
                granted.add(number)
                del dials[number]
        if len(granted) == DIALS:
            break
    at_once = sum(knocked[number] == 1 for number in granted)
    print(
        f"{contacts} contacts, {per_s} forged knocks a second: {len(granted)} of {DIALS} dials let in, {at_once} at "
        f"their first knock, {knocked.total()} knocks; dropped {dict(bob.dropped)}"
    )
    assert (len(granted), at_once) == (DIALS, DIALS)
    assert bob.dropped[DropReason.RATE] > 0, "it was a flood"


def test_a_repeated_knock_costs_two_hashes_and_nothing_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    bob = callee(1000)
    knock = first_knock(dialler(0), START)
    assert take(bob, knock, STRANGER, START)
    for _ in range(3 * 1000 // c.HINTED_PER_KNOCK + 1):
        take(bob, knock, STRANGER, START)  # then all hints are made
    hashes, real = Counter[str](), cookie.Mac.__call__

    def counted(mac: cookie.Mac, data: bytes) -> bytes:
        hashes["all"] += 1
        return real(mac, data)

    monkeypatch.setattr(cookie.Mac, "__call__", counted)
    dropped = bob.dropped.copy()
    for _ in range(20_000):
        assert not take(bob, knock, STRANGER, START)
    assert bob.dropped - dropped == {DropReason.TIMESTAMP: 20_000}
    assert hashes["all"] == 2 * 20_000
    assert take(bob, first_knock(dialler(5, clock_ahead_s=-86_400.0), START), STRANGER, START)


def test_a_hint_that_is_repeated_with_another_tag_uses_the_budget_like_any_made_up_knock() -> None:
    bob = callee(1000)
    knock = first_knock(dialler(0), START)
    bad = knock[:-1] + bytes([knock[-1] ^ 1])
    for _ in range(20_000):
        assert not take(bob, bad, STRANGER, START)
    assert bob.dropped[DropReason.TAG] == c.TAG_TRIAL_BURST // 1000
    assert bob.dropped[DropReason.RATE] == 20_000 - c.TAG_TRIAL_BURST // 1000
    assert take(bob, knock, STRANGER, START)


def test_a_recorded_handshake_costs_one_in_5_s_and_dies_with_its_cookie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Knock and initiation of a contact, again and again from its address, which can be forged: none is a line."""
    bob, ours, now, home = callee(3), dialler(0), START, ("192.0.2.1", 1)
    made: list[float] = []
    real = Responder.answer
    monkeypatch.setattr(Responder, "answer", lambda *args: (made.append(now), real(*args))[1])
    dial = Opening(ours, bob, home, BOB, now, someone(-1).public).get_cookie().get_parts().get_response()
    other_at = START + 10.0
    for tick in range(4000):  # a hundred a second
        now = START + tick / 100
        bob.handle_timer(now)
        for data in (dial.knock, *dial.parts):
            bob.receive_datagram(data, home, now)
        bob.datagrams_to_send(now)
        if now == other_at:
            Opening(dialler(1), bob, ("192.0.2.2", 1), BOB, now, someone(-1).public).run()
            assert isinstance(bob.next_event(), HandshakeDone), "another contact has a line"
    again = [at for at in made if at != other_at]
    print(f"40 s of replays, 100 a second: {len(again)} handshakes, the last after {again[-1] - START:.1f} s")
    assert again[-1] < START + 2 * c.COOKIE_SECRET_S
    assert len(again) <= 2 * c.COOKIE_SECRET_S / c.HANDSHAKE_TIMEOUT_S, (
        "the same one is kept as long as it can be"
    )
    assert isinstance(bob.next_event(), CallEnded), "the other contact's line, on which nobody invited"
    assert bob.next_event() is None


EPOCH = float(c.KNOCK_EPOCH_S)


@pytest.mark.parametrize("ahead_s", [0.0, 1.0, -1.0, EPOCH, -EPOCH])
def test_clocks_may_differ_by_ten_minutes_in_a_flood(ahead_s: float) -> None:
    for moment in range(0, round(EPOCH), 50):
        bob, now = callee(3), START + moment
        bob._admission.knock_filter._trials.take(now, c.TAG_TRIAL_BURST)
        assert take(bob, first_knock(dialler(1, clock_ahead_s=ahead_s), now), STRANGER, now), moment


@pytest.mark.parametrize("ahead_s", [2.1 * EPOCH, -2.1 * EPOCH, 86_400.0, -86_400.0, -1_699_000_000.0])
def test_who_has_a_wrong_clock_is_let_in_as_ever_while_there_is_no_flood(ahead_s: float) -> None:
    bob = callee(1000)
    knock = first_knock(dialler(999, clock_ahead_s=ahead_s), START)
    assert take(bob, knock, STRANGER, START)
    assert not take(bob, knock, STRANGER, START)


def hint(ours: Endpoint, now: float) -> bytes:
    """Of a dial that is given up at once."""
    peer = ours.dial([BOB], now, someone(-1).public)
    (knock,) = knocks_of(ours, now)
    peer.close()
    return knock[16 : 16 + c.KNOCK_HINT_BYTES]


def test_hints_link_one_dial_in_four_of_the_same_two_within_ten_minutes_and_no_others() -> None:
    epoch = START - time_of_day(START) % EPOCH
    ours = dialler(0)
    one = [hint(ours, epoch + at / 10) for at in range(400)]
    counts = Counter(one)
    print(f"of 400 dials in one epoch: {sorted(counts.values())} with the same hint")
    assert len(counts) == c.HINTS_PER_EPOCH
    assert all(60 < count < 140 for count in counts.values()), "each as often as the others"
    later = {hint(ours, epoch + number * EPOCH) for number in range(1, 400)}
    others = {hint(dialler(number), epoch) for number in range(1, 400)}
    assert len(later) == len(others) == 399
    assert not counts.keys() & (later | others)


def test_all_knocks_of_a_dial_have_its_hint_whatever_the_clock_says_and_another_nonce() -> None:
    ours, begun = dialler(0), START - time_of_day(START) % EPOCH + EPOCH - 2
    knocks = [first_knock(ours, begun)]
    for tick in range(1, 20):
        ours.handle_timer(begun + tick / 4)
        knocks += knocks_of(ours, begun + tick / 4)
    assert len(knocks) > 9, "two seconds before the epoch's end, and two after"
    assert len({knock[16 : 16 + c.KNOCK_HINT_BYTES] for knock in knocks}) == 1
    assert len({knock[16 + c.KNOCK_HINT_BYTES : 32] for knock in knocks}) == len(knocks)
