"""Lines to stdout and stderr from an event loop that must not wait for their reader.

A thread writes; a bounded queue is between it and the loop. If the queue is full, droppable lines (figures of one
second) are dropped first, else the oldest line; dropped lines are counted. So a stalled reader misses lines but stops
nothing. If the reader goes away, this is noticed at once, and the command ends. The order of lines is kept, and lines
are never mixed. Left out: the content of a line (`events`).
"""

import asyncio
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from p2pcall.cli.stdout import StdoutClosed, silence, stdout_error
from p2pcall.errors import P2PCallError

QUEUE_LINES: Final = 2000
"""About half an hour of figures, or 1 MB, in addition to the pipe's own buffer."""
CLOSE_WAIT_S: Final = 1.0
"""Time for a live reader to take the remaining lines at the end."""
_LOOK_S: Final = 0.1
"""While the reader takes nothing, interval of checks whether to give up."""


class LineWriter:
    """`put` from one thread; `close` at the end, whatever happened."""

    def __init__(
        self, stream: TextIO, on_closed: Callable[[], None] | None = None, *, limit: int = QUEUE_LINES
    ) -> None:
        """`on_closed` needs a running loop; it is called there, once, when no more can be written (see `failure`)."""
        self.dropped = 0
        """Droppable lines that were dropped for others."""
        self.lost = 0
        """Other lines that were dropped, because the queue had no droppable ones."""
        self.stuck = False
        """Whether lines were left at the end because the reader did not take them in time."""
        self.failure: StdoutClosed | P2PCallError | None = None
        self._stream, self._limit = stream, limit
        self._fd = _descriptor(stream)
        self._on_closed = on_closed
        self._loop = None if on_closed is None else asyncio.get_running_loop()
        self._queue: deque[tuple[str, bool]] = deque()
        self._may_go = 0
        """Droppable lines in the queue."""
        self._changed = threading.Condition()
        self._closing = self._given_up = self._writing = False
        self._watch = (
            None if self._fd is None or self._loop is None else _Watch(self._loop, self._fd, self._gone)
        )
        self._thread = threading.Thread(target=self._run, name="p2pcall-lines", daemon=True)
        self._thread.start()

    def put(self, line: str, *, droppable: bool = False) -> None:
        """Queue a line for writing. Never waits, never raises; ignored after the end."""
        with self._changed:
            if self.failure is not None or self._closing:
                return
            if len(self._queue) < self._limit or self._make_room(droppable):
                self._queue.append((line, droppable))
                self._may_go += droppable
                self._changed.notify_all()

    def settle(self, wait_s: float) -> None:
        """Wait until all queued lines are written, at most `wait_s`; used before writing there in another way."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._queue or self._writing) or self._over(), wait_s)

    def close(self, wait_s: float = CLOSE_WAIT_S) -> bool:
        """End. Returns whether all lines were written; a slow reader gets `wait_s`. If not, stdout is silenced."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._watch is not None:
            self._watch.close()
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._given_up = self.stuck = True
            self._thread.join(2 * _LOOK_S)
        elif self.failure is None:
            return True
        silence(self._stream)
        return False

    def _gone(self) -> None:
        """Runs in the loop: the reader went away, maybe long after the last write."""
        with self._changed:
            if self.failure is None:
                self._fail(stdout_error(BrokenPipeError()))

    # --- with the lock held ------------------------------------------------------------------------------------

    def _make_room(self, droppable: bool) -> bool:
        """Drop the oldest droppable line, else the oldest line. False: the new line itself is the one to drop."""
        if self._may_go:
            index = next(index for index, (_, may_go) in enumerate(self._queue) if may_go)
            del self._queue[index]
            self._may_go -= 1
            self.dropped += 1
            return True
        if droppable:
            self.dropped += 1
            return False
        self._queue.popleft()
        self.lost += 1
        return True

    def _fail(self, failure: StdoutClosed | P2PCallError) -> None:
        self.failure = failure
        self._queue.clear()
        self._may_go = 0
        self._changed.notify_all()

    # --- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (line := self._next()) is not None:
                self._write(line + "\n")
        except OSError as error:
            with self._changed:
                if self.failure is None:
                    self._fail(stdout_error(error))
        if self.failure is not None and self._loop is not None and self._on_closed is not None:
            with suppress(RuntimeError):  # the loop has ended; the caller of `close` checks `failure`
                self._loop.call_soon_threadsafe(self._on_closed)

    def _next(self) -> str | None:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._closing or self._over())
            self._writing = bool(self._queue) and not self._over()
            if not self._writing:
                return None
            line, may_go = self._queue.popleft()
            self._may_go -= may_go
            return line

    def _over(self) -> bool:
        return self._given_up or self.failure is not None

    def _write(self, line: str) -> None:
        """Write directly to the descriptor: if this thread held the stream's lock, the interpreter could not exit."""
        if self._fd is None:
            self._stream.write(line)
            return
        rest = memoryview(line.encode())
        while rest and not self._over():
            if select.select([], [self._fd], [], _LOOK_S)[1]:
                with suppress(BlockingIOError):
                    # A writable pipe takes this many bytes without waiting.
                    rest = rest[os.write(self._fd, rest[: select.PIPE_BUF]) :]


class _Watch:
    """Reports once, in the loop, when the other end of a pipe is closed. Works only for pipes, with epoll."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, on_closed: Callable[[], None]) -> None:
        self._loop, self._on_closed = loop, on_closed
        self._epoll: select.epoll | None = None
        with suppress(OSError):  # it is closed already, or no descriptors are left
            if hasattr(select, "epoll") and stat.S_ISFIFO(os.fstat(fd).st_mode):
                self._epoll = select.epoll()
                self._epoll.register(fd, 0)  # no events requested: errors and hang-up are always reported
                loop.add_reader(self._epoll.fileno(), self._tell)

    def close(self) -> None:
        """Stop watching. Can be called from any thread, and after the loop has ended."""
        try:
            self._loop.call_soon_threadsafe(self._end)
        except RuntimeError:
            self._end()

    def _tell(self) -> None:
        self._end()
        self._on_closed()

    def _end(self) -> None:
        epoll, self._epoll = self._epoll, None
        if epoll is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.remove_reader(epoll.fileno())
            epoll.close()


def _descriptor(stream: TextIO) -> int | None:
    """The stream's descriptor; None for a stream in memory."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
