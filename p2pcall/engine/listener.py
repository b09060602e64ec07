"""`listen`: wait for calls, ring, ask, talk, and wait for the next call.

Nothing is captured before the answer. There is one call at a time, and a second caller hears busy. But a contact comes
before a stranger who is not answered yet: the stranger still hears ringing, and the question about them comes again
afterwards, if they are still there. There is no question about a caller who may not make this side ring. A caller who
claims a contact's name with another key is a stranger without a name, and is treated like all strangers.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from signal import SIGINT
from typing import Any, Final

from p2pcall import events
from p2pcall.engine.announcing import Announcing
from p2pcall.engine.consents import ConsentKind
from p2pcall.engine.devices import Devices, look_for_devices
from p2pcall.engine.key_pinning import ask_to_keep
from p2pcall.engine.missed_calls import MissedCalls
from p2pcall.engine.node import LocalSignal, PeerConnection
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.passcode_gate import PasscodeGate
from p2pcall.engine.policy import Answer
from p2pcall.engine.ringing_call import RingingCall
from p2pcall.engine.ringtone import ring as ring_tone
from p2pcall.engine.sound import SupervisedSink, play_nothing
from p2pcall.engine.standing import unasked_answer
from p2pcall.engine.strangers import Strangers
from p2pcall.engine.talk import talk
from p2pcall.engine.trust import PeerIdentity, own_key, poses
from p2pcall.engine.unheard import UnheardCaller
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import CallEnded, IncomingCall
from p2pcall.proto.messages import Reason
from p2pcall.store.contact import SHORT_FINGERPRINT
from p2pcall.store.identity import fingerprint
from p2pcall.types import Reach

ASK_TIMEOUT_S: Final = 120.0
"""The question is withdrawn after this time: no caller waits longer."""


class Listener:
    """Answers calls until a signal, or after one call with `--once`."""

    def __init__(self, agent: UserAgent, devices: Devices) -> None:
        self._agent, self._settings, self._node = agent, agent.settings, agent.node
        self._devices: Devices | None = devices
        self._camera = devices.sends_video
        """Whether the last search for devices found a camera."""
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[Outcome] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._engaged: PeerConnection | None = None
        """The line that rings or talks now."""
        self._engaged_known = False
        """Whether that is a contact's line."""
        self._unheard = UnheardCaller(agent, ASK_TIMEOUT_S)
        self._floor = asyncio.Lock()
        """Held while a line rings or talks, so that one question is withdrawn before the next is asked."""
        self._question: asyncio.Future[str] | None = None
        """The open question about a stranger; until it is answered a contact's call comes first."""
        self._aside: PeerConnection | None = None
        """That stranger's line while a contact's call comes first."""
        self._keeping: asyncio.Task[None] | None = None
        self._missed = MissedCalls(agent)
        self._codes = PasscodeGate(agent, self._missed)
        self._strangers = Strangers()
        self._announcing = Announcing(agent, may_see=agent.trust.permissions.may_see)
        self._calls = 0

    async def run(self) -> Outcome:
        """Run until stopped. Returns the outcome of the call with `--once`, else how the waiting ended."""
        agent = self._agent
        agent.let_in()
        agent.ui.emit(
            events.Listening(
                self._node.driver.port,
                tuple(self._node.driver.addresses()),
                agent.identity.fingerprint,
                str(self._settings.announce),
                self._settings.name,
                self._node.endpoint.reach,
            )
        )
        self._announcing.start()
        agent.interrupts.tell(self._interrupted)
        self._node.on_caller = self._caller
        self._node.endpoint.accepting = True
        agent.reach_policy.watch(self._let_in)
        try:
            return await self._over
        finally:
            self._node.endpoint.accepting = False
            self._node.on_caller = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await agent.reach_policy.close()
            self._missed.close()
            if self._devices is not None:
                self._devices.close()
            await self._announcing.stop()

    def _interrupted(self, what: str) -> None:
        if not self._over.done():
            idle_ctrl_c = self._agent.interrupts.signal is SIGINT and not self._calls
            self._over.set_result(Outcome("interrupted" if idle_ctrl_c else what))

    def _caller(self, line: PeerConnection) -> None:
        if self._agent.is_own(line.peer.remote_static):
            line.drop()
            if self._strangers.once(line.peer.remote_static):
                self._agent.ui.emit(events.Warning("own-key", own_key().text))
            return
        self._start(self._serve(line))

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._served)
        return task

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None or self._over.done():
            return
        # An error in one call must not end the waiting.
        if isinstance(error, P2PCallError) and not self._settings.once:
            self._agent.ui.emit(events.Error(error.slug, error.text, error.hint, int(error.exit)))
            if self._agent.interrupts.what is not None:  # a signal came during that call
                self._interrupted(self._agent.interrupts.what)
            self._tell_waiting()
        else:
            self._over.set_exception(error)

    async def _serve(self, line: PeerConnection) -> None:
        signal = await line.signals.get()
        while not isinstance(signal, IncomingCall | CallEnded):
            signal = await line.signals.get()
        if isinstance(signal, CallEnded):
            return
        admitted = await self._admit(line, signal)
        if admitted is None:
            return
        who, unasked = admitted
        peer = line.peer
        event = events.Incoming(
            peer.call_id, who.name, who.fingerprint, who.known, signal.audio, signal.video
        )
        ring = RingingCall(line, signal, who, event, self._node.now(), unasked=unasked)
        if self._engaged is not None:
            self._engaged.tell("aside")
        try:
            while (given := await self._hold(ring)) == "aside" and await self._stands_aside(ring):
                pass
            if given == "shut-out":
                self._shut_out(ring)
        except asyncio.CancelledError:  # this side stops
            if line.peer.state is CallState.INCOMING:
                line.decline(Reason.DECLINED)
                self._ended(event, "declined")
            raise
        finally:
            if ring.timer is not None:
                ring.timer.cancel()
            self._agent.unanswered.note(peer, signal.name, who, answered=ring.outcome is not None)
        await self._afterwards(ring)

    async def _hold(self, ring: RingingCall) -> str:
        """Ring, and talk if it is answered. Returns the answer; "aside" if a contact's call comes first; "shut-out" if
        this caller may not ring any more.
        """
        self._engaged, self._engaged_known = ring.line, ring.who.known != "new"
        try:
            async with self._floor:
                return await self._ring(ring)
        finally:
            self._agent.interrupts.take = self._interrupted
            if self._engaged is ring.line:
                self._engaged = None
                if self._aside is not None:
                    self._aside.tell("again")
            self._let_in()

    async def _stands_aside(self, ring: RingingCall) -> bool:
        """Wait until this caller may ring again; False if the caller is gone by then."""
        self._aside = ring.line
        try:
            return await self._await_answer(ring, None) == "again"
        finally:
            self._aside = None

    async def _afterwards(self, ring: RingingCall) -> None:
        """After a call: wait for the next one, or end. If a person has answered, ask whether to keep the caller."""
        stop = self._agent.interrupts.fired.is_set()
        if ring.outcome is not None and (self._settings.once or stop):
            self._engaged = ring.line  # no other call is answered any more
            await self._keep(ring)
            if not self._over.done():
                self._over.set_result(ring.outcome)
        elif stop and self._agent.interrupts.what is not None:  # the signal came together with the answer
            self._interrupted(self._agent.interrupts.what)
        elif self._engaged is self._aside is None:
            self._tell_waiting()
            if ring.outcome is not None:
                self._keeping = self._start(self._keep(ring))

    async def _keep(self, ring: RingingCall) -> None:
        if ring.asked and ring.outcome is not None:
            await ask_to_keep(self._agent, ring.who, ring.line.peer.remote_static, ring.outcome)
            self._let_in()

    def _tell_waiting(self) -> None:
        """Tell people that the call is over and the next one may come."""
        if not self._settings.once and not self._over.done():
            self._agent.ui.waiting()

    def _let_in(self) -> None:
        """Update who may knock, because there may be a new contact; if the file cannot be read, nothing changes."""
        try:
            self._agent.let_in()
            self._announcing.renew()
            if self._engaged is not None and self._unheard.is_for(self._engaged):
                self._engaged.tell("shut-out")
        except P2PCallError as error:
            self._agent.ui.emit(events.Warning(error.slug, error.text))

    def _shut_out(self, ring: RingingCall) -> None:
        """It rings here no more; the caller does not notice."""
        timer, ring.timer = ring.timer, None
        if timer is not None:
            self._ended(ring.event, "missed")
        self._start(self._unheard.ring_on(ring.line, timer))

    async def _admit(self, line: PeerConnection, incoming: IncomingCall) -> tuple[PeerIdentity, bool] | None:
        """The caller's identity, and whether they are to be answered without a question; None if they may not make
        this side ring.
        """
        trust, key = self._agent.trust, line.peer.remote_static
        try:
            if self._node.endpoint.reach == Reach.CONTACTS and not trust.permissions.lets_in(key):
                line.drop()
                return None
            unheard = not trust.permissions.may_ring(key)
            who = trust.introduce(key, incoming.name)
            unasked = unasked_answer(trust.permissions, self._settings, key, who.known) is not None
        except P2PCallError as error:
            line.decline(Reason.FAILED)
            printed = fingerprint(key)
            self._missed.note(
                PeerIdentity(printed[:SHORT_FINGERPRINT], printed, "new"), error.text, error.slug
            )
            return None
        if not await self._codes.passes(line, who, unasked=unasked, silent=unheard):
            return None
        if unheard or self._unheard.is_for(line):
            await self._unheard.leave(line, busy=self._engaged is not None)
            return None
        if who.poses_as and self._strangers.may_tell_poser(key, self._node.now()):
            # Later, because writing the event would delay the answer that leaves now.
            self._loop.call_soon(self._agent.ui.emit, poses(who))
        refusal = self._refusal(who)
        if refusal is not None:
            reason, why = refusal
            line.decline(reason)
            self._missed.note(who, why)
            self._agent.unanswered.note(line.peer, incoming.name, who)
            return None
        return who, unasked

    def _refusal(self, who: PeerIdentity) -> tuple[Reason, str] | None:
        """Why there is no question about this caller: the reason for them, and the text for us. None: there is one."""
        taken = self._engaged is not None or (self._unheard.line is not None and who.known == "new")
        if taken and not self._gives_way(who):
            return Reason.BUSY, "you were busy with another call"
        if self._settings.answer is Answer.NEVER:
            return Reason.DECLINED, "declined, as --answer says"
        asked = who.known == "new" and not self._settings.answer.takes(who.known)
        if asked and not self._strangers.may_ask(self._node.now()):
            return Reason.BUSY, "too many strangers rang at once"
        return None

    def _gives_way(self, who: PeerIdentity) -> bool:
        """Whether a contact calls while a stranger rings who is not answered yet."""
        ringing = self._question is not None and not self._question.done()
        return ringing and not self._engaged_known and who.known != "new"

    async def _ring(self, ring: RingingCall) -> str:
        if self._keeping is not None:  # a new call is more urgent than the question about the last one
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        if self._unheard.is_for(ring.line):
            return "shut-out"
        self._agent.ui.emit(ring.event)
        trust, key = self._agent.trust, ring.line.peer.remote_static
        unasked = (
            unasked_answer(trust.permissions, self._settings, key, ring.who.known) if ring.unasked else None
        )
        if unasked is not None:
            answer = "video" if unasked.video else "audio"
        else:
            answer, ring.asked = await self._ask(ring), True
        if answer in ("audio", "video"):
            if ring.timer is not None:
                ring.timer.cancel()
            standing = frozenset() if unasked is None else unasked.standing
            if standing:
                self._agent.ui.progress(f"{ring.who.name} is answered without asking, as you allow")
            await self._talk(ring, standing, video=answer == "video")
        return answer

    async def _talk(self, ring: RingingCall, standing: frozenset[ConsentKind], *, video: bool) -> None:
        line = ring.line
        try:
            devices = await self._fresh_devices(line)
        except P2PCallError:
            self._ended(ring.event, "device")
            raise
        video = video and devices.sends_video
        if not line.accept(self._settings.name, devices.sends_audio, video):
            devices.speaker.stop()
            self._devices = devices
            self._ended(ring.event, "missed")
            return
        self._calls += 1
        ms = (self._node.now() - ring.since) * 1000
        ring.outcome = await talk(
            self._agent,
            line,
            devices,
            ring.who,
            video=video,
            remote_video=ring.incoming.video,
            setup_ms=ms,
            standing=standing,
        )

    async def _ask(self, ring: RingingCall) -> str:
        """The person's answer: audio, video, decline; "aside" if a contact's call comes first; "gone" if the caller is
        gone; "shut-out" if they may not ring any more.
        """
        line, event = ring.line, ring.event
        question = self._agent.ui.ask(event, camera=self._camera)
        if question is None:
            line.decline(Reason.DECLINED)
            why = "there is no terminal to ask at (--answer says who is answered without asking)"
            self._missed.note(ring.who, why, "no-terminal", ended=True)
            self._ended(event, "declined")
            return "decline"
        if ring.timer is None:  # before the slow speaker: a blocked caller hears ringing at once, too
            line.ring(self._settings.name)
            ring.timer = self._loop.call_later(ASK_TIMEOUT_S, line.tell, "no-answer")
        given, ringer = "gone", None
        self._agent.interrupts.take = line.tell
        answer = asyncio.ensure_future(question)
        answer.add_done_callback(lambda done: None if done.cancelled() else line.tell("answered"))
        self._question = answer if ring.who.known == "new" else None
        try:
            ringer = await self._ringer()
            if ringer is not None:
                ringer.play(ring_tone())
            given = await self._await_answer(ring, answer)
        finally:
            self._question = None
            answer.cancel()
            used = (
                given in ("audio", "video") and self._devices is not None and ringer is self._devices.speaker
            )
            if ringer is not None and used:
                ringer.play(play_nothing)  # it keeps running, because a card is slow to start
            elif ringer is not None:
                ringer.stop()
            await asyncio.gather(answer, return_exceptions=True)  # waits until the terminal is free
        return given

    async def _ringer(self) -> SupervisedSink | None:
        """The sink that rings; without one the terminal's bell rings."""
        if self._devices is None:
            with suppress(P2PCallError):  # reported when the call is answered
                self._devices = await look_for_devices(self._settings, self._agent.env, self._calls)
                self._camera = self._devices.sends_video
        return None if self._devices is None else self._devices.ringer

    async def _await_answer(self, ring: RingingCall, answer: "asyncio.Future[str] | None") -> str:
        """Wait for the answer. `answer` None: wait until this caller may ring again."""
        line, event = ring.line, ring.event
        while True:
            signal = await line.signals.get()
            match signal:
                case LocalSignal("answered") if answer is None or not answer.done():
                    pass  # the answer to an earlier question
                case LocalSignal("answered"):
                    assert answer is not None
                    if answer.result() == "decline":
                        line.decline(Reason.DECLINED)
                        self._ended(event, "declined")
                    return answer.result()
                case LocalSignal("aside" | "shut-out" as why) if answer is not None:
                    return why
                case LocalSignal("again") if answer is None and self._engaged is None:
                    return "again"
                case LocalSignal("aside" | "again" | "shut-out"):
                    pass
                case LocalSignal("no-answer"):
                    line.decline(Reason.NO_ANSWER)
                    self._ended(event, "no-answer")
                    return "gone"
                case LocalSignal(what):
                    line.decline(Reason.DECLINED)
                    self._ended(event, "declined")
                    self._interrupted(what)
                    return "gone"
                case CallEnded():
                    self._ended(event, "lost" if signal.reason is Reason.LOST else "missed")
                    return "gone"
                case _:
                    pass

    def _ended(self, event: events.Incoming, reason: str) -> None:
        """Every call with an event `incoming` also gets an event `ended`."""
        self._agent.tell_end(
            Outcome(reason, event.call, name=event.name, fingerprint=event.fingerprint, known=event.known)
        )

    async def _fresh_devices(self, line: PeerConnection) -> Devices:
        """The devices opened beforehand; for a later call they are opened now."""
        devices, self._devices = self._devices, None
        if devices is not None:
            return devices
        try:
            devices = await look_for_devices(self._settings, self._agent.env, self._calls)
        except P2PCallError:
            line.decline(Reason.FAILED)
            raise
        self._camera = devices.sends_video
        return devices
