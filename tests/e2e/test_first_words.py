"""The whole of a message is heard at a sound card that takes its time: from its first word to its last.

The message is a scale: each fifth of a second has a pitch of its own, so that what is missing can be named. The card is
a null sink as PulseAudio makes it when nothing is asked: idle, it hands out a little and then pauses up to two seconds.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pulse
import pytest
import realfiles as made
import sound
from harness import P2P
from pairs import Start, best_call, dialling, listening, media
from pulse import PulseServer

pytestmark = pytest.mark.device

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
PAIRS = 10 if NIGHTLY else 1
HELD_BACK_S = 6
"""What the server may hold back for a recorder that is in no hurry."""
PITCHES = range(300, 1500, 100)
STEP_S = 0.2
TO_THE_CARD = media("silence", "default")


@pytest.fixture
def idle_card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulseServer]:
    if reason := pulse.missing_for_portaudio():
        pytest.skip(reason)
    with PulseServer(tmp_path_factory.mktemp("pulse"), sink_options="") as server:
        yield server


def missing(heard: sound.Samples) -> list[int]:
    """The pitches of the scale that were not heard."""
    found = {round(hz / 100) * 100 for hz in made.pitches(heard, STEP_S / 4)}
    return [hz for hz in PITCHES if hz not in found]


@pytest.mark.timeout(1800)  # ten pairs by night, each of half a minute and perhaps made again
@pytest.mark.apart
def test_the_whole_message_is_heard_at_a_card(idle_card: PulseServer, p2p: Start, tmp_path: Path) -> None:
    """By a listener that has just been started, and by one that has talked before. A machine that stands still lets the
    card run dry, and this one then pauses for two seconds again: such calls are made anew.
    """
    message = sound.write_wav(
        tmp_path / "message.wav", np.concatenate([made.sine(hz, STEP_S) for hz in PITCHES])
    )

    def called(bob: P2P, target: str, start: Start, name: str) -> list[int]:
        with idle_card.record("spk_b", latency_ms=None) as recording:
            alice = dialling(start, target, "--hangup-on-eof", using=media(message), name=name)
            assert alice.wait_exit() == 0, "0 means heard"
            assert alice.wait_event("ended")["reason"] == "eof"
            assert bob.wait_event("ended")["loss"] == 0.0
            for _ in range(HELD_BACK_S):
                recording.wait_more(1.0)
                if not missing(recording.samples):
                    break
            return missing(recording.samples)

    def pair(start: Start, _: Path) -> list[list[int]]:
        bob, target = listening(start, "--answer", "anyone", using=TO_THE_CARD, env=idle_card.env("b"))
        lost = [called(bob, target, start, name) for name in ("alice", "carol")]
        assert all(second["loss"] == 0.0 for second in bob.all_events("stats"))
        return lost

    def judge(lost: list[list[int]]) -> None:
        assert lost == [[], []]

    for number in range(PAIRS):
        place = tmp_path / f"pair{number}"
        place.mkdir()
        best_call(p2p, place, pair, judge)


def test_a_message_that_nobody_can_hear_to_its_end_is_no_success(p2p: Start, tmp_path: Path) -> None:
    """The other side stands still from the middle of it on."""
    message = sound.write_wav(tmp_path / "message.wav", made.sine(400, 2.0))
    bob, target = listening(p2p, "--answer", "anyone")
    alice = dialling(p2p, target, "--hangup-on-eof", using=media(message))
    alice.wait_event("connected")
    alice.wait_event("stats")
    bob.signal(signal.SIGSTOP)
    try:
        assert alice.wait_exit() == 7
        assert alice.wait_event("ended")["reason"] == "unheard"
    finally:
        bob.signal(signal.SIGCONT)
