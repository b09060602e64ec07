"""Voice of one call, received: payloads to what the speaker plays.

The speaker is the playout clock: it calls in when it wants some ticks, in the loop's thread. What is decoded beyond
that waits here for the next time. Nothing here waits otherwise, and nothing here decides about jitter: that is `media`.
"""

from collections.abc import Callable
from functools import cache
from math import hypot, sqrt
from struct import Struct
from typing import Final

from p2pcall.codec.opus import OpusDecoder
from p2pcall.media import constants as media
from p2pcall.media.comfort import STILL, ComfortNoise, faded_in
from p2pcall.media.jitter import Conceal, JitterBuffer, Lengthen, Play, PlayoutAction, Shorten
from p2pcall.media.packets import parse_audio
from p2pcall.media.pauses import Pauses
from p2pcall.media.stats import ReceiveStats
from p2pcall.media.stretch import lengthen, shorten

LOUDNESS_STEP: Final = 4
"""Every fourth sample is enough to tell how loud a frame is. (numpy takes all of them in 80 µs where its code is in no
cache, as it is but once in 20 ms; this takes 30.)"""
BYTES_PER_MS: Final = media.TICK_BYTES // media.TICK_MS
BEFORE_BYTES: Final = media.FRAME_BYTES
"""Of what was played last, in which a period is looked for when there shall be more of them."""


class AudioReceive:
    """Takes audio payloads, gives the speaker its sound."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._decoder = OpusDecoder()
        self._jitter = JitterBuffer()
        self._pauses = Pauses()
        self._noise = ComfortNoise()
        self._ready = b""
        self._before = self._played = b""
        self._silent = False
        self._capture_ms: int | None = None
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
    def ready_ms(self) -> float:
        """Decoded, and not yet handed to the speaker."""
        return len(self._ready) / BYTES_PER_MS

    @property
    def last_capture_ms(self) -> float | None:
        """Sender's session clock at the end of what the speaker took last."""
        return None if self._capture_ms is None else self._capture_ms - self.ready_ms

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
            self._jitter.insert(tick, ticks, frame, capture_ms, now, recovered)

    def pull(self, samples: int) -> bytes:
        """The next so many samples for the speaker."""
        now = self.last_pull_at = self._clock()
        size, ready = samples * media.SAMPLE_BYTES, self._ready
        have = len(ready)
        while have < size:
            step = self._jitter.pull(now, have // media.SAMPLE_BYTES, samples, quiet=self._pauses.quiet)
            ready = self._render(step, ready)
            have = len(ready)
        if have == size:
            pcm, self._ready = ready, b""
        else:
            pcm, self._ready = ready[:size], ready[size:]
        self._before, self._played = self._played, pcm
        return pcm

    def _render(self, step: PlayoutAction, ready: bytes) -> bytes:
        """What is ready and what comes after it."""
        if isinstance(step, Play):
            pcm = self._decode(step.frame, step.capture_ms)
            return ready + pcm if ready else pcm
        if isinstance(step, Conceal):
            return ready + self._decoder.conceal(step.ticks)
        if isinstance(step, Lengthen):
            pcm = ready + self._decode(step.frame, step.capture_ms)
            before = (self._before + self._played)[-BEFORE_BYTES:]
            pcm, added = lengthen(before, pcm, step.most, -1.0 if self._pauses.quiet else step.likeness)
            self._jitter.stretched(added)
            return pcm
        if isinstance(step, Shorten):
            pcm = ready + b"".join([self._decode(frame, step.capture_ms) for frame in step.frames])
            pcm, removed = shorten(pcm, step.most, -1.0 if self._pauses.quiet else step.likeness)
            self._jitter.stretched(-removed)
            return pcm
        return ready + self._quiet(step.since)

    def _quiet(self, since: int | None) -> bytes:
        """A tick in which nothing comes."""
        if since is None or since >= media.JITTER_NOISE_TICKS:
            return STILL
        self._silent = True
        made_up = self._decoder.conceal(1) if since < media.JITTER_FADE_TICKS else STILL
        return self._noise.tick(self._pauses.level, since, made_up)

    def _decode(self, frame: bytes, capture_ms: int) -> bytes:
        pcm = self._decoder.decode(frame)
        self._capture_ms = capture_ms
        size = len(pcm)
        unpack, root = _some_samples(size)
        self._pauses.heard(hypot(*unpack(pcm)) / root, size // media.TICK_BYTES)
        if not self.playing:
            self.playing = True
            if self.on_first_play is not None:
                self.on_first_play()
        if self._silent:
            self._silent = False
            return faded_in(pcm)
        return pcm


@cache
def _some_samples(size: int) -> tuple[Callable[[bytes], tuple[int, ...]], float]:
    """Takes them out of PCM of so many bytes, and the root of how many they are; a decoder gives but a few lengths."""
    count = size // (2 * LOUDNESS_STEP)
    return Struct("<" + f"h{2 * (LOUDNESS_STEP - 1)}x" * count).unpack, sqrt(count)
