"""New keys for a line that is up: a fresh IKhfs handshake inside it, bound to the epoch that is running.

Its two messages travel as control messages REKEY, `which u8 | part u8 | bytes`, so they are reliable and in order,
and their records have the usual sizes. Each payload is the sender's new index. The prologue ends in the handshake
hash of the running epoch, so only its two sides can continue from it. Only the side that dialled begins.

Rules: one handshake at a time; a bad part is dropped and changes nothing; the other side answers at most once in
REKEY_LEAST_S. If the first message was delivered and not answered for REKEY_RETRY_S, the handshake is dropped and a
new one begins. While it is not yet delivered there is no retry, because the control channel repeats it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

from msgspec import Struct

from p2pcall.proto import constants as c
from p2pcall.proto.handshake.exchange import Local
from p2pcall.proto.handshake.noise import IKHFS, HandshakeState, KeyPair, NoiseError
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.epochs import Epoch, Epochs
from p2pcall.proto.line.session import Session
from p2pcall.proto.messages import ControlType
from p2pcall.proto.wire import DropReason

_FIRST, _SECOND = 1, 2
_LENGTH: Final = {_FIRST: c.REKEY_FIRST_BYTES, _SECOND: c.REKEY_SECOND_BYTES}


class _Begun(Struct):
    """A handshake of ours that waits for its second message."""

    state: HandshakeState
    index: int
    at: float


class Rekey:
    """One side's rekeyings: `step` when time passes, `feed` at every drain, `receive` for each REKEY message."""

    __slots__ = (
        "_answered_at",
        "_begun",
        "_claim",
        "_dialled",
        "_in",
        "_local",
        "_out",
        "_release",
        "_remote_static",
        "_retry_at",
        "_static",
        "epochs",
    )

    def __init__(
        self,
        epochs: Epochs,
        remote_static: bytes,
        local: Local,
        claim: Callable[[], int],
        release: Callable[[int], None],
        *,
        static: KeyPair,
        dialled: bool,
    ) -> None:
        """`claim` gives a new index of ours; `release` is called with the index of a failed rekeying. `static` is our
        key in this line.
        """
        self.epochs = epochs
        self._remote_static = remote_static
        self._local, self._static = local, static
        self._claim = claim
        self._release = release
        self._dialled = dialled
        self._begun: _Begun | None = None
        self._retry_at = -inf
        self._answered_at = -inf
        self._out: deque[bytes] = deque()
        self._in = bytearray()

    def step(self, control: Control, now: float) -> None:
        """Begin if it is time, and again if the last attempt failed."""
        if now < self.next_timer(control):
            return
        self._forget()
        epoch = self.epochs.current
        index = self._claim()
        state = self._handshake(epoch, rs=self._remote_static)
        self._queue(_FIRST, state.write_message(index.to_bytes(c.INDEX_BYTES, "big")))
        self._begun = _Begun(state, index, now)

    def feed(self, control: Control, now: float) -> None:
        """Pass parts to the control channel, a few at a time."""
        while self._out and control.unacked < c.REKEY_IN_FLIGHT:
            control.send(ControlType.REKEY, self._out.popleft(), now)
        if self._begun is not None:
            if control.unacked:  # not delivered yet; an outage may delay it
                self._retry_at = inf
            elif self._retry_at == inf:
                self._retry_at = now + c.REKEY_RETRY_S

    def next_timer(self, control: Control) -> float:
        """When `step` has something to do; never while something of ours is on its way."""
        if not self._dialled or self._out or control.unacked:
            return inf
        epoch = self.epochs.current
        worn = epoch.session.records >= c.REKEY_AFTER_RECORDS
        due = -inf if worn else epoch.born + c.REKEY_AFTER_S - c.REKEY_LEAD_S
        return max(due, self._retry_at)

    def receive(self, body: bytes, now: float) -> DropReason | None:
        """Take one part; the last one may complete a new epoch."""
        which = _SECOND if self._dialled else _FIRST
        if len(body) <= c.REKEY_HEADER_BYTES or body[0] != which:
            return DropReason.REKEY
        part, chunk = body[1], body[c.REKEY_HEADER_BYTES :]
        if not part:
            self._in.clear()
        at = part * c.REKEY_PART_BYTES
        if at != len(self._in) or len(chunk) != min(c.REKEY_PART_BYTES, _LENGTH[which] - at):
            return DropReason.REKEY
        self._in += chunk
        if len(self._in) < _LENGTH[which]:
            return None
        message = bytes(self._in)
        self._in.clear()
        try:
            return self._finish(message) if self._dialled else self._answer(message, now)
        except NoiseError:
            return DropReason.REKEY

    def _answer(self, message: bytes, now: float) -> DropReason | None:
        """The other side begins: send our message, and wait for its first datagram under the new epoch."""
        if now < self._answered_at + c.REKEY_LEAST_S:
            return DropReason.REKEY
        self._answered_at = now
        state = self._handshake(self.epochs.current)
        remote_index = state.read_message(message)
        if state.remote_static != self._remote_static:
            return DropReason.REKEY
        index = self._claim()
        try:
            answer = state.write_message(index.to_bytes(c.INDEX_BYTES, "big"))
        except NoiseError:
            self._release(index)
            raise
        self._out.clear()
        self._queue(_SECOND, answer)
        self.epochs.offer(_epoch(state, index, remote_index, now))
        return None

    def _finish(self, message: bytes) -> DropReason | None:
        """The other side has answered: seal under the new epoch from now on."""
        begun = self._begun
        if begun is None:
            return DropReason.REKEY
        remote_index = begun.state.read_message(message)
        self._begun, self._retry_at = None, -inf
        self.epochs.switch(_epoch(begun.state, begun.index, remote_index, begun.at))
        return None

    def _handshake(self, epoch: Epoch, rs: bytes | None = None) -> HandshakeState:
        prologue = c.REKEY_LABEL + epoch.handshake_hash
        local = self._local
        return HandshakeState(
            IKHFS,
            epoch.session.cipher,
            self._dialled,
            prologue,
            self._static,
            entropy=local.entropy,
            rs=rs,
            encapsulate=local.encapsulate,
        )

    def _queue(self, which: int, message: bytes) -> None:
        for part, at in enumerate(range(0, len(message), c.REKEY_PART_BYTES)):
            self._out.append(bytes([which, part]) + message[at : at + c.REKEY_PART_BYTES])

    def _forget(self) -> None:
        if self._begun is not None:
            self._release(self._begun.index)
            self._begun = None


def _epoch(state: HandshakeState, index: int, remote_index: bytes, born: float) -> Epoch:
    session = Session(*state.split(), int.from_bytes(remote_index, "big"))
    return Epoch(session, index, state.handshake_hash, born)
