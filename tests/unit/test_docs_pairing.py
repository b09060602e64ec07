"""FIRST CONTACT in p2pcall-protocol(7) is enough for a joiner: one that is written from the page alone is let in.

Its point arithmetic is the library's, for the page leaves edwards25519 to its standard; all else is here again.
"""

import hashlib
import hmac
import struct

from mdoc import literals, page, parts
from nacl import bindings
from spake2.ed25519_group import Ed25519Group as group

from p2pcall.pairing.code import Code
from p2pcall.pairing.inviter import Inviter
from p2pcall.pairing.key_exchange import Introduction
from p2pcall.pairing.outcome import Met, PairingEnd, PairingOver
from p2pcall.proto.handshake.noise import KeyPair

CODE = "7-crossover-clockwork"
M, N = literals(parts(page("p2pcall-protocol.7")["FIRST CONTACT"], ".Ss")["Key exchange"])[0]
ALICE = KeyPair.from_private(bytes([1]) * 32)
STATIC, EPHEMERAL, SCALAR, TOKEN = bytes([2]) * 32, bytes([3]) * 32, 123456789, bytes(range(16))
HERE = ("192.0.2.1", 1)


def hkdf(key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869."""
    pseudorandom, out, block = hmac.digest(salt or bytes(32), key, "sha256"), b"", b""
    while len(out) < length:
        block = hmac.digest(pseudorandom, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def answer(inviter: Inviter, data: bytes) -> bytes:
    inviter.receive_datagram(data, HERE, 0.0)
    ((out, _),) = inviter.datagrams_to_send(0.0) or [(b"", HERE)]
    return out


def test_a_joiner_written_from_the_page_is_let_in_and_reads_the_result() -> None:
    inviter = Inviter(
        Code(7, ("crossover", "clockwork")), ALICE, "Alice", lambda count: bytes([7]) * count, 0.0
    )
    password = CODE.encode()
    w = int.from_bytes(hkdf(password, b"", b"SPAKE2 pw", 48), "big") % group.order()
    blind = group.bytes_to_element(bytes.fromhex(N)).scalarmult(w)
    element = b"B" + group.Base.scalarmult(SCALAR).add(blind).to_bytes()
    ephemeral = bindings.crypto_scalarmult_base(EPHEMERAL)
    offer = answer(inviter, struct.pack(">BBH16s33s32s19s", 16, 1, 7, TOKEN, element, ephemeral, bytes(19)))
    kind, version, zero, token, their_element, their_ephemeral = struct.unpack(">BBH16s33s32s", offer)
    assert (kind, version, zero, token, their_element[:1]) == (17, 1, 0, TOKEN, b"A")

    theirs = group.bytes_to_element(their_element[1:])
    blind = group.bytes_to_element(bytes.fromhex(M)).scalarmult(-w)
    k = theirs.add(blind).scalarmult(SCALAR).to_bytes()
    ids = sha(b"p2pcall/1 inviter") + sha(b"p2pcall/1 joiner")
    key = sha(sha(password) + ids + their_element[1:] + element[1:] + k)
    said = struct.pack(">H", 7) + TOKEN + element + their_element + ephemeral + their_ephemeral
    transcript = sha(b"p2pcall/1 pairing transcript" + said)
    keys = hkdf(key, transcript, b"p2pcall/1 pairing keys", 160)
    joiner_mac, joiner_seal, inviter_mac, inviter_seal, done = (
        keys[at : at + 32] for at in range(0, 160, 32)
    )

    static = bindings.crypto_scalarmult_base(STATIC)
    secret = bindings.crypto_scalarmult(STATIC, their_ephemeral)
    possession = hmac.digest(secret, b"p2pcall/1 joiner's key" + transcript, "sha256")
    introduction = (static + possession + bytes([3]) + b"Bob").ljust(256, b"\0")
    nonce = bytes(12)
    sealed = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(introduction, transcript, nonce, joiner_seal)
    mac = hmac.digest(joiner_mac, transcript + sealed, "sha256")
    proof = struct.pack(">BBH16s33s32s32s272s", 18, 1, 7, TOKEN, element, ephemeral, mac, sealed)
    assert answer(inviter, proof) == b""
    assert inviter.next_event() == Met(Introduction(static, "Bob"))
    inviter.keep(0.0)
    result = answer(inviter, proof[:0])
    kind, version, zero, token, mac, sealed = struct.unpack(">BBH16s32s272s", result)
    assert (kind, version, zero, token) == (19, 1, 0, TOKEN)
    assert mac == hmac.digest(inviter_mac, transcript + sealed, "sha256")
    opened = bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, transcript, nonce, inviter_seal)
    secret = bindings.crypto_scalarmult(EPHEMERAL, ALICE.public)
    possession = hmac.digest(secret, b"p2pcall/1 inviter's key" + transcript, "sha256")
    assert opened == (ALICE.public + possession + bytes([5]) + b"Alice").ljust(256, b"\0")
    end = struct.pack(">BBH16s32s", 21, 1, 0, TOKEN, hmac.digest(done, transcript, "sha256"))
    assert answer(inviter, end) == b""
    assert inviter.next_event() == PairingOver(PairingEnd.PAIRED)
