"""Reports of a call while it is up: figures to people and scripts, reports to the other side.

Reports to the other side say what has arrived, how many pixels are wanted and how far the speaker is. Its questions are
answered only as often as an honest side asks. Left out: the measuring (`call_stats`) and the effects of the other
side's reports (`live`).
"""

from collections import Counter
from typing import Final

from p2pcall import events
from p2pcall.device.pace import CardCounts
from p2pcall.engine.audio_receive import AudioReceive
from p2pcall.engine.call_stats import StatsCollector, in_words, media_drops
from p2pcall.engine.call_status import CallStatus
from p2pcall.engine.hearing import Hearing
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.sound import SupervisedSink
from p2pcall.engine.timers import Timers
from p2pcall.engine.user_agent import UserAgent
from p2pcall.engine.video import PlayoutThread
from p2pcall.engine.videopath import VideoPath
from p2pcall.events import Figures
from p2pcall.media.packets import Feedback, Played, Report, pack_feedback
from p2pcall.proto.wire import Channel
from p2pcall.types import Profile

EARLY_REPORTS_S: Final = (0.03, 0.1, 0.3)
"""Times of the first reports. They say how many pixels are wanted, and the other side sends no picture before it has
one. Sent again because one may be lost, or come before the other side's address is proven."""
PLAYED_AGAIN_S: Final = (0.0, 0.1, 0.3)
"""Times at which the start of the speaker is reported: a message may be lost, and the other side waits for it."""
ANSWER_EVERY_S: Final = 0.05
"""Shortest time between two answers about how far the speaker is."""


class Reporting:
    """The reports of one call; create it when the call is connected."""

    def __init__(
        self,
        agent: UserAgent,
        line: PeerConnection,
        status: CallStatus,
        receive: AudioReceive,
        speaker: SupervisedSink,
        timers: Timers,
        hearing: Hearing,
        counts: CardCounts,
    ) -> None:
        self._node, self._ui = agent.node, agent.ui
        self._line, self._peer, self._status, self._timers = line, line.peer, status, timers
        self._receive, self._speaker, self._hearing, self._counts = receive, speaker, hearing, counts
        self._connected_at = self._answer_at = self._node.now()
        self._video: VideoPath | None = None
        self._stats: StatsCollector | None = None
        receive.on_first_play = self._first_audio

    def follow(self, video: VideoPath, playout: PlayoutThread | None) -> None:
        """Measure from now on, including this picture. Call it before the first picture comes."""
        self._video = video
        video.on_first_show = self._first_video
        self._stats = StatsCollector(
            self._peer,
            self._receive,
            playout,
            lambda: self._speaker.latency_s,
            self._dropped,
            self._hearing,
            self._counts,
            self._connected_at,
        )
        self._speaker.on_steady = self._speaker_runs

    def begin(self) -> None:
        """Send the first reports."""
        self.report()
        for wait_s in EARLY_REPORTS_S:
            self._timers.after(f"report {wait_s}", wait_s, self.report)

    def second(self) -> None:
        """Report the figures since the last time, to people, scripts and the other side."""
        assert self._stats is not None
        figures = self._stats.second(self._node.now())
        self._ui.emit(events.Stats(self._peer.call_id, figures))
        words = in_words(figures, self._status.state.profile or Profile.NORMAL)
        self._status.tell(stats=words, delay_ms=figures.audio_delay_ms, loss=figures.loss)
        self._report()

    def report(self) -> None:
        """Send a report to the other side now, because something may have changed."""
        self._report()

    def total(self) -> tuple[float, Figures]:
        """How long the call has been up, and the figures of the whole call."""
        assert self._stats is not None
        now = self._node.now()
        return now - self._connected_at, self._stats.total(now)

    def asked(self) -> None:
        """The other side asks how far our speaker is: answer, as often as an honest side asks."""
        now = self._node.now()
        if now >= self._answer_at:
            self._answer_at = now + ANSWER_EVERY_S
            self._tell_played()

    def send(self, message: Feedback) -> None:
        """Send a message to the other side."""
        self._line.send(Channel.FEEDBACK, pack_feedback(message))

    def _report(self) -> None:
        assert self._video is not None
        width, height = self._video.view_size()
        assert self._stats is not None
        stats, last = self._receive.stats, self._stats.interval
        report = Report(
            stats.highest,
            stats.received,
            last.loss,
            last.burst_ticks,
            last.queue_s * 1000,
            stats.jitter_s * 1000,
            width,
            height,
            self._video.completed,
        )
        self._tell_played()
        self.send(report)

    def _speaker_runs(self) -> None:
        for wait_s in PLAYED_AGAIN_S:
            self._timers.after(f"played {wait_s}", wait_s, self._tell_played)

    def _tell_played(self) -> None:
        speaker, receive = self._speaker, self._receive
        ahead_ms = speaker.latency_s * 1000 + receive.ready_ms if speaker.steady else None
        self.send(Played(receive.buffer.next_tick, ahead_ms))

    def _first_audio(self) -> None:
        self._ui.emit(events.FirstAudio(self._peer.call_id, self._since_connected_ms()))

    def _first_video(self) -> None:
        self._ui.emit(events.FirstVideo(self._peer.call_id, self._since_connected_ms()))
        self._status.tell(remote_video=True)

    def _since_connected_ms(self) -> float:
        return round((self._node.now() - self._connected_at) * 1000, 1)

    def _dropped(self) -> Counter[str]:
        return Counter[str](self._node.endpoint.dropped) + media_drops(self._receive, self._video)
