"""The call screen: the only code that draws on a terminal in a call.

Pictures come from the playout and the camera thread, texts from the loop. The thread that brings something draws it.
Only one thread draws at a time; if another one is drawing, that one does the work too (`_pump`), so no thread waits
for a lock or a slow terminal. One write a frame, inside DEC 2026 (synchronized output). While the terminal has not
taken the last write, nothing is drawn and frames are skipped. Every draw reads the terminal's size. Left out: keys,
and the meaning of `HudState`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec.structs import replace

from . import layout as lay
from .cells import MAX_CELLS_SIDE, Canvas
from .graphics import graphics_question, is_last, with_report
from .hud import HudState
from .layout import OWN_ALONE_S, Layout, Pixels, Rect, Span
from .probe import Ability, Mode
from .renderer import Renderer, most_cells, renderer_for
from .terminal import Terminal
from .theme import CANVAS, render

if TYPE_CHECKING:
    import av
    from av.video.reformatter import VideoReformatter

_SYNC_ON, _SYNC_OFF = b"\x1b[?2026h", b"\x1b[?2026l"
_CLEAR: Final = b"\x1b[0m\x1b[2J"
_ANY_SIZE: Final = 1 << 16
"""Pixels of a side that no picture has."""
_DRAIN_S: Final = 0.05
"""How long the playout thread waits for a terminal that has not taken all of a frame yet."""


class Screen:
    """Shows a call on `terminal`, which the caller has entered; `close` leaves it."""

    def __init__(
        self,
        terminal: Terminal,
        mode: Mode,
        *,
        ability: Ability | None = None,
        wanted: str = "",
        title: str = "p2pcall",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Draws at once. `wanted` is the mode, or "auto" for the best, to change to if the terminal answers that it can
        show it. Raises ValueError for a mode that this terminal cannot show (`Ability.modes`).
        """
        self._ability = ability or Ability()
        if mode is Mode.PLAIN or mode not in self._ability.modes():
            raise ValueError(f"no {mode} screen on this terminal")
        self._terminal, self._wanted = terminal, wanted
        self.on_mode: Callable[[], None] | None = None
        """Called when the mode has changed, and so the pixels that can be shown."""
        self._clock = clock
        self.mode: Mode = mode
        self._hud = HudState()
        self._remote: tuple[av.VideoFrame, Renderer, Rect, Pixels] | None = None
        self._own: tuple[av.VideoFrame, Renderer, Rect, Pixels] | None = None
        self._own_rect: Rect | None = None
        self._remote_at = -OWN_ALONE_S
        self._remote_scaler, self._own_scaler, self._draw_scaler = (_Scaler() for _ in range(3))
        self._drawing = threading.Lock()
        self._dirty = threading.Event()
        self._again = threading.Event()
        self._closed = False
        self._layout = self._measured()
        self._renderer = self._start_over()
        self._question_file = ""
        terminal.on_report = self._reported
        if self._ability.asked:
            self._ask()
        if self._ability.title:
            terminal.set_title(title)
        terminal.on_ready = self._pump_if_dirty
        terminal.on_resume = self.refresh
        terminal.on_leave = self._left
        self._pump()

    def show(self, frame: av.VideoFrame) -> None:
        """Show the other side's newest picture; the calling thread (playout) may wait for `_DRAIN_S`."""
        renderer = self._renderer
        layout = self._layout  # read later, for it is set earlier: if one of the two is old, the renderer is
        rect = layout.remote(frame.width, frame.height)
        if layout.canvas_rows:
            self._remote = (frame, renderer, rect, self._remote_scaler.scaled(frame, renderer, rect))
        self._remote_at = self._clock()
        self._pump()
        self._terminal.flush(_DRAIN_S)
        self._pump_if_dirty()

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """Show one's own newest picture, from any thread; None: there is none any more."""
        renderer = self._renderer
        layout = self._layout  # as in `show`
        rect = layout.own(frame.width, frame.height) if frame else None
        if frame is None or rect is None:
            self._own = None
        else:
            self._own = (frame, renderer, rect, self._own_scaler.scaled(frame, renderer, rect)[:, ::-1])
        if frame is None or self._clock() - self._remote_at >= OWN_ALONE_S:
            self._pump()

    def clear_remote(self) -> None:
        """Remove the other side's picture; the placeholder comes back."""
        self._remote = None
        self._pump()

    def set_hud(self, state: HudState) -> None:
        """Set the text beside the picture, from any thread. When `remote_video` ends, the other side's picture is
        removed; when the pictures are `elsewhere`, both are.
        """
        if state.elsewhere or (self._hud.remote_video and not state.remote_video):
            self._remote = None
        if state.elsewhere:
            self._own = None
        self._hud = state
        self._pump()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that this terminal can show, best first."""
        return self._ability.modes()

    def set_mode(self, mode: Mode) -> None:
        """Change the mode at once. Raises ValueError for one that this terminal cannot show."""
        if mode not in self._ability.modes():
            raise ValueError(f"no {mode} screen on this terminal")
        self.mode, self._wanted = mode, ""
        self.refresh()
        if self.on_mode is not None:
            self.on_mode()

    def next_mode(self) -> Mode:
        """Change to the next mode that this terminal can show, and return it."""
        self.set_mode(self.modes[(self.modes.index(self.mode) + 1) % len(self.modes)])
        return self.mode

    def view_size(self) -> tuple[int, int]:
        """How many pixels of the other side's picture this screen can show; (0, 0) when the terminal is gone."""
        if self._closed or self._terminal.gone:
            return 0, 0
        return self._renderer.scale_to(self._measured().widest, _ANY_SIZE, _ANY_SIZE)

    def resized(self) -> None:
        """The terminal may have another size now (SIGWINCH)."""
        self._pump()

    def refresh(self) -> None:
        """Redraws everything, whatever the terminal shows now."""
        self._again.set()
        self._pump()

    def close(self) -> None:
        """Stops drawing and restores the terminal. Idempotent, bounded in time."""
        self._closed = True
        self._terminal.on_ready = self._terminal.on_resume = self._terminal.on_report = None
        if self._drawing.acquire(timeout=1.0):
            self._drawing.release()
        self._terminal.leave()
        self._terminal.on_leave = None

    def _left(self) -> None:
        """The terminal has been left: what is drawn and what is asked has no files any more."""
        self._renderer.end()
        self._discard_question()

    def _ask(self) -> None:
        """Asks the terminal for pixels. One that does not know the question may show it: then it is drawn over."""
        from .kitty import discard_old_files, write_file

        discard_old_files()
        with suppress(OSError):
            self._question_file = write_file(bytes(3))
        self._terminal.write(graphics_question(self._question_file) + b"\r" + _CLEAR, ask=True)

    def _reported(self, report: bytes) -> None:
        """An answer has come: there may be more modes now, and the one that is wanted."""
        self._ability = with_report(self._ability, report)
        if not is_last(report):
            return
        self._discard_question()
        if not all(self._terminal.cell_pixels()):
            self._ability = replace(self._ability, sixel=False)  # nobody knows how large they would be
        modes = self._ability.modes()
        wanted = [mode for mode in modes if mode == self._wanted] or [modes[0]]
        if self._wanted and wanted[0] is not self.mode:
            self.set_mode(wanted[0])

    def _discard_question(self) -> None:
        if self._question_file:
            from .kitty import discard_file

            discard_file(self._question_file)
            self._question_file = ""

    def _pump_if_dirty(self) -> None:
        if self._dirty.is_set():
            self._pump()

    def _pump(self) -> None:
        """Draws, or leaves it to the thread that is drawing now, which checks again before it ends."""
        self._dirty.set()
        while self._dirty.is_set() and not self._closed and self._drawing.acquire(blocking=False):
            try:
                if not self._terminal.ready():
                    return  # still dirty: the next call, or the terminal's answer, draws it
                self._dirty.clear()
                self._draw()
            finally:
                self._drawing.release()

    def _measured(self) -> Layout:
        cols, rows = self._terminal.size()
        cols, rows = min(cols, MAX_CELLS_SIDE), min(rows, MAX_CELLS_SIDE)
        cell_w, cell_h = self._terminal.cell_pixels()
        most = most_cells(self.mode, cell_w, cell_h)
        return Layout(cols, rows, self._terminal.cell_aspect(), cell_w, cell_h, most)

    def _start_over(self) -> Renderer:
        """Forgets what the terminal shows; a new renderer."""
        self._renderer = renderer_for(self._layout, self.mode, self._ability)
        self._canvas = self._renderer.blank_canvas()
        self._backdrop: Canvas | None = None
        self._spans: list[Span] = []
        self._told: tuple[HudState, bool, Rect | None] | None = None
        self._covered = lay.covered(self._layout, [])
        return self._renderer

    def _draw(self) -> None:
        layout = self._measured()
        clear = b""
        if self._again.is_set() or layout != self._layout:
            self._again.clear()
            self._layout = layout
            clear = self._renderer.end() + _CLEAR
            self._start_over()
        picture = self._compose(self._canvas)
        words = self._write_texts(picture)
        cells = self._renderer.paint(self._canvas, self._covered) if layout.canvas_rows else b""
        if clear or words or cells:
            self._terminal.write(_SYNC_ON + clear + cells + words + _SYNC_OFF, ask=True)

    def _compose(self, canvas: Canvas) -> bool:
        """Copies the newest pictures onto the canvas. Returns whether the other side's is among them."""
        canvas[:] = (0, 0, 0, 255) if self.mode is Mode.ASCII else (*CANVAS, 255)
        remote, own, layout = self._remote, self._own, self._layout
        if not layout.canvas_rows:
            return False
        if self._hud.elsewhere:
            remote = own = None  # a thread may just have brought one
        elif not self._hud.video_on:
            own = None
        if remote:
            frame, made_for, rect, pixels = remote
            if made_for is not self._renderer:
                rect = layout.remote(frame.width, frame.height)
                pixels = self._draw_scaler.scaled(frame, self._renderer, rect)
            self._renderer.put(canvas, rect, pixels)
        elif self._backdrop is None:
            lay.draw_avatar(canvas, layout)
            self._backdrop = canvas.copy()
        else:
            canvas[:] = self._backdrop
        self._own_rect = None
        if own:
            frame, made_for, place, pixels = own
            if made_for is not self._renderer and (again := layout.own(frame.width, frame.height)):
                place, pixels = again, self._draw_scaler.scaled(frame, self._renderer, again)[:, ::-1]
                made_for = self._renderer
            if made_for is self._renderer:
                self._own_rect = place
                self._renderer.put(canvas, place, pixels)
        return remote is not None

    def _write_texts(self, picture: bool) -> bytes:
        """The bytes of all texts if any has changed; the renderer redraws cells that are no longer covered."""
        told = (self._hud, picture, self._own_rect)
        if told == self._told:
            return b""
        self._told = told
        before = self._spans
        spans = lay.texts(self._layout, self._hud, self._ability.unicode, picture=picture, own=self._own_rect)
        self._spans = spans
        if before and before[1:] == spans[1:]:
            spans = spans[:1]  # the usual case: only the status line has changed
        else:
            covered = lay.covered(self._layout, spans)
            if self._layout.canvas_rows:
                self._renderer.forget(self._covered & ~covered)
            self._covered = covered
        colours, mode = self._ability.colours, self.mode
        return b"".join(
            b"\x1b[%d;%dH" % (row + 1, col + 1) + render(line, ground, colours, mode)
            for row, col, line, ground in spans
        )


class _Scaler:
    """Scales pictures down, for one thread; loads its library with the first picture."""

    def __init__(self) -> None:
        self._reformatter: VideoReformatter | None = None

    def scaled(self, frame: av.VideoFrame, renderer: Renderer, rect: Rect) -> Pixels:
        """The frame in the renderer's pixels of `rect`, RGBA; swscale averages areas and holds no lock."""
        from av.video.reformatter import Interpolation, VideoReformatter

        if self._reformatter is None:
            self._reformatter = VideoReformatter()
        w, h = renderer.scale_to(rect, frame.width, frame.height)
        shrinks = frame.width >= w and frame.height >= h
        how = Interpolation.AREA if shrinks else Interpolation.BILINEAR
        # One thread: faster for so few pixels, and swscale's threads write over each other's first pixels in a row.
        small = self._reformatter.reformat(
            frame, width=w, height=h, format="rgba", interpolation=how, threads=1
        )
        pixels: Pixels = np.asarray(small.to_ndarray(), np.uint8)
        pixels[..., 3] = 255
        return pixels
