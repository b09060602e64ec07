"""A microphone that is a copy of what the speaker plays, and what is none: rooms, voices, silence."""

from array import array
from collections.abc import Callable, Sequence
from random import Random

import pytest

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as c
from p2pcall.media import speaker_copy
from p2pcall.media.speaker_copy import SpeakerCopy

LAG = 6
SILENT = bytes(c.TICK_BYTES)


def samples_of(pcm: bytes) -> list[int]:
    return array("h", pcm).tolist()


def pcm_of(samples: list[float]) -> bytes:
    return array("h", [max(-c.PCM_MAX, min(c.PCM_MAX, round(one))) for one in samples]).tobytes()


def hum(seed: int) -> list[float]:
    """Five seconds of low noise, at most 1."""
    rng, last, out = Random(seed), 0.0, []
    for _ in range(5 * c.SAMPLE_RATE_HZ):
        last = 0.8 * last + 0.2 * rng.uniform(-1, 1)
        out.append(last)
    return out


HUM = hum(1)


class Played:
    """Low noise in syllables, some of them soft, with pauses of nothing: endless, in samples."""

    def __init__(self, seed: int) -> None:
        self._rng, self._peak = Random(seed), 0
        self.samples: list[int] = [0] * (64 * c.TICK_SAMPLES)
        """What was played until now."""

    def tick(self) -> bytes:
        if not len(self.samples) // c.TICK_SAMPLES % 10:
            self._peak = self._rng.choice((0, 60, 2_000, 6_000, 12_000))
        first = self._rng.randrange(len(HUM) - c.TICK_SAMPLES)
        now = [int(self._peak * one) for one in HUM[first : first + c.TICK_SAMPLES]]
        self.samples += now
        return array("h", now).tobytes()

    def before(self, samples: int) -> list[int]:
        """A tick of it, so many samples ago."""
        end = len(self.samples) - samples
        return self.samples[end - c.TICK_SAMPLES : end]


Microphone = Callable[[Played], bytes]


def copying(gain: float, late: int) -> Microphone:
    return lambda played: pcm_of([gain * one for one in played.before(late)])


def ticks(
    watch: SpeakerCopy, played: Played, near: Microphone, seconds: float, lag: int | None = LAG
) -> bool:
    for _ in range(round(seconds / c.TICK_S)):
        far = played.tick()
        watch.tick(near(played), far, lag)
    return watch.found


@pytest.mark.parametrize("gain", [1.0, 0.3, 0.03])
@pytest.mark.parametrize("late", [LAG * c.TICK_SAMPLES, 5 * c.TICK_SAMPLES + 7, 8 * c.TICK_SAMPLES - 1])
def test_a_copy_of_what_is_played_is_found_whatever_its_volume_and_delay(gain: float, late: int) -> None:
    assert ticks(SpeakerCopy(), Played(1), copying(gain, late), 4.0)


def test_a_copy_that_comes_at_once_is_found() -> None:
    assert ticks(SpeakerCopy(), Played(1), copying(1.0, 0), 4.0, lag=0)


def test_a_copy_between_two_samples_is_found() -> None:
    """Two cards of other rates: it has been resampled twice."""

    def near(played: Played) -> bytes:
        pairs = zip(played.before(2_880), played.before(2_881), strict=True)
        return pcm_of([(one + other) / 2 for one, other in pairs])

    assert ticks(SpeakerCopy(), Played(2), near, 4.0)


def in_a_room(noise: int, reflection: float) -> Microphone:
    """The straight way, what comes back from a wall, and what the microphone hears by itself."""
    rng = Random(3)

    def near(played: Played) -> bytes:
        straight, wall = played.before(2_880), played.before(2_880 + 331)
        return pcm_of(
            [
                0.5 * one + reflection * other + rng.randint(-noise, noise)
                for one, other in zip(straight, wall, strict=True)
            ]
        )

    return near


@pytest.mark.parametrize(("noise", "reflection"), [(30, 0.0), (8, 0.3)])
def test_a_loudspeaker_in_a_room_is_no_copy(noise: int, reflection: float) -> None:
    assert not ticks(SpeakerCopy(), Played(1), in_a_room(noise, reflection), 12.0)


def test_a_voice_is_no_copy_whatever_is_played() -> None:
    voice = Played(9)

    def near(_: Played) -> bytes:
        return voice.tick()

    assert not ticks(SpeakerCopy(), Played(1), near, 8.0)


def test_where_no_echo_was_found_nothing_is_looked_for() -> None:
    watch = SpeakerCopy()
    assert not ticks(watch, Played(1), copying(1.0, LAG * c.TICK_SAMPLES), 6.0, lag=None)
    assert watch._search is None


def test_silence_neither_finds_nor_ends_a_copy() -> None:
    watch, played = SpeakerCopy(), Played(1)
    assert not ticks(watch, played, lambda _: SILENT, 4.0)
    assert ticks(watch, played, copying(1.0, LAG * c.TICK_SAMPLES), 4.0)
    assert ticks(watch, played, lambda _: SILENT, 10.0)


def test_a_microphone_that_is_back_is_no_copy_within_a_second() -> None:
    watch, played, voice = SpeakerCopy(), Played(1), Played(5)
    assert ticks(watch, played, copying(1.0, LAG * c.TICK_SAMPLES), 4.0)

    def near(_: Played) -> bytes:
        return pcm_of([one + 40 for one in samples_of(voice.tick())])

    assert not ticks(watch, played, near, 1.0, lag=None)


def test_a_copy_whose_place_moves_is_found_again_and_stays_one() -> None:
    """A card that ran dry."""
    watch, played = SpeakerCopy(), Played(1)
    assert ticks(watch, played, copying(1.0, LAG * c.TICK_SAMPLES), 4.0)
    found = [ticks(watch, played, copying(1.0, LAG * c.TICK_SAMPLES + 433), 0.1) for _ in range(40)]
    assert found[-1]
    assert found.count(False) <= 20


def test_no_tick_of_a_search_takes_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that took much longer than another would show in when its packet leaves."""
    steps: list[int] = []
    dot = speaker_copy._dot

    def counted(some: Sequence[int], others: Sequence[int]) -> int:
        steps[-1] += len(some)
        return dot(some, others)

    monkeypatch.setattr(speaker_copy, "_dot", counted)
    watch, played, near = SpeakerCopy(), Played(1), in_a_room(300, 0.4)
    for _ in range(800):
        steps.append(0)
        far = played.tick()
        watch.tick(near(played), far, LAG)
    assert 0 < max(steps) <= 15 * acoustic.COPY_WINDOW_TICKS * c.TICK_SAMPLES
    assert sum(steps) / len(steps) < c.TICK_SAMPLES * 2, "and it rests in between"
