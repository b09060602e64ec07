"""What the window costs, and how late it is: the real process under Xvfb, fed as the playout thread feeds it.

The window is as large as it opens (640x480), one's own picture is in its corner, the status line has faded. The
processor is that of the window's process, from /proc, and that of laying pictures into shared memory, from the
thread's own clock.
"""

import os
import select
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import av
import desktop
import numpy as np
from xwindow import XServer

from p2pcall.view.hud import HudState
from p2pcall.view.window import Window
from p2pcall.view.window_link import Drawn, Ready

STARTS = 5
WARM_UP_S = 6.0
"""The status line has faded."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
Figure = tuple[str, float, str, float | None]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mib(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def frames(width: int, height: int) -> list[av.VideoFrame]:
    """Noise that moves: no picture is dearer to show."""
    chance = np.random.default_rng(1)
    shape = (height * 3 // 2, width)
    return [
        av.VideoFrame.from_ndarray(chance.integers(16, 235, shape, np.uint8), format="yuv420p")
        for _ in range(4)
    ]


def opening_s(environ: dict[str, str]) -> float:
    """From the decision to have a window to the window that is there."""
    began = time.monotonic()
    window = Window(environ)
    window.set_hud(HudState(name="bob"))
    try:
        while True:
            select.select([window.fileno()], [], [])
            if any(isinstance(event, Ready) and event.renderer for event in window.read_events()):
                return time.monotonic() - began
    finally:
        window.close()


def run(environ: dict[str, str], width: int, height: int, fps: int, seconds: float) -> Iterator[Figure]:
    """Show pictures of this size and rate for so long."""
    shown, own = frames(width, height), frames(160, 120)
    window = Window(environ)
    window.set_hud(HudState(name="bob", known="verified", remote_video=True, video_on=True))
    drawn: list[Drawn] = []
    began = due = time.monotonic()
    number, laid, before = 0, 0.0, 0.0
    mark = began + WARM_UP_S
    try:
        while (now := time.monotonic()) < mark + seconds:
            if before == 0.0 and now >= mark:
                before, laid = cpu_s(window._process.pid), 0.0
                drawn.clear()
                mark = now
            at = time.thread_time()
            window.show_local(own[number % 4])
            window.show(shown[number % 4])
            if number % fps == 0:
                window.set_hud(
                    HudState(name="bob", known="verified", remote_video=True, elapsed_s=number / fps)
                )
            laid += time.thread_time() - at
            number += 1
            due += 1 / fps
            while (left := due - time.monotonic()) > 0:
                if select.select([window.fileno()], [], [], left)[0]:
                    drawn += [event for event in window.read_events() if isinstance(event, Drawn)]
        elapsed = time.monotonic() - mark
        what = f"window {width}x{height} at {fps}/s"
        goal = 3.0 if fps == 15 else 8.0
        yield f"{what}: its process", 100 * (cpu_s(window._process.pid) - before) / elapsed, "%", goal
        yield f"{what}: laying pictures down", 100 * laid / elapsed, "%", None
        yield f"{what}: pictures shown", sum(one.shown for one in drawn) / len(drawn), "/s", None
        late = sorted(one.longest_ms for one in drawn)
        yield (
            f"{what}: decoded to shown, latest of a second, median",
            statistics.median(late),
            "ms",
            1000 / fps,
        )
        yield f"{what}: decoded to shown, latest of all", late[-1], "ms", None
        yield f"{what}: memory of its process, peak", resident_mib(window._process.pid), "MiB", None
    finally:
        window.close()


def window_figures(seconds: float) -> Iterator[Figure]:
    """All of it, on a screen of its own."""
    if reason := desktop.missing():
        raise SystemExit(reason)
    server = XServer()
    environ = dict(os.environ) | {"DISPLAY": server.display}
    try:
        opened = [opening_s(environ) for _ in range(STARTS)]
        yield "window: from wish to window, median", 1000 * statistics.median(opened), "ms", 400
        yield "window: from wish to window, worst", 1000 * max(opened), "ms", None
        yield from run(environ, 320, 240, 15, seconds)
        yield from run(environ, 640, 480, 30, seconds)
    finally:
        server.close()
