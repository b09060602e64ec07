"""The other side's picture in its own window: the part in the call's process.

The window is another process (`window_main`): SDL needs the main thread on some systems, and if a display or graphics
driver crashes, it ends that process and not the call. Rules: everything that happens there is an event here, and we
never wait for it: pictures go into shared memory, where the newest replaces older ones, and a wake-up is dropped if the
pipe is full. `close` gives the process a second and then kills it. If the call dies, its pipe closes and the window
ends by itself. Pictures come from any thread, the loop reads events. Left out: drawing, and the meaning of keys.
"""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter

from p2pcall.errors import ExitCode, P2PCallError

from .hud import HudState, trust
from .layout import OWN_ALONE_S
from .panes import FIRST_SIZE, fit_box
from .sanitize import NAME_CELLS, clean
from .shared_latest import SharedLatest, area_offsets, attach, share
from .window_link import (
    AREAS,
    INSTEAD,
    MAX_OWN_PICTURE,
    MAX_PICTURE,
    OWN,
    READ_BYTES,
    REMOTE,
    STATE,
    Failed,
    Size,
    WindowEvent,
    WindowState,
    parse_event,
)

LIBRARY: Final = "sdl2"
WINDOW_END_WAIT_S: Final = 1.0
"""A window's process that does not end after this time is killed."""
WINDOW_OPEN_WAIT_S: Final = 8.0
"""Longest wait until the window is there: it takes 0.2 s on an idle machine."""
MAX_EVENT_BYTES: Final = 4096
_PACKAGES: Final = Path(__file__).resolve().parents[2]
_BOOT: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from p2pcall.view.window_main import main; main(*map(int, sys.argv[2:]))"
)


def window_error(slug: str, text: str, hint: str | None = INSTEAD) -> P2PCallError:
    """The error for a window that cannot be opened (exit 6)."""
    return P2PCallError(slug, text, ExitCode.DEVICE, hint)


def stuck() -> P2PCallError:
    """The error for a window that did not open within `WINDOW_OPEN_WAIT_S`."""
    return window_error(
        "window-stuck", f"the display has not answered within {WINDOW_OPEN_WAIT_S:.0f} seconds"
    )


def check_library() -> None:
    """P2PCallError if SDL is not installed."""
    if not _installed():
        hint = f"`{sys.executable} -m pip install 'p2pcall[window]'`"
        raise window_error("no-window-library", "a window needs SDL, which is not installed", hint)


def may_open(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether to try: SDL is installed, and there seems to be a display."""
    display = platform == "darwin" or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    return bool(display) and _installed()


def _installed() -> bool:
    return importlib.util.find_spec(LIBRARY) is not None


class Window:
    """A window; it opens with the first `set_hud`. Call `close` at the end."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        command: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the process and does not wait. Tests replace it by `command`, which gets two descriptors: the memory,
        and a pipe that closes with the call. P2PCallError (exit 6) if SDL is not installed, or no process can be
        started.
        """
        if command is None:
            check_library()
            command = [sys.executable, "-P", "-W", "ignore", "-c", _BOOT, str(_PACKAGES)]
        self._clock = clock
        self._hud = HudState()
        self._size = FIRST_SIZE
        self._failed = False
        self._partial = b""
        self._lock = threading.Lock()
        """Held for writing to the pipe and closing it, because after closing its number may be another file's."""
        self._remote_scaler, self._own_scaler = VideoReformatter(), VideoReformatter()
        self._remote_at = -OWN_ALONE_S
        self._own_shown = False
        self.closed = False
        self._areas: list[SharedLatest] = []
        try:
            self._process = self._start(command, environ)
        except OSError as error:
            for area in self._areas[:1]:
                area.memory.close()
            why = (error.strerror or str(error)).lower()
            raise window_error("window-start", f"the window's process cannot be started: {why}") from error

    def _start(self, command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """The process, with pipes and memory between it and us. OSError if it fails; then nothing is left open."""
        with ExitStack() as theirs, ExitStack() as ours:
            wakes, self._wake = _pipe(theirs, ours)
            end, self._end = _pipe(theirs, ours)
            self._events, events = _pipe(ours, theirs)
            memory = share(area_offsets(AREAS)[1])
            theirs.callback(os.close, memory)
            self._areas = attach(memory, AREAS)
            os.set_blocking(self._wake, False)
            os.set_blocking(self._events, False)
            process = subprocess.Popen(
                [*command, str(memory), str(end)],
                stdin=wakes,
                stdout=events,
                stderr=subprocess.DEVNULL,
                env={name: value for name, value in environ.items() if not name.startswith("P2PCALL_")},
                pass_fds=[memory, end],
                start_new_session=True,  # Ctrl-C and Ctrl-Z in the terminal are for the call
            )
            ours.pop_all()
            return process

    def fileno(self) -> int:
        """Readable when there are events."""
        return self._events

    def read_events(self) -> list[WindowEvent]:
        """The new events; call it when `fileno` is readable. Never waits. The last event may be `Failed`."""
        if self.closed or self._failed:
            return []
        events: list[WindowEvent] = []
        try:
            data = os.read(self._events, READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        *lines, partial = (self._partial + data).split(b"\n")
        self._partial = partial[-MAX_EVENT_BYTES:]
        for line in lines:
            event = parse_event(line)
            if event is not None:
                events.append(self._noted(event))
        if not data and not any(isinstance(event, Failed) for event in events):
            text = "the window has gone: its display was closed, or its process was ended"
            events.append(self._noted(Failed("window-lost", text, INSTEAD)))
        return events

    def _noted(self, event: WindowEvent) -> WindowEvent:
        match event:
            case Size():
                self._size = event.width, event.height
            case Failed():
                self._failed = True
            case _:
                pass
        return event

    # --- content -----------------------------------------------------------------------------------------------

    def show(self, frame: av.VideoFrame) -> None:
        """Show the other side's newest picture."""
        self._put(REMOTE, self._remote_scaler, frame, MAX_PICTURE)
        self._remote_at = self._clock()
        self._rouse()

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """Show one's own newest picture, mirrored, from any thread; None: there is none any more."""
        if frame is not None:
            self._own_shown = True
            self._put(OWN, self._own_scaler, frame, MAX_OWN_PICTURE, mirrored=True)
        elif self._own_shown:
            self._own_shown = False
            self._nothing(OWN)
        if frame is None or self._clock() - self._remote_at >= OWN_ALONE_S:
            self._rouse()

    def clear_remote(self) -> None:
        """Remove the other side's picture."""
        self._nothing(REMOTE)
        self._rouse()

    def set_hud(self, hud: HudState) -> None:
        """Set the text beside the picture; the window opens with the first."""
        if self._hud.remote_video and not hud.remote_video:
            self._nothing(REMOTE)
        self._hud = hud
        data = WindowState(True, title(hud), hud).pack()
        with suppress(ValueError):  # absurdly long figures: the old ones stay
            self._areas[STATE].put([data], (0, 0), self._now_ns())
        self._rouse()

    def view_size(self) -> tuple[int, int]:
        """Pixels for the other side's picture; (0, 0) while the window is not visible, or when it is gone."""
        return (0, 0) if self.closed or self._failed else self._size

    # --- the end -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the window's process, in the background. Idempotent, from any thread."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            for fd in (self._wake, self._events, self._end):
                os.close(fd)
        # Not a daemon thread: the interpreter must wait for it, or a hanging window would be left behind.
        threading.Thread(target=self._see_off, name="p2pcall-window-end").start()

    def _see_off(self) -> None:
        try:
            self._process.wait(WINDOW_END_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(WINDOW_END_WAIT_S)

    def _put(
        self,
        area: int,
        scaler: VideoReformatter,
        frame: av.VideoFrame,
        most: tuple[int, int],
        *,
        mirrored: bool = False,
    ) -> None:
        width, height = frame.width, frame.height
        if width > most[0] or height > most[1]:
            _, _, width, height = fit_box(width, height, *most)
        width, height = max(2, width // 2 * 2), max(2, height // 2 * 2)
        if (width, height) != (frame.width, frame.height) or not _is_plain(frame):
            frame = scaler.reformat(
                frame, width, height, "yuv420p", dst_color_range=ColorRange.MPEG, threads=1
            )
        parts = [_samples(plane, mirrored=mirrored) for plane in frame.planes]
        self._areas[area].put(parts, (width, height), self._now_ns())

    def _nothing(self, area: int) -> None:
        self._areas[area].put([], (0, 0), self._now_ns())

    def _now_ns(self) -> int:
        return int(self._clock() * 1e9)

    def _rouse(self) -> None:
        with self._lock, suppress(OSError):  # full: it is awake; closed there: an event reports it
            if not self.closed:
                os.write(self._wake, b".")


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe's two ends, each closed with its owner."""
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _is_plain(frame: av.VideoFrame) -> bool:
    """Whether the frame is 4:2:0 with limited range, as from decoders."""
    return frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG


def _samples(plane: VideoPlane, *, mirrored: bool) -> memoryview | bytes:
    """The samples of a plane (8 bits) without its padding."""
    data = memoryview(plane)
    if plane.line_size == plane.width and not mirrored:
        return data[: plane.height * plane.width]
    rows = np.frombuffer(data, np.uint8)[: plane.height * plane.line_size]
    rows = rows.reshape(plane.height, plane.line_size)[:, : plane.width]
    return (rows[:, ::-1] if mirrored else rows).tobytes()


def title(hud: HudState) -> str:
    """The name and whether it is verified, for title bar and window list; remote strings are filtered."""
    return f"{clean(hud.name, NAME_CELLS)} ({trust(hud.known)}) - p2pcall" if hud.name else "p2pcall"
