"""How much must be held: a quantile that comes back, what is usual, and copies apart."""

from collections import Counter
from random import Random

import pytest

from p2pcall.media import constants as c
from p2pcall.media.lateness import Lateness, Quantile


def test_the_histogram_forgets_as_one_whose_every_weight_is_made_less() -> None:
    quantile, random = Quantile(c.JITTER_QUANTILE, c.JITTER_FORGET), Random(1)
    buckets = round(c.JITTER_MAX_WAIT_S / c.JITTER_BUCKET_S)
    weights = [0.0] * buckets
    weights[int(c.JITTER_START_S / c.JITTER_BUCKET_S)] = 1.0
    for noted in range(1, 12_000):
        late_s = random.expovariate(1 / (0.002 if noted % 3_000 < 2_000 else 0.02))
        quantile.note(late_s)
        bucket = int(late_s / c.JITTER_BUCKET_S)
        if bucket < buckets:
            keep = min(c.JITTER_FORGET, noted / (noted + 2))
            weights = [weight * keep for weight in weights]
            weights[bucket] += 1 - keep
        tail, last = 0.0, buckets
        while tail <= 1 - c.JITTER_QUANTILE:
            last -= 1
            tail += weights[last]
        assert quantile.value_s == (last + 1) * c.JITTER_BUCKET_S
    assert quantile._total < c.JITTER_TOTAL_WEIGHT * 1.01


def test_lateness_forgets_what_was_fast_long_ago() -> None:
    lateness = Lateness()
    lateness.observe(1.0, 0.0)
    lateness.observe(0.5, 1.0)
    assert lateness.base == 0.5
    lateness.observe(0.9, 6.0)
    assert lateness.base == 0.5
    lateness.observe(0.8, 12.0)
    assert lateness.base == 0.8
    lateness.observe(0.85, 13.0)
    assert lateness.base == 0.8
    lateness.anchor(2.0, 14.0)
    assert lateness.base == 2.0


def test_lateness_is_a_quantile_that_comes_back() -> None:
    lateness = Lateness()
    for _ in range(1_000):
        lateness.note(0.001)
    assert lateness.required_s(0.0) == pytest.approx(0.002)
    lateness.note(0.1)
    assert lateness.required_s(0.0) == pytest.approx(0.002), "one alone moves nothing"
    for _ in range(5):
        lateness.note(0.101)
    assert lateness.required_s(0.0) == pytest.approx(0.102)
    lateness.note(5.0)
    assert lateness.required_s(0.0) == pytest.approx(0.102), "an outage is not counted"
    for _ in range(1_000):
        lateness.note(-0.001)
    assert lateness.required_s(0.0) == pytest.approx(0.002)


def test_a_way_that_got_longer_makes_none_late() -> None:
    """Before it is known that it did, all that comes is late."""
    lateness = Lateness()
    for frame in range(1_100):
        transit = 0.1 if frame > 500 else 0.0
        lateness.observe(transit, frame * 0.02)
        lateness.note(transit - lateness.base)
        if frame == 600:
            assert lateness.required_s(0.0) > 0.1
    assert lateness.base == 0.1
    assert lateness.required_s(0.0) == pytest.approx(0.002)


def test_most_copies_are_waited_for_and_not_the_farthest() -> None:
    lateness = Lateness()
    for _ in range(300):
        lateness.note(0.001)
    for frame in range(200):
        lateness.note_copy(0.061 if frame % 10 == 0 else 0.031, 3, frame * 0.1)
    assert lateness.required_s(20.0) == pytest.approx(0.032)
    for frame in range(200):
        lateness.note_copy(0.061 if frame % 4 == 0 else 0.031, 3, 20 + frame * 0.1)
    assert lateness.required_s(40.0) == pytest.approx(0.062)
    assert lateness.required_s(40.0 + c.JITTER_RECOVERY_S) == pytest.approx(0.002)


def test_nearly_all_copies_are_waited_for_where_that_takes_little() -> None:
    lateness = Lateness()
    for _ in range(300):
        lateness.note(0.001)
    for frame in range(200):
        lateness.note_copy(0.021 if frame % 10 == 0 else 0.011, 1, frame * 0.1)
    assert lateness.required_s(20.0) == pytest.approx(0.022)


def test_the_memory_is_as_long_with_frames_of_half_the_length() -> None:
    after = []
    for ticks in (1, 2):
        quantile = Quantile(c.JITTER_QUANTILE, c.JITTER_FORGET)
        for frame in range(12_000):
            quantile.note(0.05 if frame * ticks < 4_000 else 0.0, ticks)
            if frame * ticks > 4_000 and quantile.value_s < 0.01:
                after.append(frame * ticks)
                break
    assert after[0] == pytest.approx(after[1], rel=0.01)


def test_copies_are_waited_for_longer_at_once_and_less_only_after_ten_seconds_of_less() -> None:
    lateness, lasted = Lateness(), Counter[float]()
    for frame in range(600):
        lateness.note_copy(0.041 if 200 <= frame < 260 else 0.021, 2, frame * 0.1)
        required = round(lateness.required_s(frame * 0.1), 3)
        if frame > 50:
            lasted[required] += 1
    assert sorted(lasted) == [0.022, 0.042]
    assert lasted[0.042] > 10 * c.JITTER_RECOVERY_STEADY_S
    assert lateness.required_s(60.0) == pytest.approx(0.022)


def test_a_way_that_got_longer_makes_no_copy_waited_for() -> None:
    lateness = Lateness()
    for frame in range(600):
        transit = 0.1 if frame > 100 else 0.0
        lateness.observe(transit, frame * 0.02)
        if frame % 5 == 0:
            lateness.note_copy(transit + 0.021 - lateness.base, 2, frame * 0.02)
        if frame == 200:
            assert lateness.required_s(frame * 0.02) > 0.1
    assert lateness.base == 0.1
    assert lateness.required_s(12.0) == pytest.approx(0.022)


@pytest.mark.parametrize("late_s", [0.001, 0.003])
def test_in_the_first_second_it_is_known_how_much_the_path_needs(late_s: float) -> None:
    """However late the first frame was."""
    quantile = Quantile(c.JITTER_QUANTILE, c.JITTER_FORGET)
    quantile.note(0.1)
    for _ in range(40):
        quantile.note(late_s)
    assert quantile.value_s == pytest.approx(late_s + 0.001)
