"""The person's keys in one call, and their effects.

Rules: while a question is shown, only its answers count; after the call nothing counts. Left out: the meaning of each
key (`keys`) and the look (`view`).
"""

from collections.abc import Callable

from p2pcall.engine import keys
from p2pcall.engine.call_status import CallStatus, no_camera
from p2pcall.engine.mediastate import LocalMedia
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.offload import BackgroundTasks
from p2pcall.engine.push_to_talk import PushToTalk
from p2pcall.engine.questions import PICTURE_QUESTION, Questions
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.verification import Verification


class Controls:
    """`on_key` works until `close`; work that keys have started continues until `done`."""

    def __init__(
        self,
        line: PeerConnection,
        settings: CallSettings,
        status: CallStatus,
        local: LocalMedia,
        verification: Verification,
        report: Callable[[], None],
        talk: PushToTalk | None,
        next_profile: Callable[[], None],
        questions: Questions,
        record: Callable[[], None],
        compare_word: Callable[[], None],
    ) -> None:
        """`report` tells the other side that we can show another number of pixels; `talk` is given the space bar."""
        self._line, self._settings, self._status = line, settings, status
        self._local, self._verification, self._report = local, verification, report
        self._talk = talk
        self._next_profile, self._compare_word = next_profile, compare_word
        self._questions, self._record = questions, record
        self._tasks = BackgroundTasks()
        self._closed = False

    def on_key(self, key: str) -> None:
        """The person has pressed `key`."""
        status, state, view = self._status, self._status.state, self._status.view
        if self._held(key):
            return
        match None if self._closed else self._meaning(key):
            case keys.LEAVE if self._settings.confirm:
                status.tell(show_confirm=True, show_verify=False, show_help=False, show_stats=False)
            case keys.LEAVE | keys.HANGUP:
                self._line.tell("hung-up")
            case keys.MUTE:
                self._local.mute(not self._local.muted)
            case keys.VIDEO if self._local.can_film:
                self._questions.withdraw(PICTURE_QUESTION)  # it is answered
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
            case keys.RECORD:
                self._record()
            case keys.AGREE | keys.REFUSE as said:
                self._questions.answer(said == keys.AGREE)
            case keys.SAFE_WORD:
                self._compare_word()
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
        if (state.show_verify or state.show_confirm) and not self._covered:
            self._questions.uncovered()

    def close(self) -> None:
        """Ignore all further keys."""
        self._closed = True

    async def done(self) -> None:
        """Wait until all work that keys have started is done."""
        await self._tasks.done()

    def _held(self, key: str) -> bool:
        """Whether it is nothing but the space bar's, which may be held while a question is answered."""
        held = key in keys.HELD_KEYS or (key == keys.SPACE and self._talk is not None and not self._covered)
        if held and self._talk is not None and not self._closed:
            self._talk.on_key(key)
        return held

    @property
    def _covered(self) -> bool:
        """Whether a question of our own is shown, which is answered first."""
        return self._status.state.show_confirm or self._status.state.show_verify

    def _meaning(self, key: str) -> str | None:
        """The wish of a key, or its answer while a question is shown."""
        if self._status.state.show_confirm:
            return keys.confirmation(key)
        if self._status.state.show_verify:
            return keys.verify_answer(key)
        return keys.question_answer(key) if self._status.state.question else keys.call_wish(key)

    async def _same(self) -> None:
        notice = await self._verification.same()
        self._status.tell(known=self._verification.known)
        self._status.say(notice)
