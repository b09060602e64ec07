"""How a speaker's buffer is filled, and when a microphone is looked at: cards that run dry, pause, or have clocks of
their own."""

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest
from device_helpers import FakeScheduler, eventually
from fake_sound import ROWS, FakeSound, FakeStream, run, settled, started

from p2pcall.device import audio, cards, fill
from p2pcall.device.factory import card_polls, open_audio_sink, open_audio_source

STEP = round(fill.POLL_S * 48_000)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSound]:
    fake = FakeSound(ROWS)
    monkeypatch.setattr(cards, "load_portaudio", lambda direction="output": fake)
    monkeypatch.setattr(audio, "_lazy_cards", set())
    yield fake
    eventually(lambda: all(stream.closed for stream in fake.streams))


def level_ms(stream: FakeStream) -> float:
    return len(stream.waiting) / 96


def test_a_buffer_that_runs_dry_is_filled_higher_and_lower_again_when_it_is_calm(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    polls = card_polls(scheduler)
    speaker, stream = settled(sound, scheduler, polls)
    low = level_ms(stream)
    for _ in range(3):
        run(scheduler, stream, 0.08, 0.04)  # the loop looks too late
    run(scheduler, stream, 2)
    high = level_ms(stream)
    assert high > 40 > 25 > low
    dry = polls.counts.underruns
    assert 0 < dry <= 3
    run(scheduler, stream, 4, 0.03)
    assert polls.counts.underruns == dry, "it is high enough"
    for _ in range(30):
        run(scheduler, stream, fill.CALM_S)
    assert level_ms(stream) < 25, "it was not needed any more"
    assert len(sound.streams) == 1
    speaker.stop()


@pytest.mark.parametrize("ppm", [-300, 300])
def test_what_is_pulled_is_whole_steps_whatever_the_cards_clock_does(sound: FakeSound, ppm: int) -> None:
    scheduler, pulls, levels, owed = FakeScheduler(), [], [], 0.0
    speaker = open_audio_sink("default", scheduler)

    def pull(samples: int) -> bytes:
        pulls.append(samples)
        return b"\7\0" * samples

    stream = started(speaker, pull, sound)
    scheduler.advance(fill.POLL_S)
    for number in range(60 * 100):
        owed += 480 * (1 + ppm / 1e6)
        stream.play(int(owed) / 48_000)
        owed -= int(owed)
        scheduler.advance(fill.POLL_S)
        if number > 500:
            levels.append(level_ms(stream))
    assert set(pulls[1:]) == {STEP}
    assert stream.ran_dry == 0
    wanted = 1000 * (fill.POLL_S + fill.SPARE_S)
    assert wanted - 2.5 < min(levels) <= max(levels) < wanted + 2.5
    assert set(stream.played[100_000:]) == {7, 0}
    speaker.stop()


def test_a_lazy_card_is_filled_high_now_and_in_the_next_call(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker = open_audio_sink("default", scheduler)
    stream = started(speaker, lambda samples: b"\7\0" * samples, sound)
    scheduler.advance(1)  # it takes nothing
    least_ms = 1000 * fill.LAZY_LEAST_S
    run(scheduler, stream, 20)
    assert abs(level_ms(stream) - least_ms) < 2
    speaker.stop()
    again = open_audio_sink("default", scheduler)
    other = started(again, lambda samples: b"\7\0" * samples, sound)
    scheduler.advance(fill.POLL_S)
    assert level_ms(other) == least_ms
    again.stop()


@pytest.mark.parametrize("late_ms", range(1, 10, 2))
def test_a_piece_that_is_not_whole_when_it_should_be_is_looked_for_again_soon(
    sound: FakeSound, late_ms: int
) -> None:
    scheduler, came = FakeScheduler(), []
    mic = open_audio_source("default", scheduler)
    stream = started(mic, lambda pcm, at: came.append(scheduler.now), sound)
    for _ in range(50):
        stream.captured += bytes(960)
        scheduler.advance(0.01)
    stream.captured += bytes(960)
    scheduler.advance(0.01)
    scheduler.advance(0.01)
    came.clear()
    for _ in range(late_ms):
        scheduler.advance(0.001)
    whole = scheduler.now
    stream.captured += bytes(960)
    for _ in range(10 - late_ms):
        scheduler.advance(0.001)
    assert len(came) == 1
    assert came[0] - whole <= audio.SOON_S + 1e-9
    mic.stop()
    assert scheduler.timers == 0


def test_a_microphone_that_is_stopped_is_not_looked_for_again(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    mic = open_audio_source("default", scheduler)
    stream = started(mic, lambda pcm, at: None, sound)
    stream.captured += bytes(1920)
    scheduler.advance(0.02)
    scheduler.advance(0.02)  # now it is expected
    mic.stop()
    assert scheduler.timers == 0
    eventually(lambda: stream.closed)


@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_buffer_of_a_card_has_short_periods(
    sound: FakeSound, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    told: list[Any] = []

    class Library:
        def __init__(self, name: str) -> None:
            assert name == "libportaudio"

        def PaAlsa_SetNumPeriods(self, count: int) -> None:
            told.append(count)

    sound._libname = "libportaudio"
    monkeypatch.setattr(ctypes, "CDLL", Library)
    scheduler = FakeScheduler()
    device = (open_audio_source if direction == "input" else open_audio_sink)("default", scheduler)
    stream = started(device, lambda *_: b"", sound)
    assert told[0] * stream.options["blocksize"] >= 48_000 * stream.options["latency"]
    periods = {"input": audio.CAPTURED_SAMPLES, "output": audio.PERIOD_SAMPLES}
    assert stream.options["blocksize"] == periods[direction]
    device.stop()
