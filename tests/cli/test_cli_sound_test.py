"""`devices --test`: what is said, what scripts get, and what is refused."""

import json
from pathlib import Path

import pytest
from clirun import assert_told, run

from p2pcall.cli.sound_test import in_sentences, meter
from p2pcall.engine.sound_test import SoundFindings
from p2pcall.media.levels import Verdict

TEST = ("devices", "--test", "--audio-out", "none")


def test_it_says_that_it_records_and_how_it_was() -> None:
    ran = run(*TEST, "--audio-in", "tone")
    assert ran.exit == 0
    said, played = ran.err.splitlines()
    assert said.startswith("recording 3 seconds from the microphone")
    assert "it is not kept" in played
    verdict, delay = ran.out.splitlines()
    assert verdict.startswith("your microphone works")
    assert "ms" in delay


def test_scripts_get_one_object_and_nothing_else() -> None:
    ran = run(*TEST, "--audio-in", "silence", "--json")
    assert (ran.exit, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert told["verdict"] == "silent"
    assert told.keys() == {
        *("v", "microphone", "speaker", "verdict", "level_dbfs", "peak_dbfs", "microphone_ms", "speaker_ms")
    }


def test_a_device_that_is_not_there_exits_with_6() -> None:
    assert_told(run(*TEST, "--audio-in", "no such microphone"), 6, "microphone")


@pytest.mark.parametrize("options", [("--audio-in", "-"), ("--audio-out", "-")])
def test_a_pipe_is_not_tested(options: tuple[str, str]) -> None:
    assert_told(run("devices", "--test", *options), 2, "--test")


@pytest.mark.parametrize("name", ["kept.wav", "kept.ogg", "./pipe"])
def test_nothing_that_was_recorded_for_a_test_is_kept_or_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_told(run("devices", "--test", "--audio-in", "tone", "--audio-out", name), 2, "--test", "card")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("option", ["--audio-in", "--audio-out"])
def test_which_device_is_to_be_tested_is_not_said_without_a_test(option: str) -> None:
    assert_told(run("devices", option, "tone"), 2, option, "--test")


def test_a_meter_is_as_wide_at_every_level() -> None:
    bars = [meter(dbfs) for dbfs in (-96.0, -60.0, -30.0, -0.2, 0.0)]
    assert len({len(bar) for bar in bars}) == 1
    assert [bar.count("#") for bar in bars] == [0, 0, 15, 30, 30]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_each_verdict_has_a_sentence(verdict: Verdict) -> None:
    said = in_sentences(SoundFindings(verdict, -20.4, -3.0, 12.2, 30.4))
    assert said[0].startswith("your microphone ")
    assert said[1] == "the devices have a delay of 43 ms: the microphone 12, the speaker 30"
