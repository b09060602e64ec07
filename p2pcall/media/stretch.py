"""Two frames of sound squeezed into one, so that the delay shrinks by a frame without a click.

The result starts as the first frame and ends as the second, so both neighbours fit; in between is one
cross-fade, put where the two differ least (for speech: where it is quiet, or where the pitch happens to
agree). Overlap-add as in WSOLA, with the lag given (one frame) and the place searched. Leaves out
lengthening: concealment does that.
"""

import struct
from itertools import accumulate
from operator import mul
from typing import Final

from p2pcall.media import constants as c

_FORMAT: Final = struct.Struct(f"<{c.FRAME_SAMPLES}h")
_FADE: Final = c.MERGE_FADE_SAMPLES
_STEP: Final = c.MERGE_SEARCH_STEP
_RISE: Final = [(i + 0.5) / _FADE for i in range(_FADE)]
_FALL: Final = [1.0 - gain for gain in _RISE]


def merge(first: bytes, second: bytes) -> bytes:
    """One frame (`FRAME_BYTES` of PCM) for two that follow each other; ValueError for other lengths."""
    if len(first) != c.FRAME_BYTES or len(second) != c.FRAME_BYTES:
        raise ValueError(f"a frame has {c.FRAME_BYTES} bytes")
    a = _FORMAT.unpack(first)
    b = _FORMAT.unpack(second)
    start = _best_start(a, b)
    end = start + _FADE
    faded = map(int, map(sum, zip(map(mul, a[start:end], _FALL), map(mul, b[start:end], _RISE), strict=True)))
    return _FORMAT.pack(*a[:start], *faded, *b[end:])


def _best_start(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Where the squared difference over the length of the fade is least."""
    energy = list(accumulate((x - y) ** 2 for x, y in zip(a[::_STEP], b[::_STEP], strict=True)))
    width = _FADE // _STEP
    sums = [late - early for early, late in zip([0, *energy], energy[width - 1 :], strict=False)]
    return sums.index(min(sums)) * _STEP
