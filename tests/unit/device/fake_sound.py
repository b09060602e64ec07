"""A sounddevice of our own: its cards, streams that the test plays and fills, a server that may hang."""

import threading
from collections.abc import Callable
from typing import Any

from device_helpers import FakeScheduler, eventually

from p2pcall.device import fill
from p2pcall.device.audio import Speaker
from p2pcall.device.base import AudioSink, AudioSource
from p2pcall.device.factory import open_audio_sink
from p2pcall.device.pace import CardPolls


class FakeError(Exception):
    """PortAudio's."""


class FakeStream:
    """A stream that has and takes what the test says."""

    def __init__(self, sound: "FakeSound", kind: str, **options: Any) -> None:
        self.sound, self.kind, self.options = sound, kind, options
        self.latency = options["latency"]
        self.started = self.closed = self.drained = self.gone = False
        self.captured = b""
        self.capacity = round((self.latency + 0.01) * 48_000)
        self.waiting = b""
        self.played = bytearray()
        self.ran_dry = self.told_dry = 0
        if sound.fail_open or (sound.one_stream and any(not stream.closed for stream in sound.streams)):
            raise FakeError("Device unavailable [PaErrorCode -9985]")
        sound.streams.append(self)

    @property
    def _frame(self) -> int:
        return 2 * int(self.options["channels"])

    def start(self) -> None:
        if self.sound.fail_start:
            raise FakeError("Unanticipated host error [PaErrorCode -9999]")
        self.started = True

    def stop(self, ignore_errors: bool = True) -> None:
        """Plays what it has."""
        self.drained = True

    def close(self, ignore_errors: bool = True) -> None:
        assert ignore_errors
        self.sound.may_hang("close")
        self.closed = True

    def _check(self) -> None:
        assert not self.closed, "a closed stream is not to be touched"
        if self.gone:
            raise FakeError("Unanticipated host error [PaErrorCode -9999]")

    @property
    def read_available(self) -> int:
        self._check()
        return len(self.captured) // self._frame

    def read(self, count: int) -> tuple[bytes, bool]:
        self._check()
        assert 0 < count * self._frame <= len(self.captured), "it would wait"
        got, self.captured = self.captured[: count * self._frame], self.captured[count * self._frame :]
        return got, False

    @property
    def write_available(self) -> int:
        self._check()
        return self.capacity - len(self.waiting) // self._frame

    def write(self, pcm: bytes) -> bool:
        assert len(pcm) // self._frame <= self.write_available, "it would wait"
        self.waiting += pcm
        dry, self.told_dry = self.ran_dry > self.told_dry, self.ran_dry
        return dry

    def play(self, seconds: float) -> bytes:
        """The card takes so much; what it has not is silence."""
        size = round(seconds * 48_000) * self._frame
        got, self.waiting = self.waiting[:size], self.waiting[size:]
        self.ran_dry += len(got) < size and bool(self.played)
        self.played += got.ljust(size, b"\0")
        return got.ljust(size, b"\0")


class FakeSound:
    """Stands in for the module."""

    PortAudioError = FakeError

    def __init__(self, rows: list[tuple[str, int, int]]) -> None:
        self._libname = ""
        self.hangs: str | None = None
        self.stuck, self.well = threading.Event(), threading.Event()
        self.rows = rows
        self.streams: list[FakeStream] = []
        self.fail_open = self.fail_start = self.one_stream = False
        self.mono = True
        self.restarts = 0
        self.after_restart: list[tuple[str, int, int]] | None = None

    def may_hang(self, where: str) -> None:
        """A sound server that does not answer here until it is `well`."""
        if self.hangs == where:
            self.stuck.set()
            assert self.well.wait(20)

    def query_devices(self, *, kind: str | None = None) -> Any:
        self.may_hang("look")
        rows = [
            {"name": name, "index": n, "max_input_channels": ins, "max_output_channels": outs, "hostapi": 0}
            for n, (name, ins, outs) in enumerate(self.rows)
        ]
        if kind is None:
            return rows
        for row in rows:
            if row[f"max_{kind}_channels"]:
                return row
        raise FakeError("Error querying device -1")

    def check_input_settings(self, *, device: int, channels: int, dtype: str, samplerate: int) -> None:
        assert (dtype, samplerate) == ("int16", 48_000)
        if (channels == 1 and not self.mono) or self.fail_open:
            raise FakeError("Invalid number of channels [PaErrorCode -9998]")

    check_output_settings = check_input_settings

    def RawInputStream(self, **options: Any) -> FakeStream:
        self.may_hang("open")
        return FakeStream(self, "in", **options)

    def RawOutputStream(self, **options: Any) -> FakeStream:
        return FakeStream(self, "out", **options)

    def _terminate(self) -> None:
        self.restarts += 1

    def _initialize(self) -> None:
        if self.after_restart is not None:
            self.rows = self.after_restart


ROWS = [("HDMI 0", 0, 8), ("Headset: USB Audio (hw:1,0)", 1, 2), ("Webcam mic", 2, 0), ("Webcam", 2, 0)]


def started(device: AudioSource | AudioSink, argument: Callable[..., Any], sound: FakeSound) -> FakeStream:
    before = len(sound.streams)
    device.start(argument)  # type: ignore[arg-type]
    eventually(lambda: len(sound.streams) > before and sound.streams[-1].started)
    eventually(lambda: not any("p2pcall-open" in thread.name for thread in threading.enumerate()))
    return sound.streams[-1]


def settled(
    sound: FakeSound, scheduler: FakeScheduler, polls: CardPolls | None = None
) -> tuple[Speaker, FakeStream]:
    """A speaker that has played for long enough for what happens to count."""
    speaker = open_audio_sink("default", scheduler, polls=polls)
    assert isinstance(speaker, Speaker)
    stream = started(speaker, lambda samples: b"\7\0" * samples, sound)
    run(scheduler, stream, 1.2 * fill.SETTLE_S)
    return speaker, stream


def run(scheduler: FakeScheduler, stream: FakeStream, seconds: float, step_s: float = fill.POLL_S) -> None:
    """Time passes for card and loop, which looks at it every `step_s`."""
    for _ in range(round(seconds / step_s)):
        stream.play(step_s)
        scheduler.jump(step_s)
        scheduler.advance(0)
