"""A desktop with a person: a virtual X server, a small window manager (openbox), and hands (xdotool,
wmctrl).

    with Desktop() as desktop:
        alice = p2p("dial", ..., "--video-out", "window", env=desktop.env)
        window = desktop.wait_window()
        window.wait_until(looks_right, "the card")
        window.key("q")

What is seen are the pixels of the screen where the window is. Waiting looks again several times a second, for X tells
nobody that a pixel has changed.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import xwindow
from netns import end
from picture import Picture
from xclient import XClient
from xwindow import LOOK_AGAIN_S, WAIT_S, XServer

PROGRAMS = ("Xvfb", "openbox", "xdotool", "wmctrl")
CLASS = "p2pcall"
PROCESS = "window_main"
"""In the command line of a window's process."""


def missing() -> str | None:
    """Why there can be no desktop here, or None if there can be."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(absent)} missing: apt-get install xvfb openbox xdotool wmctrl" if absent else None


def wait_for(true: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    """Look again and again until it is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"no {what} in {seconds} s"
        time.sleep(LOOK_AGAIN_S)


def processes_of(parent: int) -> list[int]:
    """The processes of windows that this process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parents) == parent and PROCESS.encode() in command:
            found.append(int(entry.name))
    return found


class Desktop:
    """The screen, and whoever manages its windows."""

    def __init__(self) -> None:
        self.server = XServer()
        self.env: Mapping[str, str] = {"DISPLAY": self.server.display}
        self.do(
            "key", "Shift_L"
        )  # the first key makes X load another keymap, and a window manager grab its keys anew
        quiet = subprocess.DEVNULL
        self._manager = subprocess.Popen(
            ["openbox"], env=os.environ | dict(self.env), stdout=quiet, stderr=quiet
        )
        wait_for(lambda: self.do("get_num_desktops", check=False).strip().isdigit(), "window manager")

    def do(self, *what: str, check: bool = True) -> str:
        """Let xdotool do it, and give what it says."""
        environ = os.environ | dict(self.env)
        done = subprocess.run(["xdotool", *what], env=environ, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"xdotool {' '.join(what)}: {done.stderr}"
        return done.stdout

    def windows(self) -> list[str]:
        """The windows of calls that can be seen."""
        return self.do("search", "--onlyvisible", "--class", f"^{CLASS}$", check=False).split()

    def wait_window(self) -> "Window":
        """The window of the call, once it is there."""
        wait_for(lambda: bool(self.windows()), "window of the call")
        window = Window(self, self.windows()[-1])
        window.activate()
        return window

    def end_server(self) -> None:
        """The display goes away."""
        end(self.server.process)

    def close(self) -> None:
        end(self._manager)
        self.server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Window:
    """A window on the desktop."""

    desktop: Desktop
    number: str

    @property
    def title(self) -> str:
        return self.desktop.do("getwindowname", self.number).strip()

    def place(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of what is inside its frame."""
        with XClient(self.desktop.server.display) as x:
            return *x.position(int(self.number)), *x.size(int(self.number))

    def picture(self) -> Picture:
        """What is seen of it."""
        x, y, width, height = self.place()
        return self.desktop.server.screen()[y : y + height, x : x + width]

    def wait_until(self, true: Callable[[Picture], bool], what: str) -> Picture:
        """Look at it until it shows what is wanted; the picture that did."""
        seen: list[Picture] = []

        def looks() -> bool:
            seen[:] = [self.picture()]
            return true(seen[0])

        wait_for(looks, what)
        return seen[0]

    def activate(self) -> None:
        """Bring it to the front, with the keyboard."""
        self.desktop.do("windowactivate", "--sync", self.number)

    def key(self, *keys: str) -> None:
        """Press keys, by the names that X has for them."""
        self.desktop.do("key", *keys)

    def resize(self, width: int, height: int) -> None:
        """As with the mouse at its edge; done on return."""
        self.desktop.do("windowsize", "--sync", self.number, str(width), str(height))

    def double_click(self) -> None:
        """In its middle."""
        _, _, width, height = self.place()
        middle = [str(width // 2), str(height // 2)]
        self.desktop.do(
            "mousemove", "--window", self.number, *middle, "click", "--repeat", "2", "--delay", "60", "1"
        )

    def minimise(self) -> None:
        """Off the screen."""
        self.desktop.do("windowminimize", "--sync", self.number)

    def state(self, change: str) -> None:
        """Ask the window manager for a state, as wmctrl has it (`add,above`)."""
        environ = os.environ | dict(self.desktop.env)
        command = ["wmctrl", "-i", "-r", hex(int(self.number)), "-b", change]
        subprocess.run(command, env=environ, check=True, capture_output=True)

    def press_close(self) -> None:
        """The window manager's way to close it."""
        self.activate()
        self.key("alt+F4")

    def save(self, path: Path) -> Path:
        """Write it to a PNG file."""
        return xwindow.save_png(self.picture(), path)
