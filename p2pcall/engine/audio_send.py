"""Voice of one call, sent: microphone pieces to payloads.

The microphone is the send clock: it calls in once per piece, in the loop's thread. Nothing here waits, and nothing here
decides about frames, bits and copies: that is `media`.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from p2pcall.codec.opus import OpusEncoder, OpusForm
from p2pcall.media import constants as media
from p2pcall.media.packets import Report
from p2pcall.media.redundancy import Redundancy
from p2pcall.media.voice_control import VoiceControl
from p2pcall.types import Profile

MAX_UNNUMBERED_S: Final = 600.0
"""A capture clock that jumps by more than this is broken; the numbers go on without it."""


class AudioSend:
    """Encodes frames as the level wants them from whatever pieces come, each a whole number of ticks, and hands each
    packet to `send`, with the size that it is to be padded to.

    Muted frames are encoded silence: same cadence, same size. Frames are numbered by the capture clock: while
    capture stood still, numbers are left out, so that the other side takes what follows for a gap and not for an
    ever later stream; what was gathered for a frame before a gap is left out with it.
    """

    def __init__(
        self,
        send: Callable[[bytes, int], None],
        session_ms: Callable[[float], int],
        profile: Profile = Profile.NORMAL,
        *,
        music: bool = False,
    ) -> None:
        self._send = self._untapped = send
        self._session_ms = session_ms
        self._control = VoiceControl(profile)
        self._level = self._control.level
        self._redundancy = Redundancy(self._level)
        self._encoder = OpusEncoder(OpusForm(*self._level.rung[:4]), music=music)
        self._frame_bytes = self._level.rung.ticks * media.TICK_BYTES
        self._silence = bytes(self._frame_bytes)
        self._gathered = b""
        self._short = False
        self._tick = 0
        self._captured_at = inf
        self.muted = False
        self.on_frame_ticks: Callable[[int], None] | None = None
        """Told how long frames are from the next one on, before it is encoded."""

    def on_frame(self, pcm: bytes, captured_at: float) -> None:
        """A piece of the microphone's, of any whole number of ticks, captured until `captured_at`."""
        gap_s = captured_at - len(pcm) * _S_PER_BYTE - self._captured_at
        if (
            media.CAPTURE_GAP_S <= gap_s < MAX_UNNUMBERED_S
        ):  # so many whole ticks capture has missed before this one
            self._tick += int(gap_s / media.TICK_S + 0.5) + len(self._gathered) // media.TICK_BYTES
            self._gathered = b""
        self._captured_at = captured_at
        if not self._gathered:
            if (len(pcm) == media.TICK_BYTES) is not self._short:
                self._short = self._control.pieces_of_a_tick = not self._short
            if self._control.level is not self._level:
                self._change()
        pcm = self._gathered + pcm
        redundancy, size = self._redundancy, self._frame_bytes
        while (left := len(pcm) - size) >= 0:
            data = self._encoder.encode(self._silence if self.muted else pcm[:size])
            packet = redundancy.packet(self._tick, data, self._session_ms(captured_at - left * _S_PER_BYTE))
            self._tick += self._level.rung.ticks
            self._send(packet, redundancy.payload_bytes)
            pcm = pcm[size:]
        self._gathered = pcm

    def _change(self) -> None:
        """Between two frames: the next one is of the level that is wanted now."""
        level = self._redundancy.level = self._control.level
        if level.rung is not self._level.rung:
            self._encoder.form = OpusForm(*level.rung[:4])
            self._frame_bytes = level.rung.ticks * media.TICK_BYTES
            self._silence = bytes(self._frame_bytes)
        self._level = level
        if self.on_frame_ticks is not None:
            self.on_frame_ticks(level.rung.ticks)

    def tap(self, taker: Callable[[bytes], None] | None) -> None:
        """Give each packet that is sent to `taker`, too; None: no longer."""
        send = self._send = self._untapped
        if taker is not None:

            def both(packet: bytes, size: int) -> None:
                send(packet, size)
                taker(packet)

            self._send = both

    @property
    def next_tick(self) -> int:
        """The first tick of the frame that comes next."""
        return self._tick

    @property
    def frame_ticks(self) -> int:
        """How long frames are now."""
        return self._level.rung.ticks

    @property
    def piece_ticks(self) -> int:
        """How long the pieces should be."""
        return 1 if self._control.wants_pieces_of_a_tick else 2

    @property
    def profile(self) -> Profile:
        """What voice is sent for."""
        return self._control.profile

    @profile.setter
    def profile(self, profile: Profile) -> None:
        self._control.profile = profile

    def on_report(self, report: Report, rtt_s: float | None, now: float, *, filming: bool = False) -> None:
        """What the other side says of what has come: other frames, bits or copies from the next frame on."""
        queue_s = report.queue_ms / 1000
        self._control.on_report(report.loss, report.burst_ticks, queue_s, rtt_s, now, filming=filming)


_S_PER_BYTE: Final = media.TICK_S / media.TICK_BYTES
