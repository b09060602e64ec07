"""How many Python functions a call of voice goes through, tick by tick: the same number every time.

Two stations in one process talk through real sockets, in virtual time; each call of a function of the program and of
asyncio counts, in the loop's thread, none of this harness. Run as a program it tells where they are:
`PYTHONPATH=tests/engine python tests/engine/counting.py`.
"""

import asyncio
import selectors
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from calls import VOICE, FakeUi, dial, listening, station

from p2pcall import events
from p2pcall.engine.settings import Answer
from p2pcall.media.constants import FRAME_S
from p2pcall.net.udp import Driver

HOST = "127.0.0.1"
WARM_S, COUNTED_S = 3.0, 4.0
"""What is counted begins when delays and round trips have settled, and has whole seconds: once in each all is told."""
SIDES = 2

Where = tuple[str, str]
"""A file, from its package on, and a function."""


class _Jumping(selectors.DefaultSelector):
    """Takes what the sockets have, and never waits: the time that would have been waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.now += max(timeout, 0.0)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class _Sockets:
    """In place of the network in memory."""

    def __init__(self) -> None:
        self.port = 0

    def driver(self, _: str) -> Driver[Any]:
        driver: Driver[Any] = Driver.open([HOST], 0)
        self.port = driver.port
        return driver


class Counts:
    """Calls by function, while it is `sys.setprofile`'s."""

    def __init__(self) -> None:
        self.calls: Counter[Where] = Counter()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename != __file__:
            path = frame.f_code.co_filename
            for root in ("p2pcall/p2pcall/", "/p2pcall/", "/lib/python"):
                if root in path:
                    path = path.rpartition(root)[2]
                    break
            self.calls[path, frame.f_code.co_qualname] += 1

    def per_tick(self) -> dict[Where, float]:
        """Of one side."""
        ticks = round(COUNTED_S / FRAME_S) * SIDES
        return {where: count / ticks for where, count in self.calls.items()}


def count_calls(folder: Path) -> Counts:
    """What a warm call takes."""
    counts = Counts()

    async def scene() -> None:
        sockets: Any = _Sockets()
        ui = FakeUi()
        listener = station(
            folder, "bob", FakeUi(), sockets, HOST, 2, answer=Answer.ANYONE, once=True, media=VOICE
        )
        port = sockets.port
        caller = station(
            folder, "alice", ui, sockets, HOST, 1, max_duration_s=WARM_S + COUNTED_S + 1.0, media=VOICE
        )
        heard = await listening(listener)
        call = asyncio.ensure_future(dial(caller, f"{HOST}:{port}"))
        await ui.wait(events.Connected)
        await asyncio.sleep(WARM_S)
        sys.setprofile(counts)
        await asyncio.sleep(COUNTED_S)
        sys.setprofile(None)
        await call
        await heard

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(scene())
    return counts


def main() -> None:
    """Print the table, the most first."""
    with tempfile.TemporaryDirectory() as folder:
        found = count_calls(Path(folder)).per_tick()
    rooms: Counter[str] = Counter()
    for (path, function), calls in sorted(found.items(), key=lambda item: -item[1]):
        rooms[path.rpartition("/")[0]] += calls  # type: ignore[assignment]
        if calls >= 0.01:
            print(f"{calls:7.2f}  {path}  {function}")
    print()
    for room, calls in rooms.most_common():
        print(f"{calls:7.2f}  {room}")
    print(f"{sum(found.values()):7.2f}  calls a tick and side")


if __name__ == "__main__":
    main()
