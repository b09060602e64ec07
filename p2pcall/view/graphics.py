"""What pixels a terminal can draw: the question, and its answers. Pure.

The terminal is asked once, when the screen opens, before anything else is drawn; nothing waits for the answer. Until
it comes, pictures are drawn in cells. Follows kitty's graphics protocol (a=q), DEC's device attributes (DA1: 4 is
sixel), and xterm's XTSMGRAPHICS for the number of colours. Left out: terminals inside another program (tmux, screen),
which are not asked (`probe`).
"""

import os
import re
from base64 import b64encode
from typing import Final

from msgspec.structs import replace

from .probe import Ability, Kitty

MAX_IMAGES: Final = 2
"""Pictures on a screen: the other side's and one's own."""
_DIRECT, _FILE = MAX_IMAGES, MAX_IMAGES + 1
"""Numbers of the questions, which have no image: whether there are images, and whether files are read."""
_FIRST_IMAGE: Final = 0x70_32_00_00
"""The identifiers of images begin here; programs that count from 1 never come so far."""
_ANSWER: Final = re.compile(rb"\x1b_G(?:[^;]*,)?i=(\d+)[^;]*;OK\x1b\\")
_ATTRIBUTES: Final = re.compile(rb"\x1b\[\?([\d;]*)c")
_REGISTERS: Final = re.compile(rb"\x1b\[\?1;0;(\d+)S")
_SIXEL: Final = b"4"
SIXEL_LEVELS: Final = 6
"""Levels of a channel in the palette of sixels, which needs a register for each colour."""
_PIXEL: Final = b"AAAA"
"""One black pixel, encoded."""


def image_number(number: int) -> int:
    """The identifier of the picture of this number."""
    return _FIRST_IMAGE + number


def image_command(keys: str, data: bytes = b"") -> bytes:
    """A command of kitty's protocol."""
    return b"\x1b_G%s;%s\x1b\\" % (keys.encode(), b64encode(data))


def image_removal(number: int) -> bytes:
    """Removes the image of this number from the screen and from the terminal's memory."""
    return image_command(f"a=d,d=I,i={image_number(number)},q=2")


REMOVAL: Final = b"\x1b\\" + b"".join(image_removal(number) for number in range(MAX_IMAGES))
"""Removes all images, also if a command before it was cut off."""


def graphics_question(file: str) -> bytes:
    """Asks for everything; `file` has one pixel (three bytes)."""
    return (
        b"\x1b_Gi=%d,s=1,v=1,a=q,t=d,f=24;%s\x1b\\" % (image_number(_DIRECT), _PIXEL)
        + (image_command(f"i={image_number(_FILE)},s=1,v=1,a=q,t=t,f=24", os.fsencode(file)) if file else b"")
        + b"\x1b[?1;1;0S\x1b[c"
    )


def is_last(report: bytes) -> bool:
    """Whether all answers have come: every terminal knows this question."""
    return _ATTRIBUTES.fullmatch(report) is not None


def with_report(ability: Ability, report: bytes) -> Ability:
    """What the terminal can do after this report (`KeyParser.reports`)."""
    if found := _ANSWER.fullmatch(report):
        number = int(found[1])
        if number == image_number(_FILE):
            return replace(ability, kitty=Kitty.FILE)
        if number == image_number(_DIRECT):
            return replace(ability, kitty=max(ability.kitty, Kitty.DIRECT))
    elif found := _REGISTERS.fullmatch(report):
        return replace(ability, registers=int(found[1]))
    elif (found := _ATTRIBUTES.fullmatch(report)) and _SIXEL in found[1].split(b";")[1:]:
        return replace(ability, sixel=ability.registers is None or ability.registers >= SIXEL_LEVELS**3)
    return ability
