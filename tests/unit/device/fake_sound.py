"""A sounddevice of our own: its cards, streams whose callbacks are called by the test, a server that may hang."""

import threading
from collections.abc import Callable
from typing import Any

from device_helpers import FakeScheduler, eventually, numbered

from p2pcall.device import audio, buffer_depth
from p2pcall.device.base import AudioSink, AudioSource
from p2pcall.device.factory import open_audio_sink


class FakeError(Exception):
    """PortAudio's."""


class Times:
    def __init__(self, current: float, adc: float, dac: float) -> None:
        self.currentTime, self.inputBufferAdcTime, self.outputBufferDacTime = current, adc, dac


class Status:
    input_overflow = False
    output_underflow = False


class RanDry(Status):
    output_underflow = True


class FakeStream:
    """A stream whose callbacks are called by the test."""

    def __init__(self, sound: "FakeSound", kind: str, **options: Any) -> None:
        self.sound, self.kind, self.options = sound, kind, options
        self.latency = options["latency"] if options["latency"] != "low" else 0.01
        self.started = self.closed = self.drained = False
        self.turn = 0
        if sound.fail_open or (sound.fail_deep and options["latency"] != "low"):
            raise FakeError("Device unavailable [PaErrorCode -9985]")
        sound.streams.append(self)

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
        if self.started and not self.closed:
            self.options["finished_callback"]()
        self.closed = True

    def capture(self, samples: bytes, status: Any = Status, late: float = 0.0) -> None:
        length = len(samples) // 2 / self.options["channels"] / 48_000
        self.options["callback"](samples, round(length * 48_000), Times(9 + length + late, 9, 0), status)

    def play(self, blocks: int = 1, status: Any = Status) -> bytes:
        """The card asks for so many blocks in one turn."""
        out = bytearray(audio.BLOCK_BYTES * self.options["channels"])
        got = b""
        self.turn += 1
        times = Times(9 + self.turn, 0, 9.002 + self.turn + self.latency)
        for _ in range(blocks):
            self.options["callback"](out, audio.BLOCK_SAMPLES, times, status)
            got += bytes(out)
        return got


class FakeSound:
    """Stands in for the module."""

    PortAudioError = FakeError

    def __init__(self, rows: list[tuple[str, int, int]]) -> None:
        self.hangs: str | None = None
        self.stuck, self.well = threading.Event(), threading.Event()
        self.rows = rows
        self.streams: list[FakeStream] = []
        self.fail_open = self.fail_start = self.fail_deep = False
        self.mono = True
        self.api = "Core Audio"
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

    def query_hostapis(self, index: int) -> dict[str, str]:
        assert index == 0
        return {"name": self.api}

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


def playing(sound: FakeSound, scheduler: FakeScheduler) -> tuple[AudioSink, FakeStream]:
    """A speaker that has played for long enough for what happens to count."""
    speaker = open_audio_sink("default", scheduler)
    stream = started(speaker, lambda: numbered(7), sound)
    for _ in range(round(1.2 * buffer_depth.CARD_SETTLE_S / audio.BLOCK_S)):
        scheduler.now += audio.BLOCK_S
        stream.play()
        scheduler.run_posted()
    return speaker, stream
