"""What is heard when nothing comes: what was made up fades, the room's noise goes on, and in the end it is still.

Rules: the noise is as loud as the last pause, within a bound; it is the same in every call. Leaves out making up
sound (`codec`) and when it is time for which (`jitter.Silence`).
"""

from operator import add, mul
from struct import pack, unpack
from typing import Final

from p2pcall.media import constants as c
from p2pcall.media.loudness import with_gain

STILL: Final = bytes(c.TICK_BYTES)


def faded_in(pcm: bytes) -> bytes:
    """Sound that begins out of silence."""
    size = 2 * c.FADE_IN_SAMPLES
    return with_gain(pcm[:size], 0.0, 1.0) + pcm[size:]


class ComfortNoise:
    """A room in which nobody speaks, tick by tick."""

    def __init__(self) -> None:
        self._noise: list[float] = []
        """Of a mean square of 1, made when it is first wanted: it takes some milliseconds."""
        self._place = 0

    def tick(self, level: float, since: int, made_up: bytes = STILL) -> bytes:
        """What is heard so many ticks after the sound was gone, where pauses were so loud; what is still `made_up` is
        heard less and less in it.
        """
        if not self._noise:
            self._noise = _noise()
        level = min(level, c.NOISE_RMS) * min(1.0, (c.JITTER_NOISE_TICKS - since) / c.JITTER_FADE_TICKS)
        if level < 1 and made_up is STILL:
            return STILL
        place = self._place
        self._place = (place + c.TICK_SAMPLES) % (c.NOISE_SAMPLES - c.TICK_SAMPLES)
        room = [int(level * sample) for sample in self._noise[place : place + c.TICK_SAMPLES]]
        left = c.JITTER_FADE_TICKS - since
        if left > 0:
            fading = with_gain(made_up, left / c.JITTER_FADE_TICKS, (left - 1) / c.JITTER_FADE_TICKS)
            both = map(add, room, unpack(f"<{c.TICK_SAMPLES}h", fading))
            room = [max(-c.PCM_MAX, min(c.PCM_MAX, sample)) for sample in both]
        return pack(f"<{c.TICK_SAMPLES}h", *room)


def _noise() -> list[float]:
    """White noise, a little softened: the mean of each two."""
    state, samples, earlier = 1, [], 0.0
    for _ in range(c.NOISE_SAMPLES):
        state = (state * c.NOISE_MULTIPLIER + c.NOISE_INCREMENT) % c.NOISE_MODULUS
        sample = state / c.NOISE_MODULUS - 0.5
        samples.append(sample + earlier)
        earlier = sample
    rms = (sum(map(mul, samples, samples)) / len(samples)) ** 0.5
    return [sample / rms for sample in samples]
