"""Pipes, read and written by threads that can always be woken.

Rules: the loop never waits for a pipe; each direction has a thread of its own, ended by `close` or `stop`, and a
bounded queue. What a slow reader of ours does not take is dropped and counted. Opening waits for nobody. File flags are
not touched: they belong to everybody who has the same terminal or pipe. Leaves out what is in them (`streams`, `y4m`).
"""

import errno
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from p2pcall.errors import ExitCode, P2PCallError

STDOUT: Final = "standard output"
PIPE_CHUNK_BYTES: Final = 4_096
"""PIPE_BUF on Linux: so much is taken without blocking by a pipe that polls as writable, whatever its flags are."""
FLUSH_S: Final = 0.2
"""How long `stop` waits for a reader to take what is left."""
WAITING_MS: Final = 1_000
"""A stream that gives nothing for so long is told of."""
RETRY_MS: Final = 100
"""Between two looks whether somebody reads a named pipe."""
Piece = bytes | memoryview
"""Of what is written at one go."""


class Waker:
    """A pipe to a thread that polls: `wake` makes `fd` readable, for good."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        self._lock = threading.Lock()

    def wake(self) -> None:
        with self._lock:
            if self._write_fd >= 0:
                os.close(self._write_fd)
                self._write_fd = -1

    def close(self) -> None:
        """Called once, by the thread that polled last."""
        self.wake()
        with self._lock:
            if self.fd >= 0:
                os.close(self.fd)
                self.fd = -1


class FdReader:
    """Reads a file descriptor in one thread; `close`, from any thread, makes a waiting `read` return."""

    def __init__(
        self, open_fd: Callable[[], int], *, owned: bool = False, waiting: Callable[[], None] | None = None
    ):
        """`open_fd` is called by the first `read`; `owned`: closed at the end. `waiting` is told if nothing comes."""
        self._open_fd, self._owned, self._waiting = open_fd, owned, waiting
        self._fd = -1
        self._waker: Waker | None = None
        self._poll = select.poll()
        self._lock = threading.Lock()
        self._ended = False

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, at least one; none at the end of the input or when closed. Raises OSError."""
        with self._lock:
            if self._ended:
                return b""
            if self._waker is None:
                self._waker = Waker()
                self._poll.register(self._waker.fd, select.POLLIN)
        if self._fd < 0:
            self._fd = self._open_fd()
            self._poll.register(self._fd, select.POLLIN)
        ready = self._poll.poll(None if self._waiting is None else WAITING_MS)
        if not ready and self._waiting is not None:
            self._waiting()
            ready = self._poll.poll()
        self._waiting = None
        data = b"" if any(fd != self._fd for fd, _ in ready) else os.read(self._fd, min(count, 1 << 16))
        self._ended = not data
        return data

    def close(self) -> None:
        with self._lock:
            if self._waker is None:
                self._ended = True
            else:
                self._waker.wake()

    def release(self) -> None:
        """Gives everything back; called by the reading thread when it reads no more, or when nobody reads."""
        with self._lock:
            self._ended = True
            waker, self._waker = self._waker, None
        if waker is not None:
            waker.close()
        if self._owned and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class PeekedReader:
    """A reader whose beginning can be looked at first."""

    def __init__(self, reader: FdReader) -> None:
        self._reader = reader
        self._buffer = bytearray()

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end; they are still to be read."""
        while len(self._buffer) < count and (data := self._reader.read(count - len(self._buffer))):
            self._buffer += data
        return bytes(self._buffer[:count])

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, at least one; none at the end."""
        if not self._buffer:
            return self._reader.read(count)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def exactly(self, count: int) -> bytes:
        """`count` bytes, fewer only at the end."""
        got = bytearray()
        while len(got) < count and (data := self.read(count - len(got))):
            got += data
        return bytes(got)


class FdWriter:
    """Writes blocks to a file descriptor from a thread of its own."""

    def __init__(
        self,
        open_fd: Callable[[], int],
        limit: int,
        on_failure: Callable[[OSError], None],
        *,
        owned: bool = False,
    ) -> None:
        """At most `limit` blocks wait; `open_fd` is tried until somebody reads (ENXIO), `owned`: closed at the end.

        `on_failure` is called in the writing thread, once.
        """
        self._open_fd, self._owned = open_fd, owned
        self._limit = limit
        self._on_failure = on_failure
        self._queue: deque[tuple[Piece, ...]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name="p2pcall-pipe-out", daemon=True)
        self._thread.start()
        self.dropped = 0

    @property
    def behind(self) -> bool:
        """Half of what may wait does: what is put now is soon too much."""
        return 2 * len(self._queue) >= self._limit

    def put(self, *pieces: Piece) -> bool:
        """Queues a block, which nobody may change any more; False (and counted) when the queue is full."""
        with self._changed:
            if self._stopping or len(self._queue) >= self._limit:
                self.dropped += 1
                return False
            self._queue.append(pieces)
            self._changed.notify()
            return True

    def stop(self) -> None:
        """Writes what the reader takes within a moment, and ends the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(FLUSH_S)
        self._waker.wake()
        self._thread.join()

    def _next(self) -> tuple[Piece, ...] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            return self._queue.popleft() if self._queue else None

    def _run(self) -> None:
        fd = -1
        try:
            fd = self._opened()
            if fd >= 0:
                self._write_all(fd)
        except OSError as error:
            with self._changed:
                self._stopping = True
                self._queue.clear()
            self._on_failure(error)
        finally:
            self._waker.close()
            if self._owned and fd >= 0:
                os.close(fd)

    def _opened(self) -> int:
        """The descriptor, once there is a reader; -1 if it is stopped before."""
        poll = select.poll()
        poll.register(self._waker.fd, select.POLLIN)
        while True:
            try:
                return self._open_fd()
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            if poll.poll(RETRY_MS):
                return -1

    def _write_all(self, fd: int) -> None:
        own = _reopened(fd)
        try:
            self._write_to(fd if own is None else own, never_blocks=own is not None)
        finally:
            if own is not None:
                os.close(own)

    def _write_to(self, fd: int, *, never_blocks: bool) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        poll.register(self._waker.fd, select.POLLIN)
        while (pieces := self._next()) is not None:
            rest = deque(memoryview(piece) for piece in pieces if len(piece))
            while rest:
                if any(ready == self._waker.fd for ready, _ in poll.poll()):
                    return
                try:
                    done = os.writev(fd, rest if never_blocks else [rest[0][:PIPE_CHUNK_BYTES]])
                except BlockingIOError:  # somebody else has filled it
                    continue
                while done and done >= len(rest[0]):
                    done -= len(rest.popleft())
                if done:
                    rest[0] = rest[0][done:]


def _reopened(fd: int) -> int | None:
    """The same pipe, as a file whose flags are ours alone: it takes what it has room for, and never blocks.

    None for what is no pipe, or where that cannot be had.
    """
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        pass
    return None


def write_error(error: OSError, what: str = STDOUT) -> P2PCallError:
    """What a failed write means to people; that nobody reads standard output any more is no failure but an end."""
    if isinstance(error, BrokenPipeError):
        if what == STDOUT:
            return P2PCallError("stdout-closed", "nobody reads standard output any more", ExitCode.OK)
        return P2PCallError("write-failed", f"{what}: nobody reads it any more", ExitCode.DEVICE)
    return P2PCallError("write-failed", f"{what}: {(error.strerror or str(error)).lower()}", ExitCode.DEVICE)
