"""Lines to stdout and stderr from an event loop that must not wait for their reader.

A thread writes; between it and the loop is a queue with a bound. If that is full, lines that may be missed (figures of
one second) make room, else the oldest, and they are counted: a reader that stands still misses something, and ends
nothing. A reader that goes away is noticed at once, and ends what writes. The order of lines is kept, and a line is
never mixed with another. Leaves out: what is in a line (`events`).
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
"""About half an hour of figures, or 1 MB, beyond what the pipe itself holds."""
CLOSE_WAIT_S: Final = 1.0
"""For a reader that is alive, to take what is left at the end."""
_LOOK_S: Final = 0.1
"""While the reader takes nothing, so often is looked whether to give up."""


class LineWriter:
    """`put` from one thread; `close` at the end, whatever happened."""

    def __init__(
        self, stream: TextIO, on_closed: Callable[[], None] | None = None, *, limit: int = QUEUE_LINES
    ) -> None:
        """With `on_closed` in a running loop: there it is called, once, when no more can be written (see `failure`)."""
        self.dropped = 0
        """Lines that may be missed and made room for others."""
        self.lost = 0
        """Other lines that did so, for there were none of those."""
        self.stuck = False
        """Lines were left at the end because nobody took them in time."""
        self.failure: StdoutClosed | P2PCallError | None = None
        self._stream, self._limit = stream, limit
        self._fd = _descriptor(stream)
        self._on_closed = on_closed
        self._loop = None if on_closed is None else asyncio.get_running_loop()
        self._queue: deque[tuple[str, bool]] = deque()
        self._may_go = 0
        """Lines in it that may be missed."""
        self._changed = threading.Condition()
        self._closing = self._given_up = self._writing = False
        self._watch = (
            None if self._fd is None or self._loop is None else _Watch(self._loop, self._fd, self._gone)
        )
        self._thread = threading.Thread(target=self._run, name="p2pcall-lines", daemon=True)
        self._thread.start()

    def put(self, line: str, *, droppable: bool = False) -> None:
        """Write a line when its turn comes. Never waits, never raises; ignored after the end."""
        with self._changed:
            if self.failure is not None or self._closing:
                return
            if len(self._queue) < self._limit or self._make_room(droppable):
                self._queue.append((line, droppable))
                self._may_go += droppable
                self._changed.notify_all()

    def settle(self, wait_s: float) -> None:
        """Wait until all is out that was put, but not for long: before something else is written to the same place."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._queue or self._writing) or self._over(), wait_s)

    def close(self, wait_s: float = CLOSE_WAIT_S) -> bool:
        """No more lines; whether all are out, for which a slow reader gets `wait_s`. After a no stdout is silenced."""
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
        """In the loop: the reader went away, though nothing may have been written for hours."""
        with self._changed:
            if self.failure is None:
                self._fail(stdout_error(BrokenPipeError()))

    # --- with the lock held ------------------------------------------------------------------------------------

    def _make_room(self, droppable: bool) -> bool:
        """The oldest line that may be missed goes, which may be the new one itself (False), or else the oldest."""
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
            with suppress(RuntimeError):  # the loop is over; whoever closes looks at `failure`
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
        """Straight to the descriptor: a lock of the stream, held by this thread, would stop the interpreter's end."""
        if self._fd is None:
            self._stream.write(line)
            return
        rest = memoryview(line.encode())
        while rest and not self._over():
            if select.select([], [self._fd], [], _LOOK_S)[1]:
                with suppress(BlockingIOError):
                    # Never more than what a pipe that says it is writable takes without waiting.
                    rest = rest[os.write(self._fd, rest[: select.PIPE_BUF]) :]


class _Watch:
    """Tells, once and in the loop, when the other end of a pipe is closed; of pipes alone, and where there is epoll."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, on_closed: Callable[[], None]) -> None:
        self._loop, self._on_closed = loop, on_closed
        self._epoll: select.epoll | None = None
        with suppress(OSError):  # it is closed already, or no descriptor is to be had
            if hasattr(select, "epoll") and stat.S_ISFIFO(os.fstat(fd).st_mode):
                self._epoll = select.epoll()
                self._epoll.register(fd, 0)  # no event is asked for: errors and the end come all the same
                loop.add_reader(self._epoll.fileno(), self._tell)

    def close(self) -> None:
        """No more; from any thread, and when the loop is over."""
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
            with suppress(RuntimeError):  # the loop is over
                self._loop.remove_reader(epoll.fileno())
            epoll.close()


def _descriptor(stream: TextIO) -> int | None:
    """None: a stream in memory."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
