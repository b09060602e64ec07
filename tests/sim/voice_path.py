"""One direction of voice over a path with a bottleneck, in virtual time: what is sent, what comes, what is reported.

Packets are packed and parsed as in a call, and as long as they would be with all headers; the codec and the jitter
buffer are left out. A packet waits for those before it to pass the bottleneck, and is lost if too many wait; then
chance may lose it. Reports come back after half a round trip.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from voice import Loss

from p2pcall.media import constants as c
from p2pcall.media.packets import parse_audio
from p2pcall.media.redundancy import Redundancy
from p2pcall.media.stats import Interval, ReceiveStats
from p2pcall.media.voice_control import VoiceControl
from p2pcall.media.voice_levels import VoiceLevel

TOCS = {1: 0x70, 2: 0x78, 4: 0x10, 6: 0x18}
"""First bytes of packets of so many ticks."""


@dataclass
class VoicePath:
    """`run` goes on from where it stopped, so the network may change in between."""

    control: VoiceControl = field(default_factory=VoiceControl)
    kbps: float = 10_000.0
    queue_s: float = 0.5
    """So long a packet may have to wait."""
    loss: Loss = lambda now, rng: False
    delay_s: float = 0.02
    seed: int = 1
    hostile: Callable[[Interval], tuple[float, float, float]] | None = None
    """What is reported in place of loss, burst, queue."""

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.now = 0.0
        self.tick = 0
        self.free_at = 0.0
        self.report_at = 1.0
        self.on_the_way: list[tuple[float, bytes]] = []
        self.reports: list[tuple[float, Interval]] = []
        self.redundancy = Redundancy(self.control.level)
        self.stats = ReceiveStats()
        self.sent: list[tuple[float, int, VoiceLevel]] = []
        """When, payload with room, level."""
        self.heard: dict[int, float] = {}
        """Tick -> how long after it was captured it was there."""

    def run(self, seconds: float) -> "VoicePath":
        end = self.now + seconds
        while self.now < end:
            level = self.redundancy.level = self.control.level
            self.now += level.rung.ticks * c.TICK_S
            self._arrive()
            self._send(level)
        return self

    def _send(self, level: VoiceLevel) -> None:
        rung, now = level.rung, self.now
        frame = bytes([TOCS[rung.ticks]]).ljust(rung.frame_bytes, b"\0")
        payload = self.redundancy.packet(self.tick, frame, round(now * 1000))
        size = self.redundancy.payload_bytes
        assert len(payload) <= size
        self.tick += rung.ticks
        self.sent.append((now, size, level))
        wait_s = max(0.0, self.free_at - now)
        if wait_s > self.queue_s:
            return
        self.free_at = now + wait_s + (size + c.VOICE_AROUND_BYTES) * 8 / 1000 / self.kbps
        if not self.loss(self.now, self.rng):
            self.on_the_way.append((self.free_at + self.delay_s, payload))

    def _arrive(self) -> None:
        while self.on_the_way and self.on_the_way[0][0] <= self.now:
            at, payload = self.on_the_way.pop(0)
            self._report(at)
            packet = parse_audio(payload)
            assert packet is not None
            frames = packet.frames()
            self.stats.on_packet(packet.tick, frames[0].ticks, packet.capture_ms, at)
            for frame in frames:
                for tick in range(frame.tick, frame.tick + frame.ticks):
                    self.heard.setdefault(tick, at - frame.capture_ms / 1000)
        self._report(self.now)
        while self.reports and self.reports[0][0] <= self.now:
            at, told = self.reports.pop(0)
            loss, burst, queue_s = told.loss, told.burst_ticks, told.queue_s
            if self.hostile is not None:
                loss, burst, queue_s = self.hostile(told)
            self.control.on_report(loss, burst, queue_s, 2 * self.delay_s, at)

    def _report(self, now: float) -> None:
        if now >= self.report_at:
            self.reports.append((self.report_at + self.delay_s, self.stats.interval()))
            self.report_at += c.REPORT_INTERVAL_S

    def missing(self, seconds: float) -> float:
        """The part of the ticks of the last seconds, but for what is on its way, that never came."""
        newest = self.tick - round(2 / c.TICK_S)
        ticks = range(max(0, newest - round(seconds / c.TICK_S)), newest)
        return sum(tick not in self.heard for tick in ticks) / len(ticks)

    def sent_kbps(self, seconds: float) -> float:
        """With all headers, over the last seconds."""
        sizes = [size + c.VOICE_AROUND_BYTES for at, size, _ in self.sent if at > self.now - seconds]
        return sum(sizes) * 8 / 1000 / seconds
