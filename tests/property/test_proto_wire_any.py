"""Hypothesis over the wire: every kind of message is read as it was written, and no bytes make a parser raise."""

import hmac
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.handshake.noise import AESGCM, CHACHAPOLY, Cipher, CipherState
from p2pcall.proto.line import rekey
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.path import Path
from p2pcall.proto.line.session import Session
from p2pcall.proto.line.timing import Timing, pack_ping, parse_pong
from p2pcall.proto.messages import (
    Reason,
    pack_name,
    parse_accept,
    parse_greeting,
    parse_name,
    parse_reason,
    parse_reveal,
    parse_ringing,
)
from p2pcall.proto.wire import DatagramType, DropReason, PatternId, Suites

u8 = st.integers(0, c.MAX_U8)
u32 = st.integers(0, c.MAX_U32)
u64 = st.integers(0, 2**64 - 1)
patterns = st.sampled_from(list(PatternId))
suites = st.sampled_from(list(Suites))
tokens = st.binary(min_size=c.TOKEN_BYTES, max_size=c.TOKEN_BYTES)
nonces = st.binary(min_size=c.KNOCK_NONCE_BYTES, max_size=c.KNOCK_NONCE_BYTES)
times = st.binary(min_size=c.KNOCK_TIME_BYTES, max_size=c.KNOCK_TIME_BYTES)
macs = st.binary(min_size=c.MAC_BYTES, max_size=c.MAC_BYTES)
keys = st.binary(min_size=c.KEY_BYTES, max_size=c.KEY_BYTES)


def exactly(length: int) -> st.SearchStrategy[bytes]:
    """Bytes of one length that cost no more to draw than a few."""
    return st.binary(min_size=1, max_size=32).map(lambda seed: (seed * length)[:length])


knocks = st.builds(wire.Knock, patterns, u8, u32, tokens, nonces, times, macs)
cookies = st.builds(wire.Cookie, suites, u32, tokens, macs)
responses = patterns.flatmap(
    lambda pattern: st.builds(
        wire.Response,
        st.just(pattern),
        u32,
        exactly(wire.RESPONSE_BYTES[pattern] - c.RESPONSE_HEADER_BYTES),
    )
)
confirmations = patterns.flatmap(
    lambda pattern: st.builds(
        wire.Confirmation, u32, exactly(wire.CONFIRMATION_BYTES[pattern] - c.CONFIRMATION_HEADER_BYTES)
    )
)
initiations = patterns.flatmap(
    lambda pattern: st.tuples(
        st.just(pattern), exactly(wire.INITIATION_BYTES[pattern] - c.INITIATION_HEADER_BYTES)
    )
)


def packed_knock(knock: wire.Knock) -> bytes:
    said = (knock.pattern, knock.offered, knock.sender_index, knock.token, knock.nonce, knock.hidden_time)
    return wire.pack_knock(*said) + knock.tag


def packed_cookie(answer: wire.Cookie) -> bytes:
    return wire.pack_cookie(answer.chosen, answer.receiver_index, answer.token, answer.cookie)


@given(knocks)
def test_knock_is_read_as_written(knock: wire.Knock) -> None:
    datagram = packed_knock(knock)
    assert len(datagram) == c.KNOCK_BYTES
    assert wire.parse_knock(datagram) == knock


@given(keys, nonces, times)
def test_hidden_time_is_read_as_hidden(key: bytes, nonce: bytes, time: bytes) -> None:
    pair = cookie.Mac(key)
    assert cookie.hide_time(pair, nonce, cookie.hide_time(pair, nonce, time)) == time


@given(keys, keys, st.binary(max_size=100))
def test_mac_made_beforehand_is_the_same_and_fits_no_other(key: bytes, other: bytes, data: bytes) -> None:
    made = cookie.Mac(key)
    assert made(data) == made(data) == hmac.digest(key, data, "sha256")[: c.MAC_BYTES]
    assert made.fits(data, hmac.digest(key, data, "sha256")[: c.MAC_BYTES])
    assert key == other or not made.fits(data, hmac.digest(other, data, "sha256")[: c.MAC_BYTES])


@given(cookies)
def test_cookie_is_read_as_written_and_shorter_than_a_knock(answer: wire.Cookie) -> None:
    datagram = packed_cookie(answer)
    assert len(datagram) == c.COOKIE_BYTES < c.KNOCK_BYTES
    assert wire.parse_cookie(datagram) == answer


@given(initiations, u8, suites, u32, macs)
def test_initiation_is_whole_again_from_its_parts(
    initiation: tuple[PatternId, bytes], offered: int, chosen: Suites, index: int, proof: bytes
) -> None:
    pattern, message = initiation
    whole = wire.pack_initiation_header(pattern, offered, chosen, index) + message
    packed = wire.pack_parts(whole, offered, index, proof)
    parts = [wire.parse_part(part) for part in packed]
    assert b"".join(part.chunk for part in parts if isinstance(part, wire.Part)) == whole
    assert all(len(part) <= c.MAX_HANDSHAKE_DATAGRAM_BYTES for part in packed)
    for number, part in enumerate(parts):
        assert isinstance(part, wire.Part)
        said = (part.pattern, part.number, part.offered, part.sender_index, part.cookie)
        assert said == (pattern, number, offered, index, proof)


@given(responses)
def test_response_is_read_as_written(response: wire.Response) -> None:
    datagram = wire.pack_response_header(response.receiver_index) + response.noise
    assert wire.parse_response(datagram) == response
    asked = c.PARTS * wire.PART_BYTES[response.pattern]
    assert len(datagram) <= c.MAX_HANDSHAKE_DATAGRAM_BYTES < asked, "no longer than what came"


@given(confirmations)
def test_confirmation_is_read_as_written(confirmation: wire.Confirmation) -> None:
    datagram = wire.pack_confirmation_header(confirmation.receiver_index) + confirmation.noise
    assert wire.parse_confirmation(datagram) == confirmation


def session_pair(cipher: Cipher, first: bytes, second: bytes, index: int) -> tuple[Session, Session]:
    def keys() -> tuple[CipherState, CipherState]:
        return CipherState(cipher, first), CipherState(cipher, second)

    sending, receiving = keys()
    there_receiving, there_sending = keys()
    return Session(sending, receiving, index), Session(there_sending, there_receiving, 0)


@given(st.sampled_from([AESGCM, CHACHAPOLY]), keys, u32, st.lists(st.binary(max_size=64), max_size=4))
def test_data_is_read_as_sealed(cipher: Cipher, key: bytes, index: int, plaintexts: list[bytes]) -> None:
    here, there = session_pair(cipher, key, bytes(c.KEY_BYTES), index)
    for counter, plaintext in enumerate(plaintexts):
        datagram = here.seal(plaintext)
        assert wire.DATA.unpack_from(datagram) == (DatagramType.DATA, wire.RESERVED, index, counter)
        assert len(datagram) == c.MIN_DATA_BYTES + len(plaintext)
        assert there.open(datagram) == plaintext
        assert there.open(datagram) is DropReason.REPLAY


@given(keys, st.binary(max_size=64), st.integers(0, 2**16), st.integers(1, 255))
def test_changed_data_is_never_opened(key: bytes, plaintext: bytes, at: int, mask: int) -> None:
    here, there = session_pair(CHACHAPOLY, key, bytes(c.KEY_BYTES), 7)
    datagram = bytearray(here.seal(plaintext))
    at = c.DATA_HEADER_BYTES - 8 + at % (len(datagram) - c.DATA_HEADER_BYTES + 8)  # the counter or behind it
    datagram[at] ^= mask
    assert there.open(bytes(datagram)) in (DropReason.AUTHENTICATION, DropReason.EXPIRED)
    datagram[at] ^= mask
    assert there.open(bytes(datagram)) == plaintext


# ---- whatever the bytes

PARSERS: dict[DatagramType, Callable[[bytes], Any]] = {
    DatagramType.KNOCK: wire.parse_knock,
    DatagramType.COOKIE: wire.parse_cookie,
    DatagramType.INITIATION: wire.parse_part,
    DatagramType.RESPONSE: wire.parse_response,
    DatagramType.CONFIRMATION: wire.parse_confirmation,
}
SIZES = sorted(
    {
        *(c.KNOCK_BYTES, c.COOKIE_BYTES),
        *wire.PART_BYTES.values(),
        *wire.RESPONSE_BYTES.values(),
        *wire.CONFIRMATION_BYTES.values(),
    }
)
whatever = st.one_of(
    st.binary(max_size=100),
    st.tuples(st.sampled_from(SIZES), st.integers(-1, 1), st.binary(max_size=60)).map(
        lambda drawn: drawn[2].ljust(drawn[0], b"\0")[: drawn[0] + drawn[1]]
    ),
)


@given(whatever, st.booleans())
def test_parsers_take_any_bytes_and_lose_nothing_of_what_they_read(data: bytes, versioned: bool) -> None:
    if versioned and len(data) > 1:
        data = data[:1] + bytes([c.PROTOCOL_VERSION]) + data[2:]
    for kind, parse in PARSERS.items():
        datagram = bytes([kind]) + data[1:]
        read = parse(datagram)
        if isinstance(read, DropReason):
            continue
        match read:
            case wire.Knock():
                again = packed_knock(read)
            case wire.Cookie():
                again = packed_cookie(read)
            case wire.Part():
                again = datagram[: c.PART_HEADER_BYTES] + read.chunk
                assert read.sender_index.to_bytes(4, "big") + read.cookie == datagram[4 : c.PART_HEADER_BYTES]
            case wire.Response():
                again = wire.pack_response_header(read.receiver_index) + read.noise
            case wire.Confirmation():
                again = wire.pack_confirmation_header(read.receiver_index) + read.noise
        assert datagram == again


def pong_of(data: bytes) -> int | None:
    pong = parse_pong(data)
    return None if pong is None else pong[0]


@given(st.binary(max_size=200))
@example(b"\2" + b"?" * 20)
def test_what_is_inside_takes_any_bytes(data: bytes) -> None:
    wire.parse_frames(data)
    parse_greeting(data)
    parse_ringing(data)
    answer, shown = parse_accept(data), parse_reveal(data)
    assert answer is None or data.startswith(answer.nonce)
    assert shown is None or data == shown.nonce
    parse_pong(data)
    assert parse_reason(data, Reason.HUNG_UP) is None or len(data) == 1
    name = parse_name(data)
    assert name is None or pack_name(name) == data
    assert isinstance(Control().receive(data), list | DropReason)
    assert Timing(0.0).receive(data, 1.0) in (None, DropReason.TIMING)
    path = Path(lambda count: b"?" * count, ("x", 1), 0.0)
    path.heard(("y", 1), len(data), 0.0)
    path.consent_due(20.0)
    for address in (("x", 1), ("y", 1)):
        assert path.answered(data, address, 20.0) == (pong_of(data) == int.from_bytes(b"?" * 8, "big"))


@given(u64)
def test_ping_is_answered_with_its_number(number: int) -> None:
    timing = Timing(0.0)
    assert timing.receive(pack_ping(number), 1.0) is None
    pong = parse_pong(timing.frames_due(1.25)[0])
    assert pong == (number, 1_250_000, 250_000)


STATICS = [StaticKey.from_private(bytes([number]) * c.KEY_BYTES) for number in (1, 2)]
PAIR = cookie.Mac(cookie.pair_key(STATICS[1], STATICS[0].public, initiator=True))


@given(
    st.sampled_from(["anyone", "contacts"]),
    st.lists(st.tuples(st.one_of(knocks.map(packed_knock), whatever), st.booleans()), max_size=6),
)
def test_endpoint_takes_any_first_messages_and_says_less_than_it_hears(
    reach: Any, drawn: list[tuple[bytes, bool]]
) -> None:
    endpoint = Endpoint(STATICS[0], lambda count: bytes(range(count)), aes=True)
    endpoint.reach = reach
    endpoint.contacts([STATICS[1].public])
    for data, right in drawn:
        contact = right and len(data) == c.KNOCK_BYTES
        datagram = data[: -c.MAC_BYTES] + PAIR(data[: -c.MAC_BYTES]) if contact else data
        dropped = endpoint.dropped.total()
        endpoint.receive_datagram(datagram, ("192.0.2.9", 9), 1.0)
        said = [answer for answer, _ in endpoint.datagrams_to_send(1.0)]
        assert endpoint.dropped.total() - dropped + len(said) == 1
        assert not said or len(said[0]) < len(datagram)
        assert not said or (contact if reach == "contacts" else contact or datagram[2] == PatternId.XXHFS)


# ---- rekeying


class Taking(rekey.Rekey):
    """Takes parts and keeps the messages that they make."""

    def __init__(self, *, dialled: bool) -> None:
        nothing: Any = None
        super().__init__(nothing, b"", nothing, lambda: 1, nothing, static=nothing, dialled=dialled)
        self.made: list[bytes] = []

    def _answer(self, message: bytes, now: float) -> None:
        self.made.append(message)

    def _finish(self, message: bytes) -> None:
        self.made.append(message)


def in_parts(which: int, message: bytes) -> list[bytes]:
    return [
        bytes([which, part]) + message[at : at + c.REKEY_PART_BYTES]
        for part, at in enumerate(range(0, len(message), c.REKEY_PART_BYTES))
    ]


@given(st.booleans(), st.lists(st.binary(max_size=c.CONTROL_BODY_BYTES), max_size=20))
@example(dialled=True, bodies=in_parts(2, bytes(c.REKEY_SECOND_BYTES)) * 2)
@example(dialled=False, bodies=in_parts(1, bytes(c.REKEY_FIRST_BYTES + 1)))
def test_parts_of_a_rekeying_take_any_bytes_and_bounded_room(dialled: bool, bodies: list[bytes]) -> None:
    taking = Taking(dialled=dialled)
    for body in bodies:
        assert taking.receive(body, 0.0) in (None, DropReason.REKEY)
        assert len(taking._in) < max(c.REKEY_FIRST_BYTES, c.REKEY_SECOND_BYTES)


@given(st.booleans(), st.binary(min_size=1, max_size=64), st.lists(st.integers(0, 12), max_size=8))
def test_parts_of_a_rekeying_make_the_message_only_in_order(
    dialled: bool, seed: bytes, first: list[int]
) -> None:
    length, which = (c.REKEY_SECOND_BYTES, 2) if dialled else (c.REKEY_FIRST_BYTES, 1)
    message = (seed * length)[:length]
    parts, taking = in_parts(which, message), Taking(dialled=dialled)
    for part in first:
        taking.receive(parts[part], 0.0)
    for body in parts:
        assert not taking.made
        assert taking.receive(body, 0.0) is None
    assert taking.made == [message]
