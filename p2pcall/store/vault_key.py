"""The key of the vault, and the one before it while the vault still has that.

Rules: the key is made from the identity. When the identity changes, the vault's key before is kept in the identity's
file (`IdentityFile.vault`), sealed under the new identity, and comes there with that in one step; it goes when the
vault has its new key. So a crash at any moment leaves a file that has the key of the vault, whatever becomes of the
identity before. Left out: what the vault does with them (`Vault.rekey`).
"""

import base64
from typing import Final

from msgspec.structs import replace

from p2pcall.store.home import Home
from p2pcall.store.identity import Identity
from p2pcall.store.identity_file import read_identity, replace_identity
from p2pcall.store.seal import boxed, from_base64, unboxed
from p2pcall.types import Entropy

VAULT_PURPOSE: Final = b"p2pcall vault 1"
BEFORE_PURPOSE: Final = b"p2pcall vault before 1"


def vault_key(identity: Identity) -> bytes:
    """The key of the vault of this identity."""
    return identity.derived_key(VAULT_PURPOSE)


def sealed_before(key: bytes, identity: Identity, entropy: Entropy) -> str:
    """The vault's key before, for the file of the identity that follows."""
    return base64.b64encode(boxed(key, identity.derived_key(BEFORE_PURPOSE), entropy)).decode()


def key_before(home: Home, identity: Identity) -> bytes | None:
    """The key that the vault may still have; None: it has the identity's, or the file is another identity's now."""
    file = read_identity(home)
    if file is None or not file.vault:
        return None
    return unboxed(from_base64(file.vault, home.identity_path), identity.derived_key(BEFORE_PURPOSE))


def forget_before(home: Home) -> None:
    """The vault has its new key. The caller has the home's lock."""
    file = read_identity(home)
    if file is not None and file.vault:
        replace_identity(home, replace(file, vault=""))
