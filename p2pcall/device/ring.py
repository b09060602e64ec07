"""A ring of PCM bytes between one writer and one reader, in two threads, without a lock.

Rules: exactly one thread writes and exactly one reads. Each side moves its own counter only, after the
bytes are copied; under CPython an attribute is stored whole. The counters never wrap. The overflow policy:
what does not fit is not taken (`write` says how much was), because only the reader may move the reader's
end. Leaves out waking up the other side.
"""


class Ring:
    """Holds up to `capacity_bytes`."""

    def __init__(self, capacity_bytes: int) -> None:
        if capacity_bytes < 1:
            raise ValueError("a ring holds at least one byte")
        self._capacity = capacity_bytes
        self._store = memoryview(bytearray(capacity_bytes))
        self._written = 0
        self._read = 0

    def __len__(self) -> int:
        """Bytes that can be read now (the writer may see more than there are, the reader fewer)."""
        return self._written - self._read

    @property
    def free(self) -> int:
        """Bytes that can be written now."""
        return self._capacity - len(self)

    def write(self, data: bytes | memoryview) -> int:
        """Copies in as much of `data` (single bytes) as fits; gives how many bytes that was."""
        count = min(len(data), self.free)
        at = self._written % self._capacity
        first = min(count, self._capacity - at)
        self._store[at : at + first] = data[:first]
        self._store[: count - first] = data[first:count]
        self._written += count
        return count

    def read_into(self, target: memoryview) -> int:
        """Copies out as much as there is and `target` (single bytes) takes; gives how many bytes that was."""
        count = min(len(target), len(self))
        at = self._read % self._capacity
        first = min(count, self._capacity - at)
        target[:first] = self._store[at : at + first]
        target[first:count] = self._store[: count - first]
        self._read += count
        return count

    def read(self, count: int) -> bytes:
        """Takes out `count` bytes, or fewer if there are fewer."""
        out = bytearray(min(count, len(self)))
        self.read_into(memoryview(out))
        return bytes(out)
