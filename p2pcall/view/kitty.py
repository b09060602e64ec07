"""Pictures by kitty's graphics protocol: pixels in a file in memory that the terminal reads, or in its own bytes.

Each picture has one image, with one identifier, which is replaced in place. A terminal on this machine gets the name
of a file, which it removes when it has read it (t=t); another one gets the pixels packed, in pieces (t=d). No answers
are asked for but those of `graphics`. Follows kitty's graphics protocol. Left out: animations, placeholders, PNG.
"""

import os
import tempfile
import time
import zlib
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from .graphics import image_command, image_number, image_removal
from .layout import Layout, Rect
from .pixels import PixelRenderer, Placed, cursor_at, with_holes
from .probe import Ability, Kitty

_PIECE_BYTES: Final = 4096
"""Longest piece of encoded pixels, by the protocol."""
_PACK_LEVEL: Final = 1
"""More takes several times as long and saves little: noise of cameras does not pack."""
_DIRECT_PIXELS: Final = 240 * 180
"""Most pixels of a picture that goes through the line: a noisy one has about 25 kB, so 1 Mb/s shows five a second."""
_DIRECT_BITS: Final = np.uint8(0xF0)
"""What of a pixel goes through the line: the rest is noise, and would be most of the bytes."""
MEMORY: Final = Path("/dev/shm")
"""Files here are in memory, and the terminal may remove them."""
_FILE_PREFIX: Final = "p2pcall-tty-graphics-protocol-"
"""The terminal removes only files with these words in their name."""
_OLD_S: Final = 60.0
"""Nobody will read a file that is older."""


class KittyRenderer(PixelRenderer):
    """A `Renderer` for a terminal that has answered."""

    def __init__(self, layout: Layout, ability: Ability) -> None:
        super().__init__(layout, ability)
        self._by_file = ability.kitty is Kitty.FILE
        self._files: dict[int, str] = {}

    def scale_to(self, rect: Rect, frame_w: int, frame_h: int) -> tuple[int, int]:
        """The frame's own size, because the terminal scales; less, if the place or the line has not so many."""
        w, h = self._layout.pixels(rect)
        w, h = min(w, frame_w), min(h, frame_h)
        if not self._by_file and w * h > _DIRECT_PIXELS:
            share = (_DIRECT_PIXELS / (w * h)) ** 0.5
            w, h = int(w * share), int(h * share)
        return max(1, w), max(1, h)

    def end(self) -> bytes:
        """As in `Renderer`; a file that the terminal has not read is removed."""
        files, self._files = self._files, {}
        for name in files.values():
            discard_file(name)
        return super().end()

    def _draw(self, number: int, placed: Placed) -> bytes:
        pixels, rect = with_holes(placed), placed.rect
        height, width = pixels.shape[:2]
        keys = (
            f"a=T,i={image_number(number)},p=1,q=2,C=1,z={number},s={width},v={height},c={rect.w},r={rect.h}"
        )
        if self._by_file:
            discard_file(self._files.pop(number, ""))
            try:
                name = self._files[number] = write_file(pixels.data.cast("B"))
            except OSError:
                self._by_file = False  # the memory is full: smaller pictures come with the next size or mode
            else:
                return cursor_at(rect) + image_command(keys + ",f=32,t=t", os.fsencode(name))
        if not placed.holes.any():
            pixels = pixels[..., :3]
        packed = zlib.compress((pixels & _DIRECT_BITS).tobytes(), _PACK_LEVEL)
        return cursor_at(rect) + _in_pieces(keys + f",f={8 * pixels.shape[2]},o=z,t=d", b64encode(packed))

    def _remove(self, number: int) -> bytes:
        discard_file(self._files.pop(number, ""))
        return image_removal(number)


def write_file(data: memoryview | bytes) -> str:
    """Writes a new file for the terminal to read and remove, which nobody else can read; its name. OSError if that
    fails.
    """
    handle, name = tempfile.mkstemp(prefix=_FILE_PREFIX, dir=MEMORY if MEMORY.is_dir() else None)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            if file.write(data) != len(data):
                raise OSError("no room for the picture")
    except OSError:
        discard_file(name)
        raise
    return name


def discard_old_files() -> None:
    """Removes files of calls that died together with their terminal; it needs a moment to read one, never a minute."""
    with suppress(OSError):
        for path in MEMORY.glob(f"{_FILE_PREFIX}*"):
            if time.time() - path.stat().st_mtime > _OLD_S:
                discard_file(str(path))


def discard_file(name: str) -> None:
    """Removes a file unless the terminal has done so; "": there is none."""
    if name:
        with suppress(OSError):
            Path(name).unlink()


def _in_pieces(keys: str, encoded: bytes) -> bytes:
    """A command whose data are cut into pieces."""
    pieces = [encoded[at : at + _PIECE_BYTES] for at in range(0, len(encoded), _PIECE_BYTES)]
    last = len(pieces) - 1
    return b"".join(
        b"\x1b_G%sm=%d;%s\x1b\\" % (f"{keys},".encode() if i == 0 else b"q=2,", i != last, piece)
        for i, piece in enumerate(pieces)
    )
