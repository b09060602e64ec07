"""The two handshakes, both sides: Noise XXhfs and IKhfs with X25519 and ML-KEM-768, commitments and words.

Written from p2pcall-protocol(7) alone: sections HANDSHAKE and WORD LISTS.
"""

import copy
import hashlib
import hmac
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

PAGE = Path(__file__).resolve().parents[2] / "man" / "p2pcall-protocol.7"
XX, IK = 1, 2
PATTERN_NAMES = {XX: "XXhfs", IK: "IKhfs"}
CHACHAPOLY, AES = 1, 2
SUITE_NAMES = {CHACHAPOLY: "ChaChaPoly", AES: "AESGCM"}
KEY_BYTES, KEM_PUBLIC_BYTES, KEM_CIPHERTEXT_BYTES, TAG_BYTES = 32, 1184, 1088, 16
NONCE_BYTES, COMMITMENT_BYTES = 16, 20


class NotAuthentic(Exception):
    """A message that cannot be read."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hmac256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def dh(private: X25519PrivateKey, public: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:  # all zeros
        raise NotAuthentic from error


def public_of(private: X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def u32(number: int) -> bytes:
    return struct.pack(">I", number)


def commitment(side: str, nonce: bytes, static: bytes) -> bytes:
    """To the nonce of the `initiator` or the `responder`, who has this static public key."""
    return sha256(f"p2pcall/4 {side}'s nonce".encode() + nonce + static)[:COMMITMENT_BYTES]


def word_list(title: str) -> list[str]:
    """The list as the manual page has it."""
    _, _, after = PAGE.read_text().partition(f".Ss {title}\n.Bd -literal\n")
    words = after.partition(".Ed\n")[0].split()
    assert len(words) == 256
    return words


def words_of(handshake_hash: bytes, initiator_nonce: bytes, responder_nonce: bytes) -> list[str]:
    """The four words, when both nonces have been shown."""
    digest = sha256(b"p2pcall/4 words" + handshake_hash + initiator_nonce + responder_nonce)
    lists = word_list("Even"), word_list("Odd")
    return [lists[place % 2][digest[place]] for place in range(4)]


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
    """The state of one handshake; the same on both sides."""

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

    def take(self, message: bytes, length: int) -> tuple[bytes, bytes]:
        """Decrypt what makes so many bytes in clear; them, and the rest."""
        length += TAG_BYTES if self._k is not None else 0
        return self.decrypt(message[:length]), message[length:]

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
    """What a side chooses at random for one handshake; given where a test vector is made again."""

    index: int = field(default_factory=lambda: int.from_bytes(os.urandom(4), "big"))
    nonce: bytes = field(default_factory=lambda: os.urandom(NONCE_BYTES))
    e: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    e1: MLKEM768PrivateKey = field(default_factory=MLKEM768PrivateKey.generate)
    encapsulate: Callable[[MLKEM768PublicKey], tuple[bytes, bytes]] = lambda key: key.encapsulate()
    """Gives the shared secret and the ciphertext."""
    token: bytes = field(default_factory=lambda: os.urandom(8))
    tag: bytes = field(default_factory=lambda: os.urandom(16))
    hidden_time: bytes = field(default_factory=lambda: os.urandom(8))
    knock_nonce: bytes | None = None
    time_us: int | None = None


class Exchange:
    """The messages of either pattern. A message that cannot be read leaves everything as it was."""

    def __init__(
        self,
        pattern: int,
        suite: int,
        prologue: bytes,
        static: X25519PrivateKey,
        remote: bytes | None,
        chosen: Chosen,
        *,
        responds: bool = False,
    ) -> None:
        self.pattern = pattern
        self.static = static
        self.remote = remote
        """The other side's static public key, when it is known."""
        self.chosen = chosen
        self.noise = Noise(pattern, suite, prologue, public_of(static) if responds else remote)
        self.remote_e = self.remote_e1 = b""

    @property
    def known(self) -> bytes:
        """The other side's static public key, which must be known by now."""
        assert self.remote is not None
        return self.remote

    # ---- the initiator

    def write_1(self, payload: bytes) -> bytes:
        noise, e = self.noise, self.chosen.e
        out = public_of(e)
        noise.mix_hash(out)
        if self.pattern == IK:
            noise.mix_key(dh(e, self.known))
        out += noise.encrypt(self.chosen.e1.public_key().public_bytes_raw())
        if self.pattern == IK:
            out += noise.encrypt(public_of(self.static))
            noise.mix_key(dh(self.static, self.known))
        return out + noise.encrypt(payload)

    def read_2(self, message: bytes) -> bytes:
        """Its payload; then `remote` is the static key that was proven."""
        noise, remote = copy.copy(self.noise), self.remote
        remote_e, message = message[:KEY_BYTES], message[KEY_BYTES:]
        noise.mix_hash(remote_e)
        noise.mix_key(dh(self.chosen.e, remote_e))
        ciphertext, message = noise.take(message, KEM_CIPHERTEXT_BYTES)
        noise.mix_key(self.chosen.e1.decapsulate(ciphertext))
        if self.pattern == XX:
            remote, message = noise.take(message, KEY_BYTES)
            noise.mix_key(dh(self.chosen.e, remote))
        else:
            noise.mix_key(dh(self.static, remote_e))
        payload = noise.decrypt(message)
        self.noise, self.remote, self.remote_e = noise, remote, remote_e
        return payload

    def write_3(self) -> bytes:
        """Of XXhfs."""
        out = self.noise.encrypt(public_of(self.static))
        self.noise.mix_key(dh(self.static, self.remote_e))
        return out + self.noise.encrypt(b"")

    # ---- the responder

    def read_1(self, message: bytes) -> bytes:
        """Its payload; then, with IKhfs, `remote` is the static key that was proven."""
        noise, remote = copy.copy(self.noise), self.remote
        remote_e, message = message[:KEY_BYTES], message[KEY_BYTES:]
        noise.mix_hash(remote_e)
        if self.pattern == IK:
            noise.mix_key(dh(self.static, remote_e))
        remote_e1, message = noise.take(message, KEM_PUBLIC_BYTES)
        if self.pattern == IK:
            remote, message = noise.take(message, KEY_BYTES)
            noise.mix_key(dh(self.static, remote))
        payload = noise.decrypt(message)
        self.noise, self.remote = noise, remote
        self.remote_e, self.remote_e1 = remote_e, remote_e1
        return payload

    def write_2(self, payload: bytes) -> bytes:
        noise, e = self.noise, self.chosen.e
        out = public_of(e)
        noise.mix_hash(out)
        noise.mix_key(dh(e, self.remote_e))
        try:
            encapsulation_key = MLKEM768PublicKey.from_public_bytes(self.remote_e1)
        except ValueError as error:
            raise NotAuthentic from error
        secret, ciphertext = self.chosen.encapsulate(encapsulation_key)
        out += noise.encrypt(ciphertext)
        noise.mix_key(secret)
        if self.pattern == XX:
            out += noise.encrypt(public_of(self.static))
            noise.mix_key(dh(self.static, self.remote_e))
        else:
            noise.mix_key(dh(e, self.known))
        return out + noise.encrypt(payload)

    def read_3(self, message: bytes) -> None:
        """Of XXhfs; then `remote` is the static key that was proven."""
        noise = copy.copy(self.noise)
        remote, message = noise.take(message, KEY_BYTES)
        noise.mix_key(dh(self.chosen.e, remote))
        if noise.decrypt(message):
            raise NotAuthentic
        self.noise, self.remote = noise, remote
