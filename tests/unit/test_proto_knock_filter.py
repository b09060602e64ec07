"""Who may knock: what a knock tells and whom, the tag of a contact, its time, and the budget for trying keys."""

import hmac
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import product
from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.admission.dial import Dial
from p2pcall.proto.admission.knock_filter import KnockFilter
from p2pcall.proto.handshake.exchange import Local, suites
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.wire import DropReason, PatternId

ALICE, BOB, EVE = (KeyPair.from_private(Random(seed).randbytes(32)) for seed in (1, 2, 3))
XX, IK = PatternId.XXHFS, PatternId.IKHFS
AHEAD = round(c.KNOCK_AHEAD_S * c.CLOCK_HZ)
NONCE = b"nonce of 16 byte"
SECRET = (slice(16, 32), slice(32, 40), slice(c.KNOCK_TAGGED_BYTES, c.KNOCK_BYTES))
"""Nonce, hidden time and tag."""


def knock(
    pattern: PatternId = IK,
    *,
    who: KeyPair = ALICE,
    to: bytes = BOB.public,
    at: int = 1000,
    nonce: bytes = NONCE,
    tag: bytes | None = None,
) -> bytes:
    mac = cookie.Mac(cookie.pair_key(who, to, initiator=True))
    said = wire.pack_knock(
        pattern, 3, 7, b"token 8b", nonce, cookie.hide_time(mac, nonce, at.to_bytes(8, "big"))
    )
    return said + (mac(said) if tag is None else tag)


def judge(door: KnockFilter, datagram: bytes, now: float = 0.0) -> DropReason | None:
    parsed = wire.parse_knock(datagram)
    assert isinstance(parsed, wire.Knock)
    return door.judge(parsed, datagram, now)


def door_of(*publics: bytes, reach: str = "contacts") -> KnockFilter:
    door = KnockFilter(Local(BOB, Random(1).randbytes), lambda now: round(now * c.CLOCK_HZ))
    door.reach = "contacts" if reach == "contacts" else "anyone"
    door.set_contacts(publics or [ALICE.public])
    return door


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (knock(), None),
        (knock(tag=bytes(16)), DropReason.TAG),
        (knock(who=EVE), DropReason.TAG),
        (knock(to=EVE.public), DropReason.TAG),
        (knock(XX), None),
        (knock(XX, tag=bytes(16)), None),
    ],
    ids=["contact", "no-tag", "stranger", "other-key", "xx", "xx-no-tag"],
)
def test_anyone_may_knock_for_xx_and_for_ik_only_a_contact(
    datagram: bytes, reason: DropReason | None
) -> None:
    assert judge(door_of(reach="anyone"), datagram) is reason


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (knock(), None),
        (knock(tag=bytes(16)), DropReason.TAG),
        (knock(who=EVE), DropReason.TAG),
        (knock(to=EVE.public), DropReason.TAG),
        (knock(XX), DropReason.PATTERN),
        (knock(XX, tag=bytes(16)), DropReason.PATTERN),
    ],
    ids=["contact", "no-tag", "stranger", "other-key", "xx", "xx-no-tag"],
)
def test_only_a_contact_that_proves_it_may_knock(datagram: bytes, reason: DropReason | None) -> None:
    assert judge(door_of(), datagram) is reason


@pytest.mark.parametrize("reach", ["anyone", "contacts"])
def test_knock_of_another_direction_is_no_contacts(reach: str) -> None:
    said = wire.pack_knock(IK, 3, 7, b"token 8b", NONCE, bytes(8))
    tag = hmac.digest(cookie.pair_key(BOB, ALICE.public, initiator=True), said, "sha256")[: c.MAC_BYTES]
    assert judge(door_of(reach=reach), said + tag) is DropReason.TAG


def test_changed_knock_is_no_contacts() -> None:
    good, door = knock(), door_of()
    unread = {1, 2, *range(40, c.KNOCK_TAGGED_BYTES)}  # version, pattern and padding
    for at in set(range(len(good))) - unread:
        assert judge(door, good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]) is DropReason.TAG
    assert judge(door, good) is None


def dialled(public: bytes | None, count: int, asked: list[float], apart_s: int = 0) -> list[bytes]:
    """The first knocks of so many dials of one index, all at the same time of day or `apart_s` from each other."""

    def time(now: float) -> int:
        asked.append(now)
        return 1_700_000_000_000_000 + len(asked) * apart_s * c.CLOCK_HZ

    entropy, out = Random(7).randbytes, []
    for _ in range(count):
        dial = Dial(Local(ALICE, entropy), 7, suites(True), [("x", 1)], 0.0, time, public)
        ((datagram, _),) = dial.take_due(0.0)
        out.append(datagram)
    return out


def guesses() -> Iterator[bytes]:
    """The keys that whoever has all public keys, and a secret one of her own, can make of them."""
    publics = (ALICE.public, BOB.public, EVE.public)
    own = [cookie.pair_key(EVE, public, initiator=way) for public in publics for way in (True, False)]
    yield from (b"", bytes(32), c.CONTACT_LABEL, *publics, *own)
    for count in (1, 2, 3):
        for made in product((*publics, *own), repeat=count):
            yield sha256(c.CONTACT_LABEL + b"".join(made)).digest()


def test_a_knock_tells_nobody_but_the_contact_anything() -> None:
    asked: list[float] = []
    strangers = dialled(None, 1500, asked)
    assert not asked, "where there is no contact there is no time either"
    contacts = dialled(BOB.public, 1500, asked)
    other_hints = dialled(BOB.public, 1500, asked, c.KNOCK_EPOCH_S)
    unhinted = (slice(16 + c.KNOCK_HINT_BYTES, 32), *SECRET[1:])
    for knocks, pattern, secret in (
        (strangers, XX, SECRET),
        (contacts, IK, unhinted),
        (other_hints, IK, SECRET),
    ):
        shown = {datagram[:8] + datagram[40 : c.KNOCK_TAGGED_BYTES] for datagram in knocks}
        assert shown == {bytes((1, 4, pattern, 3, 0, 0, 0, 7)) + bytes(28)}, "the rest is the same for all"
        hidden = [b"".join(datagram[part] for part in secret) for datagram in knocks]
        ones = [sum(one[bit // 8] >> bit % 8 & 1 for one in hidden) for bit in range(8 * len(hidden[0]))]
        most = 5 * (len(hidden) / 4) ** 0.5  # standard deviations of a fair coin
        assert all(abs(count - len(hidden) / 2) < most for count in ones), "each bit is a coin's"
        counts = Counter(b"".join(hidden))
        mean = counts.total() / 256
        chi_square = sum((counts[value] - mean) ** 2 / mean for value in range(256))
        assert abs(chi_square - 255) < 5 * 510**0.5, "all bytes are as likely"
        assert len({datagram[part] for datagram in knocks for part in secret}) == 3 * len(knocks)


def test_tag_and_time_of_a_knock_cannot_be_made_of_all_public_keys() -> None:
    time = 1_700_000_000_000_000
    datagram = knock(at=time)
    said, (nonce, hidden, tag) = datagram[: c.KNOCK_TAGGED_BYTES], (datagram[part] for part in SECRET)

    def read(key: bytes) -> tuple[bool, bool]:
        mac = cookie.Mac(key)
        shown = int.from_bytes(cookie.hide_time(mac, nonce, hidden), "big")
        return mac.fits(said, tag), abs(shown - time) < 86_400 * c.CLOCK_HZ

    assert [key for key in guesses() if any(read(key))] == []
    assert read(cookie.pair_key(BOB, ALICE.public, initiator=False)) == (True, True)


def test_knock_must_be_later_than_the_last_one_of_that_contact() -> None:
    door = door_of(ALICE.public, EVE.public)
    assert judge(door, knock(at=1000)) is None
    assert judge(door, knock(at=1000)) is DropReason.TIMESTAMP
    assert judge(door, knock(at=1000, nonce=b"another nonce 16")) is DropReason.TIMESTAMP
    assert judge(door, knock(at=999)) is DropReason.TIMESTAMP
    assert judge(door, knock(who=EVE, at=5)) is None
    assert judge(door, knock(at=1001)) is None


@pytest.mark.parametrize("reach", ["anyone", "contacts"])
def test_time_far_ahead_is_no_measure_for_later_ones(reach: str) -> None:
    door = door_of(reach=reach)
    assert judge(door, knock(at=AHEAD + 1)) is None
    assert judge(door, knock(at=2**64 - 1)) is None
    assert judge(door, knock(at=1000)) is None, "the clock has been set right"
    assert judge(door, knock(at=999)) is DropReason.TIMESTAMP


def test_time_a_little_ahead_is_a_measure_for_later_ones() -> None:
    door = door_of()
    assert judge(door, knock(at=AHEAD)) is None
    assert judge(door, knock(at=1000)) is DropReason.TIMESTAMP
    assert judge(door, knock(at=AHEAD + 1), 0.1) is None


def test_knock_from_far_ahead_opens_once_now_and_when_its_time_has_come() -> None:
    door = door_of()
    times = [AHEAD + 1 + number for number in range(c.MAX_KNOCKS_AHEAD)]
    assert [judge(door, knock(at=at)) for at in times] == [None] * len(times)
    for now in (0.0, 1.0, c.KNOCK_AHEAD_S + 1, 10 * c.KNOCK_AHEAD_S):
        assert {judge(door, knock(at=at), now) for at in times} == {DropReason.TIMESTAMP}
        assert judge(door, knock(at=1000 + round(now)), now) is None, "and it stands in nobody's way"


def test_knocks_from_far_ahead_are_bounded_for_each_contact() -> None:
    door = door_of()
    for number in range(3 * c.MAX_KNOCKS_AHEAD):
        judge(door, knock(at=AHEAD + 1 + number))
    (contact,) = door._contacts.values()
    assert (len(contact.ahead), contact.newest) == (c.MAX_KNOCKS_AHEAD, 0)
    assert judge(door, knock(at=AHEAD + 1)) is DropReason.TIMESTAMP, "nor does one open again that made way"


def test_refused_knock_leaves_no_trace() -> None:
    door = door_of()
    assert judge(door, knock(who=EVE, at=2**63)) is DropReason.TAG
    assert judge(door, knock(at=2**63, to=EVE.public)) is DropReason.TAG
    assert judge(door, knock(XX, at=2**63)) is DropReason.PATTERN
    assert judge(door, knock(at=1)) is None


def test_last_times_outlive_a_change_of_the_contacts() -> None:
    door = door_of()
    judge(door, knock(at=1000))
    door.set_contacts([EVE.public, ALICE.public])
    assert judge(door, knock(at=1000)) is DropReason.TIMESTAMP
    assert judge(door, knock(who=EVE, at=1000)) is None
    door.set_contacts([EVE.public])
    assert judge(door, knock(at=2000)) is DropReason.TAG


def test_a_contact_that_was_removed_and_added_again_is_not_let_in_by_an_old_knock() -> None:
    door = door_of()
    assert judge(door, knock(at=1000)) is None
    assert judge(door, knock(at=AHEAD + 5)) is None
    door.set_contacts([EVE.public])
    door.set_contacts([])
    door.set_contacts([ALICE.public])
    assert judge(door, knock(at=1000)) is DropReason.TIMESTAMP
    assert judge(door, knock(at=AHEAD + 5)) is DropReason.TIMESTAMP
    assert judge(door, knock(at=1001)) is None


def test_those_who_were_contacts_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "MAX_CONTACTS", 2)
    door = door_of()
    judge(door, knock(at=1000))
    for number in range(1, 50):
        door.set_contacts([KeyPair.from_private(bytes([number]) * 32).public, EVE.public])
        assert len(door._known) <= 2 * c.MAX_CONTACTS
        assert judge(door, knock(who=EVE, at=number)) is None
    door.set_contacts([ALICE.public])
    assert judge(door, knock(at=1000)) is None, "that was long ago"


def test_pair_keys_are_made_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = cookie.pair_key

    def counted(static: KeyPair, other: bytes, *, initiator: bool) -> bytes:
        made.append(other)
        return real(static, other, initiator=initiator)

    monkeypatch.setattr(cookie, "pair_key", counted)
    door = door_of(ALICE.public)
    door.set_contacts([ALICE.public, EVE.public])
    door.set_contacts([EVE.public, ALICE.public])
    assert made == [ALICE.public, EVE.public]


def test_those_who_are_admitted_are_the_contacts_or_all() -> None:
    door = door_of()
    assert door.admits(ALICE.public) and not door.admits(EVE.public)
    door.reach = "anyone"
    assert door.admits(EVE.public)


def test_key_of_low_order_is_nobodys() -> None:
    door = door_of(bytes(32), ALICE.public)
    assert not door.admits(bytes(32))
    assert judge(door, knock()) is None


def test_contacts_are_bounded() -> None:
    with pytest.raises(ValueError, match="at most 4096"):
        door_of().set_contacts([number.to_bytes(32, "big") for number in range(c.MAX_CONTACTS + 1)])


@pytest.mark.parametrize("reach", ["anyone", "contacts"])
def test_nobody_is_let_in_as_a_contact_while_there_are_none(reach: str) -> None:
    door = door_of(reach=reach)
    door.set_contacts([])
    assert judge(door, knock()) is DropReason.TAG


def test_xx_is_not_opened_where_only_contacts_may_knock() -> None:
    assert [door_of().opens(pattern) for pattern in PatternId] == [False, True]
    assert [door_of(reach="anyone").opens(pattern) for pattern in PatternId] == [True, True]


@pytest.mark.parametrize("reach", ["anyone", "contacts"])
def test_trying_keys_has_a_budget_that_comes_back(reach: str) -> None:
    door = door_of(reach=reach)
    forged = knock(tag=bytes(16))
    outcomes = [judge(door, forged, 0.0) for _ in range(c.TAG_TRIAL_BURST + 3)]
    assert outcomes.count(DropReason.TAG) == c.TAG_TRIAL_BURST
    assert judge(door, knock(), 0.0) is DropReason.RATE
    assert judge(door, knock(XX), 0.0) is (None if reach == "anyone" else DropReason.PATTERN)
    assert judge(door, knock(), 0.01) is None
