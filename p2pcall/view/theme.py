"""The look of text: the escape sequences of every role on every ground, for every number of colours. Pure.

Ink and ground are always set together, so that the screen looks the same in dark and light terminals. Without colours
the terminal's own are used and the status line is reversed.
"""

from enum import StrEnum
from typing import Final

from .hud import Role, TextLine
from .probe import Colours, Mode

Rgb = tuple[int, int, int]

CANVAS: Final[Rgb] = (12, 12, 16)
"""The ground around and behind pictures; `CellRenderer` does not change small multiples of four."""
AVATAR: Final[Rgb] = (40, 44, 56)
FIGURE: Final[Rgb] = (104, 112, 132)


class Ground(StrEnum):
    """The kinds of background of text."""

    BAR = "bar"
    BOX = "box"
    CANVAS = "canvas"
    FRAME = "frame"


_GROUNDS: Final[dict[Ground, tuple[Rgb, int, int]]] = {
    Ground.BAR: ((32, 34, 42), 235, 44),
    Ground.BOX: ((24, 26, 32), 234, 40),
    Ground.CANVAS: (CANVAS, 233, 40),
    Ground.FRAME: (CANVAS, 233, 40),
}
_INKS: Final[dict[Role, tuple[Rgb, int, int]]] = {
    Role.TEXT: ((206, 210, 218), 252, 97),
    Role.NAME: ((255, 255, 255), 231, 97),
    Role.DIM: ((136, 142, 154), 245, 37),
    Role.GOOD: ((126, 204, 142), 114, 92),
    Role.WARN: ((238, 190, 98), 215, 93),
    Role.ALERT: ((244, 104, 98), 203, 91),
    Role.KEY: ((126, 180, 244), 111, 96),
    Role.EDGE: ((128, 136, 150), 245, 37),
}
"""Colour in 24 bits, its number in 256 colours, and its SGR code in 16 colours."""
_BLACK: Final = 16
"""The number of black in 256 colours."""
_BOLD: Final = frozenset({Role.NAME, Role.ALERT})


def ink(role: Role) -> Rgb:
    """The 24-bit colour of text in this role."""
    return _INKS[role][0]


def ground_colour(ground: Ground) -> Rgb:
    """The 24-bit colour of this ground."""
    return _GROUNDS[ground][0]


def style(role: Role, ground: Ground, colours: Colours, mode: Mode) -> bytes:
    """SGR that sets the look of `role` on `ground` from any state."""
    codes = ["0"]
    if role in _BOLD:
        codes.append("1")
    if colours is Colours.NONE:
        codes += ["7"] if ground is Ground.BAR else []
    else:
        (rgb, number, code), (ground_rgb, ground_number, ground_code) = _INKS[role], _GROUNDS[ground]
        if mode is Mode.ASCII and ground is Ground.CANVAS:
            ground_rgb, ground_number = (0, 0, 0), _BLACK  # as `CellRenderer` uses it
        if colours is Colours.TRUE:
            codes += ["38;2;{};{};{}".format(*rgb), "48;2;{};{};{}".format(*ground_rgb)]
        elif colours is Colours.C16:
            codes += [str(code), str(ground_code)]
        else:
            codes += [f"38;5;{number}", f"48;5;{ground_number}"]
    return f"\x1b[{';'.join(codes)}m".encode()


def render(line: TextLine, ground: Ground, colours: Colours, mode: Mode) -> bytes:
    """The bytes of a line at the cursor; colours are reset at its end."""
    out: list[bytes] = []
    last: Role | None = None
    for text, role in line:
        if role is not last:
            out.append(style(role, ground, colours, mode))
            last = role
        out.append(text.encode("utf-8", "replace"))
    return b"".join(out) + b"\x1b[0m"
