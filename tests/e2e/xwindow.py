"""A real terminal window: xterm on a virtual X server, and what a person would see in it, as pixels.

    with XTerm([sys.executable, "-m", "p2pcall", "dial", ...], size=(120, 40)) as window:
        window.wait_until(lambda picture: len(np.unique(picture.reshape(-1, 3), axis=0)) > 500, "a picture")
        window.save(Path("call.png"))

`XServer` is the screen alone, for windows of other programs. It keeps its screen in a file that is read directly, so
no program for screenshots is needed. X tells nobody that a pixel has changed: waiting looks again several times a
second, and stops when the window has gone.
The program in the window gets SIGHUP when the window is closed. Left out: typing.
"""

import os
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import av
import numpy as np
from netns import end
from picture import Picture

PROGRAMS = ("Xvfb", "xterm")
SCREEN = (1600, 1000)
WAIT_S = 30.0
LOOK_AGAIN_S = 0.1
XWD_WORDS = 25


def missing() -> str | None:
    """Why there can be no window here, or None if there can be."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(absent)} missing: apt-get install xvfb xterm fonts-dejavu-core" if absent else None


class XServer:
    """A virtual X server and what its screen shows."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="p2pcall-x-")
        read, write = os.pipe()
        width, height = SCREEN
        server = [
            "Xvfb",
            "-displayfd",
            str(write),
            "-screen",
            "0",
            f"{width}x{height}x24",
            "-nolisten",
            "tcp",
        ]
        server += ["-noreset", "-fbdir", self._scratch.name]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(server, pass_fds=[write], stdout=quiet, stderr=quiet)
        os.close(write)
        with os.fdopen(read) as pipe:
            display = pipe.readline().strip()
        self.display = f":{display}"
        if not display:
            self.close()
            raise RuntimeError("Xvfb did not start")

    def screen(self) -> Picture:
        """The whole screen as it is now; what no window covers is black."""
        data = (Path(self._scratch.name) / "Xvfb_screen0").read_bytes()
        words = struct.unpack(f">{XWD_WORDS}I", data[: 4 * XWD_WORDS])
        header, width, height, line, colours = words[0], words[4], words[5], words[12], words[19]
        pixels = np.frombuffer(data, np.uint8, height * line, header + 12 * colours)
        return pixels.reshape(height, line // 4, 4)[:, :width, 2::-1].copy()

    def close(self) -> None:
        """End it."""
        end(self.process)
        self._scratch.cleanup()


def save_png(picture: Picture, path: Path) -> Path:
    """Write pixels to a PNG file."""
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png")
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


class XTerm:
    """An xterm that runs a command; the top left corner of its screen."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (120, 40),
        points: int = 8,
    ) -> None:
        self._argv = list(argv)
        self._env = os.environ | {"LC_ALL": "C.UTF-8", "COLORTERM": "truecolor"} | dict(env or {})
        self._size = size
        self._points = points
        self._gone = threading.Event()
        self._server: XServer | None = None
        self._window: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._server = XServer()
        cols, rows = self._size
        terminal = ["xterm", "-tn", "xterm-256color", "-fa", "DejaVu Sans Mono", "-fs", str(self._points)]
        terminal += ["-bg", "#101014", "-fg", "#e0e0e0", "-geometry", f"{cols}x{rows}+0+0", "+sb", "-b", "0"]
        environ = self._env | {"DISPLAY": self._server.display}
        quiet = subprocess.DEVNULL
        window = subprocess.Popen([*terminal, "-e", *self._argv], env=environ, stdout=quiet, stderr=quiet)
        self._window = window
        self._watcher = threading.Thread(target=self._watch, args=[window], name="xterm-exit")
        self._watcher.start()
        return self

    def _watch(self, window: "subprocess.Popen[bytes]") -> None:
        window.wait()
        self._gone.set()

    def screen(self) -> Picture:
        """The whole screen as it is now; what the window does not cover is black."""
        assert self._server is not None
        return self._server.screen()

    def picture(self) -> Picture:
        """The window: the part of the screen that is not black, from the top left corner."""
        screen = self.screen()
        rows, cols = np.nonzero(screen.any(axis=2))
        return screen[: rows.max() + 1, : cols.max() + 1] if len(rows) else screen[:0, :0]

    def wait_until(self, true: Callable[[Picture], bool], what: str, timeout: float = WAIT_S) -> Picture:
        """Look at the window until it shows what is wanted; the picture that did."""
        deadline = time.monotonic() + timeout
        while True:
            picture = self.picture()
            if picture.size and true(picture):
                return picture
            if self._gone.wait(LOOK_AGAIN_S):
                raise AssertionError(f"the window closed before it showed {what}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the window did not show {what} in {timeout} s")

    def save(self, path: Path) -> Path:
        """Write the window to a PNG file."""
        return save_png(self.picture(), path)

    def close(self) -> None:
        """End the window and the X server."""
        if self._window is not None:
            end(self._window)
            self._watcher.join()
            self._window = None
        if self._server is not None:
            self._server.close()
            self._server = None

    def __exit__(self, *_: object) -> None:
        self.close()
