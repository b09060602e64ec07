"""The call's side of the window: pictures go out without waiting, events come in, and whatever happens there ends well.

The process is a stand-in that says and does what a test wants; the real one is in tests/e2e/test_own_window.py.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.view import window as windows
from p2pcall.view.hud import HudState
from p2pcall.view.panes import FIRST_SIZE
from p2pcall.view.shared_latest import Snapshot
from p2pcall.view.window import Window, check_library, may_open, title
from p2pcall.view.window_link import (
    AREAS,
    MAX_OWN_PICTURE,
    MAX_PICTURE,
    OWN,
    REMOTE,
    STATE,
    Drawn,
    Failed,
    Key,
    Note,
    Ready,
    Size,
    WindowEvent,
    WindowState,
    pack_event,
    parse_event,
)

Start = Callable[..., Window]
PATIENCE_S = 20.0
LOST = "window-lost"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a stand-in that runs this Python code; `memory` is the number of the shared memory there."""
    made: list[Window] = []

    def begin(code: str, environ: dict[str, str] | None = None) -> Window:
        head = "import os, sys, time\nmemory, end = map(int, sys.argv[1:])\ndef say(line): os.write(1, line + b'\\n')\n"
        window = Window(environ or {}, command=[sys.executable, "-c", head + code])
        made.append(window)
        return window

    yield begin
    for window in made:
        window.close()


def wait_event(window: Window, kind: type[WindowEvent]) -> WindowEvent:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert select.select([window.fileno()], [], [], deadline - time.monotonic())[0], f"no {kind}"
        for event in window.read_events():
            if isinstance(event, kind):
                return event


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def found(window: Window, area: int) -> Snapshot:
    seen = window._areas[area].look()
    assert seen is not None
    return seen


def picture(width: int = 64, height: int = 48, value: int = 90, form: str = "yuv420p") -> av.VideoFrame:
    grey = np.full((height, width, 3), value, np.uint8)
    return av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=form)


WAITS = "os.read(0, 1)\ntime.sleep(60)"
EVENTS: tuple[WindowEvent, ...] = (
    Ready("x11"),
    Ready("x11", "software"),
    Size(640, 480),
    Key("m"),
    Drawn(15, 1, 2.5),
    Failed("no-display", "there is none", "look"),
    Failed("window-failed", "it failed"),
    Note("no-window-text", "no text"),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_goes_over_a_line(event: WindowEvent) -> None:
    line = pack_event(event)
    assert line.endswith(b"}\n")
    assert parse_event(line) == event


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"[]", b"1", b"null", b"\xff", b'{"event":"size"}', b'{"event":"size","width":"6","height":4}',
        b'{"event":"size","width":6,"height":4,"more":1}', b'{"event":"other"}', b'{"event":["size"]}',
        b'{"event":"key","name":null}', b'{"event":{}}',
    ],
)  # fmt: skip
def test_a_line_that_says_nothing_is_passed_over(line: bytes) -> None:
    assert parse_event(line) is None


def test_the_state_goes_through_memory(start: Start) -> None:
    hud = HudState(
        name="bob", words=("a", "b", "c", "d"), safety=("12345",) * 12, stats={"loss": "0 %"}, delay_ms=3.5
    )
    window = start(WAITS)
    window.set_hud(hud)
    assert WindowState.unpack(bytes(found(window, STATE).data)) == WindowState(True, title(hud), hud)


def test_a_picture_is_laid_down_as_it_is(start: Start) -> None:
    window, frame = start(WAITS), picture()
    window.show(frame)
    seen = found(window, REMOTE)
    assert seen.meta == (64, 48)
    assert bytes(seen.data) == frame.to_ndarray().tobytes()


def test_ones_own_picture_is_mirrored(start: Start) -> None:
    window = start(WAITS)
    ramp = np.repeat(np.arange(16, 80, dtype=np.uint8)[None], 72, 0)
    frame = av.VideoFrame.from_ndarray(ramp, format="yuv420p")
    window.show_local(frame)
    luma = np.frombuffer(found(window, OWN).data, np.uint8)[: 64 * 48].reshape(48, 64)
    assert (luma == ramp[:48, ::-1]).all()


@pytest.mark.parametrize("size", [(161, 121), (1, 1), (1280, 960), (2000, 40), (40, 3000)])
def test_pictures_of_every_size_and_form_fit(start: Start, size: tuple[int, int]) -> None:
    window = start(WAITS)
    for form in ("yuv420p", "rgb24", "yuvj422p"):
        window.show(picture(*size, form=form))
        window.show_local(picture(*size, form=form))
        for area, most in ((REMOTE, MAX_PICTURE), (OWN, MAX_OWN_PICTURE)):
            seen = found(window, area)
            width, height = seen.meta
            assert 0 < width <= most[0]
            assert 0 < height <= most[1]
            assert width % 2 == height % 2 == 0
            assert len(seen.data) == width * height * 3 // 2 <= AREAS[area][1]
            assert abs(seen.data[0] - (16 + 90 * 219 / 255)) < 4, "limited range"


def test_a_picture_that_is_gone_is_of_no_size(start: Start) -> None:
    window = start(WAITS)
    window.show(picture())
    window.show_local(picture())
    window.show_local(None)
    assert found(window, OWN).meta == (0, 0)
    window.set_hud(HudState(remote_video=True))
    assert found(window, REMOTE).meta[0] == 64
    window.set_hud(HudState(remote_video=False))
    assert found(window, REMOTE).meta == (0, 0)


def test_events_come_in_pieces_and_rubbish_is_passed_over(start: Start) -> None:
    window = start(
        'say(b\'rubbish\')\nos.write(1, b\'{"event":"si\')\nos.read(0, 1)\nsay(b\'ze","width":7,"height":5}\')\n'
        + WAITS
    )
    assert window.view_size() == FIRST_SIZE
    window.set_hud(HudState())
    assert wait_event(window, Size) == Size(7, 5)
    assert window.view_size() == (7, 5)


def test_a_process_that_ends_is_told_once_and_shows_nothing(start: Start) -> None:
    window = start('say(b\'{"event":"key","name":"m"}\')')
    assert wait_event(window, Key) == Key("m")
    failed = wait_event(window, Failed)
    assert isinstance(failed, Failed)
    assert failed.slug == LOST
    assert window.read_events() == []
    assert window.view_size() == (0, 0)
    for _ in range(10):  # nobody reads: no error, no wait
        window.show(picture())
        window.set_hud(HudState())


def test_its_own_words_count_before_its_end(start: Start) -> None:
    window = start('say(b\'{"event":"failed","slug":"no-display","text":"none","hint":null}\')')
    assert wait_event(window, Failed) == Failed("no-display", "none")
    assert window.read_events() == []


def test_a_process_that_hangs_keeps_nobody_waiting(start: Start) -> None:
    window = start("time.sleep(600)")
    begin = time.thread_time()
    for number in range(70_000):  # more than a pipe holds
        window._rouse()
        if number % 1000 == 0:
            window.show(picture())
    assert time.thread_time() - begin < PATIENCE_S
    window.close()
    assert window._process.wait(PATIENCE_S) is not None


def test_closing_ends_it_and_is_no_trouble_twice(start: Start) -> None:
    window = start("while os.read(0, 100): pass")
    for _ in range(3):
        window.close()
    assert window._process.wait(PATIENCE_S) == 0
    assert window.view_size() == (0, 0)
    window.show(picture())
    window.show_local(None)
    window.set_hud(HudState())
    assert window.read_events() == []


def test_the_window_gets_no_secrets_and_none_of_our_files(start: Start, tmp_path: Path) -> None:
    told = tmp_path / "told"
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    seen = "json.dumps([dict(os.environ), os.listdir('/proc/self/fd')])"
    code = f"import json\nopen({str(told)!r}, 'w').write({seen})\nsay(b'')\n"
    window = start(code, {"P2PCALL_PASSPHRASE_COMMAND": "pass show p2pcall", "DISPLAY": ":1"})
    wait_event(window, Failed)
    os.close(secret)
    environ, files = json.loads(told.read_text())
    assert "P2PCALL_PASSPHRASE_COMMAND" not in environ
    assert environ["DISPLAY"] == ":1"
    assert str(secret) not in files


def test_a_program_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(P2PCallError) as caught:
        Window({}, command=[str(tmp_path / "nothing")])
    assert caught.value.exit is ExitCode.DEVICE
    assert caught.value.slug == "window-start"
    assert open_files() == before


@pytest.mark.parametrize("pipes", [0, 1, 2])
def test_without_descriptors_it_is_the_same_error_and_none_is_kept(
    monkeypatch: pytest.MonkeyPatch, pipes: int
) -> None:
    real, made = os.pipe, iter(range(9))

    def pipe() -> tuple[int, int]:
        if next(made) == pipes:
            raise OSError(24, "Too many open files")
        return real()

    before = open_files()
    monkeypatch.setattr(os, "pipe", pipe)
    with pytest.raises(P2PCallError, match="cannot be started: too many open files"):
        Window({}, command=[sys.executable])
    assert open_files() == before


def test_a_process_that_hangs_is_ended_before_the_interpreter_goes(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom p2pcall.view.window import Window\n"
        "window = Window({}, command=[sys.executable, '-c', 'import signal, time; time.sleep(600)'])\n"
        "print(window._process.pid)\nwindow.close()\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert not Path(f"/proc/{int(told.stdout)}").exists()


def test_without_the_library_the_command_that_brings_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LIBRARY", "a_library_that_is_not_there")
    with pytest.raises(P2PCallError) as caught:
        check_library()
    assert caught.value.exit is ExitCode.DEVICE
    assert caught.value.hint == f"`{sys.executable} -m pip install 'p2pcall[window]'`"
    assert not may_open({"DISPLAY": ":0"})


def test_a_window_may_open_where_there_is_a_display() -> None:
    assert may_open({"DISPLAY": ":0"}, "linux")
    assert may_open({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    assert may_open({}, "darwin")
    assert not may_open({"DISPLAY": ""}, "linux")


@pytest.mark.parametrize(
    "name,known,wanted",
    [
        ("bob", "verified", "bob (verified) - p2pcall"),
        ("bob", "contact", "bob (not verified) - p2pcall"),
        ("bob", "new", "bob (not verified) - p2pcall"),
        ("", "new", "p2pcall"),
        ("a\x1b]2;b\x07c\n\u202ed", "new", "a]2;bc d (not verified) - p2pcall"),
        ("x" * 500, "new", f"{'x' * 48} (not verified) - p2pcall"),
    ],
)
def test_the_title_says_who_it_is_and_nothing_else(name: str, known: str, wanted: str) -> None:
    assert title(HudState(name=name, known=known)) == wanted
