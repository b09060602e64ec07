"""Tags, hidden times and cookies: who can make them, what they are bound to, how long they hold."""

import hmac
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.admission import cookie
from p2pcall.proto.admission.cookie import Cookies, Mac
from p2pcall.proto.handshake.noise import KeyPair, NoiseError, dh
from p2pcall.proto.wire import PatternId, Suites
from p2pcall.types import Address

ALICE, BOB = (KeyPair.from_private(Random(seed).randbytes(32)) for seed in (1, 2))
PAIR_KEY = cookie.pair_key(BOB, ALICE.public, initiator=False)
HOME: Address = ("192.0.2.1", 51729)
SAID: dict[str, Any] = {
    "address": HOME,
    "pattern": PatternId.XXHFS,
    "offered": 3,
    "chosen": Suites.AESGCM,
    "index": 7,
}


def test_mac_is_hmac_sha256_cut() -> None:
    for length in (0, 1, 64, 84, 700):
        data = bytes(length)
        expected = hmac.new(ALICE.public, data, "sha256").digest()[:16]
        assert Mac(ALICE.public)(data) == expected


def test_mac_fits_only_under_its_key() -> None:
    data = b"a knock up to its tag"
    made = hmac.digest(BOB.public, data, "sha256")[: c.MAC_BYTES]
    assert Mac(BOB.public).fits(data, made)
    assert not Mac(ALICE.public).fits(data, made)
    for at in range(len(made)):
        assert not Mac(BOB.public).fits(data, made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :])


def test_hidden_time_is_read_only_under_the_key_of_the_pair_and_with_its_nonce() -> None:
    pair = Mac(cookie.pair_key(ALICE, BOB.public, initiator=True))
    time, nonce = (1_700_000_000_000_000).to_bytes(8, "big"), b"nonce of 16 byte"
    hidden = cookie.hide_time(pair, nonce, time)
    assert hidden == bytes(
        a ^ b for a, b in zip(time, hmac.digest(PAIR_KEY, nonce, "sha256")[: c.MAC_BYTES], strict=False)
    )
    assert cookie.hide_time(pair, nonce, hidden) == time
    assert cookie.hide_time(pair, b"another nonce 16", hidden) != time
    for key in (ALICE.public, BOB.public, cookie.pair_key(BOB, ALICE.public, initiator=True)):
        assert cookie.hide_time(Mac(key), nonce, hidden) != time


def test_pair_key_is_the_same_on_both_sides_and_has_a_direction() -> None:
    ours = cookie.pair_key(ALICE, BOB.public, initiator=True)
    shared = dh(ALICE, BOB.public)
    assert ours == sha256(b"p2pcall/4 contact" + shared + ALICE.public + BOB.public).digest()
    assert ours == cookie.pair_key(BOB, ALICE.public, initiator=False)
    assert ours != cookie.pair_key(BOB, ALICE.public, initiator=True)


def test_pair_key_with_a_key_of_low_order_is_refused() -> None:
    with pytest.raises(NoiseError):
        cookie.pair_key(ALICE, bytes(32), initiator=True)


def test_cookie_holds_for_what_it_was_made_for() -> None:
    jar = Cookies(Random(1).randbytes)
    made = jar.make(**SAID, now=5.0)
    assert len(made) == c.MAC_BYTES
    assert jar.holds(made, **SAID, now=5.0)


@pytest.mark.parametrize(
    "other",
    [
        {"address": ("192.0.2.1", 51730)},
        {"address": ("192.0.2.2", 51729)},
        {"address": ("fe80::1", 51729, 0, 2)},
        {"pattern": PatternId.IKHFS},
        {"offered": 1},
        {"chosen": Suites.CHACHAPOLY},
        {"index": 8},
    ],
    ids=str,
)
def test_cookie_holds_for_nothing_else(other: dict[str, Any]) -> None:
    jar = Cookies(Random(1).randbytes)
    assert not jar.holds(jar.make(**SAID, now=5.0), **(SAID | other), now=5.0)


def test_cookie_of_another_responder_does_not_hold() -> None:
    ours, other = Cookies(Random(1).randbytes), Cookies(Random(2).randbytes)
    assert not ours.holds(other.make(**SAID, now=5.0), **SAID, now=5.0)


def test_cookie_outlives_one_change_of_the_secret_and_not_two() -> None:
    jar = Cookies(Random(1).randbytes)
    made = jar.make(**SAID, now=100.0)
    later = jar.make(**SAID, now=100.0 + c.COOKIE_SECRET_S)
    assert later != made
    assert jar.holds(made, **SAID, now=100.0 + 2 * c.COOKIE_SECRET_S - 0.1)
    assert not jar.holds(made, **SAID, now=100.0 + 2 * c.COOKIE_SECRET_S)
    assert jar.holds(later, **SAID, now=100.0 + 2 * c.COOKIE_SECRET_S)


def test_cookie_does_not_outlive_a_long_quiet_time() -> None:
    jar = Cookies(Random(1).randbytes)
    made = jar.make(**SAID, now=100.0)
    assert not jar.holds(made, **SAID, now=100.0 + 2 * c.COOKIE_SECRET_S)


def test_jar_keeps_two_secrets_whatever_it_gives_out() -> None:
    jar = Cookies(Random(1).randbytes)
    for now in range(0, 2000, 7):
        jar.make(**SAID | {"index": now}, now=float(now))
    assert len(jar._secrets) == 2
