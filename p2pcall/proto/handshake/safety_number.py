"""The safety number: 60 digits. Two people compare them outside a call to check that each has the other's true key.

It is two halves of 30 digits. Each half depends on one static key alone, and the smaller one comes first, so both
sides have the same number whoever dials. It stays the same as long as both keys do. A half is

    PBKDF2-HMAC-SHA512 (RFC 8018) of the public key, salt SAFETY_LABEL, SAFETY_ROUNDS rounds, 30 bytes

read as six integers of five bytes, big-endian; each gives five digits, its remainder modulo 100,000. The idea to
hash a key many times so that few digits are enough is from Signal's numeric fingerprint.

Strength: five bytes have eleven million times more values than 10^5, so the remainders are uniform to 1 in 10^7. A
half has 30 * log2(10) = 99.7 bits, the whole number 199.3. A man in the middle uses one key of his own towards each
side: one person sees the number of (A, his), the other that of (his, B). To make them equal he needs one key whose
half is A's and another whose half is B's: two second preimages. Each takes 2^99.7 keys on average, and each key costs
2 * 4096 = 2^13 compressions of SHA-512: 2^112.7 for one, at most 2^113.7 for both. An attack on N people at once finds
one of them N times as fast, so 10^9 targets still leave 2^82.8. For comparison: the fingerprint of one key (160 bits,
hashed once) takes 2^160; the four words of a call fail once in 2^32 calls.

A QR code holds one of the URIs. A code is shorter in capitals, so readers ignore case.
"""

import base64
import hashlib

from p2pcall.proto.constants import (
    KEY_BYTES,
    SAFETY_GROUP_BYTES,
    SAFETY_GROUP_DIGITS,
    SAFETY_HALF_GROUPS,
    SAFETY_LABEL,
    SAFETY_ROUNDS,
    URI_VERSION,
)
from p2pcall.proto.handshake.noise import KeyPair, NoiseError, dh


def safety_half(public: bytes) -> tuple[str, ...]:
    """One key's half: six groups of five digits. It takes milliseconds; other threads run meanwhile."""
    if len(public) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    size = SAFETY_HALF_GROUPS * SAFETY_GROUP_BYTES
    drawn = hashlib.pbkdf2_hmac("sha512", public, SAFETY_LABEL, SAFETY_ROUNDS, size)
    values = [drawn[at : at + SAFETY_GROUP_BYTES] for at in range(0, size, SAFETY_GROUP_BYTES)]
    digits = [str(int.from_bytes(value, "big")).zfill(SAFETY_GROUP_DIGITS) for value in values]
    return tuple(text[-SAFETY_GROUP_DIGITS:] for text in digits)


def safety_number(one: bytes, other: bytes) -> tuple[str, ...]:
    """The number of two static public keys, in any order: twelve groups of five digits."""
    return sum(sorted((safety_half(one), safety_half(other))), ())


def safety_uri(number: tuple[str, ...]) -> str:
    """The content of a number's QR code: `p2pcall:safety/1/` and the 60 digits."""
    return f"p2pcall:safety/{URI_VERSION}/{''.join(number)}"


def identity_uri(public: bytes) -> str:
    """The content of our own key's QR code: `p2pcall:id/1/` and the key in base32 (RFC 4648), no padding."""
    if len(public) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return f"p2pcall:id/{URI_VERSION}/{base64.b32encode(public).decode().rstrip('=').lower()}"


def identity_key(uri: str) -> bytes:
    """The key in an identity URI, in any case. ValueError, with the reason in plain words.

    A key of low order is refused: everybody knows the secret that it gives with any other key.
    """
    text = uri.strip().lower()
    prefix = f"p2pcall:id/{URI_VERSION}/"
    if text.startswith("p2pcall:safety/"):
        raise ValueError("that is a safety number, not a key")
    if text.startswith("p2pcall:invite/"):
        raise ValueError("that is an invite: `p2pcall join` takes it")
    if text.startswith("p2pcall:id/") and not text.startswith(prefix):
        raise ValueError("it is of another version of the program")
    if not text.startswith(prefix):
        raise ValueError(f"it does not begin with {prefix}")
    digits = text.removeprefix(prefix)
    try:
        public = base64.b32decode(digits.upper() + "=" * (-len(digits) % 8))
        whole = identity_uri(public) == text
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("the key in it is not whole")
    try:
        dh(KeyPair.from_private(bytes(KEY_BYTES)), public)
    except NoiseError as error:
        raise ValueError("the key in it is none that is safe to use") from error
    return public
