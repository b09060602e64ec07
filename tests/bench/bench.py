"""Speed and size, measured and printed as a table: `make bench`, or `make bench ARGS="--minutes 10"`.

With `--against REV` it is the ratio to another commit that is measured (`against`). Start-up is measured against
`python -c "import typer"`, run in turn with it. Calls are two real processes on the loopback (`calls`), with files as
microphones. Only the command line's contract is used: options, events, exit codes. It needs Linux and an otherwise
quiet machine. A figure beyond its goal is marked, and with `--check` that is the exit status.
`tests/e2e` must be on PYTHONPATH (the Makefile sees to it).
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import against
import mouth_to_ear
import picture
import sound
from calls import VIDEO_FPS, VIDEO_SIZE, Call, Usage, call, marks_of, seen_call, seen_marks
from cards_drawing import drawing_figures
from line import line_figures
from relay import NETWORKS
from vault import vault_figures
from window import window_figures

ROOT = Path(__file__).resolve().parent.parent.parent
HEAVY = ("av", "numpy", "sounddevice", "zeroconf")
STARTS = 11
DIALS = 7
PARTS = ("start", "vault", "line", "set-up", "voice", "picture", "terminal", "window", "cards", "ear")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `goal` None: told, not judged."""

    what: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def kept(self) -> bool:
        return self.goal is None or self.value <= self.goal


# ---- start-up


def seconds_of(argv: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *argv], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def heavy_imports(argv: Sequence[str]) -> set[str]:
    """Which of the heavy libraries a command loads."""
    command = [sys.executable, "-X", "importtime", *argv]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr
    return {line.rpartition("|")[2].strip() for line in told.splitlines() if "|" in line} & set(HEAVY)


def start_rows() -> Iterator[Row]:
    """Start of the quick commands against the start of Typer alone."""
    typer = ["-c", "import typer"]
    commands = {option: ["-m", "p2pcall", option] for option in ("--version", "--help")}
    times: dict[str, list[float]] = {name: [] for name in ("typer", *commands)}
    for _ in range(STARTS):
        for name, argv in {"typer": typer, **commands}.items():
            times[name].append(seconds_of(argv))
    base = statistics.median(times["typer"])
    yield Row('start of python -c "import typer"', 1000 * base, "ms")
    for name, argv in commands.items():
        median = statistics.median(times[name])
        yield Row(f"start of p2pcall {name}", 1000 * median, "ms")
        yield Row(f"  against typer alone, {name}", median / base, "x", 2.5)
        yield Row(f"  heavy libraries loaded, {name}", len(heavy_imports(argv)), "", 0)


# ---- calls


def set_up_rows(directory: Path, speech: Path) -> Iterator[Row]:
    """How long it takes to be connected (handshake, answer at once, devices), and to be heard."""
    media = ["--audio-in", str(speech), "--loop", "--audio-out", "none", "--no-video"]
    setup, sounds = [], []
    for number in range(DIALS):
        with call(directory / f"dial{number}", media, media) as made:
            sounds += [float(side.wait_event("first-audio")["ms"]) for side in made.sides.values()]
            setup.append(float(made.dialler.all_events("connected")[0]["setup_ms"]))
    yield Row("dial to connected (setup_ms), median", statistics.median(setup), "ms", 10)
    yield Row("answer to first sound, median", statistics.median(sounds), "ms", 150)
    yield Row("answer to first sound, worst", max(sounds), "ms")


def cost_rows(what: str, marks: Sequence[dict[str, Usage]], cpu_goal: float | None) -> Iterator[Row]:
    """Processor and memory of a call, from what both sides had used at four moments; whether both stay flat."""
    for side in marks[0]:
        start, third, late, end = (mark[side] for mark in marks)
        change = end.cpu_percent_since(late) - third.cpu_percent_since(start)
        yield Row(f"{what}, {side}: processor", end.cpu_percent_since(start), "%", cpu_goal)
        yield Row(f"{what}, {side}: processor, last third less first", change, "%")
        yield Row(f"{what}, {side}: memory, peak", end.peak_mib, "MiB", 130)
        yield Row(f"{what}, {side}: memory, growth", end.rss_mib - start.rss_mib, "MiB", 2)


def told_rows(what: str, made: Call) -> Iterator[Row]:
    """What the dialling side says of the call."""
    figures = made.dialler.all_events("stats")[-1]
    for name, unit in (("rtt_ms", "ms"), ("audio_delay_ms", "ms"), ("loss", ""), ("video_fps", "/s")):
        yield Row(f"{what}: {name}", float(figures[name] or 0), unit)


def voice_rows(directory: Path, voice: Sequence[str], seconds: float) -> Iterator[Row]:
    """A call without picture."""
    media = [*voice, "--no-video"]
    with call(directory / "voice", media, media) as made:
        yield from cost_rows("voice", marks_of(made, seconds), 8)
        yield from told_rows("voice", made)


def terminal_rows(directory: Path, seen: Sequence[str], seconds: float) -> Iterator[Row]:
    """A call with the picture drawn in terminals of 120 by 40 (the picture is coded as small as that)."""
    media = [*seen, "--video-out", "blocks"]
    with call(directory / "terminal", media, media, terminal=(120, 40), keep=False) as made:
        yield from cost_rows("picture in a terminal", marks_of(made, seconds), None)
        yield from told_rows("picture in a terminal", made)


def picture_rows(directory: Path, seen: Sequence[str], seconds: float) -> Iterator[Row]:
    """A call with the whole picture, decoded and piped out raw."""
    with seen_call(directory, seen) as made:
        marks, rate = seen_marks(made, seconds)
        what = "picture 320x240 at 15/s"
        yield from cost_rows(what, marks, 25)
        yield Row(f"{what}: pictures seen", rate, "/s")


LATEST_LOOK_MS = 3
"""99 of 100 looks at the cards are no later: less than half of what a speaker has to spare."""


def drawing_rows(directory: Path, clip: Path, seconds: float) -> Iterator[Row]:
    """Sound cards while pictures are drawn in a terminal."""
    goals = {"a look is late, 99 of 100": LATEST_LOOK_MS, "underruns": 0}
    for what, value, unit in drawing_figures(directory, ["--video-in", str(clip), "--loop"], seconds):
        yield Row(what, value, unit, goals.get(what.partition(": ")[2]))


def ear_rows(directory: Path, networks: Sequence[str], options: Sequence[str]) -> Iterator[Row]:
    """From mouth to ear by virtual sound cards, over bad networks."""
    said = mouth_to_ear.spoken(directory)
    for number, name in enumerate(networks):
        heard = mouth_to_ear.call_once(
            directory / f"ear{number}",
            NETWORKS[name],
            said,
            options=options,
            env={"PYTHONPATH": str(ROOT)},
            program=against.PROGRAM,
        )
        for what, value in mouth_to_ear.figures_of(name, heard).items():
            yield Row(what, value, "")


# ---- the table


def show(row: Row) -> None:
    """One line of the table, at once."""
    goal = "" if row.goal is None else f"<= {row.goal:g}"
    verdict = "" if row.goal is None else "ok" if row.kept else "OVER"
    print(f"{row.what:62} {row.value:9.2f} {row.unit:4} {goal:>8} {verdict}".rstrip(), flush=True)


def main(argv: Sequence[str]) -> int:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=15, help="how long each call is measured")
    parser.add_argument("--minutes", type=float, help="the same in minutes, to see whether it stays flat")
    parser.add_argument("--only", choices=sorted({*PARTS, *against.PARTS}), help="one part of the table")
    parser.add_argument(
        "--against", metavar="REV", help="this tree and another commit in turn, and the ratio"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured, with --against")
    parser.add_argument("--network", choices=sorted(NETWORKS), action="append", help="of the part `ear`")
    parser.add_argument("--options", default="", help="of both programs, in the part `ear`")
    parser.add_argument("--check", action="store_true", help="exit 1 if a figure is beyond its goal")
    options = parser.parse_args(argv)
    networks = options.network or list(NETWORKS)
    seconds = options.minutes * 60 if options.minutes else options.seconds
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]}"
    )
    if options.against:
        parts = [part for part in against.PARTS if options.only in (None, part)]
        if not parts:
            parser.error(f"--against has the parts {', '.join(against.PARTS)}")
        with tempfile.TemporaryDirectory(prefix="p2pcall-bench-") as scratch:
            good = against.compare(
                options.against,
                parts,
                seconds,
                options.rounds,
                Path(scratch),
                networks=networks,
                options=options.options.split(),
            )
        return 1 if options.check and not good else 0
    print(f"{'what':62} {'measured':>9} {'unit':4} {'goal':>8}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="p2pcall-bench-") as scratch:
        directory = Path(scratch)
        speech = sound.speech_wav(directory / "speech.wav")
        clip = picture.clip(directory / "clip.mp4", 10, size=VIDEO_SIZE, fps=VIDEO_FPS)
        voice = ["--audio-in", str(speech), "--loop", "--audio-out", "none"]
        seen = [*voice, "--video-in", str(clip)]
        parts: dict[str, Callable[[], Iterator[Row]]] = {
            "start": start_rows,
            "vault": lambda: (Row(*figure) for figure in vault_figures(directory / "vault")),
            "line": lambda: (Row(*figure) for figure in line_figures()),
            "set-up": lambda: set_up_rows(directory, speech),
            "voice": lambda: voice_rows(directory, voice, seconds),
            "picture": lambda: picture_rows(directory, seen, seconds),
            "terminal": lambda: terminal_rows(directory, seen, seconds),
            "window": lambda: (Row(*figure) for figure in window_figures(seconds)),
            "cards": lambda: drawing_rows(directory, clip, seconds),
            "ear": lambda: ear_rows(directory, networks, options.options.split()),
        }
        for name, part in parts.items():
            if options.only in (None, name):
                for row in part():
                    show(row)
                    rows.append(row)
    return 1 if options.check and not all(row.kept for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
