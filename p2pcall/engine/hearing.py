"""How loud this side's microphone and speaker are in one call: measured, shown, and told where something is wrong.

Rules: five looks a second, at the newest piece of either; what is between is not looked at, so a frame costs nothing
here. A muted microphone is looked at as well. Only of a sound card is it told that it is silent, clips, or is talked
into while muted: a file is as it is. The notice about the last ends when it is unmuted. That it copies the speaker is
told when it is found, once a minute at most. Leaves out how levels are measured and judged (`media.levels`).
"""

from collections.abc import Callable
from typing import Final

from p2pcall.engine.call_status import CallStatus
from p2pcall.engine.sound import WARN_AGAIN_S, SupervisedSink, SupervisedSource
from p2pcall.engine.timers import Timers
from p2pcall.media.acoustic_constants import LEVEL_EVERY_S
from p2pcall.media.levels import Finding, LevelMeter, MicrophoneWatch

FINDINGS: Final = {
    Finding.SILENT: "your microphone is silent: is it switched off, or the wrong one? (p2pcall devices --test)",
    Finding.CLIPPING: "your microphone is too loud and clips: turn it down, or speak from farther away",
    Finding.MUTED: "nobody hears you: you are muted",
}
COPIES: Final = "microphone-copies-speaker"
COPIES_TEXT: Final = (
    "your microphone is gone: the sound server gives what your speaker plays, and nothing of it is sent"
)


class Hearing:
    """Looks from `begin` on for as long as the call's timers go."""

    def __init__(
        self,
        microphone: SupervisedSource,
        speaker: SupervisedSink,
        status: CallStatus,
        timers: Timers,
        warn: Callable[[str, str], None],
    ) -> None:
        """`warn` is told a slug and a sentence."""
        self._source, self._sink, self._status, self._timers, self._warn = (
            microphone,
            speaker,
            status,
            timers,
            warn,
        )
        self.captured = b""
        """To be set to each piece that comes from the microphone."""
        self.microphone, self.speaker = LevelMeter(), LevelMeter()
        self._watch = MicrophoneWatch()
        self._says_muted = False
        self.copied: Callable[[], bool] = bool
        """Whether the microphone is a copy of what the speaker plays."""
        self._says_copied = False

    def begin(self) -> None:
        """Look from now on."""
        self._timers.after("levels", LEVEL_EVERY_S, self._look)

    def _look(self) -> None:
        self.begin()
        captured, self.captured = self.captured, b""
        played, self._sink.played = self._sink.played, b""
        if self.copied() is not self._says_copied:
            self._tell_copied()
        if captured:
            self.microphone.look(captured)
            if self._source.is_card and not self._source.away:
                self._judge()
        if played:
            self.speaker.look(played)
        state, heights = self._status.state, (self.microphone.height, self.speaker.height)
        if self._status.view is not None and heights != (state.mic_height, state.speaker_height):
            self._status.tell(mic_height=heights[0], speaker_height=heights[1])

    def _judge(self) -> None:
        level, muted = self.microphone, self._status.state.muted
        found = self._watch.look(level.dbfs, clipped=level.clipped, muted=muted)
        if found is not None:
            self._warn(found, FINDINGS[found])
            self._says_muted = self._says_muted or found is Finding.MUTED
        elif self._says_muted and not muted:
            self._says_muted = False
            self._status.unsay(FINDINGS[Finding.MUTED])

    def _tell_copied(self) -> None:
        self._says_copied = not self._says_copied
        if not self._says_copied:
            self._status.unsay(COPIES_TEXT)
        elif not self._timers.waits("copied"):
            self._timers.after("copied", WARN_AGAIN_S, lambda: None)
            self._warn(COPIES, COPIES_TEXT)
