"""The record layer of a finished handshake: seal and open datagrams under explicit 64-bit counters.

Order on the way in, cheapest first: counter's bound, replay window, AEAD, mark. The associated data is empty:
a changed counter is a changed nonce, a changed receiver index finds another session or none, and the other
header bytes are constant. The ciphers are `cryptography`'s, which take the key once and not with every datagram: this
is ten times as fast as `noise`'s ciphers, and OpenSSL clears its copy when the object is freed. Left out: the
maximum age of a session (`epochs`).
"""

from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import aead

from p2pcall.proto import constants as c
from p2pcall.proto.handshake.noise import AESGCM, Cipher, CipherState
from p2pcall.proto.line.replay import ReplayWindow
from p2pcall.proto.wire import DATA, DatagramType, DropReason

_PREFIX: Final = Struct(">BxxxI")
_COUNTER: Final = Struct(">Q")


_Keyed = aead.AESGCM | aead.ChaCha20Poly1305


def _keyed(cipher: Cipher, key: bytes) -> _Keyed:
    return aead.AESGCM(key) if cipher is AESGCM else aead.ChaCha20Poly1305(key)


class Session:
    """Both directions' keys. `newest` tells whether the last opened datagram was the newest so far."""

    __slots__ = ("_counter", "_nonce", "_prefix", "_receiving", "_sending", "_window", "cipher", "newest")

    def __init__(self, sending: CipherState, receiving: CipherState, remote_index: int) -> None:
        """Messages that the handshake has sealed with `sending` are counted, so no nonce is used twice."""
        if sending.k is None or receiving.k is None:
            raise ValueError("a session needs both keys")
        self.cipher = sending.cipher
        self._nonce = sending.cipher.nonce
        self._sending: _Keyed | None = _keyed(sending.cipher, sending.k)
        self._receiving: _Keyed | None = _keyed(receiving.cipher, receiving.k)
        self._prefix = _PREFIX.pack(DatagramType.DATA, remote_index)
        self._counter = sending.n
        self._window = ReplayWindow()
        self.newest = False

    @property
    def records(self) -> int:
        """How many counters the busier direction has used."""
        return max(self._counter, self._window.newest + 1)

    def seal(self, plaintext: bytes) -> bytes:
        """The next datagram; RuntimeError when the counters are used up, or the keys wiped."""
        counter = self._counter
        if counter >= c.REJECT_AFTER_RECORDS or self._sending is None:
            raise RuntimeError("the session's counters are used up")
        self._counter = counter + 1
        sealed = self._sending.encrypt(self._nonce(counter), plaintext, None)
        return self._prefix + _COUNTER.pack(counter) + sealed

    def open(self, datagram: bytes) -> bytes | DropReason:
        """The plaintext of a datagram of at least `MIN_DATA_BYTES`; a copy is refused."""
        *_, counter = DATA.unpack_from(datagram)
        if counter >= c.REJECT_AFTER_RECORDS or self._receiving is None:
            return DropReason.EXPIRED
        window = self._window
        if not window.is_fresh(counter):
            return DropReason.REPLAY
        try:
            plaintext = self._receiving.decrypt(self._nonce(counter), datagram[c.DATA_HEADER_BYTES :], None)
        except InvalidTag:
            return DropReason.AUTHENTICATION
        self.newest = counter > window.newest
        window.mark(counter)
        return plaintext

    def wipe(self) -> None:
        """Forget the keys; the session cannot be used afterwards."""
        self._sending = self._receiving = None
