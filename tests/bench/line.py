"""What the secure line costs: CPU of a handshake on each side, junk, a record, and memory for who has not confirmed.

All of it in this process and in virtual time: no sockets, one thread, so the figures are the core's alone. The
figure is the quickest of several runs, for whatever else the machine does only adds to it; a handshake's is the
median, for it is told to people.
"""

import gc
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.handshake import noise
from p2pcall.proto.handshake.noise import CipherState
from p2pcall.proto.line.session import Session
from p2pcall.proto.wire import DatagramType, PatternId
from p2pcall.types import Address

HERE: Address = ("192.0.2.1", 51729)
THERE: Address = ("192.0.2.2", 51729)
STRANGER: Address = ("203.0.113.1", 7)
HANDSHAKES = 60
RUNS, AT_ONCE = 7, 2000
CONTACTS = 20

Figure = tuple[str, float, str, float | None]
"""What, how much, its unit, its goal."""


def endpoint(*, contacts: tuple[bytes, ...] = (), only_they: bool = False) -> Endpoint:
    made = Endpoint(StaticKey.from_private(os.urandom(c.KEY_BYTES)), os.urandom)
    made.contacts(contacts)
    made.reach = "contacts" if only_they else "anyone"
    return made


def two(known: bool) -> tuple[Endpoint, Endpoint]:
    """Who dials and who is called, who know each other if `known`."""
    ours, theirs = endpoint(), endpoint()
    theirs.contacts([ours._static.public] if known else [])
    return ours, theirs


def timed(side: int, spent: list[float], work: Callable[[], list[tuple[bytes, Address]]]) -> list[bytes]:
    """The datagrams that a step makes, its CPU noted."""
    start = time.thread_time()
    sent = work()
    spent[side] += time.thread_time() - start
    return [data for data, _ in sent]


def hear(side: Endpoint, source: Address, datagrams: list[bytes]) -> list[tuple[bytes, Address]]:
    for data in datagrams:
        side.receive_datagram(data, source, 0.0)
    return side.datagrams_to_send(0.0)


def call(ours: Endpoint, expected: bytes | None) -> list[tuple[bytes, Address]]:
    ours.dial([THERE], 0.0, expected)
    return ours.datagrams_to_send(0.0)


def handshake(ours: Endpoint, theirs: Endpoint, known: bool, flights: int = 5) -> list[float]:
    """CPU seconds of the side that dials and of the one that is called, for so many of the five flights."""
    spent = [0.0, 0.0]
    flight = timed(0, spent, partial(call, ours, theirs._static.public if known else None))
    for number in range(1, flights + 1):
        side, source = (theirs, HERE) if number % 2 else (ours, THERE)
        flight = timed(number % 2, spent, partial(hear, side, source, flight[:2]))
    return spent


def microseconds(work: Callable[[int], object]) -> float:
    """CPU of one call."""
    quickest = float("inf")
    for _ in range(RUNS):
        start = time.thread_time()
        for number in range(AT_ONCE):
            work(number)
        quickest = min(quickest, (time.thread_time() - start) / AT_ONCE)
    return quickest * 1e6


def junk() -> dict[str, list[bytes]]:
    """First messages that are dropped, by how far they get."""
    random = Random(1)
    head = bytes([DatagramType.INITIATION, c.PROTOCOL_VERSION, 0, 3])
    return {
        "random bytes": [random.randbytes(1200) for _ in range(20)],
        "knocks": [
            wire.pack_knock(
                PatternId.IKHFS, 3, number, b"12345678", random.randbytes(16), random.randbytes(8)
            )
            + random.randbytes(c.MAC_BYTES)
            for number in range(20)
        ],
        "initiations": [head + random.randbytes(length - 4) for length in wire.PART_BYTES.values()],
        "records": [b"\6\0\0\0" + random.randbytes(1196) for _ in range(20)],
    }


def hand_over(called: Endpoint, datagrams: list[bytes], number: int) -> None:
    called.receive_datagram(datagrams[number % len(datagrams)], STRANGER, 0.0)


def junk_figures() -> Iterator[Figure]:
    contacts = tuple(StaticKey.from_private(bytes([n]) * c.KEY_BYTES).public for n in range(1, CONTACTS + 1))
    for name, datagrams in junk().items():
        worst = 0.0
        for only_they in (False, True):
            called = endpoint(contacts=contacts, only_they=only_they)
            worst = max(worst, microseconds(partial(hand_over, called, datagrams)))
            assert not called.datagrams_to_send(0.0)
        yield f"line: junk dropped, {name}", worst, "us", 15.0


def record_figure(cipher: noise.Cipher) -> Figure:
    one, two = bytes(c.KEY_BYTES), bytes([1]) * c.KEY_BYTES
    ours = Session(CipherState(cipher, one), CipherState(cipher, two), 1)
    theirs = Session(CipherState(cipher, two), CipherState(cipher, one), 1)
    plaintext = bytes(c.MAX_PLAINTEXT_BYTES)
    spent = microseconds(lambda number: theirs.open(ours.seal(plaintext)))
    return f"line: seal and open 1200 bytes, {cipher.name}", spent, "us", 20.0


def memory_figure(known: bool) -> Figure:
    callers = [two(known)[0] for _ in range(c.MAX_HALF_OPEN_PER_SOURCE)]
    called = endpoint(contacts=tuple(caller._static.public for caller in callers) if known else ())
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    while callers:
        handshake(callers.pop(), called, known, flights=3)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    name = "IKhfs" if known else "XXhfs"
    return f"line: half-open handshake, {name}", grown / c.MAX_HALF_OPEN_PER_SOURCE / 1024, "KiB", 8.0


def line_figures() -> Iterator[Figure]:
    """All of it."""
    for known in (False, True):
        spent = [handshake(*two(known), known) for _ in range(HANDSHAKES)]
        for side, each in zip(("who dials", "who is called"), zip(*spent, strict=True), strict=True):
            name = "IKhfs" if known else "XXhfs"
            yield f"line: handshake, {name}, {side}", statistics.median(each) * 1000, "ms", 1.5
    yield from junk_figures()
    yield from map(
        record_figure, (noise.AESGCM, noise.CHACHAPOLY) if noise.aes_available() else (noise.CHACHAPOLY,)
    )
    yield from map(memory_figure, (False, True))
