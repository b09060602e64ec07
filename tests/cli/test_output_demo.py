"""The second process of `demo`: the same program, wherever it is started, and told in words when it does not come."""

import asyncio
import os
import pty
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, create_subprocess_exec
from pathlib import Path

import pytest
from clirun import assert_told, run
from fakeenv import fake_env
from window import Window, output_at

from p2pcall.cli import demo
from p2pcall.cli.demo import DemoOutput
from p2pcall.cli.output import CommandOutput
from p2pcall.demo import process
from p2pcall.demo.process import CalleeProcess
from p2pcall.demo.run import JUDGED_S, _verdict
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.settings import CallSettings
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError

ROOT = Path(__file__).resolve().parent.parent.parent
FOREIGN = ("p2pcall", "typer", "json", "asyncio")


@pytest.mark.parametrize("python_path", [None, "", ":"], ids=["none", "empty", "empty twice"])
def test_what_lies_in_the_current_directory_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python_path: str | None
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name in FOREIGN:
        (folder / f"{name}.py").write_text(f"open('{tmp_path}/run', 'w'); raise SystemExit(3)\n")
    monkeypatch.chdir(folder)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python_path is not None:
        environ["PYTHONPATH"] = python_path

    async def work() -> int:
        person = await CalleeProcess.start(tmp_path / "home", "demo-test", environ)
        try:
            return await person.port()
        finally:
            await person.stop()

    assert asyncio.run(work()) > 0
    assert not (tmp_path / "run").exists()


def test_ctrl_c_in_the_demo_does_not_reach_the_second_process(tmp_path: Path) -> None:
    """A terminal sends it to all of a group: then both hang up, and the other side may have been first."""

    async def work() -> int:
        person = await CalleeProcess.start(tmp_path / "home", "demo-test", os.environ)
        try:
            return os.getpgid(person._process.pid)
        finally:
            await person.stop()

    assert asyncio.run(work()) != os.getpgrp()


def test_a_process_that_does_not_start_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_TIMEOUT_S", 0.05)

    async def work() -> None:
        silent = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        child = await create_subprocess_exec(*silent, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        person = CalleeProcess(child)
        try:
            await person.port()
        finally:
            await person.stop()

    with pytest.raises(P2PCallError, match="did not start within") as caught:
        asyncio.run(work())
    assert caught.value.hint == "p2pcall listen --json"


def test_a_process_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python here"))
    with pytest.raises(P2PCallError, match="cannot be started: no such file"):
        asyncio.run(CalleeProcess.start(tmp_path, "demo-test", {}))


@pytest.mark.parametrize("word", ["nonsense", "window", "octants", "-"])
def test_nothing_is_started_for_a_picture_that_goes_nowhere(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    ran = run("demo", "--video-out", word)
    assert_told(ran, 6 if word == "window" else 2)
    assert ran.out == ""


def test_the_demo_asks_before_it_hangs_up_if_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    async def work(
        env: Env, output: CommandOutput, folder: Path, settings: CallSettings, *, json: bool
    ) -> ExitCode:
        seen.append(settings.confirm)
        return ExitCode.OK

    monkeypatch.setattr(demo, "whole_call", work)
    assert [run("demo").exit, run("demo", "--confirm").exit] == [0, 0]
    assert seen == [False, True]


@pytest.mark.terminal
@pytest.mark.parametrize("at_terminal", [False, True])
def test_the_picture_comes_also_where_lines_alone_are_shown(at_terminal: bool) -> None:
    window = Window()

    async def work() -> None:
        output = (
            output_at(window, DemoOutput, plain=True) if at_terminal else DemoOutput(fake_env(), plain=True)
        )
        view = output.open_view("auto", lambda key: None)
        assert view is not None
        assert view.view_size() == demo.UNSEEN_SIZE
        view.close()
        if output.terminal is not None:
            output.terminal.close()

    asyncio.run(work())
    window.close()


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome("hung-up", duration_s=0.3, by="local"), "too soon to tell"),
        (Outcome("hung-up", duration_s=0.3, by="remote"), "did NOT arrive"),
        (Outcome("hung-up", duration_s=JUDGED_S, by="local"), "did NOT arrive"),
        (Outcome("lost", duration_s=0.3), "did NOT arrive"),
    ],
    ids=["by oneself", "by the other side", "later", "lost"],
)
def test_who_hangs_up_at_once_is_not_told_that_nothing_arrived(outcome: Outcome, told: str) -> None:
    assert told in _verdict(outcome, good=False, pictures=False)


@pytest.mark.terminal
@pytest.mark.parametrize("options", [["--plain"], []], ids=["plain", "dumb"])
def test_the_demo_succeeds_without_a_picture_on_the_terminal(tmp_path: Path, options: list[str]) -> None:
    """Into a pipe, and at a terminal that is dumb."""
    command = [sys.executable, "-m", "p2pcall", "demo", "--seconds", "3", *options]
    env = {**os.environ, "TERM": "dumb", "TMPDIR": str(tmp_path)}
    master, slave = pty.openpty()
    try:
        errors = subprocess.PIPE if options else slave
        ran = subprocess.run(command, env=env, cwd=ROOT, stdin=slave, stdout=subprocess.PIPE, stderr=errors)
    finally:
        os.close(slave)
        os.close(master)
    assert ran.stdout.endswith(b"sound and picture arrived\n")
    assert ran.returncode == 0
