"""The safety number: 60 digits by which two people see, outside of any call, that each has the other's true key.

It is two halves of 30 digits, one for each static key and for nothing else, the smaller one first, so that both
sides have the same number whoever dials. It stays the same for as long as both keys do. A half is

    PBKDF2-HMAC-SHA512 (RFC 8018) of the public key, salt SAFETY_LABEL, SAFETY_ROUNDS rounds, 30 bytes

read as six integers of five bytes, big-endian, each of which gives its remainder by 100,000 in five digits. The
idea of hashing a key many times so that few digits suffice is that of Signal's numeric fingerprint.

The arithmetic. Five bytes are eleven million times more than 10^5, so the remainders are even to 1 in 10^7: a half
has 30 * log2(10) = 99.7 bits, the whole number 199.3. Who stands between two people with a key of his own on either
side shows one of them (A, his) and the other (his, B): for these to be equal he needs a key whose half is A's and
another one whose half is B's, two second preimages. Each takes 2^99.7 keys on average, each key 2 * 4096 = 2^13
compressions of SHA-512: 2^112.7 for one, at most 2^113.7 for both. Trying against N people at once makes one of N pairs
cheaper by N, so a thousand million targets still leave 2^82.8. For comparison: the fingerprint of one key (160
bits, hashed once) takes 2^160, the four words of a call one call in 2^32.

The URIs are what a QR code holds. A code is shorter in capitals, so readers compare without regard to case.
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
    """One key's half: six groups of five digits. It takes milliseconds, in which other threads run."""
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
    """What the QR code of a number holds: `p2pcall:safety/1/` and the 60 digits."""
    return f"p2pcall:safety/{URI_VERSION}/{''.join(number)}"


def identity_uri(public: bytes) -> str:
    """What the QR code of one's own key holds: `p2pcall:id/1/` and the key in base32 (RFC 4648), no padding."""
    if len(public) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return f"p2pcall:id/{URI_VERSION}/{base64.b32encode(public).decode().rstrip('=').lower()}"


def identity_key(uri: str) -> bytes:
    """The key in such a URI, in whatever case it is written. ValueError, with the reason in plain words.

    A key of low order is refused: everybody knows what it agrees on with any other.
    """
    text = uri.strip().lower()
    prefix = f"p2pcall:id/{URI_VERSION}/"
    if text.startswith("p2pcall:safety/"):
        raise ValueError("that is a safety number, not a key")
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
