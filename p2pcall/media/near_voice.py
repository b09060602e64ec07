"""What the near voice needs: less noise, or to be louder.

Rule: what is well as it is stays as it is, for noise suppression takes time and both cost clarity. Leaves out doing
it.
"""

from p2pcall.media import acoustic_constants as acoustic


class NearVoice:
    """Told of every tick."""

    def __init__(self) -> None:
        self._ticks = self._voice_ticks = 0
        self._loudest_db = acoustic.LEVEL_LEAST_DB
        self.noisy = False
        """There is noise to be suppressed."""
        self.faint = False
        """The voice is to be brought up."""

    def tick(self, level_db: float, noise_db: float, *, talking: bool) -> None:
        """The microphone's level, and that of its noise; `talking`: it hears a voice."""
        self._ticks += 1
        if self._ticks >= acoustic.NOISE_KNOWN_TICKS:
            self.noisy = noise_db >= (acoustic.NOISY_UNTIL_DB if self.noisy else acoustic.NOISY_FROM_DB)
        if not talking:
            return
        self._voice_ticks += 1
        self._loudest_db = max(level_db, self._loudest_db - acoustic.VOICE_FORGET_DB)
        if self._voice_ticks >= acoustic.VOICE_KNOWN_TICKS:
            self.faint = self._loudest_db < (
                acoustic.FAINT_UNTIL_DB if self.faint else acoustic.FAINT_BELOW_DB
            )
