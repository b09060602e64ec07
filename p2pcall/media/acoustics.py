"""Whether the microphone hears the loudspeaker, when, and how loud.

Rules: an echo is there when the microphone's level follows the far end's for 1.5 s, at any delay, and where both are
loud its colour does, too; it is not there when the far end has spoken for ten seconds and the microphone heard
nothing (headphones). In between nothing is said anew. Only level and colour are looked at, once a tick for each side.
Leaves out what follows from it (`double_talk`).
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from itertools import accumulate, islice
from math import sqrt
from operator import mul
from statistics import fmean, median
from typing import Final

from p2pcall.media import acoustic_constants as acoustic

_KEPT: Final = acoustic.ECHO_WINDOW_TICKS + acoustic.ECHO_LAG_TICKS


class Acoustics:
    """Told of every tick."""

    def __init__(self) -> None:
        self._near: deque[float] = deque(maxlen=acoustic.ECHO_WINDOW_TICKS)
        self._near_colours: deque[float] = deque(maxlen=acoustic.ECHO_WINDOW_TICKS)
        self._far: deque[float] = deque(maxlen=_KEPT)
        self._far_colours: deque[float] = deque(maxlen=_KEPT)
        self._ticks = 0
        self._alike = 0
        self._clear_ticks = 0
        self._mean = 0.0
        self._quietest = self._quietest_before = 0.0
        self._loud = self._heard_nothing = self._loud_ticks = 0
        self._looking: Iterator[None] = iter(())
        self.far_loudest_db = acoustic.ECHO_FAR_LEAST_DB
        """The loudest of the far end, of late."""
        self.echo: bool | None = None
        """Whether there is one; None before anything is known."""
        self.lag = acoustic.FAR_LEAD_TICKS
        """The echo comes so many ticks after what was played."""
        self.coupling_db = acoustic.COUPLING_UNKNOWN_DB
        """How loud it is then."""

    @property
    def noise_db(self) -> float:
        """What the microphone hears when nobody speaks."""
        return min(self._quietest, self._quietest_before)

    def tick(self, near: tuple[float, float], far: tuple[float, float], *, ducked: bool) -> None:
        """Level and colour of both. `ducked`: the far end is played lower than it is, or was a moment ago."""
        near_db, far_db = near[0], far[0]
        self._near.append(near_db)
        self._near_colours.append(near[1])
        self._far.append(far_db)
        self._far_colours.append(far[1])
        self._ticks += 1
        self._mean += acoustic.NOISE_MEAN * (near_db - self._mean)
        self._quietest = min(self._quietest, self._mean)
        if not self._ticks % acoustic.NOISE_WINDOW_TICKS:
            self._quietest_before, self._quietest = self._quietest, self._mean
        self.far_loudest_db = max(
            far_db,
            acoustic.ECHO_FAR_LEAST_DB,
            self.far_loudest_db - (0 if ducked else acoustic.ECHO_FAR_FORGET_DB),
        )
        if far_db >= self._loud_from and not ducked:
            self._loud += 1
            self._heard_nothing += near_db <= self.noise_db + acoustic.ECHO_QUIET_DB
        if not self._ticks % acoustic.ECHO_LOOK_TICKS and len(self._far) == _KEPT:
            self._looking = self._look()
        next(self._looking, None)

    @property
    def worth_learning(self) -> bool:
        """There is an echo, or there may be one: the far end has not spoken for long, or the microphone follows it."""
        return bool(self.echo) or self._alike > 0 or self._loud_ticks < acoustic.ECHO_LEARN_TICKS

    @property
    def _loud_from(self) -> float:
        return max(acoustic.ECHO_FAR_LEAST_DB, self.far_loudest_db - acoustic.ECHO_FAR_BELOW_DB)

    def _look(self) -> Iterator[None]:
        """A part of it each tick: a tick that took much longer than another would show in when its packet leaves."""
        loud, nothing = self._loud, self._heard_nothing
        self._loud_ticks += loud
        self._loud = self._heard_nothing = 0
        correlation, lag = yield from self._best_lag()
        follows = correlation >= acoustic.ECHO_CORRELATION and self._sounds_alike(lag)
        self._alike = self._alike + 1 if follows else 0
        if self._alike:
            self._clear_ticks = 0
        elif nothing > acoustic.ECHO_CLEAR_PART * loud:
            self._clear_ticks += loud
            if self._clear_ticks >= acoustic.ECHO_CLEAR_TICKS:
                self.echo = False
        if self._alike >= acoustic.ECHO_CONFIRM:
            self.echo, self.lag = True, lag
            self.coupling_db = self._coupling(lag)

    def _best_lag(self) -> Generator[None, None, tuple[float, int]]:
        """How alike the two levels are (-1..1), at the lag where they are most alike."""
        size, loud_from = acoustic.ECHO_WINDOW_TICKS, self._loud_from
        near, far = [*self._near], [*self._far]
        if sum(level >= loud_from for level in far) < acoustic.ECHO_LEAST_LOUD:
            return 0.0, 0
        mean = sum(near) / size
        near = [level - mean for level in near]
        near_power = sum(map(mul, near, near))
        sums = [0.0, *accumulate(far)]
        squares = [0.0, *accumulate(map(mul, far, far))]
        if near_power < size * acoustic.ECHO_LEAST_NEAR_SPREAD_DB**2:
            return 0.0, 0

        def alike(lag: int) -> tuple[float, int]:
            first = acoustic.ECHO_LAG_TICKS - lag
            total = sums[first + size] - sums[first]
            far_power = squares[first + size] - squares[first] - total * total / size
            if far_power < size * acoustic.ECHO_LEAST_SPREAD_DB**2:
                return 0.0, lag
            return sum(map(mul, near, far[first : first + size])) / sqrt(far_power * near_power), lag

        def most_alike(
            lags: Sequence[int], best: tuple[float, int]
        ) -> Generator[None, None, tuple[float, int]]:
            for first in range(0, len(lags), acoustic.ECHO_LAGS_A_TICK):
                yield
                best = max(best, *map(alike, lags[first : first + acoustic.ECHO_LAGS_A_TICK]))
            return best

        every_other = range(0, acoustic.ECHO_LAG_TICKS + 1, 2)  # a syllable is longer than two ticks
        best = yield from most_alike(every_other, (-1.0, 0))
        beside = range(max(0, best[1] - 1), min(best[1] + 2, acoustic.ECHO_LAG_TICKS + 1), 2)
        return (yield from most_alike(beside, best))

    def _both_loud(self, lag: int) -> list[tuple[float, float, float, float]]:
        """Level and colour of the microphone, and those of the far end then, where neither is quiet."""
        start, far_from = acoustic.ECHO_LAG_TICKS - lag, self._loud_from
        near_from = self.noise_db + acoustic.ECHO_BOTH_OVER_NOISE_DB
        far = islice(self._far, start, None), islice(self._far_colours, start, None)
        ticks = zip(self._near, self._near_colours, *far, strict=False)
        return [tick for tick in ticks if tick[0] >= near_from and tick[2] >= far_from]

    def _sounds_alike(self, lag: int) -> bool:
        """Turns alone can make levels alike, but not what is said in them."""
        both = self._both_loud(lag)
        if len(both) < acoustic.ECHO_LEAST_BOTH:
            return False
        levels, colours, far_levels, far_colours = zip(*both, strict=True)
        return _correlation(levels, far_levels) + _correlation(colours, far_colours) >= acoustic.ECHO_ALIKE

    def _coupling(self, lag: int) -> float:
        """How much louder the microphone is than the far end: the middle, for somebody may talk."""
        return median(near - far for near, _, far, _ in self._both_loud(lag))


def _correlation(some: Sequence[float], others: Sequence[float]) -> float:
    mean, mean_of_others = fmean(some), fmean(others)
    some, others = [one - mean for one in some], [other - mean_of_others for other in others]
    powers = sum(map(mul, some, some)) * sum(map(mul, others, others))
    return sum(map(mul, some, others)) / sqrt(powers) if powers else 0.0
