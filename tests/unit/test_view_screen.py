"""The call screen on an emulated terminal: what a person sees, with several threads and a slow terminal."""

import threading
from collections.abc import Callable

import av
import numpy as np
import pyte
import pytest
from msgspec.structs import replace

from p2pcall.engine.call_status import CallStatus
from p2pcall.view.hud import HudState
from p2pcall.view.probe import Ability, Colours, Mode
from p2pcall.view.screen import Screen

CALL = HudState(name="Bob", known="contact", protocol="Noise_XX_25519_AESGCM_SHA256", remote_video=True)
FILMED = replace(CALL, video_on=True)
RED, BLUE = (200, 40, 40), (40, 40, 200)


class FakeTerminal:
    """Takes the place of `Terminal`: a pyte screen that takes all at once, or nothing while `slow`."""

    def __init__(self, cols: int = 80, rows: int = 24) -> None:
        self.cols, self.rows = cols, rows
        self.screen = pyte.Screen(cols, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.writes: list[bytes] = []
        self.slow = self.gone = self.left = False
        self.title = ""
        self.on_ready: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self.on_report: Callable[[bytes], None] | None = None
        self.on_leave: Callable[[], None] | None = None

    def size(self) -> tuple[int, int]:
        return self.cols, self.rows

    def cell_aspect(self) -> float:
        return 2.0

    def cell_pixels(self) -> tuple[float, float]:
        return 8.0, 16.0

    def set_title(self, title: str) -> None:
        self.title = title

    def ready(self) -> bool:
        return not self.slow

    def flush(self, wait_s: float = 0.0) -> bool:
        return not self.slow

    def write(self, data: bytes, *, ask: bool = False) -> bool:
        assert not self.slow
        self.writes.append(data)
        self.stream.feed(data)
        return True

    def leave(self) -> None:
        self.left = True
        if self.on_leave:
            self.on_leave()

    def resize(self, cols: int, rows: int) -> None:
        self.cols, self.rows = cols, rows
        self.screen.resize(rows, cols)

    def line(self, row: int) -> str:
        return self.screen.display[row]

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def colour(self, row: int, col: int) -> tuple[int, ...]:
        return tuple(bytes.fromhex(self.screen.buffer[row][col].bg))


def frame(rgb: tuple[int, int, int], w: int = 320, h: int = 240) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((h, w, 3), rgb, np.uint8), format="rgb24")


def near(seen: tuple[int, ...], wanted: tuple[int, int, int]) -> bool:
    return len(seen) == 3 and max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) <= 8


def on(terminal: FakeTerminal, mode: Mode = Mode.BLOCKS, **kwargs: object) -> Screen:
    return Screen(terminal, mode, **kwargs)


def test_before_a_picture_there_is_a_name_and_a_reason() -> None:
    terminal = FakeTerminal()
    screen = on(terminal, title="p2pcall: Bob")
    screen.set_hud(CALL)
    assert "waiting for the picture" in terminal.text()
    assert terminal.line(23).startswith(" Bob · not verified · ↑mic · camera off: v ")
    assert terminal.title == "p2pcall: Bob"


def test_a_picture_keeps_its_aspect_and_the_placeholder_goes() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.set_hud(CALL)
    screen.show(frame(RED))
    # 4:3 on 80×46 pixels: 61 wide.
    assert near(terminal.colour(0, 40), RED)
    assert near(terminal.colour(22, 10), RED)
    assert near(terminal.colour(22, 69), RED)
    assert terminal.colour(11, 8) == terminal.colour(11, 71) == (12, 12, 16)
    assert "waiting" not in terminal.text()


def test_one_write_a_frame_inside_synchronized_output() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    terminal.writes.clear()
    screen.show(frame(RED))
    assert len(terminal.writes) == 1
    assert terminal.writes[0].startswith(b"\x1b[?2026h")
    assert terminal.writes[0].endswith(b"\x1b[?2026l")
    terminal.writes.clear()
    screen.show(frame(RED))
    assert terminal.writes == []


def test_the_own_picture_is_small_framed_and_mirrored() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.set_hud(FILMED)
    screen.show(frame(BLUE))
    halves = np.zeros((240, 320, 3), np.uint8)
    halves[:, :160], halves[:, 160:] = (250, 250, 250), (250, 0, 0)
    screen.show_local(av.VideoFrame.from_ndarray(halves, format="rgb24"))
    screen.show(frame(BLUE))
    corner = terminal.line(22).rindex("╯")
    assert corner == 78
    assert near(terminal.colour(20, corner - 2), (250, 250, 250))
    left = terminal.line(22).index("╰")
    assert near(terminal.colour(20, left + 2), (250, 0, 0))
    assert corner - left <= 80 // 5 + 2
    screen.show_local(None)
    assert "╯" not in terminal.text()
    assert near(terminal.colour(20, 60), BLUE)


def test_the_own_picture_moves_without_the_other() -> None:
    now = [0.0]
    terminal = FakeTerminal()
    screen = on(terminal, clock=lambda: now[0])
    screen.set_hud(FILMED)
    screen.show_local(frame(RED))
    assert "╯" in terminal.text()
    screen.show(frame(BLUE))
    drawn = len(terminal.writes)
    screen.show_local(frame(BLUE))
    assert len(terminal.writes) == drawn  # it comes with the next picture
    now[0] = 1.0
    screen.show_local(frame((10, 200, 10)))
    assert len(terminal.writes) == drawn + 1


def test_boxes_come_and_go_above_the_picture() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.set_hud(CALL)
    screen.show(frame(RED))
    screen.set_hud(replace(CALL, show_help=True))
    assert "microphone on or off" in terminal.text()
    screen.set_hud(replace(CALL, show_stats=True, stats={"jitter": "1.2 ms"}))
    assert "microphone" not in terminal.text()
    assert "jitter" in terminal.text()
    screen.set_hud(CALL)
    assert "jitter" not in terminal.text()
    assert all(near(terminal.colour(row, 40), RED) for row in range(23))


def test_the_picture_ends_with_the_camera() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.set_hud(CALL)
    screen.show(frame(RED))
    screen.set_hud(replace(CALL, remote_video=False))
    assert "camera off" in terminal.text()
    screen.set_hud(CALL)
    screen.show(frame(RED))
    screen.clear_remote()
    assert "waiting for the picture" in terminal.text()


@pytest.mark.parametrize(("cols", "rows"), [(120, 40), (40, 12), (20, 5), (10, 2), (3, 1), (1, 1), (250, 70)])
@pytest.mark.parametrize("mode", [Mode.BLOCKS, Mode.ASCII])
def test_every_size_is_drawn_without_a_broken_line(cols: int, rows: int, mode: Mode) -> None:
    terminal = FakeTerminal()
    screen = on(terminal, mode)
    screen.show(frame(RED))
    screen.show_local(frame(BLUE))
    terminal.resize(cols, rows)
    screen.resized()
    for state in (
        CALL,
        replace(CALL, show_help=True),
        replace(CALL, show_stats=True),
        HudState(phase="ringing"),
    ):
        screen.set_hud(state)
        screen.show(frame(RED, 640, 360))
        screen.show_local(frame(BLUE))
    screen.set_hud(CALL)
    screen.show(frame(RED, 640, 360))
    assert screen.view_size() == (cols, 2 * (rows - 1))
    seen = terminal.screen.display
    fresh = FakeTerminal(cols, rows)
    again = on(fresh, mode)
    again.set_hud(CALL)
    again.show_local(frame(BLUE))
    again.show(frame(RED, 640, 360))
    assert seen == fresh.screen.display


def test_a_resize_between_scaling_and_drawing_shows_the_same_picture() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.show(frame(RED))
    terminal.resize(40, 12)
    screen.resized()
    assert near(terminal.colour(5, 20), RED)


def test_w_goes_through_the_modes() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.show(frame((240, 240, 240)))
    assert screen.next_mode() is Mode.ASCII
    assert "@" in terminal.text()
    assert screen.next_mode() is Mode.BLOCKS
    assert "@" not in terminal.text()
    with pytest.raises(ValueError, match="plain"):
        screen.set_mode(Mode.PLAIN)


def test_without_colours_there_are_none() -> None:
    terminal = FakeTerminal()
    screen = on(terminal, Mode.ASCII, ability=Ability(Colours.NONE, unicode=False, title=False))
    screen.set_hud(CALL)
    screen.show(frame((240, 240, 240)))
    assert b"".join(terminal.writes).isascii()
    assert b"38;" not in b"".join(terminal.writes)
    assert terminal.title == ""
    assert screen.next_mode() is Mode.ASCII
    with pytest.raises(ValueError, match="blocks"):
        on(terminal, Mode.BLOCKS, ability=Ability(Colours.NONE))


def test_a_slow_terminal_gets_the_newest_frame_when_it_is_ready() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    terminal.slow = True
    for rgb in (RED, BLUE, (10, 200, 10)):
        screen.show(frame(rgb))
    screen.set_hud(CALL)
    terminal.slow = False
    terminal.writes.clear()
    assert terminal.on_ready
    terminal.on_ready()
    assert len(terminal.writes) == 1
    assert near(terminal.colour(5, 40), (10, 200, 10))
    assert "Bob" in terminal.line(23)


def test_refresh_draws_all_again() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.set_hud(CALL)
    screen.show(frame(RED))
    terminal.stream.feed(b"\x1b[2J")
    assert terminal.on_resume
    terminal.on_resume()
    assert near(terminal.colour(5, 40), RED)
    assert "Bob" in terminal.line(23)


def test_nothing_is_drawn_after_close() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.close()
    terminal.writes.clear()
    screen.show(frame(RED))
    screen.set_hud(CALL)
    screen.refresh()
    screen.close()
    assert terminal.left
    assert terminal.writes == []
    assert screen.view_size() == (0, 0)


def test_a_terminal_that_has_gone_wants_no_picture() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    terminal.gone = True
    assert screen.view_size() == (0, 0)


def test_many_threads_one_drawer() -> None:
    """Pictures, texts and sizes from everywhere at once: no write inside another, the last state is shown."""
    terminal = FakeTerminal()
    screen = on(terminal)
    start = threading.Barrier(3)

    def play() -> None:
        start.wait()
        for i in range(40):
            screen.show(frame((i * 6, 100, 100)))
        screen.show(frame(RED))

    def film() -> None:
        start.wait()
        for i in range(40):
            screen.show_local(frame((100, i * 6, 100)))

    def tell() -> None:
        start.wait()
        for i in range(100):
            screen.set_hud(replace(CALL, elapsed_s=float(i), show_stats=i % 3 == 0))

    threads = [threading.Thread(target=work) for work in (play, film, tell)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    screen.set_hud(replace(CALL, notice="the last"))
    assert all(data.count(b"\x1b[?2026h") == 1 for data in terminal.writes)
    assert near(terminal.colour(5, 40), RED)
    assert "the last" in terminal.line(23)


def test_pictures_that_are_elsewhere_or_of_a_camera_that_is_off_are_not_drawn() -> None:
    terminal = FakeTerminal()
    screen = on(terminal)
    screen.set_hud(FILMED)
    screen.show(frame(BLUE))
    screen.show_local(frame(RED))
    screen.refresh()
    assert "╯" in terminal.text()
    screen.set_hud(CALL)
    screen.show_local(frame(RED))  # the thread of the camera was just about to
    screen.refresh()
    assert "╯" not in terminal.text()
    screen.set_hud(replace(FILMED, elsewhere="in the window"))
    screen.show(frame(BLUE))
    screen.refresh()
    assert "shown in the window" in terminal.text()
    assert "╯" not in terminal.text()
    screen.set_hud(FILMED)
    screen.show(frame(BLUE))
    assert "shown in" not in terminal.text()


def test_a_notice_is_on_the_screen_for_its_time_though_each_second_tells_anew() -> None:
    terminal = FakeTerminal()
    now = 100.0
    board = CallStatus(CALL, lambda: now)
    board.view = on(terminal)
    now = 110.0
    board.say("no camera found")
    for second in range(111, 116):
        now = float(second)
        board.tell(delay_ms=float(second), remote_records=True)
        assert "no camera found" in terminal.line(23)
        assert "● other rec" in terminal.line(23)
    now = 116.0
    board.tell()
    assert "no camera found" not in terminal.line(23)
    assert "● other rec" in terminal.line(23)
