"""Where events go: words to the terminal or stderr, JSON to stdout. Also the question at an incoming call.

stdout is for data. While a picture is on the terminal nothing else is written there: lines wait until it is closed.
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
from p2pcall.cli.code_question import CodeQuestion
from p2pcall.cli.line_writer import CLOSE_WAIT_S, LineWriter
from p2pcall.cli.naming import NameQuestion
from p2pcall.env import Env
from p2pcall.errors import P2PCallError
from p2pcall.events import Event, to_json
from p2pcall.view.graphics import REMOVAL
from p2pcall.view.probe import Mode, probe, with_named
from p2pcall.view.terminal import Terminal

if TYPE_CHECKING:
    from p2pcall.cli.views import PlainView, ScreenView
    from p2pcall.engine.ui import CallView

MAX_HELD: Final = 200
"""At most this many lines, the newest, wait for the end of a call: as many as a person reads afterwards."""
FLUSH_WAIT_S: Final = 0.2
"""Longest wait for queued lines to be written before the terminal is used in another way; usually there is none."""
BELL_EVERY_S: Final = 3.0
"""Time between two terminal bells while it rings."""
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
    """The output of one command; also the engine's `Ui`. Use `with`, or call `close` at the end."""

    def __init__(
        self, env: Env, *, json: bool = False, quiet: bool = False, plain: bool = False, holds: bool = False
    ) -> None:
        """`holds`: it matters in a call how long a key is held."""
        self._holds = holds
        self._env, self._json, self._quiet, self._plain = env, json, quiet, plain
        self._view: ScreenView | PlainView | None = None
        self._drawn = False
        """Whether a picture is on the terminal; then lines wait."""
        self._held: deque[str] = deque(maxlen=MAX_HELD)
        self._left_out = 0
        """Waiting lines that were dropped."""
        self._lines: LineWriter | None = None
        self._told: LineWriter | None = None
        ability = probe(env.environ)
        undo = REMOVAL if ability.asked else b""
        self.terminal = _terminal(env, json, sequences=not plain and ability.cursor, undo=undo)
        self.on_closed: Callable[[], None] | None = None
        """Called when stdout has no reader any more."""
        self._asking: Terminal | None = None
        """The terminal with a question whose line is not ended yet."""
        self._closed_down = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        failure = self.close()
        stopped = (
            isinstance(error, P2PCallError) and error.slug == "interrupted"
        )  # `on_closed` has requested it
        if failure is not None and (error is None or stopped):
            raise failure

    def close(self, wait_s: float = CLOSE_WAIT_S) -> P2PCallError | None:
        """Write the remaining lines to stdout, at most for `wait_s`. Returns the error if writing failed."""
        lines = self._lines
        try:
            if lines is None:
                return None
            lines.close(wait_s)
            if lines.stuck:
                self.emit(
                    events.Warning("stdout-stuck", "the reader of standard output did not take everything")
                )
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
        """Write one event, as JSON, in words, or both."""
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
        """Say what is being waited for: only for people, and not with --quiet."""
        if not (self._quiet or self._json):
            self.say(text)

    def say(self, text: str) -> None:
        """Write a line for people to stderr, `fitted`; it is lost if stderr is closed."""
        self._asks(None)
        if self._closed_down or not _may_wait(self._env.stderr):
            stdout.say(self._env, text)
            return
        if self._told is None:
            self._told = LineWriter(self._env.stderr)
        self._told.put(stdout.fitted(self._env, text))

    def _settle(self) -> None:
        """Write queued lines before anything is drawn or asked."""
        if self._told is not None:
            self._told.settle(FLUSH_WAIT_S)

    def waiting(self) -> None:
        """A line for people only: scripts learn it from the events."""
        if not self._quiet and not self._json:
            self.say("waiting for calls")

    def _closed(self) -> None:
        if self.on_closed is not None:
            self.on_closed()

    # --- the question ------------------------------------------------------------------------------------------

    def ask(self, incoming: events.Incoming, *, camera: bool) -> Awaitable[str] | None:
        """Ring the bell and wait for a key; only possible answers are offered. None if there is no terminal, or if we
        run in its background.
        """
        if self.terminal is None or not self.can_ask:
            return None
        if self._quiet or self._json:  # the person must know who calls
            self.say(event_text.event_line(incoming) or "")
        return self._question(self.terminal, QUESTION if camera else QUESTION_WITHOUT_CAMERA)

    @property
    def can_ask(self) -> bool:
        """Whether there is a terminal and we do not run in its background."""
        return self.terminal is not None and self.terminal.available

    def ask_name(
        self, claimed: str, fingerprint: str, offered: str, problem: str
    ) -> Awaitable[str | None] | None:
        """Ask under which name to keep the person; None with --quiet, too."""
        if self._quiet or self._json or self.terminal is None or not self.can_ask:
            return None
        self.say(problem or f"keep {claimed} ({fingerprint}) as a contact?")
        self._settle()
        return NameQuestion(self.terminal, offered, self._asks, typing=bool(problem)).ask()

    def ask_code(self, name: str) -> Awaitable[str | None] | None:
        """Ask for a code, with --quiet and --json too: without it there is no call."""
        if self.terminal is None or not self.can_ask:
            return None
        self._settle()
        return CodeQuestion(self.terminal, name, self._asks).ask()

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
        """A question is in the last line of `terminal`. None: end that line, unless other output has ended it."""
        if self._asking is not None:
            self._asking.write(b"\r\n")
        self._asking = terminal

    async def _bell(self, terminal: Terminal) -> None:
        while True:
            terminal.write(b"\a")
            await asyncio.sleep(BELL_EVERY_S)

    # --- the call's screen -------------------------------------------------------------------------------------

    def load_view(self, mode: str) -> None:
        """As in `Ui`. Drawing code is first imported here, because a call is placed before there is a picture."""
        from p2pcall.cli import views  # noqa: F401  (loaded for `open_view`)

        drawn = self.terminal is not None and not self._plain
        if drawn:
            from p2pcall.view import screen  # noqa: F401  (the same)
        if mode == "window" or (drawn and mode != "none"):
            from p2pcall.cli import windowview  # noqa: F401  (the same)

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> "CallView | None":
        """Take the terminal for a call, or open a window; `mode` is a value of --video-out. None if there is
        neither.
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
        ability = with_named(probe(self._env.environ), mode)
        wanted = [able for able in ability.modes() if able == mode]
        drawn = wanted[0] if wanted else ability.auto
        if self._plain or drawn is Mode.PLAIN:
            self._view = PlainView(self, terminal, on_key, holds=self._holds)
        else:
            from p2pcall.view.screen import Screen

            self._settle()
            terminal.enter(holds=self._holds)
            terminal.discard_typed()
            screen = Screen(terminal, drawn, ability=ability, wanted=mode)
            quiet = StderrSilencer(self._env.stderr)
            self._view = ScreenView(self, screen, terminal, on_key, quiet, picture=mode != "none")
            self._drawn = True
        return self._view

    def view_closed(self) -> None:
        """The terminal is free for lines again."""
        self._view, self._drawn = None, False
        if self._left_out:
            self.say(f"{self._left_out} earlier lines are left out")
        for text in self._held:
            self.say(text)
        self._held.clear()
        self._left_out = 0


def _may_wait(stream: TextIO) -> bool:
    """Whether a write to the stream may have to wait for a reader: not for a file or a stream in memory."""
    with suppress(OSError, ValueError):
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    return False


def _terminal(env: Env, json: bool, *, sequences: bool, undo: bytes) -> Terminal | None:
    """The terminal to draw on. Keys come from stdin or, if stdin is a pipe, from the terminal itself."""
    streams = [env.stderr] if json else [env.stdout, env.stderr]
    for stream in streams:
        with suppress(OSError, ValueError):
            if stream.isatty():
                return Terminal(env.stdin.fileno(), stream.fileno(), sequences=sequences, undo=undo)
    return None
