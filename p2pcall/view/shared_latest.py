"""The newest value in memory that two processes share: one writes, the other reads, neither waits.

The memory is never full, and there is no queue: a value that was not read in time is overwritten. Each area has a head
and a few slots; the writer uses the slots in turn, then writes into the head which one is the newest. The head has its
number at both ends (a seqlock): a reader that reads during a write sees two different numbers and reads again. A
reader that was stopped while it used a slot calls `overtaken` and reads again. Python has no memory barriers: on
processors that reorder stores, a picture may very rarely be torn for one frame. Nothing worse can happen, because the
users check the sizes. Left out: waking the other side. Imports nothing large, because the window's process starts
with it.
"""

import mmap
import os
import struct
import tempfile
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

Meta = tuple[int, int]
"""Two numbers from the writer about its bytes; for a picture width and height."""

_HEAD: Final = struct.Struct("<QQII2IQ")  # number, time, slot, bytes, meta, number again
_HEAD_BYTES: Final = 64
_LOOKS: Final = 100
"""A reader tries this many times, then gives up: the writer was stopped, or died, during a write."""


class Snapshot(NamedTuple):
    """The result of `SharedLatest.look`: number, time of `put` (ns), the writer's `meta`, offset, and bytes."""

    number: int
    at_ns: int
    meta: Meta
    offset: int
    data: memoryview


class SharedLatest:
    """A part of shared memory for one kind of value, of at most `slot_bytes` each."""

    def __init__(self, memory: mmap.mmap, offset: int, slots: int, slot_bytes: int) -> None:
        self.memory = memory
        self._offset, self._slots, self._slot_bytes = offset, slots, slot_bytes
        self._number = 0
        self._putting = threading.Lock()

    def put(self, parts: Sequence[memoryview | bytes], meta: Meta, at_ns: int) -> None:
        """Make these bytes the newest; from any thread. ValueError if there are too many; then nothing is changed."""
        views = [memoryview(part).cast("B") for part in parts]
        length = sum(view.nbytes for view in views)
        if length > self._slot_bytes:
            raise ValueError(f"{length} bytes for a slot of {self._slot_bytes}")
        with self._putting:
            number = self._number + 1
            slot = number % self._slots
            at = self._slot(slot)
            for view in views:
                self.memory[at : at + view.nbytes] = view
                at += view.nbytes
            self.memory[self._offset : self._offset + _HEAD.size] = _HEAD.pack(
                number, at_ns, slot, length, *meta, number
            )
            self._number = number

    def look(self, after: int = 0) -> Snapshot | None:
        """The newest value, if its number is above `after`. None if it is not, or if a write does not end."""
        for _ in range(_LOOKS):
            head = self.memory[self._offset : self._offset + _HEAD.size]
            number, at_ns, slot, length, width, height, again = _HEAD.unpack(head)
            if number == again and head == self.memory[self._offset : self._offset + _HEAD.size]:
                break
        else:
            return None
        if number <= after or slot >= self._slots or length > self._slot_bytes:
            return None
        at = self._slot(slot)
        return Snapshot(number, at_ns, (width, height), at, memoryview(self.memory)[at : at + length])

    def overtaken(self, number: int) -> bool:
        """Whether the slot of this number may have been overwritten since `look`."""
        newest = _HEAD.unpack(self.memory[self._offset : self._offset + _HEAD.size])[0]
        return bool(newest - number >= self._slots - 1)

    def _slot(self, slot: int) -> int:
        return self._offset + _HEAD_BYTES + slot * self._slot_bytes


def area_offsets(areas: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """Offsets of areas, each (slots, bytes of a slot), and how much memory they take together."""
    offsets, end = [], 0
    for slots, slot_bytes in areas:
        offsets.append(end)
        end += _HEAD_BYTES + slots * slot_bytes
        end += -end % _HEAD_BYTES
    return offsets, end


def share(size: int) -> int:
    """A descriptor of new memory without a name, freed with the last process that has it. OSError if full."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("p2pcall-window")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def attach(fd: int, areas: Sequence[tuple[int, int]]) -> list[SharedLatest]:
    """The areas in the memory behind `fd`. ValueError if the memory is too small for them."""
    offsets, size = area_offsets(areas)
    memory = mmap.mmap(fd, size)
    return [SharedLatest(memory, offset, *area) for offset, area in zip(offsets, areas, strict=True)]
