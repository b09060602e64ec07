"""Raw sound on pipes (signed 16-bit little-endian mono, 48 kHz) in shell pipelines, with the exit codes of scripts."""

import os
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import picture
import pytest
import samples
import sound
from harness import P2P
from pairs import DIAL, LISTEN, Start, dialling, listening, media

BASH = ("bash", "-c")
P2PCALL = f"{shlex.quote(sys.executable)} -m p2pcall"
STATUS = 'echo "status ${PIPESTATUS[*]}" >&2'
NO_SOUND = "--audio-in silence --audio-out none"
AT_ONCE_S = 8.0
"""Of a call in all: long for a machine under load, short of every time-out that could end it instead."""
SILENT_OUT = "--audio-out none --no-video"


def shell(p2p: Start, script: str, name: str) -> P2P:
    """Run a line of bash; its standard error ends with the status of each command of the pipeline."""
    return p2p(f"{script}; {STATUS}", program=BASH, name=name)


def statuses(process: P2P) -> list[int]:
    """The exit codes in the pipeline, once it is over."""
    process.wait_exit()
    told = re.search(r"^status ([0-9 ]+)$", process.stderr_text, re.MULTILINE)
    assert told, process.report()
    return [int(code) for code in told[1].split()]


def dialled(listener: P2P) -> str:
    """What to dial, as a listener tells people on standard error."""
    listener.wait_stderr("waiting for calls as bob, port ")
    told = re.search(r"port (\d+) ", listener.stderr_text)
    assert told
    return f"127.0.0.1:{told[1]}"


def listener_into(p2p: Start, path: Path) -> tuple[P2P, str]:
    """Bob, whose sound goes through a pipe into a file; and what to dial, as he tells people on standard error."""
    command = f"{P2PCALL} {' '.join(LISTEN)} --name bob --answer anyone --once --audio-in silence --no-video"
    bob = shell(p2p, f"{command} --audio-out - | cat > {shlex.quote(str(path))}", "bob")
    return bob, dialled(bob)


def test_printf_into_dial_comes_out_of_listen(p2p: Start, tmp_path: Path) -> None:
    """One period of a tone of 1 kHz is 48 samples; printf repeats it for 1.5 s."""
    period = 8000 * np.sin(2 * np.pi * np.arange(48) / 48)
    escapes = "".join(f"\\{byte:03o}" for byte in period.astype("<i2").tobytes())
    tone = np.tile(period, 1000) / 32768

    bob, target = listener_into(p2p, tmp_path / "out.pcm")
    dial = f"{P2PCALL} {' '.join(DIAL)} {target} --audio-in - --hangup-on-eof {SILENT_OUT}"
    alice = shell(p2p, f"printf '{escapes}%.0s' {{1..1500}} | {dial}", "alice")
    assert statuses(alice) == [0, 0]
    assert statuses(bob) == [0, 0]
    heard = sound.from_pcm((tmp_path / "out.pcm").read_bytes())
    assert sound.find(tone, heard).likeness > 0.9
    assert sound.rms(sound.aligned(tone, heard)) == pytest.approx(sound.rms(tone), rel=0.15)


def test_speech_through_pipes_is_the_same_speech_at_real_time(p2p: Start, tmp_path: Path) -> None:
    says = sound.speech(3)
    (tmp_path / "in.pcm").write_bytes(sound.to_pcm(says))

    bob, target = listener_into(p2p, tmp_path / "out.pcm")
    dial = f"{P2PCALL} {' '.join(DIAL)} {target} --audio-in - --hangup-on-eof --json {SILENT_OUT}"
    alice = shell(p2p, f"cat {shlex.quote(str(tmp_path / 'in.pcm'))} | {dial}", "alice")
    ended = alice.wait_event("ended")
    assert statuses(alice) == [0, 0]
    assert statuses(bob) == [0, 0]
    assert (ended["reason"], ended["exit"]) == ("eof", 0)
    assert ended["duration_s"] >= 3.0
    heard = sound.from_pcm((tmp_path / "out.pcm").read_bytes())
    matches = sound.follow(says, heard)
    figures = {
        "alike": sum(match.likeness > 0.8 for match in matches) / len(matches),
        "heard_s": len(heard) / sound.RATE,
        "duration_s": ended["duration_s"],
    }
    assert figures["alike"] >= 0.8
    assert figures["duration_s"] < 5.0
    assert abs(figures["heard_s"] - figures["duration_s"]) < 0.5


def test_an_input_that_ends_does_not_end_the_call(p2p: Start) -> None:
    """Standard input is /dev/null: at its end silence goes on."""
    bob, target = listening(p2p, "--answer", "anyone")
    alice = dialling(p2p, target, "--max-duration", "1.5", using=media("-"))
    assert alice.wait_exit() == 0
    assert alice.all_events("ended")[0]["reason"] == "max-duration"
    assert bob.wait_event("ended")["reason"] == "max-duration"


def test_a_reader_that_has_enough_ends_the_call_quietly(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone", using=media("tone"))
    dial = f"{P2PCALL} {' '.join(DIAL)} {target} --audio-in silence --audio-out - --no-video --quiet"
    alice = shell(p2p, f"{dial} | head -c 9600 | wc -c", "alice")
    assert statuses(alice) == [0, 0, 0]
    assert alice.stdout.strip() == b"9600"
    assert alice.stderr_text.splitlines()[:-1] == []
    assert bob.wait_event("ended")["reason"] == "hung-up"


def test_a_picture_goes_through_pipes_as_y4m(p2p: Start, tmp_path: Path) -> None:
    """One side films what comes on standard input, the other shows on standard output."""
    clip = samples.y4m(tmp_path / "in.y4m", 3)
    command = f"{P2PCALL} {' '.join(LISTEN)} --name bob --answer anyone --once {NO_SOUND} --video-in none"
    films = f"{NO_SOUND} --video-in - --video-out none --hangup-on-eof"

    bob = shell(p2p, f"{command} --video-out - > {shlex.quote(str(tmp_path / 'out.y4m'))}", "bob")
    dial = f"{P2PCALL} {' '.join(DIAL)} {dialled(bob)} {films}"
    alice = shell(p2p, f"cat {shlex.quote(str(clip))} | {dial}", "alice")
    assert statuses(alice) == [0, 0]
    assert statuses(bob) == [0]
    numbers = [picture.number_of(frame) for _, frame in picture.read(tmp_path / "out.y4m")]
    assert numbers == sorted(numbers)
    pictures = len(numbers)
    assert pictures > 30


def test_a_reader_of_pictures_that_has_enough_ends_the_call_quietly(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone", using=media(video_in="test"))
    dial = f"{P2PCALL} {' '.join(DIAL)} {target} {NO_SOUND} --video-in none --video-out - --quiet"
    alice = shell(p2p, f"{dial} | head -c 1000000 | wc -c", "alice")
    assert bob.wait_event("ended", timeout=AT_ONCE_S)["reason"] == "hung-up"
    assert statuses(alice) == [0, 0, 0]
    assert alice.stderr_text.splitlines()[:-1] == []


def test_a_reader_that_does_not_read_does_not_hold_up_the_call(p2p: Start, tmp_path: Path) -> None:
    """A pipe takes 64 KiB, two thirds of a second of sound; what comes after is dropped."""

    bob, target = listening(p2p, "--answer", "anyone", using=media("tone"))
    reader, writer = os.pipe()
    alice = p2p(*(*DIAL, target, "--max-duration", "2"), *media(audio_out="-"), name="alice", stdout=writer)
    os.close(writer)
    bob.wait_event("connected")
    ended = bob.wait_event("ended")
    assert alice.wait_exit() == 0
    os.close(reader)
    assert ended["reason"] == "max-duration"
    figures = ended["loss"], ended["duration_s"]
    loss, duration_s = figures
    assert loss == 0
    assert 1.5 < duration_s < 4
