"""A period is taken out or put in without a click; what is not like itself stays as it is."""

import struct
import sys
from functools import partial
from itertools import pairwise
from math import pi, sin
from random import Random
from types import FrameType

import pytest

from p2pcall.media import constants as c
from p2pcall.media.stretch import lengthen, shorten

BEFORE = 2 * c.FRAME_SAMPLES


def tone(hz: float, samples: int = 4 * c.FRAME_SAMPLES) -> bytes:
    wave = [
        8_000 * sin(2 * pi * hz * n / 48_000) + 3_000 * sin(6 * pi * hz * n / 48_000) for n in range(samples)
    ]
    return struct.pack(f"<{samples}h", *map(round, wave))


def noise(samples: int, seed: int = 1) -> bytes:
    rng = Random(seed)
    return struct.pack(f"<{samples}h", *(rng.randrange(-9_000, 9_000) for _ in range(samples)))


def steepest(pcm: bytes) -> int:
    return max(abs(a - b) for a, b in pairwise(struct.unpack(f"<{len(pcm) // 2}h", pcm)))


@pytest.mark.parametrize("ticks", [2, 4, 6])
@pytest.mark.parametrize("hz", [90, 125.3, 210, 333])
def test_one_period_is_taken_out_or_put_in_and_no_ear_hears_where(hz: float, ticks: int) -> None:
    sound = tone(hz, BEFORE + ticks * c.TICK_SAMPLES)
    before, pcm = sound[: 2 * BEFORE], sound[2 * BEFORE :]
    shorter, removed = shorten(pcm, c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS)
    longer, added = lengthen(before, pcm, c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS)
    assert removed == pytest.approx(48_000 / hz, abs=1)
    assert added == pytest.approx(48_000 / hz, abs=1)
    assert len(shorter) == len(pcm) - 2 * removed
    assert len(longer) == len(pcm) + 2 * added
    assert steepest(before + shorter) <= steepest(sound) + 3
    assert steepest(before + longer) <= steepest(sound) + 3
    after = tone(hz, BEFORE + (ticks + 2) * c.TICK_SAMPLES)[len(sound) :]
    assert steepest(shorter + after) <= steepest(sound) + 3
    assert longer[-100:] == pcm[-100:]


def test_a_frame_of_10_ms_is_made_longer_by_what_was_heard_before() -> None:
    sound = tone(110, BEFORE + c.TICK_SAMPLES)
    longer, added = lengthen(
        sound[: 2 * BEFORE], sound[2 * BEFORE :], c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS
    )
    assert added == pytest.approx(436, abs=1)
    assert steepest(sound[: 2 * BEFORE] + longer) <= steepest(sound) + 3


def test_no_more_is_taken_out_than_there_is_to_spare() -> None:
    assert shorten(tone(125), 300, c.JITTER_LIKENESS)[1] == 0, "a period is 384"
    assert shorten(tone(250), 300, c.JITTER_LIKENESS)[1] == 192
    assert lengthen(tone(125), tone(125), 300, c.JITTER_LIKENESS)[1] == 0


def test_one_period_is_taken_rather_than_two() -> None:
    assert shorten(tone(200), c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS)[1] == 240


@pytest.mark.parametrize("ticks", [2, 4])
def test_noise_stays_as_it_is_unless_any_piece_will_do(ticks: int) -> None:
    pcm = noise(ticks * c.TICK_SAMPLES)
    assert shorten(pcm, c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS) == (pcm, 0)
    assert lengthen(noise(BEFORE, 2), pcm, c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS) == (pcm, 0)
    shorter, removed = shorten(pcm, c.STRETCH_MOST_SAMPLES, -1.0)
    longer, added = lengthen(noise(BEFORE, 2), pcm, c.STRETCH_MOST_SAMPLES, -1.0)
    for changed in (removed, added):
        assert c.STRETCH_LEAST_SAMPLES <= changed <= c.STRETCH_MOST_SAMPLES
    assert len(shorter) == len(pcm) - 2 * removed
    assert len(longer) == len(pcm) + 2 * added


def test_what_is_too_short_to_have_a_period_stays_as_it_is() -> None:
    short = tone(200, 200)
    assert shorten(short, c.STRETCH_MOST_SAMPLES, -1.0) == (short, 0)
    assert lengthen(b"", tone(200), c.STRETCH_MOST_SAMPLES, -1.0)[1] == 0
    assert lengthen(tone(200), short, c.STRETCH_MOST_SAMPLES, -1.0) == (short, 0)
    assert shorten(b"", c.STRETCH_MOST_SAMPLES, -1.0) == (b"", 0)


def test_silence_and_full_scale_are_changed_as_any_other() -> None:
    for value in (0, 32_767, -32_768):
        pcm = struct.pack("<h", value) * c.FRAME_SAMPLES
        shorter, removed = shorten(pcm, c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS)
        assert removed and shorter == pcm[2 * removed :]
        longer, added = lengthen(pcm, pcm, c.STRETCH_MOST_SAMPLES, c.JITTER_LIKENESS)
        assert added and longer == struct.pack("<h", value) * (c.FRAME_SAMPLES + added)


def test_a_change_takes_a_bounded_number_of_steps() -> None:
    """Each of these steps is one look at up to 10 ms, in C."""
    before, pcm = noise(BEFORE), noise(6 * c.TICK_SAMPLES)
    calls = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    for change in (shorten, partial(lengthen, before)):
        calls = 0
        sys.setprofile(note)
        try:
            change(pcm, c.STRETCH_MOST_SAMPLES, -1.0)
        finally:
            sys.setprofile(None)
        assert 100 < calls < 700
