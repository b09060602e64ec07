"""A small reliable, ordered channel of messages inside the unreliable record layer.

Frames: `kind 0 | seq u64 | type u8 | body` and `kind 1 | next expected u64` (a cumulative acknowledgement).
The sender repeats unacknowledged messages, each on its own doubling timer. The receiver passes messages on in
order, each once, and keeps a bounded number that came early. A message outside the window is not acknowledged, so
the sender repeats it. Left out: congestion control (a call has only a few of these messages) and flow control by
size.
"""

from collections import deque
from collections.abc import Iterator
from math import inf
from struct import Struct
from typing import Final

import msgspec

from p2pcall.proto import constants as c
from p2pcall.proto.wire import DropReason

_DATA: Final = Struct(">BQB")
_ACK: Final = Struct(">BQ")
_KIND_DATA: Final = 0
_KIND_ACK: Final = 1


class ControlFull(RuntimeError):
    """The other side has not acknowledged a full window: try again later."""


class _Unacked(msgspec.Struct):
    seq: int
    frame: bytes
    due: float
    wait: float | None = None


class Control:
    """Both directions of one peer's control channel: `send`, `receive`, then `frames_due` and `next_due`."""

    __slots__ = ("_ack_due", "_early", "_expected", "_next_seq", "_unacked")

    def __init__(self) -> None:
        self._next_seq = 0
        self._unacked: deque[_Unacked] = deque()
        self._expected = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._ack_due = False

    @property
    def settled(self) -> bool:
        """Whether everything sent was acknowledged and everything received has been answered."""
        return not self._unacked and not self._ack_due

    @property
    def busy(self) -> bool:
        """Whether anything is to be sent, now or later."""
        return self._ack_due or bool(self._unacked)

    @property
    def unacked(self) -> int:
        """How many messages are sent or queued and not yet acknowledged."""
        return len(self._unacked)

    @property
    def owes(self) -> bool:
        """Whether an acknowledgement waits to leave."""
        return self._ack_due

    def send(self, kind: int, body: bytes, now: float, *, reserve: bool = False) -> None:
        """Queue a message, due at once. ValueError if it is malformed, ControlFull if the window is full.

        `reserve` opens the last few places, which are kept for the call's own messages.
        """
        if not 0 < kind <= c.MAX_U8:
            raise ValueError(f"a control message has a type from 1 to {c.MAX_U8}")
        if len(body) > c.CONTROL_BODY_BYTES:
            raise ValueError(f"a control message has at most {c.CONTROL_BODY_BYTES} bytes")
        if len(self._unacked) >= c.CONTROL_WINDOW + (c.CONTROL_RESERVE if reserve else 0):
            raise ControlFull("too many control messages are unacknowledged")
        frame = _DATA.pack(_KIND_DATA, self._next_seq, kind) + body
        self._unacked.append(_Unacked(self._next_seq, frame, now))
        self._next_seq += 1

    def receive(self, payload: bytes) -> list[tuple[int, bytes]] | DropReason:
        """Messages (type, body) that are now in order, or why the frame was dropped."""
        if len(payload) == c.CONTROL_ACK_BYTES and payload[0] == _KIND_ACK:
            return self._acknowledged(_ACK.unpack(payload)[1])
        if not c.CONTROL_HEADER_BYTES <= len(payload) <= c.CONTROL_HEADER_BYTES + c.CONTROL_BODY_BYTES:
            return DropReason.CONTROL
        which, seq, kind = _DATA.unpack_from(payload)
        if which != _KIND_DATA or not kind or seq >= self._expected + c.CONTROL_WINDOW:
            return DropReason.CONTROL
        self._ack_due = True
        if seq >= self._expected:
            self._early[seq] = kind, payload[c.CONTROL_HEADER_BYTES :]
        ready = []
        while self._expected in self._early:
            ready.append(self._early.pop(self._expected))
            self._expected += 1
        return ready

    def frames_due(self, now: float, rto: float, room: float = inf) -> Iterator[bytes]:
        """Frames that leave now: the acknowledgement, new messages and repetitions. Consume the whole iterator.

        Together with their frame headers they fit `room` bytes, the oldest first. The first frame that does not fit,
        and all after it, stay due.
        """
        if self._ack_due:
            room -= c.FRAME_HEADER_BYTES + c.CONTROL_ACK_BYTES
            if room < 0:
                return
            self._ack_due = False
            yield _ACK.pack(_KIND_ACK, self._expected)
        for message in self._unacked:
            if message.due <= now:
                room -= c.FRAME_HEADER_BYTES + len(message.frame)
                if room < 0:
                    return
                message.wait = rto if message.wait is None else min(2 * message.wait, c.RTO_MAX_S)
                message.due = now + message.wait
                yield message.frame

    def hurry(self, now: float) -> None:
        """Make every unacknowledged message due now."""
        for message in self._unacked:
            message.due = now

    def abandon(self) -> None:
        """Forget what is not acknowledged: the other side has left."""
        self._unacked.clear()

    def next_due(self) -> float | None:
        """When the next repetition leaves. Acknowledgements leave with the drain after every receive."""
        return min((message.due for message in self._unacked), default=None)

    def _acknowledged(self, next_expected: int) -> list[tuple[int, bytes]] | DropReason:
        if next_expected > self._next_seq:
            return DropReason.CONTROL
        while self._unacked and self._unacked[0].seq < next_expected:
            self._unacked.popleft()
        return []
