"""Measurements in real time on a machine that may stand still: made once more if need be, and judged by the better.

    def measure(number: int) -> dict[str, float]:
        ...                                  # a whole new call; what must always hold is asserted here
        return {"pesq": score}

    def judge(figures: dict[str, float]) -> None:
        assert figures["pesq"] >= 3.5        # what a machine that stands still can spoil

    best(measure, judge)

A machine whose time is taken away makes a measurement worse and never better, so one good one shows what the
program can do; a fault of the program is in all of them. All that is asked for must hold in the same try. Facts
(events, exit codes, reasons, order) do not belong into `judge`: an assertion in `measure` fails at once.
Only for what a pause of some hundredths of a second spoils, which this machine takes now and then: sound without a
gap, PESQ, cadence, somebody else's browser that waits for a fixed time. All else is measured once, without this.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar

Figures = TypeVar("Figures")

TRIES = 2
"""A fault that comes every other time is one that people meet."""
PAUSE_S = 0.005
STALL_S = 0.02
"""Later than that is noted; threads of a quiet machine wake within a few milliseconds."""


class Stalls:
    """How often and how long this machine stood still during the block, as a thread that only sleeps sees it.

    What this process itself computed meanwhile (it may hold the interpreter) is not held against the machine.
    """

    def __init__(self) -> None:
        self.found: list[float] = []
        """Seconds of each."""
        self._last: tuple[float, float] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stalls")

    def woke(self, now: float, used: float) -> None:
        """After each pause: the time, and how much of the processors' time this process has used (seconds)."""
        if self._last is not None:
            late = now - self._last[0] - PAUSE_S - (used - self._last[1])
            if late > STALL_S:
                self.found.append(late)
        self._last = now, used

    def _watch(self) -> None:
        while not self._over.wait(PAUSE_S):
            self.woke(time.monotonic(), time.process_time())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def __str__(self) -> str:
        longest = max(self.found, default=0.0)
        return (
            f"the machine stood still {len(self.found)} times, {1000 * sum(self.found):.0f} ms in all,"
            f" {1000 * longest:.0f} ms at most"
        )


def best(
    measure: Callable[[int], Figures],
    judge: Callable[[Figures], None],
    *,
    together: Callable[[list[Figures]], Figures] | None = None,
) -> Figures:
    """Measure (the first time with 1) until `judge` asserts nothing against the figures; these figures.

    `together` takes the best of each part of several measurements, for one that takes so long that a busy machine
    never leaves it alone: then those during which the machine stood still are also judged together. Raises
    AssertionError with the figures of every try, what was wrong with them, and how the machine did. What `measure`
    raises goes through.
    """
    told: list[str] = []
    spoilt: list[Figures] = []

    def good(what: str, figures: Figures) -> bool:
        try:
            judge(figures)
        except AssertionError as error:
            told.append(f"{what}\n{error}")
            print(told[-1])
            return False
        print(what)
        return True

    for number in range(1, TRIES + 1):
        with Stalls() as stalls:
            figures = measure(number)
        if good(f"try {number}: {figures}; {stalls}", figures):
            return figures
        spoilt += [figures] if stalls.found else []
        if together is not None and len(spoilt) > 1:
            figures = together(spoilt)
            if good(f"the best parts of {len(spoilt)} tries: {figures}", figures):
                return figures
    raise AssertionError(f"not good in any of {TRIES} tries\n" + "\n".join(told))


def each_best(rows: Iterable[Sequence[float]]) -> list[float]:
    """Of each part the best score that it had in several measurements."""
    return [max(part) for part in zip(*rows, strict=True)]
