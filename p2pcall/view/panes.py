"""Layout of the window, in pixels, and how long the status line stays. Pure.

The other side's picture is as large as possible with its aspect kept, black beside it; one's own is small in the lower
right corner, above the status line. The status line appears when a person does something or must know something, and
fades when nothing has happened for a while. Left out: text, and drawing (`window_app`).
"""

from typing import Final, NamedTuple

from msgspec import Struct

from p2pcall.media.constants import VIDEO_MAX_HEIGHT, VIDEO_MAX_WIDTH

FIRST_SIZE: Final = (VIDEO_MAX_WIDTH, VIDEO_MAX_HEIGHT)
"""The size of a new window, and the picture size requested until its real size is known: the largest ever sent."""
LEAST_SIZE: Final = (160, 120)
_OWN_SHARE: Final = 4
"""One's own picture has at most the window's width and height divided by this."""
_OWN_LEAST_WINDOW: Final = (240, 180)
_MARGIN_SHARE: Final = 50

BAR_STAYS_S: Final = 3.0
"""When nothing has happened for this time, the status line begins to fade."""
BAR_FADES_S: Final = 0.4


class Box(NamedTuple):
    """A part of the window in pixels."""

    x: int
    y: int
    w: int
    h: int


def fit_box(frame_w: int, frame_h: int, width: int, height: int) -> Box:
    """The largest box of the frame's shape in the middle of width × height; a side has at least one pixel."""
    frame_w, frame_h, width, height = max(1, frame_w), max(1, frame_h), max(1, width), max(1, height)
    if width * frame_h <= height * frame_w:
        w, h = width, max(1, round(width * frame_h / frame_w))
    else:
        w, h = max(1, round(height * frame_w / frame_h)), height
    return Box((width - w) // 2, (height - h) // 2, w, h)


def own_box(frame_w: int, frame_h: int, width: int, height: int, below: int) -> Box | None:
    """The place of one's own picture, with `below` free pixels under it; None if the window is too small."""
    if width < _OWN_LEAST_WINDOW[0] or height < _OWN_LEAST_WINDOW[1]:
        return None
    _, _, w, h = fit_box(frame_w, frame_h, width // _OWN_SHARE, height // _OWN_SHARE)
    margin = max(4, min(width, height) // _MARGIN_SHARE)
    return Box(width - w - margin, height - h - margin - below, w, h)


def first_window(frame_w: int, frame_h: int) -> tuple[int, int]:
    """The size of a window that the person has not resized, once the picture's aspect is known."""
    _, _, w, h = fit_box(frame_w, frame_h, *FIRST_SIZE)
    return max(w, LEAST_SIZE[0]), max(h, LEAST_SIZE[1])


class Fade(Struct):
    """How visible the status line is; times are of one monotonic clock, in seconds."""

    _stirred_at: float
    pinned: bool = False
    """Whether the line must stay visible: muted, reconnecting, recorded by the other side."""

    def stir(self, now: float) -> None:
        """Show the line fully: a person did something, or there is something new to read."""
        self._stirred_at = now

    def alpha(self, now: float) -> int:
        """0 (gone) to 255."""
        if self.pinned:
            return 255
        left = self._stirred_at + BAR_STAYS_S + BAR_FADES_S - now
        return round(255 * min(1.0, max(0.0, left / BAR_FADES_S)))
