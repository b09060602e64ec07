"""Fitting pictures into one size, with their shape kept; and the samples of their planes.

Rules: sizes are even, as 4:2:0 wants them. numpy (12 MiB) is loaded by who wants arrays, and not for a picture that is
only passed on. Leaves out cropping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import av
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from p2pcall.media.constants import VIDEO_MAX_HEIGHT, VIDEO_MAX_WIDTH

if TYPE_CHECKING:
    import numpy as np

VIEW: Final = (VIDEO_MAX_WIDTH, VIDEO_MAX_HEIGHT)
"""The most that a file or pipe asks the other side for; also where the sender's sizes end."""
BLACK_LUMA: Final = 16
"""Black, and no colour, in the samples of a picture of limited range (BT.601)."""
NO_COLOUR: Final = 128


class Letterbox:
    """Fits pictures of any size into one, black beside them."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._reformatter = VideoReformatter()

    @classmethod
    def like(cls, frame: av.VideoFrame) -> Letterbox:
        """The largest canvas within VIEW that has the shape of `frame`."""
        return cls(*fit_within(frame.width, frame.height, *VIEW))

    def fit(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A yuv420p picture of the canvas' size; it is `frame` itself if that is one."""
        width, height = fit_within(frame.width, frame.height, self.width, self.height)
        inner = self._reformatter.reformat(frame, width, height, "yuv420p", threads=1)
        if (width, height) == (self.width, self.height):
            return inner
        whole = av.VideoFrame(self.width, self.height, "yuv420p")
        left, top = (self.width - width) // 4 * 2, (self.height - height) // 4 * 2
        for number, (to, plane) in enumerate(zip(whole.planes, inner.planes, strict=True)):
            shrunk = 2 if number else 1
            fill = bytes([NO_COLOUR if number else BLACK_LUMA])
            _place(to, plane, left // shrunk, top // shrunk, fill)
        return whole


def _place(to: VideoPlane, plane: VideoPlane, left: int, top: int, fill: bytes) -> None:
    """Put the samples of `plane` into `to`, at this place, and `fill` everywhere else."""
    stride = to.line_size
    before, after = fill * left, fill * (stride - left - plane.width)
    rows: list[bytes | memoryview] = [fill * (stride * top)]
    for row in plane_rows(plane):
        rows += (before, row, after)
    to.update(b"".join(rows).ljust(to.buffer_size, fill))


def plane_rows(plane: VideoPlane) -> list[memoryview]:
    """The samples of one plane (8 bits) row by row, without its padding; views, not copies."""
    samples, stride, width = memoryview(plane), plane.line_size, plane.width
    return [samples[at : at + width] for at in range(0, plane.height * stride, stride)]


def plane_samples(plane: VideoPlane) -> bytes | memoryview:
    """The samples of one plane (8 bits) without its padding; a view where there is none."""
    if plane.line_size == plane.width:
        return memoryview(plane)[: plane.width * plane.height]
    return b"".join(plane_rows(plane))


def plane_pixels(plane: VideoPlane) -> np.ndarray:
    """The samples of one plane (8 bits) as (rows, columns), without its padding; a view, not a copy."""
    import numpy as np

    rows = np.frombuffer(memoryview(plane), dtype=np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def fit_within(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """The largest even size of the shape `width` x `height` within the given one."""
    scale = min(max_width / width, max_height / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
