"""Voice of one call, received: payloads to speaker frames.

The speaker is the playout clock: it calls in once per frame, in the loop's thread. Nothing here waits, and nothing here
decides about jitter: that is `media`.
"""

from collections.abc import Callable
from math import hypot, sqrt
from struct import Struct
from typing import Final

from p2pcall.codec.opus import OpusDecoder
from p2pcall.device.base import SILENT_FRAME
from p2pcall.media import constants as media
from p2pcall.media.jitter import Conceal, JitterBuffer, Merge, Play, PlayoutAction, Silence
from p2pcall.media.packets import parse_audio
from p2pcall.media.pauses import Pauses
from p2pcall.media.stats import ReceiveStats
from p2pcall.media.stretch import merge

LOUDNESS_SAMPLES: Final = media.FRAME_SAMPLES // media.MERGE_SEARCH_STEP
_EVERY_FOURTH: Final = Struct("<" + f"h{2 * (media.MERGE_SEARCH_STEP - 1)}x" * LOUDNESS_SAMPLES)
"""Samples enough to tell how loud a frame is. (numpy takes all of them in 80 µs where its code is in no cache, as it is
but once in 20 ms; this takes 30.)"""

_FRAME_TICKS: Final = media.FRAME_MS // media.TICK_MS


class AudioReceive:
    """Takes audio payloads, gives speaker frames."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._decoder = OpusDecoder()
        self._jitter = JitterBuffer()
        self._pauses = Pauses()
        self._last_capture_ms: int | None = None
        self.stats = ReceiveStats()
        self.malformed = 0
        self.last_pull_at = 0.0
        """When the speaker took its last frame."""
        self.playing = False
        """A real frame (not silence or concealment) has been handed to the speaker."""
        self.on_first_play: Callable[[], None] | None = None

    @property
    def buffer(self) -> JitterBuffer:
        """The jitter buffer, for its counters."""
        return self._jitter

    @property
    def next_tick(self) -> int:
        """What is played next."""
        return self._jitter.next_seq * _FRAME_TICKS

    @property
    def last_capture_ms(self) -> int | None:
        """Sender's session clock at the end of the frame played last."""
        return self._last_capture_ms

    def on_payload(self, data: bytes) -> None:
        """One payload of the audio channel; a malformed one is counted and dropped."""
        packet = parse_audio(data)
        if packet is None:
            self.malformed += 1
            return
        now = self._clock()
        frames = packet.frames()
        self.stats.on_packet(packet.tick, frames[0].ticks, packet.capture_ms, now)
        for tick, ticks, frame, capture_ms, recovered in frames:
            if ticks == _FRAME_TICKS:
                self._jitter.insert(tick // _FRAME_TICKS, frame, capture_ms, now, recovered)

    def pull(self) -> bytes:
        """The next 20 ms for the speaker."""
        self.last_pull_at = self._clock()
        pcm = self._render(self._jitter.pull(self.last_pull_at, quiet=self._pauses.quiet))
        self._pauses.played(_rms(pcm))
        return pcm

    def _render(self, step: PlayoutAction) -> bytes:
        match step:
            case Play():
                self._played(step.capture_ms)
                return self._decoder.decode(step.frame)
            case Merge():
                self._played(step.capture_ms)
                return merge(self._decoder.decode(step.first), self._decoder.decode(step.second))
            case Conceal():
                return self._decoder.conceal()
            case Silence():
                return SILENT_FRAME

    def _played(self, capture_ms: int) -> None:
        self._last_capture_ms = capture_ms
        if not self.playing:
            self.playing = True
            if self.on_first_play is not None:
                self.on_first_play()


def _rms(pcm: bytes) -> float:
    """How loud a frame is: 0 to 32,768."""
    return hypot(*_EVERY_FOURTH.unpack(pcm)) / sqrt(LOUDNESS_SAMPLES)
