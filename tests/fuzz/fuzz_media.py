"""What media makes of a peer's payloads: sound, fragments of pictures, feedback; any bytes in any order."""

from collections.abc import Callable

from fuzz_stage import Source

from p2pcall.media import constants as c
from p2pcall.media.jitter import JitterBuffer
from p2pcall.media.packets import (
    KeyRequest,
    Nack,
    VideoFragment,
    pack_audio,
    pack_feedback,
    pack_fragment,
    parse_audio,
    parse_feedback,
    parse_fragment,
)
from p2pcall.media.reassembly import FragmentStore, Reassembler
from p2pcall.media.redundancy import Redundancy
from p2pcall.media.stats import ReceiveStats
from p2pcall.media.voice_control import VoiceControl

STEPS_S = (0.0, 0.001, 0.02, 0.04, 0.1, 0.3, 1.0, 5.0)
MAX_VERBS = 400
STORED = 600
"""Pictures that the sender's side has had in one run at most."""


class Receiver:
    """All that a peer's payloads come to, and what must stay true of it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.now = 0.0
        self.jitter = JitterBuffer()
        self.stats = ReceiveStats()
        self.pictures = Reassembler()
        self.store = FragmentStore()
        self.control = VoiceControl()
        self.redundancy = Redundancy(self.control.level)
        self.tick = 0
        self.seq = self.frame_id = self.stored = 0
        self.last_picture = -1
        self.resent: dict[bytes, int] = {}

    def sound(self, payload: bytes) -> None:
        packet = parse_audio(payload)
        if packet is None:
            return
        assert parse_audio(pack_audio(packet)) == packet
        frames = packet.frames()
        self.stats.on_packet(packet.tick, frames[0].ticks, packet.capture_ms, self.now)
        for frame in frames:
            self.jitter.insert(
                frame.tick, frame.ticks, frame.data, frame.capture_ms, self.now, frame.recovered
            )
        assert self.jitter.depth <= c.JITTER_MAX_FRAMES
        assert len(self.jitter._missed) <= c.JITTER_MISSED_KEPT

    def picture(self, fragment: VideoFragment) -> None:
        for frame in self.pictures.insert(fragment, self.now):
            assert frame.frame_id > self.last_picture
            assert frame.key or frame.frame_id == self.last_picture + 1
            self.last_picture = frame.frame_id
        held, size = self.pictures.held
        assert held <= c.VIDEO_MAX_HELD and size <= c.VIDEO_MAX_HELD_BYTES

    def feedback(self, payload: bytes) -> None:
        message = parse_feedback(payload)
        if message is None:
            return
        if isinstance(message, Nack):
            for fragment in self.store.get(message.frame_id, message.indexes, self.now):
                self.resent[fragment] = self.resent.get(fragment, 0) + 1
                assert self.resent[fragment] <= c.STORE_RESENDS
        elif not isinstance(message, KeyRequest):
            self.control.on_report(message.loss, message.burst_ticks, message.queue_ms / 1000, 0.1, self.now)
            assert self.control.level.path_bps < c.MAX_PAYLOAD_BYTES * 8 / c.TICK_S
            assert 0 <= message.loss <= 1
            assert parse_feedback(pack_feedback(message)) is not None

    # ---- what a run is made of

    def any_payload(self) -> None:
        payload = self.source.take(self.source.number(2) % (c.MAX_PAYLOAD_BYTES + 20))
        self.sound(payload)
        self.feedback(payload)
        fragment = parse_fragment(payload)
        if fragment is not None:
            assert parse_fragment(pack_fragment(fragment)) == fragment
            self.picture(fragment)

    def next_sound(self) -> None:
        """A packet about where it should be, or with whatever number the bytes say."""
        source = self.source
        how = source.number()
        self.seq = source.number(4) if how == c.MAX_U8 else self.seq + (how & 7) - 2
        self.seq = min(max(self.seq, 0), c.MAX_U32)
        copies, least = b"", 0
        count = 1 + (how >> 4 & 3)
        for _ in range(count):
            size = 1 + source.number()
            copies += bytes([least]) + size.to_bytes(2, "big") + bytes(size)
            least += 1 + source.below(3)
        capture_ms = source.number(4) if how & 8 else self.seq * c.FRAME_MS & c.MAX_U32
        self.sound(self.seq.to_bytes(4, "big") + capture_ms.to_bytes(4, "big") + bytes([count]) + copies)

    def next_fragment(self) -> None:
        source = self.source
        how = source.number()
        self.frame_id = source.number(4) if how == c.MAX_U8 else max(0, self.frame_id + (how & 3) - 1)
        count = 1 + (source.number(2) % c.MAX_FRAGMENTS if how & 4 else 1)
        index = source.number(2) % count
        size = c.VIDEO_FRAGMENT_BYTES if how & 16 else 1 + source.number()
        fragment = VideoFragment(self.frame_id, how, index, count, bool(how & 8), bytes(size))
        self.picture(fragment)

    def next_feedback(self) -> None:
        source = self.source
        how = source.number()
        if how & 1:
            indexes = [source.number(2) % c.MAX_FRAGMENTS for _ in range(how >> 1 & 7)]
            self.feedback(pack_feedback(Nack(max(0, self.stored - source.number()), tuple(indexes))))
        else:
            self.feedback(bytes([c.FEEDBACK_REPORT]) + source.take(23))

    def sent_picture(self) -> None:
        if self.stored < STORED:
            count = 1 + self.source.number(2) % c.MAX_FRAGMENTS
            payloads = [b"%d %d" % (self.stored, index) for index in range(count)]
            self.store.add(self.stored, payloads, self.now)
            self.stored += 1
            assert len(self.store) <= max(c.STORE_FRAGMENTS, count)

    def speaker(self) -> None:
        count = 1 + self.source.below(60)
        for _ in range(count):
            self.now += c.FRAME_S
            self.jitter.pull(self.now, 0, (1 + count % 2) * c.TICK_SAMPLES, quiet=count % 4 == 0)
        assert 0 < self.jitter.target_s(self.now) <= c.JITTER_MAX_WAIT_S + c.JITTER_SLACK_S

    def ask(self) -> None:
        """What is due now: feedback that the other side could read."""
        self.now += STEPS_S[self.source.below(len(STEPS_S))]
        for payload in self.pictures.poll(self.now):
            assert parse_feedback(payload) is not None
        due = self.pictures.next_poll()
        assert due is None or due > self.now
        assert 0 <= self.stats.interval().loss <= 1
        assert self.stats.jitter_s >= 0

    def decoder_stuck(self) -> None:
        self.pictures.rtt_s = STEPS_S[self.source.below(len(STEPS_S))]
        self.pictures.request_key(self.now)

    def sent_sound(self) -> None:
        level = self.redundancy.level = self.control.level
        frame = b"\x78".ljust(level.rung.frame_bytes, b"\0")
        self.redundancy.packet(self.tick, frame, 0)
        self.tick += c.FRAME_LENGTHS[-1]
        assert self.redundancy.payload_bytes <= c.MAX_PAYLOAD_BYTES


def media(data: bytes) -> None:
    """Let the bytes choose what comes."""
    source = Source(data)
    receiver = Receiver(source)
    verbs: list[Callable[[], None]] = [
        receiver.any_payload,
        receiver.next_sound,
        receiver.next_fragment,
        receiver.next_feedback,
        receiver.sent_picture,
        receiver.speaker,
        receiver.ask,
        receiver.decoder_stuck,
        receiver.sent_sound,
    ]
    for _ in range(MAX_VERBS):
        if not source.more:
            return
        verbs[source.below(len(verbs))]()
