"""A loudspeaker and a microphone in a room, simulated, with WebRTC's real processing; seeded, no real time.

The room is an impulse response of noise that dies away within 0.3 s; voices are drawn: syllables of harmonics and of
hiss, which cancellers learn more slowly than speech. What must hold: what the far end hears of itself, that a voice
over its echo is still clear, and that the room is known for what it is.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from p2pcall.codec.voice_processing import voice_processing
from p2pcall.engine.loudspeaker import Loudspeaker
from p2pcall.media import constants as c

FULL = 32768.0
NOISE = FULL * 10 ** (-78 / 20)
VOICE_DB = -26.0
REVERBERATION_S = 0.3
SPEAKER_TICKS = 5
Samples = NDArray[np.float64]


def voice(seed: int, seconds: float, pitch_hz: float) -> Samples:
    """Somebody speaks: syllables of 80 to 250 ms, one of four a pause."""
    rng = np.random.default_rng(seed)
    parts: list[Samples] = []
    while sum(map(len, parts)) < seconds * c.SAMPLE_RATE_HZ:
        size = int(rng.uniform(0.08, 0.25) * c.SAMPLE_RATE_HZ)
        at = np.arange(size) / c.SAMPLE_RATE_HZ
        kind = rng.random()
        if kind < 0.25:
            sound = np.zeros(size)
        elif kind < 0.45:
            sound = np.diff(rng.normal(size=size + 1)) * 0.2
        else:
            pitch, formant = pitch_hz * rng.uniform(0.8, 1.25), rng.uniform(300, 2500)
            harmonics = np.arange(1, int(4000 / pitch))
            weights = np.exp(-(((harmonics * pitch - formant) / 500) ** 2)) + 0.3 / harmonics
            sound = (weights[:, None] * np.sin(2 * np.pi * pitch * np.outer(harmonics, at))).sum(axis=0)
        parts.append(sound * np.hanning(size) ** 0.3 * rng.uniform(0.3, 1.0))
    sound = np.concatenate(parts)[: int(seconds * c.SAMPLE_RATE_HZ)]
    return sound / np.sqrt(np.mean(sound**2)) * FULL * 10 ** (VOICE_DB / 20)


def echo_path(seed: int, delay_s: float, echo_db: float) -> Samples:
    size = int(REVERBERATION_S * c.SAMPLE_RATE_HZ)
    rng = np.random.default_rng(seed)
    tail = rng.normal(size=size) * np.exp(-6.9 * np.arange(size) / size)
    tail[0] = 4.0
    tail *= 10 ** (echo_db / 20) / np.sqrt(np.sum(tail**2))
    return np.concatenate([np.zeros(int(delay_s * c.SAMPLE_RATE_HZ)), tail])


def level_db(sound: Samples) -> float:
    return float(10 * np.log10(np.mean(sound**2) / FULL**2 + 1e-12))


@dataclass
class Room:
    """Goes on from where it stopped, so the room may change in between."""

    path: Samples
    loudspeaker: Loudspeaker = field(default_factory=lambda: Loudspeaker(voice_processing()))
    ticks: int = 0
    noise: float = NOISE
    _played: list[Samples] = field(default_factory=lambda: [np.zeros(c.TICK_SAMPLES)] * SPEAKER_TICKS)
    _ringing: Samples = field(default_factory=lambda: np.zeros(4 * c.SAMPLE_RATE_HZ))
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def run(self, far: Samples, near: Samples) -> Samples:
        """What is sent, as long as `far`."""
        sent = []
        for at in range(0, len(far) - c.TICK_SAMPLES + 1, c.TICK_SAMPLES):
            now = self.ticks * c.TICK_S
            here = slice(at, at + c.TICK_SAMPLES)
            pcm = np.clip(far[here], -FULL, FULL - 1).astype("<i2").tobytes()
            played = self.loudspeaker.far(pcm, now + SPEAKER_TICKS * c.TICK_S)
            self._played.append(np.frombuffer(played, "<i2").astype(float))
            size = 1 << (len(self.path) + c.TICK_SAMPLES).bit_length()
            echo = np.fft.irfft(np.fft.rfft(self._played.pop(0), size) * np.fft.rfft(self.path, size))
            self._ringing[:size] += echo
            heard = (
                self._ringing[: c.TICK_SAMPLES] + near[here] + self._rng.normal(0, self.noise, c.TICK_SAMPLES)
            )
            self._ringing = np.concatenate([self._ringing[c.TICK_SAMPLES :], np.zeros(c.TICK_SAMPLES)])
            microphone = np.clip(heard, -FULL, FULL - 1).astype("<i2").tobytes()
            sent.append(np.frombuffer(self.loudspeaker.near(microphone, now + c.TICK_S), "<i2"))
            self.ticks += 1
        return np.concatenate(sent).astype(float)


@pytest.fixture(autouse=True)
def library() -> None:
    if voice_processing() is None:
        pytest.skip("livekit is not installed")


def seconds(sound: Samples, first: float, last: float) -> Samples:
    return sound[int(first * c.SAMPLE_RATE_HZ) : int(last * c.SAMPLE_RATE_HZ)]


@pytest.mark.parametrize("delay_s", [0.005, 0.12])
@pytest.mark.parametrize("echo_db", [-6.0, -20.0])
def test_the_far_end_alone_hears_nothing_of_itself_after_eight_seconds(
    echo_db: float, delay_s: float
) -> None:
    far = voice(1, 12, 110)
    sent = Room(echo_path(2, delay_s, echo_db)).run(far, np.zeros(len(far)))
    assert level_db(seconds(sent, 8, 12)) - level_db(seconds(far, 8, 12)) <= -40


@pytest.mark.parametrize("echo_db", [-6.0, -20.0])
def test_a_voice_over_its_echo_is_sent_clear(echo_db: float) -> None:
    room, far, near = Room(echo_path(2, 0.04, echo_db)), voice(1, 14, 110), voice(3, 6, 200)
    room.run(seconds(far, 0, 8), np.zeros(len(far)))
    sent = seconds(room.run(seconds(far, 8, 14), near), 1, 6)
    late = int(room.loudspeaker.delay_s * c.SAMPLE_RATE_HZ + 0.5)
    rest = sent - near[c.SAMPLE_RATE_HZ - late :][: len(sent)]
    assert level_db(rest) - level_db(near) <= -20


def test_a_room_that_changes_is_quiet_again_after_two_seconds() -> None:
    far = voice(1, 16, 110)
    room = Room(echo_path(2, 0.02, -10.0))
    room.run(seconds(far, 0, 8), np.zeros(len(far)))
    room.path = echo_path(4, 0.08, -10.0)
    sent = room.run(seconds(far, 8, 14), np.zeros(len(far)))
    assert level_db(seconds(sent, 2.5, 6)) - VOICE_DB <= -35


def test_headphones_that_are_plugged_out_are_noticed_within_two_seconds() -> None:
    far = voice(1, 32, 110)
    room = Room(np.zeros(1))
    room.run(seconds(far, 0, 24), np.zeros(len(far)))
    assert room.loudspeaker.acoustics.echo is False
    assert room.loudspeaker.delay_s == 0
    room.path = echo_path(2, 0.04, -10.0)
    room.run(seconds(far, 24, 26), np.zeros(len(far)))
    assert room.loudspeaker.acoustics.echo


@pytest.mark.parametrize("echo_db", [6.0, -6.0, -20.0])
def test_no_room_is_taken_for_a_copy_of_the_speaker(echo_db: float) -> None:
    room, far = Room(echo_path(2, 0.01, echo_db)), voice(1, 10, 110)
    for second in range(10):
        room.run(seconds(far, second, second + 1), np.zeros(c.SAMPLE_RATE_HZ))
        assert not room.loudspeaker.copied()


def test_a_copy_of_the_speaker_is_not_sent_after_four_seconds_and_a_voice_is_when_it_is_over() -> None:
    """As a sound server gives it whose microphone is pulled out: played and captured at once, and no noise."""
    room, far, near = Room(np.zeros(1)), voice(1, 14, 110), voice(3, 4, 200)
    room.run(seconds(far, 0, 4), near)
    room.path, room.noise = np.ones(1), 0.0
    sent = room.run(seconds(far, 4, 10), np.zeros(6 * c.SAMPLE_RATE_HZ))
    assert room.loudspeaker.copied()
    assert not seconds(sent, 4, 6).any()
    room.path, room.noise = np.zeros(1), NOISE
    sent = room.run(seconds(far, 10, 14), near)
    assert not room.loudspeaker.copied()
    assert level_db(seconds(sent, 1, 4)) > VOICE_DB - 6
