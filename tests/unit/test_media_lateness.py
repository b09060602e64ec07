"""The histogram of lateness is what a plain one would be, for as long as a call may last."""

from random import Random

from p2pcall.media import constants as c
from p2pcall.media.lateness import Lateness


def test_the_histogram_forgets_as_one_whose_every_weight_is_made_less() -> None:
    lateness, random = Lateness(), Random(1)
    buckets = round(c.JITTER_MAX_DEPTH * c.FRAME_S / c.JITTER_BUCKET_S)
    weights = [0.0] * buckets
    weights[int(c.JITTER_START_S / c.JITTER_BUCKET_S)] = 1.0
    for noted in range(1, 12_000):
        late_s = random.expovariate(1 / (0.002 if noted % 3_000 < 2_000 else 0.02))
        lateness.note(late_s)
        bucket = int(late_s / c.JITTER_BUCKET_S)
        if bucket < buckets:
            keep = min(c.JITTER_FORGET, noted / (noted + 1))
            weights = [weight * keep for weight in weights]
            weights[bucket] += 1 - keep
        tail, last = 0.0, buckets
        while tail <= 1 - c.JITTER_QUANTILE:
            last -= 1
            tail += weights[last]
        assert lateness.required_s == (last + 1) * c.JITTER_BUCKET_S
    assert lateness._total < c.JITTER_TOTAL_WEIGHT * 1.01
