"""The jitter buffer: frames of sound go in as they come; what to play next comes out when the speaker runs short.

Two verbs, as in WebRTC's NetEQ: `insert` when a packet comes, `pull` when less sound is ready than the speaker wants.
Sound is numbered in ticks of 10 ms; a frame has one or more, and each may have another number of them. The speaker is
the clock: everything moves on pulls, so a network that stands still cannot stop the sound, and drift between the two
sound cards is taken up here.

Rules: a frame is decoded when the speaker cannot do without it, and that shall be as late after the fastest moment as
frames have been late, and no later: what is ready beyond that is taken out by one period of the pitch at a time, what
is missing added likewise. What was made up while the buffer was empty is taken off again when the frames turn out to be
lost, so a loss leaves no delay behind. At most JITTER_MAX_FRAMES are held, the oldest go. A tick that does not fit the
time is not believed until several in a row agree.
Leaves out decoding, concealing and changing samples (`codec`, `stretch`, `comfort`) and the copies' unpacking
(`packets`).
"""

from math import floor, inf
from typing import NamedTuple

from msgspec import Struct

from p2pcall.media import constants as c
from p2pcall.media.lateness import Lateness


class Play(NamedTuple):
    """Decode and play this frame; it was captured until `capture_ms` on the sender's session clock."""

    frame: bytes
    capture_ms: int


class Shorten(NamedTuple):
    """Decode these, and take at most `most` samples out of them and what is ready, where it is so alike."""

    frames: tuple[bytes, ...]
    capture_ms: int
    most: int
    likeness: float


class Lengthen(NamedTuple):
    """Decode this, and add at most `most` samples to it and what is ready, where it is so alike."""

    frame: bytes
    capture_ms: int
    most: int
    likeness: float


class Conceal(NamedTuple):
    """Sound is missing: play the decoder's concealment."""

    ticks: int


class Silence(NamedTuple):
    """Nothing to play for a tick: not begun yet (None), or missing for so long that concealment would drone, and since
    that for so many ticks.
    """

    since: int | None


PlayoutAction = Play | Shorten | Lengthen | Conceal | Silence


class JitterCounters(Struct):
    """Totals of the call."""

    played: int = 0
    """Ticks."""
    concealed: int = 0
    """Ticks."""
    silence: int = 0
    """Ticks."""
    recovered: int = 0
    """Frames played from a copy that came with a later packet."""
    late: int = 0
    """Frames that came after their time."""
    rejected: int = 0
    """Packets whose tick was not believed."""
    skipped: int = 0
    """Frames that came in time and were dropped: the speaker stood still, or a stall ended."""
    removed: int = 0
    """Samples taken out."""
    added: int = 0
    """Samples put in."""


_Held = tuple[int, bytes, int, bool]
"""A frame's ticks, itself, its `capture_ms`, and whether it is `recovered`."""


class JitterBuffer:
    """One direction of one call's sound."""

    def __init__(self, slack_s: float = c.JITTER_SLACK_S) -> None:
        self.counters = JitterCounters()
        self.delay_s = 0.0
        """How long after the fastest possible moment the sound of the last pull is played."""
        self._slack_s = slack_s
        self._lateness = Lateness()
        self._held: dict[int, _Held] = {}
        self._next = 0
        self._ticks = c.FRAME_TICKS
        self._playing = False
        self._anchored = False
        self._run = 0
        self._waited = 0
        self._silent: int | None = None
        self._patience = 0
        self._vain = 0
        self._least = 0
        """By how much it has been too deep at least since it is; 0 while it is not."""
        self._missed: dict[int, None] = {}
        self._copied: dict[int, float] = {}
        self._suspect_transit = 0.0
        self._suspects = 0

    @property
    def next_tick(self) -> int:
        """The tick that is decoded next."""
        return self._next

    @property
    def depth(self) -> int:
        """Frames held now."""
        return len(self._held)

    def target_s(self, now: float) -> float:
        """How long after the fastest possible moment a frame should be decoded."""
        return self._lateness.required_s(now) + self._slack_s

    # ---- what comes

    def insert(
        self, tick: int, ticks: int, frame: bytes, capture_ms: int, now: float, recovered: bool = False
    ) -> None:
        """Take a frame of a packet that came now; of one packet the newest first (`AudioPacket.frames`)."""
        if recovered and (tick in self._held or (tick < self._next and tick not in self._missed)):
            return  # as nearly every copy: its frame came in time
        transit = now - (tick + ticks) * c.TICK_S
        if not self._believe(transit, now, recovered):
            return
        if recovered:
            self._note_copy(tick, ticks, transit - self._lateness.base, now)
        else:
            self._lateness.observe(transit, now)
            if (
                self._copied and tick in self._copied
            ):  # it was not lost, and would have been so late but for its copy
                self._lateness.note(self._copied.pop(tick), ticks)
                return
            if tick in self._held:
                return
        if tick < self._next:
            if tick in self._missed:
                for each in range(tick, tick + ticks):
                    self._missed.pop(each, None)
                self.counters.late += 1
                if not recovered:
                    self._lateness.note(transit - self._lateness.base, ticks)
            return
        if (
            self._playing and not recovered
        ):  # what comes after a silence was held up by an outage: that is no jitter
            self._lateness.note(transit - self._lateness.base, ticks)
        self._held[tick] = ticks, frame, capture_ms, recovered
        if len(self._held) > c.JITTER_MAX_FRAMES:
            self._drop_before(min(self._held) + 1)

    def _note_copy(self, tick: int, ticks: int, lateness: float, now: float) -> None:
        if not self._playing:
            return
        self._lateness.note_copy(lateness, ticks, now)
        self._copied[tick] = lateness
        if len(self._copied) > c.JITTER_MISSED_KEPT:
            del self._copied[next(iter(self._copied))]

    def _believe(self, transit: float, now: float, recovered: bool) -> bool:
        """Whether the tick fits the time; a stream that jumped is believed once enough packets agree."""
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
        self._copied.clear()
        self._next = 0
        self._playing = False
        self._anchor(transit, now)
        return True

    def _anchor(self, transit: float, now: float) -> None:
        self._lateness.anchor(transit, now)
        self._anchored = True

    # ---- what is played

    def pull(self, now: float, ready: int, wanted: int, *, quiet: bool) -> PlayoutAction:
        """What comes behind the `ready` samples, of which the speaker wants so many now; call it until it has them.

        `quiet`: what is ready is a pause, so a change is least likely to be heard.
        """
        if not self._playing and not self._start(now):
            return self._silence()
        held = self._held.get(self._next)
        if held is None:
            return self._fill(now, ready, wanted, quiet)
        ticks = self._ticks = held[0]
        margin = now - self._lateness.base - (self._next + ticks) * c.TICK_S
        self.delay_s = margin + ready / c.SAMPLE_RATE_HZ
        over = margin - self._lateness.required_s(now) - self._slack_s
        if over > c.JITTER_SKIP_S and self._seek(now) is not None:
            return self.pull(now, ready, wanted, quiet=quiet)
        size = ticks * c.TICK_SAMPLES
        spare = ready - (wanted - size if wanted > size else 0)
        if spare < 0:  # more frames are needed for this pull: the last one counts
            return self._play(held)
        quantum = size if size < wanted else wanted
        excess = spare - c.JITTER_READY_SAMPLES
        if over < -c.JITTER_SHALLOW_S:
            return self._lengthen(held, quantum - excess, c.JITTER_SHRINK_FAST_TICKS)
        whole = int((over + c.JITTER_TOLERANCE_S) * c.SAMPLE_RATE_HZ) // quantum
        if whole > 0:
            excess += whole * quantum
        if excess >= c.STRETCH_LEAST_SAMPLES:
            return self._shorten(held, excess, ready + size, wanted, quiet)
        self._patience = self._vain = self._least = 0
        return self._play(held)

    def stretched(self, samples: int) -> None:
        """By how many samples sound was made longer (less than 0: shorter) when that was asked for; 0: it was not."""
        if samples:
            self._patience = self._vain = self._least = 0
        else:
            self._patience -= c.JITTER_RETRY_TICKS
        if samples > 0:
            self.counters.added += samples
        else:
            self.counters.removed -= samples

    def _play(self, held: _Held) -> Play:
        ticks, frame, capture_ms, recovered = held
        first, waiting = self._next, self._held
        self._next = first + ticks
        for tick in range(first, first + ticks):
            if tick in waiting:
                del waiting[tick]
        self._run = self._waited = 0
        self.counters.played += ticks
        self.counters.recovered += recovered
        return Play(frame, capture_ms)

    def _likeness(self) -> float:
        return c.JITTER_LIKENESS if self._vain < c.JITTER_INSIST_TICKS else -1.0

    def _waits(self, ticks: int, patience: int) -> bool:
        """It is too early for a change: one now and then is not heard."""
        self._patience += ticks
        self._vain += ticks
        return self._patience < patience

    def _lengthen(self, held: _Held, missing: int, patience: int) -> PlayoutAction:
        """With so many samples more the next frame is decoded a pull later."""
        if self._least:
            self._patience = self._least = 0
        if self._waits(held[0], patience):
            return self._play(held)
        likeness = self._likeness()
        frame, capture_ms = self._play(held)
        most = min(max(missing, c.TICK_SAMPLES), c.STRETCH_MOST_SAMPLES)
        return Lengthen(frame, capture_ms, most, likeness)

    def _shorten(self, held: _Held, excess: int, ready: int, wanted: int, quiet: bool) -> PlayoutAction:
        """The least that was too much of late is taken out; little is when it has been so for long, and in a pause."""
        if not self._least:
            self._patience = 0
        least = self._least
        if not 0 < least < excess:
            least = self._least = excess
        far = least > c.JITTER_FAR_TOO_DEEP_S * c.SAMPLE_RATE_HZ
        patience = c.JITTER_SHRINK_FAST_TICKS if far else c.JITTER_SHRINK_TICKS
        if least < c.JITTER_LOUD_SAMPLES:
            patience = c.JITTER_SHRINK_FINE_TICKS
        elif not quiet or least < c.STRETCH_MOST_SAMPLES:
            patience *= c.JITTER_SHRINK_LOUD
        if self._waits(held[0], patience):
            return self._play(held)
        self._least = excess
        if not quiet:
            if least < c.JITTER_LOUD_SAMPLES:
                self._patience, self._vain = patience - c.JITTER_SHRINK_TICKS, 0
                return self._play(held)
            least += c.JITTER_READY_SAMPLES - c.JITTER_NEAR_SAMPLES
        return self._taken_out(held, least, ready, wanted)

    def _taken_out(self, held: _Held, samples: int, ready: int, wanted: int) -> PlayoutAction:
        """The next frame, which makes `ready`, and more if there must be, without so many samples if that can be."""
        most = min(samples, c.STRETCH_MOST_SAMPLES)
        likeness = self._likeness()
        frame, capture_ms = self._play(held)
        frames = [frame]
        while ready < wanted + most and (another := self._held.get(self._next)):
            frame, capture_ms = self._play(another)
            frames.append(frame)
            ready += another[0] * c.TICK_SAMPLES
        if (
            ready < wanted + c.STRETCH_LEAST_SAMPLES
        ):  # what comes next is not there yet, and cannot be done without
            return Play(frame, capture_ms)
        return Shorten(tuple(frames), capture_ms, min(most, ready - wanted), likeness)

    # ---- what is missing

    def _fill(self, now: float, ready: int, wanted: int, quiet: bool) -> PlayoutAction:
        """The next frame is not there: go past it if later ones are, but wait for it while it may still come in time.

        What was filled while the buffer waited is not filled again, nor what the buffer is too deep by anyway.
        """
        lateness = self._lateness
        margin = now - lateness.base - (self._next + self._ticks) * c.TICK_S
        self.delay_s = margin + ready / c.SAMPLE_RATE_HZ
        over = margin - lateness.required_s(now) - self._slack_s
        later = min((tick for tick in self._held if tick > self._next), default=None)
        wait = over < -c.JITTER_TOLERANCE_S and self._waited < c.JITTER_WAIT_TICKS
        if later is None or wait:
            self._waited += 1
            return self._conceal(1)
        ticks = min(later - self._next, self._ticks)
        for tick in range(self._next, self._next + ticks):
            self._missed[tick] = None
            if len(self._missed) > c.JITTER_MISSED_KEPT:
                del self._missed[next(iter(self._missed))]
        self._next += ticks
        deeper = max(self._waited, floor((over - c.JITTER_SPARE_S) / c.TICK_S))
        self._waited = max(0, self._waited - ticks)
        if deeper >= ticks:
            return self.pull(now, ready, wanted, quiet=quiet)
        return self._conceal(ticks - max(0, deeper))

    def _conceal(self, ticks: int) -> PlayoutAction:
        self._run += ticks
        if self._run > c.JITTER_CONCEAL_RUN:
            self._playing = False
            self._silent = 0
            return self._silence()
        self.counters.concealed += ticks
        return Conceal(ticks)

    def _silence(self) -> Silence:
        since = self._silent
        if since is not None:
            self._silent = since + 1
        self.counters.silence += 1
        return Silence(since)

    def _start(self, now: float) -> bool:
        """Begin with the frame that is as deep as wanted, whatever piled up before it."""
        if not self._held:
            self._anchored = False
            return False
        late = self._seek(now)
        if late is None:
            return False
        if late > c.JITTER_STALE_TICKS:
            self._drop_before(self._next + 1)
            return False
        self._playing = True
        self._run = self._waited = self._patience = self._vain = self._least = 0
        return True

    def _seek(self, now: float) -> int | None:
        """Go to the newest frame that is as deep as wanted; how many ticks it is deeper, None if there is none."""
        due = floor((now - self._lateness.base - self.target_s(now)) / c.TICK_S)
        ends = [(tick + held[0], tick) for tick, held in self._held.items() if tick + held[0] <= due]
        end, tick = max(ends, default=(0, -1))
        if tick <= self._next and (self._playing or tick < self._next):
            return None
        self._drop_before(tick)
        return due - end

    def _drop_before(self, tick: int) -> None:
        for old in [held for held in self._held if held < tick]:
            del self._held[old]
            self.counters.skipped += 1
        self._next = max(self._next, tick)
