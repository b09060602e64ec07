"""How long sound takes from a microphone to a speaker of virtual cards.

    with tapped(pulse, "mic_a", "spk_b") as (said, heard):
        ...
        way = travelled(said, heard)

Two recorders tell nothing about time by what they recorded: each begins when it likes. So a tap remembers when its
samples came; the earliest that any of them ever was tells when the first one was recorded, but for the recorder's own
delay, which is the same for both and falls out of the difference.
"""

import contextlib
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Self

import numpy as np
import sound
from pulse import PulseServer, Sink

LATENCY_MS = 10


class Tap:
    """What a sink plays, from now on, and when."""

    def __init__(self, pulse: PulseServer, sink: Sink) -> None:
        argv = ["parec", "--raw", f"--device={sink}.monitor", "--format=s16le", f"--rate={sound.RATE}"]
        argv += ["--channels=1", f"--latency-msec={LATENCY_MS}"]
        self._process = subprocess.Popen(argv, env=os.environ | pulse.env(), stdout=subprocess.PIPE)
        assert self._process.stdout is not None, "a pipe was asked for"
        self._data = bytearray()
        self._start = float("inf")
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=[self._process.stdout], name=f"tap-{sink}")
        self._thread.start()
        self.wait_more(0)

    def _read(self, pipe: IO[bytes]) -> None:
        while data := os.read(pipe.fileno(), 65536):
            now = time.monotonic()
            with self._changed:
                self._data += data
                self._start = min(self._start, now - len(self._data) / 2 / sound.RATE)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_more(self, seconds: float) -> None:
        """Wait until this much has been played from now on, and anything at all."""
        with self._changed:
            size = len(self._data) + max(2, int(2 * seconds * sound.RATE))
            self._changed.wait_for(lambda: len(self._data) >= size or self._ended)

    @property
    def samples(self) -> sound.Samples:
        """All that came so far."""
        return sound.from_pcm(bytes(self._data))

    @property
    def start(self) -> float:
        """When the first sample was recorded (monotonic clock, and the recorder's delay)."""
        return self._start

    def close(self) -> None:
        self._process.terminate()
        self._thread.join()
        assert self._process.stdout is not None, "a pipe was asked for"
        self._process.stdout.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def tapped(pulse: PulseServer, *sinks: Sink) -> Iterator[list[Tap]]:
    """Taps on several sinks."""
    with contextlib.ExitStack() as taps:
        yield [taps.enter_context(Tap(pulse, sink)) for sink in sinks]


WINDOW_S = 0.2
"""Short enough to find speech again of which a frame was left out here and there, to catch up."""
LOUD = 0.02


@dataclass(frozen=True, slots=True)
class Way:
    """What became of a sound on its way: its delay and how alike it still is, both medians over its windows."""

    delay_s: float
    likeness: float


def travelled(said: Tap, heard: Tap) -> Way:
    """How the sound of one tap came to the other."""
    samples = said.samples
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    first, last = int(loud[0]), int(loud[-1])
    matches = sound.follow(samples[first:last], heard.samples, window_s=WINDOW_S)
    lag = statistics.median(match.lag_s for match in matches)
    likeness = statistics.median(match.likeness for match in matches)
    return Way(heard.start + lag - said.start - first / sound.RATE, likeness)
