"""Who speaks, where the far end comes out of a loudspeaker; what to do with microphone and speaker then.

Rules: while the near side speaks over an echo the speaker is ducked, until the echo lies well below the voice; and a
voice that is far above the echo goes by the canceller, for cancellers hollow it (PESQ 1.1 to 1.7, against 3 and more
for a voice over an echo of -30 dB). As soon as the echo could be heard beside it, it is cancelled again. Leaves out
whether there is an echo, how loud and when (`acoustics`).
"""

from collections import deque
from typing import Final

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media.acoustics import Acoustics

_LOOKED_BACK: Final = acoustic.ECHO_LAG_TICKS + 2 * acoustic.ECHO_SPREAD_TICKS


class DoubleTalk:
    """Told of every tick, after `acoustics` was."""

    def __init__(self, acoustics: Acoustics, *, cancelled: bool) -> None:
        """`cancelled`: there is a canceller; levels of what it leaves tell of a voice earlier than the microphone's."""
        self._acoustics = acoustics
        self._cancelled = cancelled
        self._far: deque[float] = deque([acoustic.LEVEL_LEAST_DB] * _LOOKED_BACK, maxlen=_LOOKED_BACK)
        self._voice_ticks = self._hold = self._above = self._settling = 0
        self._voice_db = acoustic.LEVEL_LEAST_DB
        self.echo_db = acoustic.LEVEL_LEAST_DB
        """How loud the echo in the microphone's tick may be."""
        self.duck_db = 0.0
        """By how much the speaker is to be lower."""
        self.through = False
        """The microphone's tick need not be cancelled."""

    @property
    def talking(self) -> bool:
        """Somebody speaks here, or did a moment ago."""
        return self._hold > 0

    def tick(self, near_db: float, far_db: float, left_db: float) -> None:
        """`left_db`: what the canceller has left of the microphone's tick; without one, the same as `near_db`."""
        room = self._acoustics
        self._far.append(far_db)
        first = max(0, _LOOKED_BACK - 1 - room.lag - acoustic.ECHO_SPREAD_TICKS)
        around = [
            self._far[at]
            for at in range(first, min(first + 2 * acoustic.ECHO_SPREAD_TICKS + 1, _LOOKED_BACK))
        ]
        self.echo_db = max(max(around) + room.coupling_db, self.echo_db - acoustic.ECHO_DECAY_DB)
        self._settle()
        settled = self._settling >= acoustic.TALK_SETTLED_TICKS
        over = acoustic.TALK_OVER_ECHO_DB if settled else acoustic.TALK_OVER_ECHO_UNCANCELLED_DB
        voice = left_db >= max(room.noise_db + acoustic.TALK_OVER_NOISE_DB, self.echo_db + over)
        self._voice_ticks = self._voice_ticks + 1 if voice else 0
        if self._voice_ticks >= acoustic.TALK_CONFIRM:
            self._hold = acoustic.TALK_HOLD_TICKS
            self._voice_db = max(left_db, self._voice_db - acoustic.TALK_FORGET_DB)
        else:
            self._hold = max(0, self._hold - 1)
        self._duck()
        above = self.talking and self._voice_db - self.echo_db >= acoustic.THROUGH_CLEARANCE_DB
        self._above = self._above + 1 if above else 0
        self.through = self._above >= acoustic.THROUGH_CONFIRM

    def _settle(self) -> None:
        """A canceller needs some seconds of sound before what it leaves says who speaks."""
        room = self._acoustics
        if room.echo is False:
            self._settling = 0
        elif self._cancelled and self.echo_db > room.noise_db:
            self._settling += 1

    def _duck(self) -> None:
        room = self._acoustics
        wanted = 0.0
        if self.talking and room.echo:
            echo_db = room.far_loudest_db + room.coupling_db
            wanted = min(
                acoustic.DUCK_MOST_DB, max(0.0, echo_db - self._voice_db + acoustic.DUCK_CLEARANCE_DB)
            )
        self.duck_db = max(wanted, self.duck_db - acoustic.DUCK_RELEASE_DB)
