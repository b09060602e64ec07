"""Where events go: words to the terminal or stderr, JSON to stdout. Also the question at an incoming call.

stdout belongs to data. While a picture is on the terminal nothing else is written there: lines that fall into that
time are shown when it is over.
"""

import asyncio
import os
import stat
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self, TextIO

from p2pcall import events
from p2pcall.cli import event_text, stdout
from p2pcall.cli.line_writer import CLOSE_WAIT_S, LineWriter
from p2pcall.cli.naming import NameQuestion
from p2pcall.env import Env
from p2pcall.errors import P2PCallError
from p2pcall.events import Event, to_json
from p2pcall.view.plainline import wrapped
from p2pcall.view.probe import Mode, probe
from p2pcall.view.terminal import Terminal

if TYPE_CHECKING:
    from p2pcall.cli.views import PlainView, ScreenView
    from p2pcall.engine.ui import CallView

MAX_HELD: Final = 200
"""Lines that wait for the end of a call, the newest: what somebody reads who comes back to the terminal."""
FLUSH_WAIT_S: Final = 0.2
"""So long what was said gets to be out before the terminal is used for something else; mostly it is out at once."""
BELL_EVERY_S: Final = 3.0
"""Between two bells of the terminal while it rings."""
QUESTION: Final = b"answer? [a] sound only  [v] with camera  [d] decline "
QUESTION_WITHOUT_CAMERA: Final = b"answer? [a] yes  [d] decline "
RING_ANSWERS: Final = {
    "a": "audio",
    "y": "audio",
    "enter": "audio",
    "v": "video",
    "d": "decline",
    "q": "decline",
    "eof": "decline",
}


class CommandOutput:
    """One command's way to tell what happens; also the engine's `Ui`. `with` it, or `close` it at the end."""

    def __init__(
        self, env: Env, *, json: bool = False, quiet: bool = False, plain: bool = False, holds: bool = False
    ) -> None:
        """`holds`: it matters in a call how long a key is held."""
        self._holds = holds
        self._env, self._json, self._quiet, self._plain = env, json, quiet, plain
        self._view: ScreenView | PlainView | None = None
        self._drawn = False
        """There is a picture on the terminal, and lines wait."""
        self._held: deque[str] = deque(maxlen=MAX_HELD)
        self._left_out = 0
        """Lines that found no room there."""
        self._lines: LineWriter | None = None
        self._told: LineWriter | None = None
        sequences = not plain and probe(env.environ).cursor
        self.terminal = _terminal(env, json, sequences=sequences)
        self.on_closed: Callable[[], None] | None = None
        """stdout has no reader any more."""
        self._asking: Terminal | None = None
        """Where a question stands in a line that is not ended yet."""
        self._closed_down = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        failure = self.close()
        stopped = isinstance(error, P2PCallError) and error.slug == "interrupted"  # as `on_closed` asked for
        if failure is not None and (error is None or stopped):
            raise failure

    def close(self, wait_s: float = CLOSE_WAIT_S) -> P2PCallError | None:
        """What is still to be written to stdout, or `wait_s` is over; why it could not be, if it is an error."""
        lines = self._lines
        try:
            if lines is None:
                return None
            lines.close(wait_s)
            if lines.stuck:
                self.emit(events.Warning("stdout-stuck", "nobody took what was written to standard output"))
            elif lines.dropped or lines.lost:
                which = "" if lines.lost else " (stats)"
                text = f"standard output was read too slowly, {lines.dropped + lines.lost} events{which} were left out"
                self.emit(events.Warning("stdout-slow", text))
            return lines.failure if isinstance(lines.failure, P2PCallError) else None
        finally:
            self._closed_down = True
            if self._told is not None:
                self._told.close(wait_s)

    def emit(self, event: Event) -> None:
        """Tell one event."""
        now = self._env.clock.time()
        if self._json:
            if self._lines is None:
                self._lines = LineWriter(self._env.stdout, self._closed)
            line = to_json(event, now)
            self._lines.put(line, droppable=isinstance(event, events.Stats | events.Missed))
        text = event_text.event_line(event, time.strftime("%H:%M", time.localtime(now)))
        if text is None or (self._quiet and not isinstance(event, events.Error)):
            return
        if self._json and not isinstance(event, events.Error | events.Warning):
            return
        if self._drawn:
            if not isinstance(event, events.Media):
                self._left_out += len(self._held) == MAX_HELD
                self._held.append(text)
        else:
            self.say(text)

    def progress(self, text: str) -> None:
        """What is being waited for: to people alone, and not to those who want quiet."""
        if not (self._quiet or self._json):
            self.say(text)

    def say(self, text: str) -> None:
        """A line for people, on stderr; lost if stderr is closed. A terminal gets it broken between words.

        But for errors and hints: what is to be typed can be copied as it stands.
        """
        self._asks(None)
        if not text.startswith("p2pcall: ") and (cells := _columns(self._env)):
            text = wrapped(text, cells)
        if self._closed_down or not _may_wait(self._env.stderr):
            stdout.say(self._env, text)
            return
        if self._told is None:
            self._told = LineWriter(self._env.stderr)
        self._told.put(text)

    def _settle(self) -> None:
        """What was said comes before what is drawn or asked."""
        if self._told is not None:
            self._told.settle(FLUSH_WAIT_S)

    def waiting(self) -> None:
        """A line for people alone: whoever reads events knows it from them."""
        if not self._quiet and not self._json:
            self.say("waiting for calls")

    def _closed(self) -> None:
        if self.on_closed is not None:
            self.on_closed()

    # --- the question ------------------------------------------------------------------------------------------

    def ask(self, incoming: events.Incoming, *, camera: bool) -> Awaitable[str] | None:
        """Ring the bell and wait for a key; what is offered is what can be. None without a terminal to ask at, or in
        its background.
        """
        if self.terminal is None or not self.can_ask:
            return None
        if self._quiet or self._json:  # whoever is asked must know who calls
            self.say(event_text.event_line(incoming) or "")
        return self._question(self.terminal, QUESTION if camera else QUESTION_WITHOUT_CAMERA)

    @property
    def can_ask(self) -> bool:
        """There is a terminal, and we are not in its background."""
        return self.terminal is not None and self.terminal.available

    def ask_name(
        self, claimed: str, fingerprint: str, offered: str, problem: str
    ) -> Awaitable[str | None] | None:
        """Under which name to keep them; None for those who want quiet, too."""
        if self._quiet or self._json or self.terminal is None or not self.can_ask:
            return None
        self.say(problem or f"keep {claimed} ({fingerprint}) as a contact?")
        self._settle()
        return NameQuestion(self.terminal, offered, self._asks, typing=bool(problem)).ask()

    async def _question(self, terminal: Terminal, question: bytes) -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def readable() -> None:
            for key in terminal.read_keys():
                if key in RING_ANSWERS and not answer.done():
                    answer.set_result(RING_ANSWERS[key])

        self._settle()
        terminal.enter(alternate=False)
        if not terminal.entered:
            return "decline"
        terminal.discard_typed()
        terminal.write(question)
        self._asks(terminal)
        loop.add_reader(terminal.fd_in, readable)
        bell = loop.create_task(self._bell(terminal))
        try:
            return await answer
        finally:
            bell.cancel()
            loop.remove_reader(terminal.fd_in)
            self._asks(None)
            terminal.leave()

    def _asks(self, terminal: Terminal | None) -> None:
        """A question stands in the last line there; None: that line ends, if nothing was said beside it before."""
        if self._asking is not None:
            self._asking.write(b"\r\n")
        self._asking = terminal

    async def _bell(self, terminal: Terminal) -> None:
        while True:
            terminal.write(b"\a")
            await asyncio.sleep(BELL_EVERY_S)

    # --- the call's screen -------------------------------------------------------------------------------------

    def load_view(self, mode: str) -> None:
        """As in `Ui`. Nothing that draws is imported before: a call is placed before there is a picture."""
        from p2pcall.cli import views  # noqa: F401  (loaded for `open_view`)

        drawn = self.terminal is not None and not self._plain
        if drawn:
            from p2pcall.view import screen  # noqa: F401  (the same)
        if mode == "window" or (drawn and mode != "none"):
            from p2pcall.cli import windowview  # noqa: F401  (the same)

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> "CallView | None":
        """Take the terminal for a call, and open a window; `mode` is auto, blocks, ascii, window or none. None where
        there is nothing to show it on.
        """
        base = self._open_terminal(mode, on_key)
        if mode == "window" or (mode != "none" and self._drawn):
            from p2pcall.cli.windowview import WindowView
            from p2pcall.view.window import may_open

            if mode == "window" or may_open(self._env.environ):
                return WindowView(base, on_key, self._env.environ, open_now=mode == "window")
        return base

    def _open_terminal(self, mode: str, on_key: Callable[[str], None]) -> "ScreenView | PlainView | None":
        from p2pcall.cli.views import PlainView, ScreenView, StderrSilencer

        terminal = self.terminal if self.terminal is not None and self.terminal.available else None
        if self._json and (terminal is None or self._env.stdout.isatty()):
            return None
        if terminal is None:
            self._view = PlainView(self, None, on_key) if self._plain else None
            return self._view
        ability = probe(self._env.environ)
        wanted = [able for able in ability.modes() if able == mode]
        drawn = wanted[0] if wanted else ability.auto
        if self._plain or drawn is Mode.PLAIN:
            self._view = PlainView(self, terminal, on_key, holds=self._holds)
        else:
            from p2pcall.view.screen import Screen

            self._settle()
            terminal.enter(holds=self._holds)
            terminal.discard_typed()
            screen = Screen(terminal, drawn, ability=ability)
            quiet = StderrSilencer(self._env.stderr)
            self._view = ScreenView(self, screen, terminal, on_key, quiet, picture=mode != "none")
            self._drawn = True
        return self._view

    def view_closed(self) -> None:
        """The terminal is free for lines again."""
        self._view, self._drawn = None, False
        if self._left_out:
            self.say(f"{self._left_out} lines of before are left out")
        for text in self._held:
            self.say(text)
        self._held.clear()
        self._left_out = 0


def _may_wait(stream: TextIO) -> bool:
    """Whether who writes there may have to wait for a reader: not where it is a file or memory."""
    with suppress(OSError, ValueError):
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    return False


def _columns(env: Env) -> int:
    """How wide the terminal behind stderr is; 0 if there is none, or it does not say."""
    with suppress(OSError, ValueError):
        if env.stderr.isatty():
            return os.get_terminal_size(env.stderr.fileno()).columns
    return 0


def _terminal(env: Env, json: bool, *, sequences: bool) -> Terminal | None:
    """The terminal to draw on, with keys from stdin or, where stdin is a pipe, from the terminal itself."""
    streams = [env.stderr] if json else [env.stdout, env.stderr]
    for stream in streams:
        with suppress(OSError, ValueError):
            if stream.isatty():
                return Terminal(env.stdin.fileno(), stream.fileno(), sequences=sequences)
    return None
