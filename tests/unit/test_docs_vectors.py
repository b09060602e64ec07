"""The test vectors of p2pcall-protocol(7): two whole handshakes and an announcement, made again from what is given.

Left out: the published vectors of Noise itself, which are `test_proto_noise`'s.
"""

import re
from collections.abc import Mapping
from hashlib import blake2s, sha256

import pytest
from mdoc import literals
from test_docs_protocol import SUBSECTIONS, values

from p2pcall.net.address import DEFAULT_PORT
from p2pcall.proto import constants as proto
from p2pcall.proto import messages, presence, wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.handshake import kem, noise, sas
from p2pcall.proto.handshake import safety_number as safety
from p2pcall.proto.handshake.exchange import (
    Established,
    Initiation,
    Initiator,
    Local,
    Responder,
    StaticKey,
    choose_suite,
    suites,
)
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.session import Session
from p2pcall.proto.line.timing import Timing
from p2pcall.proto.wire import PatternId, Suites
from p2pcall.store.identity import fingerprint
from p2pcall.types import Entropy

Given = Mapping[str, str]
GIVEN = (
    *("initiator static private key", "responder static private key", "initiator ephemeral private key"),
    *("responder ephemeral private key", "initiator ML-KEM seed", "ML-KEM ciphertext"),
    *("initiator nonce", "responder nonce", "token", "knock nonce", "time", "cookie"),
)
"""What a handshake is made of; all the rest follows."""
INDEXES = 0x01020304, 0x05060708
TAG = bytes(range(16))
"""The random bytes in the place of a tag."""
TIME = bytes(range(16, 24))
"""The random bytes in the place of a time."""


def session(done: Established) -> Session:
    """The line's end that this handshake leaves."""
    return Session(done.sending, done.receiving, done.remote_index)


def vectors(title: str) -> dict[str, str]:
    """name -> value, lines joined."""
    (lines,) = literals(SUBSECTIONS[title])
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith(" "):
            found[name] += line.strip()
        else:
            name = line
            found[name] = ""
    return found


def fixed(*chunks: bytes) -> Entropy:
    """Entropy that gives these, one after the other."""
    left = list(chunks)

    def take(count: int) -> bytes:
        chunk = left.pop(0)
        assert len(chunk) == count
        return chunk

    return take


def shared_secret(given: Given) -> bytes:
    pair = kem.KemPair(bytes.fromhex(given["initiator ML-KEM seed"]))
    return pair.decapsulate(bytes.fromhex(given["ML-KEM ciphertext"]))


def knocks(given: Given, pattern: PatternId, offered: Suites) -> dict[str, bytes]:
    """The datagrams before the handshake."""
    alice, bob = statics(given)
    known = pattern is PatternId.IKHFS
    token, nonce = bytes.fromhex(given["token"]), bytes.fromhex(given["knock nonce"])
    pair_key = cookie.pair_key(bob, alice.public, initiator=False)
    assert pair_key == cookie.pair_key(alice, bob.public, initiator=True)
    mac = cookie.Mac(pair_key)
    if known:
        hints = cookie.hints(mac, cookie.epoch_of(int(given["time"], 16)))
        nonce = hints[INDEXES[0] % 4] + nonce[proto.KNOCK_HINT_BYTES :]
    hidden = cookie.hide_time(mac, nonce, bytes.fromhex(given["time"])) if known else TIME
    knock = wire.pack_knock(pattern, offered, INDEXES[0], token, nonce, hidden)
    tag = mac(knock) if known else TAG
    chosen = choose_suite(offered, offered)
    assert chosen is not None
    answer = wire.pack_cookie(chosen, INDEXES[0], token, bytes.fromhex(given["cookie"]))
    made = {"knock": knock + tag, "cookie datagram": answer}
    return {**({"key of the tag": pair_key} if known else {}), **made}


def statics(given: Given) -> tuple[StaticKey, StaticKey]:
    """Alice, who dials, and bob."""
    alice, bob = (
        StaticKey.from_private(bytes.fromhex(given[f"{side} static private key"]))
        for side in ("initiator", "responder")
    )
    return alice, bob


def handshake(given: Given, pattern: PatternId, offered: Suites) -> dict[str, str]:
    """Everything that follows from what is given, by the code."""
    raw = {name: bytes.fromhex(given[name]) for name in GIVEN}
    alice, bob = statics(given)
    chosen = choose_suite(offered, offered)
    assert chosen is not None
    entropy = fixed(*(raw[f"initiator {what}"] for what in ("nonce", "ephemeral private key", "ML-KEM seed")))
    initiator = Initiator(Local(alice, entropy), INDEXES[0], pattern, offered, chosen, bob.public)
    entropy = fixed(raw["responder nonce"], raw["responder ephemeral private key"])
    read = Initiation(
        pattern, offered, chosen, INDEXES[0], initiator.initiation[proto.INITIATION_HEADER_BYTES :]
    )
    responder = Responder.answer(
        Local(bob, entropy, lambda public: (shared_secret(given), raw["ML-KEM ciphertext"])),
        INDEXES[1],
        read,
        lambda public: public == alice.public,
    )
    assert isinstance(responder, Responder)
    left = initiator.read_response(responder.response[proto.RESPONSE_HEADER_BYTES :])
    assert isinstance(left, Established)
    right = responder.read_confirmation(left.confirmation[proto.CONFIRMATION_HEADER_BYTES :])
    assert isinstance(right, Established)
    first, second = left.sending.k, left.receiving.k
    assert (second, first) == (right.sending.k, right.receiving.k)
    assert first is not None
    assert second is not None
    before = knocks(given, pattern, offered)
    parts = wire.pack_parts(initiator.initiation, offered, INDEXES[0], raw["cookie"])
    made = {
        **before,
        "commitment of the initiator": sas.commitment(raw["initiator nonce"], alice.public, initiator=True),
        "commitment of the responder": sas.commitment(raw["responder nonce"], bob.public, initiator=False),
        "prologue": proto.PROLOGUE_LABEL + read.header,
        "initiation": initiator.initiation,
        "part 0 before the chunk": parts[0][: proto.PART_HEADER_BYTES],
        "part 1 before the chunk": parts[1][: proto.PART_HEADER_BYTES],
        "response": responder.response,
        "confirmation": left.confirmation,
        "handshake hash": left.handshake_hash,
        "key of the initiator's records": first,
        "key of the responder's records": second,
        "first data of the initiator": session(left).seal(invitation()),
        "first data of the responder": session(right).seal(first_ping()),
    }
    words = left.sas.words(raw["responder nonce"])
    assert words is not None
    assert words == right.sas.words(raw["initiator nonce"])
    return {
        "protocol": left.protocol_name,
        **{name: data.hex() for name, data in made.items()},
        "words": " ".join(words),
        "call": left.handshake_hash[: proto.CALL_ID_BYTES].hex(),
    }


def record(channel: int, frame: bytes) -> bytes:
    return wire.pack_frame(channel, frame).ljust(proto.RECORD_BYTES, b"\0")


def invitation() -> bytes:
    control = Control()
    control.send(messages.ControlType.INVITE, messages.pack_greeting("alice", True, True), 0.0)
    return record(wire.Channel.CONTROL, *control.frames_due(0.0, 1.0))


def first_ping() -> bytes:
    return record(wire.Channel.TIMING, *Timing(0.0).frames_due(0.0))


def follows(given: Given) -> dict[str, str]:
    """What follows for either pattern."""
    alice, bob = statics(given)
    return {
        "initiator static public key": alice.public.hex(),
        "responder static public key": bob.public.hex(),
        "ML-KEM shared secret": shared_secret(given).hex(),
        "plaintext of the initiator, without padding": invitation().rstrip(b"\0").hex(),
        "plaintext of the responder, without padding": record(wire.Channel.TIMING, first_ping()[3:12])[
            :12
        ].hex(),
        "fingerprint of the responder": fingerprint(bob.public),
        "safety number": " ".join(safety.safety_number(alice.public, bob.public)),
    }


INPUTS = "What is given"
CASES = [
    ("XXhfs with ChaChaPoly", PatternId.XXHFS, suites(False)),
    ("IKhfs with AESGCM", PatternId.IKHFS, suites(True)),
]


@pytest.mark.parametrize(("title", "pattern", "offered"), CASES, ids=[title for title, *_ in CASES])
def test_vectors_are_what_the_code_makes(title: str, pattern: PatternId, offered: Suites) -> None:
    if Suites.AESGCM in offered and not noise.aes_available():
        pytest.skip("this processor has no AES-GCM")
    assert vectors(title) == handshake(vectors(INPUTS), pattern, offered)


def test_what_follows_for_both_patterns_is_what_the_code_makes() -> None:
    given = vectors(INPUTS)
    assert {name: text for name, text in given.items() if name not in GIVEN} == follows(given)
    assert given.keys() - follows(given).keys() == set(GIVEN)


def test_the_private_announcement_is_what_the_code_makes_and_what_the_page_says() -> None:
    alice, bob = statics(vectors(INPUTS))
    told = {name: bytes.fromhex(text) for name, text in vectors("Private announcement").items()}
    key = presence.presence_key(bob, alice.public, announcer=True)
    period, nonce = told["period"], told["nonce"]
    size = presence.RECORD_VALUES * presence.VALUE_BYTES
    entropy = fixed(nonce, bytes(size - presence.VALUE_BYTES), bytes(size))
    epoch = int.from_bytes(period, "big") * proto.PRESENCE_PERIOD_S
    (text,) = presence.announcement([key], epoch, DEFAULT_PORT, entropy)
    assert nonce in text
    shared = noise.dh(alice, bob.public)
    by_hand = sha256(b"p2pcall presence 1" + shared + bob.public + alice.public).digest()
    assert key == told["key"] == by_hand
    tag = blake2s(period + nonce, key=by_hand, digest_size=6).digest()
    mask = int.from_bytes(blake2s(period + nonce, key=by_hand, digest_size=2).digest(), "big")
    assert told["value"] == tag + (mask ^ DEFAULT_PORT).to_bytes(2, "big")
    assert told["value"] in text


@pytest.mark.parametrize(("title", "pattern", "offered"), CASES, ids=[title for title, *_ in CASES])
def test_vectors_fit_the_layouts(title: str, pattern: PatternId, offered: Suites) -> None:
    texts = {**vectors(INPUTS), **vectors(title)}
    given = {name: bytes.fromhex(text) for name, text in texts.items() if re.fullmatch("[0-9a-f]*", text)}
    numbers = {name: int.from_bytes(data, "big") for name, data in given.items()}
    chosen = max(offered)
    hello = [4, pattern, offered, INDEXES[0], numbers["token"]]
    knock = values("Knock", given["knock"])
    assert knock[:6] == [1, *hello]
    after_hint = given["knock nonce"][proto.KNOCK_HINT_BYTES :]
    assert knock[6].to_bytes(16, "big").endswith(after_hint)
    assert (knock[6] == numbers["knock nonce"]) == (pattern is PatternId.XXHFS)
    answer = [2, 4, chosen, 0, INDEXES[0], numbers["token"], numbers["cookie"], 0]
    assert values("Cookie", given["cookie datagram"]) == answer
    header = [3, 4, pattern, offered, chosen, 0, INDEXES[0], 0]
    assert values("Initiation", given["initiation"]) == header
    for number in range(proto.PARTS):
        part = given[f"part {number} before the chunk"]
        assert values("Part", part) == [3, 4, number, offered, INDEXES[0], numbers["cookie"]]
    assert values("Response", given["response"]) == [4, 4, 0, INDEXES[0]]
    assert values("Confirmation", given["confirmation"]) == [5, 0, INDEXES[1]]
    first = 1 if pattern is PatternId.IKHFS else 0
    assert values("Data", given["first data of the initiator"]) == [6, 0, INDEXES[1], first]
    assert values("Data", given["first data of the responder"]) == [6, 0, INDEXES[0], 0]
