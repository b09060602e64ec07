"""The calling side's handshakes: Noise XXhfs and IKhfs with X25519 and ML-KEM-768, and the datagrams around them.

Written from p2pcall-protocol(7) alone: sections DATAGRAMS, KNOCKING, HANDSHAKE, NEW KEYS and WORD LISTS.
"""

import hashlib
import hmac
import os
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

PAGE = Path(__file__).resolve().parents[2] / "man" / "p2pcall-protocol.7"
VERSION = 2
KNOCK, COOKIE, INITIATION, RESPONSE, CONFIRMATION, DATA = range(1, 7)
XX, IK = 1, 2
PATTERN_NAMES = {XX: "XXhfs", IK: "IKhfs"}
CHACHAPOLY, AES = 1, 2
SUITE_NAMES = {CHACHAPOLY: "ChaChaPoly", AES: "AESGCM"}
PART_BYTES = {XX: 672, IK: 712}
RESPONSE_BYTES = {XX: 1228, IK: 1180}


class NotAuthentic(Exception):
    """A message that cannot be read."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hmac256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def dh(private: X25519PrivateKey, public: bytes) -> bytes:
    return private.exchange(X25519PublicKey.from_public_bytes(public))


def public_of(private: X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def u32(number: int) -> bytes:
    return struct.pack(">I", number)


class Aead:
    """A suite with a key: the nonce is a counter."""

    def __init__(self, suite: int, key: bytes) -> None:
        self._aead = ChaCha20Poly1305(key) if suite == CHACHAPOLY else AESGCM(key)
        self._layout = "<IQ" if suite == CHACHAPOLY else ">IQ"

    def seal(self, counter: int, plaintext: bytes, ad: bytes = b"") -> bytes:
        return self._aead.encrypt(struct.pack(self._layout, 0, counter), plaintext, ad)

    def open(self, counter: int, ciphertext: bytes, ad: bytes = b"") -> bytes:
        try:
            return self._aead.decrypt(struct.pack(self._layout, 0, counter), ciphertext, ad)
        except InvalidTag as error:
            raise NotAuthentic from error


class Noise:
    """The state of one handshake, on the initiator's side."""

    def __init__(self, pattern: int, suite: int, prologue: bytes, responder: bytes | None) -> None:
        self.name = f"Noise_{PATTERN_NAMES[pattern]}_25519+MLKEM768_{SUITE_NAMES[suite]}_SHA256"
        self._suite = suite
        self.h = self.ck = sha256(self.name.encode())
        self._k: Aead | None = None
        self._n = 0
        self.mix_hash(prologue)
        if pattern == IK:
            assert responder is not None
            self.mix_hash(responder)

    def mix_hash(self, data: bytes) -> None:
        self.h = sha256(self.h + data)

    def mix_key(self, material: bytes) -> None:
        t = hmac256(self.ck, material)
        self.ck = hmac256(t, b"\1")
        self._k = Aead(self._suite, hmac256(t, self.ck + b"\2"))
        self._n = 0

    def encrypt(self, plaintext: bytes) -> bytes:
        sent = plaintext
        if self._k is not None:
            sent = self._k.seal(self._n, plaintext, self.h)
            self._n += 1
        self.mix_hash(sent)
        return sent

    def decrypt(self, received: bytes) -> bytes:
        plaintext = received
        if self._k is not None:
            plaintext = self._k.open(self._n, received, self.h)
            self._n += 1
        self.mix_hash(received)
        return plaintext

    def split(self) -> tuple[Aead, Aead]:
        """For what the initiator sends, and for what the responder sends."""
        t = hmac256(self.ck, b"")
        first = hmac256(t, b"\1")
        return Aead(self._suite, first), Aead(self._suite, hmac256(t, first + b"\2"))


@dataclass
class Keys:
    """What a handshake leaves: how to seal and open, and the indexes of both sides."""

    sending: Aead
    receiving: Aead
    own_index: int
    remote_index: int
    handshake_hash: bytes
    counter: int = 0
    taken: set[int] = field(default_factory=set)


@dataclass
class Chosen:
    """What the initiator chooses at random for one dial; given where a test vector is made again."""

    index: int = field(default_factory=lambda: int.from_bytes(os.urandom(4), "big"))
    token: bytes = field(default_factory=lambda: os.urandom(8))
    tag: bytes = field(default_factory=lambda: os.urandom(16))
    nonce: bytes = field(default_factory=lambda: os.urandom(16))
    e: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    e1: MLKEM768PrivateKey = field(default_factory=MLKEM768PrivateKey.generate)
    timestamp: int | None = None


class Exchange:
    """Messages 1 and 2 of either pattern."""

    def __init__(
        self,
        pattern: int,
        suite: int,
        prologue: bytes,
        static: X25519PrivateKey,
        responder: bytes | None,
        payload: bytes,
        chosen: Chosen,
    ) -> None:
        self.pattern = pattern
        self.static = static
        self.responder = responder
        self.e, self.e1 = chosen.e, chosen.e1
        self.noise = Noise(pattern, suite, prologue, responder)
        self.message_1 = self._write_1(payload)
        self.remote_e = b""

    def _write_1(self, payload: bytes) -> bytes:
        noise = self.noise
        out = public_of(self.e)
        noise.mix_hash(out)
        if self.pattern == IK:
            assert self.responder is not None
            noise.mix_key(dh(self.e, self.responder))
        out += noise.encrypt(self.e1.public_key().public_bytes_raw())
        if self.pattern == IK:
            assert self.responder is not None
            out += noise.encrypt(public_of(self.static))
            noise.mix_key(dh(self.static, self.responder))
        return out + noise.encrypt(payload)

    def read_2(self, message: bytes) -> bytes:
        """Its payload; then `responder` is the static key that was proven."""
        noise = self.noise
        self.remote_e, message = message[:32], message[32:]
        noise.mix_hash(self.remote_e)
        noise.mix_key(dh(self.e, self.remote_e))
        ciphertext = noise.decrypt(message[: 1088 + 16])
        noise.mix_key(self.e1.decapsulate(ciphertext))
        message = message[1088 + 16 :]
        if self.pattern == XX:
            self.responder = noise.decrypt(message[: 32 + 16])
            message = message[32 + 16 :]
            noise.mix_key(dh(self.e, self.responder))
        else:
            noise.mix_key(dh(self.static, self.remote_e))
        return noise.decrypt(message)

    def write_3(self, payload: bytes) -> bytes:
        """Of XXhfs."""
        out = self.noise.encrypt(public_of(self.static))
        self.noise.mix_key(dh(self.static, self.remote_e))
        return out + self.noise.encrypt(payload)


class Dial:
    """One dial: `knock`, `take_cookie`, `parts`, `take_response`, then `keys` and `confirmation`."""

    def __init__(
        self,
        static: X25519PrivateKey,
        offered: int,
        responder: bytes | None,
        chosen: Chosen | None = None,
    ) -> None:
        self.pattern = XX if responder is None else IK
        self._chosen = chosen or Chosen()
        self.index = self._chosen.index
        self.nonce = self._chosen.nonce
        self.keys: Keys | None = None
        self.confirmation = b""
        self.words: list[str] = []
        self.protocol = ""
        self.remote_static = b""
        self._static = static
        self._offered = offered
        self._responder = responder
        self._token = self._chosen.token
        self._mac1_key = sha256(b"p2pcall/2 mac1" + (responder or bytes(32)))
        self._cookie: bytes | None = None
        self._header = b""
        self._exchange: Exchange | None = None

    def _with_mac1(self, data: bytes) -> bytes:
        return data + hmac256(self._mac1_key, data)[:16]

    def knock(self) -> bytes:
        head = bytes((KNOCK, VERSION, self.pattern, self._offered)) + u32(self.index) + self._token
        timestamp = self._chosen.timestamp or time.time_ns() // 1000
        head += struct.pack(">Q", timestamp) + bytes(28)
        tag = self._chosen.tag
        if self._responder is not None:
            secret = dh(self._static, self._responder)
            pair = b"p2pcall/2 contact" + secret + public_of(self._static) + self._responder
            tag = hmac256(sha256(pair), head)[:16]
        return self._with_mac1(head + tag)

    def take_cookie(self, data: bytes) -> bool:
        """Whether it is one for us."""
        if len(data) != 36 or data[:2] != bytes((COOKIE, VERSION)) or data[3] or any(data[32:]):
            return False
        chosen = data[2]
        if (
            data[4:16] != u32(self.index) + self._token
            or chosen not in SUITE_NAMES
            or not chosen & self._offered
        ):
            return False
        self._cookie = data[16:32]
        if self._exchange is None:
            self._begin(chosen)
        return True

    def _begin(self, suite: int) -> None:
        header = bytes((INITIATION, VERSION, self.pattern, self._offered, suite, 0, 0, 0))
        self._header = header + u32(self.index) + bytes(4)
        commitment = sha256(b"p2pcall/2 commitment" + self.nonce + public_of(self._static))
        prologue = b"p2pcall/2 initiator responder" + self._header
        self._exchange = Exchange(
            self.pattern, suite, prologue, self._static, self._responder, commitment, self._chosen
        )

    def parts(self) -> list[bytes]:
        """The initiation, in two datagrams."""
        assert self._exchange is not None
        assert self._cookie is not None
        whole = self._header + self._exchange.message_1
        half = len(whole) // 2
        made = []
        for number in (0, 1):
            head = bytes((INITIATION, VERSION, number, self._offered)) + u32(self.index) + self._cookie
            made.append(self._with_mac1(head + whole[number * half : (number + 1) * half]))
            assert len(made[-1]) == PART_BYTES[self.pattern]
        return made

    def take_response(self, data: bytes) -> bool:
        """Whether the handshake is done with it. A bad one ends the dial, which a real caller would not do."""
        if len(data) != RESPONSE_BYTES[self.pattern] or data[:4] != bytes((RESPONSE, VERSION, 0, 0)):
            return False
        if data[4:8] != u32(self.index):
            return False
        exchange = self._exchange
        assert exchange is not None
        payload = exchange.read_2(data[8:])
        responder_nonce, remote_index = payload[:16], int.from_bytes(payload[16:], "big")
        if self.pattern == XX:
            last = exchange.write_3(self.nonce)
            sending, receiving = exchange.noise.split()
        else:
            sending, receiving = exchange.noise.split()
            last = sending.seal(0, self.nonce, exchange.noise.h)
        handshake_hash = exchange.noise.h
        self.keys = Keys(sending, receiving, self.index, remote_index, handshake_hash)
        self.keys.counter = 1 if self.pattern == IK else 0
        self.confirmation = bytes((CONFIRMATION, 0, 0, 0)) + u32(remote_index) + last
        self.protocol = exchange.noise.name
        assert exchange.responder is not None
        self.remote_static = exchange.responder
        digest = sha256(b"p2pcall/2 words" + handshake_hash + self.nonce + responder_nonce)
        lists = word_list("Even"), word_list("Odd")
        self.words = [lists[place % 2][digest[place]] for place in range(4)]
        return True


class NewKeys:
    """A new epoch: `message_1` goes to the responder in pieces, `finish` takes what comes back."""

    def __init__(self, static: X25519PrivateKey, responder: bytes, suite: int, running: Keys) -> None:
        chosen = Chosen()
        self._index = chosen.index
        prologue = b"p2pcall/2 rekey" + running.handshake_hash
        self._exchange = Exchange(IK, suite, prologue, static, responder, u32(self._index), chosen)
        self.message_1 = self._exchange.message_1

    def finish(self, message_2: bytes) -> Keys:
        """The keys of the new epoch."""
        remote_index = int.from_bytes(self._exchange.read_2(message_2), "big")
        sending, receiving = self._exchange.noise.split()
        return Keys(sending, receiving, self._index, remote_index, self._exchange.noise.h)


def word_list(title: str) -> list[str]:
    """The list as the manual page has it."""
    _, _, after = PAGE.read_text().partition(f".Ss {title}\n.Bd -literal\n")
    words = after.partition(".Ed\n")[0].split()
    assert len(words) == 256
    return words
