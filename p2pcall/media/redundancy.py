"""Packets of voice: the newest frame and the earlier ones that travel along by the level.

Rule: `payload_bytes`, to which the line pads, follows from the level and the packet's number alone, never from what
is said, nor from how many frames there have been. Leaves out which level that is (`voice_control`). The idea is RFC
2198's; the receiver takes the copy instead of concealing.
"""

from collections import deque

from p2pcall.media import constants as c
from p2pcall.media.packets import pack_audio
from p2pcall.media.voice_levels import VoiceLevel


class Redundancy:
    """The sender's side: `packet` once a frame."""

    def __init__(self, level: VoiceLevel) -> None:
        self._number = 0
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=c.MAX_COPY_DISTANCE)
        self.payload_bytes = 0
        """To what size the last packet is to be padded."""
        self._use(level)

    @property
    def level(self) -> VoiceLevel:
        """What frames come in now, and how many copies of them travel."""
        return self._level

    @level.setter
    def level(self, level: VoiceLevel) -> None:
        if level.rung is not self._level.rung:  # the frames before are of another size
            self._sent.clear()
        self._use(level)

    def _use(self, level: VoiceLevel) -> None:
        self._level = level
        self._frame_bytes = level.rung.frame_bytes
        self._sizes = [level.payload_bytes(number) for number in range(level.rung.room_every)]

    def packet(self, tick: int, frame: bytes, capture_ms: int) -> bytes:
        """The payload for `frame`, with the copies that there are; ValueError if the frame is not of the level's
        size.
        """
        if len(frame) != self._frame_bytes:
            raise ValueError(f"a frame of {len(frame)} bytes would show in the size of its packet")
        copies = [(0, frame)]
        distances = self._level.distances
        if distances:
            earlier = dict(self._sent)
            for distance in distances:
                data = earlier.get(tick - distance)
                if data is not None:
                    copies.append((distance, data))
        payload = pack_audio((tick, capture_ms, copies))
        self._sent.append((tick, frame))
        self.payload_bytes = self._sizes[self._number % len(self._sizes)]
        self._number += 1
        return payload
