"""The second process of the demo: this same program, which shows a drawn person who sings a made-up phrase.

It listens only on the loopback address, so nobody else can call it. `stop` always ends it; if `stop` is never called,
it ends because nobody reads its events any more. It ignores Ctrl-C: the person hangs up in the first process.
"""

import asyncio
import json as jsonlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process, create_subprocess_exec
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import p2pcall
from p2pcall.errors import ExitCode, P2PCallError

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 20.0
"""Time until it must report that it listens, on a slow machine under load."""
STOP_TIMEOUT_S: Final = 5.0
"""Time to end by itself; then it is killed."""


class CalleeProcess:
    """The second process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.sas: tuple[str, ...] = ()
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, home: Path, name: str, environ: Mapping[str, str]) -> "CalleeProcess":
        """Start this same program, never another one from the current directory. P2PCallError if that fails."""
        argv = [
            sys.executable, "-P", "-m", "p2pcall", "listen", "--name", name, "--answer", "anyone",
            "--announce", "public", "--bind", HOST, "--port", "0", "--audio-in", "song", "--video-in", "person",
            "--audio-out", "none", "--video-out", "none", "--json", "--home", str(home),
        ]  # fmt: skip
        ours = str(Path(p2pcall.__file__).resolve().parent.parent)
        others = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        env = {**environ, "PYTHONPATH": os.pathsep.join([ours, *others])}
        try:
            process = await create_subprocess_exec(
                *argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=env, process_group=0
            )
            return cls(process)
        except OSError as error:
            why = f"a second process cannot be started: {(error.strerror or str(error)).lower()}"
            raise P2PCallError("demo", why, ExitCode.BUG, "p2pcall listen --json") from error

    async def port(self) -> int:
        """The port on which it listens; P2PCallError if it does not start."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                event = await self._event("listening")
        except TimeoutError as error:
            why = f"the other process did not start within {START_TIMEOUT_S:.0f} seconds"
            raise P2PCallError("demo", why, ExitCode.BUG, "p2pcall listen --json") from error
        self._reader = asyncio.create_task(self._read_on())
        return int(event["port"])

    async def _event(self, name: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            event: dict[str, Any] = jsonlib.loads(line)
            if event["event"] == name:
                return event
            if event["event"] == "error":
                why = f"the other process ended: {event['text']}"
                raise P2PCallError("demo", why, ExitCode(event["exit"]), event["hint"])
        raise P2PCallError("demo", "the other process ended", ExitCode.BUG, "p2pcall listen --json")

    async def _read_on(self) -> None:
        with suppress(P2PCallError):
            self.sas = tuple((await self._event("connected"))["sas"])
            await self._event("never")

    async def stop(self) -> None:
        """Ask it to end, and wait until it has ended."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            self._reader.cancel()
