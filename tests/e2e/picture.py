"""Pictures for tests: a clip whose frames carry their number, so that what arrives can be told frame by frame.

A frame is a moving scene with a strip of blocks along the top: the number in binary, light for one and dark for zero,
each block large enough to live through coding, scaling and drawing as half-blocks. Arrays are RGB, uint8, rows first.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
BITS = 8
STRIP = 8
"""The strip is this part of the height: an eighth."""


def frame(number: int, size: tuple[int, int] = (320, 240)) -> Picture:
    """The frame of this number (modulo 256)."""
    width, height = size
    rows, cols = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = (cols * 255 // width + 3 * number) % 256
    picture[..., 1] = rows * 255 // height
    picture[..., 2] = 128 + 60 * np.sin(2 * np.pi * (number / 30 + cols / width))
    across = int((0.5 + 0.4 * np.sin(number / 10)) * width)
    down = int((0.55 + 0.3 * np.cos(number / 13)) * height)
    disc = (cols - across) ** 2 + (rows - down) ** 2 < (height // 7) ** 2
    picture[disc] = (250, 220, 60)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        picture[: height // STRIP, left:right] = 235 if number >> (BITS - 1 - bit) & 1 else 20
    return picture


def number_of(picture: Picture) -> int:
    """The number that the strip of a frame tells, whatever size it has now."""
    height, width = picture.shape[:2]
    row = picture[: max(1, height // STRIP * 3 // 4)].astype(np.float64).mean(axis=(0, 2))
    number = 0
    for bit in range(BITS):
        middle = (2 * bit + 1) * width // (2 * BITS)
        quarter = max(1, width // BITS // 4)
        number = number << 1 | int(row[middle - quarter : middle + quarter].mean() > 128)
    return number


def clip(path: Path, seconds: float = 4.0, *, size: tuple[int, int] = (320, 240), fps: int = 15) -> Path:
    """Write a clip of numbered frames; the format is that of the name (`.mp4`, `.mkv`)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "mpeg4", rate=Fraction(fps), options={"qscale": "3", "flags": "+qscale"}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(int(seconds * fps)):
            picture = av.VideoFrame.from_ndarray(frame(number, size), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> Iterator[tuple[float, Picture]]:
    """The frames of a video file: seconds from its start, picture."""
    with av.open(str(path)) as container:
        for decoded in container.decode(video=0):
            yield float(decoded.time or 0.0), np.asarray(decoded.to_ndarray(format="rgb24"), np.uint8)


def likeness(shown: Picture, number: int) -> float:
    """How alike a shown frame is to the one of this number, below the strip (PSNR in dB; 30 is good)."""
    height, width = shown.shape[:2]
    wanted = frame(number, (width, height)).astype(np.float64)
    top = height // STRIP + 2
    error = float(np.mean((wanted[top:] - shown[top:]) ** 2))
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))
