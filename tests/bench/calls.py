"""Two real processes in a call on the loopback, and what each has used by when: for `bench` and `against`.

What a call costs is read from /proc at two moments in the middle of it, so that neither start nor end is in it.
"""

import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import HEAD_BYTES, P2P, Surroundings

WARM_UP_STATS = 3
"""`stats` events before the measuring begins."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
VIDEO_SIZE, VIDEO_FPS = (320, 240), 15
SIDES = ("listen", "dial")
ANSWERS = ("--answer", "anyone", "--announce", "off", "--bind", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far, and when."""

    at_s: float
    cpu_s: float
    rss_mib: float
    peak_mib: float

    @classmethod
    def of(cls, process: P2P) -> "Usage":
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        rss, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return cls(time.monotonic(), (int(fields[11]) + int(fields[12])) / TICKS_PER_S, rss, peak)

    def cpu_percent_since(self, before: "Usage") -> float:
        return 100 * (self.cpu_s - before.cpu_s) / (self.at_s - before.at_s)


@dataclass(frozen=True, slots=True)
class Call:
    """Two processes in a call."""

    listener: P2P
    dialler: P2P
    began: float
    """When the dialling side was started, in seconds since the epoch."""

    @property
    def sides(self) -> dict[str, P2P]:
        return {"listen": self.listener, "dial": self.dialler}

    def stats(self, count: int) -> None:
        """Wait until both sides have told their figures this often from now on."""
        for _ in range(count):
            for side in self.sides.values():
                side.wait_event("stats")

    def usage(self) -> dict[str, Usage]:
        return {name: Usage.of(side) for name, side in self.sides.items()}


@contextmanager
def call(
    directory: Path,
    listen: Sequence[str],
    dial: Sequence[str],
    env: Sequence[dict[str, str]] = ({}, {}),
    **where: Any,
) -> Iterator[Call]:
    """A call on the loopback with these options; ended with the block.

    `env` is added to the environment of who listens and who dials. `where`: see `Surroundings`.
    """
    options = ["listen", "--json", *ANSWERS, "--port", "0", *listen]
    places = [
        Surroundings(directory / side, env=more, **where) for side, more in zip(SIDES, env, strict=True)
    ]
    with P2P(options, places[0]) as listener:
        port = listener.wait_event("listening")["port"]
        argv = ["dial", f"127.0.0.1:{port}", "--json", *dial]
        began = time.time()
        with P2P(argv, places[1]) as dialler:
            dialler.wait_event("connected")
            yield Call(listener, dialler, began)


def marks_of(made: Call, seconds: float) -> list[dict[str, Usage]]:
    """What both sides have used after a while, then after each third of the time."""
    made.stats(WARM_UP_STATS)
    marks = [made.usage()]
    for _ in range(3):
        made.stats(max(1, round(seconds / 3)))
        marks.append(made.usage())
    return marks


def y4m_frame_bytes(process: P2P) -> int:
    """Bytes of one picture on a pipe of y4m, from its head."""
    process.wait_stdout_bytes(HEAD_BYTES)
    head = re.match(rb"YUV4MPEG2 W(\d+) H(\d+) ", bytes(process.stdout))
    if head is None:
        raise ValueError("standard output is no y4m")
    return len(b"FRAME\n") + int(head[1]) * int(head[2]) * 3 // 2


@contextmanager
def seen_call(directory: Path, seen: Sequence[str], **where: Any) -> Iterator[Call]:
    """A call with the whole picture, which both sides decode and pipe out raw, once it has run for a while."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    media = [*seen, "--video-out", "-"]
    listen = ["listen", *ANSWERS, "--port", port, "--once", *media]
    places = [Surroundings(directory / f"whole-{side}", keep=False, **where) for side in SIDES]
    with P2P(listen, places[0]) as listener:
        listener.wait_stderr("waiting for calls")
        began = time.time()
        with P2P(["dial", f"127.0.0.1:{port}", *media], places[1]) as dialler:
            made = Call(listener, dialler, began)
            for side in made.sides.values():
                side.wait_stdout_bytes(WARM_UP_STATS * VIDEO_FPS * y4m_frame_bytes(side))
            yield made


def seen_marks(made: Call, seconds: float) -> tuple[list[dict[str, Usage]], float]:
    """As `marks_of`, for a call that has no events: time is the clock's. And the pictures a second that were seen."""
    dialler = made.dialler
    marks, counts = [made.usage()], [dialler.stdout_count]
    for _ in range(3):
        time.sleep(seconds / 3)
        marks.append(made.usage())
        counts.append(dialler.stdout_count)
    elapsed = marks[-1]["dial"].at_s - marks[0]["dial"].at_s
    return marks, (counts[-1] - counts[0]) / y4m_frame_bytes(dialler) / elapsed
