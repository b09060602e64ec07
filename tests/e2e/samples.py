"""Samples beside those of `sound` and `picture`: pictures as they go through pipes."""

from pathlib import Path

import av
import picture


def y4m(path: Path, seconds: float, *, size: tuple[int, int] = (320, 240), fps: int = 15) -> Path:
    """Write `picture`'s numbered frames as a stream of YUV4MPEG2, as `--video-in -` takes it."""
    width, height = size
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(int(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(picture.frame(number, size), format="rgb24")
            file.write(b"FRAME\n" + frame.reformat(format="yuv420p").to_ndarray().tobytes())
    return path
