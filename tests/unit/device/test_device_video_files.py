"""Pictures from and to files: paced by their own time line, thinned out, fitted, complete when closed."""

import gc
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from p2pcall.device import video_in
from p2pcall.device.factory import Inputs, open_video_sink, open_video_source
from p2pcall.device.letterbox import VIEW, Letterbox, fit_within, plane_pixels, plane_samples
from p2pcall.device.names import VIDEO_SUFFIXES
from p2pcall.device.outfile import OutFile
from p2pcall.device.picture_file import PictureFile
from p2pcall.device.source import MediaInput
from p2pcall.device.video_files import FilmWriter
from p2pcall.device.video_in import PacedVideo, Timed, file_pictures
from p2pcall.errors import ExitCode, P2PCallError


def plain(value: int, width: int = 64, height: int = 48) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), value, np.uint8), format="rgb24")


def brightness(frame: av.VideoFrame) -> int:
    return int(frame.to_ndarray(format="rgb24").mean().round())


def write_clip(path: Path, count: int, fps: int, codec: str = "libx264") -> Path:
    """A clip whose picture number n has the brightness 8 * n."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"crf": "5", "preset": "ultrafast"} if codec == "libx264" else {}
        for n in range(count):
            out.mux(stream.encode(plain(8 * n % 256)))
        out.mux(stream.encode(None))
    return path


class Stage:
    """A clock that moves by what a source waits for."""

    def __init__(self, source: PacedVideo) -> None:
        self.now = 50.0
        pacer = source._pacer
        pacer._clock = lambda: self.now
        wait = pacer._closed

        class Closed:
            def is_set(self) -> bool:
                return wait.is_set()

            def set(self) -> None:
                wait.set()

            def wait(inner, seconds: float) -> bool:
                self.now += seconds
                return wait.is_set()

        pacer._closed = Closed()  # type: ignore[assignment]


def shown(source: PacedVideo, limit: int = 1_000) -> list[tuple[float, int]]:
    stage = Stage(source)
    out = []
    while len(out) < limit and (frame := source.read()) is not None:
        out.append((round(stage.now - 50, 3), brightness(frame)))
    return out


def from_spec(spec: str, *, loop: bool = False, fps: int = 15) -> PacedVideo:
    source = open_video_source(spec, Inputs(loop=loop), fps=fps)
    assert isinstance(source, PacedVideo)
    return source


def test_a_clip_is_shown_at_its_own_times(tmp_path: Path) -> None:
    source = from_spec(str(write_clip(tmp_path / "a.mkv", 10, 10)))
    assert source.size == (64, 48)
    got = shown(source)
    assert [at for at, _ in got] == pytest.approx([n / 10 for n in range(10)], abs=0.002)
    assert [value for _, value in got] == pytest.approx([8 * n for n in range(10)], abs=3)
    assert source.read() is None


@pytest.mark.parametrize(("rate", "expected"), [(30, 15), (24, 15), (60, 15), (15, 15), (10, 10)])
def test_a_fast_clip_is_thinned_out(tmp_path: Path, rate: int, expected: int) -> None:
    got = shown(from_spec(str(write_clip(tmp_path / "a.mp4", rate, rate))))
    assert len(got) == pytest.approx(expected, abs=1)
    gaps = np.diff([at for at, _ in got])
    assert min(gaps) > 0.5 / expected


def test_a_loop_goes_on_without_a_jump(tmp_path: Path) -> None:
    got = shown(from_spec(str(write_clip(tmp_path / "a.mkv", 5, 10)), loop=True), 12)
    assert [at for at, _ in got] == pytest.approx([n / 10 for n in range(12)], abs=0.01)
    assert [value for _, value in got] == pytest.approx([8 * (n % 5) for n in range(12)], abs=3)


def test_a_still_picture_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        out.mux(stream.encode(plain(77)))
        out.mux(stream.encode(None))
    got = shown(from_spec(str(path)), 6)
    assert [at for at, _ in got] == pytest.approx([n / 5 for n in range(6)], abs=0.001)
    assert [value for _, value in got] == pytest.approx([77] * 6, abs=2)


def test_late_pictures_are_left_out() -> None:
    def pictures() -> Iterator[Timed]:
        for n in range(10):
            if n == 3:
                stage.now += 0.18  # decoding took long
            yield n / 10, partial(plain, n)

    source = PacedVideo(pictures, (64, 48), 15)
    stage = Stage(source)
    values = []
    while (frame := source.read()) is not None:
        values.append(brightness(frame))
    assert values == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_close_ends_a_read(tmp_path: Path) -> None:
    source = from_spec(str(write_clip(tmp_path / "a.mkv", 2, 1)))
    assert source.read() is not None
    got: list[object] = ["nothing"]

    def read() -> None:
        got[0] = source.read()

    reader = threading.Thread(target=read)
    reader.start()
    source.close()
    reader.join(10)
    assert got == [None]
    assert source.read() is None


def test_what_is_no_picture_file(tmp_path: Path) -> None:
    text = tmp_path / "notes.md"
    text.write_text("no picture\n")
    for spec in (str(text), str(tmp_path / "missing.mp4"), "camra"):
        with pytest.raises(P2PCallError) as caught:
            open_video_source(spec)
        assert (caught.value.slug, caught.value.exit) == ("media-file", ExitCode.USAGE)


def test_sound_alone_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("flac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4_800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(P2PCallError, match="no picture in it"):
        open_video_source(str(path))


def test_a_broken_clip_ends(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", 30, 15)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) * 2 // 3])
    assert 5 <= len(shown(from_spec(str(path)))) < 30


def test_generated_pictures_are_paced() -> None:
    for spec in ("test", "person"):
        source = from_spec(spec)
        assert source.size == (320, 240)
        stage = Stage(source)
        frames = [source.read() for _ in range(4)]
        assert [(f.width, f.height) for f in frames if f is not None] == [(320, 240)] * 4
        assert stage.now == pytest.approx(50 + 3 / 15)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_a_file_plays_as_it_was_seen(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    times = iter([10.0, 10.0, 10.1, 10.1, 10.9, 11.0])  # the first one begins the file, the last one ends it
    sink = PictureFile(OutFile(str(path)), FilmWriter, lambda: next(times))
    assert sink.view_size() == VIEW
    for value in (50, 51, 100, 200):
        sink.show(plain(value, 320, 180))
    sink.close()
    sink.close()
    sink.show(plain(1))
    assert sink.view_size() == (0, 0)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(640, 360)] * 4
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.101, 0.9], abs=0.0011)
    assert [brightness(frame) for frame in frames] == pytest.approx([50, 51, 100, 200], abs=8)


def test_other_sizes_are_fitted_into_the_first(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    sink = open_video_sink(str(path))
    sink.show(plain(200, 320, 240))
    sink.show(plain(200, 160, 90))
    sink.close()
    with av.open(str(path)) as container:
        first, second = container.decode(video=0)
    assert (first.width, first.height, second.width, second.height) == (640, 480, 640, 480)
    pixels = second.to_ndarray(format="gray")
    assert pixels[240, 320] > 150
    assert pixels[10, 320] < 40
    assert pixels[470, 320] < 40


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm", ".mov", ".avi"])
def test_a_crash_leaves_a_file_that_plays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    now = [0.0]
    sink = PictureFile(OutFile(str(path)), FilmWriter, lambda: now[0])
    for n in range(70):
        now[0] += 1 / 15
        sink.show(plain(100 + n, 32, 24))
    crashed = tmp_path / f"crashed{suffix}"
    assert not path.exists(), "it has its name when it is complete"
    crashed.write_bytes(path.with_name(f"{path.name}.part").read_bytes())
    sink.close()
    with av.open(str(crashed)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 55, "all but a second"


def test_no_picture_leaves_no_file_and_no_error(tmp_path: Path) -> None:
    sink = open_video_sink(str(tmp_path / "out.mkv"))
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    sink = open_video_sink(str(tmp_path / "nowhere" / "out.mkv"))
    errors: list[P2PCallError] = []
    sink.on_error = errors.append
    sink.show(plain(1))
    sink.show(plain(1))
    assert [(error.slug, error.exit) for error in errors] == [("file-not-writable", ExitCode.USAGE)]
    with pytest.raises(P2PCallError, match="no way to show") as caught:
        open_video_sink("window")
    assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux")
def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "full.mkv"
    path.symlink_to("/dev/full")
    sink = open_video_sink(str(path))
    errors: list[P2PCallError] = []
    sink.on_error = errors.append
    rng = np.random.default_rng(1)
    for _ in range(20):
        noise = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
        sink.show(av.VideoFrame.from_ndarray(noise, format="rgb24"))
    sink.close()
    assert [(error.slug, error.exit) for error in errors] == [("write-failed", ExitCode.DEVICE)]


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((320, 240), (640, 480)),
        ((1_920, 1_080), (640, 360)),
        ((90, 160), (270, 480)),
        ((1, 10_000), (2, 480)),
    ],
)
def test_fitting_keeps_the_shape(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fit_within(*size, *VIEW) == fitted


def test_a_canvas_paints_colours_where_they_belong() -> None:
    red = av.VideoFrame.from_ndarray(np.full((100, 50, 3), (255, 0, 0), np.uint8), format="rgb24")
    whole = Letterbox(64, 48).fit(red)
    pixels = whole.to_ndarray(format="rgb24")
    assert (whole.width, whole.height, whole.format.name) == (64, 48, "yuv420p")
    assert pixels[24, 32, 0] > 220
    assert pixels[24, 32, 1:].max() < 40
    assert pixels[24, 5].max() < 30
    assert plane_pixels(whole.planes[1]).shape == (24, 32)


def test_a_picture_that_has_the_canvas_size_is_not_copied() -> None:
    picture = plain(9).reformat(format="yuv420p")
    assert Letterbox(64, 48).fit(picture) is picture
    assert isinstance(plane_samples(picture.planes[0]), memoryview)


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_every_option_of_a_files_codec_is_taken(tmp_path: Path, suffix: str) -> None:
    """What the codec does not know stays in `options`, and nothing else tells."""
    sink = PictureFile(OutFile(str(tmp_path / f"out{suffix}")), FilmWriter)
    sink.show(plain(1))
    assert isinstance(sink._writer, FilmWriter)
    assert not sink._writer._stream.codec_context.options
    sink.close()


def test_a_picture_of_a_film_is_freed_when_nobody_has_it_any_more(tmp_path: Path) -> None:
    """The collector does not come round for minutes; a film of 320x240 at 15/s would take 100 MB by then."""
    path = write_clip(tmp_path / "a.mkv", 30, 15)
    gc.collect()
    gc.disable()
    try:
        for _, picture in file_pictures(MediaInput(str(path))):
            picture()
            assert sum(isinstance(one, av.VideoFrame) for one in gc.get_objects()) <= 4
    finally:
        gc.enable()


def test_a_small_film_is_decoded_by_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=15)
        stream.width, stream.height, stream.pix_fmt = *VIEW, "yuv420p"
        out.mux(stream.encode(plain(9, *VIEW)))
        out.mux(stream.encode(None))
    seen: list[Any] = []
    choose = video_in.choose_track

    def chosen(*told: Any) -> Any:
        track = choose(*told)
        seen.append(track)
        return track

    monkeypatch.setattr(video_in, "choose_track", chosen)
    for _ in file_pictures(MediaInput(str(path))):
        assert [track.codec_context.thread_count for track in seen] == [1]


def test_a_picture_of_a_film_takes_few_steps_beside_its_decoding(tmp_path: Path) -> None:
    path, pictures, steps = write_clip(tmp_path / "a.mkv", 40, 15), 0, 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal steps
        steps += event == "call"

    film = file_pictures(MediaInput(str(path)))
    next(film)
    sys.setprofile(count)
    try:
        for _, picture in film:
            picture()
            pictures += 1
    finally:
        sys.setprofile(None)
    assert pictures == 39
    assert steps / pictures < 20
