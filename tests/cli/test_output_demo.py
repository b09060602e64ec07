"""The second process of `demo`: the same program, wherever it is started, and told in words when it does not come."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, create_subprocess_exec
from pathlib import Path

import pytest

from p2pcall.cli import demo
from p2pcall.cli.demo import Person
from p2pcall.errors import P2PCallError

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
        person = await Person.start(tmp_path / "home", "demo-test", environ)
        try:
            return await person.port()
        finally:
            await person.stop()

    assert asyncio.run(work()) > 0
    assert not (tmp_path / "run").exists()


def test_a_process_that_does_not_start_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "START_TIMEOUT_S", 0.05)

    async def work() -> None:
        silent = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        process = await create_subprocess_exec(*silent, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        person = Person(process)
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
        asyncio.run(Person.start(tmp_path, "demo-test", {}))
