"""How deep a speaker's buffer is: a card that runs dry, and one that pauses, get another stream beside it."""

import pytest
from device_helpers import FakeScheduler, eventually
from fake_sound import ROWS, FakeSound, FakeStream, run, settled, started

from p2pcall.device import audio, cards, fill
from p2pcall.device.factory import open_audio_sink


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    fake = FakeSound(ROWS)
    monkeypatch.setattr(cards, "load_portaudio", lambda direction="output": fake)
    monkeypatch.setattr(audio, "_lazy_cards", set())
    return fake


def test_a_buffer_that_runs_dry_gets_deeper_and_calm_makes_it_shallow_again(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker, shallow = settled(sound, scheduler)
    assert (speaker.underruns, shallow.options["latency"]) == (0, fill.DEPTHS[0][0])
    for _ in range(3):
        run(scheduler, shallow, 0.08, 0.04)  # the loop looks too late
    eventually(lambda: len(sound.streams) == 2 and sound.streams[1].started)
    deeper = sound.streams[1]
    assert deeper.options["latency"] > shallow.options["latency"]
    assert set(deeper.waiting) <= {0}
    run_both(scheduler, [shallow, deeper], 0.1)
    eventually(lambda: shallow.closed)
    assert shallow.drained
    assert set(deeper.waiting[-960:]) == {7, 0}, "it goes on where the other one ends"
    dry = speaker.underruns
    run_both(scheduler, [deeper], 4, 0.03)
    assert speaker.underruns == dry, "it is deep enough"
    for _ in range(40):
        if len(sound.streams) == 3:
            break
        run_both(scheduler, [deeper], fill.CALM_S)
    eventually(lambda: sound.streams[2].started)
    assert sound.streams[2].options["latency"] < deeper.options["latency"], "it was not needed any more"
    speaker.stop()


def run_both(
    scheduler: FakeScheduler, streams: list[FakeStream], seconds: float, step_s: float = fill.POLL_S
) -> None:
    """Time passes for several streams of a card."""
    for _ in range(round(seconds / step_s)):
        for stream in streams:
            if not stream.closed and stream.waiting:
                stream.play(step_s)
                stream.played.clear()
                stream.played += b"x"
        scheduler.jump(step_s)
        scheduler.advance(0)


def test_a_card_with_one_stream_alone_makes_room_for_the_deeper_one(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    speaker, shallow = settled(sound, scheduler)
    speaker.on_error = errors.append
    sound.one_stream = True
    for _ in range(3):
        run(scheduler, shallow, 0.08, 0.04)

    def reopened() -> bool:
        scheduler.run_posted()
        return len(sound.streams) == 2 and sound.streams[1].started

    eventually(reopened)
    assert shallow.closed
    run_both(scheduler, sound.streams[1:], 1)
    assert set(sound.streams[1].waiting) == {7, 0}
    assert errors == []
    speaker.stop()


def test_a_speaker_that_is_stopped_while_it_opens_deeper_is_closed(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker, shallow = settled(sound, scheduler)
    for _ in range(3):
        run(scheduler, shallow, 0.08, 0.04)
    eventually(lambda: len(sound.streams) == 2)
    speaker.stop()
    eventually(lambda: all(stream.closed for stream in sound.streams))
    assert scheduler.timers == 0


def test_a_deeper_buffer_that_fails_later_is_told_as_any(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    speaker, shallow = settled(sound, scheduler)
    speaker.on_error = errors.append
    for _ in range(3):
        run(scheduler, shallow, 0.08, 0.04)
    eventually(lambda: len(sound.streams) == 2 and sound.streams[1].started)
    deeper = sound.streams[1]
    run_both(scheduler, [shallow, deeper], 0.2)
    eventually(lambda: shallow.closed)
    deeper.gone = True
    scheduler.advance(1)
    assert [error.slug for error in errors] == ["device-lost"]
    eventually(lambda: deeper.closed)
    assert len(sound.streams) == 2
    speaker.stop()


def test_a_lazy_card_gets_a_deeper_buffer_now_and_in_the_next_call(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker = open_audio_sink("default", scheduler)
    stream = started(speaker, lambda samples: b"\7\0" * samples, sound)
    scheduler.advance(1)  # it takes nothing
    eventually(lambda: len(sound.streams) == 2 and sound.streams[1].started)
    scheduler.advance(0.9)
    deep = sound.streams[1]
    assert len(deep.waiting) == 2 * round(fill.DEPTHS_LEAST_S[-1] * 48_000)
    run_both(scheduler, [stream, deep], 20)
    assert set(deep.waiting) == {7, 0}
    assert (deep.ran_dry, len(sound.streams)) == (0, 2)
    speaker.stop()
    again = open_audio_sink("default", scheduler)
    other = started(again, lambda samples: b"\7\0" * samples, sound)
    assert other.options["latency"] == fill.DEPTHS[-1][0]
    again.stop()
