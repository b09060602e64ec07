"""The safety number: symmetric, of both keys and nothing else, the same for ever, and made as the text says."""

import hashlib
import hmac
import math
from collections.abc import Callable

import pytest

from p2pcall.proto import constants
from p2pcall.proto.handshake.safety_number import (
    identity_key,
    identity_uri,
    safety_half,
    safety_number,
    safety_uri,
)

ALICE, BOB = bytes(range(32)), bytes(range(1, 33))
NUMBER = "32548 50941 34585 53867 18853 71708 68544 23051 02450 73119 48574 25331"


def test_the_number_of_two_keys_never_changes() -> None:
    """A known answer: who changes this makes every number that people have compared wrong."""
    assert " ".join(safety_number(ALICE, BOB)) == NUMBER


def test_both_sides_have_the_same_number() -> None:
    assert safety_number(ALICE, BOB) == safety_number(BOB, ALICE)


def test_twelve_groups_of_five_digits() -> None:
    number = safety_number(ALICE, BOB)
    assert len(number) == 12
    assert all(len(group) == 5 and group.isascii() and group.isdigit() for group in number)


def test_a_key_in_between_changes_its_half_and_only_that() -> None:
    """Who stands between two people has to find each one's half again: no half depends on the other key."""
    between = bytes(31) + b"\x09"
    halves = {safety_half(ALICE), safety_half(BOB)}
    assert {safety_number(ALICE, BOB)[:6], safety_number(ALICE, BOB)[6:]} == halves
    assert safety_half(between) not in halves
    assert safety_number(ALICE, between) != safety_number(ALICE, BOB) != safety_number(between, BOB)


def test_one_bit_of_a_key_gives_another_half() -> None:
    keys = [bytes([ALICE[0] ^ 1 << bit]) + ALICE[1:] for bit in range(8)]
    assert len({safety_half(key) for key in [*keys, ALICE]}) == 9


def pbkdf2_block(key: bytes, salt: bytes, rounds: int) -> bytes:
    """RFC 8018 section 5.2, the first block, by hand."""
    last = hmac.digest(key, salt + (1).to_bytes(4, "big"), "sha512")
    total = int.from_bytes(last, "big")
    for _ in range(rounds - 1):
        last = hmac.digest(key, last, "sha512")
        total ^= int.from_bytes(last, "big")
    return total.to_bytes(64, "big")


def test_a_half_is_made_as_the_text_says() -> None:
    drawn = pbkdf2_block(BOB, b"p2pcall safety number 1", 4096)
    groups = [int.from_bytes(drawn[at : at + 5], "big") % 100_000 for at in range(0, 30, 5)]
    assert safety_half(BOB) == tuple(f"{group:05}" for group in groups)


def test_the_arithmetic_of_the_text() -> None:
    digits = constants.SAFETY_HALF_GROUPS * constants.SAFETY_GROUP_DIGITS
    values, group = 256**constants.SAFETY_GROUP_BYTES, 10**constants.SAFETY_GROUP_DIGITS
    assert 2 * digits == 60
    assert round(math.log2(10**digits), 1) == 99.7
    assert values // group > 10_000_000, "every group is as likely as any other, to 1 in 10^7"
    compressions = 2 * constants.SAFETY_ROUNDS
    assert round(math.log2(10**digits * compressions), 1) == 112.7
    assert round(math.log2(10**digits * compressions / 10**9), 1) == 82.8
    drawn = constants.SAFETY_HALF_GROUPS * constants.SAFETY_GROUP_BYTES
    assert drawn <= hashlib.sha512().digest_size, "one block of PBKDF2"


def test_groups_keep_their_leading_zeros() -> None:
    assert "02450" in safety_half(BOB)


def test_what_qr_codes_hold() -> None:
    digits = NUMBER.replace(" ", "")
    assert safety_uri(tuple(NUMBER.split())) == f"p2pcall:safety/1/{digits}"
    assert identity_uri(ALICE) == "p2pcall:id/1/aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"


@pytest.mark.parametrize("make", [safety_half, identity_uri])
def test_what_is_no_key_is_a_mistake_of_our_own(make: Callable[[bytes], object]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make(bytes(31))


def test_a_key_is_read_back_from_its_uri_in_either_case() -> None:
    uri = identity_uri(ALICE)
    assert identity_key(uri) == identity_key(f" {uri.upper()}\n") == ALICE


LOW_ORDER = identity_uri(bytes(32))
WRONG_URIS = {
    "nothing": ("", "does not begin"),
    "a name": ("bob", "does not begin"),
    "a safety number": ("p2pcall:safety/1/" + "0" * 60, "a safety number, not a key"),
    "an invite": ("p2pcall:invite/1/" + "a" * 52, "an invite: `p2pcall join` takes it"),
    "another version": (identity_uri(ALICE).replace("/1/", "/2/"), "another version"),
    "no key": ("p2pcall:id/1/", "not whole"),
    "too short": (identity_uri(ALICE)[:-1], "not whole"),
    "too long": (identity_uri(ALICE) + "a", "not whole"),
    "padded": (identity_uri(ALICE) + "====", "not whole"),
    "a letter that is none": (identity_uri(ALICE)[:-1] + "1", "not whole"),
    "another spelling of the last bits": (identity_uri(ALICE)[:-1] + "r", "not whole"),
    "not ASCII": ("p2pcall:id/1/" + "\xe4" * 52, "not whole"),
    "a key that everybody can compute with": (LOW_ORDER, "none that is safe"),
}


@pytest.mark.parametrize(("uri", "why"), WRONG_URIS.values(), ids=WRONG_URIS.keys())
def test_a_uri_without_a_whole_key_is_refused_with_the_reason(uri: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        identity_key(uri)
