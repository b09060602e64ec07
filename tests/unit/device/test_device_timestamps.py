"""Time stamps as files have them, made into one line that moves on."""

import pytest

from p2pcall.device.timestamps import MAX_BROKEN_PAUSE_S, MAX_PAUSE_S, Joins, Timestamps


def through(
    joins: Joins, packets: list[tuple[int, float | None]], duration: float = 0.1
) -> list[float | None]:
    return [None if at is None else round(at + joins.see(stream, at, duration), 6) for stream, at in packets]


def test_stamps_that_move_on_are_left_alone() -> None:
    packets: list[tuple[int, float | None]] = [(0, 5.0), (1, 5.02), (0, 5.1), (0, 9.0), (1, 9.1)]
    assert through(Joins(), packets) == [at for _, at in packets]


def test_a_beginning_anew_moves_both_streams_alike() -> None:
    joins = Joins()
    assert through(joins, [(0, 0.0), (1, 0.0), (0, 0.1), (1, 0.1), (0, 0.2), (1, 0.2)])
    assert through(joins, [(0, 0.0), (1, 0.02), (0, 0.1), (1, 0.12)]) == pytest.approx([0.3, 0.32, 0.4, 0.42])


@pytest.mark.parametrize("most", [MAX_PAUSE_S, MAX_BROKEN_PAUSE_S])
def test_a_jump_is_a_bounded_pause(most: float) -> None:
    assert through(Joins(most), [(0, 0.0), (0, 0.1 + most - 0.01)])[1] == pytest.approx(0.09 + most)
    assert through(Joins(most), [(0, 0.0), (0, 0.1 + most + 0.01), (0, 0.2 + most + 0.01)])[1:] == [0.1, 0.2]


def test_small_steps_back_and_missing_stamps_are_no_joins() -> None:
    assert through(Joins(), [(0, 1.0), (0, None), (0, 1.05), (0, 1.3)]) == [1.0, None, 1.05, 1.3]


@pytest.mark.parametrize(
    ("stamps", "places"),
    [
        ([None, None, None], [0.0, 0.5, 1.0]),
        ([7.0, 7.0, 7.0], [0.0, 0.5, 1.0]),
        ([7.0, 8.0, 6.0, 9.5], [0.0, 1.0, 1.5, 2.5]),
        ([3.0, 3.2, 3.9], [0.0, 0.2, 0.9]),
        ([0.0, 4.0, 104.0, 104.2], [0.0, 4.0, 4.5, 4.7]),
    ],
    ids=["missing", "standing still", "back", "uneven", "a jump"],
)
def test_pictures_always_move_on(stamps: list[float | None], places: list[float]) -> None:
    line = Timestamps(0.5)
    assert [line.place(stamp) for stamp in stamps] == pytest.approx(places)


def test_with_a_zero_the_first_picture_keeps_its_distance() -> None:
    line = Timestamps(0.5, zero=10.0)
    assert [line.place(11.5), line.place(12.0)] == pytest.approx([1.5, 2.0])
    assert Timestamps(0.5, zero=10.0).place(9.0) == 0.0
