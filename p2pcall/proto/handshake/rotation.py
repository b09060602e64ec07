"""The statement of a new key, inside a line that our former key has opened: `new key | MAC`.

The MAC is HMAC-SHA256 under a key that comes from the Diffie-Hellman of the other side's static key with our former
key, and with our new one. So it can be made by whoever has both of ours, or by the other side itself: it convinces the
other side, and nobody else (deniable; nothing is signed). It is bound to both our keys, to
theirs, and to the hash of this line's handshake, so it holds in no other call, and for no key that its sender does not
have. The line itself has proven the former key, in its own way, before any statement can come.
"""

import hmac
from hashlib import sha256

from p2pcall.proto.constants import KEY_BYTES, ROTATION_LABEL
from p2pcall.proto.handshake.noise import KeyPair, NoiseError, dh


def rotation_statement(former: KeyPair, new: KeyPair, theirs: bytes, handshake_hash: bytes) -> bytes:
    """The statement for the owner of the key `theirs`, in the line of this handshake."""
    secret = _secret(dh(former, theirs), dh(new, theirs))
    return new.public + _mac(secret, former.public, new.public, theirs, handshake_hash)


def stated_key(statement: bytes, former: bytes, own: KeyPair, handshake_hash: bytes) -> bytes | None:
    """The new key of the other side, which has opened this line with `former`; None if the statement is none."""
    new, mac = statement[:KEY_BYTES], statement[KEY_BYTES:]
    if len(new) != KEY_BYTES:
        return None
    try:
        secret = _secret(dh(own, former), dh(own, new))
    except NoiseError:
        return None
    right = hmac.compare_digest(mac, _mac(secret, former, new, own.public, handshake_hash))
    return new if right else None


def _secret(with_former: bytes, with_new: bytes) -> bytes:
    return sha256(ROTATION_LABEL + with_former + with_new).digest()


def _mac(secret: bytes, former: bytes, new: bytes, theirs: bytes, handshake_hash: bytes) -> bytes:
    return hmac.digest(secret, former + new + theirs + handshake_hash, "sha256")
