"""Where in the sound there are pauses: a delay that changes there is not heard; and how loud the room is.

Rule: a pause is quiet against the loudest of the last seconds, or quiet for any ear. Leaves out measuring how loud a
frame is, and what is done in a pause (`jitter`).
"""

from p2pcall.media import constants as c


class Pauses:
    """Told how loud each frame is, as the root of its mean square (0 to 32,768)."""

    def __init__(self) -> None:
        self._loudest = 0.0
        self._quiet_ticks = 0
        self.quiet = False
        """What was decoded last belongs to a pause."""
        self.level = 0.0
        """How loud the last pause was."""

    def heard(self, rms: float, ticks: int) -> None:
        """Take note of a frame of so many ticks."""
        loudest = self._loudest * c.QUIET_FORGET**ticks
        self._loudest = loudest = rms if rms > loudest else loudest
        if rms >= c.QUIET_RMS and rms >= c.QUIET_BELOW * loudest:
            self._quiet_ticks, self.quiet = 0, False
            return
        self._quiet_ticks += ticks
        self.quiet = self._quiet_ticks >= c.QUIET_TICKS
        if self.quiet:
            self.level += (rms - self.level) * c.QUIET_LEVEL_GAIN * ticks
