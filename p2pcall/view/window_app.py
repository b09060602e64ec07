"""The window: takes SDL's events and the call's wake-ups, and draws the newest picture and state.

Rules: one thread uses SDL and reads the pipe. Nothing is drawn while the window is not visible, and nothing twice.
Left out: starting and ending the process (`window_main`).
"""

import ctypes
import os
import select
import time
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from .boxes import middle_box, stats_box
from .hud import NEWS, Role, Segment, TextLine, indicator, line_width, placeholder
from .keys import LOOKED_AWAY, SPACE_DOWN, SPACE_UP
from .panes import FIRST_SIZE, LEAST_SIZE, Fade, first_window, fit_box, own_box
from .shared_latest import SharedLatest
from .statusline import status_line
from .theme import CANVAS, Ground
from .window_background import Background
from .window_link import (
    OWN,
    READ_BYTES,
    REMOTE,
    STATE,
    Key,
    Note,
    Ready,
    Size,
    WindowEvent,
    WindowState,
)
from .window_picture import Picture, ShownStats
from .window_sdl import (
    key_name,
    load_sdl_ttf,
    make_renderer,
    renderer_name,
)
from .window_text import Text

STILL_SENT: Final = "your picture is hidden here, and still sent"
SIZE_EVERY_S: Final = 0.25
"""Shortest time between two reported sizes during a resize, because each makes the other side send a key frame."""
INPUT_POLL_S: Final = 0.04
"""Interval of checks for keys and the mouse while no picture comes; not noticeable."""
HIDDEN_POLL_S: Final = 0.25
"""The same while the window is not visible."""
DEAF_S: Final = 0.5
"""Keys are ignored for this time after the window first gets the focus: a person may be typing in another window."""
LETTER_SHARE: Final = 36
"""The letters' height is the window's height divided by this, within bounds (in points)."""
LETTER_POINTS: Final = (14, 24)
NO_FONT: Final = Note(
    "no-window-text",
    "the window shows no text: no monospace font was found; `apt-get install fontconfig fonts-dejavu-core`",
)


class App:
    """The window. `run` it after SDL has started."""

    def __init__(
        self,
        sdl: Any,
        areas: list[SharedLatest],
        base: int,
        tell: Callable[[WindowEvent], None],
        beside: Background,
    ) -> None:
        self._sdl, self._tell, self._beside = sdl, tell, beside
        self._state_area = areas[STATE]
        self._state_number = 0
        self._state = WindowState()
        self._remote, self._own = Picture(sdl, areas[REMOTE], base), Picture(sdl, areas[OWN], base)
        self._window: Any = None
        self._renderer: Any = None
        self._text: Text | None = None
        self._text_tried = False
        self._over = False
        self._news = False
        """Whether the call has woken us, or the window is visible again."""
        self._dirty = False
        self._visible = True
        self._own_on = True
        self._touched = False
        self._full = False
        self._mute_text = False
        """Whether to ignore text: the pressed key repeats, or is part of a desktop shortcut."""
        self._keys_from: float | None = None
        self._pointer = True
        self._size_told = (-1, -1)
        self._size_told_at = -SIZE_EVERY_S
        self._fade = Fade(time.monotonic())
        self._bar_alpha = -1
        self._seen = ShownStats(time.monotonic())
        self._came = 0
        """Pictures of the other side since the last one that was drawn."""

    def run(self) -> None:
        """Runs until the call has ended, or the window has failed."""
        sdl, event = self._sdl, self._sdl.SDL_Event()
        while not self._over:
            self._wait()
            while sdl.SDL_PollEvent(ctypes.byref(event)):
                self._handle(event)
            if self._news:
                self._news = False
                self._take()
            if self._window is None:
                continue
            now = time.monotonic()
            self._tell_size(now)
            alpha = self._fade.alpha(now)
            letters = self._text is not None and self._text.found_letters()
            if alpha != self._bar_alpha or letters or (self._beside.font_looked_for and not self._text_tried):
                self._bar_alpha, self._dirty = alpha, True
            if self._dirty and self._visible:
                self._draw(now)
            if (figures := self._seen.second(now)) is not None:
                self._tell(figures)

    def _wait(self) -> None:
        """Wait for a wake-up from the call, but only until the next check for keys.

        SDL can wait for both only through the X server, which takes as much CPU as the drawing.
        """
        patience = None if self._window is None else INPUT_POLL_S if self._visible else HIDDEN_POLL_S
        if select.select([0], [], [], patience)[0]:
            self._over = not os.read(0, READ_BYTES)
            self._news = True

    # --- input -------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        """Take the newest state and pictures."""
        found = self._state_area.look(self._state_number)
        if found is not None:
            data = bytes(found.data)
            if not self._state_area.overtaken(found.number):
                self._state_number = found.number
                self._new_state(WindowState.unpack(data))
        if self._window is None or not self._visible:
            return
        came = self._remote.take()
        if came:
            self._shape_first()
            self._came += came
            self._dirty = True
        elif self._own.take() and self._own_on:
            self._dirty = True
        if came:
            self._own.take()

    def _new_state(self, state: WindowState) -> None:
        before, self._state = self._state, state
        if state.shown and self._window is None:
            self._open()
        if self._window is None:
            return
        if state.title != before.title:
            self._sdl.SDL_SetWindowTitle(self._window, state.title.encode())
        hud, old = state.hud, before.hud
        self._fade.pinned = hud.pinned
        if any(getattr(hud, name) != getattr(old, name) for name in NEWS):
            self._fade.stir(time.monotonic())
        if hud.boxed or old.boxed or self._bar_alpha > 0 or not self._remote.size[0]:
            self._dirty = True

    def _shape_first(self) -> None:
        """Give the window the aspect of the first picture, unless the person has resized it."""
        if self._touched or not self._remote.size[0]:
            return
        self._touched = True
        size = first_window(*self._remote.size)
        if size != FIRST_SIZE:
            self._sdl.SDL_SetWindowSize(self._window, *size)

    def _handle(self, event: Any) -> None:
        sdl, now = self._sdl, time.monotonic()
        kind = event.type
        if kind == sdl.SDL_WINDOWEVENT:
            self._window_event(event.window.event)
        elif kind == sdl.SDL_QUIT:
            self._tell(Key("closed"))
        elif kind == sdl.SDL_KEYDOWN:
            key = event.key.keysym
            # Right Alt is not a shortcut: many keyboards have letters on it.
            self._mute_text = bool(event.key.repeat or key.mod & (sdl.KMOD_LALT | sdl.KMOD_GUI))
            if not event.key.repeat:
                self._press(key_name(sdl, key.sym, key.mod))
        elif kind == sdl.SDL_TEXTINPUT:
            if not self._mute_text:
                for char in event.text.text.decode(errors="ignore"):
                    self._press(char)
        elif kind == sdl.SDL_MOUSEBUTTONDOWN:
            self._fade.stir(now)
            if event.button.button == sdl.SDL_BUTTON_LEFT and event.button.clicks == 2:
                self._full_screen(not self._full)
        elif kind == sdl.SDL_MOUSEMOTION:
            self._fade.stir(now)
        elif kind == sdl.SDL_KEYUP:
            self._mute_text = False
            if key_name(sdl, event.key.keysym.sym, 0) == SPACE_DOWN:
                self._tell(Key(SPACE_UP))

    def _window_event(self, what: int) -> None:
        sdl, now = self._sdl, time.monotonic()
        # By the flags and not by the events: a minimised window that is maximised gives only one of them.
        hidden = sdl.SDL_WINDOW_HIDDEN | sdl.SDL_WINDOW_MINIMIZED
        before, self._visible = self._visible, not sdl.SDL_GetWindowFlags(self._window) & hidden
        self._dirty = True
        if self._visible and not before:
            self._news, self._came, self._seen = True, 0, ShownStats(now)
        if what == sdl.SDL_WINDOWEVENT_SIZE_CHANGED:
            self._touched = self._touched or self._points() != FIRST_SIZE
        elif what == sdl.SDL_WINDOWEVENT_FOCUS_GAINED and self._keys_from is None:
            self._keys_from = now + DEAF_S
        elif what == sdl.SDL_WINDOWEVENT_FOCUS_LOST:
            self._tell(Key(LOOKED_AWAY))

    def _press(self, key: str) -> None:
        if not key or self._keys_from is None or time.monotonic() < self._keys_from:
            return
        self._fade.stir(time.monotonic())
        hud = self._state.hud
        if key == "f" or (key == "escape" and self._full and not (hud.show_help or hud.show_stats)):
            self._full_screen(not self._full)
        elif key == "o":
            self._own_on = not self._own_on
            self._dirty = True
        else:
            self._tell(Key(key))

    def _full_screen(self, on: bool) -> None:
        self._full = on
        flags = self._sdl.SDL_WINDOW_FULLSCREEN_DESKTOP if on else 0
        self._sdl.SDL_SetWindowFullscreen(self._window, flags)
        self._dirty = True

    # --- the window --------------------------------------------------------------------------------------------

    def _open(self) -> None:
        sdl = self._sdl
        flags = sdl.SDL_WINDOW_RESIZABLE | sdl.SDL_WINDOW_ALLOW_HIGHDPI
        anywhere = sdl.SDL_WINDOWPOS_UNDEFINED
        window = sdl.SDL_CreateWindow(self._state.title.encode(), anywhere, anywhere, *FIRST_SIZE, flags)
        renderer = make_renderer(sdl, window, os.environ) if window else None
        if not renderer:
            why = (sdl.SDL_GetError() or b"").decode(errors="replace")
            raise RuntimeError(f"no window: {why}")
        sdl.SDL_SetWindowMinimumSize(window, *LEAST_SIZE)
        sdl.SDL_SetRenderDrawBlendMode(renderer, sdl.SDL_BLENDMODE_BLEND)
        self._window, self._renderer = window, renderer
        self._text = Text(sdl, renderer)
        name = renderer_name(sdl, renderer)
        for picture in (self._remote, self._own):
            picture.use(renderer, software=name == "software")
        self._tell(Ready(sdl.SDL_GetCurrentVideoDriver().decode(), name))

    def _size(self) -> tuple[int, int]:
        """Pixels for a picture; none while the window is not visible."""
        if not self._visible:
            return 0, 0
        width, height = ctypes.c_int(), ctypes.c_int()
        self._sdl.SDL_GetRendererOutputSize(self._renderer, ctypes.byref(width), ctypes.byref(height))
        return width.value, height.value

    def _points(self) -> tuple[int, int]:
        """The window's size in the desktop's points: on a dense screen a point has several pixels."""
        width, height = ctypes.c_int(), ctypes.c_int()
        self._sdl.SDL_GetWindowSize(self._window, ctypes.byref(width), ctypes.byref(height))
        return width.value, height.value

    def _tell_size(self, now: float) -> None:
        size = self._size()
        if size != self._size_told and (not size[0] or now - self._size_told_at >= SIZE_EVERY_S):
            self._size_told, self._size_told_at = size, now
            self._tell(Size(*size))

    # --- drawing -----------------------------------------------------------------------------------------------

    def _draw(self, now: float) -> None:
        self._dirty = False
        sdl, (width, height) = self._sdl, self._size()
        place = fit_box(*self._remote.size, width, height) if self._remote.size[0] else None
        if place is None or (place.w, place.h) != (width, height):
            sdl.SDL_SetRenderDrawColor(self._renderer, *(CANVAS if place is None else (0, 0, 0)), 255)
            sdl.SDL_RenderClear(self._renderer)
        if place is not None:
            self._remote.draw(place)
        text = self._letters(min(height, width * 3 // 4))
        below = text.cell[1] if text is not None and self._bar_alpha else 0
        box = own_box(*self._own.size, width, height, below) if self._shows_own() else None
        if box is not None:
            self._own.draw(box)
        if text is not None:
            self._write(text, width, height)
        sdl.SDL_RenderPresent(self._renderer)
        if self._came:
            self._seen.note(self._came, time.monotonic_ns() - self._remote.at_ns)
            self._came = 0
        pointer = not self._full or self._bar_alpha > 0
        if pointer != self._pointer:
            self._pointer = pointer
            sdl.SDL_ShowCursor(int(pointer))

    def _shows_own(self) -> bool:
        """Whether one's own picture is shown; `video_on` is checked, because a late picture may still come."""
        return self._own_on and self._state.hud.video_on and self._own.size[0] > 0

    def _letters(self, room: int) -> Text | None:
        """The text writer, with letters for a window of this height; None while there is no font."""
        text = self._text
        if text is None:
            return None
        if not self._text_tried and self._beside.font_looked_for:
            self._text_tried = True
            if self._beside.font is None or not text.start(load_sdl_ttf(), self._beside.font):
                self._tell(NO_FONT)
        dense = max(1.0, self._size()[1] / max(1, self._points()[1]))
        least, most = (round(points * dense) for points in LETTER_POINTS)
        text.resize(min(most, max(least, room // LETTER_SHARE)))
        return text if text.cell[0] else None

    def _write(self, text: Text, width: int, height: int) -> None:
        hud = self._state.hud
        columns, rows = width // text.cell[0], height // text.cell[1]
        left = (width - columns * text.cell[0]) // 2
        if rows < 2:
            return
        bar, line, alpha = height - text.cell[1], indicator(hud), 255
        if self._bar_alpha > 0:
            if hud.video_on and not self._own_on and not hud.notice:
                hud = replace(hud, notice=STILL_SENT)
            line, alpha = status_line(hud, columns), self._bar_alpha
        text.lines([line], left, bar, Ground.BAR, alpha)
        box = middle_box(hud, columns, rows - 1, window=True)
        if not box and not self._remote.size[0]:
            for number, line in enumerate(placeholder(hud, columns - 2)):
                x = (width - line_width(line) * text.cell[0]) // 2
                text.lines([line], x, height // 2 + (number - 1) * text.cell[1], Ground.CANVAS)
        if box:
            self._box(text, box, (columns - line_width(box[0])) // 2, (rows - len(box)) // 2, left)
        elif hud.show_stats:
            self._box(text, stats_box(hud, columns, rows - 2), 1, 1, left)

    @staticmethod
    def _box(text: Text, box: list[TextLine], column: int, row: int, left: int) -> None:
        if not box:
            return
        x, y = left + column * text.cell[0], row * text.cell[1]
        text.lines(box, x, y, Ground.BOX)
        text.frame(line_width(box[0]), len(box), x, y)
        title = next((segment for segment in box[0] if segment.role is Role.NAME), None)
        if title is not None:  # it is in the upper edge
            before = line_width(box[0][: box[0].index(title)])
            spaced = (Segment(" "), title, Segment(" "))
            text.lines([spaced], x + (before - 1) * text.cell[0], y, Ground.BOX)
