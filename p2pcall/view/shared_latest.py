"""The newest of something, in memory that two processes share: one writes, the other looks, neither waits.

A writer never finds it full and a reader never finds a queue: what was not looked at in time is overwritten. Each
area has a head and a few slots; the writer goes round the slots, then says in the head which one is the newest. The
head carries its number at both ends (a seqlock), so that a reader who looks while it is written sees that and looks
again; a reader who was stopped while it used a slot asks `overtaken` and looks again. Python has no memory barriers:
on processors that reorder stores a picture may, once in a great while, be torn for one frame, and nothing worse, for
sizes are checked by whoever uses them. Leaves out waking the other side. Imports nothing heavy: the window's process
starts with it.
"""

import mmap
import os
import struct
import tempfile
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

Meta = tuple[int, int]
"""What the writer says of its bytes; for a picture width and height."""

_HEAD: Final = struct.Struct("<QQII2IQ")  # number, time, slot, bytes, meta, number again
_HEAD_BYTES: Final = 64
_LOOKS: Final = 100
"""A reader looks so often before it leaves it: the writer was stopped, or died, in the middle."""


class Snapshot(NamedTuple):
    """What `SharedLatest.look` found: its number, when it was put (ns), what was said of it, where it is, its bytes."""

    number: int
    at_ns: int
    meta: Meta
    offset: int
    data: memoryview


class SharedLatest:
    """A part of shared memory for one kind of thing, of at most `slot_bytes` each."""

    def __init__(self, memory: mmap.mmap, offset: int, slots: int, slot_bytes: int) -> None:
        self.memory = memory
        self._offset, self._slots, self._slot_bytes = offset, slots, slot_bytes
        self._number = 0
        self._putting = threading.Lock()

    def put(self, parts: Sequence[memoryview | bytes], meta: Meta, at_ns: int) -> None:
        """These bytes are the newest now; from any thread. ValueError if they are too many, nothing is changed."""
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
        """The newest, if it is newer than the one of number `after`; None too while it is just being written."""
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
        """Whether the slot of this number may have been written over since it was found."""
        newest = _HEAD.unpack(self.memory[self._offset : self._offset + _HEAD.size])[0]
        return bool(newest - number >= self._slots - 1)

    def _slot(self, slot: int) -> int:
        return self._offset + _HEAD_BYTES + slot * self._slot_bytes


def area_offsets(areas: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """Offsets of areas of so many slots of so many bytes, and how much memory they take together."""
    offsets, end = [], 0
    for slots, slot_bytes in areas:
        offsets.append(end)
        end += _HEAD_BYTES + slots * slot_bytes
        end += -end % _HEAD_BYTES
    return offsets, end


def share(size: int) -> int:
    """A descriptor of new memory without a name: it is gone with the last process that has it. OSError if full."""
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
    """The areas in the memory behind `fd`. ValueError if there is less of it than they take."""
    offsets, size = area_offsets(areas)
    memory = mmap.mmap(fd, size)
    return [SharedLatest(memory, offset, *area) for offset, area in zip(offsets, areas, strict=True)]
