"""When packets of voice leave: a fixed time after their frame came, independent of the encoder's time.

Encoding silence and speech takes different times (measured: 504 and 441 µs; 0.6 and 3 ms for 60 ms of sound). If
packets left as soon as they are ready, an observer could recognise a muted microphone from the gaps. A frame that takes
longer than the fixed time is sent when it is ready. asyncio's timers do not work for this: on Linux they wait whole
milliseconds from the moment when the loop goes to sleep, that is after the encoder (100 µs more work: 104 µs later).
Left out: the jitter of incoming frames.
"""

import asyncio
import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

HOLD_S: Final = 0.003
"""Time from a frame's arrival to its packet's departure for frames of two ticks: encoding takes 0.5 to 1 ms,
and less than this for 99 of 100 frames on two busy cores. It delays the voice by as much."""
HOLD_PER_TICK_S: Final = 0.0015
"""Longer frames are held so much for each tick: encoding six takes 0.6 ms for silence, and 3 to 4 for music."""
TICK_HOLD_S: Final = 0.001
"""For frames of one tick, which take 0.1 ms to encode."""
_CLOCK_MONOTONIC: Final = 1
_TFD_TIMER_ABSTIME: Final = 1
_COUNT_BYTES: Final = 8
"""Size of a read from a timerfd: how often it expired."""


class Alarm(Protocol):
    """Calls `ring` at a time of the loop's clock; one alarm at a time."""

    def at(self, when: float) -> None:
        """Ring at `when`; this replaces the time that was set before."""

    def close(self) -> None:
        """Never ring again."""


class LoopAlarm:
    """Uses the loop's own timers: exact in virtual time and on macOS."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring, self._loop = ring, asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def at(self, when: float) -> None:
        """Ring then."""
        self.close()
        self._timer = self._loop.call_at(when, self._ring)

    def close(self) -> None:
        """It does not ring any more."""
        if self._timer is not None:
            self._timer.cancel()


class _Spec(ctypes.Structure):
    """`struct itimerspec`: the interval, then the time, each in seconds and nanoseconds."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "s", "ns")]


class KernelAlarm:
    """Uses Linux's timerfd, which rings 0.1 ms after its time. OSError or AttributeError if there is none."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring, self._loop = ring, asyncio.get_running_loop()
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        self._spec = _Spec()
        self._fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop.add_reader(self._fd, self._rang)

    def at(self, when: float) -> None:
        """Ring then."""
        self._spec.s, self._spec.ns = int(when), int(when % 1 * 1e9)
        self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None)

    def close(self) -> None:
        """It does not ring any more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _rang(self) -> None:
        try:
            os.read(self._fd, _COUNT_BYTES)
        except BlockingIOError:  # it was set again meanwhile
            return
        self._ring()


def make_alarm(ring: Callable[[], None]) -> Alarm:
    """The best alarm for the running loop. The kernel's needs a loop that uses the system's clock."""
    if sys.platform == "linux" and type(asyncio.get_running_loop()) is asyncio.SelectorEventLoop:
        with suppress(OSError, AttributeError):
            return KernelAlarm(ring)
    return LoopAlarm(ring)


class SendPacer:
    """Call `came` before a frame is encoded, then `put` its packet; it goes to `send` `hold_s` after `came`."""

    def __init__(self, send: Callable[[bytes, int], None]) -> None:
        self._send = send
        self.hold_s = HOLD_S
        self._loop = asyncio.get_running_loop()
        self._alarm = make_alarm(self._leave)
        self._came_at = 0.0
        self._waiting: deque[tuple[float, bytes, int]] = deque()

    def came(self) -> None:
        """A frame has arrived; the next `put` is its packet."""
        self._came_at = self._loop.time()

    def put(self, packet: bytes, padded_to: int) -> None:
        """Send the packet at its time. Late packets, including this one, leave at once."""
        waiting, due = self._waiting, self._came_at + self.hold_s
        waiting.append((due, packet, padded_to))
        if len(waiting) == 1 and self._loop.time() < due:
            self._alarm.at(due)
        else:
            self._leave()

    def close(self) -> None:
        """Send nothing more."""
        self._waiting.clear()
        self._alarm.close()

    def _leave(self) -> None:
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, packet, padded_to = self._waiting.popleft()
            self._send(packet, padded_to)
        if self._waiting:
            self._alarm.at(self._waiting[0][0])
