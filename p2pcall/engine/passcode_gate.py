"""The callee's side of the second factor: a caller who has to give a code does not ring, nor is answered, without it.

Rules: whoever gives no right code learns that one is wanted, how theirs was, and nothing of this side: not whether it
is busy, or would have answered. One call of a key waits at a time, a newer one takes its place; few strangers wait at
once. A code that comes while another is looked at counts as a try like any other. Left out: what is right (`factor`),
what is kept (`store.factors`), the caller's side (`passcode_giver`).
"""

import asyncio
from functools import partial
from typing import Final

from p2pcall.engine.factor_words import minutes, off_by
from p2pcall.engine.missed_calls import MissedCalls
from p2pcall.engine.node import LocalSignal, PeerConnection
from p2pcall.engine.offload import offload
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.factor.passcode import (
    GIVE_TIMEOUT_S,
    TRIES,
    CodeVerdict,
    PasscodeRequest,
    locked_s,
    pack_request,
)
from p2pcall.proto.events import CallEnded, Message
from p2pcall.proto.messages import ControlType, Reason

MAX_STRANGERS: Final = 4
"""Strangers who are waited for at once; further ones hear busy."""
_WHY: Final = {
    CodeVerdict.ASKED: ("no-code", "gave no code"),
    CodeVerdict.WRONG: ("wrong-code", "gave a wrong code"),
    CodeVerdict.USED: ("used-code", "gave a code that was used before"),
    CodeVerdict.CLOCK: (
        "wrong-clock",
        "gave the code of a clock that is {} this one: one of them is wrong",
    ),
    CodeVerdict.LOCKED: ("code-locked", "is locked out for {} after too many wrong codes"),
}
"""verdict -> slug of the warning, and its text."""


class PasscodeGate:
    """Asks the callers of one `listen` who have to give a code."""

    def __init__(self, agent: UserAgent, missed: MissedCalls) -> None:
        self._agent, self._missed = agent, missed
        self._factors = agent.trust.factors
        self._waiting: dict[bytes, PeerConnection] = {}
        """Key of a caller -> the line whose code is waited for."""

    async def passes(self, line: PeerConnection, who: PeerIdentity, *, unasked: bool, silent: bool) -> bool:
        """Whether this caller may go on: at once if no code is required. If not, the call is declined already.

        `unasked`: the call would be answered without asking. `silent`: a blocked caller, who is asked as before the
        block, and of whom nothing is told.
        """
        key = line.peer.remote_static
        try:
            if not self._factors.required(key, unasked=unasked):
                return True
            if who.known == "new" and len(self._waiting) >= MAX_STRANGERS:
                line.decline(Reason.BUSY)
                return False
            last = await self._wait(line, unasked)
        except P2PCallError as error:
            line.decline(Reason.FAILED)
            self._missed.note(who, error.text, error.slug)
            return False
        if last.verdict is CodeVerdict.RIGHT:
            return True
        line.decline(Reason.DECLINED)
        if not silent:
            self._note(who, last)
        return False

    async def _wait(self, line: PeerConnection, unasked: bool) -> PasscodeRequest:
        """Ask for the code, in the only waiting line of this key."""
        key = line.peer.remote_static
        older = self._waiting.get(key)
        if older is not None:
            older.tell("replaced")
        self._waiting[key] = line
        timer = asyncio.get_running_loop().call_later(GIVE_TIMEOUT_S, line.tell, "no-code")
        try:
            return await self._ask(line, unasked)
        except asyncio.CancelledError:  # this side stops
            line.decline(Reason.DECLINED)
            raise
        finally:
            timer.cancel()
            if self._waiting.get(key) is line:
                del self._waiting[key]

    async def _ask(self, line: PeerConnection, unasked: bool) -> PasscodeRequest:
        """Ask until the code is right, or there is nothing more to wait for. Returns what was said last."""
        key, epoch = line.peer.remote_static, self._agent.env.clock.time
        locked = self._factors.locked_s(key, epoch())
        request = PasscodeRequest(CodeVerdict.ASKED, TRIES)
        if locked:
            request = PasscodeRequest(CodeVerdict.LOCKED, 0, locked)
        while True:
            if not line.send_control(ControlType.PASSCODE_REQUEST, pack_request(request)):
                return request
            if request.verdict is CodeVerdict.RIGHT or not request.left:
                return request
            given = await self._given(line)
            if given is None:
                line.send_control(
                    ControlType.PASSCODE_REQUEST, pack_request(PasscodeRequest(CodeVerdict.ASKED))
                )
                return request
            now = epoch()
            judged = await offload(partial(self._factors.judge, key, given, now, unasked=unasked))
            if judged is None:  # it is not required any more
                request = PasscodeRequest(CodeVerdict.RIGHT)
            elif locked := locked_s(judged.tally, now):
                request = PasscodeRequest(CodeVerdict.LOCKED, 0, locked)
            else:
                request = PasscodeRequest(judged.verdict, request.left - 1, judged.seconds)

    async def _given(self, line: PeerConnection) -> bytes | None:
        """The next code; None if the caller is gone, or is not waited for any longer."""
        while True:
            match await line.signals.get():
                case Message(kind=ControlType.PASSCODE, body=body):
                    return body
                case CallEnded() | LocalSignal("no-code" | "replaced"):
                    return None
                case _:
                    pass

    def _note(self, who: PeerIdentity, last: PasscodeRequest) -> None:
        slug, why = _WHY[last.verdict]
        span = off_by if last.verdict is CodeVerdict.CLOCK else minutes
        self._missed.note(who, why.format(span(last.seconds)), slug)
