"""A sealed file: chunks that only the owner of a key can read, written as they come.

Rules: each file has a random key of its own, sealed under the owner's key in the head. Each chunk is sealed with its
number and whether it is the last one, so that a chunk that is changed, left out, put elsewhere or taken from another
file does not open. A file without a last chunk breaks off: what a crash has left is read up to the last whole chunk,
and the reader is told. The head says in clear until when the file is to be kept, so that it can be erased without the
key; it is bound to the key. Left out: what is in the chunks (`recordings`), and where the key comes from. Layout, all
big-endian: `magic 8 | until u64 | nonce 24 | sealed key 48`, then for each chunk `length u32 | ciphertext`.
XChaCha20-Poly1305 throughout; the nonce of a chunk is `zeros 15 | number u64 | last u8`.
"""

from collections.abc import Iterator
from struct import Struct, error
from typing import BinaryIO, Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from p2pcall.proto.constants import KEY_BYTES, TAG_BYTES
from p2pcall.types import Entropy

SEALED_MAGIC: Final = b"p2pcallR"
SEAL_NONCE_BYTES: Final = 24
MAX_CHUNK_BYTES: Final = 1 << 20
"""Of plaintext: a second of a call is far less. A longer one was not written by this program."""
_HEAD: Final = Struct(f">8sQ{SEAL_NONCE_BYTES}s{KEY_BYTES + TAG_BYTES}s")
_UNTIL: Final = Struct(">Q")
_LENGTH: Final = Struct(">I")
_NONCE: Final = Struct(">15xQ?")
KEY_OFFSET: Final = 16
"""Where nonce and sealed key begin in the head; without them nobody can read the rest."""
HEAD_BYTES: Final = _HEAD.size


class NotSealed(ValueError):
    """The file is none of ours, is another one's, or was changed."""


class SealedWriter:
    """Writes one file: `write` chunks, then `close`. OSError as the file gives it."""

    def __init__(self, file: BinaryIO, owner_key: bytes, until: int, entropy: Entropy) -> None:
        self._file, self._key, self._number = file, entropy(KEY_BYTES), 0
        nonce = entropy(SEAL_NONCE_BYTES)
        bound = _bound(until)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(self._key, bound, nonce, owner_key)
        self._put(_HEAD.pack(SEALED_MAGIC, until, nonce, sealed))

    def write(self, chunk: bytes, *, last: bool = False) -> None:
        """Seal and write one chunk; the last one may be empty."""
        if len(chunk) > MAX_CHUNK_BYTES:
            raise ValueError(f"a chunk has at most {MAX_CHUNK_BYTES} bytes")
        nonce = _NONCE.pack(self._number, last)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(chunk, None, nonce, self._key)
        self._number += 1
        self._put(_LENGTH.pack(len(sealed)) + sealed)

    def _put(self, data: bytes) -> None:
        """All of it: an unbuffered file may take less at once."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


class SealedReader:
    """Reads one file: `until` at once, then `chunks`. NotSealed if the head does not open with this key."""

    def __init__(self, file: BinaryIO, owner_key: bytes) -> None:
        self._file = file
        self.whole = False
        """Set when the last chunk was read: nothing is missing."""
        try:
            magic, self.until, nonce, sealed = _HEAD.unpack(file.read(HEAD_BYTES))
            bound = _bound(self.until)
            self._key = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, bound, nonce, owner_key)
        except (error, CryptoError) as problem:
            raise NotSealed("it is not sealed with this key") from problem
        if magic != SEALED_MAGIC:
            raise NotSealed("it is no sealed file")

    def chunks(self) -> Iterator[bytes]:
        """Every whole chunk in order. NotSealed where one was changed or moved."""
        number = 0
        while not self.whole:
            head = self._file.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                return
            (length,) = _LENGTH.unpack(head)
            if not TAG_BYTES <= length <= MAX_CHUNK_BYTES + TAG_BYTES:
                raise NotSealed(f"chunk {number} was changed")
            sealed = self._file.read(length)
            if len(sealed) < length:
                return
            yield self._opened(sealed, number)
            number += 1
        if self._file.read(1):
            raise NotSealed("something was added to it")

    def _opened(self, sealed: bytes, number: int) -> bytes:
        for last in (False, True):
            try:
                chunk = crypto_aead_xchacha20poly1305_ietf_decrypt(
                    sealed, None, _NONCE.pack(number, last), self._key
                )
            except CryptoError:
                continue
            self.whole = last
            return chunk
        raise NotSealed(f"chunk {number} was changed, or is not in its place")


def _bound(until: int) -> bytes:
    """What the sealed key is bound to."""
    return SEALED_MAGIC + _UNTIL.pack(until)


def kept_until(head: bytes) -> int | None:
    """Until when a file that begins with `head` is to be kept, as it says; None if it is none of ours."""
    if len(head) < KEY_OFFSET or not head.startswith(SEALED_MAGIC):
        return None
    (until,) = _UNTIL.unpack_from(head, len(SEALED_MAGIC))
    return int(until)
