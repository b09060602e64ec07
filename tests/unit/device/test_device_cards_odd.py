"""Cards that are not what they said: another rate or other blocks in mid-stream, and servers that hang at each step."""

from collections.abc import Iterator

import pytest
from device_helpers import FRAME_BYTES, FakeScheduler, eventually
from fake_sound import ROWS, FakeSound, FakeStream, settled, started

from p2pcall.device import audio, cards, fill
from p2pcall.device.factory import open_audio_source
from p2pcall.errors import P2PCallError

STEP = round(fill.POLL_S * 48_000)
LOOK_S = 0.001


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSound]:
    fake = FakeSound(ROWS)
    monkeypatch.setattr(cards, "load_portaudio", lambda direction="output": fake)
    monkeypatch.setattr(audio, "_lazy_cards", set())
    yield fake
    fake.well.set()
    eventually(lambda: all(stream.closed for stream in fake.streams))


def feed(scheduler: FakeScheduler, stream: FakeStream, rate: int, block: int, seconds: float) -> int:
    """The card gives blocks of so many samples, so many a second; how many it gave."""
    owed, given = 0.0, 0
    for _ in range(round(seconds / LOOK_S)):
        owed += rate * LOOK_S
        while owed >= block:
            stream.captured += bytes(2 * block)
            owed -= block
            given += block
        scheduler.advance(LOOK_S)
    return given


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("block", [48, 441, 1024, 4096])
def test_a_microphone_that_changes_its_rate_or_blocks_goes_on_in_whole_pieces_with_true_times(
    sound: FakeSound, rate: int, block: int
) -> None:
    """Nothing says so: its sound is slower or faster then, and what comes too fast at once is old."""
    scheduler, errors = FakeScheduler(), list[P2PCallError]()
    got: list[tuple[int, float, float]] = []
    mic = open_audio_source("default", scheduler)
    mic.on_error = errors.append
    stream = started(mic, lambda pcm, at: got.append((len(pcm), at, scheduler.now)), sound)
    given = feed(scheduler, stream, 48_000, 480, 0.5)
    given += feed(scheduler, stream, rate, block, 1.5)
    given += feed(scheduler, stream, 48_000, 480, 0.5)
    assert errors == []
    assert {size for size, _, _ in got} == {FRAME_BYTES}
    pieces = FRAME_BYTES // 2
    assert given - 3 * pieces - max(block, 480) <= len(got) * pieces <= given, "none twice, and none left out"
    assert all(abs(now - at) < 0.15 for _, at, now in got)
    mic.stop()


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
@pytest.mark.parametrize("block", [240, 1024, 3072])
def test_a_speaker_that_changes_its_rate_or_blocks_is_given_whole_steps_and_holds_no_more_than_it_may(
    sound: FakeSound, rate: int, block: int
) -> None:
    scheduler, errors, pulls = FakeScheduler(), list[P2PCallError](), list[int]()
    speaker, stream = settled(sound, scheduler)
    speaker.on_error = errors.append

    def pull(samples: int) -> bytes:
        pulls.append(samples)
        return b"\7\0" * samples

    speaker._pull = pull
    owed, longest = 0.0, 0.0
    for _ in range(2_000):
        owed += rate * LOOK_S
        while owed >= block:
            stream.play(block / 48_000)
            owed -= block
        scheduler.advance(LOOK_S)
        longest = max(longest, speaker.latency_s)
    assert errors == []
    assert all(samples % STEP == 0 for samples in pulls)
    assert longest <= fill.MOST_S + fill.POLL_S
    assert sum(pulls) >= 0.9 * min(rate, 48_000) * 2 - 2 * block
    speaker.stop()


@pytest.mark.parametrize("where", ["open", "read"])
def test_a_server_that_hangs_is_told_and_nobody_waits_for_it(sound: FakeSound, where: str) -> None:
    """At its opening, or in mid-stream, where it gives nothing any more; at its closing: see the other file."""
    scheduler, errors = FakeScheduler(), list[P2PCallError]()
    mic = open_audio_source("default", scheduler)
    mic.on_error = errors.append
    sound.hangs = where
    if where == "open":
        mic.start(lambda pcm, at: None)
        assert sound.stuck.wait(20)
    else:
        feed(scheduler, started(mic, lambda pcm, at: None, sound), 48_000, 480, 1.0)
    scheduler.advance(audio.STALLED_S - 0.5)
    assert errors == []
    scheduler.advance(1.0)
    assert [error.slug for error in errors] == ["device-stalled"]
    sound.well.set()
    if where == "open":
        eventually(lambda: bool(sound.streams))
    scheduler.advance(20)
    assert len(errors) == 1
