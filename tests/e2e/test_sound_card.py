"""The real sound drivers on virtual cards: opening captures nothing, sound goes through whole and at once.

The cards are null sinks of a private PulseAudio, seen by PortAudio as ALSA's `default`. How long it takes is
printed, not judged: this machine may be busy.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sound
from pairs import Start, best_call, dialling, listening, media, seconds_pass
from pulse import PulseServer
from tries import best, each_best

pytestmark = pytest.mark.device

LOOP = Path(__file__).with_name("sound_loop.py")
ROOT = LOOP.parent.parent.parent
MIN_PESQ = 3.5
"""PESQ-WB of speech after microphone, call and speaker; 4.64 is the best there is."""
MIN_LIKENESS_CODED = 0.75
"""Half of the windows of speech; other speech stays below. A busy machine makes the jitter buffer stretch some."""
SAYS_S = 3
"""Short: a busy machine leaves few moments alone in which two cards, a call and their server all run in time."""
SETTLES_S = 4
"""For the speaker to find out how deep its buffer must be on this machine now, and the jitter buffer after it."""
MIN_LIKENESS = 0.9
"""Of half a second of speech, as a wave, before and after the cards alone."""


class Loop:
    """The process of sound_loop.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        assert self._output.readline() == "looked\n"

    def start(self) -> None:
        self._input.write("\n")
        self._input.flush()
        assert self._output.readline() == "started\n"

    def settled(self) -> None:
        assert self._output.readline() == "settled\n"

    def result(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._output.readlines()[-1])
        assert self._process.wait() == 0
        return told


@contextmanager
def looping(pulse: PulseServer, seconds: float) -> Iterator[Loop]:
    """The drivers of side a, its microphone on its speaker; looked up, not started."""
    environ = os.environ | pulse.env("a") | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(LOOP), str(seconds)],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Loop(process)
        finally:
            process.kill()


def streams(pulse: PulseServer) -> tuple[int, int]:
    """How many programs record from the microphone of a, and play on its speaker."""
    sources = {
        row["index"]: row["name"] for row in json.loads(pulse.control("-f", "json", "list", "sources"))
    }
    sinks = {row["index"]: row["name"] for row in json.loads(pulse.control("-f", "json", "list", "sinks"))}
    recording = json.loads(pulse.control("-f", "json", "list", "source-outputs"))
    playing = json.loads(pulse.control("-f", "json", "list", "sink-inputs"))
    return (
        sum(sources.get(row["source"]) == "mic_a.monitor" for row in recording),
        sum(sinks.get(row["sink"]) == "spk_a" for row in playing),
    )


@pytest.mark.apart
def test_sound_goes_through_whole(pulse_server: PulseServer, tmp_path: Path) -> None:
    """What goes into the microphone's driver comes out of the speaker's, at the cards' rates, with no error."""
    wav = sound.speech_wav(tmp_path / "says.wav", 4)

    def judge(figures: dict[str, Any]) -> None:
        assert figures["said"] > MIN_LIKENESS
        assert sorted(figures["heard"])[1] > MIN_LIKENESS, "one window may be hit by the start of the streams"
        assert figures["overflows"] == 0
        assert figures["frames_rate"] == pytest.approx(50, rel=0.05)
        assert figures["pulls_rate"] == pytest.approx(50, rel=0.1)

    def together(tries: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "said": max(one["said"] for one in tries),
            "heard": each_best(one["heard"] for one in tries),
            "overflows": min(one["overflows"] for one in tries),
            "frames_rate": min((one["frames_rate"] for one in tries), key=lambda rate: abs(rate - 50)),
            "pulls_rate": min((one["pulls_rate"] for one in tries), key=lambda rate: abs(rate - 50)),
        }

    best(lambda _: through_the_drivers(pulse_server, wav), judge, together=together)


def through_the_drivers(pulse: PulseServer, wav: Path) -> dict[str, Any]:
    """Says it once; what the loop told, and how alike windows are: the worst before, each of them after."""
    with looping(pulse, 9) as loop, pulse.record("mic_a") as said, pulse.record("spk_a") as heard:
        loop.start()
        loop.settled()
        pulse.play("mic_a", wav)
        told = loop.result()
        before, after = said.samples, heard.samples
    says = sound.read_wav(wav)
    assert told["errors"] == []
    return {
        **told,
        "said": min(match.likeness for match in sound.follow(says, before)),
        "heard": [round(match.likeness, 2) for match in sound.follow(says, after)],
        "frames_rate": told["frames"] / told["elapsed"],
        "pulls_rate": told["pulls"] / told["elapsed"],
    }


def test_looking_a_microphone_up_does_not_listen(pulse_server: PulseServer) -> None:
    with looping(pulse_server, 2) as loop:
        assert streams(pulse_server) == (0, 0)
        with pulse_server.record("spk_a"):
            loop.start()
            seen = (0, 0)
            while seen != (1, 1):
                seen = streams(pulse_server)
        assert loop.result()["frames"] > 0
    assert streams(pulse_server) == (0, 0)


def test_a_sound_server_that_dies_is_told(pulse_server: PulseServer) -> None:
    with looping(pulse_server, 30) as loop:
        loop.start()
        while streams(pulse_server) != (1, 1):
            pass
        pulse_server.close()
        errors = set(loop.result()["errors"])
        assert errors
        assert errors <= {"device-lost", "device-stalled"}


def test_without_a_sound_server_there_is_no_microphone(pulse_server: PulseServer, p2p: Start) -> None:
    environ = pulse_server.env("a")
    pulse_server.close()
    dial = dialling(p2p, "127.0.0.1:9", using=media("default"), env=environ)
    assert dial.wait_exit() == 6
    error = dial.wait_event("error")
    assert error["slug"] == "no-microphone"
    assert "--audio-in none" in error["hint"]


def test_devices_are_listed(pulse_server: PulseServer, p2p: Start) -> None:
    devices = p2p("devices", env=pulse_server.env("a"))
    assert devices.wait_exit() == 0
    rows = devices.stdout.decode().splitlines()
    assert any("microphone" in row and "default" in row for row in rows)
    assert any("speaker" in row and "default" in row for row in rows)


def hear(pulse: PulseServer, wav: Path) -> dict[str, Any]:
    """Lets a say it once; how it was heard at b: PESQ-WB of the whole and of pieces, likeness of windows."""
    says = sound.read_wav(wav)
    with pulse.record("spk_b") as heard, pulse.record("spk_a") as own:
        assert pulse.play("mic_a", wav).wait() == 0
        heard.wait_more(0.5)
    assert sound.rms(own.samples) < 0.001, "a hears itself"
    return {
        "pesq": round(sound.pesq_wideband(says, heard.samples), 2),
        "pieces": sound.pesq_of_pieces(says, heard.samples),
        "windows": [round(match.likeness, 2) for match in sound.follow(says, heard.samples)],
    }


@pytest.mark.apart
def test_what_a_says_is_heard_at_b(pulse_server: PulseServer, p2p: Start, tmp_path: Path) -> None:
    wav = sound.speech_wav(tmp_path / "says.wav", SAYS_S)
    cards = media("default", "default")

    def call(start: Start, _: Path) -> dict[str, Any]:
        bob, target = listening(start, "--answer", "anyone", "--once", using=cards, env=pulse_server.env("b"))
        alice = dialling(start, target, using=cards, env=pulse_server.env("a"))
        alice.wait_event("connected")
        seconds_pass(bob, SETTLES_S)
        heard = hear(pulse_server, wav)
        alice.stop()
        told = bob.all_events("stats")[-1]
        return {**heard, "delay_ms": told["audio_delay_ms"], "cpu": told["cpu"]}

    def judge(figures: dict[str, Any]) -> None:
        assert statistics.median(figures["windows"]) > MIN_LIKENESS_CODED, (
            "what came out of b's speaker is not what went into a's microphone"
        )
        assert figures["pesq"] >= MIN_PESQ

    def together(tries: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "windows": each_best(one["windows"] for one in tries),
            "pesq": min(each_best(one["pieces"] for one in tries)),
        }

    best_call(p2p, tmp_path, call, judge, together=together)
