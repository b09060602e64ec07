"""The person's keys in one call: each is given its effect here.

Rules: while a question is on the board its answers alone count; nothing counts once the call ends. Leaves out which key
asks for what (`keys`) and how it looks (`view`).
"""

from collections.abc import Callable

from p2pcall.engine import keys
from p2pcall.engine.call_status import CallStatus, no_camera
from p2pcall.engine.mediastate import LocalMedia
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.offload import BackgroundTasks
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.verification import Verification


class Controls:
    """`on_key` until `close`; what keys have begun goes on until `done`."""

    def __init__(
        self,
        line: PeerConnection,
        settings: CallSettings,
        status: CallStatus,
        local: LocalMedia,
        verification: Verification,
        report: Callable[[], None],
        next_profile: Callable[[], None],
    ) -> None:
        """`report` tells the other side that another number of pixels can be shown."""
        self._line, self._settings, self._status = line, settings, status
        self._local, self._verification, self._report = local, verification, report
        self._next_profile = next_profile
        self._tasks = BackgroundTasks()
        self._closed = False

    def on_key(self, key: str) -> None:
        """The person has pressed it."""
        status, state, view = self._status, self._status.state, self._status.view
        match None if self._closed else self._meaning(key):
            case keys.LEAVE if self._settings.confirm:
                status.tell(show_confirm=True, show_verify=False, show_help=False, show_stats=False)
            case keys.LEAVE | keys.HANGUP:
                self._line.tell("hung-up")
            case keys.MUTE:
                self._local.toggle_mute()
            case keys.VIDEO if self._local.can_film:
                self._local.film(not self._local.video_on)
            case keys.VIDEO:
                status.say(no_camera(self._settings.media.video_in))
            case keys.STATS:
                status.tell(show_stats=not state.show_stats, show_help=False)
            case keys.HELP:
                status.tell(show_help=not state.show_help, show_stats=False)
            case keys.CLOSE:
                status.tell(show_help=False, show_stats=False)
            case keys.VERIFY:
                number = self._verification.safety_number
                status.tell(show_verify=True, safety=number, show_help=False, show_stats=False)
            case keys.MODE if view is not None:
                view.next_mode()
                self._report()
            case keys.PROFILE:
                self._next_profile()
            case keys.REDRAW if view is not None:
                view.refresh()
            case keys.SAME:
                status.tell(show_verify=False)
                self._tasks.do(self._same())
            case keys.DIFFERENT:
                status.tell(show_verify=False)
                self._tasks.do(self._verification.different())
                self._line.tell("not-verified")
            case keys.LATER:
                status.tell(show_verify=False, show_confirm=False)

    def close(self) -> None:
        """No key counts any more."""
        self._closed = True

    async def done(self) -> None:
        """When all that keys have begun is done."""
        await self._tasks.done()

    def _meaning(self, key: str) -> str | None:
        """What a key asks for: an answer, while a question is there."""
        if self._status.state.show_confirm:
            return keys.confirmation(key)
        return keys.verify_answer(key) if self._status.state.show_verify else keys.call_wish(key)

    async def _same(self) -> None:
        notice = await self._verification.same()
        self._status.tell(known=self._verification.known)
        self._status.say(notice)
