"""The platform's keyring (`keyring`, an optional extra): it can hold the key that an identity is sealed under.

Imported only when it is used. A headless machine has none: then an error says so and offers the passphrase. Each
identity has an entry of its own. What unlocks the keyring, and who can ask it, is the platform's matter: usually every
program of the user while they are logged in.
"""

import base64
import binascii
from contextlib import suppress
from typing import Any, Final

from p2pcall import names
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.seal import SEALING_KEY_BYTES

SERVICE: Final = "p2pcall"
"""The keyring shows the entries under this name."""
MOST_TOLD: Final = 120
"""Characters of the keyring's own words that an error shows."""


def keep_sealing_key(entry: str, key: bytes) -> None:
    """Put the key into the keyring. P2PCallError (config) if there is none, or if it does not give it back."""
    ring = _ring()
    try:
        ring.set_password(SERVICE, entry, base64.b64encode(key).decode())
        kept = ring.get_password(SERVICE, entry)
    except Exception as error:  # backends raise errors of their platform's libraries
        raise no_keyring(error) from error
    if kept != base64.b64encode(key).decode():
        raise no_keyring(RuntimeError("it does not give back what it is given"))


def sealing_key(entry: str) -> bytes:
    """The key of that entry. P2PCallError (config) if there is none."""
    ring = _ring()
    try:
        kept = ring.get_password(SERVICE, entry)
    except Exception as error:
        raise no_keyring(error) from error
    try:
        key = base64.b64decode(kept or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != SEALING_KEY_BYTES:
        text = "the keyring of this machine does not hold the key of this identity"
        hint = "where it was sealed: p2pcall id backup FILE; then here: p2pcall id restore FILE"
        raise P2PCallError("not-in-keyring", text, ExitCode.CONFIG, hint)
    return key


def forget_sealing_key(entry: str) -> bool:
    """Remove the entry. False if that cannot be done; what it sealed goes, too, so a failure does little harm."""
    with suppress(Exception):
        ring = _ring()
        if ring.get_password(SERVICE, entry) is not None:
            ring.delete_password(SERVICE, entry)
        return True
    return False


def no_keyring(error: Exception) -> P2PCallError:
    """The error of a machine without a keyring."""
    why = names.visible(str(error).partition("\n")[0])[:MOST_TOLD].strip() or type(error).__name__
    text = f"the keyring of this machine cannot be used: {why}"
    return P2PCallError("no-keyring", text, ExitCode.CONFIG, "a passphrase instead: p2pcall id passphrase")


def _ring() -> Any:
    try:
        import keyring
    except ImportError as error:
        text = "the keyring needs a library that is not installed here"
        hint = "pip install 'p2pcall[keyring]', or a passphrase instead: p2pcall id passphrase"
        raise P2PCallError("no-keyring", text, ExitCode.CONFIG, hint) from error
    return keyring
