"""The tree against another commit of it: both run in turn, on the same machine, in the same minutes, and what is judged
is the ratio: `make bench ARGS="--against 5a921bb"`.

The other commit is unpacked into a temporary folder and run by the same interpreter with the same libraries. Both get
the same speech in a room (a noise floor of -60 dB). A figure is the median of the rounds; a call's processor time is
user and system time of its process between two moments in mid-call, start and imports left out.
"""

import io
import os
import socket
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import mouth_to_ear
import numpy as np
import picture
import pulse
import sound
from calls import VIDEO_FPS, VIDEO_SIZE, Usage, call, marks_of, seen_call, seen_marks
from relay import NETWORKS

ROOT = Path(__file__).resolve().parent.parent.parent
ROOM_LEVEL = 0.001
"""-60 dB."""
WAIT_S = 30.0
PROGRAM = (sys.executable, "-P", "-m", "p2pcall")
"""`-P`: the tree is that of PYTHONPATH, and not the one that the bench is started in."""
PARTS = ("start", "set-up", "voice", "cards", "picture", "ear")
Figures = dict[str, float]
"""What -> how much."""

GOALS = {
    "voice: processor": 0.55,
    "voice: memory, peak": 0.8,
    "cards: processor": 0.6,
    "picture 320x240 at 15/s: processor": 0.6,
    "knock to connected (setup_ms)": 0.7,
}
"""The ratio that a figure may have; its name goes on behind that. Others are told, not judged."""
KNOCK_GOAL = 3.0
"""As a multiple of `python -c "import typer"`."""
KNOCK, TYPER = "command to first knock", 'python -c "import typer"'


@dataclass(frozen=True, slots=True)
class Tree:
    """One commit's program."""

    name: str
    path: Path

    @property
    def env(self) -> dict[str, str]:
        """Where a process finds the program, whatever else it is given."""
        return {"PYTHONPATH": str(self.path)}


@dataclass(frozen=True, slots=True)
class Stage:
    """What both trees are given."""

    directory: Path
    seconds: float
    speech: Path
    clip: Path
    networks: Sequence[str]
    options: Sequence[str]
    """More options of calls by cards."""

    @property
    def voice(self) -> list[str]:
        """The options of a voice call from a file, heard by nobody."""
        return ["--audio-in", str(self.speech), "--loop", "--audio-out", "none"]

    def room(self, tree: Tree, number: int) -> Path:
        """A folder for one call."""
        return self.directory / f"{tree.name}-{number}"


@contextmanager
def unpacked(rev: str, directory: Path) -> Iterator[Tree]:
    """The tree of a commit, its bytecode made, in `directory`."""
    archive = subprocess.run(["git", "archive", rev], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(directory, filter="data")
    yield compiled(Tree(rev, directory))


def compiled(tree: Tree) -> Tree:
    """With its bytecode made: else the first start pays for it. It is the tree that is run, too."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(tree.path / "p2pcall")], check=True)
    where = [sys.executable, "-P", "-c", "import p2pcall; print(p2pcall.__file__)"]
    found = subprocess.run(where, env=os.environ | tree.env, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(tree.path), found.stdout
    return tree


# ---- one figure of one tree


def start_figures(tree: Tree, stage: Stage, number: int) -> Figures:
    """From the command to the first datagram, which a socket of ours gets; Typer alone beside it."""
    environ = os.environ | tree.env | {"P2PCALL_HOME": str(stage.directory / f"{tree.name}-start")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        there.settimeout(WAIT_S)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import typer"], env=environ, check=True)
        alone = time.perf_counter() - begun
        target = f"127.0.0.1:{there.getsockname()[1]}"
        media = ["--audio-in", "silence", "--audio-out", "none", "--no-video"]
        options = ["dial", target, "--bind", "127.0.0.1", "--port", "0", *media]
        begun = time.perf_counter()
        with subprocess.Popen([*PROGRAM, *options], env=environ, stderr=subprocess.DEVNULL) as process:
            there.recv(2048)
            knocked = time.perf_counter() - begun
            process.kill()
    return {
        f"{TYPER}, ms": 1000 * alone,
        f"{KNOCK}, ms": 1000 * knocked,
        f"{KNOCK}, x typer": knocked / alone,
    }


def set_up_figures(tree: Tree, stage: Stage, number: int) -> Figures:
    """What the caller tells of the set-up, and how long the whole command takes to be in a call."""
    media = [*stage.voice, "--no-video"]
    with call(stage.room(tree, number), media, media, (tree.env, tree.env), program=PROGRAM) as made:
        told = made.dialler.all_events("connected")[0]
        whole = told["t"] - made.began
    return {
        "knock to connected (setup_ms), ms": float(told["setup_ms"]),
        "command to connected, ms": 1000 * whole,
    }


def cost(what: str, marks: Sequence[dict[str, Usage]], sides: Sequence[str] = ("listen", "dial")) -> Figures:
    """Processor and memory of both sides."""
    found: Figures = {}
    for side in sides:
        start, end = marks[0][side], marks[-1][side]
        found[f"{what}: processor, {side}, %"] = end.cpu_percent_since(start)
        found[f"{what}: memory, peak, {side}, MiB"] = end.peak_mib
    return found


def voice_figures(tree: Tree, stage: Stage, number: int) -> Figures:
    """Speech from a file both ways, heard by nobody."""
    media = [*stage.voice, "--no-video"]
    with call(stage.room(tree, number), media, media, (tree.env, tree.env), program=PROGRAM) as made:
        return cost("voice", marks_of(made, stage.seconds))


def cards_figures(tree: Tree, stage: Stage, number: int) -> Figures:
    """Speech by virtual sound cards, of a server of our own."""
    media = ["--audio-in", "default", "--audio-out", "default", "--no-video"]
    with pulse.PulseServer(stage.directory / f"pulse-{tree.name}-{number}") as server:
        env = [server.env("b") | tree.env, server.env("a") | tree.env]
        server.play("mic_a", stage.speech)
        server.play("mic_b", stage.speech)
        with call(stage.room(tree, number), media, media, env, program=PROGRAM) as made:
            return cost("cards", marks_of(made, stage.seconds))


def picture_figures(tree: Tree, stage: Stage, number: int) -> Figures:
    """The same with a picture both ways, decoded and piped out whole."""
    seen = [*stage.voice, "--video-in", str(stage.clip)]
    with seen_call(stage.room(tree, number), seen, env=tree.env, program=PROGRAM) as made:
        marks, rate = seen_marks(made, stage.seconds)
    what = "picture 320x240 at 15/s"
    return cost(what, marks) | {f"{what}: pictures seen, /s": rate}


def ear_figures(tree: Tree, stage: Stage, number: int) -> Figures:
    """From mouth to ear over bad networks."""
    found: Figures = {}
    for name in stage.networks:
        directory = stage.directory / f"ear-{tree.name}-{number}-{stage.networks.index(name)}"
        heard = mouth_to_ear.call_once(
            directory,
            NETWORKS[name],
            mouth_to_ear.spoken(stage.directory),
            options=stage.options,
            env=tree.env,
            program=PROGRAM,
        )
        found |= mouth_to_ear.figures_of(name, heard)
    return found


MEASURES: dict[str, Callable[[Tree, Stage, int], Figures]] = {
    "start": start_figures,
    "set-up": set_up_figures,
    "voice": voice_figures,
    "cards": cards_figures,
    "picture": picture_figures,
    "ear": ear_figures,
}


# ---- both in turn


@dataclass(slots=True)
class Pair:
    """One figure of both trees, as often as it was measured."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)


def in_turn(part: str, trees: Sequence[Tree], stage: Stage, rounds: int) -> dict[str, Pair]:
    """Each round measures both, and each second one in the other order."""
    pairs: dict[str, Pair] = {}
    for number in range(rounds):
        for tree in trees if number % 2 == 0 else reversed(trees):
            for what, value in MEASURES[part](tree, stage, number).items():
                pair = pairs.setdefault(what, Pair())
                (pair.ours if tree is trees[0] else pair.theirs).append(value)
    return pairs


def judged(what: str, ours: float, ratio: float) -> tuple[str, bool]:
    """What is wanted of it, and whether it is so."""
    if what == f"{KNOCK}, x typer":
        return f"<= {KNOCK_GOAL:g} x typer", ours <= KNOCK_GOAL
    goal = next((goal for start, goal in GOALS.items() if what.startswith(start)), None)
    return ("", True) if goal is None else (f"ratio <= {goal:g}", ratio <= goal)


def compare(
    rev: str,
    parts: Sequence[str],
    seconds: float,
    rounds: int,
    scratch: Path,
    *,
    networks: Sequence[str],
    options: Sequence[str] = (),
) -> bool:
    """Print the table; whether all goals were reached. `networks` and `options` are of the part `ear`."""
    noise = np.random.default_rng(1)
    spoken = sound.speech(max(seconds, 8.0) + 20)  # a card hears it from the start of the server to the end
    room = spoken + noise.normal(0.0, ROOM_LEVEL, spoken.size)
    speech = sound.write_wav(scratch / "speech.wav", room)
    clip = picture.clip(scratch / "clip.mp4", 10, size=VIDEO_SIZE, fps=VIDEO_FPS)
    stage = Stage(scratch, seconds, speech, clip, networks, options)
    print(f"{'median of ' + str(rounds):56} {'here':>9} {rev[:9]:>9} {'ratio':>6}")
    good = True
    with unpacked(rev, scratch / "other") as other:
        trees = [compiled(Tree("here", ROOT)), other]
        for part in parts:
            if part in ("cards", "ear") and (why := pulse.missing_for_portaudio()):
                print(f"{part}: not measured: {why}")
                continue
            for what, pair in in_turn(part, trees, stage, rounds).items():
                ours, theirs = statistics.median(pair.ours), statistics.median(pair.theirs)
                ratio = ours / theirs if theirs else 0.0
                goal, kept = judged(what, ours, ratio)
                good = good and kept
                verdict = "" if not goal else "ok" if kept else "OVER"
                print(
                    f"{what:56} {ours:9.2f} {theirs:9.2f} {ratio:6.2f}  {goal:14} {verdict}".rstrip(),
                    flush=True,
                )
    return good
