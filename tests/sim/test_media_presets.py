"""Voice over networks as there are, seeded: how long after the fastest possible moment it is heard, what is made up.

`pytest -s` prints the table; the bounds are what was measured, with a margin.
"""

from collections.abc import Callable
from random import Random
from statistics import quantiles

import pytest
from voice import Delay, Loss, Voice, burst_loss, random_loss

from p2pcall.media.jitter import Conceal, Play, Silence

SECONDS, SETTLED = 120, 100


def tails(usual_s: float, part: float, tail_s: float) -> Delay:
    """Evenly up to what is usual; a part of the packets have an exponential tail on top."""

    def delay(now: float, rng: Random) -> float:
        return rng.uniform(0, usual_s) + (rng.expovariate(1 / tail_s) if rng.random() < part else 0.0)

    return in_order(delay)


def in_order(delay: Delay) -> Delay:
    """A path that does not overtake itself."""
    last = 0.0

    def after(now: float, rng: Random) -> float:
        nonlocal last
        last = max(last, now + delay(now, rng))
        return last - now

    return after


def spikes(usual_s: float, every_s: float, high_s: float) -> Delay:
    """Now and then the path stands still, and then gives all at once, as an access point that scans does."""
    start = length = 0.0

    def delay(now: float, rng: Random) -> float:
        nonlocal start, length
        if now > start + every_s:
            start, length = now + rng.expovariate(1 / every_s), rng.uniform(0.3, 1.0) * high_s
        held = start + length - now if start <= now < start + length else 0.0
        return held + rng.uniform(0, usual_s)

    return delay


def queue(every_s: float, high_s: float) -> Delay:
    """Somebody uploads for half of the time: the queue fills and empties within seconds."""

    def delay(now: float, rng: Random) -> float:
        place = now / every_s % 1
        height = min(1.0, place * 4, (1 - place) * 4) if place < 0.75 else max(0.0, (1 - place) * 4)
        return high_s * height + rng.uniform(0, 0.004)

    return in_order(delay)


PRESETS: dict[
    str, tuple[Callable[[], Delay], Callable[[], Loss], tuple[int, ...], tuple[float, float, float]]
] = {
    "LAN": (lambda: tails(0.0005, 0.001, 0.002), lambda: random_loss(0.0), (1,), (0.019, 0.022, 0.0002)),
    "Wi-Fi": (lambda: tails(0.003, 0.03, 0.010), lambda: random_loss(0.002), (1,), (0.055, 0.065, 0.005)),
    "bad Wi-Fi": (
        lambda: spikes(0.008, 4.0, 0.150),
        lambda: burst_loss(0.03, 3),
        (1, 2),
        (0.100, 0.160, 0.035),
    ),
    "LTE": (lambda: tails(0.015, 0.05, 0.020), lambda: random_loss(0.005), (1,), (0.100, 0.125, 0.008)),
    "bufferbloat": (lambda: queue(20.0, 0.3), lambda: random_loss(0.01), (1,), (0.340, 0.360, 0.030)),
    "satellite": (lambda: tails(0.030, 0.01, 0.030), lambda: random_loss(0.01), (1,), (0.105, 0.150, 0.010)),
}
"""Its delay, its loss, the copies a sender has there, and the bounds: median and 95th of the delay, part made up."""


@pytest.mark.parametrize(("ticks", "pulled"), [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("name", PRESETS)
def test_delay_and_what_is_made_up_stay_within_bounds(name: str, ticks: int, pulled: int) -> None:
    delay, loss, copies, (middle_s, high_s, most) = PRESETS[name]
    voice = Voice(7, ticks, pulled, copies, drift=50e-6, delay=delay(), loss=loss()).run(SECONDS)
    delays = quantiles(voice.delays_over(SETTLED), n=20)
    made_up = voice.part(Conceal, SETTLED) + voice.part(Silence, SETTLED)
    changes = voice.stretched(SETTLED) * 60 / SETTLED
    print(
        f"{name:12} frames {10 * ticks} ms, pulls {10 * pulled} ms: delay {1000 * delays[9]:4.0f} ms, p95"
        f" {1000 * delays[-1]:4.0f}; made up {made_up:6.2%}; {changes:3.0f} changes a minute"
    )
    more_s = 0.015 if pulled == 2 else 0.0
    assert delays[9] < middle_s + more_s
    assert delays[-1] < high_s + more_s
    assert made_up <= most
    assert voice.part(Play, 2) > 0.9
