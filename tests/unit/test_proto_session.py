"""The record layer: sealed once, opened once, nothing changed by what is not authentic."""

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.handshake.noise import AESGCM, CHACHAPOLY, Cipher, CipherState
from p2pcall.proto.line.session import Session
from p2pcall.proto.wire import DropReason

ONE, TWO = bytes(range(32)), bytes(range(32, 64))


def ends(cipher: Cipher) -> tuple[Session, Session]:
    return (
        Session(CipherState(cipher, ONE), CipherState(cipher, TWO), 0xAABBCCDD),
        Session(CipherState(cipher, TWO), CipherState(cipher, ONE), 7),
    )


@pytest.mark.parametrize("cipher", [CHACHAPOLY, AESGCM], ids=lambda cipher: cipher.name)
def test_what_is_sealed_opens_on_the_other_side(cipher: Cipher) -> None:
    left, right = ends(cipher)
    datagrams = [left.seal(bytes([number]) * number) for number in range(50)]
    assert datagrams[3][:16].hex() == "06000000" + "aabbccdd" + "0000000000000003"
    assert all(len(datagram) == c.MIN_DATA_BYTES + size for size, datagram in enumerate(datagrams))
    assert [right.open(datagram) for datagram in datagrams] == [bytes([n]) * n for n in range(50)]


def test_nonce_that_the_handshake_has_used_is_not_used_again() -> None:
    sending, receiving = CipherState(CHACHAPOLY, ONE), CipherState(CHACHAPOLY, TWO)
    confirmation = sending.encrypt_with_ad(b"handshake hash", b"nonce")
    left = Session(sending, receiving, 1)
    assert left.seal(b"first")[8:16] == bytes(7) + b"\1"
    _, right = ends(CHACHAPOLY)
    forged = b"\6" + bytes(15) + confirmation
    assert right.open(forged) is DropReason.AUTHENTICATION, "a confirmation is no data"


def test_replayed_datagram_is_dropped() -> None:
    left, right = ends(CHACHAPOLY)
    datagram = left.seal(b"once")
    assert right.open(datagram) == b"once"
    assert right.open(datagram) is DropReason.REPLAY


def test_forged_datagram_does_not_use_up_its_counter() -> None:
    left, right = ends(CHACHAPOLY)
    datagram = left.seal(b"real")
    assert right.open(datagram[:-1] + bytes([datagram[-1] ^ 1])) is DropReason.AUTHENTICATION
    assert right.open(datagram) == b"real"


def test_datagram_is_not_opened_by_its_own_sender() -> None:
    left, _ = ends(CHACHAPOLY)
    assert left.open(left.seal(b"reflected")) is DropReason.AUTHENTICATION


def test_only_the_newest_datagram_counts_as_newest() -> None:
    left, right = ends(CHACHAPOLY)
    first, second = left.seal(b"1"), left.seal(b"2")
    right.open(second)
    assert right.newest
    right.open(first)
    assert not right.newest


def test_records_of_the_busier_direction_are_counted() -> None:
    left, right = ends(CHACHAPOLY)
    assert (left.records, right.records) == (0, 0)
    for _ in range(5):
        right.open(left.seal(b""))
    right.seal(b"")
    assert (left.records, right.records) == (5, 5)


def test_session_stops_when_its_counters_are_used_up() -> None:
    left, right = ends(AESGCM)
    left._counter = c.REJECT_AFTER_RECORDS - 1
    assert right.open(left.seal(b"last")) == b"last"
    with pytest.raises(RuntimeError, match="used up"):
        left.seal(b"too many")
    beyond = left._prefix + c.REJECT_AFTER_RECORDS.to_bytes(8, "big") + bytes(16)
    assert right.open(beyond) is DropReason.EXPIRED


def test_wiped_session_holds_no_key() -> None:
    left, right = ends(CHACHAPOLY)
    datagram = right.seal(b"late")
    left.wipe()
    assert left._sending is left._receiving is None
    assert left.open(datagram) is DropReason.EXPIRED
    with pytest.raises(RuntimeError):
        left.seal(b"late")


def test_session_without_keys_raises() -> None:
    with pytest.raises(ValueError, match="both keys"):
        Session(CipherState(AESGCM), CipherState(AESGCM, ONE), 1)
    with pytest.raises(ValueError, match="both keys"):
        Session(CipherState(AESGCM, ONE), CipherState(AESGCM), 1)
