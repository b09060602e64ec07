"""The guards of conftest.py catch what they are there for: each is shown a planted sample in its own run."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import check
import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SETTINGS = "[pytest]\nmarkers =\n  device: x\n  terminal: x\n  netns: x\n  apart: x\n"

SKIPPED = """
import pytest

@pytest.mark.netns
def test_hardware():
    pytest.skip("no network namespaces")

def test_platform():
    pytest.skip("only on macOS")
"""

SKIPPED_FIXTURE = """
import pytest

@pytest.fixture
def card():
    pytest.skip("pulseaudio is missing")

@pytest.mark.device
def test_sound(card):
    pass
"""

SKIPPED_MODULE = """
import pytest
pytest.skip("no xterm", allow_module_level=True)
"""

THREAD = """
import threading

def test_thread():
    threading.Thread(target=threading.Event().wait, name="lonely", daemon=True).start()
"""

BLOCKS = """
import asyncio
from p2pcall.sleepy import {wait}

def test_blocks():
    async def main():
        {wait}()
    asyncio.run(main())

def test_outside_the_loop():
    {wait}()
"""

SLEEPY = """
import fcntl
import os
import tempfile
import threading
import time


def nap():
    time.sleep(0.001)


def lock():
    with tempfile.TemporaryFile() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sync():
    with tempfile.TemporaryFile() as file:
        os.fsync(file.fileno())


def join():
    thread = threading.Thread(target=time.sleep, args=(0.01,), name="slow")
    thread.start()
    thread.join()
"""

HOME = """
import os

def test_home(home):
    assert os.environ["P2PCALL_HOME"] == str(home)
    assert not home.exists()
    home.mkdir()
    (home / "identity.key").touch()

def test_home_again(home):
    assert not home.exists()
"""

LANES = {
    "e2e/test_calls.py": """
import pytest

@pytest.mark.apart
def test_measures():
    pass

def test_is_real():
    pass
""",
    "e2e/test_verify.py": """
import pytest

@pytest.mark.apart
def test_measures_too():
    pass

def test_waits():
    pass
""",
    "sim/test_proto_words.py": "def test_takes_long(): pass",
    "sim/test_proto_call.py": "def test_is_short(): pass",
    "cli/test_mixed.py": """
import pytest

@pytest.mark.terminal
def test_has_a_terminal():
    pass

def test_computes():
    pass
""",
}


def run(
    tmp_path: Path, sample: str, *options: str, ci: bool, files: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the sample, or these files, under a copy of conftest.py, as if it were this project."""
    tests, package = tmp_path / "tests", tmp_path / "p2pcall"
    tests.mkdir()
    package.mkdir()
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tests / "conftest.py").write_text(
        CONFTEST.read_text().replace("THREAD_GRACE_S = 5.0", "THREAD_GRACE_S = 0.01")
    )
    for name, text in (files or {"test_sample.py": sample}).items():
        (tests / name).parent.mkdir(exist_ok=True)
        (tests / name).write_text(text)
    (package / "__init__.py").touch()
    (package / "sleepy.py").write_text(SLEEPY)
    environ = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    environ |= {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"} | ({"CI": "true"} if ci else {})
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *options, str(tests)]
    return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)


def test_a_skip_is_a_skip_outside_ci(tmp_path: Path) -> None:
    result = run(tmp_path, SKIPPED, ci=False)
    assert result.returncode == 0, result.stdout
    assert "2 skipped" in result.stdout
    assert "no network namespaces" in result.stdout


def test_a_skip_for_missing_hardware_fails_under_ci(tmp_path: Path) -> None:
    result = run(tmp_path, SKIPPED, ci=True)
    assert result.returncode == 1
    assert "1 failed, 1 skipped" in result.stdout
    assert "where nothing may be missing: no network namespaces" in result.stdout


@pytest.mark.parametrize("sample", [SKIPPED_FIXTURE, SKIPPED_MODULE])
def test_a_skip_in_a_fixture_or_module_fails_under_ci(tmp_path: Path, sample: str) -> None:
    result = run(tmp_path, sample, ci=True)
    assert result.returncode != 0
    assert "where nothing may be missing" in result.stdout


def test_a_thread_left_behind_fails(tmp_path: Path) -> None:
    result = run(tmp_path, THREAD, ci=False)
    assert result.returncode == 1
    assert "threads left behind: lonely" in result.stdout


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        ("nap", "time.sleep(0.001)"),
        ("lock", "fcntl.flock("),
        ("sync", "os.fsync("),
        ("join", "slow.join(None)"),
    ],
)
def test_blocking_the_loop_fails(tmp_path: Path, wait: str, told: str) -> None:
    result = run(tmp_path, BLOCKS.format(wait=wait), ci=False)
    assert result.returncode == 1
    assert told in result.stdout
    assert "1 error" in result.stdout, "only the test that ran a loop"


def test_each_test_has_a_home_of_its_own(tmp_path: Path) -> None:
    result = run(tmp_path, HOME, ci=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("lane", "tests"),
    [
        ("long", {"test_takes_long"}),
        ("unit", {"test_is_short", "test_computes"}),
        ("beside", {"test_is_real", "test_has_a_terminal"}),
        ("patient", {"test_waits"}),
        ("apart", {"test_measures", "test_measures_too"}),
    ],
)
def test_each_test_is_in_one_lane(tmp_path: Path, lane: str, tests: set[str]) -> None:
    """Also those in files which have tests of several lanes."""
    result = run(tmp_path, "", f"--lane={lane}", ci=True, files=LANES)
    assert result.returncode == 0, result.stdout
    assert set(re.findall(r"^PASSED .*::(\w+)$", result.stdout, re.MULTILINE)) == tests


def test_the_files_that_are_named_are_there() -> None:
    names = set(re.findall(r'"(test_\w+\.py)"', CONFTEST.read_text()))
    assert names == names & {path.name for path in CONFTEST.parent.glob("*/test_*.py")} != set()


def test_every_lane_is_run() -> None:
    lanes = re.search(r"^LANES = \((.*)\)$", CONFTEST.read_text(), re.MULTILINE)
    assert lanes is not None
    run_by_check = [lane for row in (*check.TOGETHER, *check.ALONE) for lane in row]
    assert sorted(run_by_check) == sorted(re.findall(r"\w+", lanes[1]))


def test_rows_run_at_once_and_each_in_its_order(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The first of one row waits for the second of the other, which is started when its first has ended."""
    os.mkfifo(tmp_path / "pipe")
    reads = "print('heard', open('pipe').read())"
    writes = "print('1 failed in 0.1s'); open('pipe', 'w').write('second'); raise SystemExit(1)"
    one, two, three = ([sys.executable, "-c", code] for code in (reads, "print('first')", writes))
    monkeypatch.setattr(check, "ROOT", tmp_path)
    run = check.Run()
    run.pytest([{"one": one}, {"two": two, "three": three}], dict(os.environ))
    assert [(step.name, step.passed) for step in run.steps] == [
        ("one", True),
        ("two", True),
        ("three", False),
    ]
    assert run.pytest_lines == ["1 failed in 0.1s"]
    printed = capfd.readouterr().out
    assert printed.removeprefix("\n==> ").split("\n\n==> ") == [
        "one\nheard second",
        "two\nfirst",
        "three\n1 failed in 0.1s\n",
    ]
