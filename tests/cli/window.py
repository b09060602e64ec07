"""A terminal with a person in front of it, for what the command line writes to one and reads from it."""

import asyncio
import contextlib
import os
import pty
from collections.abc import Awaitable, Callable
from typing import TextIO

from fakeenv import fake_env

from p2pcall.cli.output import CommandOutput
from p2pcall.env import Env
from p2pcall.view.terminal import Terminal

PATIENCE_S = 20.0
TRUECOLOUR = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}


class Window:
    """A terminal with a person in front of it."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.seen = b""
        self.streams = [os.fdopen(os.dup(self._slave), mode) for mode in ("r", "w", "w")]

    def env(self) -> Env:
        env = fake_env(environ=TRUECOLOUR)
        env.stdin, env.stdout, env.stderr = self.streams
        return env

    def type(self, data: bytes) -> None:
        os.write(self._master, data)

    async def see(self, wanted: bytes, times: int = 1) -> None:
        """Wait until this was written to the terminal so often."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                self.seen += os.read(self._master, 65536)
            changed.set()

        loop.add_reader(self._master, readable)
        try:
            while self.seen.count(wanted) < times:
                changed.clear()
                await asyncio.wait_for(changed.wait(), PATIENCE_S)
        finally:
            loop.remove_reader(self._master)

    def close(self) -> None:
        for stream in self.streams:
            stream.close()
        os.close(self._master)
        os.close(self._slave)


def output_at(
    window: Window,
    kind: type[CommandOutput] = CommandOutput,
    *,
    plain: bool = False,
    stderr: TextIO | None = None,
) -> CommandOutput:
    """With a terminal that has no guard: to start that process takes a moment, in which the loop stands still."""
    env = window.env()
    env.stderr = stderr or env.stderr
    output = kind(env, plain=plain)
    assert output.terminal is not None
    output.terminal.close()
    output.terminal = Terminal(env.stdin.fileno(), env.stdout.fileno(), guard=False)
    return output


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(work(), PATIENCE_S)

    asyncio.run(limited())
