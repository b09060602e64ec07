"""A recording as sound and pictures again: packets to what was heard on both sides, in the order of time.

Each direction has its place in time by the numbers of its frames; where these leave the time at which packets came,
time is right, so that wrong numbers make no endless silence. Frames that a packet repeats fill what was lost; what is
lost still is concealed for a moment and then silent. Left out: the file (`store`), devices and formats (`cli`).
"""

from array import array
from collections.abc import Iterable, Iterator
from math import inf
from typing import Final, NamedTuple

from msgspec import Struct

from p2pcall.codec.opus import OpusDecoder
from p2pcall.media.constants import PCM_MAX, TICK_BYTES, TICK_MS
from p2pcall.media.packets import parse_audio
from p2pcall.store.recordings import Entry, Track

REORDER_TICKS: Final = 100
"""A second: so late a packet, or a repeated frame, is still put in its place."""
RESYNC_TICKS: Final = 200
"""Two seconds between numbers and time are an error of the numbers; a call's delay changes by less."""
CONCEALED_TICKS: Final = 6
"""What is lost beyond 60 ms is silent: made-up sound is a drone by then."""
SOUND_TRACKS: Final = (Track.SOUND_SENT, Track.SOUND_RECEIVED)
PICTURE_TRACKS: Final = (Track.PICTURE_RECEIVED, Track.KEY_PICTURE_RECEIVED)
"""Those that were shown here."""


class PlacedFrame(NamedTuple):
    """One frame of Opus and when it begins, in ticks since the recording began."""

    tick: int
    ticks: int
    data: bytes


class Placing:
    """One direction's frames, each once and in order: `put` packets, `take` frames."""

    def __init__(self) -> None:
        self._shift: int | None = None
        self._waiting: dict[int, PlacedFrame] = {}
        self._next = 0

    def put(self, at_ms: int, payload: bytes) -> None:
        """A packet that was sent or came at that time; what is malformed is left out."""
        packet = parse_audio(payload)
        if packet is None:
            return
        at = at_ms // TICK_MS
        if self._shift is None or abs(packet.tick + self._shift - at) > RESYNC_TICKS:
            self._shift = at - packet.tick
        for frame in packet.frames():
            tick = frame.tick + self._shift
            if tick >= self._next:
                self._waiting.setdefault(tick, PlacedFrame(tick, frame.ticks, frame.data))

    def take(self, before: float) -> Iterator[PlacedFrame]:
        """The frames that begin before this tick."""
        for tick in sorted(tick for tick in self._waiting if tick < before):
            frame = self._waiting.pop(tick)
            if tick >= self._next:
                self._next = tick + frame.ticks
                yield frame


class _Voice:
    """One direction as PCM."""

    def __init__(self) -> None:
        self.placing = Placing()
        self._decoder = OpusDecoder()
        self._end = 0
        """In ticks."""
        self._pcm = bytearray()
        self._sounds = False
        """It ends with sound, which can be continued."""

    def play(self, before: float) -> None:
        """Decode all that begins before this tick."""
        for frame in self.placing.take(before):
            self._gap(frame.tick - self._end)
            sound = self._decoder.decode(frame.data)
            self._pcm += sound
            self._sounds = True
            self._end += len(sound) // TICK_BYTES

    def _gap(self, ticks: int) -> None:
        if ticks > 0:
            made_up = min(ticks, CONCEALED_TICKS) if self._sounds else 0
            self._pcm += self._decoder.conceal(made_up) if made_up else b""
            self._pcm += bytes((ticks - made_up) * TICK_BYTES)
            self._end += ticks

    @property
    def size(self) -> int:
        """Bytes of PCM that wait."""
        return len(self._pcm)

    def cut(self, size: int) -> bytes:
        """The first `size` bytes, with silence behind what there is."""
        piece = bytes(self._pcm[:size])
        del self._pcm[:size]
        missing = size - len(piece)
        self._sounds = self._sounds and not missing
        self._end += missing // TICK_BYTES
        return piece + bytes(missing)


class PlayedPiece(NamedTuple):
    """A piece of both directions, equally long; and the pictures that were shown before its end."""

    sent: bytes
    received: bytes
    pictures: tuple[Entry, ...] = ()


def pieces(entries: Iterable[Entry]) -> Iterator[PlayedPiece]:
    """The whole recording in pieces, in the order of time."""
    voices = {track: _Voice() for track in SOUND_TRACKS}
    pictures: list[Entry] = []
    done, at = 0, 0

    def piece(before: float) -> PlayedPiece | None:
        nonlocal done, pictures
        for voice in voices.values():
            voice.play(before)
        if before == inf:
            size = max(voice.size for voice in voices.values())
        else:
            size = max(0, int(before) - done) * TICK_BYTES
        done += size // TICK_BYTES
        sounds = [voice.cut(size) for voice in voices.values()]
        shown = tuple(one for one in pictures if one.at_ms < done * TICK_MS or before == inf)
        pictures = [one for one in pictures if one not in shown]
        return PlayedPiece(sounds[0], sounds[1], shown) if size or shown else None

    for entry in entries:
        at = max(at, entry.at_ms // TICK_MS)
        if entry.track in voices:
            voices[entry.track].placing.put(entry.at_ms, entry.data)
        elif entry.track in PICTURE_TRACKS:
            pictures.append(entry)
        if at - REORDER_TICKS > done and (made := piece(at - REORDER_TICKS)) is not None:
            yield made
    if (made := piece(inf)) is not None:
        yield made


def both(piece: PlayedPiece) -> bytes:
    """Both directions at once, for one ear."""
    mixed_in = zip(array("h", piece.sent), array("h", piece.received), strict=True)
    return array("h", [max(-PCM_MAX, min(PCM_MAX, one + other)) for one, other in mixed_in]).tobytes()


def side_by_side(piece: PlayedPiece) -> bytes:
    """Two channels: left what was sent, right what came."""
    out = array("h", bytes(2 * len(piece.sent)))
    out[::2], out[1::2] = array("h", piece.sent), array("h", piece.received)
    return out.tobytes()


class Contents(Struct):
    """What is in a recording."""

    seconds: float = 0.0
    pictures: int = 0


def contents(entries: Iterable[Entry]) -> Contents:
    """Read everything once: whether it is whole is known afterwards."""
    found = Contents()
    for entry in entries:
        found.seconds = max(found.seconds, entry.at_ms / 1000)
        found.pictures += entry.track in PICTURE_TRACKS
    return found
