"""Who answers a call: keys that were typed for something else do not, and a background job asks nobody."""

import asyncio
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from window import PATIENCE_S, Window, output_at, run

from p2pcall import events
from p2pcall.cli.output import RING_ANSWERS, CommandOutput
from p2pcall.engine.ui import CallView

ROOT = Path(__file__).resolve().parent.parent.parent
PROMPT = b"[d] decline "
INCOMING = events.Incoming("00000000", "bob", "abcd", "new", True, True)
TYPED = {
    "an answer": b"a",
    "a line": b"v\n",
    "half a paste": b"\x1b[200~",
    "half a key": b"\x1b[",
    "a held key": b"a" * 1000,
}


async def question(output: CommandOutput) -> str:
    asked = output.ask(INCOMING, camera=True)
    assert asked is not None
    return await asked


@pytest.mark.terminal
@pytest.mark.parametrize("typed", TYPED.values(), ids=TYPED.keys())
def test_what_was_typed_before_the_call_does_not_answer_it(window: Window, typed: bytes) -> None:
    async def work() -> None:
        output = output_at(window)
        window.type(typed)
        answer = asyncio.ensure_future(question(output))
        await window.see(PROMPT)
        assert not answer.done()
        window.type(b"d")
        assert await answer == "decline"
        assert output.terminal is not None
        output.terminal.close()

    run(work)


@pytest.mark.terminal
@pytest.mark.parametrize(
    ("camera", "asked"),
    [
        (True, b"answer? [a] sound only  [v] with camera  [d] decline "),
        (False, b"answer? [a] yes  [d] decline "),
    ],
)
def test_what_cannot_be_is_not_offered(window: Window, camera: bool, asked: bytes) -> None:
    async def work() -> None:
        output = output_at(window)
        question = output.ask(INCOMING, camera=camera)
        assert question is not None
        answer = asyncio.ensure_future(question)
        await window.see(asked)
        window.type(b"\n")
        assert await answer == "audio"
        assert output.terminal is not None
        output.terminal.close()

    run(work)


@pytest.mark.terminal
def test_what_was_typed_after_one_question_does_not_answer_the_next(window: Window) -> None:
    """Also not the rest of what has been read already: half a paste, half an escape sequence."""

    async def work() -> None:
        output = output_at(window)
        for number, typed in enumerate([b"a\x1b[200~", b"d"], 1):
            answer = asyncio.ensure_future(question(output))
            await window.see(PROMPT, number)
            window.type(typed)
            assert await answer == RING_ANSWERS[typed[:1].decode()]
        assert output.terminal is not None
        output.terminal.close()

    run(work)


@pytest.mark.terminal
def test_what_is_said_beside_a_question_has_a_line_of_its_own(window: Window) -> None:
    output = output_at(window)

    async def work() -> None:
        answer = asyncio.ensure_future(question(output))
        await window.see(PROMPT)
        answer.cancel()  # and at once, as when the caller gives up
        output.say("missed call from bob")
        output._settle()  # it is written before the question has found out
        keep = output.ask_name("bob", "abcd", "bob", "")
        assert keep is not None
        asked = asyncio.ensure_future(keep)
        await window.see(b"[n] no ")
        output.say("bob is calling")
        output._settle()
        window.type(b"n")
        assert await asked is None
        output.say("waiting for calls")
        await window.see(b"waiting for calls\r\n")
        lines = re.sub(rb"\x1b\[\?2004[hl]|[\a\r]", b"", window.seen).split(b"\n")
        assert {b"missed call from bob", b"bob is calling", b"waiting for calls"} <= set(lines)

    run(work)
    output.close()
    assert output.terminal is not None
    output.terminal.close()


@pytest.mark.terminal
@pytest.mark.parametrize("plain", [False, True])
def test_what_was_typed_before_the_picture_is_no_wish(window: Window, plain: bool) -> None:
    """A `q` that came too late for the question must not hang up, nor a `v` switch the camera off or on."""

    async def work() -> None:
        output = output_at(window, plain=plain)
        window.type(b"qv")
        pressed: asyncio.Queue[str] = asyncio.Queue()
        view: CallView | None = output.open_view("auto", pressed.put_nowait)
        assert view is not None
        window.type(b"m")
        assert await pressed.get() == "m"
        assert pressed.empty()
        view.close()
        assert output.terminal is not None
        output.terminal.close()

    run(work)


@pytest.mark.terminal
@pytest.mark.parametrize("plain", [False, True])
def test_escape_alone_is_a_key_and_needs_no_other_after_it(window: Window, plain: bool) -> None:
    async def work() -> None:
        output = output_at(window, plain=plain)
        pressed: asyncio.Queue[str] = asyncio.Queue()
        view: CallView | None = output.open_view("auto", pressed.put_nowait)
        assert view is not None
        window.type(b"\x1b")
        assert await pressed.get() == "escape"
        window.type(b"\x1b[Am")
        assert [await pressed.get(), await pressed.get()] == ["up", "m"]
        view.close()
        assert output.terminal is not None
        output.terminal.close()

    run(work)


JOB = """
import asyncio, os, traceback
from p2pcall import events
from p2pcall.cli.output import CommandOutput
from p2pcall.cli.views import PlainView
from p2pcall.env import Env

incoming = events.Incoming("00000000", "bob", "abcd", "new", True, True)

async def main():
    for json in (False, True):
        output = CommandOutput(Env.system(), json=json)
        assert output.terminal is not None
        asked = output.ask(incoming, camera=True)
        assert asked is None, asked
        assert output.open_view("auto", print) is None
        output.terminal.enter()
        assert not output.terminal.entered
    output = CommandOutput(Env.system(), plain=True)
    view = output.open_view("auto", print)
    assert isinstance(view, PlainView)
    assert not output.terminal.entered
    view.close()

try:
    asyncio.run(main())
except BaseException:
    os.write(3, traceback.format_exc().encode())
    raise
"""
"""What `p2pcall listen &` does when somebody calls."""

SHELL = """
import fcntl, os, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], process_group=0, pass_fds=[3])
_, status = os.waitpid(job.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.write(3, b"stopped by signal %d" % os.WSTOPSIG(status))
    job.kill()
    os.waitpid(job.pid, 0)
    sys.exit(1)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A shell with job control, as far as it goes: its child is a job in the background."""


@pytest.mark.terminal
def test_a_job_in_the_background_asks_nobody_and_is_not_stopped(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    told = tmp_path / "told"
    try:
        with told.open("wb") as errors:
            code = shell(slave, errors.fileno())
    finally:
        os.close(master)
        os.close(slave)
    assert told.read_text() == ""
    assert code == 0


def shell(terminal: int, errors: int) -> int:
    """Run the job under a shell of its own session; what goes wrong there is written to `errors`."""
    starter = (
        f"import os, sys; os.dup2({errors}, 3, inheritable=True);"
        " os.execv(sys.executable, [sys.executable, '-c', *sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starter, SHELL, JOB],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        pass_fds=[errors],
        start_new_session=True,
    )
    try:
        return process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
