"""Where in the sound there are pauses: a delay that shrinks there is not heard.

Rule: a pause is quiet against the loudest of the last seconds, or quiet for any ear. Leaves out measuring how loud a
frame is, and what is done in a pause (`jitter`).
"""

from p2pcall.media import constants as c


class Pauses:
    """Told how loud each frame is, as the root of its mean square (0 to 32,768)."""

    def __init__(self) -> None:
        self._loudest = 0.0
        self._quiet_frames = 0
        self.quiet = False
        """What was played last belongs to a pause."""

    def played(self, rms: float) -> None:
        """Take note of a frame."""
        self._loudest = max(rms, self._loudest * c.QUIET_FORGET)
        pause = rms < max(c.QUIET_RMS, c.QUIET_BELOW * self._loudest)
        self._quiet_frames = self._quiet_frames + 1 if pause else 0
        self.quiet = self._quiet_frames >= c.QUIET_FRAMES
