"""Sound for tests: a sample that is like speech, WAV files, and how alike two recordings are.

Samples are numpy arrays of float64 in -1..1 at 48 kHz, mono. `speech` is made by a formant synthesizer
(voiced and unvoiced sounds, pitch contour, syllables, pauses), the same on every machine; nothing has to be
installed. It is no language, but it has speech's band, envelope and pauses, which is what codecs, jitter
buffers and PESQ look at.
"""

import importlib
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
Samples = NDArray[np.float64]

VOWELS: dict[str, tuple[float, float, float]] = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    "m": (250, 1100, 2100),
}
"""Sound -> its first three formants in Hz (Peterson and Barney 1952; `m` is a hum)."""

HISS: dict[str, tuple[float, float]] = {
    "s": (4500, 8000),
    "f": (1500, 7000),
    "h": (800, 3000),
    "t": (2500, 6000),
}
"""Sound -> its band of noise in Hz."""

TEXT = "sa me to fi ha no, tu le si ma he ro. fo si te na mu sa hi, ta me fu so li ha."
PITCH_HZ = 118.0
ROOM = 0.001
"""-60 dB."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a sound was found in a recording: seconds from the start, and how alike they are (0..1)."""

    lag_s: float
    likeness: float


def _voiced(formants: tuple[float, float, float], pitch: Samples, phase: float) -> tuple[Samples, float]:
    """A vowel: a pulse train of this pitch through three resonances. Gives the phase to go on from."""
    phases = phase + np.cumsum(pitch) / RATE
    pulses = np.diff(np.floor(np.concatenate([[phase], phases])))
    ring = np.arange(int(0.03 * RATE)) / RATE
    out = np.zeros_like(pulses)
    for formant, width, gain in zip(formants, (80.0, 100.0, 140.0), (1.0, 0.6, 0.35), strict=True):
        resonance = np.exp(-np.pi * width * ring) * np.sin(2 * np.pi * formant * ring)
        out += gain * width / formant * _convolve(pulses, resonance)[: len(pulses)]
    return out / (np.max(np.abs(out)) + 1e-9), float(phases[-1])


def _convolve(first: Samples, second: Samples) -> Samples:
    """The whole convolution, by FFT."""
    length = len(first) + len(second) - 1
    size = 1 << (length - 1).bit_length()
    product = np.fft.rfft(first, size) * np.fft.rfft(second, size)
    return np.asarray(np.fft.irfft(product, size)[:length], np.float64)


def _hiss(band: tuple[float, float], length: int, chance: np.random.Generator) -> Samples:
    spectrum = np.fft.rfft(chance.standard_normal(length))
    hertz = np.fft.rfftfreq(length, 1 / RATE)
    spectrum[(hertz < band[0]) | (hertz > band[1])] = 0
    shaped = np.fft.irfft(spectrum, length)
    return np.asarray(shaped / (np.max(np.abs(shaped)) + 1e-9), np.float64)


def _envelope(length: int, attack_s: float, release_s: float) -> Samples:
    up, down = int(attack_s * RATE), int(release_s * RATE)
    envelope = np.ones(length)
    envelope[:up] = np.linspace(0, 1, up)
    envelope[-down:] *= np.linspace(1, 0, down)
    return envelope


def _syllables(text: str, seed: int) -> Iterator[Samples]:
    chance = np.random.default_rng(seed)
    phase, steps = 0.0, len(text)
    for step, letter in enumerate(text):
        fall = 1.15 - 0.3 * step / steps
        if letter in VOWELS:
            length = int(RATE * chance.uniform(0.13, 0.22))
            bend = np.sin(np.linspace(0, np.pi, length)) * chance.uniform(-0.06, 0.12)
            tone, phase = _voiced(VOWELS[letter], PITCH_HZ * fall * (1 + bend), phase)
            yield 0.5 * tone * _envelope(length, 0.015, 0.03)
        elif letter in HISS:
            length = int(RATE * chance.uniform(0.05, 0.09))
            yield 0.08 * _hiss(HISS[letter], length, chance) * _envelope(length, 0.01, 0.015)
        else:
            yield np.zeros(int(RATE * {",": 0.25, ".": 0.45}.get(letter, 0.03)))


def speech(seconds: float = 8.0, *, seed: int = 1) -> Samples:
    """Something like speech in a quiet room, of this length; another seed is another saying.

    No microphone gives what is exactly zero between two words; to such pauses Opus adds what PESQ-WB counts as
    heavily as a lost word, in half of the ways that the frames may fall.
    """
    lead = np.zeros(int(0.3 * RATE))
    parts, length, saying = [lead], len(lead), seed * 1000
    while length < seconds * RATE:
        for part in _syllables(TEXT, saying):
            parts.append(part)
            length += len(part)
        saying += 1
    whole: Samples = np.concatenate(parts)[: int(seconds * RATE)]
    whole[-1200:] *= np.linspace(1, 0, 1200)
    room: Samples = ROOM * np.random.default_rng(seed).standard_normal(len(whole))
    return whole + room


def speech_wav(path: Path, seconds: float = 8.0, *, seed: int = 1) -> Path:
    """Write `speech` to a WAV file."""
    return write_wav(path, speech(seconds, seed=seed))


def to_pcm(samples: Samples) -> bytes:
    """Signed 16-bit little-endian, as on the pipes of the program."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes()


def from_pcm(data: bytes) -> Samples:
    """The reverse; an odd byte at the end is dropped."""
    return np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.float64) / 32768


def write_wav(path: Path, samples: Samples) -> Path:
    """Write a mono WAV file of 48 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(to_pcm(samples))
    return path


def read_wav(path: Path) -> Samples:
    """Read a WAV file of 48 kHz and 16 bits; of several channels, the first."""
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getsampwidth()) != (RATE, 2):
            raise ValueError(f"{path}: {file.getframerate()} Hz, {8 * file.getsampwidth()} bits")
        return from_pcm(file.readframes(file.getnframes())).reshape(-1, file.getnchannels())[:, 0]


def rms(samples: Samples) -> float:
    """Root of the mean square; 0 of nothing."""
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def find(sound: Samples, recording: Samples) -> Match:
    """Where the sound is best found in the recording (normalised correlation; the sign does not matter)."""
    if len(recording) < len(sound):
        recording = np.concatenate([recording, np.zeros(len(sound) - len(recording))])
    products = _convolve(recording, sound[::-1])[len(sound) - 1 : len(recording)]
    power = np.concatenate([[0.0], np.cumsum(recording**2)])
    window = power[len(sound) :] - power[: -len(sound)]
    scale = np.sqrt(np.maximum(window, 1e-3 * window.max() + 1e-12) * np.sum(sound**2))
    likeness = np.abs(products) / scale
    best = int(np.argmax(likeness))
    return Match(best / RATE, float(likeness[best]))


def follow(sound: Samples, recording: Samples, *, window_s: float = 0.5, slack_s: float = 0.4) -> list[Match]:
    """The sound window by window: where each was heard (`lag_s`: delay of the window), and how alike.

    For a way on which time may be stretched or a frame lost, where the sound as a whole fits nowhere. Windows
    that are nearly silent are left out.
    """
    size, slack = int(window_s * RATE), int(slack_s * RATE)
    padded = np.concatenate([np.zeros(slack), recording, np.zeros(slack + len(sound))])
    votes = [
        find(sound[at : at + 4 * size], recording) for at in range(0, len(sound) - 4 * size + 1, 4 * size)
    ]
    starts = [match.lag_s - step * 4 * window_s for step, match in enumerate(votes)]
    delay = (
        starts[max(range(len(votes)), key=lambda step: votes[step].likeness)]
        if votes
        else find(sound, recording).lag_s
    )
    found = []
    for at in range(0, len(sound) - size + 1, size):
        window = sound[at : at + size]
        if rms(window) < 0.1 * rms(sound):
            continue
        start = max(0, at + int(delay * RATE))
        match = find(window, padded[start : start + size + 2 * slack])
        found.append(Match(match.lag_s + (start - slack - at) / RATE, match.likeness))
    return found


def aligned(sound: Samples, recording: Samples) -> Samples:
    """The part of the recording where the sound is, as long as the sound."""
    start = int(find(sound, recording).lag_s * RATE)
    part = recording[start : start + len(sound)]
    return np.concatenate([part, np.zeros(len(sound) - len(part))])


def _to_16_khz(samples: Samples) -> NDArray[np.float32]:
    """Every third sample of what is left below 7.6 kHz."""
    steps = np.arange(-120, 121)
    lowpass = np.sinc(2 * 7_600 / RATE * steps) * np.hamming(len(steps))
    return _convolve(samples, lowpass / lowpass.sum())[120 : 120 + len(samples) : 3].astype(np.float32)


def pesq_wideband(sound: Samples, recording: Samples) -> float:
    """PESQ-WB (P.862.2) of the recording against the sound, aligned first; 4.64 is the best there is.

    Needs PyPI's `pesq`, which has no types, hence the import by name.
    """
    pesq = importlib.import_module("pesq").pesq
    return float(pesq(16_000, _to_16_khz(sound), _to_16_khz(aligned(sound, recording)), "wb"))


def pesq_of_pieces(sound: Samples, recording: Samples, *, piece_s: float = 1.5) -> list[float]:
    """`pesq_wideband` of each piece of the sound, wherever in the recording it is found."""
    size = int(piece_s * RATE)
    starts = range(0, len(sound) - size + 1, size)
    return [round(pesq_wideband(sound[at : at + size], recording), 2) for at in starts]
