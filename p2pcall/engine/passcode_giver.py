"""The caller's side of the second factor: gives the code that the other side asks for.

Rules: it comes from a file, a program or a person at the terminal, never from the command line. What a script gives is
tried once in a call; a person may try as often as the other side lets them. The other side cannot make this side ask
more often than there are tries. Left out: what it does with the code (`passcode_gate`).
"""

import asyncio
import os
import select
import shlex
import time
from contextlib import suppress
from functools import partial
from typing import Final

from p2pcall import events
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.offload import offload
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.passcode import TRIES, CodeVerdict, PasscodeRequest, parse_passcode
from p2pcall.proto.messages import ControlType

SCRIPT_TIMEOUT_S: Final = 30.0
"""How long a file (a pipe with a name) or a program may take to give a code: as long as a code is good for."""
MAX_CODE_BYTES: Final = 256
"""More is not read: a code has six digits."""
REASONS: Final = {
    CodeVerdict.ASKED: "no-code",
    CodeVerdict.WRONG: "wrong-code",
    CodeVerdict.USED: "used-code",
    CodeVerdict.CLOCK: "wrong-clock",
    CodeVerdict.LOCKED: "code-locked",
}
"""What was said last -> why the call ends."""


class PasscodeGiver:
    """Gives codes during one dial; `close` at its end."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._requests = 0
        self._sent = False
        """Whether a code was sent and nothing was said about it yet."""
        self._task: asyncio.Task[None] | None = None
        self.error: P2PCallError | None = None
        """Why there is no code, once the line was told "code-failed"."""

    def expects(self, request: PasscodeRequest) -> bool:
        """Whether it is the first request, the answer to a code, or the last word; all else is not acted on."""
        if request.verdict is CodeVerdict.RIGHT:
            return self._sent
        return self._sent or self._requests == 0 or not request.left

    def take(self, line: PeerConnection, who: PeerIdentity, request: PasscodeRequest) -> str | None:
        """An expected request, which may say how the last code was: why the call ends now, or None to go on.

        What comes of it is told to the line: "no-code", "code-failed", or nothing when a code was sent.
        """
        self._sent = False
        if request.verdict is CodeVerdict.RIGHT:
            return None
        self._requests += 1
        left = request.left if self._requests <= TRIES else 0
        why = request.verdict.name.lower()
        told = events.CodeRequired(line.peer.call_id, who.name, who.fingerprint, why, left, request.seconds)
        self._agent.ui.emit(told)
        settings = self._agent.settings
        scripted = settings.pin_file is not None or settings.pin_command is not None
        if not left or (scripted and self._requests > 1):
            return REASONS[request.verdict]
        self._task = asyncio.get_running_loop().create_task(self._give(line, who))
        return None

    async def close(self) -> None:
        """Withdraw the question; then the terminal is free again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _give(self, line: PeerConnection, who: PeerIdentity) -> None:
        try:
            code = await self._code(who)
        except P2PCallError as error:
            self.error = error
            line.tell("code-failed")
            return
        if code is None or not line.peer.established:
            line.tell("no-code")
        else:
            self._sent = line.send_control(ControlType.PASSCODE, code)

    async def _code(self, who: PeerIdentity) -> bytes | None:
        settings = self._agent.settings
        if settings.pin_file is not None:
            return _read(await offload(partial(_first_bytes, settings.pin_file)), "--pin-file")
        if settings.pin_command is not None:
            return _read(await _printed(settings.pin_command), "--pin-command")
        question = self._agent.ui.ask_code(who.name)
        return None if question is None else parse_passcode(await question or "")


def _read(data: bytes, option: str) -> bytes:
    """The code in what a script gave; the error does not repeat it, because it may be a secret."""
    code = parse_passcode(data.decode("ascii", "replace"))
    if code is None:
        raise _failed(f"what {option} gives is no code of six digits")
    return code


def _first_bytes(path: str) -> bytes:
    """The beginning of a file; of a pipe with a name, what comes in time. Runs in a thread."""
    deadline, data = time.monotonic() + SCRIPT_TIMEOUT_S, b""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while len(data) < MAX_CODE_BYTES and b"\n" not in data:
                if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise TimeoutError("nothing came in time")
                more = os.read(fd, MAX_CODE_BYTES)
                if not more:
                    break
                data += more
        finally:
            os.close(fd)
    except OSError as error:
        raise _failed(f"cannot read --pin-file {path}: {(error.strerror or str(error)).lower()}") from error
    return data


async def _printed(command: str) -> bytes:
    """What a program prints; it may ask at the terminal by itself."""
    try:
        words = shlex.split(command)
        if not words:
            raise ValueError("it is empty")
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise _failed(f"cannot run --pin-command: {text.lower()}") from error
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SCRIPT_TIMEOUT_S):
            data = await process.stdout.read(MAX_CODE_BYTES)
            status = await process.wait()
    except TimeoutError as error:
        raise _failed(f"--pin-command has not ended in {SCRIPT_TIMEOUT_S:.0f} s") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
    if status:
        raise _failed(f"--pin-command has failed with exit status {status}")
    return data


def _failed(text: str) -> P2PCallError:
    return P2PCallError("no-code", text, ExitCode.CONFIG, "run it alone, and see whether it gives six digits")
