"""Fitting pictures into one size, with their shape kept; and the samples of their planes.

Rules: sizes are even, as 4:2:0 wants them; a canvas gives a new picture each time. Leaves out cropping.
"""

from typing import Final

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from p2pcall.media.constants import VIDEO_MAX_HEIGHT, VIDEO_MAX_WIDTH

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
    def like(cls, frame: av.VideoFrame) -> "Letterbox":
        """The largest canvas within VIEW that has the shape of `frame`."""
        return cls(*fit_within(frame.width, frame.height, *VIEW))

    def fit(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A yuv420p picture of the canvas' size; always one of its own."""
        width, height = fit_within(frame.width, frame.height, self.width, self.height)
        inner = self._reformatter.reformat(frame, width, height, "yuv420p", threads=1)
        whole = np.empty((self.height * 3 // 2, self.width), dtype=np.uint8)
        whole[: self.height] = BLACK_LUMA
        whole[self.height :] = NO_COLOUR
        left, top = (self.width - width) // 4 * 2, (self.height - height) // 4 * 2
        luma, blue, red = (plane_pixels(plane) for plane in inner.planes)
        whole[top : top + height, left : left + width] = luma
        chroma = whole[self.height :].reshape(2, self.height // 2, self.width // 2)
        rows, columns = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
        chroma[0, rows, columns], chroma[1, rows, columns] = blue, red
        return av.VideoFrame.from_ndarray(whole, format="yuv420p")


def plane_pixels(plane: VideoPlane) -> np.ndarray:
    """The samples of one plane (8 bits) as (rows, columns), without its padding; a view, not a copy."""
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def fit_within(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """The largest even size of the shape `width` x `height` within the given one."""
    scale = min(max_width / width, max_height / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
