"""What a person has agreed to in a call, and taken back: sound, picture, a recording.

`Consents` is where it is kept; `remember` is called for each, in the loop, and must not block it.
"""

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Protocol

from p2pcall.store.consent_log import Consent


class ConsentKind(StrEnum):
    """To what."""

    SOUND = "sound"
    PICTURE = "picture"
    RECORDING = "recording"


class ConsentState(StrEnum):
    """What was said."""

    GIVEN = "given"
    STANDING = "standing permission"
    """Given once for all calls of a contact, and not for this one."""
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Consents(Protocol):
    """A log of consents."""

    def remember(self, consent: Consent) -> None:
        """Keep it."""


class CallConsents:
    """Those of one call."""

    def __init__(
        self, consents: Consents, call: str, name: str, fingerprint: str, epoch: Callable[[], float]
    ) -> None:
        """`name` and `fingerprint` are the other side's."""
        self._consents, self._whose, self._epoch = consents, (call, name, fingerprint), epoch
        self._given: set[tuple[ConsentKind, str]] = set()

    def say(self, kind: ConsentKind, state: ConsentState, by: str = "local") -> None:
        """Remember it; what is withdrawn was given before, and is given once."""
        given = (kind, by) in self._given
        if given is (state is not ConsentState.WITHDRAWN):
            return
        if state in (ConsentState.GIVEN, ConsentState.STANDING):
            self._given.add((kind, by))
        self._given -= {(kind, by)} if state is ConsentState.WITHDRAWN else set()
        self._consents.remember(Consent(self._epoch(), *self._whose, kind, state, by))

    def begins(self, kind: ConsentKind, on: bool, standing: Collection[ConsentKind]) -> None:
        """The call begins with it, or without it; `standing`: what rests on a permission."""
        if on and kind in standing:
            self.say(kind, ConsentState.STANDING)
        else:
            self.sends(kind, on)

    def sends(self, kind: ConsentKind, on: bool) -> None:
        """This side sends it now, or no longer."""
        self.say(kind, ConsentState.GIVEN if on else ConsentState.WITHDRAWN)
