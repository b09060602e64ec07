"""Pictures as they are meant to be seen: upright, of square pixels, opaque, in the colours that they say they have."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type as SideData

from p2pcall.device.picture import EXIF_TURNS, MOST, UPRIGHT, PictureConverter, Turn, Turns, is_hdr

RED, GREEN, BLUE, WHITE = (200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 200)
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""AVColorSpace -> how much red and blue weigh in the brightness (BT.709, BT.601, SMPTE 240M, BT.2020)."""


def quarters(width: int = 64, height: int = 32) -> av.VideoFrame:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = BLUE, WHITE
    return av.VideoFrame.from_ndarray(picture, format="rgb24")


def corners(frame: av.VideoFrame) -> list[tuple[int, ...]]:
    pixels = frame.to_ndarray(format="rgb24").astype(int)
    height, width = pixels.shape[:2]
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [tuple(round(c / 100) * 100 for c in pixels[place]) for place in places]


def flat(
    value: tuple[int, int, int], form: str, space: int, *, full: bool, height: int = 64
) -> av.VideoFrame:
    """All of one colour, coded as the arithmetic of its space says."""
    red, green, blue = (c / 255 for c in value)
    weigh_red, weigh_blue = WEIGHTS[space if space in WEIGHTS else 1]
    luma = weigh_red * red + (1 - weigh_red - weigh_blue) * green + weigh_blue * blue
    cb, cr = (blue - luma) / (2 - 2 * weigh_blue), (red - luma) / (2 - 2 * weigh_red)
    coded = (
        (255 * luma, 255 * cb + 128, 255 * cr + 128)
        if full
        else (219 * luma + 16, 224 * cb + 128, 224 * cr + 128)
    )
    frame = av.VideoFrame(64, height, form)
    for plane, level in zip(frame.planes, coded, strict=True):
        plane.update(bytes([round(level)]) * plane.buffer_size)
    frame.colorspace, frame.color_range = space, 2 if full else 1
    return frame


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_every_orientation_of_exif(orientation: int, expected: list[tuple[int, int, int]]) -> None:
    turned = PictureConverter().develop(quarters(), EXIF_TURNS[orientation])
    assert corners(turned) == expected
    size = (64, 32) if orientation < 5 else (32, 64)
    assert (turned.width, turned.height) == size


@pytest.mark.parametrize(
    ("size", "shape", "turn", "expected"),
    [
        ((64, 32), Fraction(2), UPRIGHT, (128, 32)),
        ((64, 32), Fraction(1, 2), UPRIGHT, (64, 64)),
        ((720, 576), Fraction(64, 45), UPRIGHT, (640, 360)),
        ((1_920, 1_080), None, UPRIGHT, (640, 360)),
        ((1_920, 1_080), None, Turn(False, 1), (270, 480)),
        ((33, 17), None, UPRIGHT, (32, 16)),
    ],
)
def test_shape_is_kept_and_size_is_bounded(
    size: tuple[int, int], shape: Fraction | None, turn: Turn, expected: tuple[int, int]
) -> None:
    seen = PictureConverter().develop(quarters(*size), turn, shape)
    assert (seen.width, seen.height) == expected
    assert seen.width <= MOST[0]
    assert seen.height <= MOST[1]
    assert (int(seen.color_range), seen.format.name) == (1, "yuv420p")


@pytest.mark.parametrize("space", [1, 5, 7, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("form", ["yuv420p", "yuv444p"])
def test_colours_are_read_for_what_they_are(form: str, space: int, full: bool) -> None:
    seen = PictureConverter().develop(flat((200, 60, 30), form, space, full=full))
    assert seen.to_ndarray(format="rgb24")[16, 16] == pytest.approx((200, 60, 30), abs=5)


def test_a_picture_that_says_nothing_is_bt709_if_it_is_large() -> None:
    frame = flat((200, 60, 30), "yuv420p", 2, full=False, height=720)
    seen = PictureConverter().develop(frame)
    assert seen.to_ndarray(format="rgb24")[16, 16] == pytest.approx((200, 60, 30), abs=5)


def test_a_picture_that_is_ready_is_passed_on_untouched() -> None:
    frame = flat((200, 60, 30), "yuv420p", 5, full=False)
    assert PictureConverter().develop(frame) is frame


@pytest.mark.parametrize("ink", [0, 255])
def test_neither_black_nor_white_drawings_vanish_on_nothing(ink: int) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[16:48, 16:48] = (ink, ink, ink, 255)
    seen = (
        PictureConverter()
        .develop(av.VideoFrame.from_ndarray(pixels, format="rgba"))
        .to_ndarray(format="rgb24")
        .astype(int)
    )
    assert abs(int(seen[32, 32].mean()) - ink) < 6
    assert all(90 < seen[y, x].mean() < 165 for y in (4, 12, 60) for x in (4, 12, 60))
    assert abs(seen[4, 4].mean() - seen[4, 12].mean()) > 30


def test_hdr_is_told_by_its_curve() -> None:
    frame = flat((200, 60, 30), "yuv420p", 9, full=False)
    assert is_hdr(frame) is None
    frame.color_trc = 16
    assert is_hdr(frame) == "PQ"
    frame.color_trc = 18
    assert is_hdr(frame) == "HLG"


class Turned:
    """A decoded picture with a display matrix: turned by quarters clockwise."""

    def __init__(self, quarters: int) -> None:
        self.rotation = -90 * quarters
        self.asked = 0
        cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters]
        self.matrix = np.array([cos, sin, 0, -sin, cos, 0, 0, 0, 1], "<i4").tobytes()

    @property
    def side_data(self) -> dict[SideData, bytes]:
        self.asked += 1
        return {SideData.DISPLAYMATRIX: self.matrix}


def test_what_lies_beside_a_picture_is_asked_for_only_where_the_rotation_changes() -> None:
    """To ask makes a circle of picture and answer, which only the collector undoes."""
    turns, pictures = Turns(), [Turned(quarters) for quarters in (0, 0, 1, 1, 3, 0)]
    assert [turns.of(picture).quarters for picture in pictures] == [0, 0, 1, 1, 3, 0]  # type: ignore[arg-type]
    assert [picture.asked for picture in pictures] == [1, 0, 1, 0, 1, 1]
