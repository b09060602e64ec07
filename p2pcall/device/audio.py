"""Microphone and speaker through sounddevice.

Rules: PortAudio's callbacks copy and signal; everything with a thought in it runs in the loop. The
microphone is opened by `start`, not before. The speaker is the clock of playout: the loop pulls one frame when
the ring behind the callback runs low. How low grows by one block after an underrun and shrinks again in quiet
times. A callback that comes ahead of time waits for the loop while the card has sound left; a card whose buffer is
too shallow for this machine, or too deep, is opened anew; a lazy one (`buffer_depth`) while it still runs. Opening and
closing take a thread of their own (a server that hangs takes for ever); failures, then and later, come through
`on_error` once. Leaves out echo cancellation and choosing another device.
"""

import contextlib
import threading
from array import array
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Final

from p2pcall.device import cards
from p2pcall.device.base import OnError, OnFrame, Scheduler, Timer, device_error
from p2pcall.device.buffer_depth import BufferDepth
from p2pcall.device.ring import Ring
from p2pcall.errors import P2PCallError
from p2pcall.media.constants import FRAME_BYTES, FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

BLOCK_SAMPLES: Final = 240
"""5 ms a callback. PortAudio buffers in blocks, so 10 ms would cost 20 ms more from mouth to ear, and saves
1 % CPU.
"""
BLOCK_BYTES: Final = BLOCK_SAMPLES * 2
BLOCK_S: Final = BLOCK_SAMPLES / SAMPLE_RATE_HZ
RING_FRAMES: Final = 10
"""What the loop may be late before sound is lost: 200 ms."""
RESERVE_BLOCKS: Final = 1
MAX_RESERVE_BLOCKS: Final = 12
"""Blocks left in the speaker's ring when the loop is asked for more: 5 ms for it to answer, up to 60 ms."""
RESERVE_SHRINK_S: Final = 10.0
"""Without underrun for so long: one block less in reserve."""
STALL_CHECK_S: Final = 1.0
STALLED_S: Final = 4.0
"""No callback for so long: the card is gone or its server hangs."""
MAX_WAITED_S: Final = 0.2
"""A card that says that its sound has waited longer has its clock wrong."""
MAX_DEVICE_S: Final = 3.0
"""A card that says it has more than this in hand is not believed; virtual ones have two seconds."""
WARM_S: Final = 0.03
"""After its first blocks, which a stream takes at once, it plays when it asks again so much later."""
_lazy_cards: set[str] = set()
"""Names of cards that were found to be lazy: they are so in the next call, too."""
_SIGNS: Final = int.from_bytes(b"\0\x80" * FRAME_SAMPLES, "little")
_LOWEST: Final = int.from_bytes(b"\1\0" * FRAME_SAMPLES, "little")
"""These bits of each sample of a frame."""
CLOCK_GAIN: Final = 0.05
CLOCK_JUMP_S: Final = 0.05
"""Capture times follow the card's clock smoothly; an error above the jump is a break, not jitter."""


class Stream:
    """Opens, watches and closes one PortAudio stream; tells the first failure and then nothing."""

    def __init__(
        self,
        card: cards.Card,
        scheduler: Scheduler,
        tell: Callable[[P2PCallError], None],
        latency_s: float = 0.0,
    ) -> None:
        self.calls = 0  # counted by the callback
        self.latency_s = 0.0
        self._card = card
        self._asked_s = latency_s  # 0 for as little as it can
        self._scheduler = scheduler
        self._tell = tell
        self._lock = threading.Lock()
        self._stream: Any = None
        self._stopped = False
        self._timer: Timer | None = None
        self._seen = (0, 0.0)

    def start(self, callback: Callable[..., None]) -> None:
        """Opens the card in a thread; `callback` is PortAudio's."""
        name = f"p2pcall-open-{self._card.direction}"
        threading.Thread(target=self._open, args=(callback,), name=name, daemon=True).start()
        self._seen = (0, self._scheduler.time())
        self._timer = self._scheduler.call_at(self._scheduler.time() + STALL_CHECK_S, self._watch)

    def stop(self, *, drain: bool = False) -> None:
        """Closes the card soon, without waiting for it; callbacks may come until then, and mean nothing.

        `drain`: after it has played what it has.
        """
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._stopped = True
            stream, self._stream = self._stream, None
        if stream is not None:
            cards.close_stream(stream, drain=drain)

    def _open(self, callback: Callable[..., None]) -> None:
        make = "RawInputStream" if self._card.direction == "input" else "RawOutputStream"
        try:
            stream = cards.open_stream(
                self._card,
                make,
                lambda: not self._stopped,
                samplerate=SAMPLE_RATE_HZ,
                blocksize=BLOCK_SAMPLES,
                dtype="int16",
                latency=self._asked_s or "low",
                callback=callback,
                finished_callback=self._finished,
            )
        except P2PCallError as error:
            self._post(self._failed, error)
            return
        if stream is None:
            return
        with self._lock:
            if not self._stopped:
                self.latency_s = stream.latency
                self._stream, stream = stream, None
        if stream is not None:  # stopped while it was opening
            cards.close_stream(stream)

    def _finished(self) -> None:
        """PortAudio's thread: the stream has ended, because of `stop` or because the card went away."""
        if not self._stopped:
            word = cards.WORD[self._card.direction]
            hint = "plug it in again, or take another of `p2pcall devices`"
            self._post(
                self._failed, device_error("device-lost", f"the {word} {self._card.name} went away", hint)
            )

    def _post(self, call: Callable[[P2PCallError], None], error: P2PCallError) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._scheduler.call_soon_threadsafe(call, error)

    def _failed(self, error: P2PCallError) -> None:
        if not self._stopped:
            self.stop()
            self._tell(error)

    def _watch(self) -> None:
        now = self._scheduler.time()
        if self.calls != self._seen[0]:
            self._seen = (self.calls, now)
        elif now - self._seen[1] > STALLED_S:
            word = cards.WORD[self._card.direction]
            hint = "restart the sound server, or take another of `p2pcall devices`"
            self._failed(device_error("device-stalled", f"the {word} {self._card.name} stands still", hint))
            return
        self._timer = self._scheduler.call_at(now + STALL_CHECK_S, self._watch)


class Microphone:
    """`--audio-in default` or a name."""

    def __init__(self, card: cards.Card, scheduler: Scheduler) -> None:
        self.endless, self.held = True, False
        self.piece_ticks = 2
        self.on_end: Callable[[], None] | None = None
        self.on_error: OnError | None = None
        self.overflows = 0
        self._channels = card.channels
        self._scheduler = scheduler
        self._stream = Stream(card, scheduler, self._failed)
        self._ring = Ring(FRAME_BYTES * card.channels * RING_FRAMES)
        self._on_frame: OnFrame | None = None
        self._asked = False
        self._stamp = 0.0  # when the newest sample in the ring was captured
        self._clock: float | None = None

    def start(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame
        self._stream.start(self._callback)

    def stop(self) -> None:
        self._on_frame = None
        self._stream.stop()

    def _failed(self, error: P2PCallError) -> None:
        if self._on_frame is not None and self.on_error is not None:
            self.on_error(error)

    def _callback(self, data: Any, frames: int, times: Any, status: Any) -> None:
        """PortAudio's thread: copy, signal."""
        self._stream.calls += 1
        if self._ring.write(memoryview(data)) < len(data) or status.input_overflow:
            self.overflows += 1
        waited = times.currentTime - times.inputBufferAdcTime - frames / SAMPLE_RATE_HZ
        self._stamp = self._scheduler.time() - min(max(0.0, waited), MAX_WAITED_S)
        if not self._asked and len(self._ring) >= FRAME_BYTES * self._channels:
            self._asked = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._scheduler.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._asked = False
        size = FRAME_BYTES * self._channels
        while self._on_frame is not None and len(self._ring) >= size:
            pcm = self._ring.read(size)
            left_s = len(self._ring) / (2 * self._channels * SAMPLE_RATE_HZ)
            captured = self._smooth(self._stamp - left_s)
            self._on_frame(pcm if self._channels == 1 else _to_mono(pcm), captured - self._stream.latency_s)

    def _smooth(self, measured: float) -> float:
        """Capture times on a line that follows the card's clock; callbacks come when the system likes."""
        if self._clock is None or abs(measured - self._clock - FRAME_S) > CLOCK_JUMP_S:
            self._clock = measured
        else:
            expected = self._clock + FRAME_S
            self._clock = expected + CLOCK_GAIN * (measured - expected)
        return self._clock


class Speaker:
    """`--audio-out default` or a name."""

    def __init__(self, card: cards.Card, scheduler: Scheduler) -> None:
        self.on_error: OnError | None = None
        self.underruns = 0
        self._card = card
        self._channels = card.channels
        self._scheduler = scheduler
        self._stream = Stream(card, scheduler, self._failed)
        self._ring = Ring(FRAME_BYTES * card.channels * RING_FRAMES)
        self._pull: Callable[[], bytes] | None = None
        self._asked = False
        self._filled = threading.Event()
        self._playing = False  # the first frame is in the ring: from now on an empty ring is an underrun
        self._device_s = 0.0
        self._reserve_blocks = RESERVE_BLOCKS
        self._seen_underruns = 0
        self._calm_since = 0.0
        self._depth = BufferDepth(lazy=card.name in _lazy_cards)
        self._next: Stream | None = None
        """Another stream on the same card, which takes over when it plays."""
        self._warm_at = inf
        self._turn = (-1.0, 0.0)
        """The card's clock, which stands still while it asks for several blocks; when nothing more is left to play."""

    @property
    def latency_s(self) -> float:
        """What is in the ring and in the device now."""
        return len(self._ring) / (2 * self._channels * SAMPLE_RATE_HZ) + self._device_s

    def start(self, pull: Callable[[], bytes]) -> None:
        self._pull = pull
        self._calm_since = self._scheduler.time()
        self._open(self._depth.asked)

    def stop(self) -> None:
        self._pull = None
        if self._next is not None:
            self._next.stop()
        self._stream.stop(drain=True)

    def complete(self) -> None:
        """Nothing is written."""

    def _open(self, latency_s: float = 0.0) -> None:
        self._stream = Stream(self._card, self._scheduler, self._failed, latency_s)
        self._depth.opening()
        self._stream.start(partial(self._callback, self._stream))

    def _open_beside(self, latency_s: float) -> None:
        """As long as the one before runs, a lazy card does not pause for the next."""
        self._next = Stream(self._card, self._scheduler, self._busy, latency_s)
        self._next.start(partial(self._callback, self._next))

    def _busy(self, _: P2PCallError) -> None:
        self._next = None
        self._depth.busy()

    def _take_over(self) -> None:
        if self._next is not None and self._pull is not None:
            _lazy_cards.add(self._card.name)
            before, self._stream, self._next = self._stream, self._next, None
            self._depth.opening()
            before.stop()

    def _failed(self, error: P2PCallError) -> None:
        if self._pull is None:
            return
        if self._depth.asked and not self._stream.calls:
            self._depth.refused()
            self._open()
        elif self.on_error is not None:
            self.on_error(error)

    def _callback(self, stream: Stream, out: Any, frames: int, times: Any, status: Any) -> None:
        """PortAudio's thread: copy, signal; wait only where the card has something to play meanwhile."""
        target = memoryview(out)
        if stream is not self._stream:  # it is being closed, another one has its place; or takes it now
            target[:] = bytes(len(target))
            if stream is self._next:
                self._warm_up(stream)
            return
        stream.calls += 1
        waits = times.outputBufferDacTime - times.currentTime
        self._device_s = waits if 0 < waits < MAX_DEVICE_S else stream.latency_s
        now = self._scheduler.time()
        self._depth.called(now, dry=status.output_underflow)
        if times.currentTime != self._turn[0]:
            self._turn = times.currentTime, now + min(waits, stream.latency_s) - BLOCK_S
        if self._playing and self._card.ahead:
            self._wait(len(target), self._turn[1] - now)
        got = self._ring.read_into(target)
        if got < len(target):
            target[got:] = bytes(len(target) - got)
            self.underruns += self._playing
        if len(self._ring) < self._low_water():
            self._ask()

    def _warm_up(self, stream: Stream) -> None:
        """It plays when it asks for more than the first blocks, which it takes at once."""
        now = self._scheduler.time()
        if not stream.calls:
            self._warm_at = now + WARM_S
        stream.calls += 1
        if now >= self._warm_at:
            self._warm_at = inf
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._scheduler.call_soon_threadsafe(self._take_over)

    def _ask(self) -> bool:
        """Has the loop fill the ring; False when there is no loop any more."""
        if not self._asked:
            self._asked = True
            try:
                self._scheduler.call_soon_threadsafe(self._fill)
            except RuntimeError:
                self._asked = False
                return False
        return True

    def _wait(self, size: int, seconds: float) -> None:
        """Until there are `size` bytes in the ring, for so long at most."""
        self._filled.clear()
        if len(self._ring) < size and seconds > 0 and self._ask():
            self._filled.wait(seconds)

    def _low_water(self) -> int:
        return (self._reserve_blocks + 1) * BLOCK_BYTES * self._channels

    def _fill(self) -> None:
        self._asked = False
        self._adapt()
        while self._pull is not None and len(self._ring) < self._low_water():
            pcm = self._pull()
            self._ring.write(pcm if self._channels == 1 else _to_stereo(pcm))
            self._playing = True
        self._filled.set()

    def _adapt(self) -> None:
        now = self._scheduler.time()
        if self.underruns != self._seen_underruns:
            self._seen_underruns = self.underruns
            if self._depth.settled(now):
                self._reserve_blocks = min(MAX_RESERVE_BLOCKS, self._reserve_blocks + 1)
            self._calm_since = now
        elif now - self._calm_since > RESERVE_SHRINK_S and self._reserve_blocks > RESERVE_BLOCKS:
            self._reserve_blocks -= 1
            self._calm_since = now
        wanted = self._depth.change(now, self._stream.latency_s)
        if wanted is None or self._pull is None or self._next is not None:
            return
        if self._depth.lazy:
            self._open_beside(wanted)
        else:
            self._stream.stop()
            self._open(wanted)


def _to_mono(pcm: bytes) -> bytes:
    """The mean of each pair, rounded down: all of a frame at once, in numbers of 1,920 bytes.

    With the sign's bit turned samples have no sign, and (a & b) + ((a ^ b) >> 1) is the mean of two of them. It carries
    nothing over to the next if the lowest bit of each is left out of the shift. As quick as numpy, which is 12 MiB.
    """
    both = array("h", pcm)
    a, b = (int.from_bytes(both[channel::2], "little") ^ _SIGNS for channel in range(2))
    mean = (a & b) + (((a ^ b) & ~_LOWEST) >> 1)
    return (mean ^ _SIGNS).to_bytes(FRAME_BYTES, "little")


def _to_stereo(pcm: bytes) -> bytes:
    one, both = array("h", pcm), array("h", bytes(2 * len(pcm)))
    both[::2] = both[1::2] = one
    return both.tobytes()
