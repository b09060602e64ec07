"""Streams: told by their first bytes, opened without waiting, read and written by threads that can be woken."""

import io
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from device_helpers import FRAME_BYTES, SILENCE, FakeScheduler, ended, eventually, loudest_hz, numbered, tone

from p2pcall.device.base import AudioSource
from p2pcall.device.factory import (
    Inputs,
    open_audio_sink,
    open_audio_source,
    open_video_sink,
    open_video_source,
)
from p2pcall.device.files import PacedSource
from p2pcall.device.outfile import OutFile
from p2pcall.device.picture_file import PictureFile
from p2pcall.device.pipes import FdReader, PeekedReader
from p2pcall.device.prefetch import FILE_AHEAD, Prefetch
from p2pcall.device.raw import RawFormat
from p2pcall.device.streams import is_container, is_stream, stream_frames
from p2pcall.device.y4m import Header, Y4mWriter
from p2pcall.errors import ExitCode, P2PCallError


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def fed(data: bytes) -> FdReader:
    """A reader of a pipe that holds these bytes (64 kB at most) and then ends."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    return FdReader(lambda: read, owned=True)


def reading(path: Path) -> tuple[list[bytes], threading.Thread]:
    """Somebody who reads all of a pipe."""
    got: list[bytes] = []

    def read() -> None:
        with path.open("rb") as reader:
            got.append(reader.read())

    thread = threading.Thread(target=read)
    thread.start()
    return got, thread


def coded(form: str, codec: str, rate: int = 44_100) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(stream.codec_context.format.name, "mono", rate)  # type: ignore[union-attr]
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(tone(0.5, rate=rate), "<i2")[None], format="s16", layout="mono"
        )
        frame.sample_rate = rate
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))  # type: ignore[union-attr]
        container.mux(stream.encode(None))  # type: ignore[union-attr]
    return out.getvalue()


STREAMABLE = [
    ("wav", "pcm_s16le"), ("ogg", "libopus"), ("flac", "flac"), ("matroska", "libopus"), ("mp3", "libmp3lame"),
    ("adts", "aac"), ("mpegts", "aac"), ("au", "pcm_s16be"), ("aiff", "pcm_s16be"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "codec"), STREAMABLE)
def test_a_container_is_told_by_its_first_bytes(form: str, codec: str) -> None:
    frames = stream_frames(fed(coded(form, codec, 48_000)), "x")
    pcm = b"".join(frame for frame in frames if frame)
    assert len(pcm) == pytest.approx(0.5 * 96_000, abs=0.1 * 96_000)
    assert loudest_hz(pcm[9_600:38_400]) == pytest.approx(440, abs=5)


def test_an_mp3_without_a_tag_is_told_by_its_frames() -> None:
    whole = coded("mp3", "libmp3lame")
    bare = whole[whole.index(b"\xff\xfb") :]
    assert is_container(PeekedReader(fed(bare)))
    assert not is_container(PeekedReader(fed(bare[:7] + bytes(9_000))))


@pytest.mark.parametrize("seed", range(20))
def test_raw_sound_is_taken_for_no_container(seed: int) -> None:
    chance = np.random.default_rng(seed)
    loud = chance.integers(-32_768, 32_768, 4_000).astype("<i2").tobytes()
    for first in (b"", b"\xff\xfb", b"\x47", b"RI", b"OggX", b"\0\0\0\x20fty_"):
        assert not is_container(PeekedReader(fed(first + loud)))


def test_looking_takes_nothing_away() -> None:
    peeked = PeekedReader(fed(b"OggS and more"))
    assert peeked.peek(4) == b"OggS"
    assert is_container(peeked)
    assert peeked.exactly(100) == b"OggS and more"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("s16le", RawFormat()),
        ("s16le:48000:1", RawFormat()),
        ("f32le:44100", RawFormat("f32le", 44_100, 1)),
        ("f32le:96000:6", RawFormat("f32le", 96_000, 6)),
    ],
)
def test_formats_of_raw_sound(text: str, form: RawFormat) -> None:
    assert RawFormat.parse(text) == form


@pytest.mark.parametrize(
    "text", ["", "mp3", "s16le:", "s16le:0", "s16le:48000:0", "s16le:48000:1:1", "S16LE"]
)
def test_what_is_no_format_of_raw_sound(text: str) -> None:
    with pytest.raises(P2PCallError) as caught:
        RawFormat.parse(text)
    assert caught.value.exit is ExitCode.USAGE
    assert caught.value.hint


def test_raw_sound_of_another_kind_comes_in_and_goes_out(fifo: Path, tmp_path: Path) -> None:
    form = RawFormat("f32le", 44_100, 2)
    mono = np.frombuffer(tone(0.5, rate=44_100), "<i2").astype("<f4") / 32_768
    data = np.repeat(mono, 2).astype("<f4").tobytes()
    pcm = b"".join(frame for frame in stream_frames(fed(data[:60_000]), "x", form))
    assert len(pcm) == pytest.approx(60_000 / 8 / 44_100 * 96_000, abs=2 * FRAME_BYTES)
    assert loudest_hz(pcm[1_920:-1_920]) == pytest.approx(440, abs=8)
    scheduler = FakeScheduler()
    sink = open_audio_sink(str(fifo), scheduler, raw=form)
    said = iter([tone(0.4)[at : at + FRAME_BYTES] for at in range(0, 38_400, FRAME_BYTES)])
    sink.start(lambda _: next(said, SILENCE))
    got, thread = reading(fifo)
    scheduler.advance(0.4)
    ended(sink)
    thread.join(10)
    out = np.frombuffer(got[0], "<f4").reshape(-1, 2)
    assert len(out) == pytest.approx(0.4 * 44_100, abs=900)
    assert (out[:, 0] == out[:, 1]).all()


# ---- nobody at the other end


def told(source: AudioSource) -> PacedSource:
    assert isinstance(source, PacedSource)
    return source


def test_a_pipe_that_nobody_writes_is_silence_and_told(fifo: Path) -> None:
    notes: list[str] = []
    source = told(open_audio_source(str(fifo), scheduler := FakeScheduler(), Inputs(note=notes.append)))
    got: list[bytes] = []
    source.start(lambda pcm, at: got.append(pcm))
    scheduler.advance(1)
    assert got == [SILENCE] * 50
    eventually(lambda: bool(notes))
    assert notes == [f"nothing comes from {fifo} yet"]
    with fifo.open("wb") as writer:
        writer.write(numbered(7))
    frames = source._frames
    assert isinstance(frames, Prefetch)
    eventually(lambda: len(frames) > 0)
    scheduler.advance(0.02)
    assert got[-1] == numbered(7)
    source.stop()


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("p2pcall")}


@pytest.mark.parametrize("suffix", ["", ".wav", ".ogg", ".flac"])
def test_a_pipe_that_nobody_reads_costs_nothing_but_the_sound(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    os.mkfifo(path)
    sink = open_audio_sink(str(path), scheduler := FakeScheduler())
    pulls: list[int] = []
    sink.start(lambda _: pulls.append(1) or SILENCE)  # type: ignore[func-returns-value]
    scheduler.advance(5)
    ended(sink)
    assert len(pulls) == 250
    assert list(tmp_path.iterdir()) == [path]
    eventually(lambda: not threads())


@pytest.mark.parametrize("suffix", ["", ".y4m", ".mkv", ".mp4", ".webm"])
def test_pictures_to_and_from_a_pipe_without_another_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    sink = open_video_sink(str(path), file=OutFile(str(path)))
    for value in range(30):
        sink.show(av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), format="rgb24"))
    sink.close()
    source = open_video_source(str(path))
    assert source is not None
    done = threading.Event()

    def read() -> None:
        assert source.read() is None
        done.set()

    threading.Thread(target=read).start()
    source.close()
    assert done.wait(10)
    eventually(lambda: not threads())


@pytest.mark.parametrize(
    ("suffix", "head"), [(".wav", b"RIFF\xff\xff\xff\xff"), (".ogg", b"OggS"), (".flac", b"fLaC")]
)
def test_a_reader_gets_what_the_suffix_says(tmp_path: Path, suffix: str, head: bytes) -> None:
    path = tmp_path / f"out{suffix}"
    os.mkfifo(path)
    sink = open_audio_sink(str(path), scheduler := FakeScheduler())
    got, thread = reading(path)
    sink.start(lambda _: tone(0.02))
    for _ in range(25):
        scheduler.advance(0.02)
    ended(sink)
    thread.join(10)
    assert got[0].startswith(head)
    with av.open(io.BytesIO(got[0])) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == pytest.approx(24_000, abs=1_000)


def test_a_reader_that_goes_away_from_a_named_pipe_is_told(fifo: Path) -> None:
    sink = open_audio_sink(str(fifo), scheduler := FakeScheduler())
    errors: list[P2PCallError] = []
    sink.on_error = errors.append
    sink.start(lambda _: SILENCE)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    scheduler.advance(0.02)

    def arrived() -> bool:
        try:
            return bool(os.read(reader, 100))
        except BlockingIOError:
            return False

    eventually(arrived)
    os.close(reader)

    def is_told() -> bool:
        scheduler.advance(0.02)
        return bool(errors)

    eventually(is_told)
    assert [(error.slug, error.exit) for error in errors] == [("write-failed", ExitCode.DEVICE)]
    assert "nobody reads it" in errors[0].text
    ended(sink)


def test_a_socket_is_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert is_stream(str(path))
        source = told(open_audio_source(f"{tmp_path}/socket", scheduler := FakeScheduler()))
        got: list[bytes] = []
        source.start(lambda pcm, at: got.append(pcm))
        connection, _ = server.accept()
        with connection:
            connection.sendall(numbered(3))
        frames = source._frames
        assert isinstance(frames, Prefetch)
        eventually(lambda: len(frames) > 0)
        scheduler.advance(0.02)
        source.stop()
    assert got == [numbered(3)]


# ---- frames ahead


def test_a_slow_file_holds_the_loop_up_once() -> None:
    gate = threading.Event()

    def frames() -> Iterator[bytes]:
        gate.wait(10)
        yield numbered(1)

    fetch = Prefetch(frames, FILE_AHEAD, wait_s=0.01)  # type: ignore[arg-type]
    assert next(fetch) == b""
    assert fetch._wait_s <= 0
    gate.set()
    eventually(lambda: len(fetch) == 1)
    assert next(fetch) == numbered(1)
    assert next(fetch, None) in (None, b"")
    fetch.close()


def test_a_thread_that_reads_ahead_is_woken_for_half_of_it_at_once() -> None:
    fetch = Prefetch(lambda: (numbered(n) for n in itertools.count()), FILE_AHEAD)  # type: ignore[arg-type]
    asleep = fetch._changed._waiters  # type: ignore[attr-defined]
    eventually(lambda: len(fetch) == FILE_AHEAD and asleep)
    sleeper = list(asleep)
    got = [next(fetch) for _ in range(FILE_AHEAD - FILE_AHEAD // 2 - 1)]
    assert list(asleep) == sleeper
    got.append(next(fetch))
    eventually(lambda: len(fetch) == FILE_AHEAD)
    got += [next(fetch) for _ in range(FILE_AHEAD)]
    assert got == [numbered(n) for n in range(len(got))]
    fetch.close()


def test_what_the_maker_raises_is_raised_once() -> None:
    def frames() -> Iterator[bytes]:
        yield numbered(1)
        raise P2PCallError("media-file", "gone", ExitCode.USAGE)

    fetch = Prefetch(frames, FILE_AHEAD, wait_s=10)  # type: ignore[arg-type]
    assert next(fetch) == numbered(1)
    with pytest.raises(P2PCallError, match="gone"):
        next(fetch)
    assert next(fetch, None) is None


# ---- y4m


def picture(value: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), format="rgb24")


def test_a_y4m_file_keeps_time(tmp_path: Path) -> None:
    now = [10.0]
    sink = PictureFile(OutFile(str(tmp_path / "out.y4m")), Y4mWriter, lambda: now[0])
    sink.start()
    for value, seconds in ((40, 1.0), (90, 0.5), (200, 0.2)):
        sink.show(picture(value))
        now[0] += seconds
    sink.close()
    sink.close()
    with av.open(str(tmp_path / "out.y4m")) as container:
        greys = [round(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    counts = [sum(abs(grey - value) < 20 for grey in greys) for value in (50, 93, 188)]
    assert counts == pytest.approx([15, 8, 2], abs=1)


def test_a_y4m_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    sink = PictureFile(OutFile(str(tmp_path / "nowhere" / "out.y4m")), Y4mWriter)
    errors: list[P2PCallError] = []
    sink.on_error = errors.append
    sink.show(picture(1))
    sink.show(picture(2))
    sink.close()
    assert [error.slug for error in errors] == ["file-not-writable"]
    assert sink.view_size() == (0, 0)


def test_a_header_of_y4m_tells_range_and_pixels() -> None:
    header = Header(b"YUV4MPEG2 W8 H4 F25:1 A64:45 C420 XCOLORRANGE=FULL")
    assert header.full_range
    assert header.pixel_shape is not None
    assert float(header.pixel_shape) == pytest.approx(64 / 45)
    assert int(header.frame(bytes(header.frame_bytes)).color_range) == 2
    assert Header(b"YUV4MPEG2 W8 H4 A0:0").pixel_shape is None
