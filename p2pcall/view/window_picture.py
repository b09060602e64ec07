"""Pictures in the window: from shared memory (4:2:0) to a texture, and figures about their timing.

The size that the call gives for a picture is checked before its bytes are read. Left out: where it is drawn (`panes`).
"""

import ctypes
from typing import Any

from .panes import Box
from .shared_latest import SharedLatest, Snapshot
from .window_link import MAX_PICTURE, Drawn


class Picture:
    """One of the two pictures: the newest in its area, as a texture."""

    def __init__(self, sdl: Any, area: SharedLatest, base: int) -> None:
        self._sdl, self._area, self._base = sdl, area, base
        self._renderer: Any = None
        self._software = True
        self._texture: Any = None
        self._texture_size = (0, 0)
        self.size = (0, 0)
        """0×0: there is none."""
        self.number = 0
        self.at_ns = 0

    def use(self, renderer: Any, *, software: bool) -> None:
        """Draw with `renderer`; `software`: SDL itself draws, not a graphics card."""
        self._renderer, self._software = renderer, software

    def take(self) -> int:
        """Load the newest picture, if it is new. Returns how many pictures have come since the last one (0: none)."""
        before = self.number
        found = self._area.look(before)
        while found is not None:
            self._load(found)
            found = self._area.look(before) if self._area.overtaken(found.number) else None
        return self.number - before

    def _load(self, found: Snapshot) -> None:
        width, height = found.meta
        self.number, self.at_ns = found.number, found.at_ns
        even = width % 2 == height % 2 == 0
        if not (even and 0 < width <= MAX_PICTURE[0] and 0 < height <= MAX_PICTURE[1]) or (
            len(found.data) != width * height * 3 // 2
        ):
            self.size = (0, 0)
            return
        self.size = (width, height)
        sdl = self._sdl
        # SDL's software renderer is faster if the texture already has the window's format.
        form = sdl.SDL_PIXELFORMAT_RGB888 if self._software else sdl.SDL_PIXELFORMAT_IYUV
        if self._texture is None or self._texture_size != self.size:
            if self._texture is not None:
                sdl.SDL_DestroyTexture(self._texture)
            access = sdl.SDL_TEXTUREACCESS_STREAMING
            self._texture = sdl.SDL_CreateTexture(self._renderer, form, access, width, height)
            self._texture_size = self.size
        planes = self._base + found.offset
        if not self._software:
            sdl.SDL_UpdateTexture(self._texture, None, planes, width)
            return
        pixels, pitch = ctypes.c_void_p(), ctypes.c_int()
        if sdl.SDL_LockTexture(self._texture, None, ctypes.byref(pixels), ctypes.byref(pitch)) == 0:
            source = sdl.SDL_PIXELFORMAT_IYUV
            sdl.SDL_ConvertPixels(width, height, source, planes, width, form, pixels, pitch.value)
            sdl.SDL_UnlockTexture(self._texture)

    def draw(self, box: Box) -> None:
        """Draw it into this part of the window."""
        self._sdl.SDL_RenderCopy(self._renderer, self._texture, None, self._sdl.SDL_Rect(*box))


class ShownStats:
    """How many pictures were shown in the running second, and how late."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._shown = self._skipped = self._longest_ns = 0

    def note(self, came: int, longest_ns: int) -> None:
        """One picture was shown, of `came` that have come."""
        self._shown += 1
        self._skipped += came - 1
        self._longest_ns = max(self._longest_ns, longest_ns)

    def second(self, now: float) -> Drawn | None:
        """The figures of the last second, if it is over and there are any."""
        if now - self._since < 1.0 or not self._shown:
            return None
        drawn = Drawn(self._shown, self._skipped, self._longest_ns / 1e6)
        self._since = now
        self._shown = self._skipped = self._longest_ns = 0
        return drawn
