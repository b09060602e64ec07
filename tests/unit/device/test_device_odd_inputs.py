"""Inputs that are odd, damaged or meant badly: heard as far as they can be, told in plain words, nothing left open."""

import io
import os
import struct
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from device_helpers import FRAME_BYTES, FakeScheduler, loudest_hz, tone

from p2pcall.device.base import VideoSource
from p2pcall.device.factory import Inputs, open_audio_source, open_video_source
from p2pcall.device.files import PacedSource
from p2pcall.device.names import is_there
from p2pcall.device.outfile import OutFile, check_not_the_same
from p2pcall.device.pace import MediaClock
from p2pcall.device.picture_file import PictureFile
from p2pcall.device.pipes import FdReader
from p2pcall.device.raw import RawFormat
from p2pcall.device.sound_in import decoded_frames
from p2pcall.device.source import MediaInput
from p2pcall.device.streams import stream_frames
from p2pcall.device.video_in import PacedVideo, StreamVideo, Timed, file_pictures
from p2pcall.device.y4m import OUTPUT_FPS, Header, Y4mWriter
from p2pcall.errors import ExitCode, P2PCallError


def picture(value: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((48, 64, 3), value % 256, np.uint8), format="rgb24")


def fed(data: bytes) -> FdReader:
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    return FdReader(lambda: read, owned=True)


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


# ---- sound


@pytest.mark.parametrize("mask", [0x30, 0x5, 0x9, 0x600])
def test_channels_in_odd_places_are_heard(tmp_path: Path, mask: int) -> None:
    mono = np.frombuffer(tone(0.5), "<i2")
    data = np.repeat(mono, 2).astype("<i2").tobytes()
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 2, 48_000, 192_000, 4, 16, 22, 16, mask) + guid
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path = tmp_path / "odd.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    pcm = b"".join(decoded_frames(MediaInput(str(path))))
    assert len(pcm) == pytest.approx(48_000, abs=2 * FRAME_BYTES)
    assert loudest_hz(pcm[4_800:43_200]) == pytest.approx(440, abs=5)


def flac(hz: int, rate: int) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        samples = (8_000 * np.sin(2 * np.pi * hz * np.arange(rate // 2) / rate)).astype("<i2")
        resampler = av.AudioResampler("s16", "mono", rate, frame_size=4_096)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))  # type: ignore[union-attr]
        container.mux(stream.encode(None))  # type: ignore[union-attr]
    return out.getvalue()


def test_a_broken_link_does_not_end_what_comes_after_it(tmp_path: Path) -> None:
    whole = flac(400, 48_000)
    path = tmp_path / "joined.flac"
    path.write_bytes(whole + whole[:45] + flac(800, 44_100))
    notes: list[str] = []
    pcm = b"".join(decoded_frames(MediaInput(str(path)), note=notes.append))
    assert loudest_hz(pcm[:38_400]) == pytest.approx(400, abs=5)
    assert loudest_hz(pcm[-38_400:]) == pytest.approx(800, abs=5)
    assert len(notes) == 1


def test_raw_sound_may_end_anywhere() -> None:
    form = RawFormat("s16le", 44_100, 2)
    pcm = b"".join(stream_frames(fed(bytes(3_528 * 3 + 3)), "x", form))
    assert len(pcm) == pytest.approx(3 * 3_840 // 2, abs=FRAME_BYTES)


def test_what_cannot_be_decoded_as_it_comes_is_told() -> None:
    with pytest.raises(P2PCallError) as caught:
        list(stream_frames(fed(b"ID3\3\0\0\0\0\0\0" + bytes(60_000)), "x"))
    assert caught.value.slug == "media-file"


def test_a_pipe_that_cannot_be_opened_is_told_and_not_taken_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    source = open_audio_source(str(path), scheduler := FakeScheduler())
    assert isinstance(source, PacedSource)
    errors: list[P2PCallError] = []
    ends: list[int] = []
    source.on_error, source.on_end = errors.append, lambda: ends.append(1)
    path.unlink()
    source.start(lambda pcm, at: None)
    for _ in range(200):
        scheduler.advance(0.02)
        if errors:
            break
        source._frames._changed.acquire()  # type: ignore[union-attr]
        source._frames._changed.wait(0.05)  # type: ignore[union-attr]
        source._frames._changed.release()  # type: ignore[union-attr]
    source.stop()
    assert [error.exit for error in errors] == [ExitCode.USAGE]
    assert ends == []


# ---- names


def test_a_list_of_other_files_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "private.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes(tone(0.5))
    gift = tmp_path / "gift.wav"
    gift.write_text("ffconcat version 1.0\nfile private.wav\n")
    with pytest.raises(P2PCallError, match=r"a list of other files|not a media file") as caught:
        open_audio_source(str(gift), FakeScheduler())
    assert caught.value.exit is ExitCode.USAGE


@pytest.mark.parametrize("spec", ["a" * 300, "a" * 300 + ".wav"])
def test_a_name_that_is_too_long_is_no_file_and_no_crash(tmp_path: Path, spec: str) -> None:
    assert not is_there(spec)
    with pytest.raises(P2PCallError):
        OutFile(str(tmp_path / spec)).check()
    with pytest.raises(P2PCallError):
        open_video_source(f"{spec}.mkv")


def test_one_pipe_is_not_used_twice_however_it_is_spelled(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    other = f"{tmp_path}/./pipe"
    with pytest.raises(P2PCallError, match="the same file"):
        check_not_the_same({}, {"--audio-out": OutFile(str(pipe)), "--video-out": OutFile(other)})
    with pytest.raises(P2PCallError, match="the same file"):
        check_not_the_same({"--audio-in": str(pipe)}, {"--audio-out": OutFile(other)})
    check_not_the_same({"--audio-in": "/dev/null"}, {"--audio-out": OutFile("/dev/null")})


# ---- picture


def timed(values: range, fps: int) -> Iterator[Timed]:
    for n in values:
        yield n / fps, partial(picture, n)


class Clock:
    """Moves by what is waited for; slips once."""

    def __init__(self, source: PacedVideo) -> None:
        self.now = 10.0
        pacer = source._pacer
        pacer._clock = lambda: self.now
        pacer._closed = self  # type: ignore[assignment]

    def is_set(self) -> bool:
        return False

    def set(self) -> None:
        pass

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


def test_a_source_that_slipped_once_is_shown_again_soon() -> None:
    def slipping() -> Iterator[Timed]:
        for at, one in timed(range(60), 10):
            clock.now += 0.12 if at == 0.5 else 0.0
            yield at, one

    source = PacedVideo(slipping, (64, 48), 15)
    clock = Clock(source)
    shown = 0
    while source.read() is not None:
        shown += 1
    assert shown > 50


def test_a_decoder_that_is_too_slow_for_the_sound_still_shows_something() -> None:
    media_clock = MediaClock()
    media_clock.tell(0.0, 10.0)

    def slow() -> Iterator[Timed]:
        for at, one in timed(range(40), 10):
            clock.now += 0.13
            yield at, one

    source = PacedVideo(slow, (64, 48), 15, media_clock)
    clock = Clock(source)
    shown = 0
    while source.read() is not None:
        shown += 1
    assert shown >= 15


@pytest.mark.parametrize("line", [b"YUV4MPEG2 W16 H16 F1:100000000000", b"YUV4MPEG2 W16 H16 F1:61"])
def test_a_rate_that_nobody_lives_to_see_is_none(line: bytes) -> None:
    with pytest.raises(ValueError, match="no rate"):
        Header(line)


def test_a_picture_that_stays_does_not_fill_the_disk(tmp_path: Path) -> None:
    now = [0.0]
    sink = PictureFile(OutFile(str(tmp_path / "out.y4m")), Y4mWriter, lambda: now[0])
    sink.start()
    sink.show(picture(1))
    now[0] = 3_600.0
    sink.close()
    assert (tmp_path / "out.y4m").stat().st_size < 4 * OUTPUT_FPS * 640 * 480 * 1.5


def test_no_descriptor_is_left_of_a_stream(tmp_path: Path) -> None:
    """Whether it was never read, or what came was no picture."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = descriptors()
    for _ in range(3):
        source: VideoSource | None = open_video_source(str(path), Inputs())
        assert source is not None
        source.close()
    for _ in range(3):
        junk = StreamVideo(
            fed(b"junk that is no picture" * 400), "x", None, lambda media: file_pictures(media), 15
        )
        with pytest.raises(P2PCallError):
            junk.read()
        junk.close()
    assert descriptors() == before
