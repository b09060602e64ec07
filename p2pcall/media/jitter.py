"""The jitter buffer: frames of sound go in as they come, one thing to play comes out each 20 ms.

Two verbs, as in WebRTC's NetEQ: `insert` when a packet comes, `pull` when the speaker wants a frame. The
speaker is the clock: everything moves on pulls, so a network that stands still cannot stop the sound, and
drift between the two sound cards is taken up here.

Rules: delay grows only where a frame is missing anyway (concealed instead of skipped) and shrinks by
merging two frames when it was too deep for a while, in a pause of what is said if one comes soon; what was
concealed while the buffer was empty is taken off again when the frames turn out to be lost, so a loss leaves
no delay behind; at most JITTER_MAX_FRAMES are held, the oldest go; a seq that does not fit the time is not
believed until several in a row agree.
Leaves out decoding, concealing and merging of samples (`codec`, `stretch`) and the copies' unpacking
(`packets`).
"""

from math import floor, inf
from typing import Final, NamedTuple

from msgspec import Struct

from p2pcall.media import constants as c
from p2pcall.media.lateness import Lateness


class Play(NamedTuple):
    """Decode and play this frame; it was captured until `capture_ms` on the sender's session clock."""

    frame: bytes
    capture_ms: int


class Merge(Struct, frozen=True):
    """Decode both, in this order, and play `stretch.merge` of them; `capture_ms` is the second's."""

    first: bytes
    second: bytes
    capture_ms: int


class Conceal(Struct, frozen=True):
    """A frame is missing: play the decoder's concealment."""


class Silence(Struct, frozen=True):
    """Nothing to play: not begun yet, or missing for so long that concealment would drone."""


PlayoutAction = Play | Merge | Conceal | Silence


class JitterCounters(Struct):
    """Totals of the call, in frames (`merged`: in merges; `rejected`: in packets)."""

    played: int = 0
    concealed: int = 0
    recovered: int = 0
    """Played from a copy that came with a later packet."""
    late: int = 0
    """Came after their time."""
    merged: int = 0
    silence: int = 0
    rejected: int = 0
    """Had a seq that was not believed."""
    skipped: int = 0
    """Came in time and were dropped: the speaker stood still, or a stall ended."""


_Held = tuple[bytes, int, bool]
"""A frame, its `capture_ms`, and whether it is `recovered`."""


class JitterBuffer:
    """One direction of one call's sound."""

    def __init__(self, slack_s: float = c.JITTER_SLACK_S) -> None:
        self.counters = JitterCounters()
        self.delay_s = 0.0
        """How long after the fastest possible moment the frame of the last pull was played."""
        self._slack_s = slack_s
        self._lateness = Lateness()
        self._held: dict[int, _Held] = {}
        self._next = 0
        self._playing = False
        self._anchored = False
        self._run = 0
        self._waited = 0
        self._deep_ticks = 0
        self._missed: dict[int, None] = {}
        self._suspect_transit = 0.0
        self._suspects = 0

    @property
    def next_seq(self) -> int:
        """The frame that is played next."""
        return self._next

    @property
    def depth(self) -> int:
        """Frames held now."""
        return len(self._held)

    @property
    def target_s(self) -> float:
        """How long after the fastest possible moment a frame should be played."""
        return self._lateness.required_s + self._slack_s

    def insert(self, seq: int, frame: bytes, capture_ms: int, now: float, recovered: bool = False) -> None:
        """Take a frame of a packet that came now; of one packet the newest first (`AudioPacket.frames`)."""
        if recovered and (seq in self._held or (seq < self._next and seq not in self._missed)):
            return  # as nearly every copy: its frame came in time
        transit = now - seq * c.FRAME_S
        if not self._believe(transit, now, recovered):
            return
        if not recovered:
            self._lateness.observe(transit, now)
            if seq in self._held:
                return
        lateness = transit - self._lateness.base
        if seq < self._next:
            if seq in self._missed:
                del self._missed[seq]
                self.counters.late += 1
                self._lateness.note(lateness)
            return
        if self._playing:  # what comes after a silence was held up by an outage: that is no jitter
            self._lateness.note(lateness)
        self._held[seq] = frame, capture_ms, recovered
        if len(self._held) > c.JITTER_MAX_FRAMES:
            self._drop_before(min(self._held) + 1)

    def pull(self, now: float, *, quiet: bool) -> PlayoutAction:
        """What the speaker plays next; call it once for each 20 ms that it takes.

        `quiet`: what was played last was a pause, so a merge now is least likely to be heard.
        """
        if not self._playing and not self._start(now):
            self.counters.silence += 1
            return Silence()
        excess_s = self._measure(now)
        if excess_s > c.JITTER_SKIP_S:
            self._drop_before(self._due(now))
            excess_s = self._measure(now)
        self._deep_ticks = self._deep_ticks + 1 if excess_s > _MERGE_AT_S else 0
        if self._next not in self._held:
            self._take_back(excess_s)
        if self._next in self._held:
            return self._play(excess_s, quiet=quiet)
        return self._fill(excess_s)

    def _believe(self, transit: float, now: float, recovered: bool) -> bool:
        """Whether the seq fits the time; a stream that jumped is believed once enough packets agree."""
        base = self._lateness.base
        if -c.JITTER_PLAUSIBLE_EARLY_S <= transit - base <= c.JITTER_PLAUSIBLE_S:
            if not recovered:
                self._suspects = 0
                if not self._anchored:
                    self._anchor(transit, now)
            return True
        if recovered:
            return False
        if base < inf:
            agrees = self._suspects and abs(transit - self._suspect_transit) <= c.JITTER_RESYNC_SPREAD_S
            self._suspects = self._suspects + 1 if agrees else 1
            self._suspect_transit = transit
            if self._suspects < c.JITTER_RESYNC_RUN:
                self.counters.rejected += 1
                return False
        self._suspects = 0
        self._held.clear()
        self._missed.clear()
        self._next = 0
        self._playing = False
        self._anchor(transit, now)
        return True

    def _anchor(self, transit: float, now: float) -> None:
        self._lateness.anchor(transit, now)
        self._anchored = True

    def _measure(self, now: float) -> float:
        """How much deeper than wanted the next frame is; negative: not deep enough."""
        self.delay_s = now - self._lateness.base - self._next * c.FRAME_S
        return self.delay_s - self._lateness.required_s - self._slack_s

    def _due(self, now: float) -> int:
        """The newest seq that is as deep as wanted."""
        return floor((now - self._lateness.base - self.target_s) / c.FRAME_S)

    def _drop_before(self, seq: int) -> None:
        for old in [held for held in self._held if held < seq]:
            del self._held[old]
            self.counters.skipped += 1
        self._next = max(self._next, seq)

    def _start(self, now: float) -> bool:
        """Begin with the frame that is as deep as wanted, whatever piled up before it."""
        if not self._held:
            self._anchored = False
            return False
        due = self._due(now)
        if due > self._next:
            self._drop_before(due)
        if due not in self._held:
            return False
        self._next = due
        self._playing = True
        self._run = self._waited = self._deep_ticks = 0
        return True

    def _play(self, excess_s: float, *, quiet: bool) -> PlayoutAction:
        frame, capture_ms, recovered = self._held.pop(self._next)
        self._next += 1
        self._run = self._waited = 0
        self.counters.played += 1
        self.counters.recovered += recovered
        fast = excess_s > c.JITTER_FAR_TOO_DEEP_S
        patience = c.JITTER_SHRINK_FAST_TICKS if fast else c.JITTER_SHRINK_TICKS
        if (
            self._deep_ticks < patience * (1 if quiet else c.JITTER_SHRINK_LOUD)
            or self._next not in self._held
        ):
            return Play(frame, capture_ms)
        second, capture_ms, recovered = self._held.pop(self._next)
        self._next += 1
        self._deep_ticks = 0
        self.counters.played += 1
        self.counters.recovered += recovered
        self.counters.merged += 1
        return Merge(frame, second, capture_ms)

    def _take_back(self, excess_s: float) -> None:
        """Skip missing frames that need no filling: their time was filled while the buffer waited for them, or
        the buffer is deeper than wanted anyway, as after this whole machine stood still."""
        while self._held and self._next not in self._held:
            if excess_s < (c.FRAME_S if self._waited else _MERGE_AT_S):
                return
            self._miss()
            self._waited = max(0, self._waited - 1)
            excess_s -= c.FRAME_S

    def _miss(self) -> None:
        self._missed[self._next] = None
        if len(self._missed) > c.JITTER_MISSED_KEPT:
            del self._missed[next(iter(self._missed))]
        self._next += 1

    def _fill(self, excess_s: float) -> PlayoutAction:
        """Nothing for this tick: go past the frame if later ones are there, else wait for it."""
        self._run += 1
        if self._run > c.JITTER_CONCEAL_RUN:
            self._playing = False
            self.counters.silence += 1
            return Silence()
        wait = excess_s < 0 and self._waited < c.JITTER_WAIT_TICKS
        if self._held and not wait:
            self._miss()
        else:
            self._waited += 1
        self.counters.concealed += 1
        return Conceal()


_MERGE_AT_S: Final = c.FRAME_S + c.JITTER_SHRINK_HYSTERESIS_S
