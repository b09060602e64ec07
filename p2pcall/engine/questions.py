"""Questions of the other side in a call that a person answers with yes or no: one at a time.

Rules: only `y` agrees. A key that was on its way when the question came does not answer it. Each kind is asked only so
often: whoever asks again and again is refused without a question. Where there is nobody to ask, nobody has agreed.
Left out: what is asked, and what follows (`recording`, `live`).
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from msgspec import Struct

from p2pcall.engine.call_status import CallStatus
from p2pcall.view.sanitize import clip

QUESTION_REST_S: Final = 0.5
"""A `y` sooner than this was meant for something else: people take longer to read."""
MAX_QUESTIONS: Final = 5
"""Of one kind in one call."""
PICTURE_QUESTION: Final = "picture"
"""The kind of the question whether to send a picture, too."""
ASKER_CELLS: Final = 32
"""Of the name of whoever asks: the rest of the sentence must be read, too."""
QUESTION_PAUSE_S: Final = 10.0
"""From one question of a kind to the next one: nobody is asked until they say yes."""


def asker(name: str) -> str:
    """A name that leaves room for the question."""
    return clip(name, ASKER_CELLS, "..")


class Shown(Enum):
    """What became of a question."""

    YES = "it is shown"
    NOBODY = "there is nobody to ask"
    TOO_OFTEN = "it was asked too often, or another one is open"


class _Question(Struct):
    kind: str
    answered: Callable[[bool], None]
    since: float


class Questions:
    """`ask`, and `answer` by a key."""

    def __init__(self, status: CallStatus, clock: Callable[[], float]) -> None:
        self._status, self._clock = status, clock
        self._open: _Question | None = None
        self._asked: dict[str, tuple[int, float]] = {}
        """Of each kind: how often, and not again before."""

    def ask(self, kind: str, lines: tuple[str, ...], answered: Callable[[bool], None]) -> Shown:
        """Show `lines`: what is asked in our own words, who asks, the keys. `answered` is called once, unless it is
        withdrawn.
        """
        count, not_before = self._asked.get(kind, (0, 0.0))
        now = self._clock()
        if self._open is not None or count >= MAX_QUESTIONS or (count and now < not_before):
            return Shown.TOO_OFTEN
        self._asked[kind] = count + 1, now + QUESTION_PAUSE_S
        if self._status.view is None:
            return Shown.NOBODY
        self._open = _Question(kind, answered, now)
        self._status.tell(question=lines, show_help=False, show_stats=False)
        return Shown.YES

    def withdraw(self, kind: str) -> None:
        """It is not asked any more."""
        if self._open is not None and self._open.kind == kind:
            self._close()

    def uncovered(self) -> None:
        """Another question, which covered this one, is answered."""
        if self._open is not None:
            self._open.since = self._clock()

    def answer(self, yes: bool) -> None:
        """The person has pressed a key that means yes or no."""
        question = self._open
        if question is None or (yes and self._clock() - question.since < QUESTION_REST_S):
            return
        self._close()
        question.answered(yes)

    def _close(self) -> None:
        self._open = None
        self._status.tell(question=())
