"""A sung phrase, made by formant synthesis: the voice of the demo, without a sound file and without a sound
card.

Each note is a harmonic series at the pitch of a melody, its partials weighted by the resonances of a vowel,
with vibrato, glides, breath and a small room. Rules: the same samples on every run; the phrase
loops without a seam (the room's echo of its end is under its beginning); `mouth_at` tells the shape of the
mouth for a picture. Leaves out words: syllables only. Formants: Peterson and Barney, 1952, women's means.
"""

import math
from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct

from p2pcall.media.constants import FRAME_SAMPLES, PCM_MAX, SAMPLE_RATE_HZ

BEAT_S: Final = 0.42
PEAK: Final = 0.5
"""Of full scale: as loud as a close voice, 6 dB below the end."""
SYNTHESIS_STEP_SAMPLES: Final = 240
"""Pitch and vowel are worked out every 5 ms and interpolated."""
TOP_HZ: Final = 5_500
"""Partials above are left out; it sounds like a voice on a good line."""
VIBRATO_HZ: Final = 5.6
VIBRATO_DEPTH: Final = 0.012

FORMANTS_HZ: Final = {
    "a": (850, 1_220, 2_810, 3_800),
    "e": (610, 2_330, 2_990, 3_900),
    "i": (310, 2_790, 3_310, 4_000),
    "o": (590, 920, 2_710, 3_700),
    "u": (370, 950, 2_670, 3_700),
}
BANDWIDTHS_HZ: Final = (90, 120, 170, 260)
MOUTHS: Final = {"a": (1.0, 0.3), "e": (0.6, 0.0), "i": (0.35, 0.0), "o": (0.75, 0.9), "u": (0.4, 1.0)}
"""How far the mouth is open and how round it is, 0 to 1 each."""


class Syllable(Struct, frozen=True):
    """One syllable: consonant (`h`, `l`, `n` or none), vowel, semitones above C4, beats; no vowel: a rest."""

    consonant: str
    vowel: str
    pitch: int
    beats: float


MELODY: Final = (
    Syllable("h", "e", 7, 0.5),
    Syllable("l", "o", 12, 1.5),
    Syllable("h", "e", 9, 0.5),
    Syllable("l", "o", 7, 1.0),
    Syllable("", "", 0, 0.5),
    Syllable("n", "a", 4, 0.5),
    Syllable("n", "a", 5, 0.5),
    Syllable("n", "a", 7, 0.5),
    Syllable("l", "u", 9, 0.5),
    Syllable("l", "a", 7, 1.5),
    Syllable("", "", 0, 0.5),
    Syllable("h", "e", 9, 0.5),
    Syllable("l", "o", 7, 1.0),
    Syllable("l", "a", 5, 0.5),
    Syllable("l", "i", 2, 0.5),
    Syllable("l", "u", 0, 1.5),
    Syllable("", "", 0, 0.5),
)
BASS: Final = ((0, 4.0, (0, 4, 7)), (4.0, 4.0, (5, 9, 12)), (8.0, 2.5, (-5, 2, 7)), (10.5, 2.0, (0, 4, 7)))
"""Plucked chords under it: first beat, beats, semitones above C4."""

BEATS: Final = sum(note.beats for note in MELODY)
LENGTH_S: Final = BEATS * BEAT_S


def mouth_at(seconds: float) -> tuple[float, float]:
    """Openness and roundness of the mouth (0 to 1) at a time of the looped phrase."""
    beat = (seconds % LENGTH_S) / BEAT_S
    for note in MELODY:
        if beat < note.beats:
            if not note.vowel:
                return 0.0, 0.3
            wide, around = MOUTHS[note.vowel]
            inside = min(beat, note.beats - beat) * BEAT_S
            return wide * min(1.0, 0.25 + inside / 0.09), around
        beat -= note.beats
    return 0.0, 0.3


@cache
def song_pcm() -> bytes:
    """The phrase as 16-bit mono PCM at 48 kHz; a whole number of 20 ms frames."""
    frame = FRAME_SAMPLES
    count = round(LENGTH_S * SAMPLE_RATE_HZ / frame) * frame
    pitch_hz, level, breath, formants = _score(count)
    sound = _voice(count, pitch_hz, level, formants) + 0.05 * _breath(count, breath)
    sound += 0.16 * _plucks(count)
    sound = _room(sound)
    pcm: bytes = (sound * (PEAK * PCM_MAX / np.max(np.abs(sound)))).astype("<i2").tobytes()
    return pcm


def _score(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Per step: pitch in Hz, level of the voice, level of the breath, formants (step, 4) in Hz."""
    steps = count // SYNTHESIS_STEP_SAMPLES + 1
    times = np.arange(steps) * SYNTHESIS_STEP_SAMPLES / SAMPLE_RATE_HZ
    pitch = np.zeros(steps)
    level, breath = np.zeros(steps), np.zeros(steps)
    formants = np.tile(np.array(FORMANTS_HZ["a"], dtype=float), (steps, 1))
    start = 0.0
    for note in MELODY:
        end = start + note.beats * BEAT_S
        here = (times >= start) & (times < end)
        if note.vowel:
            since, left = times[here] - start, end - times[here]
            swell = 0.75 + 0.25 * np.sin(math.pi * np.clip(since / (end - start), 0, 1))
            onset = {"h": 0.07, "l": 0.05, "n": 0.06}.get(note.consonant, 0.03)
            murmur = {"l": 0.35, "n": 0.25}.get(note.consonant, 0.0)
            rise = np.clip(since / onset, 0, 1)
            level[here] = swell * (murmur + (1 - murmur) * rise**2) * np.clip(left / 0.04, 0, 1)
            breath[here] = (1.0 if note.consonant == "h" else 0.15) * np.exp(-since / 0.05) + 0.06
            vibrato = (
                VIBRATO_DEPTH * np.clip((since - 0.15) / 0.3, 0, 1) * np.sin(math.tau * VIBRATO_HZ * since)
            )
            pitch[here] = 261.63 * 2 ** (note.pitch / 12) * (1 + vibrato) * (1 - 0.03 * np.exp(-since / 0.03))
            vowel = np.array(FORMANTS_HZ[note.vowel], dtype=float)
            closed = np.array((300, 1_300, 2_600, 3_600), dtype=float)
            open_part = np.clip((since + 0.02) / 0.08, 0, 1)[:, None] if note.consonant != "h" else 1.0
            formants[here] = closed + (vowel - closed) * open_part
        start = end
    silent = pitch == 0
    pitch[silent] = np.interp(times[silent], times[~silent], pitch[~silent])
    return _smooth(pitch, 5), _smooth(level, 3), _smooth(breath, 3), formants


def _smooth(curve: np.ndarray, width: int) -> np.ndarray:
    padded = np.concatenate([curve[-width:], curve, curve[:width]])  # around the seam
    return np.convolve(padded, np.ones(width) / width, "same")[width:-width]


def _voice(count: int, pitch_hz: np.ndarray, level: np.ndarray, formants: np.ndarray) -> np.ndarray:
    at, every = np.arange(count, dtype=np.float32), np.arange(len(pitch_hz)) * SYNTHESIS_STEP_SAMPLES
    pitch = np.interp(at, every, pitch_hz)
    phase = np.cumsum(pitch) * (math.tau / SAMPLE_RATE_HZ)
    phase = np.mod(phase, math.tau).astype(np.float32)
    sound: np.ndarray = np.zeros(count, dtype=np.float32)
    for partial in range(1, int(TOP_HZ / pitch_hz.min()) + 1):
        hz = partial * pitch_hz
        gain = level * _resonance(hz, formants) * partial**-1.1 * np.clip((TOP_HZ - hz) / 800, 0, 1)
        sound += np.interp(at, every, gain).astype(np.float32) * np.sin(partial * phase)
    return sound


def _resonance(hz: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """How loud each frequency leaves the mouth."""
    total: np.ndarray = np.zeros_like(hz)
    for n, (width, weight) in enumerate(zip(BANDWIDTHS_HZ, (1.0, 0.7, 0.35, 0.2), strict=True)):
        total += weight / (1 + ((hz - formants[:, n]) / (1.6 * width)) ** 2)
    return total + 0.03


def _breath(count: int, level: np.ndarray) -> np.ndarray:
    white = np.random.Generator(np.random.PCG64(7)).standard_normal(count)
    noise: np.ndarray = white - 0.6 * np.roll(white, 1) + 0.3 * np.roll(white, 9)
    noise *= np.interp(np.arange(count), np.arange(len(level)) * SYNTHESIS_STEP_SAMPLES, level)
    return noise


def _plucks(count: int) -> np.ndarray:
    sound = np.zeros(count, dtype=np.float32)
    for first, beats, chord in BASS:
        for n, semitones in enumerate(chord * 2):
            start = int((first + n * beats / 6) * BEAT_S * SAMPLE_RATE_HZ)
            time = np.arange(SAMPLE_RATE_HZ, dtype=np.float32) / SAMPLE_RATE_HZ
            hz = 130.81 * 2 ** (semitones / 12)
            tone = np.sin(math.tau * hz * time) + 0.3 * np.sin(math.tau * 4 * hz * time) * np.exp(
                -time / 0.06
            )
            tone *= np.exp(-time / 0.25) * np.clip(time / 0.004, 0, 1)
            np.add.at(sound, (start + np.arange(SAMPLE_RATE_HZ)) % count, tone)
    return sound


def _room(sound: np.ndarray) -> np.ndarray:
    """A little room: convolution with decaying noise, around the seam."""
    length = SAMPLE_RATE_HZ // 3
    echo = np.random.Generator(np.random.PCG64(11)).standard_normal(length)
    echo *= np.exp(-np.arange(length) / (0.06 * SAMPLE_RATE_HZ))
    echo[: SAMPLE_RATE_HZ // 125] = 0
    echo = np.convolve(echo, np.ones(6) / 6, "same") * (0.16 / np.sqrt(np.sum(echo**2)))
    echo[0] = 1.0
    wet: np.ndarray = np.fft.irfft(np.fft.rfft(sound) * np.fft.rfft(echo, len(sound)), len(sound))
    return wet
