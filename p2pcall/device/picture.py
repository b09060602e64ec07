"""Pictures as they are meant to be seen: upright, of square pixels, opaque, in the one form that is sent.

Rules: what comes out is yuv420p of limited range and BT.601, upright, no larger than `MOST`; a picture that is so
already is passed on untouched. Colours are read for what the picture says of itself; one that says nothing is BT.709
from 720 rows on, BT.601 below, as players take it. What can be seen through stands on a board of two greys, so that
neither black nor white drawings vanish. Leaves out decoding, and colours beyond the screen's (`is_hdr` tells them).
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import av
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from msgspec import Struct

from p2pcall.device.letterbox import VIEW, fit_within, plane_pixels

if TYPE_CHECKING:
    import numpy as np

MOST: Final = VIEW
"""Where the sizes that are sent end; larger pictures are made smaller once, here."""
BOARD_PIXELS: Final = 8
BOARD_GREYS: Final = (102, 153)
HD_ROWS: Final = 720
UNSPECIFIED: Final = (0, 2, 3)
"""AVColorSpace: RGB, unspecified, reserved."""
MATRICES: Final = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""AVColorSpace, of those that are not BT.601's."""
SQUARE_PIXEL: Final = Fraction(1)
"""The shape of most pixels."""
RIGHT_ANGLE: Final = 90
"""Degrees."""
ROUNDED: Final = 127
"""Half of 255, added before dividing by it."""
HDR_CURVES: Final = {16: "PQ", 18: "HLG"}
"""AVColorTransferCharacteristic: SMPTE 2084, ARIB B67."""
_FULL: Final = 2
_MATRIX: Final = struct.Struct("<5i")
"""The beginning of a display matrix: two rows of two and a column that is not looked at."""


class Turn(Struct, frozen=True):
    """How stored pixels become upright ones: mirrored left to right first, then turned by quarters clockwise."""

    mirrored: bool = False
    quarters: int = 0


UPRIGHT: Final = Turn()
EXIF_TURNS: Final = {
    1: Turn(), 2: Turn(True), 3: Turn(False, 2), 4: Turn(True, 2),
    5: Turn(True, 3), 6: Turn(False, 1), 7: Turn(True, 1), 8: Turn(False, 3),
}  # fmt: skip
"""EXIF orientation -> what it asks for."""


def turn_of(frame: av.VideoFrame) -> Turn | None:
    """What the picture's display matrix asks for; None if it has none that can be read."""
    try:
        matrix = frame.side_data.get(SideData.DISPLAYMATRIX)  # type: ignore[call-overload]
    except ValueError:  # beside it lies something that PyAV has no name for, such as EXIF
        return None
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = _MATRIX.unpack_from(bytes(matrix))
    mirrored = a * d - b * c < 0
    if mirrored:  # taken out on the right: mirrored first, then turned
        a, b = -a, -b
    return Turn(mirrored, round(math.degrees(math.atan2(b, a)) / RIGHT_ANGLE) % 4)


class Turns:
    """`turn_of` for the pictures of one track, one after the other.

    Whoever asks PyAV for what lies beside a picture ties the two in a circle, and the picture stays in memory until the
    collector comes round, seconds later: so it is asked only where the rotation, which costs nothing, is another one.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._turn = UPRIGHT

    def of(self, frame: av.VideoFrame) -> Turn:
        """What this picture asks for; upright if that cannot be read."""
        if frame.rotation != self._rotation:
            self._rotation, self._turn = frame.rotation, turn_of(frame) or UPRIGHT
        return self._turn


def is_hdr(frame: av.VideoFrame) -> str | None:
    """The curve of a picture that is brighter than a screen is taken to be: its name."""
    return HDR_CURVES.get(int(frame.color_trc))


class PictureConverter:
    """Makes pictures of one source fit to be sent; keeps swscale's context between them."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._other = VideoReformatter()

    def develop(
        self, frame: av.VideoFrame, turn: Turn = UPRIGHT, pixel_shape: Fraction | None = None
    ) -> av.VideoFrame:
        """An upright picture of square pixels. `pixel_shape` is width by height of one stored pixel."""
        width, height = self._size(frame, pixel_shape or SQUARE_PIXEL, turn)
        if _see_through(frame.format.name):
            return self._turned(self._flat(frame, width, height), turn)
        ready = (
            frame.format.name == "yuv420p" and not _full(frame) and source_space(frame) is Colorspace.ITU601
        )
        if ready and (width, height) == (frame.width, frame.height) and turn == UPRIGHT:
            return frame
        return self._turned(to_sent_form(self._reformatter, frame, width, height), turn)

    def _size(self, frame: av.VideoFrame, shape: Fraction, turn: Turn) -> tuple[int, int]:
        """Before turning. Stored pixels are stretched, never thrown away."""
        wide, high = float(frame.width), float(frame.height)
        if shape.numerator > shape.denominator:
            wide *= float(shape)
        elif 0 < shape.numerator < shape.denominator:
            high /= float(shape)
        most = MOST if turn.quarters % 2 == 0 else MOST[::-1]
        if wide <= most[0] and high <= most[1]:
            return max(2, round(wide / 2) * 2), max(2, round(high / 2) * 2)
        return fit_within(round(wide), round(high), *most)

    def _flat(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        """Without holes."""
        import numpy as np

        wide = ColorRange.JPEG if _full(frame) else None
        space = None if frame.format.is_rgb or frame.format.has_palette else source_space(frame)
        form = self._other.reformat(
            frame, width, height, "rgba", src_colorspace=space, src_color_range=wide, threads=1
        )
        rgba = form.to_ndarray().astype(np.uint16)
        board = _board(width, height)
        alpha = rgba[..., 3:]
        flat = ((rgba[..., :3] * alpha + board * (255 - alpha) + ROUNDED) // 255).astype(np.uint8)
        opaque = av.VideoFrame.from_ndarray(flat, format="rgb24")
        return to_sent_form(self._reformatter, opaque, width, height)

    @staticmethod
    def _turned(frame: av.VideoFrame, turn: Turn) -> av.VideoFrame:
        if turn == UPRIGHT:
            return frame
        import numpy as np

        planes = [
            np.rot90(pixels[:, ::-1] if turn.mirrored else pixels, -turn.quarters)
            for pixels in map(plane_pixels, frame.planes)
        ]
        height, width = planes[0].shape
        out = av.VideoFrame(width, height, "yuv420p")
        for plane, pixels in zip(out.planes, planes, strict=True):
            rows = np.zeros((plane.height, plane.line_size), np.uint8)
            rows[:, : plane.width] = pixels
            plane.update(rows.tobytes().ljust(plane.buffer_size, b"\0")[: plane.buffer_size])
        out.color_range, out.colorspace = frame.color_range, frame.colorspace
        return out


@lru_cache(maxsize=4)
def _board(width: int, height: int) -> np.ndarray:
    import numpy as np

    rows, columns = np.indices((height, width)) // BOARD_PIXELS
    return np.where((rows + columns) % 2 == 0, *BOARD_GREYS).astype(np.uint16)[..., None]


def to_sent_form(by: VideoReformatter, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """yuv420p of limited range and BT.601, whatever the picture is."""
    return by.reformat(
        frame,
        width,
        height,
        "yuv420p",
        src_colorspace=source_space(frame),
        dst_colorspace=Colorspace.ITU601,
        interpolation=Interpolation.AREA if width < frame.width else Interpolation.BILINEAR,
        src_color_range=ColorRange.JPEG if _full(frame) else None,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )


def source_space(frame: av.VideoFrame) -> Colorspace:
    """Which matrix made its colours."""
    space = int(frame.colorspace)
    if space in UNSPECIFIED and frame.height >= HD_ROWS and not frame.format.is_rgb:
        return Colorspace.ITU709
    return MATRICES.get(space, Colorspace.ITU601)


def _full(frame: av.VideoFrame) -> bool:
    return int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")


@lru_cache(maxsize=4)
def _see_through(form: str) -> bool:
    """Whether pictures of this format may have holes."""
    known = av.VideoFormat(form)
    return known.has_palette or any(component.is_alpha for component in known.components)
