"""The person's keys in one call: each is given its effect here.

Rules: while a question is on the board its answers alone count; nothing counts once the call ends. Leaves out which key
asks for what (`keys`) and how it looks (`view`).
"""

from collections.abc import Callable

from p2pcall.engine import keys
from p2pcall.engine.aside import Chores
from p2pcall.engine.board import Board, no_camera
from p2pcall.engine.mediastate import LocalMedia
from p2pcall.engine.node import Line
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.verification import Verification


class Controls:
    """`on_key` until `close`; what keys have begun goes on until `done`."""

    def __init__(
        self,
        line: Line,
        settings: CallSettings,
        board: Board,
        local: LocalMedia,
        verification: Verification,
        report: Callable[[], None],
    ) -> None:
        """`report` tells the other side that another number of pixels can be shown."""
        self._line, self._settings, self._board = line, settings, board
        self._local, self._verification, self._report = local, verification, report
        self._chores = Chores()
        self._closed = False

    def on_key(self, key: str) -> None:
        """The person has pressed it."""
        board, state, view = self._board, self._board.state, self._board.view
        match None if self._closed else self._meaning(key):
            case keys.LEAVE if self._settings.confirm:
                board.tell(show_confirm=True, show_verify=False, show_help=False, show_stats=False)
            case keys.LEAVE | keys.HANGUP:
                self._line.tell("hung-up")
            case keys.MUTE:
                self._local.toggle_mute()
            case keys.VIDEO if self._local.can_film:
                self._local.film(not self._local.video_on)
            case keys.VIDEO:
                board.say(no_camera(self._settings.media.video_in))
            case keys.STATS:
                board.tell(show_stats=not state.show_stats, show_help=False)
            case keys.HELP:
                board.tell(show_help=not state.show_help, show_stats=False)
            case keys.CLOSE:
                board.tell(show_help=False, show_stats=False)
            case keys.VERIFY:
                number = self._verification.safety_number
                board.tell(show_verify=True, safety=number, show_help=False, show_stats=False)
            case keys.MODE if view is not None:
                view.next_mode()
                self._report()
            case keys.REDRAW if view is not None:
                view.refresh()
            case keys.SAME:
                board.tell(show_verify=False)
                self._chores.do(self._same())
            case keys.DIFFERENT:
                board.tell(show_verify=False)
                self._chores.do(self._verification.different())
                self._line.tell("not-verified")
            case keys.LATER:
                board.tell(show_verify=False, show_confirm=False)

    def close(self) -> None:
        """No key counts any more."""
        self._closed = True

    async def done(self) -> None:
        """When all that keys have begun is done."""
        await self._chores.done()

    def _meaning(self, key: str) -> str | None:
        """What a key asks for: an answer, while a question is there."""
        if self._board.state.show_confirm:
            return keys.confirmation(key)
        return keys.answer(key) if self._board.state.show_verify else keys.wish(key)

    async def _same(self) -> None:
        notice = await self._verification.same()
        self._board.tell(known=self._verification.known)
        self._board.say(notice)
