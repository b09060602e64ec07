"""The record layer of a finished handshake: seal and open datagrams under explicit 64-bit counters.

Order on the way in, cheapest first: replay window, AEAD, mark. The associated data is empty: a changed
counter is a changed nonce, a changed receiver index finds another session or none, and the other header
bytes are constant. Left out: rekeying (a later version). One call stays far below every limit of either
AEAD.
"""

from struct import Struct

from nacl.exceptions import CryptoError

from p2pcall.proto import constants as c
from p2pcall.proto.noise import CipherState
from p2pcall.proto.replay import ReplayWindow
from p2pcall.proto.wire import DATA, DatagramType, DropReason

_PREFIX = Struct(">BxxxI")
_COUNTER = Struct(">Q")


class Session:
    """Both directions' keys. `newest` tells whether the last opened datagram was the newest so far."""

    __slots__ = ("_cipher", "_counter", "_prefix", "_receive_key", "_send_key", "_window", "newest")

    def __init__(self, sending: CipherState, receiving: CipherState, remote_index: int) -> None:
        if sending.k is None or receiving.k is None:
            raise ValueError("a session needs both keys")
        self._cipher = sending.cipher
        self._send_key = sending.k
        self._receive_key = receiving.k
        self._prefix = _PREFIX.pack(DatagramType.DATA, remote_index)
        self._counter = 0
        self._window = ReplayWindow()
        self.newest = False

    def seal(self, plaintext: bytes) -> bytes:
        """The next datagram; RuntimeError when the counters are used up."""
        counter = self._counter
        if counter > c.MAX_COUNTER:
            raise RuntimeError("the line's counters are used up")
        self._counter = counter + 1
        cipher = self._cipher
        sealed = cipher.encrypt(plaintext, None, cipher.nonce(counter), self._send_key)
        return self._prefix + _COUNTER.pack(counter) + sealed

    def open(self, datagram: bytes) -> bytes | DropReason:
        """The plaintext of a datagram of at least `MIN_DATA_BYTES`, each only once."""
        *_, counter = DATA.unpack_from(datagram)
        window = self._window
        if not window.is_fresh(counter):
            return DropReason.REPLAY
        cipher = self._cipher
        try:
            plaintext = cipher.decrypt(
                datagram[c.DATA_HEADER_BYTES :], None, cipher.nonce(counter), self._receive_key
            )
        except CryptoError:
            return DropReason.AUTHENTICATION
        self.newest = counter > window.newest
        window.mark(counter)
        return plaintext

    def wipe(self) -> None:
        """Forget the keys (see `noise` for why they cannot be overwritten); the session is of no use
        afterwards."""
        self._send_key = self._receive_key = b""
