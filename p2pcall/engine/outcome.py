"""How calls end, in one table: the reason in events, the exit code, and the words for people."""

from typing import Final

from msgspec import Struct, field

from p2pcall.errors import ExitCode
from p2pcall.events import Figures
from p2pcall.proto.messages import Reason


class Ending(Struct, frozen=True):
    """One way a call can end: its exit code, and words for people."""

    exit: ExitCode
    words: str


ENDINGS: Final[dict[str, Ending]] = {
    "hung-up": Ending(ExitCode.OK, "hung up"),
    "eof": Ending(ExitCode.OK, "the input has ended"),
    "max-duration": Ending(ExitCode.OK, "hung up"),
    "stdout-closed": Ending(ExitCode.OK, "nobody reads the output any more"),
    "signal": Ending(ExitCode.OK, "hung up"),
    "declined": Ending(ExitCode.REFUSED, "the call was declined"),
    "busy": Ending(ExitCode.REFUSED, "busy with another call"),
    "no-answer": Ending(ExitCode.REFUSED, "no answer"),
    "not-verified": Ending(ExitCode.UNTRUSTED, "the words are not the same: somebody may be in between"),
    "broken-promise": Ending(
        ExitCode.UNTRUSTED,
        "the other side has shown other numbers than it had promised: somebody may be in between",
    ),
    "no-code": Ending(ExitCode.UNTRUSTED, "no code was given"),
    "wrong-code": Ending(ExitCode.UNTRUSTED, "the code was wrong"),
    "used-code": Ending(ExitCode.UNTRUSTED, "the code was used before: wait for the next one"),
    "wrong-clock": Ending(
        ExitCode.UNTRUSTED, "the code was one of another time: one of the two clocks is wrong"
    ),
    "code-locked": Ending(ExitCode.UNTRUSTED, "too many wrong codes: none is taken for a while"),
    "lost": Ending(ExitCode.LOST, "the network went away"),
    "unheard": Ending(ExitCode.LOST, "the other side has not heard the end"),
    "failed": Ending(ExitCode.LOST, "the other side had to give up"),
    "missed": Ending(ExitCode.REFUSED, "missed call"),
    "silent": Ending(ExitCode.LOST, "the other side said nothing"),
    "device": Ending(ExitCode.DEVICE, "a device could not be opened"),
    "interrupted": Ending(ExitCode.INTERRUPTED, "interrupted"),
}
"""reason -> ending; all reasons are here."""

REFUSALS: Final = frozenset({"declined", "busy", "no-answer"})
"""Reasons that the other side may give instead of answering; any other reason counts as declined."""
GOODBYES: Final = frozenset({"hung-up", "max-duration", "lost", "broken-promise"})
"""Reasons from the other side or the line that may end a call that is up; any other reason counts as hung up."""
WISHES: Final = {
    "hung-up": Reason.HUNG_UP,
    "signal": Reason.HUNG_UP,
    "eof": Reason.HUNG_UP,
    "stdout-closed": Reason.HUNG_UP,
    "max-duration": Reason.MAX_DURATION,
    "failed": Reason.FAILED,
    "not-verified": Reason.HUNG_UP,
    "unheard": Reason.HUNG_UP,
}
"""Local causes that end a call that is up, each with the reason that the other side gets."""


class Outcome(Struct, frozen=True):
    """The result of one call; `call` is None if no secure line was reached."""

    reason: str
    call: str | None = None
    duration_s: float = 0.0
    figures: Figures = field(default_factory=Figures)
    sas: tuple[str, ...] = ()
    """The words of the call, if it was up."""
    name: str = ""
    fingerprint: str = ""
    """The other side's fingerprint, if it is known."""
    known: str = ""
    """What the other side was to this one when the call came: new, contact or verified; "" if it showed no key."""
    by: str = ""
    """Who ended a call that was up: `local` or `remote`; "" if nobody did, or if it was never up."""

    @property
    def exit(self) -> ExitCode:
        """The exit code of a command whose call ended in this way."""
        return ENDINGS[self.reason].exit
