"""Noise against the published vectors, against a second implementation, and against damage."""

import json
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from nacl.exceptions import CryptoError
from noise.connection import Keypair, NoiseConnection

from p2pcall.proto.handshake import kem, noise
from p2pcall.proto.handshake.kem import KemPair
from p2pcall.proto.handshake.noise import (
    AESGCM,
    CHACHAPOLY,
    IK,
    IKHFS,
    XX,
    XXHFS,
    Cipher,
    CipherState,
    HandshakeState,
    KeyPair,
    NoiseError,
    Pattern,
    SymmetricState,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "noise_xx_ik.json").read_text())["vectors"]
PATTERNS = {"XX": XX, "IK": IK}
OURS = (*PATTERNS.values(), XXHFS, IKHFS)
CIPHERS = {"ChaChaPoly": CHACHAPOLY, "AESGCM": AESGCM}
EACH = [(pattern, cipher) for pattern in PATTERNS.values() for cipher in CIPHERS.values()]
EACH_ID = [f"{pattern.name}-{cipher.name}" for pattern, cipher in EACH]
EACH_OF_OURS = [
    pytest.param(pattern, cipher, id=f"{pattern.name}-{cipher.name}")
    for pattern in OURS
    for cipher in CIPHERS.values()
]


def key(seed: int) -> KeyPair:
    return KeyPair.from_private(Random(seed).randbytes(32))


def both(pattern: Pattern, cipher: Cipher, prologue: bytes = b"p") -> tuple[HandshakeState, HandshakeState]:
    entropy = Random(7).randbytes
    responder = key(2)
    known = responder.public if pattern.responder_pre else None
    return (
        HandshakeState(pattern, cipher, True, prologue, key(1), entropy=entropy, rs=known),
        HandshakeState(pattern, cipher, False, prologue, responder, entropy=entropy),
    )


def finish(first: HandshakeState, second: HandshakeState) -> None:
    sender, receiver = first, second
    while not sender.finished:
        assert receiver.read_message(sender.write_message(b"hello")) == b"hello"
        sender, receiver = receiver, sender


def snapshot(state: HandshakeState) -> tuple[object, ...]:
    return state.checkpoint()


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["protocol_name"] for vector in VECTORS])
def test_published_vector_is_reproduced(vector: dict[str, Any]) -> None:
    _, pattern, _, cipher, _ = vector["protocol_name"].split("_")

    def pair(name: str) -> KeyPair:
        return KeyPair.from_private(bytes.fromhex(vector[name]))

    known = bytes.fromhex(vector["init_remote_static"]) if "init_remote_static" in vector else None
    initiator, responder = (
        HandshakeState(
            PATTERNS[pattern],
            CIPHERS[cipher],
            side == "init",
            bytes.fromhex(vector[f"{side}_prologue"]),
            pair(f"{side}_static"),
            e=pair(f"{side}_ephemeral"),
            rs=known if side == "init" else None,
        )
        for side in ("init", "resp")
    )
    assert initiator.protocol_name == vector["protocol_name"]
    states: list[tuple[CipherState, CipherState]] = []
    for turn, message in enumerate(vector["messages"]):
        payload, ciphertext = bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"])
        writer, reader = (initiator, responder) if turn % 2 == 0 else (responder, initiator)
        if not initiator.finished or not responder.finished:
            assert writer.write_message(payload) == ciphertext
            assert reader.read_message(ciphertext) == payload
            if initiator.finished:
                assert initiator.handshake_hash.hex() == vector["handshake_hash"]
                assert responder.handshake_hash.hex() == vector["handshake_hash"]
                states = [initiator.split(), responder.split()]
        else:
            sending, receiving = states[turn % 2][0], states[1 - turn % 2][1]
            assert sending.encrypt_with_ad(b"", payload) == ciphertext
            assert receiving.decrypt_with_ad(b"", ciphertext) == payload


@pytest.mark.parametrize("we_initiate", [True, False], ids=["initiator", "responder"])
@pytest.mark.parametrize(("pattern", "cipher"), EACH, ids=EACH_ID)
def test_second_implementation_completes_the_handshake(
    pattern: Pattern, cipher: Cipher, we_initiate: bool
) -> None:
    ours, theirs = key(1), key(2)
    other = NoiseConnection.from_name(f"Noise_{pattern.name}_25519_{cipher.name}_SHA256".encode())
    if we_initiate:
        other.set_as_responder()
    else:
        other.set_as_initiator()
    other.set_prologue(b"prologue")
    other.set_keypair_from_private_bytes(Keypair.STATIC, theirs.private)
    if pattern is IK and not we_initiate:
        other.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, ours.public)
    other.start_handshake()
    known = theirs.public if pattern is IK and we_initiate else None
    state = HandshakeState(
        pattern, cipher, we_initiate, b"prologue", ours, entropy=Random(3).randbytes, rs=known
    )
    our_turn = we_initiate
    while not state.finished:
        if our_turn:
            assert bytes(other.read_message(state.write_message(b"from us"))) == b"from us"
        else:
            assert state.read_message(bytes(other.write_message(b"from them"))) == b"from them"
        our_turn = not our_turn
    assert other.handshake_finished
    assert state.handshake_hash == other.get_handshake_hash()
    assert state.remote_static == theirs.public
    sending, receiving = state.split()
    for number in range(3):
        text = f"record {number}".encode()
        assert bytes(other.decrypt(sending.encrypt_with_ad(b"", text))) == text
        assert receiving.decrypt_with_ad(b"", bytes(other.encrypt(text))) == text


def damage(message: bytes) -> list[bytes]:
    """Every length, and a bit of every byte."""
    flips = [message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :] for at in range(len(message))]
    return [message[:length] for length in range(len(message))] + flips


@pytest.mark.parametrize(("pattern", "cipher"), EACH_OF_OURS)
def test_failed_read_leaves_no_trace(pattern: Pattern, cipher: Cipher) -> None:
    sender, receiver = both(pattern, cipher)
    while not sender.finished:
        message = sender.write_message(b"payload")
        before = snapshot(receiver)
        for bad in damage(message):
            try:
                receiver.read_message(bad)
            except NoiseError:
                assert snapshot(receiver) == before
            else:  # message 1 of XX is in the clear; what was changed makes a later message fail
                assert pattern in (XX, XXHFS) and before[-1] == 0
                receiver.restore(before)
        assert receiver.read_message(message) == b"payload"
        sender, receiver = receiver, sender


@pytest.mark.parametrize(("pattern", "cipher"), EACH_OF_OURS)
def test_both_sides_end_with_the_same_keys(pattern: Pattern, cipher: Cipher) -> None:
    initiator, responder = both(pattern, cipher)
    finish(initiator, responder)
    assert initiator.handshake_hash == responder.handshake_hash
    assert initiator.remote_static == responder.s.public
    assert responder.remote_static == initiator.s.public
    for (sending, _), (_, receiving) in (
        (initiator.split(), responder.split()),
        (responder.split(), initiator.split()),
    ):
        assert receiving.decrypt_with_ad(b"", sending.encrypt_with_ad(b"", b"text")) == b"text"


@pytest.mark.parametrize(
    ("pattern", "name", "lengths"),
    [
        (XXHFS, "Noise_XXhfs_25519+MLKEM768_AESGCM_SHA256", [1216, 32 + 1104 + 48 + 16, 48 + 16]),
        (IKHFS, "Noise_IKhfs_25519+MLKEM768_AESGCM_SHA256", [32 + 1200 + 48 + 16, 32 + 1104 + 16]),
    ],
    ids=["XXhfs", "IKhfs"],
)
def test_hybrid_pattern_has_its_name_and_its_lengths(pattern: Pattern, name: str, lengths: list[int]) -> None:
    sender, receiver = both(pattern, AESGCM)
    assert sender.protocol_name == receiver.protocol_name == name
    seen = []
    while not sender.finished:
        message = sender.write_message(b"")
        seen.append(len(message))
        receiver.read_message(message)
        sender, receiver = receiver, sender
    assert seen == lengths


def fixed(secret: bytes, public: bytes) -> tuple[bytes, bytes]:
    return secret, bytes(1088)


@pytest.mark.parametrize("pattern", [XXHFS, IKHFS], ids=["XXhfs", "IKhfs"])
def test_secret_of_the_kem_goes_into_the_keys(pattern: Pattern) -> None:
    ends = []
    for secret in (bytes(32), b"\1" * 32):
        initiator, responder = both(pattern, CHACHAPOLY)
        responder._encapsulate = partial(fixed, secret)
        responder.read_message(initiator.write_message(b""))
        ends.append(responder.write_message(b""))
    assert ends[0][: 32 + 1088] == ends[1][: 32 + 1088], "the same but for the secret"
    assert ends[0][-16:] != ends[1][-16:], "and yet another tag"


@pytest.mark.parametrize("pattern", [XXHFS, IKHFS], ids=["XXhfs", "IKhfs"])
def test_ciphertext_for_another_key_shows_as_not_authentic(pattern: Pattern) -> None:
    initiator, responder = both(pattern, CHACHAPOLY)
    another = KemPair(bytes(64))
    responder._encapsulate = lambda public: kem.encapsulate(another.public)
    responder.read_message(initiator.write_message(b""))
    message = responder.write_message(b"")
    before = snapshot(initiator)
    with pytest.raises(NoiseError, match="not authentic"):
        initiator.read_message(message)
    assert snapshot(initiator) == before


def test_what_is_no_public_key_of_the_kem_is_refused() -> None:
    initiator, responder = both(XXHFS, CHACHAPOLY)
    message = initiator.write_message(b"")
    responder.read_message(message[:32] + b"\xff" * 1184 + message[32 + 1184 :])
    with pytest.raises(NoiseError, match="no public key"):
        responder.write_message(b"")


@pytest.mark.parametrize("pattern", [XXHFS, IKHFS], ids=["XXhfs", "IKhfs"])
def test_checkpoint_undoes_a_message_that_was_read(pattern: Pattern) -> None:
    initiator, responder = both(pattern, CHACHAPOLY)
    responder.read_message(initiator.write_message(b""))
    message = responder.write_message(b"once and again")
    saved = initiator.checkpoint()
    assert initiator.read_message(message) == b"once and again"
    initiator.restore(saved)
    assert snapshot(initiator) == saved
    assert initiator.read_message(message) == b"once and again"


@pytest.mark.parametrize("pattern", [IK, IKHFS], ids=["IK", "IKhfs"])
def test_other_responder_than_the_one_meant_cannot_read(pattern: Pattern) -> None:
    initiator, _ = both(pattern, CHACHAPOLY)
    other = HandshakeState(pattern, CHACHAPOLY, False, b"p", key(3), entropy=Random(8).randbytes)
    with pytest.raises(NoiseError):
        other.read_message(initiator.write_message(b""))


def test_different_prologues_never_finish() -> None:
    initiator, _ = both(XX, CHACHAPOLY, b"one")
    _, responder = both(XX, CHACHAPOLY, b"two")
    responder.read_message(initiator.write_message(b""))
    with pytest.raises(NoiseError):
        initiator.read_message(responder.write_message(b""))


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_responder_of_low_order_cannot_be_dialled(point: bytes) -> None:
    initiator = HandshakeState(IKHFS, CHACHAPOLY, True, b"", key(1), entropy=Random(1).randbytes, rs=point)
    with pytest.raises(NoiseError, match="low order"):
        initiator.write_message(b"")


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_public_key_of_low_order_is_refused(point: bytes) -> None:
    _, responder = both(XX, CHACHAPOLY)
    responder.read_message(point)
    with pytest.raises(NoiseError):
        responder.write_message(b"")


def test_message_out_of_turn_raises() -> None:
    initiator, responder = both(XX, CHACHAPOLY)
    with pytest.raises(RuntimeError, match="turn"):
        responder.write_message(b"")
    with pytest.raises(RuntimeError, match="turn"):
        initiator.read_message(b"")
    finish(initiator, responder)
    with pytest.raises(RuntimeError, match="turn"):
        responder.write_message(b"")


def test_split_before_the_end_raises() -> None:
    initiator, _ = both(XX, CHACHAPOLY)
    with pytest.raises(RuntimeError, match="not finished"):
        initiator.split()


def test_missing_key_raises() -> None:
    with pytest.raises(RuntimeError, match="needs a key"):
        HandshakeState(IK, CHACHAPOLY, True, b"", key(1))
    without_entropy = HandshakeState(XX, CHACHAPOLY, True, b"", key(1))
    with pytest.raises(RuntimeError, match="needs a key"):
        without_entropy.write_message(b"")


def test_remote_static_is_unknown_before_it_is_read() -> None:
    initiator, _ = both(XX, CHACHAPOLY)
    with pytest.raises(RuntimeError):
        _ = initiator.remote_static


def test_private_key_of_wrong_length_raises() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyPair.from_private(bytes(31))


def test_printed_key_pair_hides_the_private_key() -> None:
    pair = key(1)
    assert pair.private.hex() not in repr(pair)
    assert pair.public.hex() in repr(pair)


def test_long_protocol_name_is_hashed_and_short_one_padded() -> None:
    assert SymmetricState("n" * 33, AESGCM).h == sha256(b"n" * 33).digest()
    assert SymmetricState("n" * 31, AESGCM).h == b"n" * 31 + b"\0"


def test_cipher_counter_stands_after_a_failed_read() -> None:
    sending, receiving = CipherState(AESGCM, bytes(32)), CipherState(AESGCM, bytes(32))
    for bad in (b"short", bytes(40)):
        with pytest.raises(NoiseError):
            receiving.decrypt_with_ad(b"", bad)
    assert receiving.decrypt_with_ad(b"", sending.encrypt_with_ad(b"", b"text")) == b"text"


def test_aes_is_available_only_where_libsodium_can(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise CryptoError("no instructions")

    assert noise.aes_available()
    monkeypatch.setattr(noise, "AESGCM", replace(AESGCM, encrypt=refuse))
    assert not noise.aes_available()
