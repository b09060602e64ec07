"""Sixty files by chance, each sent by a real call: containers, codecs, orientation, pixels, range, tracks, stamps.

What a file is follows from the seed and its number alone. By day a handful, by night all.
"""

import io
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import picture
import pytest
import realfiles as made
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from pairs import media
from test_real_files import BLUE, FINITE, GREEN, RED, STILL, WHITE, Sending, Sent, check, close, shows

SEED = 20_261
NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
FILES = 60 if NIGHTLY else 4
SIDE_BY_SIDE = 4
SOUNDS = (
    ("mp3", "libmp3lame", (44_100, 48_000, 32_000)), ("ogg", "libopus", (48_000,)), ("flac", "flac", (44_100, 96_000)),
    ("wav", "pcm_s16le", (8_000, 44_100)), ("wav", "pcm_f32le", (48_000,)), ("wav", "pcm_u8", (22_050,)),
    ("adts", "aac", (44_100, 48_000)), ("mp4", "aac", (44_100,)), ("matroska", "libopus", (48_000,)),
    ("matroska", "flac", (44_100,)), ("mpegts", "aac", (48_000,)), ("mov", "pcm_s24le", (48_000,)),
    ("aiff", "pcm_s16be", (44_100,)), ("au", "pcm_s16be", (8_000,)), ("avi", "libmp3lame", (44_100,)),
    ("webm", "libopus", (48_000,)),
)  # fmt: skip
FILMS = (
    ("matroska", "libx264"), ("mp4", "libx264"), ("mov", "libx264"), ("mpegts", "libx264"), ("avi", "mpeg4"),
    ("webm", "libvpx"), ("webm", "libvpx-vp9"), ("matroska", "mjpeg"), ("matroska", "ffv1"), ("mp4", "mpeg4"),
    ("mov", "mjpeg"), ("h264", "libx264"), ("yuv4mpegpipe", "rawvideo"),
)  # fmt: skip
SPACES = {"601": Colorspace.ITU601, "709": Colorspace.ITU709}
UPRIGHT = (RED, GREEN, BLUE, WHITE)
TURNS = {"90": (2, 0, 3, 1), "180": (3, 2, 1, 0), "270": (1, 3, 0, 2), "mirrored": (1, 0, 3, 2)}
"""Which of the stored quarters is seen in each place."""


@dataclass(frozen=True, slots=True)
class Case:
    """One file, how it is sent, and whether what came is right."""

    name: str
    data: bytes
    as_sound: bool
    right: Callable[[Sent], bool]


def a_sound(chance: random.Random, name: str) -> Case:
    form, codec, rates = chance.choice(SOUNDS)
    joined = form in ("mp3", "ogg", "flac", "mpegts", "adts")
    parts = 2 if joined and chance.random() < 0.5 else 1
    hertz = [400, 800][:parts]
    data = b"".join(
        made.coded(codec, form, hz, chance.choice(rates), chance.choice((1, 2)), seconds=1.0) for hz in hertz
    )
    told = f"{name}-{form}-{codec}-{parts}"
    return Case(told, data, True, lambda sent: [hz for hz, _ in sent.pitches()] == hertz)


def a_film(chance: random.Random, name: str) -> Case:
    form, codec = chance.choice(FILMS)
    full = codec in ("mjpeg", "libx264", "rawvideo") and chance.random() < 0.5
    space = chance.choice(sorted(SPACES)) if codec == "libx264" and form != "h264" else "601"
    turn = chance.choice(("", *TURNS)) if form == "mp4" else ""
    shape = Fraction(chance.choice((1, 1, 2))) if form == "matroska" and codec == "libx264" else Fraction(1)
    size = (chance.choice((160, 320, 642)), chance.choice((120, 180, 362)))
    data = film(form, codec, size, SPACES[space], shape, full=full, stamps=chance.choice(("even", "uneven")))
    order: tuple[int, ...] = (0, 1, 2, 3)
    seen_shape = size[0] * float(shape) / size[1]
    if turn:
        data = made.turned(turn, data)
        order = TURNS[turn]
        seen_shape = 1 / seen_shape if turn in ("90", "270") else seen_shape
    expected = [UPRIGHT[place] for place in order]
    told = f"{name}-{form}-{codec}-{space}-{'full' if full else 'limited'}-{turn or 'upright'}-{size[0]}x{size[1]}"

    def right(sent: Sent) -> bool:
        *_, (_, last) = picture.read(sent.seen)
        return shows(last, expected, seen_shape)

    return Case(told, data, False, right)


def a_still(chance: random.Random, name: str) -> Case:
    level, turn = chance.choice((30, 100, 170, 230)), chance.randrange(1, 9)
    data = made.jpeg(made.grey(level, (200, 100)), turn)

    def right(sent: Sent) -> bool:
        *_, (_, last) = picture.read(sent.seen)
        height, width = last.shape[:2]
        return close(last[height // 2, width // 2], (level,) * 3, 5) and (width > height) == (turn < 5)

    return Case(f"{name}-jpeg-exif{turn}-{level}", data, False, right)


def film(
    form: str,
    codec: str,
    size: tuple[int, int],
    space: Colorspace,
    shape: Fraction,
    *,
    full: bool,
    stamps: str,
) -> bytes:
    """Two seconds of the quarters in colours as asked."""
    out, reformatter = io.BytesIO(), VideoReformatter()
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    with av.open(out, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = size[0] // 2 * 2, size[1] // 2 * 2, pixels
        context = stream.codec_context
        if form not in ("avi", "h264", "yuv4mpegpipe"):
            stream.time_base = context.time_base = Fraction(1, 1000)
        context.colorspace, context.color_range = int(space), 2 if full or codec == "mjpeg" else 1
        if shape != 1:
            context.sample_aspect_ratio = shape
        if codec == "yuv4mpegpipe":
            stream.options = {"strict": "-1"}
        for n in range(20):
            rgb = av.VideoFrame.from_ndarray(made.quarters((stream.width, stream.height)), format="rgb24")
            wide = ColorRange.JPEG if full or codec == "mjpeg" else ColorRange.MPEG
            frame = reformatter.reformat(rgb, format=pixels, dst_colorspace=space, dst_color_range=wide)
            even = form in ("avi", "h264", "yuv4mpegpipe") or stamps == "even"
            at = n / 10 if even else n / 10 + 0.03 * (n % 3)
            frame.time_base = context.time_base or Fraction(1, 10)
            frame.pts = round(at / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def case(number: int) -> Case:
    chance = random.Random(f"{SEED}-{number}")
    make = chance.choices((a_sound, a_film, a_still), (5, 6, 1))[0]
    return make(chance, f"{number:02}")


@pytest.mark.parametrize("first", range(0, FILES, SIDE_BY_SIDE))
def test_files_by_chance(p2p: Any, tmp_path: Path, first: int) -> None:
    cases = [case(number) for number in range(first, first + SIDE_BY_SIDE)]
    sendings: dict[str, Sending] = {}
    for one in cases:
        path = made.write(tmp_path / one.name, one.data)  # without a suffix: it is what it is
        given = media(f"{path}") if one.as_sound else media(video_in=path)
        sendings[one.name] = (given, STILL if "jpeg-exif" in one.name else FINITE)

    def judge(every: Mapping[str, Sent]) -> None:
        assert [one.name for one in cases if not one.right(every[one.name])] == []

    check(p2p, tmp_path, sendings, judge)
