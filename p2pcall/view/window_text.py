"""Text in the window: lines of segments in a monospace font, drawn by SDL_ttf.

The font is a system font (from fontconfig, else from the usual folders): a package of fonts would be larger than the
window's code. A missing letter is taken from another font if fontconfig is available, as terminals do; only a few, and
with a delay, because each query takes a while. Lines are drawn in cells, as in a terminal, so lines from `hud` fit.
Nothing is drawn wider than its cells, because a name must not cover the text beside it. Drawn text is kept as a
texture, with a bound. Left out: shaping and right-to-left order: letters come in the order of the string.
"""

import ctypes
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .hud import Role, TextLine
from .sanitize import width
from .theme import Ground, Rgb, ground_colour, ink

FONT_WAIT_S: Final = 5.0
"""Longest wait for fontconfig: on its first run it reads every font of the system."""
_PLACES: Final = {
    "darwin": ("/System/Library/Fonts/Menlo.ttc", "/System/Library/Fonts/Monaco.ttf"),
}
_LINUX_NAMES: Final = (
    "DejaVuSansMono.ttf",
    "LiberationMono-Regular.ttf",
    "NotoSansMono-Regular.ttf",
    "FreeMono.ttf",
)
_LINUX_FOLDERS: Final = ("/usr/share/fonts", "/usr/local/share/fonts")
_MOST_QUESTIONS: Final = 8
"""At most this many letters are looked for in other fonts, because the other side chooses its name."""
_MOST_TEXTURES: Final = 300
_LINE_ROOM: Final = 1.25
_GROUND_ALPHA: Final = 225


def find_font(pattern: str = "monospace", platform: str = sys.platform) -> str | None:
    """The file of a font that matches a fontconfig pattern; None if none is found. May take a second."""
    if shutil.which("fc-match"):
        with suppress(OSError, subprocess.SubprocessError):
            asked = ["fc-match", "-f", "%{file}", pattern]
            told = subprocess.run(asked, capture_output=True, timeout=FONT_WAIT_S, check=True).stdout
            path = told.decode(errors="replace")
            if Path(path).is_file():
                return path
    for place in _PLACES.get(platform, ()):
        if Path(place).is_file():
            return place
    for folder in _LINUX_FOLDERS if platform == "linux" else ():
        for name in _LINUX_NAMES:
            for found in Path(folder).rglob(name):
                return str(found)
    return None


class Text:
    """Draws lines with a renderer. `start` it once there is a font; until then it draws nothing."""

    def __init__(self, sdl: Any, renderer: Any) -> None:
        self._sdl, self._renderer = sdl, renderer
        self._ttf: Any = None
        self._faces: dict[str, Any] = {}
        self._provided: dict[str, Any] = {}
        self._textures: dict[tuple[str, Rgb], tuple[Any, int, int]] = {}
        self._asked: set[str] = set()
        self._answers: dict[str, str | None] = {}
        self._asking = threading.Lock()
        self._news = False
        self._primary: Any = None
        self._pixels = 0
        self.cell = (0, 0)
        """Width and height of a letter's cell in pixels; zeros while there is no font."""

    def start(self, ttf: Any, path: str) -> bool:
        """`ttf` is `sdl2.sdlttf`. Returns whether text can be drawn from now on."""
        self._ttf = ttf
        if ttf.TTF_Init() == 0:
            self._primary = self._face(path)
        self._pixels, pixels = 0, self._pixels
        self.resize(pixels)
        return self._primary is not None

    def resize(self, pixels: int) -> None:
        """Set the letters' height in pixels."""
        if pixels == self._pixels:
            return
        self._pixels = pixels
        if self._primary is None or pixels <= 0:
            return
        self.forget()
        for face in self._faces.values():
            if face is not None:
                self._ttf.TTF_SetFontSize(face, pixels)
        across, down = ctypes.c_int(), ctypes.c_int()
        self._ttf.TTF_SizeUTF8(self._primary, b"M", ctypes.byref(across), ctypes.byref(down))
        self.cell = max(1, across.value), round(max(1, down.value) * _LINE_ROOM)

    def forget(self) -> None:
        """Drop all textures: there are too many, or the size has changed."""
        for texture, _, _ in self._textures.values():
            self._sdl.SDL_DestroyTexture(texture)
        self._textures.clear()

    def lines(self, lines: list[TextLine], x: int, y: int, ground: Ground, alpha: int = 255) -> None:
        """Draw lines below each other from this pixel on, each on its ground."""
        for number, line in enumerate(lines):
            self._line(line, x, y + number * self.cell[1], ground, alpha)

    def frame(self, columns: int, rows: int, x: int, y: int) -> None:
        """Draw a frame around `columns` × `rows` cells; a terminal uses characters for this."""
        cell_w, cell_h = self.cell
        box = self._sdl.SDL_Rect(
            x + cell_w // 2, y + cell_h // 2, (columns - 1) * cell_w, (rows - 1) * cell_h
        )
        self._colour(ink(Role.EDGE), 255)
        self._sdl.SDL_RenderDrawRect(self._renderer, box)

    def _line(self, line: TextLine, x: int, y: int, ground: Ground, alpha: int) -> None:
        cells = sum(width(segment.text) for segment in line)
        self._colour(ground_colour(ground), alpha * _GROUND_ALPHA // 255 if ground is Ground.BAR else alpha)
        area = self._sdl.SDL_Rect(x, y, cells * self.cell[0], self.cell[1])
        self._sdl.SDL_RenderFillRect(self._renderer, area)
        for segment in line:
            if segment.role is not Role.EDGE:
                self._segment(segment.text, ink(segment.role), x, y, alpha)
            x += width(segment.text) * self.cell[0]

    def _segment(self, text: str, rgb: Rgb, x: int, y: int, alpha: int) -> None:
        for run, face in self._runs(text):
            cells = width(run) * self.cell[0]
            if run.strip() and (drawn := self._texture(run, rgb, face)) is not None:
                texture, w, h = drawn
                self._sdl.SDL_SetTextureAlphaMod(texture, alpha)
                if w > cells + self.cell[0] // 2 or h > self.cell[1]:  # heaps of marks; fonts of one size
                    shrink = min(cells / w, self.cell[1] / h)
                    w, h = max(1, int(w * shrink)), max(1, int(h * shrink))
                area = self._sdl.SDL_Rect(x, y + (self.cell[1] - h) // 2, w, h)
                self._sdl.SDL_RenderCopy(self._renderer, texture, None, area)
            x += cells

    def _runs(self, text: str) -> Iterator[tuple[str, Any]]:
        """The text in pieces of one font each. A letter from another font, or with marks, is a piece of its own: it
        must not be wider than its cells.
        """
        start = at = 0
        while at < len(text):
            end = at + 1
            while end < len(text) and not width(text[end]):
                end += 1
            face = self._face_of(text[at])
            if face is not self._primary or end > at + 1:
                if start < at:
                    yield text[start:at], self._primary
                yield text[at:end], face
                start = end
            at = end
        if start < len(text):
            yield text[start:], self._primary

    def _face_of(self, char: str) -> Any:
        if char < "\u0100":
            return self._primary
        if char not in self._provided:
            self._provided[char] = self._primary if self._has(self._primary, char) else self._other(char)
        return self._provided[char]

    def _other(self, char: str) -> Any:
        known = [face for face in self._faces.values() if face is not None and self._has(face, char)]
        if known:
            return known[0]
        if char in self._answers:
            path = self._answers[char]
            face = self._face(path) if path else None
            if face is not None and self._has(face, char):
                return face
        elif len(self._asked) < _MOST_QUESTIONS and char not in self._asked and shutil.which("fc-match"):
            self._asked.add(char)
            threading.Thread(target=self._ask, args=(char,), daemon=True).start()
        return self._primary

    def _ask(self, char: str) -> None:
        """Runs in its own thread, because fontconfig may be slow."""
        with self._asking:
            path = find_font(f":charset={ord(char):x}")
        self._answers[char] = path
        self._news = True

    def found_letters(self) -> bool:
        """Whether letters were found in other fonts since the last call: then a redraw looks better."""
        news, self._news = self._news, False
        if news:
            self._provided.clear()
        return news

    def _has(self, face: Any, char: str) -> bool:
        return bool(self._ttf.TTF_GlyphIsProvided32(face, ord(char)))

    def _face(self, path: str) -> Any:
        if path not in self._faces:
            self._faces[path] = self._ttf.TTF_OpenFont(path.encode(), max(1, self._pixels)) or None
        return self._faces[path]

    def _texture(self, text: str, rgb: Rgb, face: Any) -> tuple[Any, int, int] | None:
        key = (text, rgb)
        if key not in self._textures:
            if len(self._textures) >= _MOST_TEXTURES:
                self.forget()
            colour = self._sdl.SDL_Color(*rgb, 255)
            surface = self._ttf.TTF_RenderUTF8_Blended(face, text.encode("utf-8", "replace"), colour)
            if not surface:
                return None
            texture = self._sdl.SDL_CreateTextureFromSurface(self._renderer, surface)
            w, h = surface.contents.w, surface.contents.h
            self._sdl.SDL_FreeSurface(surface)
            if not texture:
                return None
            self._textures[key] = (texture, w, h)
        return self._textures[key]

    def _colour(self, rgb: Rgb, alpha: int) -> None:
        self._sdl.SDL_SetRenderDrawColor(self._renderer, *rgb, alpha)
