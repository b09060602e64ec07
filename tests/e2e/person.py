"""A person at a terminal: the program without --json, and what can be read off the screen.

The picture looked for is the program's test card: seven colour bars across its top, its number in sixteen black and
white squares. `Canvas` tells where they must be on a terminal of so many cells: the picture is as large as it fits
above the status line, in the middle, 4 to 3, and a pixel is half a cell.
"""

import contextlib
import fcntl
import os
import select
import struct
import termios
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness import P2P, WAIT_S
from pairs import DIAL, LISTEN, NO_MEDIA, Start

from p2pcall.device.drawn.testcard import BARS, COUNTER_BITS, HEIGHT, RAMP_END, SQUARE

Rgb = tuple[int, int, int]
PixelAt = Callable[[int, int], Rgb | None]
SMALL = (40, 12)
"""The smallest terminal in which a call still looks like one."""
QUESTION = ("[a] sound only", "[v] with camera", "[d] decline")
QUESTION_WITHOUT_CAMERA = ("[a] yes", "[d] decline")
ROUNDING = 3
"""Coded pictures have even sides, and a cell is two pixels high: so much of the largest size may be lost."""
COLOUR_TOLERANCE = 64
"""Coding in so few pixels, and colours of half their resolution, move a colour by this much at most."""
MODES = (("1049", "h", "l"), ("25", "l", "h"), ("7", "l", "h"), ("2004", "h", "l"))
ENDS_OF_MODES = [(f"\x1b[?{mode}{on}".encode(), f"\x1b[?{mode}{off}".encode()) for mode, on, off in MODES]
"""Alternate screen, hidden cursor, no line wrap, bracketed paste: what puts each on, and off again."""


# ---- people


def waiting(
    p2p: Start,
    *options: str,
    using: Sequence[str] = NO_MEDIA,
    terminal: tuple[int, int] = (80, 24),
    **where: Any,
) -> tuple[P2P, str]:
    """Somebody, called bob unless `name` says otherwise, who waits for calls at a terminal; and what to dial."""
    name = where.setdefault("name", "bob")
    bob = p2p(*LISTEN, "--name", name, *using, *options, terminal=terminal, **where)
    bob.wait_screen(f"waiting for calls as {name}, port ")
    return bob, f"127.0.0.1:{bob.screen_text.partition('port ')[2].split()[0]}"


def calling(
    p2p: Start,
    target: str,
    *options: str,
    using: Sequence[str] = NO_MEDIA,
    terminal: tuple[int, int] = (80, 24),
    **where: Any,
) -> P2P:
    """Somebody, called alice unless `name` says otherwise, who calls from a terminal."""
    name = where.setdefault("name", "alice")
    return p2p(*DIAL, target, "--name", name, *using, *options, terminal=terminal, **where)


def status(process: P2P) -> str:
    """The last row of the terminal."""
    assert process.screen is not None, "started without a terminal"
    return process.screen.lines[-1]


def wait_status(process: P2P, text: str, *, there: bool = True) -> None:
    """Wait until the status line has this text, or has it no more."""
    process.wait_until(lambda: (text in status(process)) is there, f"status line with {text!r}: {there}")


def wait_told(process: P2P, text: str) -> None:
    """Wait until a line with this text follows the screen of a call.

    Read off what was written: the emulator has no second screen to come back from.
    """
    line = text.encode()
    process.wait_until(
        lambda: line in process.terminal_output.rpartition(b"\x1b[?1049l")[2], f"line {text!r}"
    )


def keep_nobody(process: P2P) -> None:
    """Answer the question after a call with somebody new."""
    wait_told(process, "[n] no ")
    process.send("n")


def assert_restored(process: P2P, modes: list[Any]) -> None:
    """Its terminal is as it was before it: line discipline, screen, cursor, wrapping, paste."""
    assert process.terminal_modes() == modes
    assert left_on(process) == []


def left_on(process: P2P) -> list[bytes]:
    """The modes of its terminal that were switched on last, as far as its output was read."""
    shown = bytes(process.terminal_output)
    return [on for on, off in ENDS_OF_MODES if shown.rfind(on) > shown.rfind(off)]


# ---- the picture


@dataclass(frozen=True, slots=True)
class Canvas:
    """A terminal of so many columns and rows that shows the test card above a status line."""

    cols: int
    rows: int

    @property
    def size(self) -> tuple[float, float]:
        """Of the largest picture that fits, in pixels."""
        high = 2 * (self.rows - 1)
        return min(self.cols, high * 4 / 3), min(high, self.cols * 3 / 4)

    def point(self, across: float, down: float, narrower: int = 0) -> tuple[int, int]:
        """Where a point of the card is, in pixels from the left and the top; both are parts of one."""
        width, height = self.size[0] - narrower, self.size[1]
        left, top = (self.cols - width) / 2, (2 * (self.rows - 1) - height) / 2
        return int(left + across * width), int(top + down * height)

    def find_card(self, pixel: PixelAt) -> int | None:
        """By how many pixels the card is narrower than it could be, or None if it is not where it belongs."""
        return next((n for n in range(ROUNDING + 1) if self._has_bars(pixel, n)), None)

    def shows_card(self, pixel: PixelAt) -> bool:
        """Whether the card is where it belongs."""
        return self.find_card(pixel) is not None

    def _has_bars(self, pixel: PixelAt, narrower: int) -> bool:
        for number, wanted in enumerate(BARS):
            seen = pixel(*self.point((number + 0.5) / len(BARS), 0.02, narrower))
            if seen is None or any(abs(a - b) > COLOUR_TOLERANCE for a, b in zip(seen, wanted, strict=True)):
                return False
        return True

    def number(self, pixel: PixelAt) -> int:
        """The card's number, or -1 where something else is."""
        narrower = self.find_card(pixel)
        if narrower is None:
            return -1
        down = (RAMP_END + 20 + SQUARE / 2) / HEIGHT
        points = [self.point((bit + 0.5) / COUNTER_BITS, down, narrower) for bit in range(COUNTER_BITS)]
        seen = [pixel(*point) for point in points]
        return -1 if None in seen else int("".join(str(int(sum(rgb or ()) > 384)) for rgb in seen), 2)

    def fits(self, size: str) -> bool:
        """Whether a picture of this size (as `stats` tell it) is all that can be shown, and no more than that."""
        width, height = map(int, size.split("x"))
        best = self.size
        return best[0] - ROUNDING <= width <= best[0] and best[1] - ROUNDING <= height <= best[1]


def canvas(process: P2P) -> Canvas:
    """The terminal of a process."""
    assert process.screen is not None, "started without a terminal"
    lines = process.screen.lines
    return Canvas(len(lines[0]), len(lines))


def pixel_of(process: P2P) -> PixelAt:
    """How to read a pixel off the terminal: the half blocks of a cell."""
    screen = process.screen
    assert screen is not None, "started without a terminal"

    def pixel(x: int, y: int) -> Rgb | None:
        cell = screen.cell(y // 2, x)
        if cell.char not in "▄ " or len(cell.bg) != 6:
            return None
        colour = cell.fg if y % 2 and cell.char == "▄" else cell.bg
        red, green, blue = bytes.fromhex(colour)
        return red, green, blue

    return pixel


def wait_card(process: P2P) -> None:
    """Wait until the terminal shows the test card, as large as it fits."""
    pixel = pixel_of(process)
    process.wait_until(lambda: canvas(process).shows_card(pixel), "test card")


def wait_no_card(process: P2P) -> None:
    """Wait until it shows it no more."""
    pixel = pixel_of(process)
    process.wait_until(lambda: not canvas(process).shows_card(pixel), "end of the test card")


def wait_moving(process: P2P, frames: int = 10) -> None:
    """Wait until the card's number has gone on by so much, in small steps: the picture moves."""
    pixel = pixel_of(process)
    last, moved = -1, 0

    def moves() -> bool:
        nonlocal last, moved
        number = canvas(process).number(pixel)
        moved = moved + number - last if last <= number < last + frames else 0
        last = number
        return moved >= frames

    process.wait_until(moves, "moving picture")


# ---- a microphone that can be seen to be off


class FullPipe:
    """A pipe full to the brim, for the standard input of a program: shows whether anything was read from it."""

    def __init__(self, data: bytes) -> None:
        self.read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._count += os.write(self._write_end, data)

    @property
    def untouched(self) -> bool:
        """Nobody has read from it yet."""
        held = fcntl.ioctl(self.read_end, termios.FIONREAD, bytes(4))
        return bool(struct.unpack("i", held)[0] == self._count)

    def wait_read(self) -> None:
        """Wait until somebody reads."""
        assert select.select([], [self._write_end], [], WAIT_S)[1], "nobody reads the pipe"

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self._write_end)


@contextlib.contextmanager
def full_pipe(data: bytes) -> Iterator[FullPipe]:
    """A pipe that is full of this, again and again."""
    pipe = FullPipe(data)
    try:
        yield pipe
    finally:
        pipe.close()
