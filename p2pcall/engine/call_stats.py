"""The figures of a call: read once a second from everyone who counts, summed up at the end."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from p2pcall.device.pace import CardCounts
from p2pcall.engine.audio_receive import AudioReceive
from p2pcall.engine.hearing import Hearing
from p2pcall.engine.video import PlayoutThread
from p2pcall.engine.videopath import VideoPath
from p2pcall.events import Figures
from p2pcall.media.acoustic_constants import LOWEST_DBFS
from p2pcall.media.constants import SAMPLE_RATE_HZ
from p2pcall.media.stats import NO_INTERVAL, Interval
from p2pcall.proto.peer import Peer

LEAST_S: Final = 0.001
"""Between two marks, so that a rate is a number."""


def process_cpu_s() -> float:
    """Processor seconds of this process, user and system, all threads."""
    times = os.times()
    return times.user + times.system


class _Mark(Struct):
    """Counters at one moment."""

    at: float = 0.0
    tx_bytes: int = 0
    rx_bytes: int = 0
    cpu_s: float = 0.0
    decoded: int = 0
    played: int = 0
    concealed: int = 0


class StatsCollector(Struct):
    """Turns running counters into rates per interval (`second`) and over the call (`total`)."""

    peer: Peer
    receive: AudioReceive
    playout: PlayoutThread | None
    sink_latency: Callable[[], float]
    dropped: Callable[[], Counter[str]]
    hearing: Hearing
    counts: CardCounts
    started_at: float
    cpu_s: Callable[[], float] = process_cpu_s
    delay_ms: float | None = None
    interval: Interval = NO_INTERVAL
    """The last whole second's, as the other side is told."""
    _expected: int = 0
    _received: int = 0
    _start: _Mark = field(default_factory=_Mark)
    _last: _Mark = field(default_factory=_Mark)

    def __post_init__(self) -> None:
        self._start = self._mark(self.started_at)
        self._last = self._start

    def second(self, now: float) -> Figures:
        """Figures since the last call."""
        mark = self._mark(now)
        self._measure_delay()
        figures = self._between(self._last, mark)
        self._last = mark
        interval = self.interval = self.receive.stats.interval()
        self._expected += interval.expected
        self._received += interval.received
        microphone, speaker = self.hearing.microphone.interval(), self.hearing.speaker.interval()
        return replace(figures, loss=round(interval.loss, 4), mic_dbfs=microphone, speaker_dbfs=speaker)

    def total(self, now: float) -> Figures:
        """Figures since the call was connected."""
        interval = self.receive.stats.interval()
        expected, received = self._expected + interval.expected, self._received + interval.received
        loss = max(0.0, 1 - received / expected) if expected else 0.0
        self._measure_delay()
        microphone, speaker = self.hearing.microphone.total(), self.hearing.speaker.total()
        figures = self._between(self._start, self._mark(now))
        return replace(figures, loss=round(loss, 4), mic_dbfs=microphone, speaker_dbfs=speaker)

    def _measure_delay(self) -> None:
        captured_ms = self.receive.last_capture_ms
        offset = self.peer.clock_offset
        if captured_ms is None or offset is None:
            return
        captured_at = self.peer.session_start + captured_ms / 1000 - offset
        self.delay_ms = max(0.0, (self.receive.last_pull_at + self.sink_latency() - captured_at) * 1000)

    def _mark(self, now: float) -> _Mark:
        counters = self.receive.buffer.counters
        decoded = self.playout.decoded if self.playout else 0
        return _Mark(
            now,
            self.peer.tx_bytes,
            self.peer.rx_bytes,
            self.cpu_s(),
            decoded,
            counters.played,
            counters.concealed,
        )

    def _between(self, a: _Mark, b: _Mark) -> Figures:
        seconds = max(b.at - a.at, LEAST_S)
        pulled = b.played + b.concealed - a.played - a.concealed
        size = self.playout.size if self.playout else None
        rtt, dropped = self.peer.rtt, self.dropped()
        return Figures(
            rtt_ms=None if rtt is None else round(rtt * 1000, 2),
            jitter_ms=round(self.receive.stats.jitter_s * 1000, 2),
            audio_delay_ms=None if self.delay_ms is None else round(self.delay_ms, 1),
            concealed=round((b.concealed - a.concealed) / pulled, 4) if pulled else 0.0,
            recovered=self.receive.buffer.counters.recovered,
            tx_kbps=round((b.tx_bytes - a.tx_bytes) * 8 / 1000 / seconds, 1),
            rx_kbps=round((b.rx_bytes - a.rx_bytes) * 8 / 1000 / seconds, 1),
            video_fps=round((b.decoded - a.decoded) / seconds, 1),
            video_size=None if size is None else f"{size[0]}x{size[1]}",
            cpu=round((b.cpu_s - a.cpu_s) / seconds, 4),
            dropped=dropped.total(),
            drops=dict(dropped),
            frames_shown=self.playout.shown if self.playout else 0,
            underruns=self.counts.underruns,
            mic_stale_ms=round(1000 * self.counts.stale_samples / SAMPLE_RATE_HZ),
        )


def media_drops(receive: AudioReceive, video: VideoPath | None) -> Counter[str]:
    """What came for sound and picture and was of no use, by reason."""
    sound = receive.buffer.counters
    return Counter(
        malformed=receive.malformed + (video.malformed if video else 0),
        late=sound.late + sound.skipped,
        unlikely=sound.rejected,
        unwanted=video.unwanted if video else 0,
    )


def in_words(figures: Figures, profile: str) -> dict[str, str]:
    """The statistics box: label -> value; `profile` is what voice is sent for."""

    def ms(value: float | None) -> str:
        return "not measured yet" if value is None else f"{value:.0f} ms"

    def level(dbfs: float | None) -> str:
        return "no sound" if dbfs is None or dbfs <= LOWEST_DBFS else f"{dbfs:.0f} dB"

    size, rate = figures.video_size, figures.video_fps
    return {
        "round trip": ms(figures.rtt_ms),
        "sound delay": ms(figures.audio_delay_ms),
        "lost": f"{figures.loss:.1%} of the sound",
        "repaired": f"{figures.recovered} pieces so far",
        "made up": f"{figures.concealed:.1%} of the sound",
        "jitter": ms(figures.jitter_ms),
        "microphone": level(figures.mic_dbfs),
        "speaker": level(figures.speaker_dbfs),
        "profile": profile,
        "sent": f"{figures.tx_kbps:.0f} kb/s",
        "received": f"{figures.rx_kbps:.0f} kb/s",
        "picture": f"{size}, {rate:.0f} a second" if size else "none received",
        "processor": f"{figures.cpu:.0%} of one core",
    }
