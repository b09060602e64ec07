"""Every input and output a named pipe that has no other end: a call comes up, says so, and ends when it is told to."""

import os
import signal
import time
from pathlib import Path

import pytest
from harness import P2P
from pairs import Start, apart, dialling, listening, media

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
STARTS = 100 if NIGHTLY else 3
SOON_S = 2.0
"""What people wait for a program after Ctrl-C; judged by night, when nothing else runs."""
INPUTS = ("sound", "picture")
OUTPUTS = (
    ("heard", "seen"),
    ("heard.wav", "seen.mkv"),
    ("heard.ogg", "seen.y4m"),
    ("heard.flac", "seen.mp4"),
)


def pipes(place: Path, number: int) -> list[str]:
    """Media options that all name pipes of their own."""
    names = (*INPUTS, *OUTPUTS[number % len(OUTPUTS)])
    for name in names:
        os.mkfifo(place / name)
    sound, picture, heard, seen = (place / name for name in names)
    return media(sound, heard, picture, seen)


def ends_soon(process: P2P) -> None:
    began = time.monotonic()
    process.signal(signal.SIGINT)
    process.wait_exit()
    took = time.monotonic() - began
    assert took < SOON_S or not NIGHTLY, took


@pytest.mark.parametrize("moment", ["at once", "while it rings", "in the call"])
def test_a_pipe_without_another_end_holds_nobody_up(p2p: Start, tmp_path: Path, moment: str) -> None:
    for number in range(-(-STARTS // 3)):
        place = tmp_path / str(number)
        with apart(p2p, place) as start:
            answer = ("--answer", "anyone") if moment == "in the call" else ()
            where = {} if answer else {"terminal": (80, 24)}
            bob, target = listening(start, *answer, **where)
            alice = dialling(start, target, using=pipes(place, number))
            if moment == "while it rings":
                alice.wait_event("ringing")
            elif moment == "in the call":
                alice.wait_event("connected")
                told = {alice.wait_event("warning", slug="media-file")["text"] for _ in INPUTS}
                assert told == {f"nothing comes from {place / name} yet" for name in INPUTS}
            ends_soon(alice)
            ends_soon(bob)
            assert {path.name for path in place.iterdir() if path.is_fifo()} >= set(INPUTS)


def test_a_listener_whose_pipes_are_alone_takes_one_call_after_another(p2p: Start, tmp_path: Path) -> None:
    bob, target = listening(p2p, "--answer", "anyone", using=pipes(tmp_path, 1))
    for name in ("alice", "carol"):
        assert dialling(p2p, target, "--max-duration", "0.5", name=name).wait_exit() == 0
        bob.wait_event("ended")
    ends_soon(bob)


def test_one_pipe_cannot_be_both_sound_and_picture(p2p: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film")
    both = media(tmp_path / "film", video_in=tmp_path / "film")
    alice = dialling(p2p, "127.0.0.1:9", using=both)
    assert alice.wait_exit() == 2
    assert "can be read once" in alice.wait_event("error")["text"]
