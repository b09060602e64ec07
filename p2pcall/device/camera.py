"""Camera and screen through FFmpeg's capture devices, as PyAV's wheels have them on each platform.

Rules: the device is opened by the first `read`, in the reading thread, which also closes it; before that
only its name is looked up. The hardware is asked for `fps`
and thinned out to it. Leaves out formats,
focus and hot plugging.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import av
from msgspec import Struct, field

from p2pcall.device.base import Device, device_error
from p2pcall.device.letterbox import VIEW
from p2pcall.errors import P2PCallError

SIZE: Final = VIEW
CAMERA_EARLY_SHARE: Final = 1 / 3
"""Of the time between two pictures: so much sooner one may come, for cameras are uneven."""
V4L2_CLASS: Final = Path("/sys/class/video4linux")
MAX_BAD_FRAMES: Final = 30
"""So many broken pictures in a row (two seconds) are a broken camera."""

RETRY_S: Final = 0.005
"""Between two looks at a camera that has no picture yet, and after a broken one."""

Opener = Callable[..., Any]
"""`av.open`, or what stands in for it in tests."""


class Capture(Struct, frozen=True):
    """What FFmpeg is told to open."""

    what: str
    url: str
    format: str
    options: Mapping[str, str] = field(default_factory=dict)


class CaptureSource:
    """A VideoSource of one capture device."""

    def __init__(
        self, capture: Capture, fps: int, opener: Opener, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.size = SIZE
        self.endless = True
        self._step = 1 / fps
        self._next_at = 0.0
        self._clock = clock
        self._capture = capture
        self._opener = opener
        self._closed = threading.Event()
        self._reading = threading.Lock()
        self._container: Any = None
        self._frames: Iterator[av.VideoFrame] | None = None

    def read(self) -> av.VideoFrame | None:
        with self._reading:
            frame = self._next()
            while frame is not None and not self._is_due():
                frame = self._next()
            if frame is None or self._closed.is_set():
                self._release()
                return None
            self.size = (frame.width, frame.height)
            return frame

    def _is_due(self) -> bool:
        """Thins out a device that is faster than it was told; a third of a step is left to its jitter."""
        now = self._clock()
        if now < self._next_at - self._step * CAMERA_EARLY_SHARE:
            return False
        self._next_at = max(now, self._next_at + self._step) if self._next_at else now + self._step
        return True

    def close(self) -> None:
        self._closed.set()
        if self._reading.acquire(blocking=False):  # else the reading thread releases it after its frame
            self._release()
            self._reading.release()

    def _next(self) -> av.VideoFrame | None:
        bad = 0
        while not self._closed.is_set():
            try:
                if self._container is None:
                    self._container = self._open()
                if self._frames is None:
                    self._frames = self._container.decode(video=0)
                return next(self._frames, None)
            except (av.FFmpegError, OSError) as error:
                self._frames = None  # a generator that has raised is at its end
                waiting = isinstance(error, BlockingIOError)  # avfoundation: no picture yet
                bad += not waiting
                broken = not (waiting or isinstance(error, av.InvalidDataError)) or bad > MAX_BAD_FRAMES
                if self._container is None or broken:
                    raise self._failure(error) from error
                self._closed.wait(RETRY_S)
        return None

    def _open(self) -> Any:
        capture = self._capture
        return self._opener(capture.url, format=capture.format, options=dict(capture.options))

    def _release(self) -> None:
        container, self._container, self._frames = self._container, None, None
        if container is not None:
            container.close()

    def _failure(self, error: Exception) -> P2PCallError:
        self._release()
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        what = self._capture.what
        return device_error("device-open", f"{what}: {reason}", f"see who uses it, or {_without('call')}")


def open_camera(
    name: str | None, fps: int, *, opener: Opener = av.open, platform: str = sys.platform
) -> CaptureSource:
    """The camera with `name` in its name, or the first one. Raises P2PCallError; captures nothing yet."""
    width, height = SIZE
    options = {"framerate": str(fps), "video_size": f"{width}x{height}"}
    if platform == "linux":
        path = _match(name, list_v4l2())
        if not os.access(path, os.R_OK | os.W_OK):
            hint = "`sudo usermod -aG video $USER`, then log in anew"
            raise device_error("camera-denied", f"no permission to use the camera {path}", hint)
        capture = Capture(f"the camera {path}", path, "video4linux2,v4l2", options)
    elif platform == "darwin":
        options |= {"framerate": "30", "pixel_format": "nv12"}  # what every Mac's camera has
        capture = Capture("the camera", f"{name or 'default'}:none", "avfoundation", options)
    elif platform == "win32" and name:
        capture = Capture(f"the camera {name}", f"video={name}", "dshow", options)
    else:
        hint = f"`camera:NAME` with a name of your system's settings, or {_without('call')}"
        raise device_error("no-camera", "the first camera cannot be found on this system", hint)
    _check_format(capture.format, "cameras")
    return CaptureSource(capture, fps, opener)


def open_screen(
    fps: int,
    *,
    environ: Mapping[str, str] = os.environ,
    opener: Opener = av.open,
    platform: str = sys.platform,
) -> CaptureSource:
    """The whole screen. Raises P2PCallError when there is none; captures nothing yet."""
    rate = {"framerate": str(fps)}
    if platform == "darwin":
        capture = Capture(
            "the screen", "Capture screen 0:none", "avfoundation", rate | {"capture_cursor": "1"}
        )
    elif platform == "win32":
        capture = Capture("the screen", "desktop", "gdigrab", rate)
    else:
        display = environ.get("DISPLAY", "")
        if not display:
            hint = f"start it in an X session (or with Xwayland, which sees X windows only), or {_without('call')}"
            raise device_error("no-screen", "there is no X display to show (DISPLAY is not set)", hint)
        capture = Capture(f"the screen {display}", display, "x11grab", rate)
    _check_format(capture.format, "screens")
    return CaptureSource(capture, fps, opener)


def list_cameras(platform: str = sys.platform) -> list[Device]:
    """The cameras whose names can be told (Linux); the first one is the default."""
    cameras = list_v4l2() if platform == "linux" else []
    return [Device("camera", name, n == 0) for n, (name, _) in enumerate(cameras)]


def list_v4l2(sys_class: Path = V4L2_CLASS) -> list[tuple[str, str]]:
    """Name and device file of each camera, in the kernel's order. Of the nodes of one camera the first
    captures.
    """
    found = []
    for entry in sorted(sys_class.glob("video*"), key=lambda path: (len(path.name), path.name)):
        try:
            name, index = ((entry / part).read_text("utf-8", "replace").strip() for part in ("name", "index"))
        except OSError:
            continue
        if index == "0":
            found.append((name, f"/dev/{entry.name}"))
    return found


def _match(name: str | None, cameras: list[tuple[str, str]]) -> str:
    if not cameras:
        hint = f"plug one in, or {_without('call')}"
        asked = "there is no camera" if name is None else f"there is no camera {name!r}, nor any other"
        raise device_error("no-camera", asked, hint)
    if name is None:
        return cameras[0][1]
    wanted = name.casefold()
    whole = {path for title, path in cameras if wanted in (title.casefold(), path)}
    fits = whole or {path for title, path in cameras if wanted in title.casefold()}
    if len(fits) == 1:
        return fits.pop()
    names = ", ".join(f"{title} ({path})" for title, path in cameras)
    if fits:
        raise device_error(
            "device-ambiguous", f"{name!r} fits several cameras: {names}", "give more of the name"
        )
    raise device_error("no-such-device", f"there is no camera {name!r}", f"there are: {names}")


def _check_format(name: str, what: str) -> None:
    if name not in av.formats_available:
        hint = f"`pip install --upgrade av`, or {_without('call')}"
        raise device_error("no-capture", f"this PyAV cannot capture {what} ({name})", hint)


def _without(verb: str) -> str:
    return f"{verb} with `--video-in none`"
