"""Which frames are a pause."""

from p2pcall.media import constants as c
from p2pcall.media.pauses import Pauses


def heard(pauses: Pauses, *rms: float) -> list[bool]:
    """After each frame: is it a pause?"""
    told = []
    for each in rms:
        pauses.heard(each, 2)
        told.append(pauses.quiet)
    return told


def test_a_pause_is_quiet_against_what_was_said_and_longer_than_one_frame() -> None:
    assert heard(Pauses(), 3_000, 290, 2_000, 290, 290, 290, 310) == [False] * 4 + [True, True, False]


def test_what_no_ear_hears_is_a_pause_from_the_start() -> None:
    assert heard(Pauses(), 0, 99, 99) == [False, True, True]
    assert heard(Pauses(), *[c.QUIET_RMS] * 50) == [False] * 50


def test_who_speaks_up_and_then_low_is_heard_to_speak_again() -> None:
    pauses = Pauses()
    pauses.heard(20_000, 2)
    frames = heard(pauses, *[1_000] * 500)
    assert frames[10]
    assert 150 < frames.index(False, 5) < 350
    assert not any(frames[350:])


def test_the_level_of_the_room_is_that_of_the_pauses() -> None:
    pauses = Pauses()
    heard(pauses, *[5_000] * 20)
    assert pauses.level == 0
    heard(pauses, *[40] * 60, *[5_000] * 20)
    assert 35 < pauses.level < 41


def test_frames_of_any_length_are_as_long_as_they_are() -> None:
    for ticks in (1, 2, 4):
        pauses = Pauses()
        told = []
        for _ in range(8 // ticks):
            pauses.heard(10, ticks)
            told.append(pauses.quiet)
        assert told.index(True) == 4 // ticks - 1
