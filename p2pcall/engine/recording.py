"""Recording a call needs both: one side asks, a person on the other side says yes, and either ends it at any time.

Rules: nothing is recorded before the yes has come. Both sides show a mark and hear a tone when it begins. Whoever asked
stops, or the other takes the yes back: the file is closed at once. It ends with the call, and when the line is
interrupted, because then nobody can take back anything; it never begins again by itself. Each side may record; `r` ends
both. Answers that nobody asked for, and repeated questions, change nothing. Left out: how the file is written
(`recorder`), and the questions' look (`questions`). A program that records without asking cannot be prevented.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Final, Protocol

from p2pcall import events
from p2pcall.engine.call_status import CallStatus
from p2pcall.engine.consents import CallConsents, ConsentKind, ConsentState
from p2pcall.engine.mediastate import LocalMedia
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.offload import BackgroundTasks, offload
from p2pcall.engine.questions import Questions, Shown, asker
from p2pcall.engine.recorder import Recorder
from p2pcall.engine.timers import Timers
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.proto.messages import ControlType, RecordAct, RecordMessage, pack_record, parse_record
from p2pcall.store.recording_keys import recording_key
from p2pcall.store.recordings import Party, RecordingHead, Track

UNANSWERED_S: Final = 60.0
"""How long the asker waits; an older program never answers."""
OBEYED_S: Final = 1.0
"""In this time the other side has stopped when the yes was taken back, or we say that it has not."""
MAX_UNSAID: Final = 16
"""Messages that wait for room in the control channel; a person presses no key so often."""
RECORD_QUESTION: Final = "record"


class RecordStage(Enum):
    """Where a recording stands; both sides' have one."""

    NONE = 0
    ASKED = 1
    AGREED = 2
    """Said yes; it is not on yet."""
    ON = 3
    REVOKED = 4
    """The yes was taken back; the other side has not confirmed yet."""


class Tap(Protocol):
    """Gives what is sent and what comes to a recorder."""

    def start(self, put: Callable[[Track, bytes], None]) -> None:
        """From now on."""

    def stop(self) -> None:
        """No more."""


class CallRecording:
    """Both sides' recordings of one call."""

    def __init__(
        self,
        agent: UserAgent,
        line: PeerConnection,
        who: PeerIdentity,
        status: CallStatus,
        questions: Questions,
        timers: Timers,
        local: LocalMedia,
        tap: Tap,
        notice: Callable[[], None],
    ) -> None:
        """`notice` sounds the tone."""
        self._agent, self._line, self._who, self._status = agent, line, who, status
        self._questions, self._timers, self._local, self._tap = questions, timers, local, tap
        self._notice = notice
        self.consents = CallConsents(
            agent.consents, line.peer.call_id, who.name, who.fingerprint, agent.env.clock.time
        )
        """What is agreed to in this call."""
        self._loop = asyncio.get_running_loop()
        self._tasks = BackgroundTasks()
        self._own, self._theirs = RecordStage.NONE, RecordStage.NONE
        self._number = self._their_number = 0
        self._to: str | None = None
        self._asked_at = 0.0
        self._recorder: Recorder | None = None
        self._unsaid: deque[bytes] = deque(maxlen=MAX_UNSAID)
        self._remote_on = self._warned = False

    # --- what the person wants -----------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Ask to record; or, if anybody records or asks, end that."""
        if not self.withdraw():
            self.ask(self._agent.settings.record)

    def ask(self, to: str | None = None) -> None:
        """Ask the other side to agree to a recording; `to`: the file, None: a new one in the home."""
        self._number += 1
        self._own, self._to, self._asked_at = RecordStage.ASKED, to, self._time()
        self._say(RecordAct.ASK, self._number, self._agent.settings.recording_days)
        self._timers.after("record-ask", UNANSWERED_S, partial(self._unanswered, self._number))
        self._tell("local", "asked", "local")
        self._status.say(self._asking())

    def withdraw(self) -> bool:
        """End both sides' recordings, and what is asked; False if there is nothing to end."""
        own = self._stop_own("local")
        return self._revoke() or own

    async def close(self) -> None:
        """The call is over: the file is complete when this returns."""
        self._stop_own("")
        self._questions.withdraw(RECORD_QUESTION)
        if self._theirs is RecordStage.ON:
            self._tell("remote", "off")
        self._theirs = RecordStage.NONE
        await self._tasks.done()

    # --- what comes ----------------------------------------------------------------------------------------------

    def on_message(self, body: bytes) -> None:
        """A RECORD message of the other side, unchecked."""
        message = parse_record(body)
        if message is None:
            return
        match message.act:
            case RecordAct.ASK:
                self._asked(message)
            case RecordAct.STOP if message.number == self._their_number:
                self._their_stop()
            case RecordAct.AGREE if self._own is RecordStage.ASKED and message.number == self._number:
                self._own = RecordStage.AGREED
                self._tell("local", "agreed", "remote")
                self._remember(ConsentState.GIVEN, "remote")
                self._tasks.do(self._begin(self._number))
            case RecordAct.REFUSE if self._own is RecordStage.ASKED and message.number == self._number:
                self._own = RecordStage.NONE
                self._tell("local", "refused", "remote")
                self._remember(ConsentState.REFUSED, "remote")
                self._status.say(f"{self._who.name} does not agree to a recording")
            case RecordAct.REVOKE if message.number == self._number:
                if self._own in (RecordStage.AGREED, RecordStage.ON):
                    self._remember(ConsentState.WITHDRAWN, "remote")
                    self._stop_own("remote")
                    self._status.say(f"{self._who.name} has ended the recording")
            case _:
                pass

    def on_remote(self, on: bool) -> None:
        """The other side says that it records, or no longer."""
        before, self._remote_on = self._remote_on, on
        if on == before:
            return
        if on:
            if self._theirs is RecordStage.AGREED:
                self._notice()
                self._theirs = RecordStage.ON
                self._tell("remote", "on")
            elif not self._warned:
                self._notice()
                self._warned = True
                text = f"{self._who.name} records this call, and you have not agreed to it"
                self._agent.ui.emit(events.Warning("recorded-unasked", text))
                self._status.say(text)
        elif self._theirs in (RecordStage.ON, RecordStage.REVOKED):
            self._theirs = RecordStage.NONE
            self._tell("remote", "off")
            self._status.say("the recording has ended")

    def interrupted(self) -> None:
        """The other side is not heard: it could not take back its yes, so nothing is recorded any more."""
        self.withdraw()
        self._their_stop()

    def tell_again(self) -> None:
        """Send what had no room before."""
        while self._unsaid and self._line.send_control(ControlType.RECORD, self._unsaid[0]):
            self._unsaid.popleft()

    # --- the other side's recording ------------------------------------------------------------------------------

    def _asked(self, message: RecordMessage) -> None:
        shown = Shown.TOO_OFTEN
        if self._theirs is RecordStage.NONE:
            days = f"{message.days} {'day' if message.days == 1 else 'days'}"
            wish = f"{asker(self._who.name)} asks, and would keep it for {days}"
            lines = ("record this call?", wish, "[y]es, record", "[n]o")
            shown = self._questions.ask(RECORD_QUESTION, lines, self._answered)
        if shown is Shown.TOO_OFTEN:
            refusal = RecordMessage(RecordAct.REFUSE, message.number)
            self._line.send_control(ControlType.RECORD, pack_record(refusal))
            return
        self._theirs, self._their_number = RecordStage.ASKED, message.number
        self._tell("remote", "asked", "remote")
        if shown is Shown.NOBODY:
            self._answered(False)
        else:
            self._timers.after("record-answer", UNANSWERED_S, partial(self._not_answered, message.number))

    def _not_answered(self, number: int) -> None:
        if self._theirs is RecordStage.ASKED and self._their_number == number:
            self._questions.withdraw(RECORD_QUESTION)
            self._answered(False)

    def _answered(self, yes: bool) -> None:
        self._theirs = RecordStage.AGREED if yes else RecordStage.NONE
        self._say(RecordAct.AGREE if yes else RecordAct.REFUSE, self._their_number)
        self._tell("remote", "agreed" if yes else "refused", "local")
        self._remember(ConsentState.GIVEN if yes else ConsentState.REFUSED)

    def _their_stop(self) -> None:
        """The other side asks no longer, or has stopped; if it records, it will say that it does not any more."""
        if self._theirs is RecordStage.ASKED:
            self._questions.withdraw(RECORD_QUESTION)
            self._tell("remote", "withdrawn", "remote")
            self._theirs = RecordStage.NONE
        elif self._theirs is RecordStage.AGREED:
            self._theirs = RecordStage.NONE

    def _revoke(self) -> bool:
        if self._theirs not in (RecordStage.AGREED, RecordStage.ON):
            return False
        self._theirs = RecordStage.REVOKED
        self._say(RecordAct.REVOKE, self._their_number)
        self._tell("remote", "withdrawn", "local")
        self._remember(ConsentState.WITHDRAWN)
        self._timers.after("record-revoked", OBEYED_S, self._obeyed)
        return True

    def _obeyed(self) -> None:
        """A second after the yes was taken back."""
        if self._theirs is RecordStage.REVOKED:
            self._theirs = RecordStage.NONE
            if self._remote_on:
                text = f"{self._who.name} has not confirmed that the recording has ended"
                self._agent.ui.emit(events.Warning("still-recording", text))
                self._status.say(text)

    # --- our own recording ---------------------------------------------------------------------------------------

    def _unanswered(self, number: int) -> None:
        if self._own is RecordStage.ASKED and self._number == number:
            self._stop_own("local")
            self._status.say(f"no answer to the question about a recording from {self._who.name}")

    async def _begin(self, number: int) -> None:
        """The other side has agreed: make the file, and begin."""
        agent = self._agent
        recorder = Recorder(agent.home, self._to, recording_key(agent.identity), agent.env.entropy)
        head = self._head()
        try:
            await offload(lambda: recorder.begin(head))
        except P2PCallError as error:
            self._own = RecordStage.NONE
            self._say(RecordAct.STOP, number)
            self._warn(error)
            return
        if self._own is not RecordStage.AGREED or self._number != number:  # it was taken back meanwhile
            recorder.stop()
            await offload(recorder.discard)
            return
        self._own, self._recorder = RecordStage.ON, recorder
        recorder.on_failure = partial(self._from_thread, recorder)
        clock, since = agent.node.now, agent.node.now()
        self._tap.start(lambda track, data: recorder.put(track, round((clock() - since) * 1000), data))
        self._mark(True)
        self._notice()
        self._tell("local", "on", file=str(recorder.path))

    def _head(self) -> RecordingHead:
        peer, own = self._line.peer, self._agent.identity
        return RecordingHead(
            peer.call_id,
            peer.handshake_hash.hex(),
            Party(self._agent.settings.name, own.public.hex()),
            Party(self._who.name, peer.remote_static.hex()),
            self._asked_at,
            self._time(),
            self._agent.settings.recording_days,
        )

    def _stop_own(self, by: str) -> bool:
        """Ask no longer; or stop and close the file. `by` is "" at the end of the call."""
        before, self._own = self._own, RecordStage.NONE
        if before is RecordStage.NONE:
            return False
        self._say(RecordAct.STOP, self._number)
        if by:
            self._tell("local", "withdrawn", by)
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._tap.stop()
            recorder.stop()
            self._mark(False)
            self._tasks.do(self._finish(recorder))
        return True

    async def _finish(self, recorder: Recorder) -> None:
        await offload(recorder.join)
        self._tell("local", "off", file=str(recorder.path))

    def _from_thread(self, recorder: Recorder) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._failed, recorder)

    def _failed(self, recorder: Recorder) -> None:
        if recorder is self._recorder and recorder.failure is not None:
            self._warn(recorder.failure)
            self._stop_own("local")

    def _mark(self, on: bool) -> None:
        self._status.tell(records=on)
        self._local.record(on)

    # --- telling -------------------------------------------------------------------------------------------------

    def _warn(self, error: P2PCallError) -> None:
        text = f"the recording has ended: {error.text}"
        self._agent.ui.emit(events.Warning(error.slug, text))
        self._status.say(text)

    def _say(self, act: RecordAct, number: int, days: int = 0) -> None:
        self._unsaid.append(pack_record(RecordMessage(act, number, days)))
        self.tell_again()

    def _asking(self) -> str:
        return f"asked {self._who.name} to agree to a recording"

    def _tell(self, side: str, state: str, by: str = "", file: str = "") -> None:
        if side == "local" and state != "asked":
            self._status.unsay(self._asking())
        self._agent.ui.emit(events.Recording(self._line.peer.call_id, side, state, by, file))

    def _remember(self, state: ConsentState, by: str = "local") -> None:
        self.consents.say(ConsentKind.RECORDING, state, by)

    def _time(self) -> float:
        return self._agent.env.clock.time()
