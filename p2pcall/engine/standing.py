"""Standing permissions: contacts who are answered without a question, and what of a call rests on that.

Rules: a permission adds to `--answer`, but `never` is obeyed. What rests on a permission is off within a second after
that was taken back, the contact blocked or removed: the camera, or the microphone and what else rests on it. The call
goes on, and a key switches it on again: that is the person's own consent. Left out: who may ring (`permissions`),
and the second factor, which comes first (`passcode_gate`).
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from p2pcall.engine.consents import ConsentKind
from p2pcall.engine.permissions import ContactPermissions
from p2pcall.engine.policy import Answer
from p2pcall.engine.settings import CallSettings
from p2pcall.errors import P2PCallError
from p2pcall.store.permission import Permission

if TYPE_CHECKING:
    from p2pcall.engine.mediastate import LocalMedia

ON_PERMISSION: Final = {ConsentKind.SOUND: Permission.SOUND, ConsentKind.PICTURE: Permission.PICTURE}
"""What is sent, and the permission that it can rest on."""


class UnaskedAnswer(Struct, frozen=True):
    """How a call is answered without a question."""

    video: bool
    standing: frozenset[ConsentKind]
    """What rests on the contact's permissions alone, and not on the options."""


def unasked_answer(
    permissions: ContactPermissions, settings: CallSettings, public: bytes, known: str
) -> UnaskedAnswer | None:
    """None: a person is asked. Whether the caller may ring is left out. Contacts that cannot be read allow nothing."""
    contact = None
    with suppress(P2PCallError):
        contact = permissions.contact(public)
    allowed = () if contact is None or settings.answer is Answer.NEVER else contact.allowed
    by_option = settings.answer.takes(known)
    if not by_option and Permission.SOUND not in allowed:
        return None
    films = by_option and settings.films_unasked
    video = films or (Permission.PICTURE in allowed and not settings.sound_only)
    resting = {ConsentKind.SOUND: not by_option, ConsentKind.PICTURE: video and not films}
    return UnaskedAnswer(video, frozenset(kind for kind, rests in resting.items() if rests))


class StandingConsent:
    """What one call sends by permission: `look` often."""

    def __init__(
        self,
        permissions: ContactPermissions,
        kinds: frozenset[ConsentKind],
        local: "LocalMedia",
        warn: Callable[[str, str], None],
    ) -> None:
        self._permissions, self._kinds, self._local, self._warn = permissions, kinds, local, warn

    def look(self, public: bytes, name: str) -> None:
        """Switch off what is not allowed any more. `public` is the key that the other side has now.

        If the contacts cannot be read, nothing changes.
        """
        if not self._kinds:
            return
        with suppress(P2PCallError):
            contact = self._permissions.contact(public)
            allowed = contact.allowed if contact is not None and contact.rings else ()
            gone = {kind for kind in self._kinds if ON_PERMISSION[kind] not in allowed}
            self._withdraw(gone, name)

    def _withdraw(self, gone: set[ConsentKind], name: str) -> None:
        if not gone:
            return
        if ConsentKind.SOUND in gone:
            gone |= self._kinds
            self._local.mute(True)
        if ConsentKind.PICTURE in gone and self._local.video_on:
            self._local.film(False)
        self._kinds -= gone
        what = " and ".join(kind for kind in ConsentKind if kind in gone)
        self._warn("permission-withdrawn", f"{name} may not be answered without asking any more: {what} off")
