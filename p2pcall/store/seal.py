"""A secret sealed under a passphrase: Argon2id (RFC 9106) makes the key, XSalsa20-Poly1305 (NaCl's secretbox) seals.

The sealed text is one line of its own parameters, `argon2id:PASSES:KIB:SALT:BOX`, the last two in base64; the box
begins with its nonce. Parameters are read from files that somebody else may have written, so both are bounded before
anything is computed. Changed parameters give another key, so the box needs no associated data. A wrong passphrase and
a damaged box are the same error: which of the two it is cannot be known.

How far secrets leave the memory: the key and the passphrase are `bytes`, which CPython cannot overwrite, and the
binding takes nothing else; their references are dropped as early as possible. libsodium wipes Argon2's own memory.
"""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct
from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumError

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.home import MAX_FILE_BYTES, damaged, file_error
from p2pcall.types import Entropy

ARGON2: Final = "argon2id"
MEMORY_KIB: Final = 128 << 10
"""Memory of one guess: twice RFC 9106's second recommendation, and free on the smallest machines that show video."""
TARGET_S: Final = 0.5
"""How long one guess shall take here: people wait that long once a run, and do not mind."""
MIN_PASSES: Final = 3
"""RFC 9106, section 4: at least so many passes where memory is below 2 GiB."""
MAX_TUNED_PASSES: Final = 32
"""Most passes that a quick machine is given, so that a slower one opens the file, too."""
MIN_MEMORY_KIB: Final = 8
"""libsodium's least."""
MAX_PASSES: Final = 64
MAX_MEMORY_KIB: Final = 512 << 10
"""Bounds of what a file may ask for: half a gibibyte, and some ten seconds."""
SALT_BYTES: Final = bindings.crypto_pwhash_SALTBYTES
SEALING_KEY_BYTES: Final = bindings.crypto_secretbox_KEYBYTES
BOX_NONCE_BYTES: Final = bindings.crypto_secretbox_NONCEBYTES
MAX_PASSPHRASE_BYTES: Final = 1024
"""Longer ones are refused: they are files that were given by mistake."""
SEALED_PARTS: Final = 5


class Cost(Struct, frozen=True):
    """What one guess of a passphrase costs."""

    passes: int = MIN_PASSES
    memory_kib: int = MEMORY_KIB


def tuned(clock: Callable[[], float]) -> Cost:
    """The cost that takes some TARGET_S on this machine: one pass is tried. `clock` gives seconds."""
    began = clock()
    _derive(b"a trial", bytes(SALT_BYTES), Cost(1))
    took = max(clock() - began, TARGET_S / MAX_TUNED_PASSES)
    return Cost(min(max(round(TARGET_S / took), MIN_PASSES), MAX_TUNED_PASSES))


def seal(secret: bytes, passphrase: bytes, entropy: Entropy, cost: Cost) -> str:
    """The sealed text of `secret`."""
    salt = entropy(SALT_BYTES)
    box = boxed(secret, _derive(passphrase, salt, cost), entropy)
    return f"{ARGON2}:{cost.passes}:{cost.memory_kib}:{_b64(salt)}:{_b64(box)}"


def unseal(text: str, passphrase: bytes, path: Path) -> bytes:
    """The secret. P2PCallError (config): `wrong-passphrase`, or a text that is none, whose `path` is told."""
    cost, salt, box = _parse(text, path)
    secret = unboxed(box, _derive(passphrase, salt, cost))
    if secret is None:
        text = f"that is not the passphrase of {path}; nothing was changed"
        hint = "try again; if it is the right one, the file is damaged: p2pcall id restore FILE"
        raise P2PCallError("wrong-passphrase", text, ExitCode.CONFIG, hint)
    return secret


def read_sealed(path: Path, prefix: str) -> str:
    """The sealed text in a file that holds nothing else but comments. P2PCallError (config) if there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise file_error(error, path, "read") from error
    if len(data) > MAX_FILE_BYTES:
        raise _another(path, "it is larger than such a file ever is")
    lines = [line.strip() for line in data.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) != 1 or not lines[0].startswith(prefix):
        raise _another(path, f"it should hold one line that begins with {prefix}")
    return lines[0].removeprefix(prefix)


def _another(path: Path, why: str) -> P2PCallError:
    """The error for a file that the user has named: it may be any other one of theirs, so nothing is to be moved."""
    text = f"{path} is no file of that kind, or is damaged: {why}; nothing was changed"
    return P2PCallError("damaged-file", text, ExitCode.CONFIG, "give another file")


def boxed(secret: bytes, key: bytes, entropy: Entropy) -> bytes:
    """The secret sealed under a key: nonce and box."""
    nonce = entropy(BOX_NONCE_BYTES)
    return nonce + bindings.crypto_secretbox(secret, nonce, key)


def unboxed(box: bytes, key: bytes) -> bytes | None:
    """What `boxed` has sealed; None if it was another key, or the box is damaged."""
    nonce, sealed = box[:BOX_NONCE_BYTES], box[BOX_NONCE_BYTES:]
    if len(nonce) < BOX_NONCE_BYTES:
        return None
    try:
        return bindings.crypto_secretbox_open(sealed, nonce, key)
    except (CryptoError, ValueError):  # ValueError: shorter than its authenticator
        return None


def from_base64(text: str, path: Path) -> bytes:
    """Base64 in a file. P2PCallError (config) if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise damaged(path, "a part of it is not base64") from error


def _parse(text: str, path: Path) -> tuple[Cost, bytes, bytes]:
    parts = text.split(":")
    if len(parts) != SEALED_PARTS or parts[0] != ARGON2:
        raise damaged(path, f"it should say {ARGON2}, passes, memory, salt and box")
    cost = Cost(
        _number(parts[1], 1, MAX_PASSES, path), _number(parts[2], MIN_MEMORY_KIB, MAX_MEMORY_KIB, path)
    )
    salt, box = from_base64(parts[3], path), from_base64(parts[4], path)
    if len(salt) != SALT_BYTES:
        raise damaged(path, f"the salt does not have {SALT_BYTES} bytes")
    return cost, salt, box


def _number(text: str, least: int, most: int, path: Path) -> int:
    """A parameter from `least` to `most`."""
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not (digits and least <= int(text) <= most):
        raise damaged(path, "it asks for more time or memory than is ever needed, or for none")
    return int(text)


def _derive(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
    try:
        return bindings.crypto_pwhash_alg(
            SEALING_KEY_BYTES,
            passphrase,
            salt,
            cost.passes,
            cost.memory_kib * 1024,
            bindings.crypto_pwhash_ALG_ARGON2ID13,
        )
    except (SodiumError, ValueError) as error:
        text = f"a passphrase needs {cost.memory_kib // 1024} MiB of memory, and there are not so many"
        raise P2PCallError("no-memory", text, ExitCode.CONFIG, "free -m") from error


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
