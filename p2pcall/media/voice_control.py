"""Which level voice is sent with, by what the other side reports.

Rules: where a queue grows, too much is sent: at once down to what has come through, copies first. Where packets are
lost without a queue, the path loses them: more copies at once, fewer only after some seconds. If less comes through
after more was sent, and by more than chance explains where loss comes in such bursts, it was too much after all. Up
again by one rung, then by two at a time, with ever longer waits after tries that failed. All this follows from reports
and time alone, so sizes tell nothing of what is said; and whatever a report says, voice goes on within the bounds of
the ladder. Leaves out how loss and queues are measured (`stats`), and pictures.
"""

from math import inf, sqrt

from p2pcall.media import constants as c
from p2pcall.media.voice_levels import (
    WITHOUT_PIECES,
    Rung,
    VoiceLevel,
    copy_distances,
    correlation,
    ladder,
)
from p2pcall.types import Profile


class VoiceControl:
    """`level` is what to send with; it changes in `on_report` and with `profile` and `pieces_of_a_tick` alone."""

    def __init__(self, profile: Profile = Profile.NORMAL) -> None:
        self._profile = profile
        self._rung = _first(profile)
        self._pieces_of_a_tick = False
        self._lost = self._gaps = 0.0
        self._forget(-inf)
        self._reported_at = -inf
        self._rtt_s = 0.0
        self._queue_s = 0.0
        self._up_at = -inf
        self._ceiling, self._ceiling_until, self._ceiling_s = len(ladder(profile)), -inf, c.STEER_UP_S
        self._step = 1
        self._copies_from, self._copies_until, self._copies_s = len(ladder(profile)), -inf, c.STEER_COPIES_S
        self._take()

    @property
    def profile(self) -> Profile:
        """What voice is sent for."""
        return self._profile

    @profile.setter
    def profile(self, profile: Profile) -> None:
        if profile is self._profile:
            return
        old, new = ladder(self._profile), ladder(profile)
        if self._rung >= _first(self._profile):
            self._rung = _first(profile)
        else:
            most = old[self._rung].path_bps(old[self._rung].copies)
            self._rung = max(n for n, rung in enumerate(new) if n == 0 or rung.path_bps(rung.copies) <= most)
        self._profile = profile
        self._ceiling = len(new)
        self._take()

    @property
    def pieces_of_a_tick(self) -> bool:
        """Whether sound comes in pieces of one tick: only then frames of one tick are sent."""
        return self._pieces_of_a_tick

    @pieces_of_a_tick.setter
    def pieces_of_a_tick(self, so: bool) -> None:
        if so is not self._pieces_of_a_tick:
            self._pieces_of_a_tick = so
            self._take()
            if so and self.wants_pieces_of_a_tick:
                self._tried(self._reported_at)

    @property
    def wants_pieces_of_a_tick(self) -> bool:
        """Whether frames of one tick would be sent if sound came in such pieces."""
        return ladder(self._profile)[self._rung].ticks == 1

    def on_report(
        self,
        loss: float,
        burst_ticks: float,
        queue_s: float,
        rtt_s: float | None,
        now: float,
        *,
        filming: bool = False,
    ) -> None:
        """What the other side says of the last interval: see `packets.Report`.

        `filming`: pictures travel on the same path. Then a queue is theirs, for they are most of what is sent.
        """
        since_s = now - self._reported_at
        if since_s < c.STEER_LEAST_S:
            return
        if self._reported_at == -inf:
            self._changed_at = self._more_since = now
        self._reported_at = now
        self._rtt_s = _within(rtt_s or 0.0, c.STEER_MAX_RTT_S)
        loss, queue_s = _within(loss, 1.0), _within(queue_s, c.STEER_MAX_QUEUE_S)
        self._remember(loss, burst_ticks)
        grown_s = max(0.0, queue_s - self._queue_s)
        self._queue_s = queue_s
        full = grown_s >= c.STEER_QUEUE_GROWS_S or loss >= c.STEER_QUEUE_LOSS
        if queue_s >= c.STEER_QUEUE_S and full and not filming:
            through = (1.0 - loss) / (1.0 + grown_s / min(since_s, c.STEER_LONGEST_S))
            self._too_much(through, queue_s, now)
        elif self._worse(loss, min(since_s, c.STEER_LONGEST_S), now):
            self._too_much(1.0 - sum(self._watched) / len(self._watched), queue_s, now)
        else:
            self._lossy(loss, now)
            self._try_more(queue_s, now)

    def _too_much(self, through: float, queue_s: float, now: float) -> None:
        """Down to what has come through, by this part of what was sent, and less, so that the queue empties."""
        fit = max(c.STEER_LEAST_FIT, c.STEER_FIT - queue_s / c.STEER_DRAIN_S)
        rungs = ladder(self._profile)
        if now - self._up_at <= c.STEER_HELD_S:
            longest = c.STEER_UP_MAX_S if rungs[self._rung].ticks > 1 else c.STEER_UP_MAX_TICK_S
            self._ceiling, self._ceiling_s = self._rung, min(longest, 2 * self._ceiling_s)
            self._ceiling_until = now + self._ceiling_s
        if self._more_copies:
            self._copies_from, self._copies_until = self._rung, now + self._copies_s
            self._copies_s = min(c.STEER_COPIES_MAX_S, 2 * self._copies_s)
        most = fit * through * self.level.path_bps
        while self._rung:
            self._rung -= 1
            if rungs[self._rung].path_bps(rungs[self._rung].copies) <= most:
                break
        self._up_at = -inf
        self._step = 1
        self._forget(now)
        self._take()

    def _forget(self, now: float) -> None:
        """How much was lost says nothing of how much will be."""
        self._loss = self._estimate = 0.0
        self._changed_at = self._more_since = now
        self._before = 0.0
        self._more_copies = False
        self._watched: list[float] = []

    def _remember(self, loss: float, burst_ticks: float) -> None:
        memory = c.STEER_MEMORY
        self._lost = memory * self._lost + loss
        self._gaps = memory * self._gaps + loss / max(1.0, _within(burst_ticks, c.MAX_U8))

    def _worse(self, loss: float, since_s: float, now: float) -> bool:
        """Whether less comes through than before more was sent; reports that speak of the new level are asked, and
        of a rung that is only tried the first one.
        """
        if now < self._changed_at + self._rtt_s + c.REPORT_INTERVAL_S / 2 or not self._before:
            return False
        if now > self._changed_at + self._rtt_s + c.STEER_WATCH_S:
            if self._more_copies:
                self._copies_s = c.STEER_COPIES_S
            self._before, self._more_copies = 0.0, False
            return False
        self._watched.append(loss)
        through = 1.0 - sum(self._watched) / len(self._watched)
        chance = self._chance(1.0 - through, since_s * len(self._watched))
        if self._changed_at == self._up_at and through < self._before - max(c.STEER_TRY_LOSS, chance):
            return True
        return len(self._watched) >= 2 and through < min(c.STEER_WORSE * self._before, self._before - chance)

    def _chance(self, loss: float, seconds: float) -> float:
        """How far the loss of so many seconds may be off by chance: few bursts tell little, however long they are.

        The variance of the mean of a chain of two states; such a channel is Gilbert's.
        """
        ticks = self._sending_rung.ticks
        same = correlation(loss, self._burst_ticks / ticks)
        variance = loss * (1.0 - loss) * (1.0 + same) / (1.0 - same) * ticks * c.TICK_S / seconds
        return c.STEER_CHANCE * sqrt(variance)

    def _lossy(self, loss: float, now: float) -> None:
        """As many copies as it takes, at once; fewer after a while."""
        memory = c.STEER_MEMORY
        self._loss = memory * self._loss + (1.0 - memory) * loss
        self._estimate = max(loss - c.STEER_NOISE, self._loss)
        wanted = self._copies()
        have = self.level.distances
        if len(wanted) > len(have) and self._rung >= self._copies_from and now < self._copies_until:
            wanted = have
        if len(wanted) > len(have) or (len(wanted) == len(have) and wanted[-1:] > have[-1:]):
            more = len(wanted) > len(have)
            self._more_since = now
            self._take(wanted)
            if more:
                before = self._before if self._more_copies else 1.0 - loss
                self._watch(1.0 - before, now)
                self._more_copies = True
        elif wanted == have:
            self._more_since = now
        elif now - self._more_since >= c.STEER_FEWER_S:
            self._more_since = now
            self._take(wanted)

    def _try_more(self, queue_s: float, now: float) -> None:
        """A rung up, if the last one has held."""
        rungs = ladder(self._profile)
        higher = min(self._rung + self._step, len(rungs) - 1)
        if self._rung < self._ceiling <= higher:
            higher = max(self._rung + 1, self._ceiling - 1)
        if self._rung >= self._ceiling and now - self._up_at > c.STEER_HELD_S:
            self._ceiling, self._ceiling_s = len(rungs), c.STEER_UP_S
        if queue_s > c.STEER_EMPTY_S or now < self._changed_at + c.STEER_UP_S + self._rtt_s:
            return
        if higher == self._rung or (higher >= self._ceiling and now < self._ceiling_until):
            return
        sent_bps = self.level.path_bps
        self._rung, self._changed_at = higher, now
        self._take()
        if self.level.path_bps > sent_bps:
            self._step = 2
            self._tried(now)

    def _tried(self, now: float) -> None:
        self._up_at = now
        self._watch(self._estimate, now)

    def _watch(self, loss: float, now: float) -> None:
        self._before = 1.0 - loss
        self._watched = []
        self._changed_at = now

    def _copies(self) -> tuple[int, ...]:
        return copy_distances(self._sending_rung, self._profile, self._estimate, self._burst_ticks)

    @property
    def _burst_ticks(self) -> float:
        """For how long packets are lost in a row, of late."""
        return self._lost / self._gaps if self._gaps else 0.0

    @property
    def _sending_rung(self) -> Rung:
        rung = ladder(self._profile)[self._rung]
        return rung if rung.ticks > 1 or self._pieces_of_a_tick else WITHOUT_PIECES

    def _take(self, distances: tuple[int, ...] | None = None) -> None:
        self.level = VoiceLevel(self._sending_rung, self._copies() if distances is None else distances)


def _first(profile: Profile) -> int:
    """The rung that a call begins with: the highest."""
    return len(ladder(profile)) - 1


def _within(value: float, most: float) -> float:
    """Held to 0 and `most`; what is no number is 0."""
    return min(most, value) if value > 0 else 0.0
