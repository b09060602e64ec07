"""The Noise Protocol Framework, revision 34: patterns as data, objects and steps under the spec's names.

One class per object of the spec: CipherState (5.1), SymmetricState (5.2), HandshakeState (5.3). Curve 25519,
SHA-256, and either AEAD. The tokens `e1` and `ekem1` add ML-KEM-768 as in the Noise HFS draft; a pattern without
them is the spec's own. A message that cannot be read changes nothing: the state is as before the call.

Left out: pre-shared keys, fallback patterns, rekey, BLAKE2, Curve448. Out-of-order transport is `session`'s.
Limits: CPython cannot overwrite `bytes`, and the AEAD binding takes nothing else, so keys are forgotten
(the last reference dropped as early as possible), not wiped.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from struct import Struct
from typing import Final, TypeVar

import msgspec
from nacl import bindings
from nacl.exceptions import CryptoError

from p2pcall.proto.constants import HASH_BYTES, KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES, KEY_BYTES, TAG_BYTES
from p2pcall.proto.handshake import kem
from p2pcall.proto.handshake.kem import Encapsulate, KemPair
from p2pcall.types import Entropy

Aead = Callable[[bytes, bytes | None, bytes, bytes], bytes]
"""(text, associated data, nonce, key) to text; raises CryptoError."""


_T = TypeVar("_T")


class NoiseError(Exception):
    """An invalid message or key; never raised out of `proto`."""


class Pattern(msgspec.Struct, frozen=True):
    """A handshake pattern (spec section 7): pre-messages of either side, then the tokens of each message in turn."""

    name: str
    initiator_pre: tuple[str, ...]
    responder_pre: tuple[str, ...]
    messages: tuple[tuple[str, ...], ...]


XX: Final = Pattern("XX", (), (), (("e",), ("e", "ee", "s", "es"), ("s", "se")))
IK: Final = Pattern("IK", (), ("s",), (("e", "es", "s", "ss"), ("e", "ee", "se")))
XXHFS: Final = Pattern("XXhfs", (), (), (("e", "e1"), ("e", "ee", "ekem1", "s", "es"), ("s", "se")))
IKHFS: Final = Pattern("IKhfs", (), ("s",), (("e", "es", "e1", "s", "ss"), ("e", "ee", "ekem1", "se")))
_HFS: Final = (XXHFS, IKHFS)


class Cipher(msgspec.Struct, frozen=True):
    """An AEAD under its Noise name, with the nonce's layout (spec section 12)."""

    name: str
    nonce: Callable[[int], bytes]
    encrypt: Aead
    decrypt: Aead


def _nonce_packer(layout: str) -> Callable[[int], bytes]:
    pack = Struct(layout).pack
    return lambda counter: pack(0, counter)


CHACHAPOLY: Final = Cipher(
    "ChaChaPoly",
    _nonce_packer("<IQ"),
    bindings.crypto_aead_chacha20poly1305_ietf_encrypt,
    bindings.crypto_aead_chacha20poly1305_ietf_decrypt,
)
AESGCM: Final = Cipher(
    "AESGCM",
    _nonce_packer(">IQ"),
    bindings.crypto_aead_aes256gcm_encrypt,
    bindings.crypto_aead_aes256gcm_decrypt,
)


def aes_available() -> bool:
    """Whether this CPU has the instructions without which libsodium refuses AES-256-GCM."""
    try:
        AESGCM.encrypt(b"", None, AESGCM.nonce(0), bytes(KEY_BYTES))
    except CryptoError:
        return False
    return True


class KeyPair(msgspec.Struct, frozen=True):
    """An X25519 key pair."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public.hex()})"

    @classmethod
    def from_private(cls, private: bytes) -> KeyPair:
        """The pair of a private key of 32 bytes; ValueError for any other length."""
        if len(private) != KEY_BYTES:
            raise ValueError(f"a private key has {KEY_BYTES} bytes, not {len(private)}")
        return cls(private, bindings.crypto_scalarmult_base(private))

    @classmethod
    def generate(cls, entropy: Entropy) -> KeyPair:
        """GENERATE_KEYPAIR()."""
        return cls.from_private(entropy(KEY_BYTES))


def dh(pair: KeyPair, public: bytes) -> bytes:
    """DH(); NoiseError for a point of low order, which would give every eavesdropper the secret."""
    try:
        return bindings.crypto_scalarmult(pair.private, public)
    except CryptoError as error:
        raise NoiseError("public key of low order") from error


def hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF() with two outputs, over HMAC-SHA256."""
    temp_key = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(temp_key, b"\x01", "sha256")
    return first, hmac.digest(temp_key, first + b"\x02", "sha256")


class CipherState:
    """A key and its counter; without a key, text passes as it is."""

    __slots__ = ("cipher", "k", "n")

    def __init__(self, cipher: Cipher, k: bytes | None = None) -> None:
        self.cipher = cipher
        self.k = k
        self.n = 0

    def encrypt_with_ad(self, ad: bytes, plaintext: bytes) -> bytes:
        """EncryptWithAd()."""
        if self.k is None:
            return plaintext
        ciphertext = self.cipher.encrypt(plaintext, ad, self.cipher.nonce(self.n), self.k)
        self.n += 1
        return ciphertext

    def decrypt_with_ad(self, ad: bytes, ciphertext: bytes) -> bytes:
        """DecryptWithAd(); NoiseError if it is not authentic, and then the counter does not advance."""
        if self.k is None:
            return ciphertext
        if len(ciphertext) < TAG_BYTES:
            raise NoiseError("shorter than a tag")
        try:
            plaintext = self.cipher.decrypt(ciphertext, ad, self.cipher.nonce(self.n), self.k)
        except CryptoError as error:
            raise NoiseError("not authentic") from error
        self.n += 1
        return plaintext


SymmetricCheckpoint = tuple[bytes, bytes, CipherState, int]


class SymmetricState:
    """Chaining key, handshake hash, and the CipherState they feed."""

    __slots__ = ("cipher_state", "ck", "h")

    def __init__(self, protocol_name: str, cipher: Cipher) -> None:
        name = protocol_name.encode()
        self.h = name.ljust(HASH_BYTES, b"\0") if len(name) <= HASH_BYTES else sha256(name).digest()
        self.ck = self.h
        self.cipher_state = CipherState(cipher)

    def mix_key(self, material: bytes) -> None:
        """MixKey()."""
        self.ck, key = hkdf(self.ck, material)
        self.cipher_state = CipherState(self.cipher_state.cipher, key)

    def mix_hash(self, data: bytes) -> None:
        """MixHash()."""
        self.h = sha256(self.h + data).digest()

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """EncryptAndHash()."""
        ciphertext = self.cipher_state.encrypt_with_ad(self.h, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        """DecryptAndHash(); NoiseError if it is not authentic."""
        plaintext = self.cipher_state.decrypt_with_ad(self.h, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[CipherState, CipherState]:
        """Split(): the initiator's sending state, then the responder's."""
        first, second = hkdf(self.ck, b"")
        cipher = self.cipher_state.cipher
        return CipherState(cipher, first), CipherState(cipher, second)

    def checkpoint(self) -> SymmetricCheckpoint:
        """What `restore` needs to undo everything that follows."""
        return self.ck, self.h, self.cipher_state, self.cipher_state.n

    def restore(self, saved: SymmetricCheckpoint) -> None:
        """As it was at `checkpoint`."""
        self.ck, self.h, self.cipher_state, self.cipher_state.n = saved


Checkpoint = tuple[SymmetricCheckpoint, bytes | None, bytes | None, bytes | None, int]


def protocol_name(pattern: Pattern, cipher: Cipher) -> str:
    """The Noise name; the KEM is named beside the curve."""
    curve = "25519+MLKEM768" if pattern in _HFS else "25519"
    return f"Noise_{pattern.name}_{curve}_{cipher.name}_SHA256"


class HandshakeState:
    """One side of a handshake: `write_message` and `read_message` in turns until `finished`, then `split`.

    Tests that replay published vectors pass `e`; otherwise it is made from `entropy`. Tests that need the same bytes
    again pass `encapsulate`.
    """

    def __init__(
        self,
        pattern: Pattern,
        cipher: Cipher,
        initiator: bool,
        prologue: bytes,
        s: KeyPair,
        *,
        entropy: Entropy | None = None,
        e: KeyPair | None = None,
        rs: bytes | None = None,
        encapsulate: Encapsulate = kem.encapsulate,
    ) -> None:
        self.protocol_name = protocol_name(pattern, cipher)
        self.symmetric = SymmetricState(self.protocol_name, cipher)
        self.initiator = initiator
        self.s = s
        self.e = e
        self.rs = rs
        self.re: bytes | None = None
        self.e1: KemPair | None = None
        self.re1: bytes | None = None
        self._encapsulate = encapsulate
        self._entropy = entropy
        self._messages = pattern.messages
        self._turn = 0
        self.symmetric.mix_hash(prologue)
        for ours, tokens in ((initiator, pattern.initiator_pre), (not initiator, pattern.responder_pre)):
            for _ in tokens:  # only static keys are known beforehand
                self.symmetric.mix_hash(s.public if ours else _known(rs))

    @property
    def finished(self) -> bool:
        """Whether all messages have been written or read."""
        return self._turn == len(self._messages)

    @property
    def handshake_hash(self) -> bytes:
        """GetHandshakeHash(), after the last message: binds the layers above to this handshake."""
        return self.symmetric.h

    @property
    def remote_static(self) -> bytes:
        """The other side's static key; RuntimeError while it is not known."""
        return _known(self.rs)

    def write_message(self, payload: bytes) -> bytes:
        """WriteMessage(); RuntimeError out of turn. NoiseError if a remote key read before is invalid or of low order:
        then this handshake cannot be used any more."""
        tokens = self._tokens(writing=True)
        out = []
        for token in tokens:
            if token == "e":
                if self.e is None:
                    self.e = KeyPair.generate(_known(self._entropy))
                out.append(self.e.public)
                self.symmetric.mix_hash(self.e.public)
            elif token == "s":
                out.append(self.symmetric.encrypt_and_hash(self.s.public))
            elif token == "e1":
                self.e1 = KemPair.generate(_known(self._entropy))
                out.append(self.symmetric.encrypt_and_hash(self.e1.public))
            elif token == "ekem1":
                try:
                    secret, ciphertext = self._encapsulate(_known(self.re1))
                except ValueError as error:
                    raise NoiseError("no public key of the KEM") from error
                out.append(self.symmetric.encrypt_and_hash(ciphertext))
                self.symmetric.mix_key(secret)
            else:
                self.symmetric.mix_key(self._dh(token))
        out.append(self.symmetric.encrypt_and_hash(payload))
        self._turn += 1
        return b"".join(out)

    def read_message(self, message: bytes) -> bytes:
        """ReadMessage(): the payload. RuntimeError out of turn; NoiseError if bad, and then nothing has
        changed."""
        tokens = self._tokens(writing=False)
        saved = self.checkpoint()
        try:
            payload = self._read(tokens, message)
        except NoiseError:
            self.restore(saved)
            raise
        self._turn += 1
        return payload

    def checkpoint(self) -> Checkpoint:
        """What `restore` needs to undo everything that is read after this."""
        return self.symmetric.checkpoint(), self.re, self.rs, self.re1, self._turn

    def restore(self, saved: Checkpoint) -> None:
        """As it was at `checkpoint`."""
        symmetric, self.re, self.rs, self.re1, self._turn = saved
        self.symmetric.restore(symmetric)

    def split(self) -> tuple[CipherState, CipherState]:
        """Our sending and our receiving state, once finished; RuntimeError before."""
        if not self.finished:
            raise RuntimeError("the handshake is not finished")
        first, second = self.symmetric.split()
        return (first, second) if self.initiator else (second, first)

    def _read(self, tokens: tuple[str, ...], message: bytes) -> bytes:
        for token in tokens:
            if token == "e":
                self.re, message = _take(message, KEY_BYTES)
                self.symmetric.mix_hash(self.re)
            elif token == "s":
                self.rs, message = self._decrypt(message, KEY_BYTES)
            elif token == "e1":
                self.re1, message = self._decrypt(message, KEM_PUBLIC_BYTES)
            elif token == "ekem1":
                ciphertext, message = self._decrypt(message, KEM_CIPHERTEXT_BYTES)
                self.symmetric.mix_key(_known(self.e1).decapsulate(ciphertext))
            else:
                self.symmetric.mix_key(self._dh(token))
        return self.symmetric.decrypt_and_hash(message)

    def _decrypt(self, message: bytes, length: int) -> tuple[bytes, bytes]:
        """The first field of a message, `length` bytes and a tag if there is a key, and the rest."""
        keyed = self.symmetric.cipher_state.k is not None
        encrypted, rest = _take(message, length + (TAG_BYTES if keyed else 0))
        return self.symmetric.decrypt_and_hash(encrypted), rest

    def _tokens(self, *, writing: bool) -> tuple[str, ...]:
        ours = (self._turn % 2 == 0) == self.initiator
        if self.finished or ours != writing:
            raise RuntimeError("not this side's turn")
        return self._messages[self._turn]

    def _dh(self, token: str) -> bytes:
        """The first letter of a token names the initiator's key, the second the responder's."""
        ours, theirs = (token[0], token[1]) if self.initiator else (token[1], token[0])
        pair = _known(self.e) if ours == "e" else self.s
        return dh(pair, _known(self.re if theirs == "e" else self.rs))


def _known(value: _T | None) -> _T:
    if value is None:
        raise RuntimeError("the pattern needs a key that was not given")
    return value


def _take(message: bytes, length: int) -> tuple[bytes, bytes]:
    if len(message) < length:
        raise NoiseError("too short")
    return message[:length], message[length:]
