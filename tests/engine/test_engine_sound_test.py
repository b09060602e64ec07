"""A test of microphone and speaker without a call, in virtual time, with devices that do what they should not, too."""

import asyncio
from array import array
from collections.abc import Callable
from itertools import repeat

import pytest
from virtual import run_virtual

from p2pcall.device.base import SILENT_FRAME, OnError, OnFrame, Scheduler, device_error
from p2pcall.device.files import PacedSource, tone_frames
from p2pcall.device.pace import Ticker
from p2pcall.engine.sound_test import RECORD_S, SoundFindings, SoundTest
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.acoustic_constants import LEVEL_EVERY_S
from p2pcall.media.constants import FRAME_BYTES, FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from p2pcall.media.levels import Verdict

LOUD = array("h", [32_767, -32_768] * (FRAME_SAMPLES // 2)).tobytes()
LATENCY_S = 0.05


class Played:
    """A speaker that keeps what it was given."""

    def __init__(self, loop: Scheduler) -> None:
        self.latency_s = LATENCY_S
        self.pcm = b""
        self.running = False
        self.on_error: OnError | None = None
        self._ticker = Ticker(loop)
        self._pull: Callable[[], bytes] | None = None

    def start(self, pull: Callable[[], bytes]) -> None:
        self.running, self._pull = True, pull
        self._ticker.join(self._tick)

    def _tick(self, _: float) -> None:
        assert self._pull is not None
        self.pcm += self._pull(960)

    def stop(self) -> None:
        if self.running:
            self._ticker.leave(self._tick)
        self.running = False

    def complete(self) -> None:
        """Nothing is written."""


class Broken:
    """A microphone that gives nothing, or fails a second later."""

    endless, held = True, False

    def __init__(self, error: P2PCallError | None) -> None:
        self._error = error
        self.stopped = 0
        self.on_end: Callable[[], None] | None = None
        self.on_error: OnError | None = None

    def start(self, on_frame: OnFrame) -> None:
        if self._error is not None:
            assert self.on_error is not None
            asyncio.get_running_loop().call_later(1.0, self.on_error, self._error)

    def stop(self) -> None:
        self.stopped += 1


def checked(frame: bytes | None) -> tuple[SoundFindings, list[float], bytes]:
    """With a microphone that gives this (None: a tone): what is found, the levels shown, what was played."""

    async def scene() -> tuple[SoundFindings, list[float], bytes]:
        loop = asyncio.get_running_loop()
        frames = tone_frames if frame is None else lambda: repeat(frame)
        levels: list[float] = []
        sink = Played(loop)
        test = SoundTest(PacedSource(frames, Ticker(loop)), sink, levels.append)
        begun = loop.time()
        await test.record()
        assert loop.time() - begun == pytest.approx(RECORD_S, abs=2 * FRAME_S)
        await test.play()
        assert not sink.running
        return test.findings(), levels, sink.pcm

    return run_virtual(scene)


def test_what_was_recorded_is_played_back_to_its_end() -> None:
    found, levels, played = checked(None)
    assert found.verdict is Verdict.GOOD
    assert len(levels) == pytest.approx(RECORD_S / LEVEL_EVERY_S, abs=2)
    assert found.speaker_ms == LATENCY_S * 1000
    recorded = 2 * SAMPLE_RATE_HZ * RECORD_S
    assert any(played[int(recorded) - FRAME_BYTES : int(recorded)])
    assert recorded <= len(played) <= recorded + 2 * SAMPLE_RATE_HZ * (LATENCY_S + 3 * FRAME_S)
    assert found.peak_dbfs > found.level_dbfs


@pytest.mark.parametrize(("frame", "verdict"), [(SILENT_FRAME, Verdict.SILENT), (LOUD, Verdict.CLIPPING)])
def test_a_microphone_that_gives_silence_or_full_scale_is_found(frame: bytes, verdict: Verdict) -> None:
    assert checked(frame)[0].verdict is verdict


@pytest.mark.parametrize(
    "error", [None, device_error("device-lost", "it went away")], ids=["hangs", "goes away"]
)
def test_a_microphone_that_gives_nothing_ends_the_test_and_is_closed(error: P2PCallError | None) -> None:
    async def scene() -> None:
        source = Broken(error)
        test = SoundTest(source, Played(asyncio.get_running_loop()), lambda _: None)
        with pytest.raises(P2PCallError) as caught:
            await test.record()
        assert caught.value.exit is ExitCode.DEVICE
        assert caught.value.slug == ("device-lost" if error else "device-stalled")
        assert source.stopped

    run_virtual(scene)
