"""Microphone and loudspeaker in one room: what is played does not come back to who said it.

Sits between the devices and what sends and receives sound, in the loop's thread. What is done is chosen by what the
room shows (`media.acoustics`, `media.double_talk`, `media.near_voice`): nothing before an echo is found, and nothing in
a quiet room with headphones, and that takes no time. Where there is no canceller one side speaks at a time. A copy of
what is played in the place of a microphone is not sent (`media.speaker_copy`).
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from p2pcall.codec.voice_processing import (
    CANCELLER_DELAY_SAMPLES,
    SUPPRESSOR_DELAY_SAMPLES,
    VoiceProcessing,
)
from p2pcall.device.base import Pull
from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as media
from p2pcall.media.acoustics import Acoustics
from p2pcall.media.double_talk import DoubleTalk
from p2pcall.media.far_end import SILENT_TICK, FarEnd
from p2pcall.media.loudness import crossfaded, gain_of, level_and_colour_db, level_db, with_gain
from p2pcall.media.near_voice import NearVoice
from p2pcall.media.speaker_copy import SpeakerCopy

_LATE_BYTES: Final = 2 * CANCELLER_DELAY_SAMPLES


class Route(Enum):
    """Which way the microphone goes."""

    DIRECT = "direct"
    CANCELLED = "cancelled"
    THROUGH = "through"
    """As it is, at the time of what is cancelled."""


class Loudspeaker:
    """One call's. `processing` None: there is no canceller."""

    def __init__(self, processing: VoiceProcessing | None) -> None:
        self._processing = processing
        self._far_end = FarEnd()
        self.acoustics = Acoustics()
        self.double_talk = DoubleTalk(self.acoustics, cancelled=processing is not None)
        self.near_voice = NearVoice()
        self.speaker_copy = SpeakerCopy()
        self.muted: Callable[[], bool] = bool
        """Whether nothing of the microphone is sent: then nobody needs the speaker to be ducked."""
        self.route = Route.DIRECT
        self._speaker_gain = self._gate_gain = 1.0
        self._end_before = bytes(_LATE_BYTES)
        self._far_heard = False
        self._suppresses = self._raises = False

    def playing(self, pull: Pull, clock: Callable[[], float], latency_s: Callable[[], float]) -> Pull:
        """`pull` for the speaker: as `latency_s` after `clock` it is heard."""

        def pulled(samples: int) -> bytes:
            return self.far(pull(samples), clock() + latency_s())

        return pulled

    def hear(self, pcm: bytes, captured_at: float) -> tuple[bytes, float]:
        """Some ticks of the microphone as they are to be sent, and until when what is in them was captured."""
        return self.near(pcm, captured_at), captured_at - self.delay_s

    @property
    def delay_s(self) -> float:
        """By how much the microphone is later for it."""
        late = 0 if self.route is Route.DIRECT else CANCELLER_DELAY_SAMPLES
        return (late + SUPPRESSOR_DELAY_SAMPLES * self._suppresses) / media.SAMPLE_RATE_HZ

    def copied(self) -> bool:
        """Whether the microphone is a copy of what is played."""
        return self.speaker_copy.found

    def far(self, pcm: bytes, playout_at: float) -> bytes:
        """Sound of the other side that is heard from `playout_at` on: as it is to be played."""
        duck_db = 0.0 if self.muted() else self.double_talk.duck_db
        if duck_db or self._speaker_gain < 1:
            gain = gain_of(-duck_db)
            pcm, self._speaker_gain = with_gain(pcm, self._speaker_gain, gain), gain
        self._far_end.played(pcm, playout_at)
        return pcm

    def near(self, pcm: bytes, captured_at: float) -> bytes:
        """Some ticks of the microphone, captured until `captured_at`: as they are to be sent."""
        size = media.TICK_BYTES
        left = len(pcm) // size
        return b"".join(
            self._tick(pcm[at : at + size], captured_at - (left - 1 - at // size) * media.TICK_S)
            for at in range(0, len(pcm), size)
        )

    def _tick(self, pcm: bytes, captured_at: float) -> bytes:
        sound = self._processed(pcm, captured_at)
        return SILENT_TICK if self.speaker_copy.found else sound

    def _processed(self, pcm: bytes, captured_at: float) -> bytes:
        far = self._far_end.heard(captured_at)
        near_features, far_features = level_and_colour_db(pcm), level_and_colour_db(far)
        near_db, far_db = near_features[0], far_features[0]
        room, talk, processing = self.acoustics, self.double_talk, self._processing
        room.tick(near_features, far_features, ducked=self._speaker_gain < 1)
        self.speaker_copy.tick(pcm, far, room.lag if room.echo else None)
        if processing is None:
            talk.tick(near_db, far_db, near_db)
            return self._gated(pcm)
        self._far_heard = self._far_heard or far_db > acoustic.ECHO_FAR_LEAST_DB
        cancels = self._far_heard and room.echo is not False and room.worth_learning
        left = pcm
        if cancels:
            processing.far(far)
            left = processing.cancel(pcm)
        talk.tick(near_db, far_db, level_db(left) if cancels else near_db)
        self.near_voice.tick(near_db, room.noise_db, talking=talk.talking)
        route = Route.DIRECT
        if (
            cancels and room.echo
        ):  # until an echo is found the canceller only learns: it would hollow who speaks
            route = Route.THROUGH if talk.through else Route.CANCELLED
        sound = self._routed(route, pcm, left)
        sound = self._stage(processing.suppress, self._suppresses, self.near_voice.noisy, sound)
        sound = self._stage(processing.raise_voice, self._raises, self.near_voice.faint, sound)
        self._suppresses, self._raises = self.near_voice.noisy, self.near_voice.faint
        return sound

    def _routed(self, route: Route, pcm: bytes, left: bytes) -> bytes:
        late = (self._end_before + pcm)[: media.TICK_BYTES]
        self._end_before = pcm[-_LATE_BYTES:]
        sounds = {Route.DIRECT: pcm, Route.CANCELLED: left, Route.THROUGH: late}
        before, self.route = self.route, route
        return sounds[route] if route is before else crossfaded(sounds[before], sounds[route])

    @staticmethod
    def _stage(process: Callable[[bytes], bytes], used: bool, wanted: bool, pcm: bytes) -> bytes:
        if not (used or wanted):
            return pcm
        done = process(pcm)
        if used and wanted:
            return done
        return crossfaded(pcm, done) if wanted else crossfaded(done, pcm)

    def _gated(self, pcm: bytes) -> bytes:
        """Without a canceller: the microphone lower while the far end is heard in it, unless somebody speaks here."""
        talk, room = self.double_talk, self.acoustics
        closed = room.echo is not False and not talk.talking and talk.echo_db > room.noise_db
        before, self._gate_gain = self._gate_gain, gain_of(-acoustic.GATE_DB) if closed else 1.0
        return pcm if before == self._gate_gain == 1 else with_gain(pcm, before, self._gate_gain)
