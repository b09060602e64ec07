"""ML-KEM-768 (FIPS 203): the half of the handshake that a quantum computer cannot break. Thin over `cryptography`.

The key pair is made from our entropy. The library draws the randomness of an encapsulation from the system; tests
that need the same bytes again pass another `Encapsulate`. Malformed input is a ValueError. A well-formed ciphertext
always gives a secret. If it was changed or made for another key, the secret is one that nobody else has (implicit
rejection), so the AEAD that follows fails.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from p2pcall.proto.constants import KEM_SEED_BYTES

Encapsulate = Callable[[bytes], tuple[bytes, bytes]]
"""`encapsulate(public)` gives a fresh shared secret and the ciphertext that carries it; ValueError for no key."""


class KemPair:
    """A decapsulation key and its public half."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        """The pair of a seed of 64 unpredictable bytes; ValueError for any other length."""
        self._private = MLKEM768PrivateKey.from_seed_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes]) -> "KemPair":
        """A new pair."""
        return cls(entropy(KEM_SEED_BYTES))

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret; ValueError for a ciphertext of wrong length."""
        return self._private.decapsulate(ciphertext)


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """A fresh shared secret and its ciphertext; ValueError for an invalid public key."""
    return MLKEM768PublicKey.from_public_bytes(public).encapsulate()


def warm_up() -> None:
    """Use everything once: the library loads its algorithms at their first use, which takes some 20 ms."""
    pair = KemPair(bytes(KEM_SEED_BYTES))
    pair.decapsulate(encapsulate(pair.public)[1])
