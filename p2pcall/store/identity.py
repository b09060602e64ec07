"""The user's identity: one long-term X25519 key, made on first use.

Rules: the file is never overwritten or repaired; a damaged one is an error and is not changed. Two processes that
start at once get the same key. The file is 0600, and refused when others can read it. Format: lines that begin with
`#` are comments; one line has `p2pcall-key-1:` and the private key in base64 (RFC 4648).
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct
from nacl.bindings import crypto_scalarmult_base

from p2pcall.proto.constants import KEY_BYTES
from p2pcall.store.home import Home, damaged, read, write_atomic

PREFIX: Final = "p2pcall-key-1:"
FINGERPRINT_LABEL: Final = b"p2pcall fingerprint 1"
FINGERPRINT_BYTES: Final = 20
"""160 bits: nobody finds a second key with the same fingerprint."""
FINGERPRINT_CHARS: Final = FINGERPRINT_BYTES * 8 // 5
"""Letters and digits of base32 carry five bits each."""
BASE32: Final = frozenset("abcdefghijklmnopqrstuvwxyz234567")
GROUP_CHARS: Final = 4


class Identity(Struct, frozen=True):
    """The key pair; the private key is not shown by `repr`."""

    private: bytes
    public: bytes
    fingerprint: str

    def derived_key(self, purpose: bytes) -> bytes:
        """A key of its own for each purpose (BLAKE2b, keyed with the private key): it tells nothing about any other."""
        return hashlib.blake2b(purpose, digest_size=KEY_BYTES, key=self.private).digest()

    def __repr__(self) -> str:
        return f"Identity(public={self.public!r}, fingerprint={self.fingerprint!r})"


def fingerprint(public: bytes) -> str:
    """For people to compare: 32 letters and digits (base32, lower case) in eight groups of four."""
    digest = hashlib.sha256(FINGERPRINT_LABEL + public).digest()[:FINGERPRINT_BYTES]
    return _grouped(base64.b32encode(digest).decode().lower())


def read_fingerprint(text: str) -> str | None:
    """A typed fingerprint, in any case and grouping, in the form of `fingerprint`; None if it is not complete."""
    bare = "".join(text.replace("-", " ").split()).lower()
    if len(bare) != FINGERPRINT_CHARS or not set(bare) <= BASE32:
        return None
    return _grouped(bare)


def _grouped(text: str) -> str:
    return "-".join(text[i : i + GROUP_CHARS] for i in range(0, len(text), GROUP_CHARS))


def load_or_create(home: Home, entropy: Callable[[int], bytes]) -> Identity:
    """The identity in `home`, made now if there is none. Raises `P2PCallError` (config)."""
    path = home.identity_path
    data = read(path, private=True)
    if data is None:
        with home.lock():
            data = read(path, private=True)
            if data is None:
                data = _format(entropy(KEY_BYTES))
                write_atomic(path, data)
    private = _parse(data, path)
    public = crypto_scalarmult_base(private)
    return Identity(private, public, fingerprint(public))


def _format(private: bytes) -> bytes:
    lines = [
        "# the private key of p2pcall: whoever has it can answer in your name",
        PREFIX + base64.b64encode(private).decode(),
    ]
    return ("\n".join(lines) + "\n").encode()


def _parse(data: bytes, path: Path) -> bytes:
    try:
        lines = [line.strip() for line in data.decode().splitlines()]
    except UnicodeDecodeError as error:
        raise damaged(path, "it is not text") from error
    keys = [line for line in lines if line and not line.startswith("#")]
    if len(keys) != 1 or not keys[0].startswith(PREFIX):
        raise damaged(path, f"it should hold one line that begins with {PREFIX}")
    try:
        private = base64.b64decode(keys[0].removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise damaged(path, "the key is not base64") from error
    if len(private) != KEY_BYTES or not any(private):
        raise damaged(path, f"the key does not have {KEY_BYTES} bytes")
    return private
