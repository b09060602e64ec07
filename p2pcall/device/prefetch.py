"""Frames of sound made by a thread of its own, some ahead of when they are wanted.

Rules: the loop never waits for a pipe, and for a file only until it is known to be slow; the thread stops soon after
`close`, whatever it reads from being woken by `wake`. Nothing is made before the first frame is asked for. The thread
sleeps while there is enough, and makes up for half of it at one go: it is not woken for every frame. Leaves out pacing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from p2pcall.device.base import NOTHING_YET, Frames
from p2pcall.errors import P2PCallError

FILE_AHEAD: Final = 25
"""Half a second of a file: what a disk may take to wake up within."""
FILE_WAIT_S: Final = 1.0
"""How long the loop waits for frames of a file, in all: after that it is a slow one, and silence takes their place."""
STREAM_AHEAD: Final = 4
"""80 ms of a stream: what a writer on a busy machine may be late."""


class Prefetch(Iterator[bytes]):
    """Gives the frames of `make`, `NOTHING_YET` where there is none in time; what `make` raises is raised here."""

    def __init__(
        self,
        make: Callable[[], Frames],
        ahead: int,
        *,
        wait_s: float = 0.0,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._make, self._ahead, self._wait_s, self._wake = make, ahead, wait_s, wake
        self._frames: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._failure: P2PCallError | None = None
        self._ended = self._stopping = False
        threading.Thread(target=self._run, name="p2pcall-sound-in", daemon=True).start()

    def __len__(self) -> int:
        """Frames that are ready."""
        return len(self._frames)

    def __next__(self) -> bytes:
        try:
            frame = self._frames.popleft()
        except IndexError:
            return self._late()
        if len(self._frames) == self._ahead // 2:
            with self._changed:
                self._changed.notify_all()
        return frame

    def _late(self) -> bytes:
        """There was no frame."""
        with self._changed:
            if self._wait_s > 0 and not (self._frames or self._ended):
                began = time.monotonic()
                self._changed.wait_for(lambda: self._frames or self._ended, self._wait_s)
                self._wait_s -= time.monotonic() - began
            if self._frames:
                return self._frames.popleft()
            if not self._ended:
                return NOTHING_YET
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            raise StopIteration

    def close(self) -> None:
        """Ends it, from any thread; what is read from is let go soon."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._wake is not None:
            self._wake()

    def _run(self) -> None:
        frames = self._make()
        try:
            for frame in frames:
                with self._changed:
                    if frame:
                        self._frames.append(frame)
                        self._changed.notify_all()
                    if len(self._frames) >= self._ahead:
                        self._changed.wait_for(
                            lambda: len(self._frames) <= self._ahead // 2 or self._stopping
                        )
                    if self._stopping:
                        return
        except P2PCallError as error:
            self._failure = error
        finally:
            frames.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()
