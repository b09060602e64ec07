"""Voice of one call, sent: microphone frames to payloads.

The microphone is the send clock: it calls in once per frame, in the loop's thread. Nothing here waits, and nothing here
decides about redundancy: that is `media`.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from p2pcall.codec.opus import OpusEncoder
from p2pcall.device.base import SILENT_FRAME
from p2pcall.media import constants as media
from p2pcall.media.redundancy import Redundancy

MAX_UNNUMBERED_S: Final = 600.0
"""A capture clock that jumps by more than this is broken; the numbers go on without it."""


class AudioSend:
    """Encodes each microphone frame and hands the packet to `send`, with the size that it is to be padded to.

    Muted frames are encoded silence: same cadence, same size. Frames are numbered by the capture clock: while
    capture stood still, numbers are left out, so that the other side takes what follows for a gap and not for an
    ever later stream.
    """

    def __init__(self, send: Callable[[bytes, int], None], session_ms: Callable[[float], int]) -> None:
        self._send = send
        self._session_ms = session_ms
        self._encoder = OpusEncoder()
        self._redundancy = Redundancy()
        self._tick = 0
        self._expected_at = inf
        self.muted = False

    def on_frame(self, pcm: bytes, captured_at: float) -> None:
        """One microphone frame (1,920 bytes), captured until `captured_at`."""
        data = self._encoder.encode(SILENT_FRAME if self.muted else pcm)
        gap_s = captured_at - self._expected_at
        if (
            media.CAPTURE_GAP_S <= gap_s < MAX_UNNUMBERED_S
        ):  # so many whole ticks capture has missed before this one
            self._tick += int(gap_s / media.TICK_S + 0.5)
        self._expected_at = captured_at + media.FRAME_S
        packet = self._redundancy.packet(self._tick, data, self._session_ms(captured_at))
        self._send(packet, self._redundancy.payload_bytes)
        self._tick += 2

    @property
    def next_tick(self) -> int:
        """The first tick of the frame that comes next."""
        return self._tick

    def on_loss(self, fraction: float) -> None:
        """What the other side says it lost (0..1): more or fewer copies travel with each frame."""
        self._redundancy.on_loss(fraction)
