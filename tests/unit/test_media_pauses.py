"""Which frames are a pause."""

from p2pcall.media import constants as c
from p2pcall.media.pauses import Pauses


def heard(pauses: Pauses, *rms: float) -> list[bool]:
    """After each frame: is it a pause?"""
    told = []
    for each in rms:
        pauses.played(each)
        told.append(pauses.quiet)
    return told


def test_a_pause_is_quiet_against_what_was_said_and_longer_than_one_frame() -> None:
    assert heard(Pauses(), 3_000, 290, 2_000, 290, 290, 290, 310) == [False] * 4 + [True, True, False]


def test_what_no_ear_hears_is_a_pause_from_the_start() -> None:
    assert heard(Pauses(), 0, 99, 99) == [False, True, True]
    assert heard(Pauses(), *[c.QUIET_RMS] * 50) == [False] * 50


def test_who_speaks_up_and_then_low_is_heard_to_speak_again() -> None:
    pauses = Pauses()
    pauses.played(20_000)
    frames = heard(pauses, *[1_000] * 500)
    assert frames[10]
    assert 150 < frames.index(False, 5) < 350
    assert not any(frames[350:])
