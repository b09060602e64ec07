"""What is heard when nothing comes."""

import struct
from math import sqrt

import pytest

from p2pcall.media import constants as c
from p2pcall.media.comfort import STILL, ComfortNoise, faded_in

LOUD = struct.pack("<h", 20_000) * c.TICK_SAMPLES


def rms(pcm: bytes) -> float:
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    return sqrt(sum(sample * sample for sample in samples) / len(samples))


def test_what_was_made_up_fades_into_the_noise_of_the_last_pause() -> None:
    noise = ComfortNoise()
    levels = [rms(noise.tick(50, since, LOUD)) for since in range(c.JITTER_FADE_TICKS)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 15_000
    room = [rms(noise.tick(50, since)) for since in range(c.JITTER_FADE_TICKS, 50)]
    assert all(each == pytest.approx(50, rel=0.3) for each in room)


def test_the_noise_ends_when_nobody_comes_back() -> None:
    noise = ComfortNoise()
    levels = [rms(noise.tick(50, since)) for since in range(c.JITTER_NOISE_TICKS - 8, c.JITTER_NOISE_TICKS)]
    assert levels[0] > 40 and levels[-1] < 12


def test_where_pauses_were_still_it_is_still() -> None:
    assert ComfortNoise().tick(0.0, c.JITTER_FADE_TICKS) is STILL


def test_noise_is_never_loud_and_never_beyond_what_a_sample_holds() -> None:
    noise = ComfortNoise()
    assert rms(noise.tick(20_000, 20)) < 1.5 * c.NOISE_RMS
    full = struct.pack("<h", 32_767) * c.TICK_SAMPLES
    assert max(struct.unpack(f"<{c.TICK_SAMPLES}h", noise.tick(300, 0, full))) == 32_767


def test_the_noise_is_the_same_in_every_call_and_of_no_one_tick() -> None:
    one, other = ComfortNoise(), ComfortNoise()
    ticks = [one.tick(100, 20) for _ in range(12)]
    assert ticks == [other.tick(100, 20) for _ in range(12)]
    assert len(set(ticks)) == 12


def test_sound_that_comes_back_begins_without_a_click() -> None:
    samples = struct.unpack(f"<{c.TICK_SAMPLES}h", faded_in(LOUD))
    assert samples[0] == 0
    assert list(samples) == sorted(samples)
    assert set(samples[c.FADE_IN_SAMPLES :]) == {20_000}
