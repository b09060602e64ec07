"""Memory that two processes share: the newest is found whole, whoever is slow, and nothing ever waits."""

import mmap
import os
import subprocess
import sys

import pytest

from p2pcall.view.shared_latest import SharedLatest, area_offsets, attach, share

SLOTS, BYTES = 3, 64
META = (1, 2)


def area(slots: int = SLOTS, size: int = BYTES) -> SharedLatest:
    return SharedLatest(mmap.mmap(-1, area_offsets([(slots, size)])[1]), 0, slots, size)


def test_what_was_put_is_found_with_all_that_was_said_of_it() -> None:
    made = area()
    assert made.look() is None
    made.put([b"ab", memoryview(b"cd")], META, 7)
    found = made.look()
    assert found is not None
    assert (found.number, found.at_ns, found.meta, bytes(found.data)) == (1, 7, META, b"abcd")
    assert made.memory[found.offset : found.offset + 4] == b"abcd"
    assert made.look(after=1) is None, "nothing newer"


def test_only_the_newest_is_found() -> None:
    made = area()
    for number in range(100):
        made.put([b"%d" % number], META, number)
    found = made.look()
    assert found is not None
    assert bytes(found.data) == b"99"
    assert found.number == 100


def test_a_reader_who_was_overtaken_learns_it() -> None:
    made = area()
    made.put([b"mine"], META, 0)
    for number, overtaken in enumerate((False, True, True), 2):
        made.put([b"newer"], META, 0)
        assert made.overtaken(1) is overtaken, number
    found = made.look()
    assert found is not None
    assert not made.overtaken(found.number)


def test_the_two_newest_are_never_written_over_while_the_third_is_written() -> None:
    made = area()
    for number in range(1, 20):
        made.put([bytes([number]) * BYTES], META, 0)
        found = made.look()
        assert found is not None
        kept = found.data
        made.put([bytes([200]) * BYTES], META, 0)
        assert bytes(kept) == bytes([number]) * BYTES


def test_too_much_is_refused_and_changes_nothing() -> None:
    made = area()
    made.put([b"good"], META, 0)
    with pytest.raises(ValueError, match="65 bytes for a slot of 64"):
        made.put([bytes(60), bytes(5)], META, 0)
    found = made.look()
    assert found is not None
    assert bytes(found.data) == b"good"


def test_a_head_that_is_half_written_is_passed_over() -> None:
    made = area()
    made.put([b"good"], META, 0)
    made.memory[0] = 2  # the first of the head's two numbers alone
    assert made.look() is None


@pytest.mark.parametrize("at,value", [(16, 200), (20, 255), (23, 255)], ids=["slot", "length", "huge"])
def test_a_head_that_points_outside_is_passed_over(at: int, value: int) -> None:
    made = area()
    made.put([b"good"], META, 0)
    made.memory[at] = value
    assert made.look() is None


def test_areas_do_not_touch_each_other() -> None:
    areas = ((2, 10), (3, 100), (1, 1))
    fd = share(area_offsets(areas)[1])
    try:
        made = attach(fd, areas)
    finally:
        os.close(fd)
    for number, one in enumerate(made):
        for _ in range(5):
            one.put([bytes([number + 1]) * areas[number][1]], META, 0)
    for number, one in enumerate(made):
        found = one.look()
        assert found is not None
        assert bytes(found.data) == bytes([number + 1]) * areas[number][1]


READER = """
import sys
from p2pcall.view.shared_latest import attach
area, = attach(int(sys.argv[1]), ((3, 4096),))
last, torn, seen = 0, 0, 0
while last < int(sys.argv[2]):
    found = area.look(last)
    if found is None:
        continue
    data = bytes(found.data)
    if area.overtaken(found.number):
        continue
    torn += len(set(data)) != 1 or found.number < last or found.meta[0] != found.number % 1000
    last, seen = found.number, seen + 1
print(torn, seen)
"""


def test_another_process_never_sees_a_torn_one() -> None:
    areas = ((3, 4096),)
    fd = share(area_offsets(areas)[1])
    count = 20_000
    try:
        (writer,) = attach(fd, areas)
        command = [sys.executable, "-c", READER, str(fd), str(count)]
        with subprocess.Popen(command, pass_fds=[fd], stdout=subprocess.PIPE, text=True) as reader:
            for number in range(1, count + 1):
                writer.put([bytes([number % 251]) * 4096], (number % 1000, 0), 0)
            assert reader.stdout is not None
            torn, seen = map(int, reader.stdout.read().split())
    finally:
        os.close(fd)
    assert torn == 0
    assert seen >= 1
