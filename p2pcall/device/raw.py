"""What raw PCM on a pipe is. Pure, and light: the command line reads it before anything heavy is imported."""

from typing import Final

from msgspec import Struct

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import SAMPLE_RATE_HZ

RATE_HZ: Final = SAMPLE_RATE_HZ
"""What calls have; the rate unless another one is given."""
RATES: Final = range(4_000, 384_001)
MAX_CHANNELS: Final = 64
SAMPLES: Final = {"s16le": ("s16", "<i2"), "f32le": ("flt", "<f4")}
"""Name of a sample form -> FFmpeg's and numpy's."""


class RawFormat(Struct, frozen=True):
    """What raw PCM on a pipe is, as `--audio-format` says it."""

    samples: str = "s16le"
    rate_hz: int = RATE_HZ
    channels: int = 1

    @classmethod
    def parse(cls, text: str) -> "RawFormat":
        """From `s16le:48000:1`; rate and channels may be left out. P2PCallError (exit 2) for anything else."""
        samples, *numbers = text.split(":")
        if samples in SAMPLES and len(numbers) <= 2 and all(number.isdecimal() for number in numbers):
            rate, channels = [int(number) for number in numbers] + [RATE_HZ, 1][len(numbers) :]
            if rate in RATES and 1 <= channels <= MAX_CHANNELS:
                return cls(samples, rate, channels)
        hint = "s16le:48000:1 or f32le:44100:2, for example"
        raise P2PCallError("usage", f"--audio-format: {text!r} is none", ExitCode.USAGE, hint)
