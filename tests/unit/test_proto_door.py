"""Who may knock: mac1, the tag of a contact, its time, and the budget for trying keys."""

from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto import cookie, wire
from p2pcall.proto.door import Door
from p2pcall.proto.noise import KeyPair
from p2pcall.proto.wire import DropReason, PatternId

ALICE, BOB, EVE = (KeyPair.from_private(Random(seed).randbytes(32)) for seed in (1, 2, 3))
XX, IK = PatternId.XXHFS, PatternId.IKHFS


def knock(
    pattern: PatternId = IK,
    *,
    who: KeyPair = ALICE,
    to: bytes = BOB.public,
    at: int = 1000,
    tag: bytes | None = None,
) -> bytes:
    said = wire.pack_knock(pattern, 3, 7, b"token 8b", at)
    if tag is None:
        tag = cookie.mac(cookie.pair_key(who, BOB.public, initiator=True), said)
    return cookie.with_mac1(cookie.mac1_key(to), said + tag)


def judge(door: Door, datagram: bytes, now: float = 0.0) -> DropReason | None:
    parsed = wire.parse_knock(datagram)
    assert isinstance(parsed, wire.Knock)
    return door.judge(parsed, datagram, now)


def contacts_only(*publics: bytes) -> Door:
    door = Door(BOB)
    door.reach = "contacts"
    door.set_contacts(publics or [ALICE.public])
    return door


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (knock(XX, to=cookie.UNKNOWN_KEY, tag=bytes(16)), None),
        (knock(XX, tag=bytes(16)), None),
        (knock(IK, tag=bytes(16)), None),
        (knock(IK, to=cookie.UNKNOWN_KEY), DropReason.MAC),
        (knock(XX, to=EVE.public), DropReason.MAC),
        (knock(IK, to=EVE.public), DropReason.MAC),
    ],
    ids=["xx-unknown", "xx-known", "ik-known", "ik-unknown", "xx-other", "ik-other"],
)
def test_anyone_may_knock_who_need_not_or_does_know_the_key(
    datagram: bytes, reason: DropReason | None
) -> None:
    assert judge(Door(BOB), datagram) is reason


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (knock(), None),
        (knock(tag=bytes(16)), DropReason.TAG),
        (knock(who=EVE), DropReason.TAG),
        (knock(to=cookie.UNKNOWN_KEY), DropReason.MAC),
        (knock(to=EVE.public), DropReason.MAC),
        (knock(XX), DropReason.PATTERN),
        (knock(XX, to=cookie.UNKNOWN_KEY), DropReason.PATTERN),
    ],
    ids=["contact", "no-tag", "stranger", "unknown-key", "other-key", "xx", "xx-unknown"],
)
def test_only_a_contact_that_proves_it_may_knock(datagram: bytes, reason: DropReason | None) -> None:
    assert judge(contacts_only(), datagram) is reason


def test_knock_of_another_direction_is_no_contacts() -> None:
    said = wire.pack_knock(IK, 3, 7, b"token 8b", 1000)
    tag = cookie.mac(cookie.pair_key(BOB, ALICE.public, initiator=True), said)
    assert judge(contacts_only(), knock(tag=tag)) is DropReason.TAG


def test_knock_must_be_later_than_the_last_one_of_that_contact() -> None:
    door = contacts_only(ALICE.public, EVE.public)
    assert judge(door, knock(at=1000)) is None
    assert judge(door, knock(at=1000)) is DropReason.TIMESTAMP
    assert judge(door, knock(at=999)) is DropReason.TIMESTAMP
    assert judge(door, knock(who=EVE, at=5)) is None
    assert judge(door, knock(at=1001)) is None


def test_refused_knock_leaves_no_trace() -> None:
    door = contacts_only()
    assert judge(door, knock(who=EVE, at=2**63)) is DropReason.TAG
    assert judge(door, knock(at=2**63, to=EVE.public)) is DropReason.MAC
    assert judge(door, knock(at=1)) is None


def test_last_times_outlive_a_change_of_the_contacts() -> None:
    door = contacts_only()
    judge(door, knock(at=1000))
    door.set_contacts([EVE.public, ALICE.public])
    assert judge(door, knock(at=1000)) is DropReason.TIMESTAMP
    assert judge(door, knock(who=EVE, at=1000)) is None
    door.set_contacts([EVE.public])
    assert judge(door, knock(at=2000)) is DropReason.TAG


def test_pair_keys_are_made_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = cookie.pair_key

    def counted(static: KeyPair, other: bytes, *, initiator: bool) -> bytes:
        made.append(other)
        return real(static, other, initiator=initiator)

    monkeypatch.setattr(cookie, "pair_key", counted)
    door = contacts_only(ALICE.public)
    door.set_contacts([ALICE.public, EVE.public])
    door.set_contacts([EVE.public, ALICE.public])
    assert made == [ALICE.public, EVE.public]


def test_those_who_are_admitted_are_the_contacts_or_all() -> None:
    door = contacts_only()
    assert door.admits(ALICE.public) and not door.admits(EVE.public)
    door.reach = "anyone"
    assert door.admits(EVE.public)


def test_key_of_low_order_is_nobodys() -> None:
    door = contacts_only(bytes(32), ALICE.public)
    assert not door.admits(bytes(32))
    assert judge(door, knock()) is None


def test_contacts_are_bounded() -> None:
    with pytest.raises(ValueError, match="at most 4096"):
        Door(BOB).set_contacts([number.to_bytes(32, "big") for number in range(c.MAX_CONTACTS + 1)])


def test_nobody_is_let_in_while_there_are_no_contacts() -> None:
    door = Door(BOB)
    door.reach = "contacts"
    assert judge(door, knock()) is DropReason.TAG


def test_trying_keys_has_a_budget_that_comes_back() -> None:
    door = contacts_only()
    outcomes = [judge(door, knock(tag=bytes(16)), 0.0) for _ in range(c.TAG_TRIAL_BURST + 3)]
    assert outcomes.count(DropReason.TAG) == c.TAG_TRIAL_BURST
    assert judge(door, knock(), 0.0) is DropReason.RATE
    assert judge(door, knock(), 0.01) is None
