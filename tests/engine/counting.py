"""How many functions a call of voice goes through in a tick: the same number every time.

Two stations in one process talk through real sockets, in virtual time. Counted is what the loop's thread calls, for one
tick of 20 ms and one side: functions written in Python, the program's and asyncio's, and apart from them those written
in C. Left out: this harness; the look at this machine's addresses once a second, which takes more the more there are;
and comparisons of timers, for here both sides' are in one heap. Run as a program it tells where the calls are, the
most first: `PYTHONPATH=tests/engine:tests/sim python tests/engine/counting.py`.
"""

import asyncio
import selectors
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from calls import VOICE, FakeUi, agent, dial, listening

from p2pcall import events
from p2pcall.engine.policy import Answer
from p2pcall.media.constants import FRAME_S
from p2pcall.net.udp import Driver

HOST = "127.0.0.1"
WARM_S, COUNTED_S = 3.0, 4.0
"""What is counted begins when delays and round trips have settled, and has whole seconds: once in each all is told."""
SIDE_TICKS = 2 * round(COUNTED_S / FRAME_S)
LEFT_OUT = ("interfaces.py", "ipaddress.py", "ifaddr/", "ctypes/__init__.py", "counting.py")
ROOTS = ("p2pcall/p2pcall/", "/p2pcall/", "site-packages/", "/lib/python3")
"""What a path is cut off after, to be read."""


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
    """Calls by file and function: `python` those of functions written in it, `builtin` what those called themselves."""

    def __init__(self) -> None:
        self.python: Counter[tuple[str, str]] = Counter()
        self.builtin: Counter[tuple[str, str]] = Counter()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """`sys.setprofile`'s."""
        counter = {"call": self.python, "c_call": self.builtin}.get(event)
        code = frame.f_code
        beside = any(part in code.co_filename for part in LEFT_OUT) or code.co_name == "__lt__"
        if counter is not None and not beside:
            counter[code.co_filename, code.co_qualname] += 1


def per_tick(counter: "Counter[tuple[str, str]]") -> float:
    """Of one side."""
    return sum(counter.values()) / SIDE_TICKS


def count_calls(folder: Path) -> Counts:
    """What a call takes that has gone on for a while."""
    counts = Counts()

    async def scene() -> None:
        sockets: Any = _Sockets()
        ui = FakeUi()
        bob = agent(folder, "bob", FakeUi(), sockets, HOST, 2, answer=Answer.ANYONE, once=True, media=VOICE)
        port = sockets.port
        seconds = WARM_S + COUNTED_S + 1.0
        alice = agent(folder, "alice", ui, sockets, HOST, 1, max_duration_s=seconds, media=VOICE)
        listens = await listening(bob)
        call = asyncio.ensure_future(dial(alice, f"{HOST}:{port}"))
        await ui.wait(events.Connected)
        await asyncio.sleep(WARM_S)
        before = sys.getprofile()
        sys.setprofile(counts)
        try:
            await asyncio.sleep(COUNTED_S)
        finally:
            sys.setprofile(before)
        await call
        await listens

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(scene())
    return counts


def _short(path: str) -> str:
    for root in ROOTS:
        if root in path:
            return path.rpartition(root)[2]
    return path


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = count_calls(Path(folder))
    rooms: Counter[str] = Counter()
    for where, count in (found.python + found.builtin).most_common():
        path, function = _short(where[0]), where[1]
        rooms[path.rpartition("/")[0]] += count
        own, called = found.python[where] / SIDE_TICKS, found.builtin[where] / SIDE_TICKS
        print(f"{own:7.2f} {called:7.2f}  {path}  {function}")
    print()
    for room, count in rooms.most_common():
        print(f"{count / SIDE_TICKS:7.2f}  {room}")
    print(
        f"{per_tick(found.python):7.2f} {per_tick(found.builtin):7.2f}  a tick and side: in Python, built in"
    )


if __name__ == "__main__":
    main()
