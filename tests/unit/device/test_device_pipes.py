"""Raw PCM on pipes: a writer is held to real time, a slow reader costs frames and not the loop, ends are quiet."""

import io
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from device_helpers import FRAME_BYTES, SILENCE, FakeScheduler, ended, eventually, numbered

from p2pcall.device import pipes
from p2pcall.device.base import AudioSource
from p2pcall.device.factory import open_audio_sink, open_audio_source
from p2pcall.device.files import PacedSink, PacedSource
from p2pcall.device.pace import Ticker
from p2pcall.device.prefetch import STREAM_AHEAD, Prefetch
from p2pcall.device.streams import SOUND_QUEUE_FRAMES, StreamWriter, standard_output
from p2pcall.errors import ExitCode, P2PCallError


@pytest.fixture
def pipe() -> Iterator[tuple[io.FileIO, io.FileIO]]:
    read, write = os.pipe()
    with io.FileIO(read, "rb") as reader, io.FileIO(write, "wb") as writer:
        yield reader, writer


def wait_queue(source: AudioSource, count: int) -> None:
    """Until the reading thread has got so far."""
    assert isinstance(source, PacedSource)
    frames = source._frames
    assert isinstance(frames, Prefetch)
    eventually(lambda: len(frames) >= count)


def test_frames_come_at_real_time_and_the_end_is_told(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    scheduler, got, ends = FakeScheduler(), [], []
    source = open_audio_source("-", scheduler, stdin=reader)
    source.on_end = lambda: ends.append(scheduler.now)
    source.start(lambda pcm, at: got.append(pcm))
    writer.write(numbered(1) + numbered(2) + b"\x07\x07")
    writer.close()
    wait_queue(source, 3)
    scheduler.advance(0.2)
    source.stop()
    assert got[:2] == [numbered(1), numbered(2)]
    assert got[2] == b"\x07\x07".ljust(FRAME_BYTES, b"\0")
    assert got[3:] == [SILENCE] * 7
    assert ends == [pytest.approx(100.08)]


def test_nothing_is_read_before_start(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    source = open_audio_source("-", FakeScheduler(), stdin=reader)
    writer.write(numbered(1))
    source.stop()
    assert reader.read(FRAME_BYTES) == numbered(1)


def test_the_writer_is_held_back(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    scheduler, written, got = FakeScheduler(), [], []
    source = open_audio_source("-", scheduler, stdin=reader)
    source.start(lambda pcm, at: got.append(pcm))
    progress = threading.Condition()

    def produce() -> None:
        for n in range(200):
            writer.write(numbered(n))
            with progress:
                written.append(n)
                progress.notify_all()
        writer.close()

    producer = threading.Thread(target=produce)
    producer.start()
    wait_queue(source, STREAM_AHEAD)
    in_pipe = 65_536 // FRAME_BYTES + 2
    assert len(written) <= in_pipe + STREAM_AHEAD + 2
    for n in range(200):
        wait_queue(source, 1)
        scheduler.advance(0.02)
        assert got[-1] == numbered(n)
    producer.join(10)
    source.stop()


def test_a_slow_writer_leaves_gaps_of_silence(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    scheduler, got = FakeScheduler(), []
    source = open_audio_source("-", scheduler, stdin=reader)
    source.start(lambda pcm, at: got.append(pcm))
    scheduler.advance(0.1)
    writer.write(numbered(5)[:1_000])
    scheduler.advance(0.02)
    writer.write(numbered(5)[1_000:])
    wait_queue(source, 1)
    scheduler.advance(0.02)
    source.stop()
    assert got == [SILENCE] * 6 + [numbered(5)]


def test_stop_ends_the_thread_while_it_waits_for_input_or_for_room(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    for fill in (False, True):
        source = open_audio_source("-", FakeScheduler(), stdin=reader)
        source.start(lambda pcm, at: None)
        if fill:
            for n in range(10):
                writer.write(numbered(n))
            wait_queue(source, STREAM_AHEAD)
        source.stop()
        source.stop()


def test_a_regular_file_is_read_like_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "in.raw"
    path.write_bytes(numbered(3) * 3)
    scheduler, got = FakeScheduler(), []
    with path.open("rb") as stdin:
        source = open_audio_source("-", scheduler, stdin=stdin)
        source.start(lambda pcm, at: got.append(pcm))
        wait_queue(source, 3)
        scheduler.advance(0.06)
        source.stop()
    assert got == [numbered(3)] * 3


def test_what_is_pulled_comes_out(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    scheduler, count = FakeScheduler(), iter(range(1_000))
    sink = open_audio_sink("-", scheduler, stdout=writer)
    sink.start(lambda: numbered(next(count)))
    for n in range(100):
        scheduler.advance(0.02)
        got = b""
        while len(got) < FRAME_BYTES:
            got += reader.read(FRAME_BYTES - len(got)) or b""
        assert got == numbered(n)
    ended(sink)


def test_a_reader_that_stands_still_costs_frames_and_not_the_loop(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    _, writer = pipe
    out = StreamWriter(standard_output(writer.fileno()))
    sink = PacedSink(lambda: out, Ticker(scheduler := FakeScheduler()))
    sink.start(lambda: numbered(1))
    scheduler.advance(4)
    assert out.dropped >= 200 - 65_536 // FRAME_BYTES - SOUND_QUEUE_FRAMES - 2
    ended(sink)


def test_a_reader_that_goes_away_ends_it_quietly(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    scheduler, errors, pulls = FakeScheduler(), [], []
    sink = open_audio_sink("-", scheduler, stdout=writer)
    sink.on_error = errors.append

    def pull() -> bytes:
        pulls.append(1)
        return numbered(1)

    sink.start(pull)
    reader.close()

    def told() -> bool:
        scheduler.advance(0.02)
        return bool(errors)

    eventually(told)
    assert [(error.slug, error.exit) for error in errors] == [("stdout-closed", ExitCode.OK)]
    before = len(pulls)
    scheduler.advance(0.1)
    assert len(pulls) == before + 5
    ended(sink)
    assert len(errors) == 1


def test_other_write_errors_are_told() -> None:
    error = pipes.write_error(OSError(28, "No space left on device"), "out.wav")
    assert (error.slug, error.exit) == ("write-failed", ExitCode.DEVICE)
    assert error.text == "out.wav: no space left on device"
    assert isinstance(error, P2PCallError)


def test_the_spec_needs_a_stream() -> None:
    with pytest.raises(ValueError, match="needs a stream"):
        open_audio_source("-", FakeScheduler())


def written(fd: int, size: int) -> bytes:
    """What comes out of it, so many bytes."""
    got = b""
    while len(got) < size and (data := os.read(fd, 1 << 16)):
        got += data
    return got


@pytest.mark.parametrize("kind", ["pipe", "pipe that cannot be opened anew", "socket"])
def test_a_block_comes_out_whole_however_little_is_taken_at_a_time(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe() if kind != "socket" else (end.detach() for end in socket.socketpair())
    if kind == "pipe that cannot be opened anew":
        monkeypatch.setattr(pipes, "_reopened", lambda fd: None)
    blocks = [[bytes([n]) * 40_000, b"", memoryview(bytes([n + 1]) * 90_001)] for n in (1, 7)]
    failures: list[OSError] = []
    out = pipes.FdWriter(lambda: write, 2, failures.append)
    assert all(out.put(*block) for block in blocks)
    expected = b"".join(bytes(piece) for block in blocks for piece in block)
    assert written(read, len(expected)) == expected
    assert os.get_blocking(write), "its flags belong to everybody who has it"
    out.stop()
    os.close(write)
    assert os.read(read, 1) == b"", "nobody has it any more"
    os.close(read)
    assert not failures


def test_a_pipe_is_given_all_that_it_has_room_for_at_one_go(
    pipe: tuple[io.FileIO, io.FileIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    calls: list[int] = []
    writev = os.writev

    def counted(fd: int, pieces: Sequence[bytes]) -> int:
        calls.append(fd)
        return writev(fd, pieces)

    monkeypatch.setattr(pipes.os, "writev", counted)
    out = pipes.FdWriter(writer.fileno, 1, [].append)
    out.put(b"head", bytes(60_000))
    assert len(written(reader.fileno(), 60_004)) == 60_004
    out.stop()
    assert len(calls) == 1
