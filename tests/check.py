"""Every check of the project behind one command: `python tests/check.py [lint|fast|full|nightly]`.

lint     ruff (rules and format) and mypy --strict
fast     lint, and the tests that need no sound card, terminal or network namespace; no coverage gates
full     lint, every test, coverage gates: 100 % of the branches of `proto`, `media` and `pairing`, 85 % of the whole
nightly  full, with twenty times the examples of the property tests, floods and outages at full length,
         and ten minutes of the fuzzer (`pip install -e '.[fuzz]'`)

Two lanes with real processes, devices and terminals, which wait more than they compute, run at once with a third of
tests that only compute, which gives way to them; the longest simulations follow where there is room again. Tests that
measure follow alone. Coverage is not counted in the longest simulations, which it doubles, nor in what measures: what
these alone reach does not count towards the gates. All is run even after a
failure, so that one run tells all. The last lines are one table and pytest's own summaries. Exit status 0 only if
every step passed. Under CI=true a test that is skipped because a device, terminal or namespace is missing counts as
failed (see conftest.py).
"""

import argparse
import importlib.util
import io
import itertools
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

ROOT = Path(__file__).resolve().parent.parent
CORE = "p2pcall/proto/*,p2pcall/media/*,p2pcall/pairing/*"
CORE_PERCENT = 100
WHOLE_PERCENT = 85
FUZZ_SECONDS = 600
NO_HARDWARE = "not device and not terminal and not netns"
TOGETHER, ALONE = (("beside",), ("unit",), ("patient", "long")), (("apart",),)
"""Rows of lanes that run at once, each row in its order, and the one that runs after them; see conftest.py."""
YIELDING = ("long", "unit")
"""They compute, and give way to programs that someone waits for."""
YIELD_BY = 10
"""Steps of niceness: a tenth of the share of another program."""
COUNTED = ("unit", "beside", "patient")
"""Lanes in which coverage is counted."""
NOTHING_CHOSEN = 5
"""pytest's exit status where no test of the lane is among those that were asked for."""
PYTEST_SUMMARY = re.compile(r"^(=+ )?(no tests ran|\d+ (passed|failed|errors?|skipped|deselected|xfailed))\b")
PYTEST_DETAIL = re.compile(r"^(FAILED|ERROR|SKIPPED|XPASS) ")


@dataclass(slots=True)
class Step:
    """One step of the run: its name, whether it passed, how long it took, what to say about it."""

    name: str
    passed: bool
    seconds: float
    note: str = ""


class Lane:
    """One of several commands, of which some run at once: what it writes is kept in a file, or shown as it comes."""

    def __init__(self, name: str, args: Sequence[str], file: IO[bytes]) -> None:
        self.name = name
        self.args = args
        self.ended = threading.Event()
        self.status = 1
        self.seconds = 0.0
        self._kept = file
        self._pipe: tuple[io.BufferedReader, int] | None = None

    def show_at_once(self, files: ExitStack) -> None:
        """Show it as it comes."""
        read, write = os.pipe()
        self._pipe = files.enter_context(os.fdopen(read, "rb")), write

    def run(self, environ: dict[str, str]) -> None:
        """Run it to its end."""
        start = time.monotonic()
        output = self._pipe[1] if self._pipe else self._kept
        try:
            process = subprocess.Popen(
                self.args, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT
            )
        finally:
            if self._pipe:
                os.close(self._pipe[1])
        self.status = process.wait()
        self.seconds = time.monotonic() - start

    def shown(self) -> io.BufferedReader:
        """What it writes; of what is kept, when all is there."""
        if self._pipe:
            return self._pipe[0]
        self.ended.wait()
        self._kept.seek(0)
        return cast(io.BufferedReader, self._kept)


Rows = Sequence[dict[str, Sequence[str]]]
"""Commands by the name of their lane: those of a row run one after the other, and the rows at once."""


def run_row(row: Sequence[Lane], environ: dict[str, str], given_up: threading.Event) -> None:
    """Run them one after the other, unless nobody waits for them any more."""
    for lane in row:
        try:
            if not given_up.is_set():
                lane.run(environ)
        finally:
            lane.ended.set()


@dataclass(slots=True)
class Run:
    """The steps so far, and pytest's own last words."""

    steps: list[Step] = field(default_factory=list)
    pytest_lines: list[str] = field(default_factory=list)

    def step(self, name: str, *args: str, note: str = "") -> bool:
        """Run `python ARGS`, show its output as it comes, keep the result."""
        print(f"\n==> {name}", flush=True)
        start = time.monotonic()
        status = subprocess.run([sys.executable, *args], cwd=ROOT, check=False).returncode
        self.steps.append(Step(name, status == 0, time.monotonic() - start, note))
        return status == 0

    def pytest(self, rows: Rows, environ: dict[str, str], *, some: bool = False) -> None:
        """Run these rows at once, show the output of one lane after the other, and remember what makes their summaries.

        With `some` there may be no test in one of them.
        """
        given_up = threading.Event()
        with ExitStack() as files:
            files.callback(given_up.set)
            lanes = [
                [
                    Lane(name, args, files.enter_context(tempfile.TemporaryFile()))
                    for name, args in row.items()
                ]
                for row in rows
            ]
            lanes[0][0].show_at_once(files)
            for row in lanes:
                threading.Thread(target=run_row, args=(row, environ, given_up)).start()
            for lane in itertools.chain(*lanes):
                print(f"\n==> {lane.name}", flush=True)
                for line in self._echo(lane.shown()):
                    if PYTEST_DETAIL.match(line) or PYTEST_SUMMARY.match(line):
                        self.pytest_lines.append(line)
                lane.ended.wait()
                passed = lane.status == 0 or (some and lane.status == NOTHING_CHOSEN)
                self.steps.append(Step(lane.name, passed, lane.seconds))

    @staticmethod
    def _echo(stream: io.BufferedReader) -> Iterator[str]:
        """The lines of the stream; each byte is shown at once (dots of a slow test are progress)."""
        line = bytearray()
        while chunk := stream.read1(65536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            line += chunk
            *whole, rest = bytes(line).split(b"\n")
            line = bytearray(rest)
            yield from (part.decode(errors="replace") for part in whole)
        if line:
            yield line.decode(errors="replace")

    def coverage_gate(self, name: str, percent: int, *, include: str | None) -> None:
        """Ask coverage for the total of these files; what is missing is listed only if the gate fails."""
        only = ["--include", include] if include else []
        start = time.monotonic()
        report = [sys.executable, "-m", "coverage", "report", *only]
        total = subprocess.run(
            [*report, "--format=total"], cwd=ROOT, check=False, capture_output=True, text=True
        )
        percents = total.stdout.strip()
        passed = percents.isdigit() and int(percents) >= percent  # 100 is never a rounded number
        if not passed:
            print(f"\n==> {name}: below {percent} %", flush=True)
            subprocess.run(report, cwd=ROOT, check=False)
        note = f"{percents or '?'} % of {percent} %"
        self.steps.append(Step(name, passed, time.monotonic() - start, note))

    def summary(self) -> int:
        """Print the table and pytest's last lines; give the exit status."""
        print("\n==> summary")
        for step in self.steps:
            verdict = "ok  " if step.passed else "FAIL"
            print(f"{verdict}  {step.name:22} {step.seconds:7.1f} s  {step.note}".rstrip())
        for line in self.pytest_lines:
            print(line)
        sys.stdout.flush()
        return 0 if all(step.passed for step in self.steps) else 1


def lint(run: Run) -> None:
    """Rules, format and types."""
    run.step("ruff check", "-m", "ruff", "check", "--quiet", ".")
    run.step("ruff format --check", "-m", "ruff", "format", "--check", "--quiet", ".")
    run.step("mypy --strict", "-m", "mypy", "--no-error-summary")


def tests(run: Run, mode: str, extra: Sequence[str]) -> None:
    """pytest, under coverage unless the mode is fast."""
    environ = dict(os.environ)
    environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    if mode == "nightly":
        environ["P2PCALL_HYPOTHESIS"] = "nightly"
    chosen = ["-m", NO_HARDWARE] if mode == "fast" else ["--durations=10"]
    pytest = ["pytest", "-rfEs", "--color=no", *chosen, *extra]
    if mode == "fast":
        run.pytest([{"pytest": [sys.executable, "-m", *pytest]}], environ)
        return
    run.step("coverage erase", "-m", "coverage", "erase")
    for rows in (TOGETHER, ALONE):
        lanes: Rows = [
            {f"pytest {lane}": [*interpreter(lane), "-m", *pytest, f"--lane={lane}"] for lane in row}
            for row in rows
        ]
        run.pytest(lanes, environ, some=bool(extra))
    run.step("coverage combine", "-m", "coverage", "combine", "--quiet")
    run.coverage_gate("coverage proto, media", CORE_PERCENT, include=CORE)
    run.coverage_gate("coverage p2pcall", WHOLE_PERCENT, include=None)


def interpreter(lane: str) -> list[str]:
    """The command that a lane's module is run by."""
    nice = ["nice", f"-n{YIELD_BY}"] if lane in YIELDING else []
    count = ["-m", "coverage", "run", "--parallel-mode"] if lane in COUNTED else []
    return [*nice, sys.executable, *count]


def fuzz(run: Run) -> None:
    """The fuzzer; where it is not installed the step has failed, for nothing was looked for."""
    if importlib.util.find_spec("atheris") is None:
        run.steps.append(Step("fuzz", False, 0.0, "atheris is missing: pip install -e '.[fuzz]'"))
    else:
        run.step("fuzz", "tests/fuzz/fuzz_run.py", "--seconds", str(FUZZ_SECONDS))


def main(argv: Sequence[str]) -> int:
    """Parse the mode, run its steps, print the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("mode", nargs="?", default="full", choices=["lint", "fast", "full", "nightly"])
    parser.add_argument("rest", nargs="*", help="further arguments for pytest, after --")
    options = parser.parse_args(argv)
    run = Run()
    lint(run)
    if options.mode != "lint":
        tests(run, options.mode, options.rest)
    if options.mode == "nightly":
        fuzz(run)
    return run.summary()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
