"""A call in a real terminal window: xterm on a virtual X server, its pixels looked at.

The test card must be where it belongs with its own colours, the status line whole; and a window that is resized is
drawn anew, and gets a picture of another size from the other side.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from harness import P2P, PROGRAM, ROOT
from pairs import DIAL, Start, listening, media
from person import SMALL, Canvas, PixelAt, Rgb
from picture import Picture
from xclient import XClient
from xwindow import XTerm

pytestmark = pytest.mark.terminal

Size = tuple[int, int]
BAR: Rgb = (32, 34, 42)
"""The ground of the status line."""
BRIGHT = 150
BORDER = 1
"""The line that X draws around a window, in pixels."""
EVENTS_TO_A_FIFO = 'echo "$DISPLAY" >"$1.display"; fifo=$1; shift; exec "$@" >"$fifo"'


def pixel_of(seen: Picture, cell: Size) -> PixelAt:
    """How to read a half block off the window."""

    def pixel(x: int, y: int) -> Rgb | None:
        red, green, blue = seen[int((y + 0.5) * cell[1] / 2), int((x + 0.5) * cell[0])]
        return int(red), int(green), int(blue)

    return pixel


def status_is_whole(seen: Picture, cell: Size) -> bool:
    """The last row, and no other, is the status line, from edge to edge, with something written on it."""
    width, height = cell
    ground = (seen == np.array(BAR)).all(axis=2)
    last, above = ground[-height:], ground[-2 * height : -height]
    edges = np.concatenate([last[:, :width], last[:, -width:]])
    written = (seen[-height:].min(axis=2) > BRIGHT).any()
    return bool(last.any(axis=0).all() and edges.all() and not above.any() and written)


def looks_right(canvas: Canvas, cell: Size) -> Callable[[Picture], bool]:
    """A judge of windows of this size: the card, and the status line below it."""
    width, height = cell[0] * canvas.cols, cell[1] * canvas.rows

    def judge(screen: Picture) -> bool:
        seen = screen[BORDER : BORDER + height, BORDER : BORDER + width]
        if seen.shape[:2] != (height, width):
            return False
        return canvas.shows_card(pixel_of(seen, cell)) and status_is_whole(seen, cell)

    return judge


def wait_size(events: P2P, canvas: Canvas) -> None:
    """Wait until the picture that comes is as large as can be shown here, and no larger."""
    while not canvas.fits(events.wait_event("stats")["video_size"] or "0x0"):
        pass


@pytest.mark.parametrize(
    "size,then",
    [((120, 40), (100, 30)), ((80, 24), (120, 40)), (SMALL, (80, 24))],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_a_call_in_a_window_that_is_resized(
    p2p: Start, xterm: Callable[..., XTerm], tmp_path: Path, size: Size, then: Size
) -> None:
    bob, target = listening(p2p, "--answer", "anyone", "--once", using=media("tone", video_in="test"))
    fifo = tmp_path / "events"
    os.mkfifo(fifo)
    dial = [*PROGRAM, *DIAL, target, "--json", *media("tone", video_out="auto")]
    env = {"P2PCALL_HOME": str(tmp_path / "alice"), "PYTHONPATH": str(ROOT)}
    window = xterm(["sh", "-c", EVENTS_TO_A_FIFO, "sh", str(fifo), *dial], env=env, size=size)
    events = p2p(str(fifo), program=("cat",))
    events.wait_event("connected")
    with XClient((tmp_path / "events.display").read_text().strip()) as x:
        frame = x.largest_window()
        width, height = x.size(frame)
        cell = width // size[0], height // size[1]
        window.wait_until(looks_right(Canvas(*size), cell), f"the call at {size}")
        wait_size(events, Canvas(*size))
        x.resize(frame, cell[0] * then[0], cell[1] * then[1])
    wait_size(events, Canvas(*then))
    window.wait_until(looks_right(Canvas(*then), cell), f"the call at {then}")
    window.close()
    assert bob.wait_event("ended")["reason"] == "hung-up"
    assert events.wait_event("ended")["reason"] in ("signal", "hung-up"), "whichever comes first"
