"""What a writer of files gets where the other end is a pipe or a device: a thread of its own writes. See `streams`."""

import errno
from typing import Final

from p2pcall.device.streams import writer_to

STREAM_BLOCKS: Final = 64
"""What a slow reader of a pipe may be behind: blocks of a container, up to 32 kB each."""


class StreamFile:
    """What the library, or `WavWriter`, writes to where it is no ordinary file: blocks for a thread to write."""

    def __init__(self, path: str) -> None:
        self._failure: OSError | None = None
        self._writer = writer_to(path, STREAM_BLOCKS, self._failed)

    @property
    def behind(self) -> bool:
        """Its reader is slow: a frame more would be too much."""
        return self._writer.behind

    def write(self, data: bytes | memoryview) -> int:
        """Takes all of it. Raises the OSError that the thread met."""
        if self._failure is not None:
            raise self._failure
        if not self._writer.put(bytes(data)):
            raise OSError(errno.EAGAIN, "its reader is too slow")
        return len(data)

    def close(self) -> None:
        """Raises as `write` does."""
        self._writer.stop()
        if self._failure is not None:
            raise self._failure

    def _failed(self, error: OSError) -> None:
        self._failure = error
