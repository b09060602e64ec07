"""A second implementation of the opening of a line, on either side, over `cryptography` and the standard library.

It shares no code with the program: layouts, labels, hashes and both patterns are spelled out here once more.
"""

import struct
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import digest as hmac_digest
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from netem import ALICE, BOB, Node, two

from p2pcall.proto.events import Accepted, HandshakeDone, IncomingCall, Revealed
from p2pcall.proto.handshake.sas import EVEN, ODD

STATIC = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NONCE = b"n" * 16
OUR_INDEX = 0x11223344
both_patterns = pytest.mark.parametrize("pattern", [1, 2], ids=["XXhfs", "IKhfs"])
both_suites = pytest.mark.parametrize("suite", [1, 2], ids=["ChaChaPoly", "AESGCM"])


def public(private: X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def mac(key: bytes, data: bytes) -> bytes:
    return hmac_digest(key, data, "sha256")[:16]


def hkdf(key: bytes, material: bytes) -> tuple[bytes, bytes]:
    temp = hmac_digest(key, material, "sha256")
    first = hmac_digest(temp, b"\1", "sha256")
    return first, hmac_digest(temp, first + b"\2", "sha256")


@dataclass
class Second:
    """One side of a handshake, written as the messages go, not as a table."""

    suite: int
    pattern: int
    prologue: bytes
    remote: bytes = b""
    ephemeral: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    decapsulation: MLKEM768PrivateKey = field(default_factory=MLKEM768PrivateKey.generate)
    theirs: bytes = b""
    kem_public: bytes = b""
    key: bytes = b""
    count: int = 0

    def __post_init__(self) -> None:
        cipher = {1: "ChaChaPoly", 2: "AESGCM"}[self.suite]
        name = {1: "XXhfs", 2: "IKhfs"}[self.pattern]
        self.h = self.ck = sha256(f"Noise_{name}_25519+MLKEM768_{cipher}_SHA256".encode()).digest()
        self.hash(self.prologue)

    def hash(self, data: bytes) -> None:
        self.h = sha256(self.h + data).digest()

    def mix(self, material: bytes) -> None:
        self.ck, self.key = hkdf(self.ck, material)
        self.count = 0

    def dh(self, private: X25519PrivateKey, other: bytes) -> None:
        self.mix(private.exchange(X25519PublicKey.from_public_bytes(other)))

    def seal(self, data: bytes) -> bytes:
        out = aead(self.suite, self.key, self.count, data, self.h) if self.key else data
        self.count += 1
        self.hash(out)
        return out

    def open(self, data: bytes) -> bytes:
        out = unseal(self.suite, self.key, self.count, data, self.h) if self.key else data
        self.count += 1
        self.hash(data)
        return out

    def take(self, message: bytes, length: int) -> tuple[bytes, bytes]:
        length += 16 if self.key else 0
        return self.open(message[:length]), message[length:]


def nonce(suite: int, count: int) -> bytes:
    return bytes(4) + count.to_bytes(8, "little" if suite == 1 else "big")


def aead(suite: int, key: bytes, count: int, data: bytes, ad: bytes = b"") -> bytes:
    return (ChaCha20Poly1305 if suite == 1 else AESGCM)(key).encrypt(nonce(suite, count), data, ad)


def unseal(suite: int, key: bytes, count: int, data: bytes, ad: bytes = b"") -> bytes:
    return (ChaCha20Poly1305 if suite == 1 else AESGCM)(key).decrypt(nonce(suite, count), data, ad)


def words(handshake_hash: bytes, initiator_nonce: bytes, responder_nonce: bytes) -> tuple[str, ...]:
    digest = sha256(b"p2pcall/4 words" + handshake_hash + initiator_nonce + responder_nonce).digest()
    return EVEN[digest[0]], ODD[digest[1]], EVEN[digest[2]], ODD[digest[3]]


def frames(plaintext: bytes) -> list[tuple[int, bytes]]:
    out = []
    while plaintext and plaintext[0]:
        channel, length = struct.unpack(">BH", plaintext[:3])
        out.append((channel, plaintext[3 : 3 + length]))
        plaintext = plaintext[3 + length :]
    return out


def opened(suite: int, key: bytes, datagram: bytes) -> list[tuple[int, bytes]]:
    """The frames of a record."""
    return frames(unseal(suite, key, int.from_bytes(datagram[8:16], "big"), datagram[16:]))


def record(suite: int, key: bytes, index: int, count: int, *parts: tuple[int, bytes]) -> bytes:
    plaintext = b"".join(struct.pack(">BH", channel, len(payload)) + payload for channel, payload in parts)
    return struct.pack(">BxxxIQ", 6, index, count) + aead(suite, key, count, plaintext)


def exchange(node: Node, datagram: bytes, source: Any, now: float) -> list[bytes]:
    node.endpoint.receive_datagram(datagram, source, now)
    return [data for data, _ in node.endpoint.datagrams_to_send(now)]


class SecondInitiator(Second):
    """The dialling side: `write_1`, `read_2`, `write_3`."""

    def write_1(self) -> bytes:
        commitment = sha256(b"p2pcall/4 initiator's nonce" + NONCE + public(STATIC)).digest()[:20]
        message = public(self.ephemeral)
        if self.pattern == 2:
            self.hash(self.remote)
        self.hash(message)
        if self.pattern == 2:
            self.dh(self.ephemeral, self.remote)
        message += self.seal(self.decapsulation.public_key().public_bytes_raw())
        if self.pattern == 2:
            message += self.seal(public(STATIC))
            self.dh(STATIC, self.remote)
        return message + self.seal(commitment)

    def read_2(self, message: bytes) -> bytes:
        self.theirs, rest = message[:32], message[32:]
        self.hash(self.theirs)
        self.dh(self.ephemeral, self.theirs)
        ciphertext, rest = self.take(rest, 1088)
        self.mix(self.decapsulation.decapsulate(ciphertext))
        if self.pattern == 1:
            shown, rest = self.take(rest, 32)
            assert shown == self.remote
            self.dh(self.ephemeral, self.remote)
        else:
            self.dh(STATIC, self.theirs)
        return self.open(rest)

    def write_3(self) -> tuple[bytes, bytes, bytes, int]:
        """The last message; keys for sending and receiving; the first counter."""
        if self.pattern == 1:
            last = self.seal(public(STATIC))
            self.dh(STATIC, self.theirs)
            last += self.seal(b"")
            return last, *hkdf(self.ck, b""), 0
        sending, receiving = hkdf(self.ck, b"")
        return aead(self.suite, sending, 0, b"", self.h), sending, receiving, 1


class SecondResponder(Second):
    """The called side: `read_1`, `write_2`, `read_3`."""

    def read_1(self, message: bytes) -> bytes:
        if self.pattern == 2:
            self.hash(public(STATIC))
        self.theirs, rest = message[:32], message[32:]
        self.hash(self.theirs)
        if self.pattern == 2:
            self.dh(STATIC, self.theirs)
        self.kem_public, rest = self.take(rest, 1184)
        if self.pattern == 2:
            shown, rest = self.take(rest, 32)
            assert shown == self.remote
            self.dh(STATIC, shown)
        return self.open(rest)

    def write_2(self) -> bytes:
        message = public(self.ephemeral)
        self.hash(message)
        self.dh(self.ephemeral, self.theirs)
        secret, ciphertext = MLKEM768PublicKey.from_public_bytes(self.kem_public).encapsulate()
        message += self.seal(ciphertext)
        self.mix(secret)
        if self.pattern == 1:
            message += self.seal(public(STATIC))
            self.dh(STATIC, self.theirs)
        else:
            self.dh(self.ephemeral, self.remote)
        commitment = sha256(b"p2pcall/4 responder's nonce" + NONCE + public(STATIC)).digest()[:20]
        return message + self.seal(commitment + OUR_INDEX.to_bytes(4, "big"))

    def read_3(self, message: bytes) -> tuple[bytes, bytes, int]:
        """Keys for sending and receiving; the other side's first counter."""
        if self.pattern == 1:
            shown, rest = self.take(message, 32)
            assert shown == self.remote
            self.dh(self.ephemeral, shown)
            assert self.open(rest) == b""
            receiving, sending = hkdf(self.ck, b"")
            return sending, receiving, 0
        receiving, sending = hkdf(self.ck, b"")
        assert unseal(self.suite, receiving, 0, message, self.h) == b""
        return sending, receiving, 1


def pair_key(initiator: bytes, responder: bytes) -> bytes:
    """Of ours and another's key, in whichever order."""
    other = initiator if responder == public(STATIC) else responder
    shared = STATIC.exchange(X25519PublicKey.from_public_bytes(other))
    return sha256(b"p2pcall/4 contact" + shared + initiator + responder).digest()


def hide(key: bytes, nonce: bytes, time: bytes) -> bytes:
    """A knock's time as it is sent, and the other way round."""
    return bytes(one ^ other for one, other in zip(time, mac(key, nonce)[:8], strict=True))


def hints(key: bytes, time: int) -> list[bytes]:
    """With what a contact's nonces begin at this time."""
    made = mac(key, (time // 600_000_000).to_bytes(8, "big"))
    return [made[0:4], made[4:8], made[8:12], made[12:16]]


def cookie_for_a_knock(bob: Node, pattern: int, suite: int, now: float) -> bytes:
    """Knock at Bob's as a stranger or as a contact; what he gives."""
    nonce, time, key = b"sixteen bytes...", b"anything", pair_key(public(STATIC), bob.static.public)
    if pattern == 2:
        at = int(now * 1_000_000)
        nonce = hints(key, at)[OUR_INDEX % 4] + nonce[4:]
        time = hide(key, nonce, at.to_bytes(8, "big"))
        assert bob.endpoint._admission.knock_filter._trials.take(now, 8192), "nothing is left for trying keys"
    knock = struct.pack(">BBBBI8s16s8s28x", 1, 4, pattern, suite, OUR_INDEX, b"my token", nonce, time)
    knock += mac(key, knock) if pattern == 2 else b"random it may be"
    (answer,) = exchange(bob, knock, ALICE, now)
    cookie = answer[16:32]
    assert answer == struct.pack(">BBBBI8s16s4x", 2, 4, suite, 0, OUR_INDEX, b"my token", cookie)
    return cookie


@both_suites
@both_patterns
def test_second_implementation_dials_and_invites(pattern: int, suite: int) -> None:
    world, _, bob = two(aes=True)
    remote = bob.static.public
    if pattern == 2:
        bob.endpoint.reach = "contacts"
        bob.endpoint.contacts([public(STATIC)])

    cookie = cookie_for_a_knock(bob, pattern, suite, world.now)
    header = struct.pack(">BBBBBxxxIxxxx", 3, 4, pattern, suite, suite, OUR_INDEX)
    ours = SecondInitiator(suite, pattern, b"p2pcall/4 initiator responder" + header, remote)
    whole = header + ours.write_1()
    half = len(whole) // 2
    sent = []
    for number, chunk in enumerate((whole[:half], whole[half:])):
        part = struct.pack(">BBBBI16s", 3, 4, number, suite, OUR_INDEX, cookie) + chunk
        sent.append(exchange(bob, part, ALICE, world.now))
    assert sent[0] == []
    ((response,),) = sent[1:]
    assert struct.unpack(">BBHI", response[:8]) == (4, 4, 0, OUR_INDEX)
    payload = ours.read_2(response[8:])
    commitment, their_index = payload[:20], int.from_bytes(payload[20:], "big")

    last, sending, receiving, count = ours.write_3()
    first = exchange(bob, struct.pack(">BxxxI", 5, their_index) + last, ALICE, world.now)
    done = bob.endpoint.next_event()
    assert isinstance(done, HandshakeDone)
    assert done.peer.remote_static == public(STATIC)

    assert first[0][:16] == struct.pack(">BxxxIQ", 6, OUR_INDEX, 0)
    assert frames(unseal(suite, receiving, 0, first[0][16:]))[0] == (2, b"\1" + bytes(8))
    invite = struct.pack(">BQB", 0, 0, 1) + b"\3" + b"\5carol"
    exchange(bob, record(suite, sending, their_index, count, (1, invite)), ALICE, world.now)
    assert bob.endpoint.next_event() == IncomingCall(done.peer, "carol", True, True)
    done.peer.accept("bob", True, False, world.now)
    ((accept, _),) = bob.endpoint.datagrams_to_send(world.now)
    told = [
        payload for channel, payload in opened(suite, receiving, accept) if channel == 1 and not payload[0]
    ]
    responder_nonce = told[0][10:26]
    assert told == [struct.pack(">BQB", 0, 0, 3) + responder_nonce + b"\1" + b"\3bob"]
    assert commitment == sha256(b"p2pcall/4 responder's nonce" + responder_nonce + remote).digest()[:20]
    assert done.peer.sas == ()
    reveal = struct.pack(">BQB", 0, 1, 8) + NONCE
    exchange(bob, record(suite, sending, their_index, count + 1, (1, reveal)), ALICE, world.now)
    assert bob.endpoint.next_event() == Revealed(done.peer)
    assert done.peer.sas == words(ours.h, NONCE, responder_nonce)


@both_suites
@both_patterns
def test_second_implementation_is_dialled_and_accepts(pattern: int, suite: int) -> None:
    world, alice, _ = two(aes=True)
    caller, own = alice.static.public, public(STATIC)
    peer = alice.endpoint.dial([BOB], world.now, own if pattern == 2 else None)

    ((knock, _),) = alice.endpoint.datagrams_to_send(world.now)
    kind, version, wanted, offered, their_index, token = struct.unpack(">BBBBI8s", knock[:16])
    assert (kind, version, wanted, offered) == (1, 4, pattern, 3)
    key = pair_key(caller, own)
    at = int.from_bytes(hide(key, knock[16:32], knock[32:40]), "big")
    assert (at == world.now * 1_000_000) == (pattern == 2)
    hint = hints(key, int(world.now * 1_000_000))[their_index % 4]
    assert (knock[16:20] == hint) == (pattern == 2)
    assert knock[40:68] == bytes(28)
    assert (knock[68:] == mac(key, knock[:68])) == (pattern == 2)

    answer = struct.pack(">BBBBI8s16s4x", 2, 4, suite, 0, their_index, token, b"whatever we like")
    parts = exchange(alice, answer, BOB, world.now)
    for number, part in enumerate(parts):
        assert part[:24] == struct.pack(">BBBBI16s", 3, 4, number, 3, their_index, b"whatever we like")
    assert len(parts) == 2 and len(parts[0]) == len(parts[1])
    whole = parts[0][24:] + parts[1][24:]
    assert whole[:16] == struct.pack(">BBBBBxxxIxxxx", 3, 4, pattern, 3, suite, their_index)
    ours = SecondResponder(suite, pattern, b"p2pcall/4 initiator responder" + whole[:16], caller)
    commitment = ours.read_1(whole[16:])
    response = struct.pack(">BBHI", 4, 4, 0, their_index) + ours.write_2()
    first = exchange(alice, response, BOB, world.now)
    assert alice.endpoint.next_event() == HandshakeDone(peer)

    assert first[0][:8] == struct.pack(">BxxxI", 5, OUR_INDEX)
    sending, receiving, count = ours.read_3(first[0][8:])

    assert first[1][:16] == struct.pack(">BxxxIQ", 6, OUR_INDEX, count)
    assert frames(unseal(suite, receiving, count, first[1][16:]))[0] == (2, b"\1" + bytes(8))
    peer.invite("alice", True, False, world.now)
    accept = struct.pack(">BQB", 0, 0, 3) + NONCE + b"\1" + b"\5carol"
    assert peer.sas == ()
    later = exchange(alice, record(suite, sending, their_index, 0, (1, accept)), BOB, world.now)
    assert alice.endpoint.next_event() == Accepted(peer, "carol", True, False)
    told = [payload for data in later for channel, payload in opened(suite, receiving, data) if channel == 1]
    (initiator_nonce,) = (payload[10:] for payload in told if payload[0] == 0 and payload[9] == 8)
    assert commitment == sha256(b"p2pcall/4 initiator's nonce" + initiator_nonce + caller).digest()[:20]
    assert peer.sas == words(ours.h, initiator_nonce, NONCE)
