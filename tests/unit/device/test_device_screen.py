"""A real X display is captured: its colour comes out, at the rate asked for, and a display that is none is told."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import av
import pytest

from p2pcall.device.camera import open_screen
from p2pcall.errors import ExitCode, P2PCallError

pytestmark = pytest.mark.terminal


@pytest.fixture
def display() -> Iterator[str]:
    """A private Xvfb of 320x200."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb missing: apt-get install xvfb")
    if "x11grab" not in av.formats_available:
        pytest.skip("this PyAV has no x11grab")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "320x200x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    yield f":{number}"
    process.terminate()
    process.wait()


def test_the_screen_is_captured(display: str) -> None:
    source = open_screen(30, environ={"DISPLAY": display})
    frames = [source.read() for _ in range(3)]
    source.close()
    assert source.read() is None
    assert [(frame.width, frame.height) for frame in frames if frame is not None] == [(320, 200)] * 3
    assert source.size == (320, 200)


def test_a_display_that_is_none(display: str) -> None:
    source = open_screen(30, environ={"DISPLAY": f"{display}7"})
    with pytest.raises(P2PCallError, match="the screen") as caught:
        source.read()
    assert (caught.value.slug, caught.value.exit) == ("device-open", ExitCode.DEVICE)
    assert caught.value.hint
    source.close()
