"""y4m on pipes: every colour space, held to the stream's rate, refused when it is none, never in the way."""

import io
import os
import threading
from collections.abc import Iterator

import av
import numpy as np
import pytest
from device_helpers import eventually

from p2pcall.device.base import VideoSource
from p2pcall.device.factory import open_video_sink, open_video_source
from p2pcall.device.video_in import StreamVideo
from p2pcall.device.y4m import Header, StreamedY4m, frame_bytes
from p2pcall.errors import ExitCode, P2PCallError


@pytest.fixture
def pipe() -> Iterator[tuple[io.FileIO, io.FileIO]]:
    read, write = os.pipe()
    with io.FileIO(read, "rb") as reader, io.FileIO(write, "wb") as writer:
        yield reader, writer


def from_pipe(reader: io.FileIO) -> VideoSource:
    source = open_video_source("-", stdin=reader)
    assert source is not None
    return source


def gradient(width: int, height: int) -> av.VideoFrame:
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24")


@pytest.mark.parametrize(
    ("colours", "pixels"),
    [
        ("420jpeg", "yuv420p"),
        ("420mpeg2", "yuv420p"),
        ("422", "yuv422p"),
        ("444", "yuv444p"),
        ("mono", "gray"),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (31, 17)])
def test_every_colour_space(colours: str, pixels: str, size: tuple[int, int]) -> None:
    header = Header(f"YUV4MPEG2 W{size[0]} H{size[1]} F30000:1001 Ip A1:1 C{colours} Xanything".encode())
    original = gradient(*size).reformat(format=pixels)
    data = frame_bytes(original)
    assert len(data) == header.frame_bytes
    got = header.frame(data)
    assert (got.width, got.height, got.format.name) == (*size, pixels)
    assert frame_bytes(got) == data


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"RIFF",
        b"YUV4MPEG2",
        b"YUV4MPEG2 W0 H5",
        b"YUV4MPEG2 W9999 H5",
        b"YUV4MPEG2 Wx Hy",
        b"YUV4MPEG2 W4 H4 F0:1",
        b"YUV4MPEG2 W4 H4 F1:0",
        b"YUV4MPEG2 W4 H4 F9999:1",
        b"YUV4MPEG2 W4 H4 C420p10",
        b"YUV4MPEG2 W4 H4 C411",
        b"YUV4MPEG2 W4 H4 \xff",
    ],
)
def test_headers_that_are_none(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Header(line)


def test_pictures_come_in_and_the_end_is_the_end(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    source = open_video_source("-", stdin=reader)
    assert isinstance(source, StreamVideo)
    body = frame_bytes(gradient(16, 8).reformat(format="yuv420p"))
    writer.write(b"YUV4MPEG2 W16 H8 F240:1\nFRAME\n" + body + b"FRAME Ip\n" + body + b"FRAME\n" + body[:-1])
    writer.close()
    frames = [source.read() for _ in range(3)]
    source.close()
    assert source.size == (16, 8)
    assert frames[2] is None
    assert [frame_bytes(frame) for frame in frames if frame is not None] == [body, body]


@pytest.mark.parametrize("data", [b"YUV4MPEG2 \x89PNG\n", b"YUV4MPEG2 W-5 H3\n"])
def test_what_is_no_y4m(pipe: tuple[io.FileIO, io.FileIO], data: bytes) -> None:
    reader, writer = pipe
    source = from_pipe(reader)
    writer.write(data)
    writer.close()
    with pytest.raises(P2PCallError, match="not y4m") as caught:
        source.read()
    source.close()
    assert (caught.value.slug, caught.value.exit) == ("media-file", ExitCode.USAGE)
    assert caught.value.hint is not None
    assert "yuv4mpegpipe" in caught.value.hint


def test_an_empty_pipe_and_a_wrong_marker_end(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    source = from_pipe(reader)
    writer.write(b"YUV4MPEG2 W2 H2\nFRAMES?\n")
    writer.close()
    assert source.read() is None or source.read() is None
    assert source.read() is None


def test_close_ends_a_read_that_waits_for_the_pipe(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, _ = pipe
    source = from_pipe(reader)
    got: list[object] = ["nothing"]

    def read() -> None:
        got[0] = source.read()

    thread = threading.Thread(target=read)
    thread.start()
    source.close()
    thread.join(10)
    assert got == [None]
    assert source.read() is None


def test_pictures_go_out_in_one_size(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    sink = open_video_sink("-", stdout=writer)
    assert sink.view_size() == (640, 480)
    source = from_pipe(reader)
    got: list[av.VideoFrame | None] = []

    def read() -> None:
        for _ in range(2):
            got.append(source.read())

    thread = threading.Thread(target=read)
    thread.start()
    sink.show(gradient(64, 48))
    eventually(lambda: len(got) == 1)
    sink.show(gradient(64, 30))
    thread.join(10)
    sink.close()
    source.close()
    assert [(f.width, f.height) for f in got if f is not None] == [(640, 480)] * 2


def test_a_slow_reader_costs_pictures_and_not_the_thread(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    _, writer = pipe
    sink = open_video_sink("-", stdout=writer)
    assert isinstance(sink, StreamedY4m)
    for _ in range(10):
        sink.show(gradient(64, 48))
    assert sink.dropped >= 8
    sink.close()


def test_a_reader_that_goes_away_ends_it_quietly(pipe: tuple[io.FileIO, io.FileIO]) -> None:
    reader, writer = pipe
    sink = open_video_sink("-", stdout=writer)
    errors: list[P2PCallError] = []
    sink.on_error = errors.append
    reader.close()

    def told() -> bool:
        sink.show(gradient(64, 48))
        return bool(errors)

    eventually(told)
    sink.show(gradient(64, 48))
    assert [(error.slug, error.exit) for error in errors] == [("stdout-closed", ExitCode.OK)]
    assert sink.view_size() == (0, 0)
    sink.close()
