"""Did the sound arrive? Compares the speaker's input with the phrase that the other side sang."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from p2pcall.device.drawn.song import song_pcm

FRAMES_KEPT: Final = 1500
"""Thirty seconds of playout are enough to judge."""
WINDOW_SAMPLES: Final = 48_000
"""One second: each such part of the phrase is searched in the heard sound; the best match counts."""
CHECK_STEP_SAMPLES: Final = 24_000


class SoundCheck:
    """Collects playout frames; `likeness` is the median of the best normalised correlations of one-second windows."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []

    def heard(self, pcm: bytes) -> None:
        """One frame that went to the speaker."""
        if len(self._frames) < FRAMES_KEPT:
            self._frames.append(pcm)

    def likeness(self) -> float:
        """0 (unrelated) to 1 (equal samples). At our rates codecs keep the waveform; delay does not matter."""
        heard = np.frombuffer(b"".join(self._frames), dtype="<i2").astype(np.float64)
        sung = np.frombuffer(song_pcm(), dtype="<i2").astype(np.float64)
        looped = np.concatenate([sung, sung])
        found = [
            _best_match(heard[start : start + WINDOW_SAMPLES], looped)
            for start in range(0, heard.size - WINDOW_SAMPLES + 1, CHECK_STEP_SAMPLES)
        ]
        return float(np.median(found)) if found else 0.0


def _best_match(window: NDArray[np.float64], signal: NDArray[np.float64]) -> float:
    """Highest normalised cross-correlation of `window` with any stretch of `signal` of its length."""
    energy = float(np.sqrt(np.sum(window**2)))
    if energy == 0.0:
        return 0.0
    size = 1 << (signal.size + window.size - 1).bit_length()
    product = np.fft.rfft(signal, size) * np.conj(np.fft.rfft(window, size))
    correlation = np.fft.irfft(product, size)[: signal.size - window.size + 1]
    squares = np.concatenate([[0.0], np.cumsum(signal**2)])
    norms = np.sqrt(np.maximum(squares[window.size :] - squares[: -window.size], 1.0))
    return float(np.max(correlation / (norms * energy)))
