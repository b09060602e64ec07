"""The file `identity.key`: one private key, plain or sealed, and perhaps the sealed one before it.

Lines that begin with `#` are comments. One line has the key, in one of three forms:

    p2pcall-key-1:KEY               plain: the private key in base64 (RFC 4648)
    p2pcall-sealed-1:SEALED         under a passphrase (`seal`)
    p2pcall-keyring-1:ENTRY:BOX     under a key that the platform's keyring holds (`system_keyring`)

and two more lines may follow, sealed under the key of the first: `p2pcall-former-1:BOX`, what `rotation` keeps, and
`p2pcall-vault-1:BOX`, the vault's key before (`vault_key`). They are in the same file, so that all change at once or
not at all.

Rules: the file is 0600, and refused when others can read it. A replaced file is overwritten before its place on the
disk is given back, as far as the file system does this (a journal, a snapshot, or flash memory may keep a copy).
"""

import base64
import contextlib
import os
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import KEY_BYTES
from p2pcall.store.home import Home, damaged, read, write_atomic
from p2pcall.store.seal import SEALING_KEY_BYTES, Cost, boxed, from_base64, seal, unboxed, unseal
from p2pcall.store.system_keyring import forget_sealing_key, keep_sealing_key, sealing_key
from p2pcall.types import Entropy

PREFIX: Final = "p2pcall-key-1:"
FORMER_PREFIX: Final = "p2pcall-former-1:"
VAULT_PREFIX: Final = "p2pcall-vault-1:"
ENTRY_BYTES: Final = 8
"""Random bytes of an entry's name in the keyring: two identities of one user never share one."""


class Keeping(StrEnum):
    """How the private key is kept."""

    PLAIN = "plain"
    PASSPHRASE = "passphrase"
    KEYRING = "keyring"


_PREFIXES: Final = {
    Keeping.PLAIN: PREFIX,
    Keeping.PASSPHRASE: "p2pcall-sealed-1:",
    Keeping.KEYRING: "p2pcall-keyring-1:",
}
_COMMENTS: Final = {
    Keeping.PLAIN: "# the private key of p2pcall: whoever has it can answer in your name",
    Keeping.PASSPHRASE: "# the private key of p2pcall, sealed under your passphrase",
    Keeping.KEYRING: "# the private key of p2pcall, sealed; this machine's keyring opens it",
}


class IdentityFile(Struct, frozen=True):
    """The content of the file: `text`, `former` and `vault` are its lines without their prefixes ("": none)."""

    keeping: Keeping
    text: str
    former: str = ""
    vault: str = ""

    def __repr__(self) -> str:
        return f"IdentityFile(keeping={self.keeping!r}, former={bool(self.former)}, vault={bool(self.vault)})"


def plain(private: bytes, former: str = "") -> IdentityFile:
    """The key as it is."""
    return IdentityFile(Keeping.PLAIN, base64.b64encode(private).decode(), former)


def under_passphrase(
    private: bytes, passphrase: bytes, entropy: Entropy, cost: Cost, former: str = ""
) -> IdentityFile:
    """The key sealed under a passphrase; takes half a second."""
    return IdentityFile(Keeping.PASSPHRASE, seal(private, passphrase, entropy, cost), former)


def in_keyring(private: bytes, entropy: Entropy, former: str = "") -> IdentityFile:
    """The key sealed under a new entry of the keyring. P2PCallError (config) if there is no keyring."""
    entry, key = entropy(ENTRY_BYTES).hex(), entropy(SEALING_KEY_BYTES)
    keep_sealing_key(entry, key)
    box = base64.b64encode(boxed(private, key, entropy)).decode()
    return IdentityFile(Keeping.KEYRING, f"{entry}:{box}", former)


def read_identity(home: Home) -> IdentityFile | None:
    """The file, None if there is none. P2PCallError (config) if it is damaged, or not safe."""
    data = read(home.identity_path, private=True)
    return None if data is None else parse_identity(data, home.identity_path)


def parse_identity(data: bytes, path: Path) -> IdentityFile:
    """The content of a file. P2PCallError (config) if it is damaged."""
    try:
        lines = [line.strip() for line in data.decode().splitlines()]
    except UnicodeDecodeError as error:
        raise damaged(path, "it is not text") from error
    lines = [line for line in lines if line and not line.startswith("#")]
    former, vault = (
        [line for line in lines if line.startswith(one)] for one in (FORMER_PREFIX, VAULT_PREFIX)
    )
    others = len(former) + len(vault)
    for keeping, prefix in _PREFIXES.items():
        keys = [line for line in lines if line.startswith(prefix)]
        if len(keys) == 1 and len(former) <= 1 and len(vault) <= 1 and len(lines) == 1 + others:
            return IdentityFile(
                keeping,
                keys[0].removeprefix(prefix),
                "".join(former).removeprefix(FORMER_PREFIX),
                "".join(vault).removeprefix(VAULT_PREFIX),
            )
    raise damaged(path, f"it should hold one line that begins with {', '.join(_PREFIXES.values())}")


def format_identity(file: IdentityFile) -> bytes:
    """The file's bytes."""
    lines = [_COMMENTS[file.keeping], _PREFIXES[file.keeping] + file.text]
    lines += [FORMER_PREFIX + file.former] if file.former else []
    lines += [VAULT_PREFIX + file.vault] if file.vault else []
    return ("\n".join(lines) + "\n").encode()


def opened(file: IdentityFile, home: Home, passphrase: bytes | None = None) -> bytes:
    """The private key; `Home.opener` remembers it, and asks for the passphrase if that is not given.

    P2PCallError (config): `wrong-passphrase`, `locked-identity`, or what the keyring or the file lacks.
    """
    path, opener = home.identity_path, home.opener
    match file.keeping:
        case Keeping.PLAIN:
            private = from_base64(file.text, path)
        case Keeping.KEYRING:
            private = _from_keyring(file.text, path)
        case Keeping.PASSPHRASE if passphrase is not None:
            private = unseal(file.text, passphrase, path)
        case Keeping.PASSPHRASE if opener is None:
            text = f"{path} is sealed, and nobody can be asked for its passphrase"
            raise P2PCallError("locked-identity", text, ExitCode.CONFIG, "give --passphrase-file FILE")
        case Keeping.PASSPHRASE:
            private = opener.with_passphrase(path, lambda given: unseal(file.text, given, path))
    if len(private) != KEY_BYTES or not any(private):
        raise damaged(path, f"the key does not have {KEY_BYTES} bytes")
    if opener is not None:
        opener.now(private, file.text)
    return private


def is_replaced(home: Home) -> bool:
    """Whether another process has written the file anew since this one has opened it."""
    opener = home.opener
    if opener is None or opener.opened is None:
        return False
    file = read_identity(home)
    return file is None or file.text != opener.text


def replaced_meanwhile() -> P2PCallError:
    """The error if another process has changed the key while this one had the one before."""
    text = "another process has changed the key at the same time; nothing was changed"
    return P2PCallError("store-locked", text, ExitCode.CONFIG, "p2pcall id")


def replace_identity(home: Home, file: IdentityFile) -> None:
    """Write the file, completely or not at all, and overwrite the one before. The caller holds the home's lock."""
    path = home.identity_path
    before = _fd_of(path)
    try:
        was = read_identity(home) if before is not None else None
    except P2PCallError:
        was = None  # its owner has said that it goes
    try:
        write_atomic(path, format_identity(file))
        if before is not None:
            with contextlib.suppress(OSError):  # the new one is in place: nothing more can be done
                info = os.fstat(before)
                if not info.st_nlink:  # else somebody keeps it under another name
                    os.pwrite(before, bytes(info.st_size), 0)
                    os.fsync(before)
    finally:
        if before is not None:
            os.close(before)
    entry = None if was is None else keyring_entry(was)
    if entry is not None and entry != keyring_entry(file):
        forget_sealing_key(entry)


def keyring_entry(file: IdentityFile) -> str | None:
    """The name of its entry in the keyring; None if it needs none."""
    return file.text.partition(":")[0] if file.keeping is Keeping.KEYRING else None


def _fd_of(path: Path) -> int | None:
    """The file that is there now, to be overwritten; None if there is none, or it is no file of ours."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None


def _from_keyring(text: str, path: Path) -> bytes:
    entry, _, box = text.partition(":")
    if len(entry) != 2 * ENTRY_BYTES or not set(entry) <= set("0123456789abcdef"):
        raise damaged(path, "it names no entry of a keyring")
    private = unboxed(from_base64(box, path), sealing_key(entry))
    if private is None:
        raise damaged(path, "the key in the keyring does not open it")
    return private
