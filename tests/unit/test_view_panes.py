"""Where pictures are in a window, and when its status line goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.view.panes import (
    BAR_FADES_S,
    BAR_STAYS_S,
    FIRST_SIZE,
    Fade,
    first_window,
    fit_box,
    own_box,
)

side = st.integers(1, 5000)


@given(side, side, side, side)
def test_a_picture_keeps_its_shape_and_fills_one_side(w: int, h: int, width: int, height: int) -> None:
    box = fit_box(w, h, width, height)
    assert 1 <= box.w <= width
    assert 1 <= box.h <= height
    assert box.w == width or box.h == height
    assert abs(box.w * h - box.h * w) <= max(w, h), "within a pixel of its shape"
    assert 0 <= width - box.w - 2 * box.x <= 1, "in the middle"
    assert 0 <= height - box.h - 2 * box.y <= 1


def test_ones_own_picture_is_small_and_in_the_corner() -> None:
    assert own_box(320, 240, 640, 480, 0) == (471, 351, 160, 120)
    assert own_box(320, 240, 640, 480, 20) == (471, 331, 160, 120), "above the status line"
    assert own_box(320, 240, 200, 150, 0) is None, "no room"


@given(side, side, side, side, st.integers(0, 40))
def test_ones_own_picture_is_inside(w: int, h: int, width: int, height: int, below: int) -> None:
    box = own_box(w, h, width, height, below)
    if box is not None:
        assert box.x >= 0
        assert box.x + box.w < width
        assert box.y + box.h < height - below


@pytest.mark.parametrize(
    "frame,window",
    [((320, 240), (640, 480)), ((1280, 720), (640, 360)), ((180, 320), (270, 480)), ((1, 999), (160, 480))],
)
def test_a_new_window_takes_the_shape_of_the_picture(frame: tuple[int, int], window: tuple[int, int]) -> None:
    assert first_window(*frame) == window
    assert window[0] <= FIRST_SIZE[0]


def test_the_status_line_stays_then_fades_then_is_gone() -> None:
    fade = Fade(100.0)
    assert fade.alpha(100.0) == fade.alpha(100.0 + BAR_STAYS_S) == 255
    half = 100.0 + BAR_STAYS_S + BAR_FADES_S / 2
    assert 120 < fade.alpha(half) < 135
    gone = 100.0 + BAR_STAYS_S + BAR_FADES_S
    assert fade.alpha(gone) == 0
    fade.stir(gone)
    assert fade.alpha(gone) == 255


def test_what_must_be_known_stays() -> None:
    fade = Fade(0.0)
    fade.pinned = True
    assert fade.alpha(1000.0) == 255
