"""Standard input and output as devices: raw PCM in both directions.

Raw PCM is signed 16-bit little-endian mono at 48 kHz. Rules: the loop never waits for a pipe; each
direction has a thread of its own, ended by `stop`, and a bounded queue. Reading stops when the queue is
full, so the program that writes is held to real time; what a slow reader of ours does not take is dropped
and counted. File flags are not touched: they belong to everybody who has the same terminal or pipe. Leaves
out y4m pictures (`y4m`).
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

from p2pcall.device.base import FRAME_BYTES, SILENCE, OnError, OnFrame, Scheduler
from p2pcall.device.pace import Ticker
from p2pcall.errors import ExitCode, P2PCallError

READ_QUEUE_FRAMES = 4
"""80 ms of input in hand: what a writer on a busy machine may be late."""
WRITE_QUEUE_FRAMES = 25
"""Half a second of output that a reader may be behind before frames are dropped."""
PIPE_CHUNK_BYTES = 4_096
"""PIPE_BUF on Linux: so much is taken without blocking by a pipe that polls as writable."""
FLUSH_S = 0.2
"""How long `stop` waits for a reader to take what is left."""


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

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waker = Waker()
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(self._waker.fd, select.POLLIN)

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, fewer only at the end of the input or when closed. Raises OSError."""
        got = bytearray()
        while len(got) < count:
            if any(fd != self._fd for fd, _ in self._poll.poll()):
                break
            data = os.read(self._fd, min(count - len(got), 1 << 16))
            if not data:
                break
            got += data
        return bytes(got)

    def close(self) -> None:
        self._waker.wake()

    def release(self) -> None:
        """Gives the waker back; called by the reading thread when it reads no more."""
        self._waker.close()


class FdWriter:
    """Writes blocks to a file descriptor from a thread of its own."""

    def __init__(self, fd: int, limit: int, on_failure: Callable[[OSError], None]) -> None:
        """At most `limit` blocks wait; `on_failure` is called in the writing thread, once."""
        self._fd = fd
        self._limit = limit
        self._on_failure = on_failure
        self._queue: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name="p2pcall-pipe-out", daemon=True)
        self._thread.start()
        self.dropped = 0

    def put(self, data: bytes) -> bool:
        """Queues a block; False (and counted) when the queue is full."""
        with self._changed:
            if self._stopping or len(self._queue) >= self._limit:
                self.dropped += 1
                return False
            self._queue.append(data)
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

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            return self._queue.popleft() if self._queue else None

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.register(self._waker.fd, select.POLLIN)
        try:
            while (data := self._next()) is not None:
                rest = memoryview(data)
                while rest:
                    if any(fd == self._waker.fd for fd, _ in poll.poll()):
                        return
                    rest = rest[os.write(self._fd, rest[:PIPE_CHUNK_BYTES]) :]
        except OSError as error:
            with self._changed:
                self._stopping = True
                self._queue.clear()
            self._on_failure(error)
        finally:
            self._waker.close()


def write_error(error: OSError, what: str = "standard output") -> P2PCallError:
    """What a failed write means to people; a reader that went away is no failure but an end."""
    if isinstance(error, BrokenPipeError):
        return P2PCallError("stdout-closed", "nobody reads standard output any more", ExitCode.OK)
    return P2PCallError("write-failed", f"{what}: {(error.strerror or str(error)).lower()}", ExitCode.DEVICE)


class StdinSource:
    """`--audio-in -`: raw PCM from a pipe or file, at real time; silence while it has nothing, and after
    its end.
    """

    def __init__(self, fd: int, scheduler: Scheduler) -> None:
        self.latency_s = 0.0
        self.on_end: Callable[[], None] | None = None
        self.on_error: OnError | None = None
        self.starved = 0
        self._fd = fd
        self._on_frame: OnFrame | None = None
        self._ticker = Ticker(scheduler, self._tick)
        self._frames: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._ended = False
        self._told = False
        self._reader: FdReader | None = None

    def start(self, on_frame: OnFrame) -> None:
        if self._reader is not None or self._stopping:
            return
        self._on_frame = on_frame
        self._reader = FdReader(self._fd)
        threading.Thread(target=self._read, args=(self._reader,), name="p2pcall-pipe-in", daemon=True).start()
        self._ticker.start()

    def stop(self) -> None:
        self._ticker.stop()
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._reader is not None:
            self._reader.close()

    def _read(self, reader: FdReader) -> None:
        short = False
        while not short:
            try:
                pcm = reader.read(FRAME_BYTES)
            except OSError:  # a terminal or device that went away: the end of the input, like any other
                pcm = b""
            short = len(pcm) < FRAME_BYTES
            with self._changed:
                if pcm:
                    self._frames.append(pcm.ljust(FRAME_BYTES, b"\0"))
                self._changed.wait_for(lambda: len(self._frames) < READ_QUEUE_FRAMES or self._stopping)
                self._ended = short
                short = short or self._stopping
        reader.release()

    def _tick(self, due: float) -> None:
        with self._changed:
            pcm = self._frames.popleft() if self._frames else None
            over = pcm is None and self._ended
            self._changed.notify()
        if pcm is None and not over:
            self.starved += 1
        if self._on_frame is not None:
            self._on_frame(pcm or SILENCE, due)
        if over and not self._told:
            self._told = True
            if self.on_end is not None:
                self.on_end()


class StdoutWriter:
    """`--audio-out -`: raw PCM to a pipe; the block interface of `files.PacedSink`."""

    def __init__(self, fd: int) -> None:
        self._failure: OSError | None = None
        self._fd = fd
        self._writer: FdWriter | None = None

    @property
    def dropped(self) -> int:
        return self._writer.dropped if self._writer is not None else 0

    def write(self, pcm: bytes) -> None:
        """Queues a frame. Raises the OSError that the thread met."""
        if self._failure is not None:
            raise self._failure
        if self._writer is None:
            self._writer = FdWriter(self._fd, WRITE_QUEUE_FRAMES, self._failed)
        self._writer.put(pcm)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.stop()

    def _failed(self, error: OSError) -> None:
        self._failure = error
