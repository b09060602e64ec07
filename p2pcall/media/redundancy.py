"""How many earlier frames each packet of sound carries, by the loss that the other side reports.

Rule: there is always at least one copy of an earlier frame, more at once when loss goes up, one step less
only after several good reports. The size of the packets (`payload_bytes`, to which the line pads) follows from
the level alone, never from what is said, nor from how many frames there have been. Leaves out when reports
come and what loss is (`stats`). The idea is RFC 2198's; the receiver takes the copy instead of concealing.
"""

from collections import deque
from typing import Final

from p2pcall.media import constants as c
from p2pcall.media.packets import pack_audio


def voice_payload_bytes(level: int) -> int:
    """Size of a packet of voice with all the copies of a redundancy level, and the room beside it."""
    frames = 1 + len(c.REDUNDANCY_LEVELS[level])
    return c.AUDIO_HEADER_BYTES + frames * (c.AUDIO_COPY_HEADER_BYTES + c.VOICE_FRAME_BYTES) + c.SLACK_BYTES


_PAYLOAD_BYTES: Final = tuple(map(voice_payload_bytes, range(len(c.REDUNDANCY_LEVELS))))


class Redundancy:
    """The sender's side: `packet` once a frame, `on_loss` once a report."""

    def __init__(self) -> None:
        self._level = 0
        self._good_reports = 0
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=max(map(max, c.REDUNDANCY_LEVELS)))

    @property
    def copies(self) -> int:
        """Earlier frames in each packet now."""
        return len(c.REDUNDANCY_LEVELS[self._level])

    @property
    def payload_bytes(self) -> int:
        """To what size packets are to be padded now."""
        return _PAYLOAD_BYTES[self._level]

    def packet(self, tick: int, frame: bytes, capture_ms: int) -> bytes:
        """The payload for `frame`, with the copies that there are; ValueError if the frame is too long."""
        if len(frame) > c.VOICE_FRAME_BYTES:
            raise ValueError(f"a frame of {len(frame)} bytes would show in the size of its packet")
        copies = [(0, frame)]
        earlier = dict(self._sent)
        for distance in c.REDUNDANCY_LEVELS[self._level]:
            data = earlier.get(tick - distance)
            if data is not None:
                copies.append((distance, data))
        payload = pack_audio((tick, capture_ms, copies))
        self._sent.append((tick, frame))
        return payload

    def on_loss(self, fraction: float) -> None:
        """Take note of a report: the part (0..1) of our packets that was missed in the last interval."""
        wanted = sum(fraction >= limit for limit in c.REDUNDANCY_RAISE_AT)
        if wanted > self._level:
            self._level = wanted
            self._good_reports = 0
        elif self._level and fraction < c.REDUNDANCY_LOWER_AT[self._level - 1]:
            self._good_reports += 1
            if self._good_reports >= c.REDUNDANCY_LOWER_AFTER:
                self._level -= 1
                self._good_reports = 0
        else:
            self._good_reports = 0
