"""One call while it is up: starts the media, follows both sides' wishes, ends it cleanly.

Everything here runs in the loop's thread. Capture starts only in `run`, after both sides have agreed. Left out: how the
call was set up (`caller`, `listener`), the exit code (`outcome`), the person's keys (`controls`), what each side has
on (`mediastate`), figures and reports (`reporting`), and completing recordings (`talk`).
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Final

from msgspec import Struct

from p2pcall import events
from p2pcall.device.base import Pull, VideoSink
from p2pcall.engine.audio_receive import AudioReceive
from p2pcall.engine.audio_send import AudioSend
from p2pcall.engine.call_status import CallStatus, unshown
from p2pcall.engine.call_tap import CallTap
from p2pcall.engine.consents import ConsentKind
from p2pcall.engine.controls import Controls
from p2pcall.engine.devices import Devices
from p2pcall.engine.hearing import Hearing
from p2pcall.engine.key_rotation import KeyRotation
from p2pcall.engine.mediastate import LocalMedia, RemoteMedia
from p2pcall.engine.node import LocalSignal, PeerConnection
from p2pcall.engine.notice_tone import with_tone
from p2pcall.engine.outcome import GOODBYES, WISHES
from p2pcall.engine.permissions import ContactPermissions
from p2pcall.engine.playout_confirmation import PlayoutConfirmation
from p2pcall.engine.push_to_talk import PushToTalk
from p2pcall.engine.questions import PICTURE_QUESTION, Questions, asker
from p2pcall.engine.recording import CallRecording
from p2pcall.engine.reporting import Reporting
from p2pcall.engine.safe_word_check import SafeWordCheck
from p2pcall.engine.send_pacer import SendPacer
from p2pcall.engine.standing import StandingConsent
from p2pcall.engine.timers import Timers
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.engine.verification import Verification
from p2pcall.engine.video import CaptureThread, PlayoutThread
from p2pcall.engine.videopath import VideoPath
from p2pcall.engine.voice_profile import TRADES, VoiceProfile
from p2pcall.errors import P2PCallError
from p2pcall.events import Figures
from p2pcall.media import constants as media
from p2pcall.media.packets import Ask, KeyRequest, Nack, Played, Report, parse_feedback, session_ms
from p2pcall.proto.constants import SILENT_S
from p2pcall.proto.events import CallEnded, LineInterrupted, LineResumed, Message
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.proto.wire import Channel
from p2pcall.types import Profile
from p2pcall.view.hud import HudState

RECONNECTING: Final = "not heard any more: reconnecting"
EOF_DRAIN_S: Final = 0.3
"""Pause between the end of the sent sound and the goodbye, so that the last word is not cut off."""


class FinishedCall(Struct, frozen=True):
    """How a call that was up ended."""

    reason: str
    by: str
    """Who ended it: `local` or `remote`; "" for a lost line."""
    duration_s: float
    figures: Figures


class LiveCall:
    """One active call; call `run` once."""

    _standing: StandingConsent | None = None

    def __init__(
        self,
        agent: UserAgent,
        line: PeerConnection,
        devices: Devices,
        who: PeerIdentity,
        *,
        video: bool,
        remote_video: bool,
    ) -> None:
        """`video` and `remote_video`: whether each side begins with a picture."""
        self._node, self._ui, self._settings = agent.node, agent.ui, agent.settings
        self._line, self._peer, self._devices = line, line.peer, devices
        peer, ui, now = line.peer, agent.ui, agent.node.now
        self._loop, self._receive = asyncio.get_running_loop(), AudioReceive(now)
        self._timers = timers = Timers()
        self._pacer = SendPacer(partial(line.send, Channel.AUDIO))
        self._send = AudioSend(self._pacer.put, self._session_ms, music=self._settings.media.raw_audio)
        self._voice = VoiceProfile(self._send, self._pacer, devices.microphone)
        self._video: VideoPath | None = None
        video_on = video and devices.sends_video
        hud = self._first_state(who, video_on=video_on, remote_video=remote_video)
        self._status = status = CallStatus(hud, now)
        self._hearing = Hearing(devices.microphone, devices.speaker, status, timers, self._warn)
        self._reporting = Reporting(
            agent, line, status, self._receive, devices.speaker, timers, self._hearing, devices.counts
        )
        self._remote = RemoteMedia(line, ui, status, timers, video=remote_video)
        self._local = LocalMedia(line, ui, status, devices, self._send, video_on=video_on)
        self._local.on_film = self._hang_up_at_the_end
        self._questions = questions = Questions(status, now)
        self._tap = CallTap(line, self._send)
        self._recording = CallRecording(
            agent, line, who, status, questions, timers, self._local, self._tap, self._sound_notice
        )
        self._remote.on_told, self._local.on_sends = self._remote_told, self._recording.consents.sends
        verification = self._verification = Verification(
            agent.trust, who, peer.remote_static, peer.call_id, ui.emit, agent.env.clock.time
        )
        self._safe_word = SafeWordCheck(agent, line, who, status, timers)
        self._rotation = KeyRotation(agent, line, who, verification, self._warn)
        talk = PushToTalk(self._local, timers, now) if self._settings.push_to_talk else None
        self._controls = Controls(
            line,
            self._settings,
            status,
            self._local,
            verification,
            self._reporting.report,
            talk,
            self._next_profile,
            questions,
            self._recording.toggle,
            self._safe_word.begin,
        )
        self._use_profile(self._settings.media.profile)
        self._playout = PlayoutConfirmation(self._reporting.send, now, timers.after)
        self._reconnecting = False
        self._ended_sources: set[str] = set()
        # Input without an end has none to be heard.
        self._heard = devices.microphone.endless and not devices.finite_video

    def _first_state(self, who: PeerIdentity, *, video_on: bool, remote_video: bool) -> HudState:
        return HudState(
            name=who.name,
            known=who.known,
            protocol=self._peer.protocol_name,
            words=self._peer.sas,
            video_on=video_on,
            sends_sound=self._devices.sends_audio,
            remote_video=remote_video,
            unshown=unshown(self._settings),
            push_to_talk=self._settings.push_to_talk,
        )

    def rest_on(self, permissions: ContactPermissions, kinds: frozenset[ConsentKind]) -> None:
        """This is sent because the contacts say so, and as long as they do. Before `run`."""
        self._local.on_sends = partial(self._recording.consents.begins, standing=kinds)
        self._standing = StandingConsent(permissions, kinds, self._local, self._warn)

    async def run(self) -> FinishedCall:
        """Run the media until either side ends the call. In every case devices are closed and the terminal restored."""
        try:
            self._open()
            reason, by = await self._follow()
            return FinishedCall(reason, by, *self._reporting.total())
        except BaseException:
            self._line.hang_up(Reason.FAILED)
            raise
        finally:
            await self._close()

    def resized(self) -> None:
        """The terminal's size has changed: redraw, and tell the other side the new number of pixels."""
        if self._status.view is not None:
            self._status.view.resized()
            self._reporting.report()

    # --- starting ----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        devices = self._devices
        video = self._video = self._local.video = self._tap.video = self._open_video()
        self._line.on_payload = self._on_payload
        for file in devices.files:
            file.on_note = partial(self._noted, "file-exists")
        devices.notes.on_note = partial(self._noted, "media-file")
        if devices.video_sink is not None:
            devices.video_sink.on_error = self._sink_failed
            devices.video_sink.start()
        if self._settings.push_to_talk:
            self._local.mute(True)
            if self._status.view is None:
                self._warn("no-keys", "there is no terminal and no window to press a key in: you stay muted")
        if devices.loudspeaker is not None:
            devices.loudspeaker.muted = lambda: self._send.muted
            self._hearing.copied = devices.loudspeaker.copied
        self._play(self._receive.pull)
        devices.microphone.on_end = lambda: self._source_ended("audio")
        if not devices.microphone.endless:
            devices.microphone.hold()
            self._playout.begin(lambda: devices.microphone.hold(False))
        devices.microphone.start(self._captured, self._device_failed)
        video.start(self._local.video_on)
        self._local.sends_now()
        self._local.on_sends = self._recording.consents.sends
        self._reporting.begin()
        self._hearing.begin()
        self._rotation.begin()
        self._timers.after("tick", media.REPORT_INTERVAL_S, self._tick)
        if self._settings.record is not None:
            self._recording.ask(self._settings.record)
        if self._settings.max_duration_s is not None:
            end = partial(self._line.tell, "max-duration")
            self._timers.after("max-duration", self._settings.max_duration_s, end)

    def _play(self, pull: Pull) -> None:
        """Play what `pull` gives, as loud as the room bears it."""
        devices = self._devices
        if devices.loudspeaker is not None:
            pull = devices.loudspeaker.playing(pull, self._loop.time, lambda: devices.speaker.latency_s)
        devices.speaker.play(pull, self._device_failed)

    def _sound_notice(self) -> None:
        """A tone over the voice."""
        self._play(with_tone(self._receive.pull, lambda: self._play(self._receive.pull)))

    def _open_video(self) -> VideoPath:
        """Open the view, if there is one, and both directions of the picture; the camera is not on yet."""
        devices, post = self._devices, self._loop.call_soon_threadsafe
        mode = self._settings.media.video_out if devices.video_sink is None else "none"
        view = self._status.view = self._ui.open_view(mode, self._controls.on_key)
        if view is not None:
            view.on_error, view.on_resized = self._sink_failed, self._reporting.report
            self._status.tell()
        sink: VideoSink | None = devices.video_sink
        if sink is None and view is not None and (mode != "none" or all(view.view_size())):
            sink = view
        playout = PlayoutThread(sink, post) if sink is not None else None
        capture = None
        if devices.open_camera is not None:
            show_local = view.show_local if view is not None else None
            capture = CaptureThread(devices.open_camera, post, self._node.now, show_local)
            capture.on_end = lambda: self._source_ended("video")
            capture.on_error = self._camera_failed
        video = VideoPath(self._line, self._node.now, self._session_ms, capture, playout, sink)
        self._reporting.follow(video, playout)
        return video

    async def _close(self) -> None:
        self._controls.close()
        self._devices.microphone.stop()
        self._timers.cancel()
        self._line.on_payload = None
        with ExitStack() as last:  # the terminal is restored even if devices fail
            if self._status.view is not None:
                last.callback(self._status.view.close)
            last.callback(self._devices.close)
            last.callback(self._pacer.close)
            if self._video is not None:
                await self._video.stop()
        await self._recording.close()
        await self._controls.done()
        await self._safe_word.close()
        await self._rotation.done()

    # --- following ---------------------------------------------------------------------------------------------

    async def _follow(self) -> tuple[str, str]:
        """Handle signals until the call ends. Returns why it ended, and by whom."""
        while True:
            signal = await self._line.signals.get()
            match signal:
                case CallEnded():
                    if signal.remote and self._settings.media.hangup_on_eof and not self._heard:
                        return "unheard", "remote"
                    reason = signal.reason.slug
                    by = "remote" if signal.remote else ""
                    return reason if reason in GOODBYES else "hung-up", by
                case Message(kind=ControlType.MEDIA):
                    self._remote.on_flags(signal.body[0])
                case Message(kind=ControlType.RECORD):
                    self._recording.on_message(signal.body)
                case Message(kind=ControlType.SAFE_WORD):
                    self._safe_word.on_message(signal.body)
                case Message(kind=ControlType.ROTATED | ControlType.ROTATION_KEPT):
                    self._rotation.receive(signal.kind, signal.body)
                case LineInterrupted():
                    self._recording.interrupted()
                    self._ui.emit(events.Reconnecting(self._peer.call_id, round(SILENT_S * 1000)))
                    self._reconnecting = True
                    self._status.say(RECONNECTING, lasting=True)
                case LineResumed() if self._reconnecting:
                    self._ui.emit(events.Reconnected(self._peer.call_id, round(signal.seconds * 1000)))
                    self._reconnecting = False
                    self._status.unsay(RECONNECTING)
                case LocalSignal(what) if what in WISHES:
                    self._line.hang_up(WISHES[what])
                    return what, "local"
                case _:
                    pass

    def _tick(self) -> None:
        self._timers.after("tick", media.REPORT_INTERVAL_S, self._tick)
        self._local.tell_again()
        if self._standing is not None and not self._rotation.keeping:
            self._standing.look(self._verification.public, self._status.state.name)
        self._recording.tell_again()
        self._reporting.second()
        if self._peer.rtt is not None and self._video is not None:
            self._video.set_rtt(self._peer.rtt)

    def _captured(self, pcm: bytes, captured_at: float) -> None:
        """A frame of the microphone; `captured_at` is a time of the loop's clock."""
        self._pacer.came()
        self._hearing.captured = pcm
        room = self._devices.loudspeaker
        if room is not None:
            pcm, captured_at = room.hear(pcm, captured_at)
        self._send.on_frame(pcm, self._node.at(captured_at))

    def _on_payload(self, channel: int, data: bytes) -> None:
        if channel == Channel.AUDIO:
            self._receive.on_payload(data)
        elif self._video is None:
            return
        elif channel == Channel.VIDEO:
            self._video.on_payload(data)
        elif channel == Channel.FEEDBACK:
            self._on_feedback(self._video, data)

    def _on_feedback(self, video: VideoPath, data: bytes) -> None:
        message = parse_feedback(data)
        match message:
            case Nack():
                video.on_nack(message)
            case KeyRequest():
                video.on_key_request()
            case Report():
                now, filming = self._node.now(), self._local.video_on
                self._send.on_report(message, self._peer.rtt, now, filming=filming)
                self._voice.follow()
                video.set_remote_view(message.view_width, message.view_height)
                self._playout.on_report()
            case Played():
                self._playout.on_played(message)
            case Ask():
                self._reporting.asked()
            case None:
                self._receive.malformed += 1

    def _session_ms(self, at: float) -> int:
        return session_ms(at - self._peer.session_start)

    def _remote_told(self, filming: bool, recording: bool) -> None:
        """The other side has said what it has on; if it has begun to film, the person is asked for a picture, too."""
        self._recording.on_remote(recording)
        if not filming:
            self._questions.withdraw(PICTURE_QUESTION)
        elif self._local.can_film and not self._local.video_on:
            wish = f"{asker(self._status.state.name)} shows one now"
            lines = ("send your picture, too?", wish, "[y]es, camera on", "[n]o")
            self._questions.ask(PICTURE_QUESTION, lines, lambda yes: self._local.film(True) if yes else None)

    def _next_profile(self) -> None:
        profiles = list(Profile)
        self._use_profile(profiles[(profiles.index(self._send.profile) + 1) % len(profiles)])
        self._status.say(TRADES[self._send.profile])

    def _use_profile(self, profile: Profile) -> None:
        self._voice.use(profile)
        self._status.tell(profile="" if profile is Profile.NORMAL else profile.value)

    # --- sources that end --------------------------------------------------------------------------------------

    def _source_ended(self, which: str) -> None:
        """Sound or picture has ended. The call ends with the first of them; if both are one file, with both."""
        self._ended_sources.add(which)
        self._hang_up_at_the_end()

    def _hang_up_at_the_end(self) -> None:
        if not self._ended_sources:
            return
        filmed = self._devices.one_file and self._local.video_on
        if not self._settings.media.hangup_on_eof or (filmed and self._ended_sources != {"audio", "video"}):
            return
        if "audio" in self._ended_sources:
            self._playout.end(self._send.next_tick, self._end_heard)
        else:
            self._end_heard(True)

    def _end_heard(self, heard: bool) -> None:
        self._heard = heard
        self._timers.after("eof", EOF_DRAIN_S, lambda: self._line.tell("eof" if heard else "unheard"))

    # --- what devices say --------------------------------------------------------------------------------------

    def _device_failed(self, error: P2PCallError) -> None:
        if error.slug == "stdout-closed":
            self._line.tell(error.slug)
            return
        self._warn(error.slug, error.text)

    def _camera_failed(self, error: P2PCallError) -> None:
        self._device_failed(error)
        if self._devices.finite_video:
            self._ended_sources.add("video")
        self._local.film(False)

    def _warn(self, slug: str, text: str) -> None:
        self._ui.emit(events.Warning(slug, text))
        self._status.say(text)

    def _sink_failed(self, error: P2PCallError) -> None:
        """Called by the playout thread, or by a view that can no longer show the picture."""
        self._from_thread(self._device_failed, error)

    def _noted(self, slug: str, text: str) -> None:
        """Called by the thread that reads the input or writes the file."""
        self._from_thread(self._warn, slug, text)

    def _from_thread(self, call: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is no receiver any more
            self._loop.call_soon_threadsafe(call, *args)
