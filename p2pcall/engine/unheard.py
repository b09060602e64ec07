"""Callers who may not ring: they get the same as a stranger whom nobody answers, and nothing is shown or rings here.

They cannot tell it from an empty room. One of them seems to ring at a time; meanwhile strangers hear busy, as they do
while a stranger rings, and contacts do not. Left out: who may not ring (`trust`), and the code (`passcode_gate`).
"""

import asyncio
from contextlib import suppress

from p2pcall.engine.node import LocalSignal, PeerConnection
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.proto.events import CallEnded
from p2pcall.proto.messages import Reason


class UnheardCaller:
    """The one that seems to ring."""

    def __init__(self, agent: UserAgent, timeout_s: float) -> None:
        """`timeout_s`: how long any caller waits."""
        self._agent, self._timeout_s = agent, timeout_s
        self.line: PeerConnection | None = None

    def is_for(self, line: PeerConnection) -> bool:
        """Whether this caller may not ring, as the contacts say now; if they cannot be read, nothing changes."""
        with suppress(P2PCallError):
            return not self._agent.trust.permissions.may_ring(line.peer.remote_static)
        return False

    async def leave(self, line: PeerConnection, *, busy: bool) -> None:
        """Treat a call that has just come; `busy`: this side rings or talks."""
        answer = self._agent.settings.answer
        alone = answer is not Answer.ANYONE and not self._agent.ui.can_ask
        if busy or self.line is not None:
            line.decline(Reason.BUSY)
        elif answer is Answer.NEVER or alone:
            line.decline(Reason.DECLINED)
        else:
            await self.ring_on(line, None)

    async def ring_on(self, line: PeerConnection, timer: asyncio.TimerHandle | None) -> None:
        """Until the caller gives up, or the timer tells the line "no-answer"; None: the caller hears no ringing yet."""
        if timer is None:
            line.ring(self._agent.settings.name)
            timer = asyncio.get_running_loop().call_later(self._timeout_s, line.tell, "no-answer")
        self.line = line
        reason = Reason.DECLINED  # if this side stops
        try:
            while not isinstance(signal := await line.signals.get(), CallEnded):
                if signal == LocalSignal("no-answer"):
                    break
            reason = Reason.NO_ANSWER
        finally:
            self.line = None
            timer.cancel()
            line.decline(reason)
