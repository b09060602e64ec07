"""What a profile changes beside frames: how long packets are held, and how long the microphone's pieces are."""

from typing import Any

import pytest

from p2pcall.engine.audio_send import AudioSend
from p2pcall.engine.send_pacer import HOLD_PER_TICK_S, HOLD_S, TICK_HOLD_S
from p2pcall.engine.voice_profile import TRADES, VoiceProfile
from p2pcall.media.constants import TICK_BYTES, TICK_S
from p2pcall.media.packets import Report
from p2pcall.types import Profile


class Stage:
    """A sender, and what stands for pacer and microphone."""

    def __init__(self) -> None:
        self.hold_s = self._at = 0.0
        self.asked: list[tuple[int, bool]] = []
        self.send = AudioSend(lambda payload, size: None, lambda at: round(at * 1000))
        stands_in: Any = self
        self.voice = VoiceProfile(self.send, stands_in, stands_in)

    def speak(self, ticks: int) -> None:
        """A piece of the microphone's."""
        self._at += ticks * TICK_S
        self.send.on_frame(bytes(ticks * TICK_BYTES), self._at)

    def in_pieces_of(self, ticks: int, *, prompt: bool) -> None:
        """As a `SupervisedSource`."""
        self.asked.append((ticks, prompt))


@pytest.mark.parametrize("profile", Profile)
def test_each_profile_is_told_in_one_sentence_by_its_name(profile: Profile) -> None:
    assert TRADES[profile].startswith(f"{profile.value}: ")


def test_shorter_pieces_are_asked_for_and_their_packets_held_shorter_and_fast_is_prompt() -> None:
    stage = Stage()
    stage.voice.use(Profile.SAFE)
    assert (stage.hold_s, stage.asked) == (HOLD_S, [(2, False)])
    stage.voice.use(Profile.FAST)
    assert (stage.hold_s, stage.asked) == (HOLD_S, [(2, False), (1, True)]), "frames are as long as before"
    stage.speak(1)
    assert stage.hold_s == TICK_HOLD_S
    stage.voice.use(Profile.NORMAL)
    assert (stage.hold_s, stage.asked[2:]) == (TICK_HOLD_S, [(1, False)])
    stage.speak(2)
    assert stage.hold_s == HOLD_S


@pytest.mark.parametrize("profile", Profile)
def test_longer_frames_are_held_longer_for_they_take_longer_to_encode(profile: Profile) -> None:
    stage = Stage()
    stage.voice.use(profile)
    held = {stage.send.frame_ticks: stage.hold_s}
    for second in range(20):
        stage.send.on_report(Report(0, 0, 0.1, 0, 200 * second, 0.0, 0, 0, 0), 0.05, 1.0 + second)
        stage.voice.follow()
        for _ in range(6):
            stage.speak(1)
        held[stage.send.frame_ticks] = stage.hold_s
    assert held[6] == 6 * HOLD_PER_TICK_S
    assert all(held_s == max(HOLD_S, ticks * HOLD_PER_TICK_S) for ticks, held_s in held.items() if ticks > 1)


def test_pieces_follow_the_level_and_are_asked_for_once() -> None:
    stage = Stage()
    stage.voice.use(Profile.FAST)
    for second, queue_ms in enumerate((0, 0, 0, 0, 900, 1800, 2700, 3600, 3600, 3600)):
        stage.send.on_report(Report(0, 0, 0.0, 0, queue_ms, 0.0, 0, 0, 0), 0.05, 1.0 + second)
        stage.voice.follow()
    assert stage.asked == [(1, True), (2, True)]
