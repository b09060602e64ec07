"""How late looks at the sound cards are while pictures are drawn in a terminal, and whether a speaker runs dry.

Two real processes with virtual sound cards; who dials draws the other side's pictures in a terminal of 120 by 40.
"""

import signal
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pulse
from calls import ANSWERS
from harness import P2P, Surroundings

PROGRAM = (sys.executable, str(Path(__file__).with_name("lateness_probe.py")))
SETTLE_STATS, LOOKS_A_SECOND = 10, 100
"""Ten seconds at the start are left out: libraries are loaded, and the speaker finds its depth."""
PART = 0.99


def drawing_figures(directory: Path, seen: Sequence[str], seconds: float) -> Iterator[tuple[str, float, str]]:
    """What, how much, its unit: of the side that draws."""
    late_file = directory / "lateness"
    cards = ("--audio-in", "default", "--audio-out", "default")
    with pulse.PulseServer(directory / "pulse") as server:
        env = {side: server.env(side) | {"LATENESS": str(directory / f"late-{side}")} for side in pulse.SIDES}
        env["a"]["LATENESS"] = str(late_file)
        there = Surroundings(directory / "listen", env=env["b"], program=PROGRAM)
        with P2P(["listen", "--json", *ANSWERS, "--port", "0", *cards, *seen], there) as listener:
            port = listener.wait_event("listening")["port"]
            here = Surroundings(
                directory / "dial", env=env["a"], program=PROGRAM, terminal=(120, 40), keep=False
            )
            argv = [
                "dial",
                f"127.0.0.1:{port}",
                "--json",
                *cards,
                "--video-in",
                "none",
                "--video-out",
                "blocks",
            ]
            with P2P(argv, here) as dialler:
                for _ in range(SETTLE_STATS):
                    settled = dialler.wait_event("stats")
                for _ in range(max(1, round(seconds))):
                    figures = dialler.wait_event("stats")
                dialler.signal(signal.SIGTERM)
                assert dialler.wait_exit() == 0
            listener.signal(signal.SIGTERM)
            listener.wait_exit()
    late = sorted(float(line) for line in late_file.read_text().split()[SETTLE_STATS * LOOKS_A_SECOND :])
    yield "cards, drawing: looks at the cards", len(late), ""
    yield "cards, drawing: a look is late, median", 1000 * statistics.median(late), "ms"
    yield "cards, drawing: a look is late, 99 of 100", 1000 * late[int(PART * len(late))], "ms"
    yield "cards, drawing: a look is late, most", 1000 * late[-1], "ms"
    yield "cards, drawing: pictures a second", figures["video_fps"], ""
    yield "cards, drawing: underruns in the first seconds", settled["underruns"], ""
    yield "cards, drawing: underruns", figures["underruns"] - settled["underruns"], ""
    yield "cards, drawing: stale sound of the microphone", figures["mic_stale_ms"], "ms"
