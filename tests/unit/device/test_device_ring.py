"""The ring gives out what was put in, in order, through any wrap; what does not fit is not taken."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.device.ring import Ring


@given(st.integers(1, 40), st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=60))
def test_like_a_bounded_queue(capacity: int, steps: list[tuple[bool, int]]) -> None:
    ring, model, counter = Ring(capacity), bytearray(), 0
    for writing, count in steps:
        if writing:
            data = bytes((counter + i) % 256 for i in range(count))
            taken = ring.write(data)
            assert taken == min(count, capacity - len(model))
            model += data[:taken]
            counter += taken
        else:
            assert ring.read(count) == bytes(model[:count])
            del model[:count]
        assert len(ring) == len(model)
        assert ring.free == capacity - len(model)


def test_read_into_fills_what_it_can() -> None:
    ring = Ring(8)
    ring.write(b"abc")
    target = bytearray(5)
    assert ring.read_into(memoryview(target)) == 3
    assert bytes(target) == b"abc\0\0"


def test_a_ring_has_a_size() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Ring(0)


def test_two_threads() -> None:
    ring, got, total = Ring(1_000), bytearray(), 50_000
    data = bytes(i * 7 % 251 for i in range(total))

    def write() -> None:
        sent = 0
        while sent < total:
            sent += ring.write(data[sent : sent + 333])

    writer = threading.Thread(target=write)
    writer.start()
    while len(got) < total:
        got += ring.read(480)
    writer.join()
    assert bytes(got) == data
