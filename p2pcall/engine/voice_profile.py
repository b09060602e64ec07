"""What voice is sent for, and who has to know: the sender, the pacer, the microphone.

Leaves out who switches it (`controls`), and what follows for frames, bits and copies (`media`).
"""

from typing import Final

from p2pcall.engine.audio_send import AudioSend
from p2pcall.engine.send_pacer import HOLD_PER_TICK_S, HOLD_S, TICK_HOLD_S, SendPacer
from p2pcall.engine.sound import SupervisedSource
from p2pcall.types import Profile

TRADES: Final = {
    Profile.FAST: "fast: shortest delay, more data",
    Profile.NORMAL: "normal: short delay, little loss",
    Profile.SAFE: "safe: loss unheard, more delay",
}
"""Each profile in so few words that a line of 40 cells holds them beside a short name."""


class VoiceProfile:
    """`use` a profile; `follow` after each report."""

    def __init__(self, send: AudioSend, pacer: SendPacer, microphone: SupervisedSource) -> None:
        self._send, self._pacer, self._microphone = send, pacer, microphone
        self._pieces = (0, False)
        send.on_frame_ticks = self._hold

    def use(self, profile: Profile) -> None:
        """From the next frame on."""
        self._send.profile = profile
        self._hold(self._send.frame_ticks)
        self.follow()

    def follow(self) -> None:
        """Have pieces of the length that is wanted now."""
        pieces = self._send.piece_ticks, self._send.profile is Profile.FAST
        if pieces != self._pieces:
            self._pieces = pieces
            self._microphone.in_pieces_of(pieces[0], prompt=pieces[1])

    def _hold(self, frame_ticks: int) -> None:
        """As long as it may take to encode such frames, whatever is in them."""
        self._pacer.hold_s = TICK_HOLD_S if frame_ticks == 1 else max(HOLD_S, frame_ticks * HOLD_PER_TICK_S)
