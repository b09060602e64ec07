"""How deep a speaker's buffer is: a card that runs dry, and one that pauses, are opened anew."""

import threading

import pytest
from device_helpers import FakeScheduler, eventually, numbered
from fake_sound import ROWS, FakeSound, FakeStream, RanDry, playing, started

from p2pcall.device import audio, buffer_depth, cards
from p2pcall.device.base import AudioSink
from p2pcall.device.factory import open_audio_sink


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    fake = FakeSound(ROWS)
    monkeypatch.setattr(cards, "load_portaudio", lambda direction="output": fake)
    monkeypatch.setattr(audio, "_lazy_cards", set())
    return fake


def late(scheduler: FakeScheduler, stream: FakeStream, seconds: float) -> None:
    """The callback comes so late that the card ran dry."""
    scheduler.now += seconds
    stream.play(status=RanDry)
    stream.play(3)
    scheduler.run_posted()


def test_a_card_that_runs_dry_again_and_again_gets_a_deeper_buffer(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker, shallow = playing(sound, scheduler)
    assert shallow.options["latency"] == "low"
    late(scheduler, shallow, 0.08)
    assert len(sound.streams) == 1
    late(scheduler, shallow, 0.04)
    eventually(lambda: len(sound.streams) == 2 and sound.streams[1].started and shallow.closed)
    shallow, deeper = sound.streams
    assert deeper.options["latency"] == pytest.approx(buffer_depth.DEEPER * 0.08)
    deeper.play()
    scheduler.run_posted()
    assert set(deeper.play()) == set(numbered(7))
    assert speaker.latency_s > deeper.latency
    assert set(shallow.play()) == {0}, "the one that is being closed takes nothing of the sound"
    for _ in range(round(1.1 * buffer_depth.SHALLOWER_AFTER_S / audio.BLOCK_S)):
        scheduler.now += audio.BLOCK_S
        deeper.play()
        scheduler.run_posted()
    eventually(lambda: len(sound.streams) == 3 and sound.streams[2].started and deeper.closed)
    assert sound.streams[2].options["latency"] == "low", "it was not needed any more"
    speaker.stop()


def test_a_card_that_does_not_open_deeper_stays_shallow(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    speaker, stream = playing(sound, scheduler)
    speaker.on_error = errors.append
    sound.fail_deep = True
    late(scheduler, stream, 0.08)
    late(scheduler, stream, 0.08)

    def opened() -> bool:
        scheduler.run_posted()
        return len(sound.streams) == 2 and sound.streams[1].started

    eventually(opened)
    assert (sound.streams[1].options["latency"], errors) == ("low", [])
    sound.fail_open = True
    sound.streams[1].options["finished_callback"]()
    scheduler.run_posted()
    assert [error.slug for error in errors] == ["device-lost"]
    speaker.stop()


def test_a_speaker_that_is_stopped_while_it_opens_deeper_is_closed(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    speaker, shallow = playing(sound, scheduler)
    speaker.on_error = errors.append
    sound.hangs = "close"
    late(scheduler, shallow, 0.08)
    late(scheduler, shallow, 0.08)
    assert sound.stuck.wait(20)
    speaker.stop()
    sound.well.set()
    eventually(lambda: all(stream.closed for stream in sound.streams))
    eventually(lambda: not any("p2pcall-open" in thread.name for thread in threading.enumerate()))
    assert (len(sound.streams), errors) == (1, [])


def paused(scheduler: FakeScheduler, stream: FakeStream) -> None:
    """The card asks for nothing for two seconds."""
    stream.play(3)
    scheduler.now += 1.9
    stream.play()
    scheduler.run_posted()


def paused_until_deeper(scheduler: FakeScheduler, sound: FakeSound) -> AudioSink:
    """A speaker whose card has paused, and that has opened a second, deeper stream for it."""
    speaker = open_audio_sink("default", scheduler)
    paused(scheduler, started(speaker, lambda: numbered(7), sound))
    eventually(lambda: len(sound.streams) == 2 and sound.streams[1].started)
    return speaker


def test_a_lazy_card_is_opened_deeper_while_it_still_runs(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker = paused_until_deeper(scheduler, sound)
    shallow, deeper = sound.streams
    assert deeper.options["latency"] == buffer_depth.LAZY_DEPTH_S
    assert set(deeper.play(4)) == {0}, "it takes some blocks at once, and may then pause"
    scheduler.run_posted()
    assert set(shallow.play()) == set(numbered(7))
    scheduler.now += 1.9
    deeper.play()
    scheduler.run_posted()
    eventually(lambda: shallow.closed)
    assert set(deeper.play()) == set(numbered(7))
    speaker.stop()
    again = open_audio_sink("default", scheduler)
    assert started(again, lambda: numbered(7), sound).options["latency"] == buffer_depth.LAZY_DEPTH_S
    again.stop()


def test_a_card_with_one_stream_alone_stays_as_it_is(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    speaker = open_audio_sink("default", scheduler)
    speaker.on_error = errors.append
    stream = started(speaker, lambda: numbered(7), sound)
    sound.fail_deep = True
    paused(scheduler, stream)

    def refused() -> bool:
        scheduler.run_posted()
        return not any("p2pcall-open" in thread.name for thread in threading.enumerate())

    eventually(refused)
    assert set(stream.play()) == set(numbered(7))
    assert (len(sound.streams), errors, stream.closed) == (1, [], False)
    speaker.stop()


def test_a_lazy_card_that_is_stopped_while_it_opens_is_closed(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker = paused_until_deeper(scheduler, sound)
    sound.streams[1].play()
    speaker.stop()
    eventually(lambda: all(stream.closed for stream in sound.streams))
