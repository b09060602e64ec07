"""Lines of JSON to stdout from an event loop that must not wait for their reader.

A thread writes; between it and the loop is a queue with a bound. If that is full, lines that may be missed (figures of
one second) make room and are counted; if there are none, nobody reads, which is the same as a closed stdout. The order
of lines is kept, and a line is never mixed with another. Leaves out: what is in a line (`events`).
"""

import asyncio
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from p2pcall.cli.stdout import StdoutClosed, silence, write_error
from p2pcall.errors import P2PCallError

QUEUE_LINES: Final = 2000
"""About half an hour of figures, or 1 MB, beyond what the pipe itself holds."""
CLOSE_WAIT_S: Final = 1.0
"""For a reader that is alive, to take what is left at the end."""
_LOOK_S: Final = 0.1
"""While the reader takes nothing, so often is looked whether to give up."""


class LineWriter:
    """`put` from one thread; `close` at the end, whatever happened."""

    def __init__(self, stream: TextIO, on_closed: Callable[[], None], *, limit: int = QUEUE_LINES) -> None:
        """In a running loop: there `on_closed` is called, once, when no more can be written (see `failure`)."""
        self.dropped = 0
        """Lines that made room for others."""
        self.stuck = False
        """Lines were lost because nobody took them in time."""
        self.failure: StdoutClosed | P2PCallError | None = None
        self._stream, self._limit = stream, limit
        self._fd = _descriptor(stream)
        self._on_closed, self._loop = on_closed, asyncio.get_running_loop()
        self._queue: deque[tuple[str, bool]] = deque()
        self._changed = threading.Condition()
        self._closing = self._given_up = False
        self._thread = threading.Thread(target=self._run, name="p2pcall-lines", daemon=True)
        self._thread.start()

    def put(self, line: str, *, droppable: bool = False) -> None:
        """Write a line when its turn comes. Never waits, never raises; ignored after the end."""
        with self._changed:
            if self.failure is not None or self._closing:
                return
            if len(self._queue) < self._limit or self._make_room(droppable):
                self._queue.append((line, droppable))
                self._changed.notify()

    def close(self, wait_s: float = CLOSE_WAIT_S) -> bool:
        """No more lines; whether all are out, for which a slow reader gets `wait_s`. After a no stdout is silenced."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._given_up = self.stuck = True
            self._thread.join(2 * _LOOK_S)
        elif self.failure is None:
            return True
        silence(self._stream)
        return False

    # --- with the lock held ------------------------------------------------------------------------------------

    def _make_room(self, droppable: bool) -> bool:
        """The oldest line that may be missed goes, which may be the new one itself. False: there is no room."""
        for index, (_, may_go) in enumerate(self._queue):
            if may_go:
                del self._queue[index]
                self.dropped += 1
                return True
        if droppable:
            self.dropped += 1
        else:
            self.stuck = True
            self._fail(StdoutClosed("standard output is not read"))
        return False

    def _fail(self, failure: StdoutClosed | P2PCallError) -> None:
        self.failure = failure
        self._queue.clear()
        self._changed.notify()
        with suppress(RuntimeError):  # the loop is over; whoever closes looks at `failure`
            self._loop.call_soon_threadsafe(self._on_closed)

    # --- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (line := self._next()) is not None:
                self._write(line + "\n")
        except OSError as error:
            with self._changed:
                if self.failure is None:
                    self._fail(write_error(error))

    def _next(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing or self._over())
            return self._queue.popleft()[0] if self._queue and not self._over() else None

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


def _descriptor(stream: TextIO) -> int | None:
    """None: a stream in memory."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
