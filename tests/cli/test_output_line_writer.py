"""Events as lines of JSON: what a slow reader, none at all, and a full disk do to the loop that writes them."""

import asyncio
import io
import json
import os
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest
from clirun import FULL, needs_full
from fakeenv import fake_env

from p2pcall import events
from p2pcall.cli.line_writer import QUEUE_LINES, LineWriter
from p2pcall.cli.output import MAX_HELD, CommandOutput
from p2pcall.cli.stdout import StdoutClosed
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError

PATIENCE_S = 20.0
"""No test that passes waits so long."""
LONG = "x" * 4000
MORE_THAN_A_PIPE = 100
"""Lines of that length: 400 kB."""


class Pipe:
    """A pipe with a text stream at its writing end, and a reader that begins when told."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        self.stream: TextIO = os.fdopen(write, "w")
        self._got = b""
        self._thread = threading.Thread(target=self._read_all, name="reader")

    def _read_all(self) -> None:
        while data := os.read(self._read, 65536):
            self._got += data

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def lines(self) -> list[str]:
        """All that was read, once the writing end is closed."""
        self.stream.close()
        self._thread.join(PATIENCE_S)
        return self._got.decode().splitlines()

    def break_it(self) -> None:
        """The reader goes away."""
        os.close(self._read)
        self._read = -1

    def close(self) -> None:
        self.stream.close()
        if self._read >= 0:
            if self._thread.is_alive():
                self._thread.join(PATIENCE_S)
            os.close(self._read)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def people() -> Iterator[Pipe]:
    """Where people read."""
    made = Pipe()
    yield made
    made.close()


class Closed:
    """Waits for `on_closed`, and notes in which thread it came."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self.threads.append(threading.get_ident())
        self._event.set()

    async def wait(self) -> None:
        await asyncio.wait_for(self._event.wait(), PATIENCE_S)


def test_lines_come_out_in_order(pipe: Pipe) -> None:
    async def work() -> None:
        writer = LineWriter(pipe.stream, lambda: None)
        for number in range(1000):
            writer.put(f"line {number}")
        assert await asyncio.to_thread(writer.close, PATIENCE_S)
        writer.put("after the end")
        assert (writer.failure, writer.dropped, writer.stuck) == (None, 0, False)

    pipe.start()
    asyncio.run(work())
    assert pipe.lines() == [f"line {number}" for number in range(1000)]


def test_a_stream_in_memory_does_too() -> None:
    stream = io.StringIO()

    async def work() -> None:
        writer = LineWriter(stream, lambda: None)
        writer.put("one")
        writer.put("two")
        assert await asyncio.to_thread(writer.close, PATIENCE_S)

    asyncio.run(work())
    assert stream.getvalue() == "one\ntwo\n"


def test_for_a_slow_reader_lines_that_may_be_missed_make_room(pipe: Pipe) -> None:
    """Nobody reads while they are put: that never waits. What is left is whole, in order, and ends with the newest."""
    kept = [number for number in range(MORE_THAN_A_PIPE) if number % 25 == 0]
    last = MORE_THAN_A_PIPE - 1

    async def work() -> int:
        writer = LineWriter(pipe.stream, lambda: None, limit=10)
        for number in range(MORE_THAN_A_PIPE):
            writer.put(f"{number} {LONG}", droppable=number not in kept)
        pipe.start()
        assert await asyncio.to_thread(writer.close, PATIENCE_S)
        assert (writer.failure, writer.stuck) == (None, False)
        return writer.dropped

    dropped = asyncio.run(work())
    lines = pipe.lines()
    numbers = [int(line.split()[0]) for line in lines]
    assert all(line.endswith(" " + LONG) for line in lines)
    assert numbers == sorted(numbers)
    assert set(kept) | {last} <= set(numbers)
    assert dropped == MORE_THAN_A_PIPE - len(numbers) > 0


def test_a_line_that_may_be_missed_gives_way_to_those_that_may_not(pipe: Pipe) -> None:
    """One line is with the thread at most, and up to the bound are waiting: the next figures are not kept."""

    async def work() -> None:
        writer = LineWriter(pipe.stream, lambda: None, limit=30)
        for _ in range(30):
            writer.put(LONG)
        for _ in range(MORE_THAN_A_PIPE):
            writer.put(LONG, droppable=True)
        assert writer.failure is None
        assert writer.dropped > 0
        assert not await asyncio.to_thread(writer.close, 0)

    asyncio.run(work())


def test_for_a_reader_that_stands_still_the_oldest_lines_make_room(pipe: Pipe) -> None:
    """Where there are none that may be missed. When it goes on, it gets the newest, whole and in order."""

    async def work() -> int:
        writer = LineWriter(pipe.stream, lambda: None, limit=10)
        for number in range(MORE_THAN_A_PIPE):
            writer.put(f"{number} {LONG}")
        assert (writer.failure, writer.stuck, writer.dropped) == (None, False, 0)
        pipe.start()
        assert await asyncio.to_thread(writer.close, PATIENCE_S)
        return writer.lost

    lost = asyncio.run(work())
    numbers = [int(line.split()[0]) for line in pipe.lines()]
    assert numbers == sorted(numbers)
    assert numbers[-10:] == [*range(MORE_THAN_A_PIPE - 10, MORE_THAN_A_PIPE)]
    assert lost == MORE_THAN_A_PIPE - len(numbers) > 0


def test_the_end_does_not_wait_for_a_reader_that_does_not_read(pipe: Pipe) -> None:
    """What is written afterwards, by whoever does not know, goes nowhere and waits for nobody."""

    async def work() -> None:
        writer = LineWriter(pipe.stream, lambda: None)
        for _ in range(MORE_THAN_A_PIPE):
            writer.put(LONG)
        assert not await asyncio.to_thread(writer.close, 0.05)
        assert (writer.failure, writer.stuck) == (None, True)
        pipe.stream.write(LONG * MORE_THAN_A_PIPE)
        pipe.stream.flush()

    asyncio.run(work())


def test_a_reader_that_went_away_is_told_once_and_in_the_loop(pipe: Pipe) -> None:
    async def work() -> None:
        closed = Closed()
        writer = LineWriter(pipe.stream, closed)
        pipe.break_it()
        for _ in range(10):
            writer.put("anybody?")
        await closed.wait()
        writer.put("anybody?")
        assert isinstance(writer.failure, StdoutClosed)
        assert not await asyncio.to_thread(writer.close)
        assert closed.threads == [threading.get_ident()]

    asyncio.run(work())


def test_a_failure_after_the_loop_is_kept(pipe: Pipe) -> None:
    pipe.break_it()

    async def start() -> LineWriter:
        return LineWriter(pipe.stream, lambda: None)

    writer = asyncio.run(start())
    writer.put("too late")
    assert not writer.close(PATIENCE_S)
    assert isinstance(writer.failure, StdoutClosed)


@needs_full
def test_a_full_disk_is_an_error() -> None:
    async def work() -> LineWriter:
        closed = Closed()
        with FULL.open("w") as stream:
            writer = LineWriter(stream, closed)
            writer.put("one")
            await closed.wait()
            assert not await asyncio.to_thread(writer.close)
        return writer

    failure = asyncio.run(work()).failure
    assert isinstance(failure, P2PCallError)
    assert failure.exit is ExitCode.CONFIG
    assert failure.text == "cannot write to standard output: no space left on device"


# ---- the same as a command has it


def stats(number: int) -> events.Stats:
    return events.Stats("00000000", events.Figures(recovered=number))


def ended(reason: str = "hung-up") -> events.Ended:
    return events.Ended("00000000", reason, 1.0, 0, events.Figures())


def env(stdout: TextIO) -> Env:
    made = fake_env()
    made.stdout = stdout
    return made


def told(made: Env) -> str:
    assert isinstance(made.stderr, io.StringIO)
    return made.stderr.getvalue()


def test_events_to_a_slow_reader_never_hold_up_the_call(pipe: Pipe) -> None:
    """More than two thousand seconds of figures that nobody reads, then the reader wakes up."""
    made = env(pipe.stream)

    async def work() -> None:
        with CommandOutput(made, json=True) as output:
            for number in range(6000):
                output.emit(stats(number))
            output.emit(ended())
            pipe.start()
            assert await asyncio.to_thread(output.close, PATIENCE_S) is None

    asyncio.run(work())
    rows = [json.loads(line) for line in pipe.lines()]
    figures = [row["recovered"] for row in rows if row["event"] == "stats"]
    assert rows[-1]["event"] == "ended"
    assert figures == sorted(figures)
    assert figures[-1] == 5999
    assert f"{6000 - len(figures)} events (stats) were left out" in told(made)


def test_events_that_nobody_takes_are_told(pipe: Pipe) -> None:
    made = env(pipe.stream)

    async def work() -> None:
        with CommandOutput(made, json=True) as output:
            for number in range(1000):
                output.emit(stats(number))
            assert await asyncio.to_thread(output.close, 0.05) is None

    asyncio.run(work())
    assert "p2pcall: warning: the reader of standard output did not take everything" in told(made)


def test_no_reader_that_stands_still_ends_a_call_or_holds_it_up(pipe: Pipe, people: Pipe) -> None:
    """Neither a script's nor a person's: strangers ring and ring, and nobody takes a line of it."""
    made = env(pipe.stream)
    made.stderr = people.stream
    missed = events.Missed(12, 0.0, "carol", "abcd", "new")
    warning = events.Warning("missed-call", "12 missed calls" + LONG, "carol", "abcd")
    incoming = events.Incoming("00000000", "carol" + LONG, "abcd", "new", True, True)

    async def work() -> None:
        ended_at: list[float] = []
        loop = asyncio.get_running_loop()
        told, shown = CommandOutput(made, json=True), CommandOutput(made)
        for output in (told, shown):
            output.on_closed = lambda: ended_at.append(loop.time())
        for _ in range(QUEUE_LINES + 200):
            for event in (incoming, missed, warning, ended("missed")):
                told.emit(event)
                shown.emit(event)
        await asyncio.sleep(0)
        assert ended_at == []
        for output in (told, shown):
            assert await asyncio.to_thread(output.close, 0.05) is None

    asyncio.run(work())


def test_what_waits_for_the_end_of_a_picture_is_bounded() -> None:
    made = fake_env()

    async def work() -> None:
        with CommandOutput(made) as output:
            output._drawn = True
            for number in range(3 * MAX_HELD):
                output.emit(events.Warning("slug", f"number {number}"))
            assert told(made) == ""
            output.view_closed()

    asyncio.run(work())
    lines = told(made).splitlines()
    assert lines[0] == f"{2 * MAX_HELD} earlier lines are left out"
    assert lines[1:] == [f"p2pcall: warning: number {number}" for number in range(2 * MAX_HELD, 3 * MAX_HELD)]


def test_a_reader_that_went_away_ends_the_command_quietly(pipe: Pipe) -> None:
    made = env(pipe.stream)
    pipe.break_it()

    async def work(output: CommandOutput) -> None:
        closed = Closed()
        output.on_closed = closed
        output.emit(ended())
        await closed.wait()
        output.emit(ended("stdout-closed"))

    with CommandOutput(made, json=True) as output:
        asyncio.run(work(output))
    assert told(made) == ""


@needs_full
@pytest.mark.parametrize("slug", ["", "interrupted", "unreachable"])
def test_a_full_disk_ends_the_command_with_an_error(slug: str) -> None:
    """Unless it has already ended for a reason of its own; that it was told to stop is none."""

    async def work(output: CommandOutput) -> None:
        closed = Closed()
        output.on_closed = closed
        output.emit(ended())
        await closed.wait()
        if slug:
            raise P2PCallError(slug, slug, ExitCode.NOT_FOUND)

    with (
        FULL.open("w") as stdout,
        pytest.raises(P2PCallError) as caught,
        CommandOutput(env(stdout), json=True) as output,
    ):
        asyncio.run(work(output))
    assert caught.value.slug == (slug if slug == "unreachable" else "write-failed")


def test_a_command_without_events_needs_no_thread() -> None:
    made = fake_env()
    before = threading.active_count()
    with CommandOutput(made) as output:
        output.emit(events.Warning("slug", "something"))
        assert threading.active_count() == before
    assert told(made) == "p2pcall: warning: something\n"
