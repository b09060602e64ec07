"""Files as they are in the world, made from numbers alone: joined, turned, of odd pixels, stamps and tracks.

Sounds are sines, whose pitch tells where in the file one is; pictures are grey, whose brightness does; or four
quarters (red, green / blue, white), which tell which way up they are. Each function gives bytes or writes one file.
"""

import io
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorRange
from picture import Picture
from sound import RATE, Samples

LEVEL = 0.3
BLOCK = 1024
MATRIX_AT = 44
"""Of a `tkhd` box of version 0, counted from its name."""
ONE, LAST = 1 << 16, 1 << 30
"""Fixed-point 1 in a display matrix, and in its last place."""
TURNED = {
    "90": (0, ONE, -ONE, 0),
    "180": (-ONE, 0, 0, -ONE),
    "270": (0, -ONE, ONE, 0),
    "mirrored": (-ONE, 0, 0, ONE),
}
GREYS = (40, 80, 120, 160, 200, 240)


# ---- sound


def sine(hz: float, seconds: float, rate: int = RATE) -> Samples:
    """A tone."""
    return LEVEL * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def coded(
    codec: str, form: str, hz: float, rate: int = RATE, channels: int = 1, seconds: float = 1.5
) -> bytes:
    """A file of one tone."""
    layout = "mono" if channels == 1 else "stereo"
    whole = io.BytesIO()
    with av.open(whole, "w", format=form) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, rate)
        samples = sine(hz, seconds, rate).astype("<f4")
        for at in range(0, len(samples), BLOCK):
            block = np.repeat(samples[None, at : at + BLOCK], channels, 0)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, at
            for ready in resampler.resample(frame):
                out.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            out.mux(stream.encode(ready))
        out.mux(stream.encode(None))
    return whole.getvalue()


def id3(body: bytes) -> bytes:
    """A tag of MP3 files with a picture in it."""
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = len(frame)
    return b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + frame


def wav(samples: Samples, channels: int, form: int = 1) -> bytes:
    """PCM of so many equal channels, whose places nobody tells."""
    data = np.repeat((samples * 32767).astype("<i2")[:, None], channels, 1).tobytes()
    head = struct.pack("<HHIIHH", form, channels, RATE, RATE * channels * 2, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


# ---- pictures


def grey(value: int, size: tuple[int, int] = (160, 120)) -> Picture:
    """All of one brightness."""
    return np.full((size[1], size[0], 3), value, np.uint8)


def quarters(size: tuple[int, int] = (320, 180)) -> Picture:
    """Red, green / blue, white from the top left."""
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (200, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 200, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 200)
    picture[height // 2 :, width // 2 :] = 200
    return picture


def film(
    pictures: Iterable[Picture],
    form: str,
    *,
    times: Sequence[float] = (),
    fps: int = 10,
    shape: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """A film of these pictures, coded so that they can be told apart; `shape` is that of a pixel."""
    whole = io.BytesIO()
    with av.open(whole, "w", format=form) as out:
        stream: Any = None
        for n, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            if stream is None:
                stream = out.add_stream("libx264", rate=fps)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
                stream.options = options or {}
                if shape is not None:
                    stream.codec_context.sample_aspect_ratio = shape
            frame.pts = round((times[n] if times else n / fps) * 1000)
            frame.time_base = Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return whole.getvalue()


def steps(greys: Sequence[int], begin: float = 0.0, each: int = 10) -> bytes:
    """MPEG-TS of these greys, ten pictures a second; its time stamps begin with `begin`."""
    pictures = [grey(value) for value in greys for _ in range(each)]
    times = [begin + n / 10 for n in range(len(pictures))]
    return film(pictures, "mpegts", times=times, options={"g": "10"})


def turned(how: str, data: bytes | None = None) -> bytes:
    """An MP4 (this one) whose pictures are stored another way than they are to be seen."""
    whole = bytearray(film([quarters()] * 20, "mp4") if data is None else data)
    at = whole.find(b"tkhd") + MATRIX_AT
    a, b, c, d = TURNED[how]
    whole[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, LAST)
    return bytes(whole)


def jpeg(picture: Picture, orientation: int | None = None) -> bytes:
    """A photograph: full range; `orientation` as EXIF counts them."""
    height, width = picture.shape[:2]
    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuvj420p", Fraction(1, 25)
    codec.options = {"qmin": "1", "qmax": "3"}
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    full = av.video.reformatter.VideoReformatter().reformat(
        frame, format="yuvj420p", dst_color_range=ColorRange.JPEG
    )
    full.pts = 0
    data = b"".join(bytes(packet) for packet in [*codec.encode(full), *codec.encode(None)])
    if orientation is None:
        return data
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def ramp() -> Picture:
    """Every grey from 0 to 255, two columns each."""
    levels = np.repeat(np.arange(256, dtype=np.uint8), 2)
    return np.repeat(np.repeat(levels[None, :, None], 64, 0), 3, 2)


# ---- tracks


def two_sounds() -> bytes:
    """400 Hz for those who cannot see, and 800 Hz, which is the default."""
    whole = io.BytesIO()
    with av.open(whole, "w", format="matroska") as out:
        streams: list[Any] = [out.add_stream("libopus", rate=RATE, layout="mono") for _ in range(2)]
        streams[0].disposition, streams[1].disposition = Disposition.visual_impaired, Disposition.default
        for at in range(0, 2 * RATE, 960):
            for stream, hz in zip(streams, (400, 800), strict=True):
                _mux_sound(out, stream, sine(hz, 2.0)[at : at + 960], at)
        for stream in streams:
            out.mux(stream.encode(None))
    return whole.getvalue()


def together(begin: float = 0.0, hole: tuple[float, float] | None = None, flip: float = 3.0) -> bytes:
    """A film of 5 s that turns bright as its tone of 600 Hz begins; its sound begins late, or has a hole."""
    whole = io.BytesIO()
    with av.open(whole, "w", format="matroska") as out:
        seen: Any = out.add_stream("libx264", rate=10)
        seen.width, seen.height, seen.pix_fmt = 160, 120, "yuv420p"
        seen.time_base = seen.codec_context.time_base = Fraction(1, 1000)
        seen.options = {"tune": "zerolatency"}
        heard: Any = out.add_stream("libopus", rate=RATE, layout="mono")
        for tenth in range(50):
            picture = grey(220 if tenth >= flip * 10 else 40)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = tenth * 100, Fraction(1, 1000)
            out.mux(seen.encode(frame))
            for at in range(tenth * 4_800, (tenth + 1) * 4_800, 960):
                now = at / RATE
                if now < begin or (hole is not None and hole[0] <= now < hole[1]):
                    continue
                _mux_sound(out, heard, sine(600, 5.0)[at : at + 960] * (now >= flip), at)
        for stream in (seen, heard):
            out.mux(stream.encode(None))
    return whole.getvalue()


def _mux_sound(out: Any, stream: Any, samples: Samples, at: int) -> None:
    form = stream.codec_context.format.name
    frame = av.AudioFrame.from_ndarray(samples.astype("<f4")[None], format="fltp", layout="mono")
    frame.sample_rate = RATE
    (ready,) = av.AudioResampler(form, "mono", RATE).resample(frame)
    ready.pts, ready.time_base = at, Fraction(1, RATE)
    out.mux(stream.encode(ready))


def with_cover() -> bytes:
    """A film in an MP4 that has a cover, which comes first."""
    whole = film([quarters()] * 20, "mp4")
    at = whole.find(b"moov") - 4
    size = struct.unpack(">I", whole[at : at + 4])[0]
    moov = whole[at + 8 : at + size]
    head = struct.unpack(">I", moov[:4])[0]
    data = _box(b"data", struct.pack(">II", 13, 0) + jpeg(grey(255, (64, 64))))
    handler = _box(b"hdlr", struct.pack(">II4s4sIIB", 0, 0, b"mdir", b"appl", 0, 0, 0))
    meta = _box(b"meta", b"\0\0\0\0" + handler + _box(b"ilst", _box(b"covr", data)))
    return whole[:at] + _box(b"moov", moov[:head] + _box(b"udta", meta) + moov[head:]) + whole[at + size :]


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


# ---- what came out


def pitches(recording: Samples, piece_s: float = 0.05) -> list[int]:
    """The loudest frequency of each piece, to 20 Hz; 0 where it is quiet."""
    size = int(piece_s * RATE)
    found = []
    for at in range(0, len(recording) - size + 1, size):
        piece = recording[at : at + size]
        loud = np.sqrt(np.mean(piece**2)) > 0.01
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(size)))
        found.append(int(np.argmax(spectrum) / piece_s) if loud else 0)
    return found


def runs(values: Iterable[int], near: int = 0) -> list[tuple[int, int]]:
    """Values one after another, each with how often it comes in a row; those that are `near` count as the same."""
    out: list[tuple[int, int]] = []
    for value in values:
        if out and abs(out[-1][0] - value) <= near:
            out[-1] = (out[-1][0], out[-1][1] + 1)
        else:
            out.append((value, 1))
    return out


def write(path: Path, data: bytes) -> Path:
    """The file, written."""
    path.write_bytes(data)
    return path
