"""Liveness: told once, ended by the next sound, lost in the end."""

from p2pcall.proto import constants as c
from p2pcall.proto.line.liveness import Liveness


def test_silence_is_told_once() -> None:
    silence = Liveness(100.0)
    assert not silence.breaks(100.0 + c.SILENT_S - 0.01)
    assert silence.next_timer() == 100.0 + c.SILENT_S
    assert silence.breaks(100.0 + c.SILENT_S)
    assert not silence.breaks(110.0)
    assert silence.next_timer() == silence.lost_at == 100.0 + c.LOST_TIMEOUT_S


def test_what_is_heard_ends_it_and_tells_how_long_it_was() -> None:
    silence = Liveness(100.0)
    assert silence.heard(102.0) is None
    silence.breaks(105.0)
    assert silence.heard(132.0) == 30.0
    assert not silence.broken
    assert silence.heard(133.0) is None
    assert silence.lost_at == 133.0 + c.LOST_TIMEOUT_S
