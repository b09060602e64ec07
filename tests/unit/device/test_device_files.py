"""Sound from and to files: at real time, in whole frames, complete when stopped, told once when broken."""

import errno
import os
import struct
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from device_helpers import FRAME_BYTES, SILENCE, FakeScheduler, ended, loudest_hz, numbered, rms, tone

from p2pcall.device import decoding, files
from p2pcall.device.base import AudioSink, AudioSource
from p2pcall.device.factory import Inputs, open_audio_sink, open_audio_source, open_video_sink
from p2pcall.device.pace import Ticker
from p2pcall.device.sound_in import decoded_frames
from p2pcall.device.source import MediaInput
from p2pcall.device.y4m import Y4mWriter
from p2pcall.errors import ExitCode, P2PCallError


def write_wav(path: Path, pcm: bytes, rate: int = 48_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return path


def heard(source: AudioSource, scheduler: FakeScheduler, seconds: float) -> list[bytes]:
    frames: list[bytes] = []

    def on_frame(pcm: bytes, captured: float) -> None:
        assert captured == pytest.approx(100 + 0.02 * (len(frames) + 1))
        frames.append(pcm)

    source.start(on_frame)
    scheduler.advance(seconds)
    source.stop()
    return frames


def test_a_file_is_sent_at_real_time_and_says_when_it_ends(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(0.5) + b"\x11\x11" * 10)
    scheduler, ends = FakeScheduler(), []
    source = open_audio_source(str(path), scheduler)
    assert scheduler.timers == 0
    source.on_end = lambda: ends.append(scheduler.now)
    frames = heard(source, scheduler, 1.0)
    assert len(frames) == 50
    assert {len(pcm) for pcm in frames} == {FRAME_BYTES}
    assert loudest_hz(b"".join(frames[:25])) == pytest.approx(440, abs=3)
    assert frames[25][:20] == b"\x11\x11" * 10
    assert not any(frames[25][20:])
    assert frames[26:] == [SILENCE] * 24
    assert ends == [pytest.approx(100.54)]


def test_a_looped_file_goes_on(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", numbered(1) + numbered(2))
    source = open_audio_source(str(path), scheduler := FakeScheduler(), Inputs(loop=True))
    frames = heard(source, scheduler, 0.2)
    assert frames == [numbered(1), numbered(2)] * 5


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (96_000, 2)])
def test_any_rate_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    mono = np.frombuffer(tone(1.0, rate=rate), dtype="<i2")
    path = write_wav(tmp_path / "a.wav", np.repeat(mono, channels).tobytes(), rate, channels)
    source = open_audio_source(str(path), scheduler := FakeScheduler())
    pcm = b"".join(heard(source, scheduler, 0.9))
    assert loudest_hz(pcm) == pytest.approx(440, abs=3)


def test_sound_of_a_video_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libvpx", rate=15)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream("libopus", rate=48_000, layout="mono")
        for n in range(10):
            out.mux(
                picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24"))
            )
            pcm = np.frombuffer(tone(0.1), dtype="<i2").reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, n * 4_800
            out.mux(sound.encode(frame))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    source = open_audio_source(str(path), scheduler := FakeScheduler())
    assert rms(b"".join(heard(source, scheduler, 0.8))) > 3_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no media at all, just text\n" * 10, "not a media file"),
        (b"", "not a media file"),
        (None, "no such file"),
    ],
)
def test_what_is_no_media_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "speech.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(P2PCallError, match=words) as caught:
        open_audio_source(str(path), FakeScheduler())
    assert (caught.value.slug, caught.value.exit) == ("media-file", ExitCode.USAGE)
    assert caught.value.hint


def test_a_directory_and_a_url_are_no_files(tmp_path: Path) -> None:
    for spec in (f"{tmp_path}/", "http://127.0.0.1:9/a.wav"):
        with pytest.raises(P2PCallError) as caught:
            open_audio_source(spec, FakeScheduler())
        assert caught.value.slug == "media-file"


def test_a_picture_has_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    with pytest.raises(P2PCallError, match="no sound in it"):
        open_audio_source(str(path), FakeScheduler())


def test_a_file_cut_off_ends_early(tmp_path: Path) -> None:
    whole = write_wav(tmp_path / "a.wav", tone(2.0)).read_bytes()
    path = tmp_path / "cut.wav"
    path.write_bytes(whole[: len(whole) // 2])
    scheduler, ends = FakeScheduler(), []
    source = open_audio_source(str(path), scheduler)
    source.on_end = lambda: ends.append(1)
    frames = heard(source, scheduler, 2)
    assert sum(any(pcm) for pcm in frames) == pytest.approx(50, abs=3)
    assert ends == [1]


def test_a_file_that_vanishes_is_told_and_silence_goes_on(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", numbered(1))
    source = open_audio_source(str(path), scheduler := FakeScheduler())
    errors: list[P2PCallError] = []
    source.on_error = errors.append
    path.unlink()
    frames = heard(source, scheduler, 0.1)
    assert frames == [SILENCE] * 5
    assert [error.slug for error in errors] == ["media-file"]


def test_tone_and_silence_and_song() -> None:
    def sound(spec: str, seconds: float) -> list[bytes]:
        scheduler = FakeScheduler()
        return heard(open_audio_source(spec, scheduler), scheduler, seconds)

    tones = b"".join(sound("tone", 1))
    assert loudest_hz(tones) == pytest.approx(440, abs=2)
    assert 1_000 < rms(tones) < 4_000
    assert sound("silence", 0.1) == [SILENCE] * 5
    assert sound("none", 0.1) == [SILENCE] * 5
    assert rms(b"".join(sound("song", 1))) > 1_000


def fed(
    sink: AudioSink, scheduler: FakeScheduler, frames: Iterator[bytes] | list[bytes], seconds: float
) -> None:
    given = iter(frames)
    sink.start(lambda _: next(given, SILENCE))
    scheduler.advance(seconds)


def test_a_wav_of_our_own_kind_is_read_without_a_decoder_and_sounds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(0.5) + b"\x11\x11" * 10)
    decoded = list(filter(None, decoded_frames(MediaInput(str(path), track=1))))
    monkeypatch.setattr(decoding, "open_media", None)
    assert list(decoded_frames(MediaInput(str(path)))) == decoded
    assert decoded[-1] == (b"\x11\x11" * 10).ljust(FRAME_BYTES, b"\0")


def test_a_wav_is_valid_at_every_moment(tmp_path: Path) -> None:
    path, part = tmp_path / "out.wav", tmp_path / "out.wav.part"
    sink = open_audio_sink(str(path), scheduler := FakeScheduler())
    assert list(tmp_path.iterdir()) == [], "nothing is made before it begins"
    frames = iter([numbered(n) for n in range(200)])
    sink.start(lambda _: next(frames))
    with wave.open(str(part)) as empty:
        assert empty.getnframes() == 0
    scheduler.advance(2.5)
    with wave.open(str(part)) as crashed:
        assert crashed.getnframes() == 2 * 48_000
    assert not path.exists(), "it has its name when it is complete"
    ended(sink)
    ended(sink)
    with wave.open(str(path)) as whole:
        assert (whole.getframerate(), whole.getnchannels(), whole.getsampwidth()) == (48_000, 1, 2)
        assert whole.readframes(10**7) == b"".join(numbered(n) for n in range(125))


@pytest.mark.parametrize("suffix", [".ogg", ".flac"])
def test_encoded_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = open_audio_sink(str(path), scheduler := FakeScheduler())
    fed(sink, scheduler, files.cut(tone(1)), 1.0)
    ended(sink)
    frames = list(decoded_frames(MediaInput(str(path))))
    assert 50 <= len(frames) <= 52
    assert loudest_hz(b"".join(frames[:50])) == pytest.approx(440, abs=3)


def test_an_ogg_after_a_crash_has_all_but_the_last_second(tmp_path: Path) -> None:
    path = tmp_path / "out.ogg"
    sink = open_audio_sink(str(path), scheduler := FakeScheduler())
    fed(sink, scheduler, files.cut(tone(5)), 5)
    (tmp_path / "crashed.ogg").write_bytes((tmp_path / "out.ogg.part").read_bytes())
    ended(sink)
    assert len(list(decoded_frames(MediaInput(str(tmp_path / "crashed.ogg"))))) >= 200


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_a_file_that_cannot_be_made_when_it_begins_is_told_and_the_clock_goes_on(
    tmp_path: Path, suffix: str
) -> None:
    sink = open_audio_sink(str(tmp_path / "nowhere" / f"a{suffix}"), scheduler := FakeScheduler())
    errors: list[P2PCallError] = []
    sink.on_error = errors.append
    pulls = iter(range(100))
    sink.start(lambda _: numbered(next(pulls)))
    scheduler.advance(1)
    assert [(error.slug, error.exit) for error in errors] == [("file-not-writable", ExitCode.USAGE)]
    assert next(pulls) == 50
    ended(sink)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux")
@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_a_full_disk_is_told_once_and_the_clock_goes_on(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"full{suffix}"
    pulls: list[int] = []
    errors: list[P2PCallError] = []
    if suffix == ".wav":
        writer: files.Writer = files.WavWriter(str(tmp_path / "real.wav"))
        os.dup2(os.open("/dev/full", os.O_WRONLY), writer._file.fileno())  # type: ignore[attr-defined]
        sink: AudioSink = files.PacedSink(lambda: writer, Ticker(scheduler := FakeScheduler()), str(path))
    else:
        path.symlink_to("/dev/full")
        sink = open_audio_sink(str(path), scheduler := FakeScheduler())
    sink.on_error = errors.append

    def pull(samples: int) -> bytes:
        pulls.append(1)
        return tone(0.02)

    sink.start(pull)
    scheduler.advance(3)
    ended(sink)
    assert len(pulls) == 150
    assert [(error.slug, error.exit) for error in errors] == [("write-failed", ExitCode.DEVICE)]
    assert "no space left" in errors[0].text


def test_a_full_disk_names_the_file_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that was asked for, which is there and whole."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("call.wav", "call.y4m"):
        (tmp_path / name).write_bytes(b"of before")
    errors: list[P2PCallError] = []
    sink = open_audio_sink(str(tmp_path / "call.wav"), scheduler := FakeScheduler())
    sink.on_error = errors.append
    sink.start(lambda _: tone(0.02))
    monkeypatch.setattr(files.WavWriter, "write", full)
    scheduler.advance(1)
    ended(sink)
    show = open_video_sink(str(tmp_path / "call.y4m"))
    show.on_error = errors.append
    show.start()
    monkeypatch.setattr(Y4mWriter, "_all", full)
    show.show(av.VideoFrame(64, 48, "yuv420p"))
    show.close()
    assert [error.text for error in errors] == [
        f"{tmp_path}/call-2{suffix}: no space left on device" for suffix in (".wav", ".y4m")
    ]


def test_a_wav_stops_at_what_its_header_can_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.WavWriter, "MAX_DATA_BYTES", 3 * FRAME_BYTES)
    writer = files.WavWriter(str(tmp_path / "a.wav"))
    for n in range(9):
        writer.write(numbered(n))
    writer.close()
    data = (tmp_path / "a.wav").read_bytes()
    assert struct.unpack("<I", data[40:44]) == (3 * FRAME_BYTES,)
    assert len(data) == 44 + 3 * FRAME_BYTES


def test_none_pulls_at_real_time() -> None:
    sink = open_audio_sink("none", scheduler := FakeScheduler())
    pulls: list[float] = []

    def pull(samples: int) -> bytes:
        pulls.append(scheduler.now)
        return SILENCE

    sink.start(pull)
    scheduler.advance(1)
    ended(sink)
    scheduler.advance(1)
    assert len(pulls) == 50
    assert sink.latency_s == 0


@pytest.mark.parametrize("name", ["call.mp3", "call.opus", "call.mkv"])
def test_a_file_of_another_format_is_not_taken_for_a_speaker(tmp_path: Path, name: str) -> None:
    with pytest.raises(P2PCallError, match="sound is not written to") as caught:
        open_audio_sink(str(tmp_path / name), FakeScheduler())
    assert caught.value.exit is ExitCode.USAGE
    assert caught.value.hint == "a file that ends in .wav, .ogg, .flac"
