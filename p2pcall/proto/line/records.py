"""Traffic shape: which frames leave in which record, and how long a record is.

An observer who counts and measures datagrams must learn only that there is a call. So

- small frames (control, timing, feedback) leave in records of exactly RECORD_BYTES, and only records of voice may be
  shorter;
- while voice flows, small frames are sent inside its records, the oldest first, as far as there is room beside the
  sound, and never cause a record of their own;
- the sender of a payload gives the length it is padded to; this depends on its class, not on its content.

Pings and acknowledgements are made when they leave, not when they fall due. Left out: the content of payloads and
the list of classes (`media`).
"""

from collections import Counter, deque
from math import inf

from p2pcall.proto import constants as c
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.timing import Timing
from p2pcall.proto.wire import FRAME_HEADER, Channel, DropReason, pack_frame


class Records:
    """Plaintexts of one line's records: payloads leave at once, small frames when they are due.

    `quiet`: no pings and pongs any more; the line only sends its goodbye.
    """

    __slots__ = ("_control", "_dropped", "_feedback", "_feedback_next", "_timing", "_voice_at", "quiet")

    def __init__(self, control: Control, timing: Timing, dropped: Counter[DropReason]) -> None:
        self._control = control
        self._timing = timing
        self._dropped = dropped
        self._voice_at = -inf
        self._feedback: deque[bytes] = deque()
        self._feedback_next = False
        self.quiet = False

    def payload(self, channel: int, payload: bytes, padded_to: int, now: float) -> bytes | None:
        """The plaintext that leaves now, as long as with `padded_to` bytes; None: it waits for the next voice record.

        A voice record without a length of its own has that of small frames, if it fits.
        """
        frame = FRAME_HEADER.pack(channel, len(payload)) + payload
        size = c.FRAME_HEADER_BYTES + max(padded_to, len(payload))
        if channel == Channel.AUDIO:
            self._voice_at = now
            if not padded_to and size < c.RECORD_BYTES:
                size = c.RECORD_BYTES
            frame += self._small(size - len(frame), now)
            return frame.ljust(size, b"\0")
        if channel == Channel.FEEDBACK and len(frame) <= c.SLACK_BYTES:
            if len(self._feedback) == c.MAX_WAITING_FRAMES:
                self._feedback.popleft()
                self._dropped[DropReason.QUEUE] += 1
            self._feedback.append(frame)
            return None
        return frame.ljust(max(size, c.RECORD_BYTES), b"\0")

    def due(self, now: float, most: float = inf) -> list[bytes]:
        """The plaintexts of small frames that leave now without voice, at most `most` of them."""
        plaintexts: list[bytes] = []
        if now >= self._voice_at + c.VOICE_FLOW_S:
            while len(plaintexts) < most and (small := self._small(c.RECORD_BYTES, now)):
                plaintexts.append(small.ljust(c.RECORD_BYTES, b"\0"))
        return plaintexts

    def next_due(self) -> float | None:
        """When `due` has something, unless a voice record takes it first; None: nothing waits."""
        times = [-inf] if self._feedback or self._control.owes else []
        control = self._control.next_due()
        if control is not None:
            times.append(control)
        if not self.quiet:
            times.append(self._timing.next_due)
        return max(min(times), self._voice_at + c.VOICE_FLOW_S) if times else None

    def hang_up(self) -> None:
        """The call is over: no voice and no pings are sent any more."""
        self._voice_at = -inf
        self._feedback.clear()
        self.quiet = True

    def _small(self, room: int, now: float) -> bytes:
        """Frames that are due and fit: pings and pongs first, then messages and feedback alternately."""
        out = b""
        if not self.quiet and self._timing.next_due <= now:
            for frame in self._timing.frames_due(now, room):
                out += pack_frame(Channel.TIMING, frame)
        for feedback in (self._feedback_next, not self._feedback_next):
            if feedback:
                while self._feedback and len(out) + len(self._feedback[0]) <= room:
                    out += self._feedback.popleft()
            elif self._control.busy:
                for frame in self._control.frames_due(now, self._timing.rto, room - len(out)):
                    out += pack_frame(Channel.CONTROL, frame)
        self._feedback_next = not self._feedback_next
        return out
