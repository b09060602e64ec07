"""One side of the key exchange: SPAKE2 over the code, the keys that follow, and the sealed introductions.

SPAKE2 (the library's variant of RFC 9382; side A is the inviter) gives both sides the same key if they have the same
code, and one guess at the code to somebody who takes part. Watching gives none. The keys of a run are

    HKDF-SHA256(SPAKE2's key, salt transcript, info PAIRING_KEYS_LABEL)
    transcript = SHA256(label | number | token | joiner's element | inviter's element | joiner's e | inviter's e)

cut into five: MAC and seal of the joiner, MAC and seal of the inviter, MAC of the end. What shows that a side knows the
code is HMAC-SHA256 over the transcript and the sealed introduction. An AEAD's tag alone would not do: one text can be
made to open under many keys, and so try many codes at once. An introduction holds a proof that its sender has the
private key, by X25519 with the other side's ephemeral key: whoever knows the code cannot give another person's key. It
is a MAC, not a signature, so it proves nothing to others.

Left out: wiping (as in `proto.handshake.noise`), and steps in constant time: the library computes with Python's
integers, whose time can be measured once for each code.
"""

import hmac
from hashlib import sha256
from struct import Struct as Layout
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct
from nacl.exceptions import CryptoError
from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from p2pcall.pairing import constants as c
from p2pcall.pairing.code import Code
from p2pcall.pairing.datagrams import Offer, Proof, Query, Result
from p2pcall.proto.constants import HASH_BYTES, KEY_BYTES, NAME_BYTES
from p2pcall.proto.handshake.noise import CHACHAPOLY, KeyPair, NoiseError, dh
from p2pcall.types import Entropy

_INTRODUCTION: Final = Layout(f">{KEY_BYTES}s{HASH_BYTES}sB{NAME_BYTES}s")


class Introduction(Struct, frozen=True):
    """What a side says about itself: its static public key, proven, and the name that it claims (not filtered)."""

    public: bytes
    name: str


class PairingKeys(Struct, frozen=True):
    """The keys of one run, and the transcript that they are bound to."""

    transcript: bytes
    joiner_mac: bytes
    joiner_seal: bytes
    inviter_mac: bytes
    inviter_seal: bytes
    done_mac: bytes

    def __repr__(self) -> str:
        return "PairingKeys()"

    def mac(self, key: bytes, sealed: bytes = b"") -> bytes:
        """Shows that its maker knows the code."""
        return hmac.digest(key, self.transcript + sealed, "sha256")


class KeyExchange:
    """One side of one run; `agree` can be called once."""

    def __init__(self, code: Code, identity: KeyPair, name: str, entropy: Entropy, *, inviter: bool) -> None:
        """`name`: at most NAME_BYTES of UTF-8."""
        side = SPAKE2_A if inviter else SPAKE2_B
        self._spake = side(code.text.encode(), idA=c.INVITER_ID, idB=c.JOINER_ID, entropy_f=entropy)
        self._identity, self._name, self._inviter = identity, name.encode(), inviter
        self._ephemeral = KeyPair.generate(entropy)
        self.element: bytes = self._spake.start()
        self.ephemeral = self._ephemeral.public

    def agree(self, query: Query | Proof, offer: Offer) -> PairingKeys | None:
        """The keys of the run with these parts, of which one is ours; None if the other one is none."""
        try:
            key = self._spake.finish(query.element if self._inviter else offer.element)
        except (SPAKEError, NotOnCurve, ValueError):
            return None
        parts = query.token, query.element, offer.element, query.ephemeral, offer.ephemeral
        number = query.number.to_bytes(2, "big")
        transcript = sha256(b"".join((c.TRANSCRIPT_LABEL, number, *parts))).digest()
        count = len(PairingKeys.__struct_fields__) - 1
        drawn = HKDF(SHA256(), count * KEY_BYTES, transcript, c.PAIRING_KEYS_LABEL).derive(key)
        return PairingKeys(
            transcript, *(drawn[at : at + KEY_BYTES] for at in range(0, len(drawn), KEY_BYTES))
        )

    def introduce(self, keys: PairingKeys, their_ephemeral: bytes) -> tuple[bytes, bytes] | None:
        """MAC and sealed introduction of this side; None if the other side's ephemeral key is none."""
        possession = self._possession(keys, self._identity, their_ephemeral, inviter=self._inviter)
        if possession is None:
            return None
        said = _INTRODUCTION.pack(self._identity.public, possession, len(self._name), self._name)
        seal, mac = (
            (keys.inviter_seal, keys.inviter_mac) if self._inviter else (keys.joiner_seal, keys.joiner_mac)
        )
        padded = said.ljust(c.INTRODUCTION_BYTES, b"\0")
        sealed = CHACHAPOLY.encrypt(padded, keys.transcript, CHACHAPOLY.nonce(0), seal)
        return keys.mac(mac, sealed), sealed

    def knows_code(self, keys: PairingKeys, told: Proof | Result) -> bool:
        """Whether the other side has the same code."""
        key = keys.joiner_mac if self._inviter else keys.inviter_mac
        return hmac.compare_digest(keys.mac(key, told.sealed), told.mac)

    def introduced(self, keys: PairingKeys, sealed: bytes) -> Introduction | None:
        """The other side's introduction, once it `knows_code`; None if it is none, or gives another person's key."""
        try:
            seal = keys.joiner_seal if self._inviter else keys.inviter_seal
            opened = CHACHAPOLY.decrypt(sealed, keys.transcript, CHACHAPOLY.nonce(0), seal)
            public, shown, length, padded = _INTRODUCTION.unpack_from(opened)
            name = padded[:length].decode()
        except (CryptoError, UnicodeDecodeError):
            return None
        proof = self._possession(keys, self._ephemeral, public, inviter=not self._inviter)
        if proof is None or not hmac.compare_digest(proof, shown):
            return None
        return Introduction(public, name)

    @staticmethod
    def _possession(keys: PairingKeys, pair: KeyPair, public: bytes, *, inviter: bool) -> bytes | None:
        """The proof of a static key; None for a key that gives everybody the secret."""
        label = c.INVITER_POSSESSION_LABEL if inviter else c.JOINER_POSSESSION_LABEL
        try:
            return hmac.digest(dh(pair, public), label + keys.transcript, "sha256")
        except NoiseError:
            return None
