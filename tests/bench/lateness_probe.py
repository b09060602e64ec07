"""The program, with a note of how late each look at its sound cards was: for `cards_drawing`.

    LATENESS=FILE python lateness_probe.py ARGUMENTS...

At the end FILE has a line for each look, in seconds.
"""

import atexit
import os
from pathlib import Path

from p2pcall.cli import run
from p2pcall.device.pace import CardPolls, Ticker

_late: list[float] = []


def _fire(polls: CardPolls) -> None:
    _late.append(polls.scheduler.time() - polls._due)
    Ticker._fire(polls)


def _write() -> None:
    Path(os.environ["LATENESS"]).write_text("\n".join(map(str, _late)))


if __name__ == "__main__":
    CardPolls._fire = _fire  # type: ignore[method-assign]
    atexit.register(_write)
    run()
