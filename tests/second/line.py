"""A line, on either side: records, messages, pings, consent, new keys, voice.

Written from p2pcall-protocol(7) alone: sections RECORD LAYER, NEW KEYS, CONTROL, CALLS, TIMING, AUDIO, FEEDBACK.
It does what a call needs: it follows nobody to another address, keeps no clock offset, shows no picture, and mends
no loss of sound.
"""

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator

from handshake import DATA, NewKeys
from patterns import Keys, NotAuthentic, u32

CONTROL, TIMING, AUDIO, VIDEO, FEEDBACK = range(1, 6)
INVITE, RINGING, ACCEPT, DECLINE, HANGUP, MEDIA, REKEY, REVEAL = range(1, 9)
HUNG_UP, FAILED = 1, 8
CONTROL_WINDOW = 32
RECORD_BYTES = 370
SLACK_BYTES = 112
VOICE_BYTES = 255
"""The sound in a record of RECORD_BYTES: header 9, two frames of 3 and at most 120."""
FRAME_TICKS = 2
"""Of 10 ms each, in a frame."""
REPEAT_S = 0.25
PING_S = 1.0
REKEY_PART_BYTES = 94
REKEY_IN_FLIGHT = 4
REKEY_LEAST_S = 2.0
REKEY_BYTES = {1: 1300, 2: 1156}
PREVIOUS_EPOCH_S = 10.0
CONSENT_S = 15.0
CONSENT_LAPSES_S = 30.0

AnswerKeys = Callable[[Keys, bytes], tuple[bytes, Keys]]
"""From the running keys and message 1: message 2, and the keys of the new epoch. Raises `NotAuthentic`."""


def frame(channel: int, payload: bytes) -> bytes:
    return struct.pack(">BH", channel, len(payload)) + payload


def frames_of(plaintext: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(plaintext) and plaintext[at]:
        channel, length = struct.unpack_from(">BH", plaintext, at)
        payload = plaintext[at + 3 : at + 3 + length]
        assert len(payload) == length, "a frame that breaks off"
        yield channel, payload
        at += 3 + length


class Line:
    """Give `receive` each datagram and call `work` often; `send` is told what leaves.

    Whoever was called gives `answer_keys`; the other one may `rekey`.
    """

    def __init__(
        self,
        keys: Keys,
        start: float,
        send: Callable[[bytes], object],
        answer_keys: AnswerKeys | None = None,
    ) -> None:
        self.keys = keys
        self.heard: list[tuple[int, bytes]] = []
        """Messages of the other side, in order: type and body."""
        self.sound: list[bytes] = []
        """AUDIO payloads."""
        self.up = False
        """Something authentic has come."""
        self.active = False
        """The call is: only then sound is taken."""
        self.over = False
        """A goodbye was sent: no more pings and pongs."""
        self.rekeyed = 0
        self.round_trip_s: float | None = None
        self._start = start
        self._send = send
        self._previous: Keys | None = None
        self._previous_until = 0.0
        self._small: deque[bytes] = deque()
        self._next_ping = start
        self._agreed = start
        """When the other side's address did last; it has brought back the cookie."""
        self._asked: list[bytes] = []
        self._next_seq = 0
        self._unacknowledged: dict[int, tuple[bytes, float]] = {}
        self._expected = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._voice_tick = 0
        self._last_frame = b""
        self._new: NewKeys | None = None
        self._answer_keys = answer_keys
        self._answered = float("-inf")
        self._next: Keys | None = None
        """Given to the other side, which has not used them yet."""
        self._pieces: deque[bytes] = deque()
        self._gathered = b""

    # ---- out

    def seal(self, plaintext: bytes) -> None:
        """Send a record."""
        keys = self.keys
        head = bytes((DATA, 0, 0, 0)) + u32(keys.remote_index) + struct.pack(">Q", keys.counter)
        self._send(head + keys.sending.seal(keys.counter, plaintext))
        keys.counter += 1

    def _clock(self, now: float) -> int:
        return round((now - self._start) * 1_000_000)

    def message(self, kind: int, body: bytes, now: float) -> None:
        """Queue a message; it is repeated until it is acknowledged."""
        data = struct.pack(">BQB", 0, self._next_seq, kind) + body
        self._unacknowledged[self._next_seq] = data, now
        self._next_seq += 1

    @property
    def settled(self) -> bool:
        """Whether all messages have arrived."""
        return not self._unacknowledged and not self._pieces

    def rekey(self, new: NewKeys) -> None:
        """Begin a new epoch."""
        self._new = new
        self._cut(1, new.message_1)

    def _cut(self, which: int, message: bytes) -> None:
        parts = [message[at : at + REKEY_PART_BYTES] for at in range(0, len(message), REKEY_PART_BYTES)]
        self._pieces = deque(bytes((which, number)) + part for number, part in enumerate(parts))

    def _collect(self, now: float) -> None:
        """Everything small that is due, as frames."""
        while self._pieces and len(self._unacknowledged) < REKEY_IN_FLIGHT:
            self.message(REKEY, self._pieces.popleft(), now)
        for seq, (data, due) in self._unacknowledged.items():
            if now >= due:
                self._small.append(frame(CONTROL, data))
                self._unacknowledged[seq] = data, now + REPEAT_S
        if now >= self._next_ping and not self.over:
            self._next_ping = now + PING_S
            clock = struct.pack(">Q", self._clock(now))
            if now >= self._agreed + CONSENT_S:
                clock = os.urandom(8)
                self._asked.append(clock)
            self._small.append(frame(TIMING, b"\1" + clock))

    def _ride(self, room: int) -> bytes:
        out = b""
        while self._small and len(out) + len(self._small[0]) <= room:
            out += self._small.popleft()
        return out

    def may_send(self, now: float) -> bool:
        """Whether the other side's address agrees to get media."""
        return now < self._agreed + CONSENT_LAPSES_S

    def voice(self, opus: bytes, now: float) -> None:
        """One frame of 20 ms, the one before it, and what rides along."""
        copies = [(0, opus), *([(FRAME_TICKS, self._last_frame)] if self._last_frame else [])]
        packet = struct.pack(">IIB", self._voice_tick, self._clock(now) // 1000, len(copies))
        packet += b"".join(struct.pack(">BH", distance, len(data)) + data for distance, data in copies)
        assert len(packet) <= VOICE_BYTES
        self._voice_tick, self._last_frame = self._voice_tick + FRAME_TICKS, opus
        self._collect(now)
        audio = frame(AUDIO, packet)
        plaintext = audio + self._ride(3 + VOICE_BYTES + SLACK_BYTES - len(audio))
        self.seal(plaintext.ljust(RECORD_BYTES, b"\0"))

    def work(self, now: float, *, voice_flows: bool) -> None:
        """Send what is due and does not ride with voice."""
        if voice_flows:
            return
        self._collect(now)
        while plaintext := self._ride(RECORD_BYTES):
            self.seal(plaintext.ljust(RECORD_BYTES, b"\0"))

    def report(self, highest: int, received: int) -> None:
        """That so much sound has come, without loss, and that no picture is wanted."""
        body = struct.pack(">BIIHBHHHHI", 3, highest, received, 0, 0, 0, 0, 0, 0, 0)
        self._small.append(frame(FEEDBACK, body))

    def hang_up(self, now: float, reason: int = HUNG_UP) -> None:
        """Say goodbye twice; then `work` until it has arrived."""
        self.message(HANGUP, bytes((reason,)), now + REPEAT_S)
        self.over, self.active = True, False
        data = self._unacknowledged[self._next_seq - 1][0]
        for _ in range(2):
            self.seal(frame(CONTROL, data).ljust(RECORD_BYTES, b"\0"))

    # ---- in

    def receive(self, datagram: bytes, now: float) -> bool:
        """Whether it was an authentic record of this line."""
        if len(datagram) < 32 or datagram[:4] != bytes((DATA, 0, 0, 0)):
            return False
        index, counter = struct.unpack_from(">IQ", datagram, 4)
        epochs = (self.keys, self._next, self._previous)
        keys = next((keys for keys in epochs if keys and keys.own_index == index), None)
        if keys is None or counter in keys.taken or (keys is self._previous and now >= self._previous_until):
            return False
        try:
            plaintext = keys.receiving.open(counter, datagram[16:])
        except NotAuthentic:
            return False
        if keys is self._next:
            self._use(keys)
            self._next = None
        if keys is self.keys and not keys.taken:
            self._previous_until = now + PREVIOUS_EPOCH_S
        keys.taken.add(counter)
        self.up = True
        for channel, payload in frames_of(plaintext):
            if channel == CONTROL:
                self._control(payload, now)
            elif channel == TIMING:
                self._timing(payload, now)
            elif channel == AUDIO and self.active:
                self.sound.append(payload)
        return True

    def _timing(self, payload: bytes, now: float) -> None:
        if payload[0] == 1:
            if not self.over:
                pong = struct.pack(">B8sQI", 2, payload[1:9], self._clock(now), 0)
                self._small.append(frame(TIMING, pong))
        elif payload[1:9] in self._asked:
            self._agreed = now
            self._asked.clear()
        else:
            sent, _, held = struct.unpack(">QQI", payload[1:])
            self.round_trip_s = (self._clock(now) - sent - held) / 1_000_000

    def _control(self, payload: bytes, now: float) -> None:
        kind, number = struct.unpack_from(">BQ", payload)
        if kind == 1 and number > self._next_seq:
            return
        if kind == 1:
            for seq in [seq for seq in self._unacknowledged if seq < number]:
                del self._unacknowledged[seq]
            return
        if number >= self._expected + CONTROL_WINDOW:
            return
        if number >= self._expected:
            self._early[number] = payload[9], payload[10:]
        while self._expected in self._early:
            what, body = self._early.pop(self._expected)
            self._expected += 1
            if what == REKEY:
                self._piece(body, now)
                continue
            self.heard.append((what, body))
            if what in (DECLINE, HANGUP):
                self._unacknowledged.clear()
                self._pieces.clear()
                self.active, self.over = False, what == HANGUP
        self._small.append(frame(CONTROL, struct.pack(">BQ", 1, self._expected)))

    def _piece(self, body: bytes, now: float) -> None:
        which, part = body[0], body[1]
        if which != (1 if self._answer_keys else 2):
            return
        if part == 0:
            self._gathered = b""
        if len(self._gathered) != part * REKEY_PART_BYTES:
            return
        self._gathered += body[2:]
        if len(self._gathered) != REKEY_BYTES[which]:
            return
        try:
            self._new_keys(self._gathered, now)
        except NotAuthentic:
            return

    def _new_keys(self, message: bytes, now: float) -> None:
        if self._answer_keys is None:
            if self._new is not None:
                self._use(self._new.finish(message))
                self._new = None
        elif now >= self._answered + REKEY_LEAST_S:
            answer, self._next = self._answer_keys(self.keys, message)
            self._answered = now
            self._cut(2, answer)

    def _use(self, keys: Keys) -> None:
        """Seal with these from now on."""
        self._previous, self._previous_until = self.keys, float("inf")
        self.keys = keys
        self.rekeyed += 1
