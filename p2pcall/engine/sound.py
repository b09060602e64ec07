"""The sound source and sink of one call, kept going.

A sound device that fails while the call is up is replaced by silence (or nothing), told as a warning, and tried
again every few seconds: a sound server that comes back brings the sound back. In the place of a card that was chosen
for all calls and is not there comes the default one, which is told, until it is back. Leaves out which devices
(`devices`).
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Final, Generic, Protocol, TypeVar

from p2pcall.device.base import AudioSink, AudioSource, OnFrame, Pull
from p2pcall.device.factory import is_microphone, is_speaker
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import SAMPLE_BYTES

REOPEN_EVERY_S: Final = 3.0
"""Between two tries to get a lost sound device back."""
STEADY_GAP_S: Final = 0.1
"""A card that takes no frame for so long does not run (yet): some take a few at once and then pause for two seconds."""
STEADY_S: Final = 0.2
"""After such a pause it runs when it has taken frames for so long without another,"""
NEVER_PAUSED_S: Final = 0.8
"""and if there was none, for so long: it may still come."""
WARN_AGAIN_S: Final = 60.0
"""A device that fails more often than this is told of once."""

OnFailure = Callable[[P2PCallError], None]
_D = TypeVar("_D", bound="Stoppable")


class Stoppable(Protocol):
    """What sources and sinks of sound have in common."""

    def stop(self) -> None:
        """Ends it."""


class Chosen(Generic[_D]):
    """A card that goes before the default one."""

    def __init__(self, open_it: Callable[[], _D], word: str, name: str) -> None:
        self.open = open_it
        self.absent = P2PCallError(
            "chosen-device-absent",
            f"the {word} {name} that you chose is not there: the default one is used until it is back",
            ExitCode.DEVICE,
        )
        self.here = True

    def first(self, otherwise: Callable[[], _D]) -> _D:
        """The card, or what is used otherwise. P2PCallError if there is neither."""
        try:
            return self.open()
        except P2PCallError:
            self.here = False
            return otherwise()


class DeviceSupervisor(Generic[_D]):
    """Keeps a sound device going: a stand-in while it is away, the real one tried again every few seconds.

    Only a sound card comes back; a file that failed (a full disk) is not begun anew over what it holds.
    """

    def __init__(
        self,
        device: _D,
        reopen: Callable[[str], _D],
        spec: str,
        stand_in: str,
        begin: Callable[[_D], None],
        *,
        card: bool,
        chosen: Chosen[_D] | None = None,
    ) -> None:
        """`chosen` goes before `spec`; it is `device` if it is there."""
        self.device = device
        self.on_failure: OnFailure | None = None
        self._reopen, self._spec, self._stand_in, self._begin, self._card = (
            reopen,
            spec,
            stand_in,
            begin,
            card,
        )
        self._running = False
        self._chosen = chosen
        self._substituted = self._lost = chosen is not None and not chosen.here
        """What is used is not what was chosen; it is not what is wanted at all."""
        self._untold = chosen.absent if chosen is not None and self._substituted else None
        self._retry: asyncio.TimerHandle | None = None
        self._told_at = self._tried_at = -inf

    @property
    def away(self) -> bool:
        """There is no card."""
        return self._lost and not self._substituted

    def tell(self, on_failure: OnFailure | None) -> None:
        """Whom to tell what fails from now on, and what has failed before anybody was there to be told."""
        self.on_failure = on_failure
        if self._untold is not None and on_failure is not None:
            untold, self._untold = self._untold, None
            on_failure(untold)

    def start(self) -> None:
        """Begin with the device; if it was lost before, with what stands in for it until it is back."""
        self._running = True
        self._begin(self.device)
        if self._lost:
            self._again()

    def stop(self) -> None:
        """End, whatever is in use."""
        self._running = False
        if self._retry is not None:
            self._retry.cancel()
        self.device.stop()

    def failed(self, error: P2PCallError) -> None:
        """The device in use has failed."""
        self.device.stop()
        if not self._running:
            return
        self.device = self._reopen(self._stand_in)
        self._substituted = False
        self._lost = self._card and error.exit is ExitCode.DEVICE
        self._begin(self.device)
        now = asyncio.get_running_loop().time()
        at_once = self._chosen is not None and now - self._tried_at > REOPEN_EVERY_S
        if self.on_failure is None:
            self._untold = error
        elif now - self._told_at >= WARN_AGAIN_S:
            self._told_at = now
            self.on_failure(error)
        if self._lost:
            self._again(0.0 if at_once else REOPEN_EVERY_S)

    def _again(self, wait_s: float = REOPEN_EVERY_S) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(wait_s, self._try)

    def _try(self) -> None:
        """Looks for the card in a thread: a sound server that hangs takes its time."""
        loop = asyncio.get_running_loop()
        self._tried_at = loop.time()
        threading.Thread(target=self._look, args=(loop,), name="p2pcall-reopen", daemon=True).start()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        device, substitute = None, False
        if self._chosen is not None:
            with suppress(P2PCallError):
                device = self._chosen.open()
        if device is None and not self._substituted:
            substitute = self._chosen is not None
            with suppress(P2PCallError):
                device = self._reopen(self._spec)
        with suppress(RuntimeError):  # the loop is closed: the call is over
            loop.call_soon_threadsafe(self._looked, device, substitute)

    def _looked(self, device: _D | None, substitute: bool = False) -> None:
        if not self._running or not self._lost:
            return
        if device is None:
            self._again()
            return
        try:
            self._begin(device)
        except P2PCallError:
            self._again()
            return
        self._lost = self._substituted = substitute
        stand_in, self.device = self.device, device
        stand_in.stop()
        if substitute:
            self._tell_absent()
            self._again()

    def _tell_absent(self) -> None:
        """Not again in the same call: it was told then that it may come back."""
        assert self._chosen is not None
        if self.on_failure is not None and self._chosen.here:
            self._chosen.here = False
            self.on_failure(self._chosen.absent)


class SupervisedSource:
    """The sound source of one call: silence while the device is away."""

    def __init__(
        self,
        source: AudioSource,
        reopen: Callable[[str], AudioSource],
        spec: str,
        chosen: Chosen[AudioSource] | None = None,
    ) -> None:
        self._supervisor: DeviceSupervisor[AudioSource] = DeviceSupervisor(
            source, reopen, spec, "silence", self._begin, card=is_microphone(spec), chosen=chosen
        )
        self.is_card = is_microphone(spec)
        """Somebody speaks into it; not a file or a pipe."""
        self._on_frame: OnFrame | None = None
        self._piece_ticks, self._prompt = source.piece_ticks, source.prompt
        self.on_end: Callable[[], None] | None = None

    @property
    def away(self) -> bool:
        """There is silence in the place of the card."""
        return self._supervisor.away

    @property
    def endless(self) -> bool:
        """It has no end of its own."""
        return self._supervisor.device.endless

    def in_pieces_of(self, ticks: int, *, prompt: bool) -> None:
        """How long the pieces should be that it gives from now on, and whether delay counts most."""
        self._piece_ticks = self._supervisor.device.piece_ticks = ticks
        self._prompt = self._supervisor.device.prompt = prompt

    def hold(self, held: bool = True) -> None:
        """Silence in the place of what has an end, or no longer."""
        self._supervisor.device.held = held

    def start(self, on_frame: OnFrame, on_failure: OnFailure) -> None:
        """Begin to capture."""
        self._on_frame = on_frame
        self._supervisor.tell(on_failure)
        self._supervisor.start()

    def stop(self) -> None:
        """End capture."""
        self._supervisor.stop()

    def _begin(self, source: AudioSource) -> None:
        assert self._on_frame is not None
        source.on_end, source.on_error = self._ended, self._supervisor.failed
        source.piece_ticks, source.prompt = self._piece_ticks, self._prompt
        source.start(self._on_frame)

    def _ended(self) -> None:
        if self.on_end is not None:
            self.on_end()


class SupervisedSink:
    """The sound sink of one call: nothing is heard while the device is away."""

    def __init__(
        self,
        sink: AudioSink,
        reopen: Callable[[str], AudioSink],
        spec: str,
        chosen: Chosen[AudioSink] | None = None,
    ) -> None:
        self._supervisor: DeviceSupervisor[AudioSink] = DeviceSupervisor(
            sink, reopen, spec, "none", self._begin, card=is_speaker(spec), chosen=chosen
        )
        self._pull: Pull | None = None
        self._card = is_speaker(spec)
        self._since: float | None = None
        self._last, self._paused = 0.0, False
        self.steady = False
        """It takes frames evenly: what it is given now is heard."""
        self.on_steady: Callable[[], None] | None = None
        self.on_playout: Callable[[bytes], None] | None = None
        """Given every frame that is played."""
        self.played = b""
        """What is played now: the newest piece of it."""

    @property
    def is_card(self) -> bool:
        """Somebody hears it; not a file or a pipe."""
        return self._card

    @property
    def latency_s(self) -> float:
        """From pull to ear, now."""
        return self._supervisor.device.latency_s

    def prepare(self) -> None:
        """Have a sound card run before there is something to hear: it takes its time to start. Others are as they are.

        If it fails, `play` tells.
        """
        if self._card and self._pull is None:
            self.play(play_nothing)

    def play(self, pull: Pull, on_failure: OnFailure | None = None) -> None:
        """Play what `pull` gives from now on."""
        running, self._pull = self._pull is not None, pull
        self._supervisor.tell(on_failure)
        if not running:
            self._supervisor.start()
            if not self._card:
                self._is_steady()

    def stop(self) -> None:
        """End playing; a card may play again."""
        self._pull, self._since, self.steady = None, None, False
        self._supervisor.stop()

    def complete(self) -> None:
        """After `stop`, not in the loop: complete the file. P2PCallError if it is not whole."""
        self._supervisor.device.complete()

    def _begin(self, sink: AudioSink) -> None:
        sink.on_error = self._supervisor.failed
        sink.start(self._next)

    def _next(self, samples: int) -> bytes:
        if self._pull is None:
            return play_nothing(samples)
        if self._card:
            self._count(asyncio.get_running_loop().time())
        pcm = self.played = self._pull(samples)
        if self.on_playout is not None:
            self.on_playout(pcm)
        return pcm

    def _count(self, now: float) -> None:
        """Cards ask for some frames at once when they start, and then for a while for none."""
        if self._since is None or now - self._last > STEADY_GAP_S:
            self._paused = self._since is not None
            self._since, self.steady = now, False
        self._last = now
        if not self.steady and now - self._since >= (STEADY_S if self._paused else NEVER_PAUSED_S):
            self._is_steady()

    def _is_steady(self) -> None:
        self.steady = True
        if self.on_steady is not None:
            self.on_steady()


def play_nothing(samples: int) -> bytes:
    """A `pull` of nothing to be heard."""
    return bytes(SAMPLE_BYTES * samples)
