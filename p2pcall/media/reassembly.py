"""Pictures from fragments: what came complete in an order that decodes, and what to ask the sender for.

Rules: a picture is released only if the one before it was (key frames always); what is missing is asked for
a few times and then given up for a key frame, for late video is worth nothing; held at most
VIDEO_MAX_PARTIAL incomplete pictures, VIDEO_MAX_HELD in all, VIDEO_MAX_HELD_BYTES, and what goes over
breaks the chain at the oldest. The sender's side is `FragmentStore`, where nothing is sent again more than
STORE_RESENDS times. Leaves out the decoder: when that cannot go on, it says so through `request_key`.
"""

from collections.abc import Sequence
from math import inf

from msgspec import Struct, field

from p2pcall.media import constants as c
from p2pcall.media.packets import KeyRequest, Nack, VideoFragment, pack_feedback


class CompleteFrame(Struct, frozen=True):
    """A coded picture, whole."""

    frame_id: int
    capture_ms: int
    key: bool
    data: bytes


class _Partial(Struct):
    """A picture on its way; `count` is 0 while only later ones tell that it is missing."""

    born: float
    nack_at: float
    count: int = 0
    capture_ms: int = 0
    key: bool = False
    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    last: float = 0.0
    gap: float = 0.0
    nacks: int = 0

    @property
    def complete(self) -> bool:
        return 0 < self.count == len(self.parts)

    def missing(self) -> tuple[int, ...]:
        return tuple(index for index in range(self.count) if index not in self.parts)


class Reassembler:
    """The receiver's side: `insert` each fragment, send what `poll` gives when `next_poll` says so."""

    def __init__(self) -> None:
        self.rejected = 0
        """Fragments that were too old, doubled, contradictory or of no use without a key frame."""
        self.rtt_s = c.VIDEO_DEFAULT_RTT_S
        """The round trip; whoever measures it sets it."""
        self._frames: dict[int, _Partial] = {}
        self._bytes = 0
        self._next = 0
        self._broken = True
        self._request_at = inf

    @property
    def held(self) -> tuple[int, int]:
        """Pictures and bytes held now."""
        return len(self._frames), self._bytes

    def insert(self, fragment: VideoFragment, now: float) -> list[CompleteFrame]:
        """Take a fragment; the pictures that can be decoded now, in order."""
        if not self._wanted(fragment, now) or not self._mark_missing(fragment, now):
            self.rejected += 1
            return []
        frame = self._frames.get(fragment.frame_id)
        if frame is None:
            frame = self._frames[fragment.frame_id] = _Partial(now, now)
        if not frame.count:
            frame.count, frame.capture_ms, frame.key = fragment.count, fragment.capture_ms, fragment.key
            frame.last = now
        frame.parts[fragment.index] = fragment.data
        frame.size += len(fragment.data)
        self._bytes += len(fragment.data)
        frame.gap = max(frame.gap, now - frame.last)
        frame.last = now
        if not frame.nacks:
            wait = max(c.VIDEO_REORDER_S, c.VIDEO_GAP_FACTOR * frame.gap)
            frame.nack_at = now + min(wait, c.VIDEO_REORDER_MAX_S)
        out = self._release()
        self._bound(now)
        return out

    def poll(self, now: float) -> list[bytes]:
        """The feedback payloads that are due."""
        for frame_id in sorted(self._frames):
            frame = self._frames.get(frame_id)
            if frame is not None and not frame.complete and now >= frame.born + self._give_up_s:
                self._give_up(frame_id, now)
        out: list[bytes] = []
        for frame_id, frame in self._frames.items():
            if frame.complete or frame.nacks >= c.VIDEO_MAX_NACKS or now < frame.nack_at:
                continue
            frame.nacks += 1
            frame.nack_at = now + max(c.VIDEO_NACK_ROUND_TRIPS * self.rtt_s, c.VIDEO_NACK_INTERVAL_S)
            out += _nacks(frame_id, frame)
        if now >= self._key_due:
            self._request_at = now + max(2 * self.rtt_s, c.VIDEO_KEY_INTERVAL_S)
            out.append(pack_feedback(KeyRequest()))
        return out

    def next_poll(self) -> float | None:
        """When `poll` has something to do next; None: not before another fragment comes."""
        due = self._key_due
        for frame in self._frames.values():
            if not frame.complete:
                due = min(due, frame.born + self._give_up_s)
                if frame.nacks < c.VIDEO_MAX_NACKS:
                    due = min(due, frame.nack_at)
        return None if due == inf else due

    def request_key(self, now: float) -> None:
        """The decoder cannot go on: give out nothing and ask until a key frame comes."""
        if not self._broken:
            self._give_up(self._next - 1, now)

    @property
    def _give_up_s(self) -> float:
        wait = max(c.VIDEO_GIVE_UP_S, c.VIDEO_GIVE_UP_ROUND_TRIPS * self.rtt_s)
        return min(wait, c.VIDEO_GIVE_UP_MAX_S)

    @property
    def _key_due(self) -> float:
        """A key frame on its way already is mended rather than asked for again."""
        return inf if not self._broken or self._first_key() is not None else self._request_at

    def _first_key(self, after: int = -1) -> int | None:
        return min((i for i, frame in self._frames.items() if frame.key and i > after), default=None)

    def _wanted(self, fragment: VideoFragment, now: float) -> bool:
        frame_id = fragment.frame_id
        if not 0 <= frame_id - self._next <= c.VIDEO_MAX_JUMP:
            return False
        frame = self._frames.get(frame_id)
        if frame is not None and frame.count:
            told = (frame.count, frame.capture_ms, frame.key)
            agrees = told == (fragment.count, fragment.capture_ms, fragment.key)
            return agrees and fragment.index not in frame.parts
        if not self._broken or fragment.key:
            return True
        base = self._first_key()
        if (
            base is None and self._request_at == inf
        ):  # the first of the call; its key frame may have been overtaken
            self._request_at = now + c.VIDEO_REORDER_S
        return base is not None and frame_id > base

    def _mark_missing(self, fragment: VideoFragment, now: float) -> bool:
        """Hold a place for each picture between; False: too many are missing and this is no key frame."""
        base = self._first_key() if self._broken else self._next
        if base is None:
            return True
        missing: Sequence[int] = range(base, fragment.frame_id)
        if len(missing) <= c.VIDEO_MAX_HELD:
            missing = [frame_id for frame_id in missing if frame_id not in self._frames]
        if len(missing) > c.VIDEO_MAX_GAP:
            self._give_up(fragment.frame_id - 1, now)
            return fragment.key
        for frame_id in missing:
            self._frames[frame_id] = _Partial(now, now + c.VIDEO_REORDER_S)
        return True

    def _release(self) -> list[CompleteFrame]:
        out: list[CompleteFrame] = []
        while True:
            ready = self._next
            frame = None if self._broken else self._frames.get(ready)
            if frame is None or not frame.complete:
                keys = [i for i, held in self._frames.items() if held.key and held.complete]
                if not keys:
                    return out
                ready = min(keys)
                frame = self._frames[ready]
                self._forget([held for held in self._frames if held < ready])
            self._broken = False
            self._next = ready + 1
            self._bytes -= frame.size
            del self._frames[ready]
            data = b"".join(frame.parts[index] for index in range(frame.count))
            out.append(CompleteFrame(ready, frame.capture_ms, frame.key, data))

    def _bound(self, now: float) -> None:
        while True:
            partial = [frame_id for frame_id, frame in self._frames.items() if not frame.complete]
            over = len(partial) > c.VIDEO_MAX_PARTIAL or len(self._frames) > c.VIDEO_MAX_HELD
            if not over and self._bytes <= c.VIDEO_MAX_HELD_BYTES:
                return
            self._give_up(min(partial or self._frames), now)

    def _give_up(self, frame_id: int, now: float) -> None:
        """It will not come: the chain starts again at the first key frame after it, if one is held."""
        key = self._first_key(frame_id)
        keep_from = inf if key is None else key
        self._forget([held for held in self._frames if held < keep_from])
        if key is not None:
            self._next = max(self._next, key)
        self._broken = True
        self._request_at = now if self._request_at == inf else max(now, self._request_at)

    def _forget(self, frame_ids: Sequence[int]) -> None:
        for frame_id in frame_ids:
            self._bytes -= self._frames.pop(frame_id).size


def _nacks(frame_id: int, frame: _Partial) -> list[bytes]:
    missing = frame.missing()
    step = c.MAX_NACK_INDEXES
    pieces = [missing[i : i + step] for i in range(0, len(missing), step)] or [()]
    return [pack_feedback(Nack(frame_id, piece)) for piece in pieces]


class FragmentStore:
    """The sender's side: what was sent lately, for the nacks that come."""

    def __init__(self) -> None:
        self._sent: dict[int, tuple[float, Sequence[bytes], list[int]]] = {}
        self._fragments = 0

    def __len__(self) -> int:
        """Fragments held now."""
        return self._fragments

    def add(self, frame_id: int, payloads: Sequence[bytes], now: float) -> None:
        """Keep a picture's payloads, in the order of their indexes; ValueError if the id was used before."""
        if frame_id in self._sent:
            raise ValueError(f"picture {frame_id} was sent before")
        self._sent[frame_id] = (now, payloads, [0] * len(payloads))
        self._fragments += len(payloads)
        self._expire(now)

    def get(self, frame_id: int, indexes: Sequence[int], now: float) -> list[bytes]:
        """The payloads to send again (no index: all of it); unknown or too often sent ones are left out."""
        self._expire(now)
        if frame_id not in self._sent:
            return []
        _, payloads, resent = self._sent[frame_id]
        out: list[bytes] = []
        for index in indexes or range(len(payloads)):
            if index < len(payloads) and resent[index] < c.STORE_RESENDS:
                resent[index] += 1
                out.append(payloads[index])
        return out

    def _expire(self, now: float) -> None:
        while self._sent:
            oldest = next(iter(self._sent))
            sent_at, payloads, _ = self._sent[oldest]
            if now - sent_at <= c.STORE_S and self._fragments <= c.STORE_FRAGMENTS:
                return
            del self._sent[oldest]
            self._fragments -= len(payloads)
