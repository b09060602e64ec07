"""Microphone and speaker through sounddevice.

Rules: no callbacks. The loop looks at both cards every 10 ms (`POLL_S`), takes what was captured and fills the
speaker's buffer up to a level (`fill`), which moves by itself: it is all the delay there is between `pull` and the ear.
A callback of PortAudio on Linux comes from a thread that wakes up for every 5 ms of each card: twice the processor, and
half as much again of delay. PortAudio's calls do not wait where they are asked for no more than there is: the longest
took 1 ms, with a sound server that was killed, stopped or slow. Opening and closing do wait, so they have threads of
their own. Both buffers are deep, and have short periods, for a card moves a period at once. What is pulled is always
whole steps: what the card's clock gains or loses is made up by single samples. Looks at the cards come when a piece of
the microphone has just become whole: they move to where that is. The microphone is opened by `start`, not before. Sound
that comes faster than time passes was kept by a sound server that stood still: it is old, and dropped. Failures come
through `on_error` once. Leaves out echo cancellation and choosing another device.
"""

import contextlib
import threading
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from p2pcall.device import cards
from p2pcall.device.base import OnError, OnFrame, Pull, Scheduler, Timer, device_error
from p2pcall.device.fill import FAST_POLL_S, POLL_S, FillLevel, by_one_sample
from p2pcall.device.pace import CardPolls
from p2pcall.errors import P2PCallError
from p2pcall.media.constants import SAMPLE_BYTES, SAMPLE_RATE_HZ, TICK_BYTES, TICK_S, TICK_SAMPLES

PERIOD_SAMPLES: Final = 240
"""5 ms: what a speaker takes at once. Half of it gains 1 ms and costs 1 % of a core."""
CAPTURED_SAMPLES: Final = 2 * PERIOD_SAMPLES
"""The same of a microphone: a piece is no shorter, and each period wakes up a thread of the sound server's library."""
AGE_S: Final = 0.0025
"""How old the newest of what is read is, in the mean: looks come soon after a period."""
CARD_BUFFER_S: Final = 0.1
"""What a microphone keeps for a loop that stands still, and what there is room for in a speaker; it costs no delay."""
STALLED_S: Final = 4.0
"""Nothing moved for so long: the card is gone or its server hangs. Virtual ones pause for two seconds."""
ALIVE_S: Final = 0.3
"""A speaker that has taken nothing for so long is given a sample: if its server has died, that fails."""
OLD_S: Final = 0.05
"""By so much more sound than time since the last look: it is old."""
PHASE_S: Final = 0.003
"""A piece is whole so long before the look at which it is taken; less, and it may not be the next time."""
PHASE_STEP_S: Final = 0.002
SOON_S: Final = 0.002
"""To the next look for a piece that should have been whole: a step of the loop's would be five times as long."""
SCOUT_EVERY_S: Final = 2.0
SCOUTS: Final = 3
"""If a piece is whole so long before its look so many times, looks come earlier: that moves the pulls of the speaker,
too."""
LITTLE: Final = 0.2
"""With less of its level left a buffer is filled at once."""
MOST_STEPS: Final = 3
"""A loop that was away for longer fills it as well."""
MEAN_GAIN: Final = 0.005
"""The level is that of the last two seconds: what is left at a look depends on when the card took its last period."""
LEVEL_SAMPLES: Final = 72
"""A level that is wrong by 1.5 ms is right enough."""
MASKS_KEPT: Final = 8
"""Of as many lengths: a card moves whole periods."""
CLOCK_GAIN: Final = 0.05
CLOCK_JUMP_S: Final = 0.05
"""Capture times follow the card's clock smoothly; an error above the jump is a break, not jitter."""
_lazy_cards: set[str] = set()
"""Names of cards that were found to be lazy: they are so in the next call, too."""


class Stream:
    """Opens, watches and closes one PortAudio stream; tells the first failure and then nothing."""

    def __init__(self, card: cards.Card, scheduler: Scheduler, tell: Callable[[P2PCallError], None]) -> None:
        self.capacity = 0
        """Of a speaker's buffer, in samples."""
        self._card = card
        self._scheduler = scheduler
        self._tell = tell
        self._lock = threading.Lock()
        self._stream: Any = None
        self._errors: tuple[type[Exception], ...] = ()
        self._stopped = False
        self._moved_at = 0.0

    def start(self) -> None:
        """Opens the card in a thread; until it is open it has and takes nothing."""
        self._moved_at = self._scheduler.time()
        name = f"p2pcall-open-{self._card.direction}"
        threading.Thread(target=self._open, name=name, daemon=True).start()

    def stop(self, *, drain: bool = False) -> None:
        """Closes the card soon, without waiting for it. `drain`: after it has played what it has."""
        with self._lock:
            self._stopped = True
            stream, self._stream = self._stream, None
        if stream is not None:
            cards.close_stream(stream, drain=drain)

    @property
    def is_open(self) -> bool:
        """It can be read or written."""
        return self._stream is not None

    def captured(self) -> int:
        """Samples that can be read."""
        try:
            return int(self._stream.read_available)
        except self._errors:
            return 0

    def read(self) -> bytes | None:
        """What was captured since the last time; None if it could not be read."""
        stream = self._stream
        try:
            count = stream.read_available
            return bytes(stream.read(count)[0]) if count else b""
        except self._errors:
            self._lost()
            return None

    def left(self) -> int | None:
        """Samples that are still to be played; None if it could not be asked."""
        try:
            return max(0, self.capacity - int(self._stream.write_available))
        except self._errors:
            self._lost()
            return None

    def write(self, pcm: bytes) -> bool:
        """Have it played after all else; whether that came too late. No more than fits: it would wait."""
        try:
            return bool(self._stream.write(pcm))
        except self._errors:
            self._lost()
            return False

    def still_s(self, now: float, *, moved: bool) -> float:
        """For how long nothing has moved; tells and stops if it was too long."""
        if moved:
            self._moved_at = now
        still = now - self._moved_at
        if still > STALLED_S:
            word = cards.WORD[self._card.direction]
            hint = "restart the sound server, or take another of `p2pcall devices`"
            self._failed(device_error("device-stalled", f"the {word} {self._card.name} stands still", hint))
        return still

    def _open(self) -> None:
        period = CAPTURED_SAMPLES if self._card.direction == "input" else PERIOD_SAMPLES
        try:
            stream = cards.open_stream(self._card, period, CARD_BUFFER_S, lambda: not self._stopped)
        except P2PCallError as error:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                self._scheduler.call_soon_threadsafe(self._failed, error)
            return
        if stream is None:
            return
        if self._card.direction == "output":
            self.capacity = int(stream.write_available)
        self._errors = cards.errors(self._card.direction)
        with self._lock:
            if not self._stopped:
                self._stream, stream = stream, None
        if stream is not None:  # stopped while it was opening
            cards.close_stream(stream)

    def _lost(self) -> None:
        word = cards.WORD[self._card.direction]
        hint = "plug it in again, or take another of `p2pcall devices`"
        self._failed(device_error("device-lost", f"the {word} {self._card.name} went away", hint))

    def _failed(self, error: P2PCallError) -> None:
        if not self._stopped:
            self.stop()
            self._tell(error)


class Microphone:
    """`--audio-in default` or a name."""

    def __init__(self, card: cards.Card, polls: CardPolls) -> None:
        self.endless, self.held = True, False
        self.on_end: Callable[[], None] | None = None
        self.on_error: OnError | None = None
        self._channels = card.channels
        self._polls = polls
        self._stream = Stream(card, polls.scheduler, self._failed)
        self._held = bytearray()
        self._on_frame: OnFrame | None = None
        self._read_at: float | None = None
        self._clock: float | None = None
        self._piece_ticks = 2
        self._again: Timer | None = None
        self._looks = 0
        """Since the last piece."""
        self._scout_at = 0.0
        self._early = 0
        """Scouts that have found a piece whole since looks came earlier or later."""

    @property
    def piece_ticks(self) -> int:
        """What is handed over at once."""
        return self._piece_ticks

    @piece_ticks.setter
    def piece_ticks(self, ticks: int) -> None:
        self._piece_ticks = ticks
        self._looks = 0

    @property
    def prompt(self) -> bool:
        """The cards are looked at more often."""
        return self._polls.step_s == FAST_POLL_S

    @prompt.setter
    def prompt(self, prompt: bool) -> None:
        self._polls.step_s = FAST_POLL_S if prompt else POLL_S
        self._looks = 0

    def start(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame
        self._stream.start()
        self._polls.join(self._poll, first=True)

    def stop(self) -> None:
        self._on_frame = None
        self._leave()
        self._stream.stop()

    def _failed(self, error: P2PCallError) -> None:
        self._leave()
        if self._on_frame is not None and self.on_error is not None:
            self.on_error(error)

    def _leave(self) -> None:
        self._polls.leave(self._poll)
        if self._again is not None:
            self._again.cancel()

    def _poll(self, due: float) -> None:
        self._looks += self._clock is not None
        self._look()
        now = self._polls.scheduler.time()
        if not self._is_whole(0) and self._expected:
            self._move(PHASE_STEP_S, now)
            self._look_again()
        elif self._looks == 0 and now >= self._scout_at and self._polls.running:
            self._scout_at = now + SCOUT_EVERY_S
            self._again = self._polls.scheduler.call_at(
                due + self._piece_ticks * TICK_S - PHASE_S, self._scout
            )

    def _is_whole(self, more: int) -> bool:
        """The next piece is there, with so many samples more."""
        return len(self._held) // SAMPLE_BYTES + more >= self._piece_ticks * TICK_SAMPLES

    @property
    def _expected(self) -> bool:
        """This is the look at which a piece should be whole."""
        over_s = self._looks * self._polls.step_s - self._piece_ticks * TICK_S
        return -SOON_S < over_s < SOON_S

    def _look_again(self) -> None:
        """Until it is whole, or looks come anyway."""
        if self._expected and self._polls.running:
            self._again = self._polls.scheduler.call_at(
                self._polls.scheduler.time() + SOON_S, self._once_more
            )

    def _once_more(self) -> None:
        self._look()
        self._look_again()

    def _scout(self) -> None:
        """Is the next piece whole already?"""
        if self._stream.is_open and self._is_whole(self._stream.captured()):
            self._early += 1
            if self._early == SCOUTS:
                self._move(-PHASE_STEP_S, self._polls.scheduler.time())
        else:
            self._early = 0

    def _move(self, seconds: float, now: float) -> None:
        self._polls.move(seconds)
        self._early, self._scout_at = 0, now + SCOUT_EVERY_S

    def _look(self) -> None:
        now = self._polls.scheduler.time()
        pcm = self._stream.read() if self._stream.is_open else b""
        if pcm is None:
            return
        self._stream.still_s(now, moved=bool(pcm))
        since, samples = 0.0, len(pcm) // (SAMPLE_BYTES * self._channels)
        if pcm:
            since, self._read_at = now - (self._read_at or now), now
        if samples / SAMPLE_RATE_HZ > since + OLD_S:
            self._polls.counts.stale_samples += samples
            return
        self._held += pcm if self._channels == 1 else _to_mono(pcm)
        self._hand_over(now - AGE_S)

    def _hand_over(self, newest: float) -> None:
        size = self._piece_ticks * TICK_BYTES
        while self._on_frame is not None and len(self._held) >= size:
            piece = bytes(self._held[:size])
            del self._held[:size]
            left_s = len(self._held) / (SAMPLE_BYTES * SAMPLE_RATE_HZ)
            self._looks = 0
            self._on_frame(piece, self._smooth(newest - left_s, size))

    def _smooth(self, measured: float, size: int) -> float:
        """Capture times on a line that follows the card's clock; looks come when the system likes."""
        expected = (self._clock or 0.0) + TICK_S * size / TICK_BYTES
        if self._clock is None or abs(measured - expected) > CLOCK_JUMP_S:
            self._clock = measured
        else:
            self._clock = expected + CLOCK_GAIN * (measured - expected)
        return self._clock


class Speaker:
    """`--audio-out default` or a name."""

    def __init__(self, card: cards.Card, polls: CardPolls) -> None:
        self.on_error: OnError | None = None
        self._card = card
        self._polls = polls
        self._level = FillLevel(lazy=card.name in _lazy_cards)
        self._stream = Stream(card, polls.scheduler, self._failed)
        self._pull: Pull | None = None
        self._written = 0
        """Samples in the buffer after the last poll."""
        self._written_at = 0.0
        self._dry = False
        self._above = 0.0
        """Samples that the buffer has held above its level after a poll, in the mean of late."""
        self._probed_s = 0.0

    @property
    def latency_s(self) -> float:
        """What is in the buffer now."""
        gone = self._polls.scheduler.time() - self._written_at
        return max(0.0, self._written / SAMPLE_RATE_HZ - gone)

    def start(self, pull: Pull) -> None:
        self._pull = pull
        self._stream.start()
        self._polls.join(self._poll)

    def stop(self) -> None:
        self._pull = None
        self._polls.leave(self._poll)
        self._stream.stop(drain=True)

    def complete(self) -> None:
        """Nothing is written."""

    def _failed(self, error: P2PCallError) -> None:
        self._polls.leave(self._poll)
        if self._pull is not None and self.on_error is not None:
            self.on_error(error)

    def _poll(self, due: float) -> None:
        now, stream = self._polls.scheduler.time(), self._stream
        left = stream.left() if stream.is_open else 0
        if left is None:
            return
        moved = left < self._written
        still_s = stream.still_s(now, moved=moved)
        if not stream.is_open or self._pull is None:
            return
        before = self._level.dry
        self._level.polled(now, moved=moved, dry=self._dry, poll_s=self._polls.step_s)
        self._polls.counts.underruns += self._level.dry - before
        samples = self._wanted(now, left, stream.capacity)
        if samples > 0:
            pcm = self._pull(samples)
            if abs(self._above) > LEVEL_SAMPLES:
                longer = self._above < 0
                pcm = by_one_sample(pcm, longer=longer)
                self._above += 1 if longer else -1
            self._dry = self._write(pcm)
            left += len(pcm) // SAMPLE_BYTES
        elif still_s > self._probed_s + ALIVE_S and left < stream.capacity:
            self._probed_s = still_s
            self._write(bytes(SAMPLE_BYTES))
            left += 1
        if moved:
            self._probed_s = 0.0
        self._written, self._written_at = left, now
        if self._level.lazy:
            _lazy_cards.add(self._card.name)

    def _wanted(self, now: float, left: int, capacity: int) -> int:
        """How much to pull now: a step for each that has passed, and none where there would be too much.

        A sound server takes blocks of 5 to 30 ms, and its clock is not this machine's: neither concerns the jitter
        buffer, for what is pulled is always whole steps. The level is put right by a sample at a time (`_above`). At
        the start, and when little is left, all that is missing is pulled.
        """
        level = min(round(self._level.target * SAMPLE_RATE_HZ), capacity)
        step = round(self._polls.step_s * SAMPLE_RATE_HZ)
        steps = max(1, round((now - self._written_at) / self._polls.step_s))
        if left <= level * LITTLE or steps > MOST_STEPS:
            self._above = 0.0
            return step * min(-(-(level - left) // step), (capacity - left) // step)
        steps = min(steps, (level + step - left) // step, (capacity - left) // step)
        self._above += MEAN_GAIN * (left + steps * step - level - self._above)
        return step * steps

    def _write(self, pcm: bytes) -> bool:
        return self._stream.write(pcm if self._card.channels == 1 else _to_stereo(pcm))


@lru_cache(MASKS_KEPT)
def _masks(samples: int) -> tuple[int, int]:
    """The bits of the sign, and the lowest bits, of so many samples."""
    return int.from_bytes(b"\0\x80" * samples, "little"), int.from_bytes(b"\1\0" * samples, "little")


def _to_mono(pcm: bytes) -> bytes:
    """The mean of each pair, rounded down: all at once, in very long numbers.

    With the sign's bit turned samples have no sign, and (a & b) + ((a ^ b) >> 1) is the mean of two of them. It carries
    nothing over to the next if the lowest bit of each is left out of the shift. As quick as numpy, which is 12 MiB.
    """
    both = array("h", pcm)
    signs, lowest = _masks(len(both) // 2)
    a, b = (int.from_bytes(both[channel::2], "little") ^ signs for channel in range(2))
    mean = (a & b) + (((a ^ b) & ~lowest) >> 1)
    return (mean ^ signs).to_bytes(len(pcm) // 2, "little")


def _to_stereo(pcm: bytes) -> bytes:
    one, both = array("h", pcm), array("h", bytes(2 * len(pcm)))
    both[::2] = both[1::2] = one
    return both.tobytes()
