"""The user's identity: one long-term X25519 key, made on first use.

Rules: a damaged file is an error and is not changed. Two processes that start at once get the same key. None is made
beside a vault that is there: that has lost its own. A new key is kept plain until its owner says otherwise (`keeping`).
Left out: the file's format and its seals (`identity_file`), and a key that was given up (`rotation`).
"""

import base64
import hashlib
from typing import Final

from msgspec import Struct
from nacl.bindings import crypto_scalarmult_base

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import KEY_BYTES
from p2pcall.store.home import Home, aside, check_file
from p2pcall.store.identity_file import (
    Keeping,
    opened,
    plain,
    read_identity,
    replace_identity,
)
from p2pcall.types import Entropy

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

    def __repr__(self) -> str:
        return f"Identity(public={self.public!r}, fingerprint={self.fingerprint!r})"

    @classmethod
    def of(cls, private: bytes) -> "Identity":
        """The identity of a private key."""
        public = crypto_scalarmult_base(private)
        return cls(private, public, fingerprint(public))

    def derived_key(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for `purpose` (BLAKE2b keyed with the private key): it reveals no other one, nor that."""
        return hashlib.blake2b(purpose, key=self.private, digest_size=KEY_BYTES).digest()


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


def load_or_create(home: Home, entropy: Entropy) -> Identity:
    """The identity in `home`, made now if there is none; a sealed one is opened once (`Home.opener`).

    Raises `P2PCallError` (config): also `locked-identity` if nobody can be asked for the passphrase.
    """
    if home.opener is not None and home.opener.opened is not None:
        return Identity.of(home.opener.opened)
    file = read_identity(home)
    if file is None:
        _check_not_lost(home)
        with home.lock():
            file = read_identity(home)
            if file is None:
                _check_not_lost(home)
                file = plain(entropy(KEY_BYTES))
                replace_identity(home, file)
    return Identity.of(opened(file, home))


def _check_not_lost(home: Home) -> None:
    """P2PCallError (config) if there is a vault without its identity: a new key would never open it."""
    vault = home.vault_path
    if check_file(vault) is not None:
        text = f"the private key is gone ({home.identity_path}), and {vault} opens with that alone; nothing was made"
        hint = f"p2pcall id restore FILE, if you have a backup; else begin anew: {aside(vault, 'lost')}"
        raise P2PCallError("lost-identity", text, ExitCode.CONFIG, hint)


def unlock(home: Home) -> None:
    """Ask for the passphrase now if there will be need of it; errors as `load_or_create`. Makes no identity."""
    file = read_identity(home)
    if file is not None and file.keeping is Keeping.PASSPHRASE:
        opened(file, home)


def keeping(home: Home) -> Keeping:
    """How the identity in `home` is kept; it need not be opened for that. Plain if there is none."""
    file = read_identity(home)
    return Keeping.PLAIN if file is None else file.keeping
