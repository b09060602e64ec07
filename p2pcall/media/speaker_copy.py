"""Whether the microphone is none, but a copy of what the speaker plays.

A sound server whose microphone was pulled out may give the speaker's own sound in its place (PulseAudio its monitor,
PipeWire that of its dummy), and no name tells a program so. Sent, the other side would hear itself.

Rules: no room copies sound sample by sample. Where an echo was found, the place of the microphone's newest sound is
looked for in what was played, a part of it in each tick; then each tick is held against what was played just there. A
copy follows it for a second in nearly all that is heard, the soft parts as well; a room adds noise and sound of its
own. It is over when it follows no more, at no other place either. Silence tells nothing. Leaves out what follows.
"""

from array import array
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from itertools import accumulate
from math import sqrt
from operator import mul
from typing import Final

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as c

_TICK: Final = c.TICK_SAMPLES
_STEP: Final = acoustic.COPY_SAMPLE_STEP
_FOLLOW_STEP: Final = acoustic.COPY_FOLLOW_STEP
_WINDOW: Final = acoustic.COPY_WINDOW_TICKS * _TICK
_AROUND: Final = acoustic.COPY_SEARCH_TICKS * _TICK
_FAR_KEPT: Final = acoustic.ECHO_LAG_TICKS + acoustic.COPY_SEARCH_TICKS + acoustic.COPY_WINDOW_TICKS + 1
_Search = Generator[None, None, int | None]


class SpeakerCopy:
    """Told of every tick of both, paired."""

    def __init__(self) -> None:
        self._near: deque[bytes] = deque(maxlen=acoustic.COPY_WINDOW_TICKS)
        self._far: deque[bytes] = deque(maxlen=_FAR_KEPT)
        self._lag = 0
        self._place: int | None = None
        """The microphone's newest sample was played so many samples before the newest of the far end."""
        self._search: _Search | None = None
        self._rest = 0
        """Ticks until the next search."""
        self._fit = 0.0
        """The part of the ticks of late that have followed."""
        self.found = False
        """It is a copy."""

    def tick(self, near: bytes, far: bytes, lag: int | None) -> None:
        """`lag`: by how many ticks an echo comes after what was played; None: there is none."""
        self._near.append(near)
        self._far.append(far)
        if lag is not None:
            self._lag = lag
        if self._place is not None:
            self._follow(self._place)
        elif self._search is not None:
            self._go_on(self._search)
        elif self._rest:
            self._rest -= 1
        elif (lag is not None or self.found) and len(self._far) == _FAR_KEPT and _loud(near):
            self._search = _search([*self._near], [*self._far], self._lag)

    def _follow(self, place: int) -> None:
        """Hold this tick against what was played there."""
        near = _coarse(array("h", self._near[-1]), _FOLLOW_STEP)
        near_power = _dot(near, near)
        if near_power < len(near) * (_FOLLOW_STEP * acoustic.COPY_LEAST) ** 2:
            return
        back, rest = divmod(place, _TICK)
        both = array("h", self._far[-back - 2] + self._far[-back - 1])
        played = _coarse(both[_TICK - rest : 2 * _TICK - rest], _FOLLOW_STEP)
        alike = _alike(_dot(near, played), near_power, _dot(played, played))
        if alike >= acoustic.COPY_FOLLOWS:
            self._fit += acoustic.COPY_FIT_GAIN * (1 - self._fit)
        else:
            self._fit -= acoustic.COPY_FIT_LOSS * self._fit
        if self._fit >= acoustic.COPY_FIT_FOUND:
            self.found = True
        elif self._fit < acoustic.COPY_FIT_LOST:
            self._place = None

    def _go_on(self, search: _Search) -> None:
        try:
            next(search)
        except StopIteration as end:
            self._search, self._place = None, end.value
            if self._place is None:
                self.found, self._rest = False, acoustic.COPY_REST_TICKS
            else:
                self._fit = acoustic.COPY_FIT_BEGINS


def _search(near_ticks: Sequence[bytes], far_ticks: Sequence[bytes], lag: int) -> _Search:
    """The place of these ticks of the microphone in those of the far end; None where there is none."""
    near, far = array("h", b"".join(near_ticks)), array("h", b"".join(far_ticks))
    coarse_near = _coarse(near, _STEP)
    power = _dot(coarse_near, coarse_near)
    nearest = max(0, lag * _TICK - _AROUND)
    begin = max(0, len(far) - lag * _TICK - _AROUND - _WINDOW)
    coarse_far = _coarse(far[begin : len(far) - nearest], _STEP)
    squares = [0, *accumulate(map(mul, coarse_far, coarse_far))]
    size, best = len(coarse_near), (0.0, 0)
    firsts = range(len(coarse_far) - size + 1)
    for some in range(0, len(firsts), acoustic.COPY_PLACES_A_TICK):
        yield
        for first in firsts[some : some + acoustic.COPY_PLACES_A_TICK]:
            product = _dot(coarse_near, coarse_far[first : first + size])
            best = max(best, (_alike(product, power, squares[first + size] - squares[first]), first))
    if best[0] < acoustic.COPY_COARSELY_ALIKE:
        return None
    begin = max(0, begin + (best[1] - 1) * _STEP)
    fine_far = far[begin : begin + 2 * _STEP + _WINDOW]
    power, best = _dot(near, near), (0.0, 0)
    squares = [0, *accumulate(map(mul, fine_far, fine_far))]
    firsts = range(len(fine_far) - _WINDOW + 1)
    for some in range(0, len(firsts), acoustic.COPY_FINE_PLACES_A_TICK):
        yield
        for first in firsts[some : some + acoustic.COPY_FINE_PLACES_A_TICK]:
            product = _dot(near, fine_far[first : first + _WINDOW])
            best = max(best, (_alike(product, power, squares[first + _WINDOW] - squares[first]), first))
    return len(far) - _WINDOW - begin - best[1] if best[0] >= acoustic.COPY_ALIKE else None


def _loud(pcm: bytes) -> bool:
    samples = array("h", pcm)
    return _dot(samples, samples) >= _TICK * acoustic.COPY_LOUD**2


def _coarse(samples: "array[int]", step: int) -> list[int]:
    """Sums of every few: what is high is left out, and it is compared in fewer steps."""
    whole = len(samples) - len(samples) % step
    return [*map(sum, zip(*(samples[first:whole:step] for first in range(step)), strict=True))]


def _dot(some: Iterable[int], others: Iterable[int]) -> int:
    return sum(map(mul, some, others))


def _alike(product: int, power: int, other_power: int) -> float:
    """-1 to 1, whatever their levels."""
    return product / sqrt(power * other_power) if power and other_power else 0.0
