"""What is on the wire above the secure line: sound, fragments of pictures, feedback.

Rules: all integers big-endian; exact lengths; `parse_*` returns None for anything malformed and never
raises; `pack_*` raises ValueError when our own code asks for what cannot be sent. Reserved bits are 0, else
the payload is malformed. Leaves out the channel byte and the encryption (`proto` has them) and what the
bytes of the codecs mean. Spec: the sections AUDIO, VIDEO and FEEDBACK of p2pcall-protocol(7); carrying
earlier frames along is RFC 2198's idea.
"""

import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from msgspec import Struct

from p2pcall.media import constants as c
from p2pcall.media.toc import TICKS_BY_TOC, packet_ticks

_AUDIO: Final = struct.Struct(">IIB")
_COPY: Final = struct.Struct(">BH")
_VIDEO: Final = struct.Struct(">IIHHB")
_NACK: Final = struct.Struct(">BIB")
_REPORT: Final = struct.Struct(">BIIHBHHHHI")
_PLAYED: Final = struct.Struct(">BIH")


def session_ms(seconds: float) -> int:
    """A time of a session as packets have it, held to its field: a device may say that sound is older than the session,
    and a call may be longer than 49 days. What is no number is 0.
    """
    return int(min(c.MAX_U32, max(0.0, seconds * 1000)))


class AudioCopy(NamedTuple):
    """One Opus frame in a packet; its first tick is the packet's `tick` less `distance`."""

    distance: int
    data: bytes


class AudioFrame(NamedTuple):
    """One Opus frame from `tick` on, captured until `capture_ms`; `recovered` if it came along with a later one."""

    tick: int
    ticks: int
    data: bytes
    capture_ms: int
    recovered: bool


_audio_copy: Callable[[tuple[int, bytes]], AudioCopy] = partial(tuple.__new__, AudioCopy)
_audio_frame: Callable[[tuple[int, int, bytes, int, bool]], AudioFrame] = partial(tuple.__new__, AudioFrame)
"""As the classes themselves, which are called for each frame of sound, but without a function of Python's."""


class AudioPacket(NamedTuple):
    """The newest frame (from `tick` on, captured until `capture_ms`) and earlier ones, nearest first."""

    tick: int
    capture_ms: int
    copies: tuple[AudioCopy, ...]

    def frames(self) -> list[AudioFrame]:
        """Every frame in it, newest first, ready for `JitterBuffer.insert`."""
        tick, capture_ms, copies = self
        frames: list[AudioFrame] = []
        newest = 0
        for distance, data in copies:
            ticks = TICKS_BY_TOC[data[0]] or packet_ticks(data)
            if not distance:
                newest = ticks
            at_ms = max(0, capture_ms - (distance + newest - ticks) * c.TICK_MS)
            frames.append(_audio_frame((tick - distance, ticks, data, at_ms, distance > 0)))
        return frames


def pack_audio(packet: tuple[int, int, Sequence[tuple[int, bytes]]]) -> bytes:
    """The payload for channel AUDIO, of an `AudioPacket` or what it has in it. ValueError if it would not parse at the
    other end.
    """
    tick, capture_ms, copies = packet
    least, most = -c.FRAME_LENGTHS[-1], 0
    try:
        parts = [_AUDIO.pack(tick, capture_ms, len(copies))]
        for distance, data in copies:
            ticks = (TICKS_BY_TOC[data[0]] or packet_ticks(data)) if data else 0
            if not ticks or distance > most or distance - ticks < least:
                raise ValueError(f"a frame of {len(data)} bytes, {distance} before, cannot be sent")
            parts += (_COPY.pack(distance, len(data)), data)
            least, most = distance, min(tick, c.MAX_COPY_DISTANCE)
    except struct.error as error:
        raise ValueError("an audio packet that cannot be sent") from error
    payload = b"".join(parts)
    if not 1 <= len(copies) <= c.MAX_AUDIO_COPIES or len(payload) > c.MAX_PAYLOAD_BYTES:
        raise ValueError("an audio packet that cannot be sent")
    return payload


def parse_audio(payload: bytes) -> AudioPacket | None:
    """The packet, or None if malformed: distances start at 0, each frame is one of Opus and ends where the one
    before it in the packet begins, or earlier.
    """
    end = len(payload)
    if not c.AUDIO_HEADER_BYTES <= end <= c.MAX_PAYLOAD_BYTES:
        return None
    tick, capture_ms, count = _AUDIO.unpack_from(payload)
    if not 1 <= count <= c.MAX_AUDIO_COPIES:
        return None
    copies: list[AudioCopy] = []
    offset = c.AUDIO_HEADER_BYTES
    least, most = -c.FRAME_LENGTHS[-1], 0
    for _ in range(count):
        start = offset + c.AUDIO_COPY_HEADER_BYTES
        if start > end:
            return None
        distance, length = _COPY.unpack_from(payload, offset)
        offset = start + length
        if distance > most or length == 0 or offset > end:
            return None
        data = payload[start:offset]
        ticks = TICKS_BY_TOC[data[0]] or packet_ticks(data)
        if not ticks or distance - ticks < least:
            return None
        copies.append(_audio_copy((distance, data)))
        least, most = distance, min(tick, c.MAX_COPY_DISTANCE)
    if offset != end:
        return None
    return AudioPacket(tick, capture_ms, tuple(copies))


class VideoFragment(Struct, frozen=True):
    """A piece of a coded picture. Frame ids go up by one from 0 and never start again within a session."""

    frame_id: int
    capture_ms: int
    index: int
    count: int
    key: bool
    data: bytes


def split_frame(frame_id: int, capture_ms: int, key: bool, data: bytes) -> list[VideoFragment]:
    """A coded picture as fragments of even size, to be sent in this order; ValueError if too big."""
    if not 1 <= len(data) <= c.MAX_VIDEO_FRAME_BYTES:
        raise ValueError(f"a coded picture of {len(data)} bytes cannot be sent")
    count = -(-len(data) // c.VIDEO_FRAGMENT_BYTES)
    size = -(-len(data) // count)
    return [
        VideoFragment(frame_id, capture_ms, index, count, key, data[index * size : (index + 1) * size])
        for index in range(count)
    ]


def pack_fragment(fragment: VideoFragment) -> bytes:
    """The payload for channel VIDEO. ValueError if it would not parse at the other end."""
    index, count, data = fragment.index, fragment.count, fragment.data
    if not (0 <= index < count <= c.MAX_FRAGMENTS and 0 < len(data) <= c.VIDEO_FRAGMENT_BYTES):
        raise ValueError("a video fragment that cannot be sent")
    flags = c.FLAG_KEY if fragment.key else 0
    try:
        return _VIDEO.pack(fragment.frame_id, fragment.capture_ms, index, count, flags) + data
    except struct.error as error:
        raise ValueError("a video fragment that cannot be sent") from error


def video_payload_bytes(payload: bytes) -> int:
    """To what size the payload of a fragment is to be padded: the least class that holds it."""
    return next(size for size in c.VIDEO_PAYLOAD_BYTES if len(payload) <= size)


def parse_fragment(payload: bytes) -> VideoFragment | None:
    """The fragment, or None if malformed."""
    if not c.VIDEO_HEADER_BYTES < len(payload) <= c.VIDEO_HEADER_BYTES + c.VIDEO_FRAGMENT_BYTES:
        return None
    frame_id, capture_ms, index, count, flags = _VIDEO.unpack_from(payload)
    if not index < count <= c.MAX_FRAGMENTS or flags & ~c.FLAG_KEY:
        return None
    return VideoFragment(
        frame_id, capture_ms, index, count, bool(flags & c.FLAG_KEY), payload[c.VIDEO_HEADER_BYTES :]
    )


class Nack(Struct, frozen=True):
    """These fragments of the picture are missing; no index at all means every fragment of it."""

    frame_id: int
    indexes: tuple[int, ...]


class KeyRequest(Struct, frozen=True):
    """Nothing can be decoded until a key frame comes."""


class Report(Struct, frozen=True):
    """What one side received, each REPORT_INTERVAL_S: up to which tick, how many packets, and over the last interval
    `loss` (0..1), the mean run of ticks that were lost, and for how long packets stood in queues on the way.

    `view_width` × `view_height` is how many pixels this side can show; 0 × 0: send no picture.
    """

    audio_highest: int
    audio_received: int
    loss: float
    burst_ticks: float
    queue_ms: float
    jitter_ms: float
    view_width: int
    view_height: int
    video_frames: int


class Played(Struct, frozen=True):
    """How far the speaker is: `next_tick` is the tick of sound that it plays next, `ahead_ms` what it has in hand;
    None: it does not run (yet).
    """

    next_tick: int
    ahead_ms: float | None


class Ask(Struct, frozen=True):
    """How far has the speaker come? The answer is a `Played`."""


Feedback = Nack | KeyRequest | Report | Played | Ask


def pack_feedback(message: Feedback) -> bytes:
    """The payload for channel FEEDBACK. Figures are held to their fields; ValueError for a bad nack."""
    if isinstance(message, KeyRequest):
        return bytes([c.FEEDBACK_KEY])
    if isinstance(message, Ask):
        return bytes([c.FEEDBACK_ASK])
    if isinstance(message, Played):
        stands = message.ahead_ms is None
        ahead = c.PLAYED_STANDS if stands else _held(message.ahead_ms or 0.0, c.PLAYED_STANDS - 1)
        return _PLAYED.pack(c.FEEDBACK_PLAYED, _held(message.next_tick, c.MAX_U32), ahead)
    if isinstance(message, Nack):
        indexes = message.indexes
        if len(indexes) > c.MAX_NACK_INDEXES or any(not 0 <= i < c.MAX_FRAGMENTS for i in indexes):
            raise ValueError("a nack that cannot be sent")
        if not 0 <= message.frame_id <= c.MAX_U32:
            raise ValueError("a nack that cannot be sent")
        head = _NACK.pack(c.FEEDBACK_NACK, message.frame_id, len(indexes))
        return head + struct.pack(f">{len(indexes)}H", *indexes)
    return _REPORT.pack(
        c.FEEDBACK_REPORT,
        _held(message.audio_highest, c.MAX_U32),
        _held(message.audio_received, c.MAX_U32),
        _held(message.loss * c.REPORT_LOSS_ONE, c.REPORT_LOSS_ONE),
        _held(message.burst_ticks, c.MAX_U8),
        _held(message.queue_ms, c.MAX_U16),
        _held(message.jitter_ms * c.REPORT_JITTER_PER_MS, c.MAX_U16),
        _held(message.view_width, c.MAX_U16),
        _held(message.view_height, c.MAX_U16),
        _held(message.video_frames, c.MAX_U32),
    )


def parse_feedback(payload: bytes) -> Feedback | None:
    """The message, or None if malformed."""
    if not payload:
        return None
    kind = payload[0]
    if kind == c.FEEDBACK_KEY and len(payload) == 1:
        return KeyRequest()
    if kind == c.FEEDBACK_ASK and len(payload) == 1:
        return Ask()
    if kind == c.FEEDBACK_PLAYED and len(payload) == _PLAYED.size:
        _, next_tick, ahead = _PLAYED.unpack(payload)
        return Played(next_tick, None if ahead == c.PLAYED_STANDS else ahead)
    if kind == c.FEEDBACK_REPORT and len(payload) == _REPORT.size:
        _, highest, received, loss, burst, queue, jitter, width, height, frames = _REPORT.unpack(payload)
        return Report(
            highest,
            received,
            loss / c.REPORT_LOSS_ONE,
            burst,
            queue,
            jitter / c.REPORT_JITTER_PER_MS,
            width,
            height,
            frames,
        )
    if kind == c.FEEDBACK_NACK and len(payload) >= _NACK.size:
        _, frame_id, n = _NACK.unpack_from(payload)
        if len(payload) != _NACK.size + 2 * n:
            return None
        indexes: Sequence[int] = struct.unpack_from(f">{n}H", payload, _NACK.size)
        return Nack(frame_id, tuple(indexes)) if all(i < c.MAX_FRAGMENTS for i in indexes) else None
    return None


def _held(value: float, most: int) -> int:
    return min(most, max(0, round(value)))
