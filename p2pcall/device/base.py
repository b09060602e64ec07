"""What the engine sees of a device: sources and sinks of sound and picture, as Protocols.

Rules: nothing captures before `start` (sound) or the first `read` (picture): opening is not consent. Sound
is handed over in the loop's thread only, in pieces of whole ticks; pictures are pulled by a thread of the
engine. A device that fails while it runs says so once through `on_error` and is then as good as stopped;
`stop` and `close` may be called at any time, from any state, more than once. Leaves out coding, mixing and
any clock of its own: time is `Scheduler.time()`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import FRAME_BYTES

if TYPE_CHECKING:
    import av

SILENT_FRAME: Final = bytes(FRAME_BYTES)
"""One frame of sound: 20 ms, signed 16-bit little-endian mono."""
NOTHING_YET: Final = b""
"""Given in place of a frame by what has none in time, or worked without making one."""


class Timer(Protocol):
    """What `Scheduler.call_at` gives back."""

    def cancel(self) -> None: ...


class Scheduler(Protocol):
    """The part of an asyncio loop that devices need; a loop of virtual time fits as well."""

    def call_at(self, when: float, callback: Callable[..., object], /) -> Timer: ...

    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> object: ...

    def time(self) -> float: ...


Frames = Generator[bytes, None, None]
"""Frames of sound, `NOTHING_YET` in between."""
OnFrame = Callable[[bytes, float], None]
"""`(pcm, captured)`: one frame, and when its last sample was captured, on the scheduler's clock."""
Pull = Callable[[int], bytes]
"""Gives so many samples."""
OnError = Callable[[P2PCallError], None]
OnNote = Callable[[str], None]
"""Told, in any thread, what people should know and nothing depends on."""


class AudioSource(Protocol):
    """A microphone, or what stands in for one."""

    endless: bool
    """It has no end of its own, as a microphone has none."""
    held: bool
    """While it is set, what has an end gives silence and is not read."""
    piece_ticks: int
    """How many ticks a piece should have, 1 or 2; who cannot gives 2. It may change at any time."""
    prompt: bool
    """Delay counts more than the processor: it may be looked at more often."""
    on_end: Callable[[], None] | None
    """Called once, in the loop's thread, when a finite source has ended; silence goes on."""
    on_error: OnError | None

    def start(self, on_frame: OnFrame) -> None:
        """Begins to capture; `on_frame` is called in the loop's thread for each piece until `stop`."""

    def stop(self) -> None:
        """Ends capture; no call comes after it."""


class AudioSink(Protocol):
    """A loudspeaker, or what stands in for one: the clock of playout."""

    on_error: OnError | None

    @property
    def latency_s(self) -> float:
        """From `pull` to the ear, now: what is buffered here and in the device."""

    def start(self, pull: Pull) -> None:
        """Begins to play; `pull` is called in the loop's thread for as many samples as the device's clock has taken."""

    def stop(self) -> None:
        """Ends playing; no call comes after it."""

    def complete(self) -> None:
        """After `stop`: completes what is written. It may wait for a disk or a reader, so it is not for the loop; any
        thread. Idempotent. P2PCallError if what is written is not whole.
        """


class VideoSource(Protocol):
    """A camera, or what stands in for one. One thread reads, any thread may close."""

    size: tuple[int, int]
    """Width and height as far as known; before the first frame of a camera or a pipe a guess."""
    endless: bool
    """It has no end of its own, as a camera or a still picture has none."""

    def read(self) -> av.VideoFrame | None:
        """Blocks until the next picture is due; None when there will be none any more. The first call opens
        the device. Raises P2PCallError when the device cannot be opened or fails.
        """

    def close(self) -> None:
        """Ends it; a `read` that waits returns None soon."""


class VideoSink(Protocol):
    """A place for the other side's pictures, other than the terminal."""

    on_error: OnError | None
    """Called in the thread of `show`, once."""

    def show(self, frame: av.VideoFrame) -> None:
        """Takes one picture; called by the playout thread."""

    def view_size(self) -> tuple[int, int]:
        """How many pixels can be made use of; (0, 0): send no picture."""

    def close(self) -> None:
        """Completes what is written, which may wait for a disk or a reader: not for the loop."""


class PictureOut(VideoSink, Protocol):
    """A VideoSink that is no screen: a file, a stream, nothing."""

    def start(self) -> None:
        """The call begins: times of what is written count from now."""


class Device(Struct, frozen=True):
    """One row of `p2pcall devices`: `kind` is `microphone`, `speaker`, `camera` or `window`, `name` what
    options take.
    """

    kind: str
    name: str
    default: bool


def device_error(slug: str, text: str, hint: str | None = None) -> P2PCallError:
    """A device that cannot be used (exit 6)."""
    return P2PCallError(slug, text, ExitCode.DEVICE, hint)


def media_file_error(path: str, reason: str, hint: str | None = None) -> P2PCallError:
    """A file that cannot be used as sound or picture (exit 2)."""
    return P2PCallError("media-file", f"{path}: {reason}", ExitCode.USAGE, hint)
