"""Private announcements: what contacts recognise, what strangers see, and what hostile records cost."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.proto import constants as c
from p2pcall.proto import presence
from p2pcall.proto.handshake.noise import KeyPair, NoiseError
from p2pcall.proto.presence import (
    RECORD_VALUES,
    TEXT_BYTES,
    PresenceFinder,
    announcement,
    period_of,
    presence_key,
)

ANNA, BOB, CARL = (KeyPair.from_private(Random(seed).randbytes(32)) for seed in (1, 2, 3))
NOON = 1_800_000_000.0
"""The beginning of a period."""
DAYS = 2
PORT = 51729


def key_for(contact: KeyPair, announcer: KeyPair = BOB) -> bytes:
    return presence_key(announcer, contact.public, announcer=True)


def finder(contact: KeyPair, announcer: KeyPair = BOB) -> PresenceFinder:
    return PresenceFinder({announcer.public: presence_key(contact, announcer.public, announcer=False)})


def strangers(count: int, seed: int = 9) -> list[bytes]:
    """Keys of so many contacts whom nobody here is."""
    random = Random(seed)
    return [random.randbytes(32) for _ in range(count)]


def shown(text: bytes) -> list[bytes]:
    return list(presence._values(text))


def periods() -> list[float]:
    return [NOON + number * c.PRESENCE_PERIOD_S for number in range(DAYS * 86400 // c.PRESENCE_PERIOD_S)]


def test_two_days_of_announcements_share_no_value_and_each_contact_recognises_every_one() -> None:
    assert len(periods()) == 192
    entropy, seen = Random(4).randbytes, Counter[bytes]()
    anna, carl = finder(ANNA), finder(CARL)
    for at in periods():
        (text,) = announcement([key_for(ANNA), key_for(CARL)], at, PORT, entropy)
        for who in (anna, carl):
            assert who.find(text, at + 100) == (BOB.public, PORT)
        seen.update(value[: c.PRESENCE_TAG_BYTES] for value in shown(text))
    assert len(seen) == len(periods()) * RECORD_VALUES
    assert set(seen.values()) == {1}


def test_two_announcements_of_one_period_share_no_value_either() -> None:
    """A stranger who compares them, on two networks or after a new start, counts nothing."""
    entropy = Random(5).randbytes
    first, second = (announcement([key_for(ANNA)], NOON, PORT, entropy)[0] for _ in range(2))
    assert not set(shown(first)) & set(shown(second))


@pytest.mark.parametrize("count", [0, 1, 5, RECORD_VALUES])
def test_up_to_128_contacts_look_like_none(count: int) -> None:
    entropy = Random(6).randbytes
    (text,) = announcement(strangers(count), NOON, PORT, entropy)
    assert len(text) == TEXT_BYTES
    assert len(set(shown(text))) == RECORD_VALUES


@pytest.mark.parametrize(
    ("count", "records"),
    [(RECORD_VALUES + 1, 2), (2 * RECORD_VALUES + 1, 4), (4000, 32), (c.MAX_CONTACTS, 32)],
)
def test_more_contacts_are_told_in_a_power_of_two_of_records_and_all_find_theirs(
    count: int, records: int
) -> None:
    keys = [*strangers(count - 2), key_for(ANNA), key_for(CARL)]
    texts = announcement(keys, NOON, PORT, Random(7).randbytes)
    assert len(texts) == records
    for who in (finder(ANNA), finder(CARL)):
        assert [found for text in texts if (found := who.find(text, NOON))] == [(BOB.public, PORT)]


def test_the_place_of_a_contact_is_random_in_each_period() -> None:
    """Each place of 128 comes as often as chance has it: over 1920 announcements 15 times."""
    entropy, key, places = Random(8).randbytes, key_for(ANNA), []
    for number in range(1920):
        at = NOON + number * c.PRESENCE_PERIOD_S
        (text,) = announcement([key, *strangers(5)], at, PORT, entropy)
        data = presence._hashed(period_of(at)) + text[len(presence.PRESENCE_START) : presence._NONCE_END]
        tag = presence._tag(key, data).digest()
        places.append([value[: c.PRESENCE_TAG_BYTES] for value in shown(text)].index(tag))
    times = Counter(places)
    assert len(times) == RECORD_VALUES
    expected = len(places) / RECORD_VALUES
    assert sum((times[place] - expected) ** 2 / expected for place in range(RECORD_VALUES)) < 220  # p = 1e-6
    assert sum(one < other for one, other in pairwise(places)) in range(800, 1100)


def test_values_for_contacts_are_as_even_as_random_ones() -> None:
    """Bits of the tags and encrypted ports of a thousand contacts, whose port is the same: half are ones."""
    texts = announcement(strangers(1024), NOON, PORT, bytes)
    bits = [0] * 64
    for text in texts:
        for value in shown(text):
            number = int.from_bytes(value, "big")
            for at in range(64):
                bits[at] += number >> at & 1
    assert all(abs(ones - 512) < 5 * 16 for ones in bits)


@pytest.mark.parametrize("apart_s", [-900, -300, 0, 300, 900])
def test_clocks_may_differ_by_a_period(apart_s: int) -> None:
    (text,) = announcement([key_for(ANNA)], NOON + 450, PORT, Random(1).randbytes)
    assert finder(ANNA).find(text, NOON + 450 + apart_s) == (BOB.public, PORT)


@pytest.mark.parametrize("apart", range(2, 7))
def test_an_announcement_of_another_time_is_not_recognised(apart: int) -> None:
    (text,) = announcement([key_for(ANNA)], NOON, PORT, Random(1).randbytes)
    for sign in (-1, 1):
        assert finder(ANNA).find(text, NOON + sign * apart * c.PRESENCE_PERIOD_S) is None


def test_what_two_contacts_announce_to_each_other_has_nothing_in_common() -> None:
    assert key_for(ANNA, BOB) != key_for(BOB, ANNA)
    (text,) = announcement([key_for(ANNA, BOB)], NOON, PORT, Random(1).randbytes)
    assert finder(BOB, ANNA).find(text, NOON) is None


def test_who_is_no_contact_recognises_nothing() -> None:
    (text,) = announcement([key_for(ANNA)], NOON, PORT, Random(1).randbytes)
    assert finder(CARL).find(text, NOON) is None
    assert PresenceFinder({}).find(text, NOON) is None


def test_a_key_of_low_order_gives_no_shared_key() -> None:
    with pytest.raises(NoiseError):
        presence_key(BOB, bytes(32), announcer=True)


def test_a_port_that_is_none_is_nobody() -> None:
    (text,) = announcement([key_for(ANNA)], NOON, 0, Random(1).randbytes)
    assert finder(ANNA).find(text, NOON) is None


def test_a_record_with_values_of_two_contacts_is_taken_for_the_first() -> None:
    keys = {who.public: key_for(who) for who in (ANNA, CARL)}
    (text,) = announcement(list(keys.values()), NOON, PORT, Random(1).randbytes)
    assert PresenceFinder(keys).find(text, NOON) == (ANNA.public, PORT)


def test_a_record_of_another_form_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = announcement([key_for(ANNA)], NOON, PORT, Random(1).randbytes)

    def look(*_: object) -> None:
        raise AssertionError("looked at")

    monkeypatch.setattr(PresenceFinder, "_recognise", look)
    anna = finder(ANNA)
    bent = bytearray(text)
    bent[presence._NONCE_END + 1] ^= 1
    for hostile in (b"", text[:-1], text + b"\0", bytes(9000), b"\x03v=2" + text[4:], bytes(bent)):
        assert anna.find(hostile, NOON) is None


@given(st.binary(max_size=2 * TEXT_BYTES) | st.binary(min_size=TEXT_BYTES - 23, max_size=TEXT_BYTES - 23))
def test_whatever_bytes_a_record_has_they_are_nobodys(data: bytes) -> None:
    anna = finder(ANNA)
    for hostile in (data, presence.PRESENCE_START + data, bent(data)):
        assert anna.find(hostile, NOON) is None


def bent(data: bytes) -> bytes:
    """A record of the right form with these bytes in the place of its values."""
    filled = data.ljust(TEXT_BYTES, b"\0")
    text = bytearray(presence.PRESENCE_START + filled)[:TEXT_BYTES]
    for prefix, at in presence._strings():
        text[at : at + len(prefix)] = prefix
    assert presence._well_formed(bytes(text))
    return bytes(text)


def test_the_work_for_a_flood_of_records_is_bounded_and_ends_with_the_period(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(c, "PRESENCE_MAX_TEXTS", 20)
    entropy, anna, looks = Random(1).randbytes, finder(ANNA), []
    true_look = PresenceFinder._recognise
    monkeypatch.setattr(
        PresenceFinder,
        "_recognise",
        lambda self, text, now: looks.append(text) or true_look(self, text, now),
    )
    (text,) = announcement([key_for(ANNA)], NOON, PORT, entropy)
    assert anna.find(text, NOON)
    for _ in range(1000):
        anna.find(announcement([], NOON, PORT, entropy)[0], NOON)
    assert anna.find(text, NOON), "what was recognised stays so"
    assert len(looks) == c.PRESENCE_MAX_TEXTS
    later = NOON + c.PRESENCE_PERIOD_S
    (text,) = announcement([key_for(ANNA)], later, PORT, entropy)
    assert anna.find(text, later)


def test_records_of_one_announcement_are_recognised_with_one_hash_for_each_contact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And of each period one hash is made beforehand: 4,000 contacts take 2 ms."""
    begun, made = [], []
    true_tag, true_expected = presence._tag, PresenceFinder._expected
    monkeypatch.setattr(presence, "_tag", lambda key, data: begun.append(key) or true_tag(key, data))
    monkeypatch.setattr(
        PresenceFinder,
        "_expected",
        lambda self, nonce, period: made.append(nonce) or true_expected(self, nonce, period),
    )
    texts = announcement(strangers(500), NOON, PORT, Random(1).randbytes)
    others = announcement(strangers(5), NOON, PORT, Random(2).randbytes)
    begun.clear()
    who = PresenceFinder({bytes([number]): key for number, key in enumerate(strangers(100, seed=3))})
    for text in [*texts, *others]:
        who.find(text, NOON)
    assert (len(begun), len(made)) == (100, 2)
