"""When a message may begin, and when its end was heard: asked of the other side, and never waited for without end."""

from collections.abc import Callable

import pytest

from p2pcall.engine.playout_confirmation import (
    ASK_EVERY_S,
    HEARD_WAIT_S,
    MAX_AHEAD_S,
    START_WAIT_S,
    PlayoutConfirmation,
)
from p2pcall.media.packets import Ask, Feedback, Played


class Stage:
    """Time, timers by name, and what was sent and called."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[Feedback] = []
        self.began: list[float] = []
        self.ended: list[tuple[float, bool]] = []
        self._timers: dict[str, tuple[float, Callable[[], None]]] = {}
        self.playout = PlayoutConfirmation(self.sent.append, lambda: self.now, self._after)

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = (self.now + seconds, call)

    def begin(self) -> None:
        self.playout.begin(lambda: self.began.append(round(self.now - 100, 3)))

    def end(self, seq: int) -> None:
        self.playout.end(seq, lambda heard: self.ended.append((round(self.now - 100, 3), heard)))

    def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while due := sorted((at, name) for name, (at, _) in self._timers.items() if at <= until):
            self.now, name = due[0]
            self._timers.pop(name)[1]()
        self.now = until


def test_a_message_waits_for_a_speaker_that_does_not_run_yet() -> None:
    stage = Stage()
    stage.begin()
    stage.playout.on_played(Played(0, None))
    stage.playout.on_report()
    stage.pass_by(1.5)
    assert stage.began == []
    stage.playout.on_played(Played(75, 20))
    assert stage.began == [1.5]
    stage.pass_by(10)
    assert stage.began == [1.5], "once"


def test_a_message_does_not_wait_for_ever() -> None:
    stage = Stage()
    stage.begin()
    stage.playout.on_played(Played(0, None))
    stage.pass_by(60)
    assert stage.began == [START_WAIT_S]


def test_a_side_that_has_nothing_to_say_of_its_speaker_is_not_waited_for() -> None:
    stage = Stage()
    stage.begin()
    stage.playout.on_report()
    assert stage.began == [0.0]
    stage.end(100)
    assert stage.ended == [(0.0, True)]
    assert stage.sent == []


def test_a_speaker_that_ran_before_is_not_waited_for() -> None:
    stage = Stage()
    stage.playout.on_played(Played(0, 20))
    stage.begin()
    assert stage.began == [0.0]


def test_the_end_is_heard_when_it_was_played_and_left_the_device() -> None:
    stage = Stage()
    stage.playout.on_played(Played(40, 20))
    stage.end(50)
    stage.playout.on_played(Played(49, 500))
    stage.pass_by(ASK_EVERY_S)
    assert stage.ended == []
    assert stage.sent == [Ask(), Ask()]
    stage.playout.on_played(Played(50, 500))
    stage.pass_by(1)
    assert stage.ended == [(pytest.approx(ASK_EVERY_S + 0.5), True)]
    asked = len(stage.sent)
    stage.pass_by(10)
    assert len(stage.sent) == asked


def test_an_end_that_nobody_hears_is_told_so_after_a_while() -> None:
    stage = Stage()
    stage.playout.on_played(Played(40, 20))
    stage.end(50)
    stage.pass_by(60)
    assert stage.ended == [(pytest.approx(HEARD_WAIT_S, abs=2 * ASK_EVERY_S), False)]


def test_a_speaker_that_boasts_is_not_believed() -> None:
    stage = Stage()
    stage.playout.on_played(Played(40, 20))
    stage.end(50)
    stage.playout.on_played(Played(4_000_000_000, 60_000))
    stage.pass_by(60)
    assert stage.ended == [(pytest.approx(MAX_AHEAD_S), True)]
