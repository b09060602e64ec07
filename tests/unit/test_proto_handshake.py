"""The handshake over three datagrams: agreement, binding of the headers, commitment, expected key."""

from dataclasses import replace
from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.handshake import Established, Initiator, KeyChanged, Responder, StaticKey, suites
from p2pcall.proto.wire import DropReason, Suites

ALICE, BOB = (StaticKey.from_private(Random(seed).randbytes(32)) for seed in (1, 2))
BOTH, CHACHA = suites(True), suites(False)


def initiator(offered: Suites = BOTH, expected: bytes | None = None, seed: int = 3) -> Initiator:
    return Initiator(ALICE, Random(seed).randbytes, 0xA, offered, expected)


def answer(initiation: bytes, able: Suites = BOTH) -> Responder | DropReason:
    parsed = wire.parse_initiation(initiation)
    assert isinstance(parsed, wire.Initiation)
    return Responder.answer(BOB, Random(4).randbytes, 0xB, able, parsed)


def responder(initiation: bytes, able: Suites = BOTH) -> Responder:
    made = answer(initiation, able)
    assert isinstance(made, Responder)
    return made


def response(made: Responder) -> wire.Response:
    parsed = wire.parse_response(made.response)
    assert isinstance(parsed, wire.Response)
    return parsed


def message_3(ours: Initiator) -> bytes:
    parsed = wire.parse_confirmation(ours.confirmation)
    assert isinstance(parsed, wire.Confirmation)
    return parsed.noise


@pytest.mark.parametrize(
    ("offered", "able", "name"),
    [
        (BOTH, BOTH, "Noise_XX_25519_AESGCM_SHA256"),
        (CHACHA, BOTH, "Noise_XX_25519_ChaChaPoly_SHA256"),
        (BOTH, CHACHA, "Noise_XX_25519_ChaChaPoly_SHA256"),
        (CHACHA, CHACHA, "Noise_XX_25519_ChaChaPoly_SHA256"),
    ],
)
def test_both_sides_agree_on_everything(offered: Suites, able: Suites, name: str) -> None:
    ours = initiator(offered)
    theirs = responder(ours.initiation, able)
    left = ours.read_response(response(theirs))
    assert isinstance(left, Established)
    right = theirs.read_confirmation(message_3(ours))
    assert isinstance(right, Established)
    assert left.protocol_name == right.protocol_name == name
    assert left.handshake_hash == right.handshake_hash
    assert left.sas == right.sas
    assert (left.remote_static, right.remote_static) == (BOB.public, ALICE.public)
    assert right.session.open(left.session.seal(b"there")) == b"there"
    assert left.session.open(right.session.seal(b"back")) == b"back"
    assert len(ours.initiation) == c.INITIATION_BYTES
    assert len(theirs.response) == c.RESPONSE_BYTES
    assert len(ours.confirmation) == c.CONFIRMATION_BYTES


def test_no_common_suite_is_dropped() -> None:
    ours = initiator()
    strange = ours.initiation[:2] + b"\x80" + ours.initiation[3:]
    assert answer(strange) is DropReason.SUITE


def test_choice_that_was_not_offered_is_dropped() -> None:
    ours = initiator(CHACHA)
    forged = replace(response(responder(ours.initiation)), chosen=Suites.AESGCM)
    assert ours.read_response(forged) is DropReason.SUITE


@pytest.mark.parametrize("at", [2, 4, 7])
def test_initiation_header_changed_on_the_path_fails_the_handshake(at: int) -> None:
    ours = initiator()
    changed = bytearray(ours.initiation)
    changed[at] ^= 2  # the offer loses AES, or the index is another
    theirs = responder(bytes(changed))
    assert ours.read_response(response(theirs)) is DropReason.HANDSHAKE


def test_choice_changed_on_the_path_fails_the_handshake() -> None:
    ours = initiator()
    parsed = response(responder(ours.initiation))
    header = parsed.header[:2] + bytes([Suites.CHACHAPOLY]) + parsed.header[3:]
    downgraded = replace(parsed, header=header, chosen=Suites.CHACHAPOLY)
    assert ours.read_response(downgraded) is DropReason.HANDSHAKE


def test_initiation_of_low_order_is_dropped() -> None:
    ours = initiator()
    assert answer(ours.initiation[:8] + bytes(32) + ours.initiation[40:]) is DropReason.HANDSHAKE


def test_bad_response_leaves_the_initiator_waiting() -> None:
    ours = initiator()
    good = response(responder(ours.initiation))
    for at in range(len(good.noise)):
        noise = good.noise[:at] + bytes([good.noise[at] ^ 1]) + good.noise[at + 1 :]
        assert ours.read_response(replace(good, noise=noise)) is DropReason.HANDSHAKE
    assert ours.confirmation == b""
    assert isinstance(ours.read_response(good), Established)


def test_bad_confirmation_leaves_the_responder_waiting() -> None:
    ours = initiator()
    theirs = responder(ours.initiation)
    ours.read_response(response(theirs))
    good = message_3(ours)
    for at in range(len(good)):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        assert theirs.read_confirmation(bad) is DropReason.HANDSHAKE
    assert isinstance(theirs.read_confirmation(good), Established)


def test_unexpected_key_makes_no_message_3() -> None:
    ours = initiator(expected=ALICE.public)
    outcome = ours.read_response(response(responder(ours.initiation)))
    assert outcome == KeyChanged(BOB.public)
    assert ours.confirmation == b""


def test_expected_key_is_let_through() -> None:
    ours = initiator(expected=BOB.public)
    assert isinstance(ours.read_response(response(responder(ours.initiation))), Established)


def test_initiator_that_changes_its_nonce_after_committing_is_dropped() -> None:
    ours = initiator()
    theirs = responder(ours.initiation)
    ours._nonce = bytes(32)
    ours.read_response(response(theirs))
    assert theirs.read_confirmation(message_3(ours)) is DropReason.COMMITMENT


def test_initiator_that_changes_its_static_key_after_committing_is_dropped() -> None:
    ours = initiator()
    theirs = responder(ours.initiation)
    ours._static = BOB
    ours.read_response(response(theirs))
    assert theirs.read_confirmation(message_3(ours)) is DropReason.COMMITMENT
