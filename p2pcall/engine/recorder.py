"""Writes one recording of a call: packets as they are sent and come, sealed, in a thread of its own.

The loop only puts packets in a queue. Rules: a chunk is written at least each second, so a crash costs no more; a full
disk, or one that is too slow, ends the recording with a sentence and not the call. Left out: who agrees
(`recording`), and what is tapped (`call_tap`).
"""

import os
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, Final

import msgspec

from p2pcall.device.outfile import numbered
from p2pcall.errors import P2PCallError
from p2pcall.store.home import Home, ensure_directory, file_error
from p2pcall.store.recordings import (
    DAY_S,
    NAME_RANDOM_BYTES,
    RECORDING_SUFFIX,
    RecordingHead,
    Track,
    make_recording,
    packed_entry,
    recordings_folder,
)
from p2pcall.store.sealed import SealedWriter
from p2pcall.types import Entropy

CHUNK_MS: Final = 1000
"""What a crash costs at most, by the times of what is recorded."""
CHUNK_BYTES: Final = 1 << 18
"""A chunk is written at this size, too; with one more picture in it, it is below a sealed file's limit."""
MAX_WAITING: Final = 4096
"""Packets in the queue: half a minute of sound for a disk that is busy. Above it the recording ends."""


class Recorder:
    """`begin` in a thread, then `put` in the loop; `stop` in the loop, then `join` in a thread."""

    def __init__(self, home: Home, to: str | None, key: bytes, entropy: Entropy) -> None:
        """`to`: the file to write, or the next free name; None: a new one in the home."""
        self._home, self._to, self._key, self._entropy = home, to, key, entropy
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.path = Path()
        self.failure: P2PCallError | None = None
        self.on_failure: Callable[[], None] | None = None
        """Called once, in the thread, when nothing more can be written; see `failure`."""
        self._stopped = False

    def begin(self, head: RecordingHead) -> None:
        """Make the file and write its head. P2PCallError if that fails. Blocks."""
        file = self._made()
        try:
            writer = SealedWriter(
                file, self._key, int(head.agreed_at) + head.kept_days * DAY_S, self._entropy
            )
            writer.write(msgspec.json.encode(head))
        except OSError as error:
            file.close()
            self.path.unlink(missing_ok=True)
            raise file_error(error, self.path, "write") from error
        self._thread = threading.Thread(target=self._run, args=(file, writer), name="recorder", daemon=True)
        self._thread.start()

    def put(self, track: Track, at_ms: int, data: bytes) -> None:
        """One packet or picture."""
        if self._stopped:
            return
        if self._queue.qsize() >= MAX_WAITING:
            self._fail(TimeoutError("the disk is too slow"))
        else:
            self._queue.put(packed_entry(track, at_ms, data))

    def stop(self) -> None:
        """No packet after this one."""
        if not self._stopped:
            self._stopped = True
            self._queue.put(None)

    def join(self) -> None:
        """Until the file is closed. Blocks."""
        if self._thread is not None:
            self._thread.join()

    def discard(self) -> None:
        """As `join`, and remove the file: nothing was recorded. Blocks."""
        self.join()
        self.path.unlink(missing_ok=True)

    def _made(self) -> BinaryIO:
        if self._to is None:
            folder = recordings_folder(self._home)
            ensure_directory(folder)
            path = folder / f"{self._entropy(NAME_RANDOM_BYTES).hex()}{RECORDING_SUFFIX}"
        else:
            path = Path(self._to)
        for number in count(1):
            self.path = numbered(path, number)
            try:
                return make_recording(self.path)
            except FileExistsError:
                continue
        raise AssertionError("counting has no end")

    def _run(self, file: BinaryIO, writer: SealedWriter) -> None:
        """The thread: gathers entries to chunks until None comes."""
        gathered: list[bytes] = []
        size, since = 0, None
        try:
            with file:
                while (entry := self._queue.get()) is not None:
                    at_ms = int.from_bytes(entry[1:5], "big")
                    since = at_ms if since is None else since
                    gathered.append(entry)
                    size += len(entry)
                    if size >= CHUNK_BYTES or at_ms - since >= CHUNK_MS:
                        writer.write(b"".join(gathered))
                        gathered, size, since = [], 0, None
                writer.write(b"".join(gathered), last=True)
                os.fsync(file.fileno())
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if self.failure is None:
            self.failure = file_error(error, self.path, "write")
            if self.on_failure is not None:
                self.on_failure()
