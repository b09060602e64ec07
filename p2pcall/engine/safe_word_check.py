"""The safe word in one call: a key begins a run, the other side may begin one, and both screens show how it has ended.

The arithmetic takes some milliseconds, so it is done beside the loop, one message after the other. A run that the other
side leaves unfinished is told of, too: it may have been a guess. Left out: the proof itself (`factor.safe_word`).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from p2pcall import events
from p2pcall.engine.call_status import CallStatus
from p2pcall.engine.factor_words import word_text
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.offload import BackgroundTasks, offload
from p2pcall.engine.timers import Timers
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.factor.safe_word import RUNS, SafeWord, WordExchange, WordReply, WordResult
from p2pcall.proto.messages import ControlType

ANSWER_TIMEOUT_S: Final = 10.0
"""A run that is not finished by then is over: several times what a slow machine on a bad network takes."""
MAX_STEPS_WAITING: Final = 16
"""Messages that wait for the arithmetic; more than all runs of a call need. Further ones are dropped."""


class SafeWordCheck:
    """All runs of one call."""

    def __init__(
        self, agent: UserAgent, line: PeerConnection, who: PeerIdentity, status: CallStatus, timers: Timers
    ) -> None:
        self._line, self._who, self._status, self._timers = line, who, status, timers
        self._emit, self._factors = agent.ui.emit, agent.trust.factors
        peer = line.peer
        self._exchange = WordExchange(peer.handshake_hash, agent.env.entropy, dialled=peer.initiator)
        self._turn = asyncio.Lock()
        self._tasks = BackgroundTasks()
        self._waiting = 0
        self._closed = self._warned = False

    def begin(self) -> None:
        """The person wants to know whether the other side knows the word."""
        word = self._word()
        if word is None:
            self._status.say("no safe word is set: p2pcall contacts safeword NAME")
        elif self._exchange.runs >= RUNS:
            self._status.say(f"the safe word was tried {RUNS} times: call again to try once more")
        elif not self._exchange.running and not self._waiting:
            self._status.say("comparing the safe word")
            self._do(partial(self._exchange.begin, word))

    def on_message(self, body: bytes) -> None:
        """A message of the other side, with an unchecked body."""
        if self._waiting < MAX_STEPS_WAITING:  # for what is dropped the vault is not read
            self._do(partial(self._exchange.receive, body, self._word()))

    async def close(self) -> None:
        """The call is over: wait for the arithmetic; a run that is not finished is told of."""
        self._closed = True
        await self._tasks.done()
        await self._give_up()

    def _word(self) -> SafeWord | None:
        """The word, looked up each time, because it may be set during the call."""
        try:
            return self._factors.word(self._line.peer.remote_static)
        except P2PCallError as error:
            if not self._warned:  # the other side decides how often it asks
                self._warned = True
                self._emit(events.Warning(error.slug, error.text))
            return None

    def _do(self, work: Callable[[], WordReply]) -> None:
        if self._waiting < MAX_STEPS_WAITING and not self._closed:
            self._waiting += 1
            self._tasks.do(self._done(work))

    async def _done(self, work: Callable[[], WordReply]) -> None:
        try:
            async with self._turn:
                reply = await offload(work)
        finally:
            self._waiting -= 1
        for body in reply.bodies:
            self._line.send_control(ControlType.SAFE_WORD, body)
        if reply.result is not None:
            self._tell(reply.result)
        if self._exchange.running and not self._closed:
            self._timers.after("safe-word", ANSWER_TIMEOUT_S, lambda: self._tasks.do(self._give_up()))

    async def _give_up(self) -> None:
        async with self._turn:
            result = self._exchange.give_up()
        if result is not None:
            self._tell(result)

    def _tell(self, result: WordResult) -> None:
        who = self._who
        self._emit(events.SafeWordChecked(self._line.peer.call_id, who.name, who.fingerprint, result.value))
        self._status.say(word_text(who.name, result), lasting=result is WordResult.DIFFERENT)
