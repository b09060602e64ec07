"""What the tests of devices share: virtual time, and PCM that can be told apart."""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from p2pcall.device.base import AudioSink

FRAME_BYTES = 1_920
SILENCE = bytes(FRAME_BYTES)


class FakeTimer:
    """What `call_at` gives back."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeScheduler:
    """A scheduler whose time moves by `advance` only; calls from threads are run by `run_posted`."""

    def __init__(self) -> None:
        self.now = 100.0
        self._timers: list[tuple[float, int, FakeTimer, Callable[..., object]]] = []
        self._order = itertools.count()
        self._posted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._changed = threading.Condition()
        self.closed = False

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], /) -> FakeTimer:
        timer = FakeTimer()
        heapq.heappush(self._timers, (when, next(self._order), timer, callback))
        return timer

    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> object:
        if self.closed:
            raise RuntimeError("the loop is closed")
        with self._changed:
            self._posted.append((callback, args))
            self._changed.notify_all()
        return None

    @property
    def posted(self) -> int:
        return len(self._posted)

    def run_posted(self, *, wait: bool = False) -> None:
        """Runs what threads have posted; with `wait`, waits for something to be posted first."""
        with self._changed:
            if wait and not self._changed.wait_for(lambda: self._posted, 10):
                raise AssertionError("nothing was posted")
        while self._posted:
            callback, args = self._posted.popleft()
            callback(*args)

    def advance(self, seconds: float) -> None:
        """Moves time on and fires what is due on the way, each at its time."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end + 1e-9:
            when, _, timer, callback = heapq.heappop(self._timers)
            if not timer.cancelled:
                self.now = max(self.now, when)
                callback()
        self.now = max(self.now, end)

    def jump(self, seconds: float) -> None:
        """Moves time on at once, as if the process had stood still."""
        self.now += seconds

    @property
    def timers(self) -> int:
        return sum(not timer.cancelled for _, _, timer, _ in self._timers)


def numbered(n: int) -> bytes:
    """A frame full of the sample value `n`."""
    return np.full(FRAME_BYTES // 2, n, dtype="<i2").tobytes()


def tone(seconds: float, hz: float = 440.0, rate: int = 48_000, level: float = 0.3) -> bytes:
    samples = np.arange(int(seconds * rate))
    return (level * 32_767 * np.sin(2 * np.pi * hz * samples / rate)).astype("<i2").tobytes()


def loudest_hz(pcm: bytes, rate: int = 48_000) -> float:
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def rms(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, dtype="<i2").astype(float) ** 2)))


def eventually(true: Callable[[], object]) -> None:
    """Looks again and again until it is so: for what another thread does and tells nobody."""
    pause, deadline = threading.Event(), time.monotonic() + 20
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("it never came to be")
        pause.wait(0.001)


def ended(sink: AudioSink) -> None:
    """Stopped, and what it has written completed."""
    sink.stop()
    sink.complete()
