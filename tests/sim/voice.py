"""Voice over a bad network, simulated: sender, lossy path, jitter buffer, speaker; seeded, no real time, no sound.

What is decoded is only counted: a period is taken out or put in where the voice has one that fits.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from statistics import mean, median

from p2pcall.media import constants as c
from p2pcall.media.jitter import Conceal, JitterBuffer, Lengthen, Play, PlayoutAction, Shorten, Silence

Loss = Callable[[float, Random], bool]
Delay = Callable[[float, Random], float]
PATH_S = 0.01
PERIOD = 384
"""Samples of a voice of 125 Hz."""


def random_loss(fraction: float) -> Loss:
    return lambda now, rng: rng.random() < fraction


def uniform_jitter(most_s: float) -> Delay:
    return lambda now, rng: rng.uniform(0, most_s)


def burst_loss(fraction: float, length: float) -> Loss:
    """A two-state (Gilbert) channel: bursts of `length` packets on average."""
    bad = False

    def lost(now: float, rng: Random) -> bool:
        nonlocal bad
        bad = rng.random() > 1 / length if bad else rng.random() < fraction / length / (1 - fraction)
        return bad

    return lost


@dataclass
class Voice:
    """One direction; `run` goes on from where it stopped, so the network may change in between."""

    seed: int = 1
    ticks: int = 2
    """Of each frame."""
    pulled: int = 2
    """Ticks that the speaker wants at a time."""
    copies: tuple[int, ...] = (1,)
    """How many frames before each packet's own are carried along."""
    drift: float = 0.0
    """The sender's clock runs faster by this part."""
    loss: Loss = lambda now, rng: False
    delay: Delay = lambda now, rng: 0.0
    pull_jitter_s: float = 0.0015
    uneven: int = 0
    """The speaker has taken so many samples too few or too many in all at each pull, at random."""
    in_pairs: bool = False
    """The speaker takes twice as much at once, half as often."""
    quiet: bool = False
    """Nobody speaks: any piece is as good as a period."""
    phase: float | None = None
    """Of the first pull; else by the seed."""
    buffer: JitterBuffer = field(default_factory=JitterBuffer)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        if self.phase is None:
            self.phase = self.rng.uniform(0, self.pulled * c.TICK_S)
        self.now = 0.0
        self.tick = 0
        self.sent: list[tuple[int, int]] = []
        self.pulls = 0
        self.packets = 0
        self.ready = self.too_many = self.wanted = 0
        self.on_the_way: list[tuple[float, int, list[tuple[int, int]]]] = []
        self.played: list[int] = []
        self.delays: list[tuple[float, float]] = []
        """When, and for how long after the fastest possible moment, sound was played."""
        self.kinds: list[tuple[float, type, int]] = []
        """When, what, and of how many ticks."""
        self.steps: list[tuple[float, int]] = []
        """When, and by how many samples, the sound was made longer."""
        self.most_held = 0

    def sent_at(self, tick: int) -> float:
        """When what begins there is captured."""
        return tick * c.TICK_S / (1 + self.drift)

    def send_until(self, until: float) -> None:
        while (at := self.sent_at(self.tick + self.ticks)) <= until:
            frames = [(self.tick, self.ticks)] + [self.sent[-n] for n in self.copies if n <= len(self.sent)]
            if not self.loss(at, self.rng):
                heapq.heappush(self.on_the_way, (at + PATH_S + self.delay(at, self.rng), self.tick, frames))
            self.sent.append((self.tick, self.ticks))
            del self.sent[:-20]
            self.tick += self.ticks

    def deliver(self, frames: list[tuple[int, int]], now: float) -> None:
        self.packets += 1
        for place, (tick, ticks) in enumerate(frames):
            frame = tick.to_bytes(8, "big") + bytes([ticks])
            self.buffer.insert(tick, ticks, frame, tick * c.TICK_MS, now, place > 0)
        self.most_held = max(self.most_held, self.buffer.depth)

    def run(self, seconds: float, hostile: Callable[["Voice"], None] | None = None) -> "Voice":
        end = self.now + seconds
        every_s = self.pulled * c.TICK_S
        while True:
            paired = self.pulls % 2 * every_s if self.in_pairs else 0.0
            pull_at = self.phase + self.pulls * every_s - paired + self.rng.uniform(0, self.pull_jitter_s)
            if pull_at > end:
                self.now = end
                return self
            self.send_until(pull_at)
            while self.on_the_way and self.on_the_way[0][0] <= pull_at:
                arrival, _, frames = heapq.heappop(self.on_the_way)
                self.deliver(frames, arrival)
            if hostile is not None:
                hostile(self)
            self.now = pull_at
            self.pull()
            self.pulls += 1

    def pull(self) -> None:
        wanted = self.wanted = self.pulled * c.TICK_SAMPLES - self.too_many
        if self.uneven:
            self.too_many = self.rng.randint(-self.uneven, self.uneven)
            wanted = self.wanted = wanted + self.too_many
        while self.ready < wanted:
            step = self.buffer.pull(self.now, self.ready, wanted, quiet=self.quiet)
            self.take(step)
        self.ready -= wanted

    def take(self, step: PlayoutAction) -> None:
        match step:
            case Play(frame):
                self.play(frame)
            case Shorten(frames):
                before = self.ready
                for frame in frames:
                    self.play(frame)
                assert step.most <= self.ready - self.wanted
                self.change(-self.period(step.most, self.ready), before)
            case Lengthen(frame):
                before = self.ready
                self.play(frame)
                self.change(self.period(step.most, c.STRETCH_MOST_SAMPLES + 240), before)
            case Conceal(ticks):
                self.kinds.append((self.now, Conceal, ticks))
                self.ready += ticks * c.TICK_SAMPLES
            case Silence():
                self.kinds.append((self.now, Silence, 1))
                self.ready += c.TICK_SAMPLES

    def period(self, most: int, room: int) -> int:
        """What the voice offers to be taken out or put in."""
        assert most >= c.STRETCH_LEAST_SAMPLES
        if self.quiet:
            return self.rng.randrange(c.STRETCH_LEAST_SAMPLES, most + 1)
        return PERIOD if most >= PERIOD and room >= PERIOD + 240 else 0

    def change(self, samples: int, before: int) -> None:
        self.ready += samples
        self.buffer.stretched(samples)
        if samples:
            self.steps.append((self.now, samples))

    def play(self, frame: bytes) -> None:
        tick, ticks = int.from_bytes(frame[:8], "big"), frame[8]
        assert not self.played or tick > self.played[-1], "played in order, none twice"
        self.played.append(tick)
        ahead = self.ready / c.SAMPLE_RATE_HZ
        self.delays.append((self.now, self.now + ahead - self.sent_at(tick + ticks) - PATH_S))
        self.kinds.append((self.now, Play, ticks))
        self.ready += ticks * c.TICK_SAMPLES

    # ---- what came of it

    def delays_over(self, seconds: float) -> list[float]:
        return [delay for at, delay in self.delays if at > self.now - seconds]

    def delay_over(self, seconds: float) -> float:
        """Mean delay, above the path's own, of what was played in the last seconds."""
        return mean(self.delays_over(seconds))

    def median_over(self, seconds: float) -> float:
        return median(self.delays_over(seconds))

    def part(self, kind: type, seconds: float) -> float:
        """Of what was played in the last seconds."""
        last = [(each, ticks) for at, each, ticks in self.kinds if at > self.now - seconds]
        return sum(ticks for each, ticks in last if each is kind) / sum(ticks for _, ticks in last)

    def stretched(self, seconds: float) -> int:
        """Changes of length in the last seconds."""
        return sum(at > self.now - seconds for at, _ in self.steps)
