"""A test of microphone and speaker without a call: some seconds are recorded, judged, and played back.

Rules: what is recorded is in memory alone, and forgotten. A device that fails or stands still ends the test with its
error. The delay is what the devices say: from a sound to its frame, and from a frame to the ear. Leaves out what people
are told (`cli`).
"""

import asyncio
from collections.abc import Callable
from statistics import median
from typing import Final

from msgspec import Struct

from p2pcall.device.base import AudioSink, AudioSource, device_error
from p2pcall.errors import P2PCallError
from p2pcall.media.acoustic_constants import LEVEL_EVERY_S
from p2pcall.media.constants import SAMPLE_BYTES, SAMPLE_RATE_HZ
from p2pcall.media.levels import LevelMeter, judge, peak_dbfs
from p2pcall.media.levels import Verdict as Verdict

RECORD_S: Final = 3.0
"""A sentence."""
DEVICE_WAIT_S: Final = 10.0
"""For a device to begin and to end: cards say within seconds that they stand still."""
PCM_BYTES_A_S: Final = SAMPLE_BYTES * SAMPLE_RATE_HZ


class SoundFindings(Struct, frozen=True):
    """What was found. Levels in decibels to full scale."""

    verdict: Verdict
    level_dbfs: float
    peak_dbfs: float
    microphone_ms: float
    """From a sound to its frame."""
    speaker_ms: float
    """From a frame to the ear."""


class SoundTest:
    """`record`, then `play`, then `findings`."""

    def __init__(self, source: AudioSource, sink: AudioSink, on_level: Callable[[float], None]) -> None:
        """`on_level` is told how loud it is while it is recorded, five times a second."""
        self._source, self._sink, self._on_level = source, sink, on_level
        self._recorded = bytearray()
        self._levels: list[float] = []
        self._clipped = 0
        self._meter = LevelMeter()
        self._source_s: list[float] = []
        self._sink_s: list[float] = []

    async def record(self) -> None:
        """The microphone is open only while this lasts."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        told_at = loop.time()

        def captured(pcm: bytes, captured_at: float) -> None:
            nonlocal told_at
            self._recorded += pcm
            self._source_s.append(loop.time() - captured_at)
            self._meter.look(pcm)
            self._levels.append(self._meter.dbfs)
            self._clipped += self._meter.clipped
            if loop.time() - told_at >= LEVEL_EVERY_S:
                told_at = loop.time()
                self._on_level(self._meter.dbfs)
            if len(self._recorded) >= RECORD_S * PCM_BYTES_A_S and not done.done():
                done.set_result(None)

        self._source.on_error = _fails(done)
        try:
            self._source.start(captured)
            await _in_time(done, "microphone")
        finally:
            self._source.stop()

    async def play(self) -> None:
        """What was recorded, to its end."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        at = 0

        def pull(samples: int) -> bytes:
            nonlocal at
            size = samples * SAMPLE_BYTES
            pcm = bytes(self._recorded[at : at + size])
            at += size
            self._sink_s.append(self._sink.latency_s)
            if not pcm and not done.done():
                loop.call_later(self._sink.latency_s, lambda: None if done.done() else done.set_result(None))
            return pcm.ljust(size, b"\0")

        self._sink.on_error = _fails(done)
        try:
            self._sink.start(pull)
            await _in_time(done, "speaker")
        finally:
            self._sink.stop()

    def findings(self) -> SoundFindings:
        """After both."""
        settled = self._sink_s[len(self._sink_s) // 2 :]  # a card that starts takes some frames at once
        level = self._meter.interval()
        assert level is not None
        return SoundFindings(
            judge(self._levels, self._clipped),
            level,
            round(peak_dbfs(bytes(self._recorded)), 1),
            round(max(0.0, median(self._source_s)) * 1000, 1),
            round(median(settled) * 1000, 1),
        )


def _fails(done: "asyncio.Future[None]") -> Callable[[P2PCallError], None]:
    return lambda error: None if done.done() else done.set_exception(error)


async def _in_time(done: "asyncio.Future[None]", which: str) -> None:
    try:
        async with asyncio.timeout(RECORD_S + DEVICE_WAIT_S):
            await done
    except TimeoutError as error:
        hint = "restart the sound server, or take another of `p2pcall devices`"
        raise device_error("device-stalled", f"the {which} stands still", hint) from error
