"""Pseudonyms: the same for the same thing within one document, and without a meaning outside of it.

They are made by a keyed hash (BLAKE2b) under a random key that is in memory only, so nobody can try names or addresses
until one fits, and two documents have none in common.
"""

import hashlib
from typing import Final

from p2pcall.types import Entropy

PSEUDONYM_KEY_BYTES: Final = 32
PSEUDONYM_BYTES: Final = 5
"""Of the hash: 4,000 contacts share one with a chance of 1 in 100,000."""


class Pseudonyms:
    """Those of one document."""

    def __init__(self, entropy: Entropy) -> None:
        self._key = entropy(PSEUDONYM_KEY_BYTES)

    def of(self, kind: str, what: str) -> str:
        """The pseudonym of a name, a key or an address; `kind` is shown."""
        hashed = hashlib.blake2b(f"{kind}:{what}".encode(), key=self._key, digest_size=PSEUDONYM_BYTES)
        return f"{kind}-{hashed.hexdigest()}"
