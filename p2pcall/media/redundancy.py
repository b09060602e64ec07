"""How many earlier frames each packet of sound carries, by the loss that the other side reports.

Rule: there is always at least one copy of an earlier frame, more at once when loss goes up, one step less
only after several good reports. The size of the packets follows from the level alone, never from what is
said. Leaves out when reports come and what loss is (`stats`). The idea is RFC 2198's; the receiver takes
the copy instead of concealing.
"""

from collections import deque

from p2pcall.media import constants as c
from p2pcall.media.packets import AudioCopy, AudioPacket, pack_audio


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

    def packet(self, seq: int, frame: bytes, capture_ms: int) -> bytes:
        """The payload for `frame`, with what copies fit; ValueError if the frame itself does not."""
        copies = [AudioCopy(0, frame)]
        size = c.AUDIO_HEADER_BYTES + c.AUDIO_COPY_HEADER_BYTES + len(frame)
        earlier = dict(self._sent)
        for distance in c.REDUNDANCY_LEVELS[self._level]:
            data = earlier.get(seq - distance)
            if data is None:
                continue
            size += c.AUDIO_COPY_HEADER_BYTES + len(data)
            if size > c.MAX_PAYLOAD_BYTES:
                break
            copies.append(AudioCopy(distance, data))
        payload = pack_audio(AudioPacket(seq, capture_ms, tuple(copies)))
        self._sent.append((seq, frame))
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
