"""`listen`: wait for calls, ring, ask, talk, and listen on.

Nothing is captured before the answer. One call at a time; a second caller hears busy. A caller that may not make
this side ring, or whose key is not the one kept under its name, never gets as far as a question.
"""

import asyncio
from contextlib import suppress
from signal import SIGINT

from p2pcall import events
from p2pcall.device.base import SILENCE
from p2pcall.engine.devices import Devices, Speaker, look_for_devices
from p2pcall.engine.node import Line, Told
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.people import Who
from p2pcall.engine.ringtone import ring
from p2pcall.engine.settings import Announce, Answer, Reach
from p2pcall.engine.station import Station
from p2pcall.errors import P2PCallError
from p2pcall.net.discovery import Announcer, AnnounceState, announced_name, instance_label
from p2pcall.proto.happenings import Ended, Incoming
from p2pcall.proto.messages import Reason

ASK_TIMEOUT_S = 120.0
"""The question is withdrawn after so long: no caller lets it ring longer."""


class Listener:
    """Answers calls until a signal, or after one call with `--once`."""

    def __init__(self, station: Station, devices: Devices) -> None:
        self._station, self._settings, self._node = station, station.settings, station.node
        self._devices: Devices | None = devices
        self._camera = devices.sends_video
        """There was one when the devices were looked for last."""
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[Outcome] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._engaged: Line | None = None
        self._calls = 0
        self._told_name = announced_name(instance_label(self._settings.name))

    async def run(self) -> Outcome:
        """Until told to stop: outcome of the last call with `--once`, else how the waiting ended."""
        station = self._station
        station.let_in()
        station.ui.emit(
            events.Listening(
                self._node.driver.port,
                tuple(self._node.driver.addresses()),
                station.identity.fingerprint,
                str(self._settings.announce),
                self._settings.name,
                self._node.endpoint.reach,
            )
        )
        announcer = self._announce()
        station.interrupts.take = self._interrupted
        if station.interrupts.what is not None:
            self._interrupted(station.interrupts.what)
        self._node.on_caller = self._caller
        self._node.endpoint.accepting = True
        station.door.watch(self._let_in)
        try:
            return await self._over
        finally:
            await station.door.close()
            self._node.endpoint.accepting = False
            self._node.on_caller = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._devices is not None:
                self._devices.close()
            if announcer is not None:
                await announcer.stop()

    def _announce(self) -> Announcer | None:
        if self._settings.announce is Announce.OFF:
            return None
        announcer = Announcer(
            self._settings.name,
            self._node.driver.port,
            self._station.env.entropy,
            bound=self._settings.bind,
            on_change=self._announced,
        )
        if announcer.name != self._settings.name:
            text = f"the name is too long for the network: others find you as {announcer.name}"
            self._station.ui.emit(events.Warning("name-changed", text))
        announcer.start()
        return announcer

    def _announced(self, announcer: Announcer) -> None:
        if announcer.problem is not None:
            self._station.ui.emit(events.Warning(announcer.problem.slug, announcer.problem.text))
        elif announcer.state is AnnounceState.ANNOUNCED and announcer.name != self._told_name:
            self._told_name = announcer.name
            text = f"somebody here has that name already: others find you as {announcer.name}"
            self._station.ui.emit(events.Warning("name-taken", text))

    def _interrupted(self, what: str) -> None:
        if not self._over.done():
            idle_ctrl_c = self._station.interrupts.signal is SIGINT and not self._calls
            self._over.set_result(Outcome("interrupted" if idle_ctrl_c else what))

    # --- one caller --------------------------------------------------------------------------------------------

    def _caller(self, line: Line) -> None:
        task = self._loop.create_task(self._serve(line))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None or self._over.done():
            return
        if (
            isinstance(error, P2PCallError) and not self._settings.once
        ):  # one caller's trouble is not the next one's
            self._station.ui.emit(events.Error(error.slug, error.text, error.hint, int(error.exit)))
            self._tell_waiting()
        else:
            self._over.set_exception(error)

    async def _serve(self, line: Line) -> None:
        signal = await line.signals.get()
        while not isinstance(signal, Incoming | Ended):
            signal = await line.signals.get()
        if isinstance(signal, Ended):
            return
        who = self._admit(line, signal)
        if who is None:
            return
        self._engaged = line
        try:
            await self._ring(line, signal, who)
        finally:
            self._engaged = None
            self._station.interrupts.take = self._interrupted
            self._let_in()
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        """For people: that call is over, and the next may come."""
        if not self._settings.once and not self._over.done():
            self._station.ui.waiting()

    def _let_in(self) -> None:
        """Who may knock from now on, for there may be a contact more; what cannot be read changes nothing."""
        try:
            self._station.let_in()
        except P2PCallError as error:
            self._station.ui.emit(events.Warning(error.slug, error.text))

    def _admit(self, line: Line, incoming: Incoming) -> Who | None:
        """Who is calling, if they may make this side ring."""
        people = self._station.people
        key = line.peer.remote_static
        try:
            if self._node.endpoint.reach == Reach.CONTACTS.value and not people.is_contact(key):
                line.drop()
                return None
            who = people.identify(key, incoming.name, calling=True)
        except P2PCallError as error:
            changed = error.slug == "key-changed"
            self._decline(line, Reason.KEY_CHANGED if changed else Reason.FAILED)
            self._station.ui.emit(events.Error(error.slug, error.text, error.hint, int(error.exit)))
            return None
        if self._engaged is not None:
            self._decline(line, Reason.BUSY)
            self._missed(who.name, who.fingerprint, "you were busy with another call")
            return None
        if self._settings.answer is Answer.NEVER:
            self._decline(line, Reason.DECLINED)
            self._missed(who.name, who.fingerprint, "declined, as --answer says")
            return None
        return who

    def _missed(self, name: str, fingerprint: str, why: str, slug: str = "missed-call") -> None:
        """Somebody who was not even asked about."""
        text = f"missed call from {name} ({fingerprint}): {why}"
        self._station.ui.emit(events.Warning(slug, text, name, fingerprint))

    async def _ring(self, line: Line, incoming: Incoming, who: Who) -> None:
        event = events.Incoming(
            line.peer.call_id, who.name, who.fingerprint, who.known, incoming.audio, incoming.video
        )
        self._station.ui.emit(event)
        started_at = self._node.now()
        if self._answers_by_itself(who):
            answer = "video" if self._settings.media.video_in is not None or self._settings.echo else "audio"
            asked = False
        else:
            answer, asked = await self._ask(line, event), True
        if answer not in ("audio", "video"):
            return
        if asked:
            await self._station.pin(who.name, line.peer.remote_static)
            self._let_in()
        try:
            devices = await self._fresh_devices(line)
        except P2PCallError:
            self._ended(event, "device")
            raise
        video = answer == "video" and devices.sends_video
        if not line.accept(self._settings.name, devices.sends_audio, video):
            devices.speaker.stop()
            self._devices = devices
            self._ended(event, "missed")
            return
        self._calls += 1
        setup_ms = (self._node.now() - started_at) * 1000
        outcome = await self._station.talk(
            line, devices, who, video=video, remote_video=incoming.video, setup_ms=setup_ms
        )
        told_to_stop = self._station.interrupts.fired.is_set()
        if (self._settings.once or told_to_stop) and not self._over.done():
            self._over.set_result(outcome)

    def _answers_by_itself(self, who: Who) -> bool:
        match self._settings.answer:
            case Answer.ANYONE:
                return True
            case Answer.CONTACTS:
                return who.known in ("contact", "verified")
            case Answer.VERIFIED:
                return who.known == "verified"
            case _:
                return False

    async def _ask(self, line: Line, event: events.Incoming) -> str:
        """The person's answer: audio, video, decline; or "gone" when there is nobody to answer to any more."""
        speaker = await self._ringing_speaker()
        question = self._station.ui.ask(event, camera=self._camera)
        if question is None:
            self._decline(line, Reason.DECLINED)
            why = "there is no terminal to ask at (--answer says who is answered without asking)"
            self._missed(event.name, event.fingerprint, why, "no-terminal")
            self._ended(event, "declined")
            return "decline"
        line.ring(self._settings.name)
        if speaker is not None:
            speaker.play(ring())
        given = "gone"
        self._station.interrupts.take = line.tell
        answer = asyncio.ensure_future(question)
        answer.add_done_callback(lambda _: line.tell("answered"))
        timer = self._loop.call_later(ASK_TIMEOUT_S, line.tell, "no-answer")
        try:
            given = await self._await_answer(line, event, answer)
        finally:
            timer.cancel()
            answer.cancel()
            if speaker is not None and given in ("audio", "video"):
                speaker.play(lambda: SILENCE)  # it runs on: a card takes its time to start
            elif speaker is not None:
                speaker.stop()
        return given

    async def _ringing_speaker(self) -> Speaker | None:
        """The speaker of the call, if there is one that somebody hears: without one the bell rings."""
        if self._devices is None:
            with suppress(P2PCallError):  # told when the call is answered
                self._devices = await look_for_devices(self._settings, self._station.env, self._calls)
                self._camera = self._devices.sends_video
        devices = self._devices
        return devices.speaker if devices is not None and devices.speaker.is_card else None

    async def _await_answer(self, line: Line, event: events.Incoming, answer: "asyncio.Future[str]") -> str:
        while True:
            signal = await line.signals.get()
            match signal:
                case Told("answered") if answer.cancelled():
                    return "gone"
                case Told("answered"):
                    if answer.result() == "decline":
                        self._decline(line, Reason.DECLINED)
                        self._ended(event, "declined")
                    return answer.result()
                case Told("no-answer"):
                    self._decline(line, Reason.NO_ANSWER)
                    self._ended(event, "no-answer")
                    return "gone"
                case Told(what):
                    self._decline(line, Reason.DECLINED)
                    self._ended(event, "declined")
                    self._interrupted(what)
                    return "gone"
                case Ended():
                    self._ended(event, "lost" if signal.reason is Reason.LOST else "missed")
                    return "gone"
                case _:
                    pass

    def _ended(self, event: events.Incoming, reason: str) -> None:
        """Every call that was told as `incoming` is told as ended, too."""
        self._station.tell_end(Outcome(reason, event.call, name=event.name, fingerprint=event.fingerprint))

    async def _fresh_devices(self, line: Line) -> Devices:
        """The devices opened beforehand, or for a later call opened now."""
        devices, self._devices = self._devices, None
        if devices is not None:
            return devices
        try:
            devices = await look_for_devices(self._settings, self._station.env, self._calls)
        except P2PCallError:
            self._decline(line, Reason.FAILED)
            raise
        self._camera = devices.sends_video
        return devices

    def _decline(self, line: Line, reason: Reason) -> None:
        line.peer.decline(reason, self._node.now())
        self._node.pump()
