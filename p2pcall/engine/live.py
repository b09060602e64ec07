"""One call while it is up: starts the media, follows both sides' wishes, tells the figures, ends it cleanly.

Everything here runs in the loop's thread. Capture starts in `run`, after both sides have agreed, and nowhere else.
Leaves out how the call came about (`caller`, `listener`) and what the exit code is (`outcome`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from p2pcall import events
from p2pcall.device.base import VideoSink
from p2pcall.engine import keys
from p2pcall.engine.aside import Chores
from p2pcall.engine.audience import Audience
from p2pcall.engine.audio import AudioReceive, AudioSend
from p2pcall.engine.board import Board, no_camera, unshown
from p2pcall.engine.cadence import Cadence
from p2pcall.engine.devices import Devices
from p2pcall.engine.figures import FigureKeeper, in_words, media_drops
from p2pcall.engine.node import Line, Node, Told
from p2pcall.engine.outcome import GOODBYES, WISHES
from p2pcall.engine.people import Who
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.ui import Ui
from p2pcall.engine.verification import Verification
from p2pcall.engine.video import CaptureThread, PlayoutThread
from p2pcall.engine.videopath import VideoPath
from p2pcall.errors import P2PCallError
from p2pcall.events import Figures
from p2pcall.media import constants as media
from p2pcall.media.packets import (
    Ask,
    Feedback,
    KeyRequest,
    Nack,
    Played,
    Report,
    pack_feedback,
    parse_feedback,
)
from p2pcall.proto.constants import SILENT_S
from p2pcall.proto.events import Ended, Message, Reconnected, Reconnecting
from p2pcall.proto.messages import ControlType, MediaFlags, Reason, media_flags
from p2pcall.proto.wire import Channel
from p2pcall.view.hud import HudState

TICK_S = media.REPORT_INTERVAL_S
EARLY_REPORTS_S = (0.03, 0.1, 0.3)
"""The first report says how many pixels are wanted, and nothing is filmed for us before it is there: it is sent
again, for it may be lost, or come before the other side's address is proven."""
MEDIA_EVERY_S = 0.2
"""Between two tellings of what the other side has on and off."""
RECONNECTING = "not heard any more: reconnecting"
EOF_DRAIN_S = 0.3
"""So much silence between the end of what was sent and the goodbye: nobody hangs up on the last word."""
PLAYED_AGAIN_S = (0.0, 0.1, 0.3)
"""That the speaker runs is told so often: a message may be lost, and somebody waits for it."""
ANSWER_EVERY_S = 0.05
"""Between two answers to how far the speaker is."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a call that was up ended."""

    reason: str
    by: str
    """`local` or `remote`; "" for a line that was lost."""
    duration_s: float
    figures: Figures


class LiveCall:
    """One active call; `run` it once."""

    def __init__(
        self,
        node: Node,
        line: Line,
        devices: Devices,
        ui: Ui,
        settings: CallSettings,
        who: Who,
        verification: Verification,
        *,
        video: bool,
        remote_video: bool,
    ) -> None:
        self._node, self._line, self._peer = node, line, line.peer
        self._devices, self._ui, self._settings = devices, ui, settings
        self._verification = verification
        self._loop = asyncio.get_running_loop()
        self._connected_at = node.now()
        self._cadence = Cadence(partial(line.send, Channel.AUDIO))
        self._send = AudioSend(self._cadence.put, self._session_ms)
        self._receive = AudioReceive(node.now)
        self._receive.on_first_play = self._first_audio
        self._video_on = video and devices.sends_video
        hud = HudState(
            name=who.name,
            known=who.known,
            protocol=self._peer.protocol_name,
            words=self._peer.sas,
            video_on=self._video_on,
            remote_video=remote_video,
            unshown=unshown(settings),
        )
        self._board = Board(hud, self._connected_at)
        self._video: VideoPath | None = None
        self._figures: FigureKeeper | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._media_told = True
        self._reconnecting = False
        self._chores = Chores()
        self._closing = False
        self._ended_sources: set[str] = set()
        self._heard = devices.microphone.endless and not devices.finite_video  # there is no end to be heard
        self._audience = Audience(self._send_feedback, node.now, self._after)
        self._answer_at = self._connected_at
        self._remote_told: int | None = None
        self._remote_flags = media_flags(True, remote_video)

    async def run(self) -> Finished:
        """Media on, until either side ends it. Whatever happens, devices are closed and the terminal restored."""
        try:
            self._open()
            reason, by = await self._follow()
            now = self._node.now()
            assert self._figures is not None
            return Finished(reason, by, now - self._connected_at, self._figures.total(now))
        except BaseException:
            self._line.hang_up(Reason.FAILED)
            raise
        finally:
            await self._close()

    # --- starting ----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        devices = self._devices
        mode = self._settings.media.video_out if devices.video_sink is None else "none"
        view = self._board.view = self._ui.open_view(mode, self._on_key)
        if view is not None:
            view.on_error, view.on_resized = self._sink_failed, self._report
            self._set_hud()
        sink: VideoSink | None = devices.video_sink
        if sink is None and view is not None and (mode != "none" or all(view.view_size())):
            sink = view
        playout = PlayoutThread(sink, self._loop.call_soon_threadsafe) if sink is not None else None
        capture = None
        if devices.open_camera is not None:
            show_local = view.show_local if view is not None else None
            capture = CaptureThread(
                devices.open_camera, self._loop.call_soon_threadsafe, self._node.now, show_local
            )
            capture.on_end = lambda: self._source_ended("video")
            capture.on_error = self._camera_failed
        self._video = VideoPath(self._line, self._node.now, self._session_ms, capture, playout, sink)
        self._video.on_first_show = self._first_video
        self._figures = FigureKeeper(
            self._peer,
            self._receive,
            playout,
            lambda: devices.speaker.latency_s,
            self._dropped,
            self._connected_at,
        )
        self._line.on_payload = self._on_payload
        for file in devices.files:
            file.on_note = self._file_named
        devices.notes.on_note = self._input_noted
        if devices.video_sink is not None:
            devices.video_sink.on_error = self._sink_failed
            devices.video_sink.start()
        devices.speaker.on_steady = self._speaker_runs
        devices.speaker.play(self._receive.pull, self._device_failed)
        devices.microphone.on_end = lambda: self._source_ended("audio")
        if not devices.microphone.endless:
            devices.microphone.hold()
            self._audience.begin(lambda: devices.microphone.hold(False))
        devices.microphone.start(self._captured, self._device_failed)
        self._video.start(self._video_on)
        self._report()
        for wait_s in EARLY_REPORTS_S:
            self._after(f"report {wait_s}", wait_s, self._report)
        self._after("tick", TICK_S, self._tick)
        if self._settings.max_duration_s is not None:
            self._after(
                "max-duration", self._settings.max_duration_s, lambda: self._line.tell("max-duration")
            )

    async def _close(self) -> None:
        self._closing = True
        self._devices.microphone.stop()
        for timer in self._timers.values():
            timer.cancel()
        self._line.on_payload = None
        with ExitStack() as last:  # the terminal is restored whatever the devices do
            if self._board.view is not None:
                last.callback(self._board.view.close)
            last.callback(self._devices.close)
            last.callback(self._cadence.close)
            if self._video is not None:
                await self._video.stop()
        await self._chores.done()

    # --- following ---------------------------------------------------------------------------------------------

    async def _follow(self) -> tuple[str, str]:
        """Why it ended, and by whom."""
        while True:
            signal = await self._line.signals.get()
            match signal:
                case Ended():
                    if signal.remote and self._settings.media.hangup_on_eof and not self._heard:
                        return "unheard", "remote"
                    reason = signal.reason.slug
                    by = "remote" if signal.remote else ""
                    return reason if reason in GOODBYES else "hung-up", by
                case Message(kind=ControlType.MEDIA):
                    self._remote_media(signal.body[0])
                case Reconnecting():
                    self._ui.emit(events.Reconnecting(self._peer.call_id, round(SILENT_S * 1000)))
                    self._reconnecting = True
                    self._board.say(RECONNECTING, self._node.now(), lasting=True)
                case Reconnected() if self._reconnecting:
                    self._ui.emit(events.Reconnected(self._peer.call_id, round(signal.seconds * 1000)))
                    self._reconnecting = False
                    self._board.unsay(RECONNECTING, self._node.now())
                case Told(what) if what in WISHES:
                    self._line.hang_up(WISHES[what])
                    return what, "local"
                case _:
                    pass

    def _captured(self, pcm: bytes, captured_at: float) -> None:
        """A frame of the microphone, whose clock is the loop's."""
        self._cadence.came()
        self._send.on_frame(pcm, self._node.at(captured_at))

    def _on_payload(self, channel: int, data: bytes) -> None:
        if channel == Channel.AUDIO:
            self._receive.on_payload(data)
        elif self._video is None:
            return
        elif channel == Channel.VIDEO:
            self._video.on_payload(data)
        elif channel == Channel.FEEDBACK:
            self._on_feedback(data)

    def _on_feedback(self, data: bytes) -> None:
        assert self._video is not None
        message = parse_feedback(data)
        match message:
            case Nack():
                self._video.on_nack(message)
            case KeyRequest():
                self._video.on_key_request()
            case Report():
                self._send.on_loss(message.loss)
                self._video.set_remote_view(message.view_width, message.view_height)
                self._audience.on_report()
            case Played():
                self._audience.on_played(message)
            case Ask():
                self._asked()
            case None:
                self._receive.malformed += 1

    def _remote_media(self, flags: int) -> None:
        """The other side's state; told as often as people can press keys, however often it comes."""
        if flags == self._remote_flags:
            return
        self._remote_flags = flags
        if "media" not in self._timers:
            self._tell_remote_media()

    def _tell_remote_media(self) -> None:
        self._timers.pop("media", None)
        flags = self._remote_flags
        if flags == self._remote_told:
            return
        self._remote_told = flags
        self._after("media", MEDIA_EVERY_S, self._tell_remote_media)
        audio, video = bool(flags & MediaFlags.AUDIO), bool(flags & MediaFlags.VIDEO)
        recording = bool(flags & MediaFlags.RECORDING)
        self._ui.emit(events.Media(self._peer.call_id, "remote", audio, video, recording))
        if not video and self._board.view is not None:
            self._board.view.clear_remote()
        self._set_hud(remote_muted=not audio, remote_video=video, remote_records=recording)

    # --- the person's wishes -----------------------------------------------------------------------------------

    def _on_key(self, key: str) -> None:
        hud, view = self._board.state, self._board.view
        match None if self._closing else self._meaning(key):
            case keys.LEAVE if self._settings.confirm:
                self._set_hud(show_confirm=True, show_verify=False, show_help=False, show_stats=False)
            case keys.LEAVE | keys.HANGUP:
                self._line.tell("hung-up")
            case keys.MUTE:
                self._send.muted = not self._send.muted
                self._set_hud(muted=self._send.muted)
                self._tell_media()
            case keys.VIDEO if self._video is not None and self._devices.sends_video:
                self._film(not self._video_on)
            case keys.VIDEO:
                self._board.say(no_camera(self._settings.media.video_in), self._node.now())
            case keys.STATS:
                self._set_hud(show_stats=not hud.show_stats, show_help=False)
            case keys.HELP:
                self._set_hud(show_help=not hud.show_help, show_stats=False)
            case keys.CLOSE:
                self._set_hud(show_help=False, show_stats=False)
            case keys.VERIFY:
                number = self._verification.safety_number
                self._set_hud(show_verify=True, safety=number, show_help=False, show_stats=False)
            case keys.MODE if view is not None:
                view.next_mode()
                self._report()
            case keys.REDRAW if view is not None:
                view.refresh()
            case keys.SAME:
                self._set_hud(show_verify=False)
                self._chores.do(self._same())
            case keys.DIFFERENT:
                self._set_hud(show_verify=False)
                self._chores.do(self._verification.different())
                self._line.tell("not-verified")
            case keys.LATER:
                self._set_hud(show_verify=False, show_confirm=False)

    def _meaning(self, key: str) -> str | None:
        """What a key asks for: an answer, while a question is there."""
        if self._board.state.show_confirm:
            return keys.confirmation(key)
        return keys.answer(key) if self._board.state.show_verify else keys.wish(key)

    async def _same(self) -> None:
        notice = await self._verification.same()
        self._set_hud(known=self._verification.known)
        self._board.say(notice, self._node.now())

    def resized(self) -> None:
        """The terminal has another size: draw anew, and tell the other side how many pixels that is."""
        if self._board.view is not None:
            self._board.view.resized()
            self._report()

    def _tell_media(self) -> None:
        audio = self._devices.sends_audio and not self._send.muted
        self._media_told = self._line.send_control(
            ControlType.MEDIA, bytes([media_flags(audio, self._video_on)])
        )
        self._ui.emit(events.Media(self._peer.call_id, "local", audio, self._video_on, False))

    # --- what devices and timers say ---------------------------------------------------------------------------

    def _source_ended(self, which: str) -> None:
        """Sound or picture has come to its end; the call has, when the first one has, or both of one file."""
        self._ended_sources.add(which)
        self._hang_up_at_the_end()

    def _hang_up_at_the_end(self) -> None:
        if not self._ended_sources:
            return
        both = self._devices.one_file and self._video_on and self._ended_sources != {"audio", "video"}
        if not self._settings.media.hangup_on_eof or both:
            return
        if "audio" in self._ended_sources:
            self._audience.end(self._send.next_seq, self._end_heard)
        else:
            self._end_heard(True)

    def _end_heard(self, heard: bool) -> None:
        self._heard = heard
        self._after("eof", EOF_DRAIN_S, lambda: self._line.tell("eof" if heard else "unheard"))

    def _speaker_runs(self) -> None:
        for wait_s in PLAYED_AGAIN_S:
            self._after(f"played {wait_s}", wait_s, self._tell_played)

    def _tell_played(self) -> None:
        speaker = self._devices.speaker
        ahead_ms = speaker.latency_s * 1000 if speaker.steady else None
        self._send_feedback(Played(self._receive.buffer.next_seq, ahead_ms))

    def _asked(self) -> None:
        """How far the speaker is; told as often as an honest side asks."""
        now = self._node.now()
        if now >= self._answer_at:
            self._answer_at = now + ANSWER_EVERY_S
            self._tell_played()

    def _send_feedback(self, message: Feedback) -> None:
        self._line.send(Channel.FEEDBACK, pack_feedback(message))

    def _device_failed(self, error: P2PCallError) -> None:
        if error.slug == "stdout-closed":
            self._line.tell(error.slug)
            return
        self._warn(error.slug, error.text)

    def _camera_failed(self, error: P2PCallError) -> None:
        self._device_failed(error)
        if self._devices.finite_video:
            self._ended_sources.add("video")
        self._film(False)

    def _film(self, on: bool) -> None:
        """Camera on or off, and say so to both."""
        assert self._video is not None
        self._video_on = on
        self._video.film(on)
        if not on and self._board.view is not None:
            self._board.view.show_local(None)
        self._set_hud(video_on=on)
        self._tell_media()
        self._hang_up_at_the_end()

    def _warn(self, slug: str, text: str) -> None:
        self._ui.emit(events.Warning(slug, text))
        self._board.say(text, self._node.now())

    def _sink_failed(self, error: P2PCallError) -> None:
        """Called by the playout thread, or by a view that cannot show the picture any more."""
        self._from_thread(self._device_failed, error)

    def _input_noted(self, text: str) -> None:
        """Called by whichever thread reads the input."""
        self._from_thread(self._warn, "media-file", text)

    def _file_named(self, text: str) -> None:
        """Called by whichever thread writes the file."""
        self._from_thread(self._warn, "file-exists", text)

    def _from_thread(self, call: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *args)

    def _first_audio(self) -> None:
        self._ui.emit(events.FirstAudio(self._peer.call_id, self._since_connected_ms()))

    def _first_video(self) -> None:
        self._ui.emit(events.FirstVideo(self._peer.call_id, self._since_connected_ms()))
        self._set_hud(remote_video=True)

    def _tick(self) -> None:
        assert self._figures is not None
        self._after("tick", TICK_S, self._tick)
        figures = self._figures.second(self._node.now())
        if not self._media_told:
            self._tell_media()
        self._ui.emit(events.Stats(self._peer.call_id, figures))
        self._set_hud(stats=in_words(figures), delay_ms=figures.audio_delay_ms, loss=figures.loss)
        self._report(figures)
        if self._peer.rtt is not None and self._video is not None:
            self._video.set_rtt(self._peer.rtt)

    def _report(self, figures: Figures | None = None) -> None:
        assert self._video is not None
        width, height = self._video.view_size()
        stats = self._receive.stats
        loss = figures.loss if figures else 0.0
        report = Report(
            stats.highest, stats.received, loss, stats.jitter_s * 1000, width, height, self._video.completed
        )
        self._tell_played()
        self._send_feedback(report)

    def _set_hud(self, **changes: Any) -> None:
        self._board.tell(self._node.now(), **changes)

    def _dropped(self) -> Counter[str]:
        return Counter[str](self._node.endpoint.dropped) + media_drops(self._receive, self._video)

    def _session_ms(self, at: float) -> int:
        return int((at - self._peer.session_start) * 1000)

    def _since_connected_ms(self) -> float:
        return round((self._node.now() - self._connected_at) * 1000, 1)

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Calls it then; the same name takes the place of what was to be called."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(seconds, call)
