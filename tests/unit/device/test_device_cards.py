"""Sound cards through a sounddevice of our own: found by name, opened at `start` only, told when they go."""

import importlib
import struct
from itertools import chain, cycle, islice, pairwise, product

import pytest
from device_helpers import FRAME_BYTES, SILENCE, FakeScheduler, eventually, numbered
from fake_sound import ROWS, FakeSound, run, settled, started

from p2pcall.device import audio, cards, fill
from p2pcall.device.base import AudioSink, AudioSource, Device
from p2pcall.device.factory import card_polls, list_devices, open_audio_sink, open_audio_source
from p2pcall.errors import ExitCode, P2PCallError


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    fake = FakeSound(ROWS)
    monkeypatch.setattr(cards, "load_portaudio", lambda direction="output": fake)
    monkeypatch.setattr(audio, "_lazy_cards", set())
    return fake


def test_cards_are_listed_and_the_default_marked(sound: FakeSound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pcall.device.camera.list_cameras", lambda: [Device("camera", "C", True)])
    assert list_devices() == [
        Device("microphone", "Headset: USB Audio (hw:1,0)", True),
        Device("microphone", "Webcam mic", False),
        Device("microphone", "Webcam", False),
        Device("speaker", "HDMI 0", True),
        Device("speaker", "Headset: USB Audio (hw:1,0)", False),
        Device("camera", "C", True),
    ]
    sound.rows = []
    assert list_devices() == [Device("camera", "C", True)]


@pytest.mark.parametrize(
    ("spec", "index"), [("default", 1), ("headset", 1), ("WEBCAM MIC", 2), ("Webcam", 3), ("usb", 1)]
)
def test_names_are_matched_in_any_case_the_whole_name_first(sound: FakeSound, spec: str, index: int) -> None:
    assert cards.find_card(spec, "input").index == index


@pytest.mark.parametrize(
    ("spec", "slug"), [("webc", "device-ambiguous"), ("violin", "no-such-device"), ("HDMI", "no-such-device")]
)
def test_names_that_fit_none_or_several(sound: FakeSound, spec: str, slug: str) -> None:
    with pytest.raises(P2PCallError) as caught:
        open_audio_source(spec, FakeScheduler())
    assert (caught.value.slug, caught.value.exit) == (slug, ExitCode.DEVICE)
    assert caught.value.hint


@pytest.mark.parametrize("spec", ["default", "any"])
def test_no_card_at_all(sound: FakeSound, spec: str) -> None:
    sound.rows = [("HDMI 0", 0, 8)]
    with pytest.raises(P2PCallError, match="there is no microphone") as caught:
        open_audio_source(spec, FakeScheduler())
    assert (caught.value.slug, caught.value.exit) == ("no-microphone", ExitCode.DEVICE)
    assert caught.value.hint is not None
    assert "--audio-in none" in caught.value.hint


def test_a_name_that_fits_none_is_told_and_so_is_what_there_is(sound: FakeSound) -> None:
    with pytest.raises(P2PCallError, match="there is no microphone 'violin'") as caught:
        cards.find_card("violin", "input")
    assert caught.value.hint is not None
    assert all(name in caught.value.hint for name, inputs, _ in ROWS if inputs)
    sound.rows = [(f"card {n}", 1, 0) for n in range(100)]
    with pytest.raises(P2PCallError) as caught:
        cards.find_card("violin", "input")
    assert caught.value.hint is not None
    assert len(caught.value.hint) < 160
    sound.rows = []
    with pytest.raises(P2PCallError, match="there is no microphone 'violin', nor any other"):
        cards.find_card("violin", "input")


def test_a_card_plugged_in_later_is_found_unless_a_stream_is_open(sound: FakeSound) -> None:
    sound.rows, sound.after_restart = ROWS[:1], ROWS
    speaker = open_audio_sink("HDMI", FakeScheduler())
    started(speaker, lambda: SILENCE, sound)
    with pytest.raises(P2PCallError):
        cards.find_card("headset", "input")
    assert sound.restarts == 0
    speaker.stop()
    assert cards.find_card("headset", "input").index == 1
    assert sound.restarts == 1


def test_a_card_whose_number_has_changed_is_opened_by_its_name(sound: FakeSound) -> None:
    mic = open_audio_source("headset", FakeScheduler())
    sound.rows = [("New one", 1, 1), *ROWS]
    assert started(mic, lambda pcm, at: None, sound).options["device"] == 2
    mic.stop()


@pytest.mark.parametrize(
    ("raised", "words", "mend"),
    [
        (
            OSError("PortAudio library not found"),
            "PortAudio library is missing",
            "apt-get install libportaudio2",
        ),
        (ImportError("no module"), "sounddevice is missing", "pip install sounddevice"),
    ],
)
def test_a_missing_library_names_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, words: str, mend: str
) -> None:
    def missing(name: str) -> None:
        raise raised

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(importlib, "import_module", missing)
    for open_device, option in ((open_audio_source, "--audio-in"), (open_audio_sink, "--audio-out")):
        with pytest.raises(P2PCallError, match=words) as caught:
            open_device("default", FakeScheduler())
        assert (caught.value.slug, caught.value.exit) == ("no-portaudio", ExitCode.DEVICE)
        assert caught.value.hint is not None
        assert mend in caught.value.hint
        assert f"{option} none" in caught.value.hint


def test_opening_does_not_capture(sound: FakeSound) -> None:
    mic, speaker = (
        open_audio_source("default", FakeScheduler()), open_audio_sink("default", FakeScheduler()),
    )  # fmt: skip
    assert sound.streams == []
    mic.stop()
    speaker.stop()
    assert sound.streams == []


def test_a_microphone_gives_whole_frames_with_even_times(sound: FakeSound) -> None:
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("default", scheduler)
    stream = started(mic, lambda pcm, at: got.append((pcm, at)), sound)
    options = stream.options
    assert (options["samplerate"], options["channels"], options["dtype"]) == (48_000, 1, "int16")
    said = b"".join(numbered(n) for n in range(50))
    for poll in range(100):
        due = said[: (poll + 1) * FRAME_BYTES // 2]
        late = 480 if poll % 3 == 0 else 0  # 5 ms of it come with the next period only
        given = sum(len(pcm) for pcm, _ in got) + len(stream.captured) + len(held(mic))
        stream.captured += due[given : len(due) - late]
        scheduler.advance(fill.POLL_S)
    assert [pcm for pcm, _ in got] == [numbered(n) for n in range(len(got))]
    assert len(got) == 50 or len(got) == 49
    times = [at for _, at in got]
    assert max(abs(b - a - 0.02) for a, b in pairwise(times)) < 0.001
    assert scheduler.now - times[-1] < 0.03
    mic.stop()
    eventually(lambda: stream.closed)
    scheduler.advance(1)
    assert scheduler.timers == 0


def held(mic: AudioSource) -> bytes:
    assert isinstance(mic, audio.Microphone)
    return bytes(mic._held)


def test_a_loop_that_stood_still_gets_what_the_card_has_kept(sound: FakeSound) -> None:
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("default", scheduler)
    stream = started(mic, lambda pcm, at: got.append((pcm, at)), sound)
    stream.captured = numbered(1)
    scheduler.advance(0.02)
    scheduler.jump(0.08)
    stream.captured = b"".join(numbered(n) for n in range(2, 6))
    scheduler.advance(fill.POLL_S)
    assert [pcm for pcm, _ in got] == [numbered(n) for n in range(1, 6)]
    assert max(b - a for (_, a), (_, b) in pairwise(got)) < 0.05
    mic.stop()


def test_old_sound_of_a_server_that_stood_still_is_dropped(sound: FakeSound) -> None:
    scheduler, got = FakeScheduler(), []
    polls = card_polls(scheduler)
    mic = open_audio_source("default", scheduler, polls=polls)
    stream = started(mic, lambda pcm, at: got.append((pcm, at)), sound)
    stream.captured = numbered(1)
    scheduler.advance(fill.POLL_S)
    scheduler.advance(3)  # nothing comes
    stream.captured = numbered(2) * 5
    scheduler.advance(fill.POLL_S)  # after so long it may be what is heard now
    for _ in range(20):
        stream.captured = numbered(3) * 5
        scheduler.advance(fill.POLL_S)
    stream.captured = numbered(4)
    scheduler.advance(fill.POLL_S)
    assert {pcm for pcm, _ in got} == {numbered(n) for n in (1, 2, 4)}
    assert polls.counts.stale_samples == 20 * 5 * 960
    assert got[-1][1] == pytest.approx(scheduler.now, abs=0.01)
    mic.stop()


def test_a_piece_may_be_shorter(sound: FakeSound) -> None:
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("default", scheduler)
    assert isinstance(mic, audio.Microphone)
    mic.piece_ticks = 1
    stream = started(mic, lambda pcm, at: got.append((len(pcm), at)), sound)
    for _ in range(20):
        stream.captured += numbered(1)[: FRAME_BYTES // 4]
        scheduler.advance(fill.FAST_POLL_S)
    assert {size for size, _ in got} == {FRAME_BYTES // 2}
    assert max(abs(b - a - 0.01) for (_, a), (_, b) in pairwise(got)) < 0.001
    mic.stop()


def test_a_stereo_card_is_mixed_down_and_up(sound: FakeSound) -> None:
    sound.mono = False
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("Webcam mic", scheduler)
    stream = started(mic, lambda pcm, at: got.append(pcm), sound)
    assert stream.options["channels"] == 2
    stream.captured = b"".join(n.to_bytes(2, "little", signed=True) for n in (300, -100) * 960)
    scheduler.advance(0.02)
    assert got == [numbered(100)]
    speaker = open_audio_sink("default", scheduler)
    out = started(speaker, lambda samples: b"\5\0" * samples, sound)
    scheduler.advance(fill.POLL_S)
    assert set(zip(*[iter(out.waiting)] * 2, strict=True)) == {(5, 0)}
    assert len(out.waiting) == 4 * 2 * round(fill.POLL_S * 48_000), "whole steps, and what is wanted at least"
    mic.stop()
    speaker.stop()


def test_two_channels_become_their_mean_sample_by_sample(sound: FakeSound) -> None:
    sound.mono = False
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("Webcam mic", scheduler)
    stream = started(mic, lambda pcm, at: got.append(pcm), sound)
    edges = (-32_768, -32_767, -2, -1, 0, 1, 2, 32_766, 32_767)
    pairs = [*islice(cycle(product(edges, edges)), FRAME_BYTES // 2)]
    stream.captured = struct.pack(f"<{FRAME_BYTES}h", *chain(*pairs))
    scheduler.advance(0.02)
    assert struct.unpack(f"<{FRAME_BYTES // 2}h", got[0]) == tuple(
        (left + right) // 2 for left, right in pairs
    )
    mic.stop()


def test_a_card_that_takes_neither_mono_nor_stereo(sound: FakeSound) -> None:
    sound.fail_open = True
    with pytest.raises(P2PCallError, match="cannot be opened: invalid number of channels") as caught:
        open_audio_source("default", FakeScheduler())
    assert caught.value.slug == "device-open"


def test_a_speaker_pulls_just_in_time(sound: FakeSound) -> None:
    scheduler, numbers = FakeScheduler(), iter(range(1, 30_000))
    speaker = open_audio_sink("default", scheduler)
    assert isinstance(speaker, audio.Speaker)

    def pull(samples: int) -> bytes:
        return b"".join(next(numbers).to_bytes(2, "little") for _ in range(samples))

    stream = started(speaker, pull, sound)
    scheduler.advance(fill.POLL_S)
    for _ in range(20):
        assert fill.SPARE_S <= speaker.latency_s <= 2 * fill.POLL_S + 0.001
        run(scheduler, stream, fill.POLL_S)
    heard = struct.unpack(f"<{len(stream.played) // 2}h", stream.played)
    assert heard == tuple(range(1, 20 * 480 + 1))
    assert stream.ran_dry == 0
    speaker.stop()
    eventually(lambda: stream.closed)
    assert stream.drained, "what the card has in hand is heard"


@pytest.mark.parametrize("late", [0, 1, 3, 7])
def test_looks_at_the_cards_come_when_a_piece_has_just_become_whole(sound: FakeSound, late: int) -> None:
    scheduler, waits = FakeScheduler(), []
    began = scheduler.now
    mic = open_audio_source("default", scheduler)
    whole = 0

    def took(pcm: bytes, at: float) -> None:
        nonlocal whole
        whole += 1
        waits.append(scheduler.now - began - 0.02 * whole - late / 1000)

    stream = started(mic, took, sound)
    given = 0
    for _ in range(60 * 1000):
        scheduler.advance(0.001)
        blocks = max(0, int((scheduler.now - began - late / 1000 + 1e-6) / 0.005))
        stream.captured += bytes(480 * (blocks - given))
        given = blocks
    assert min(waits[-200:]) >= 0
    assert max(waits[-200:]) < 0.007
    mic.stop()


def opened(direction: str, scheduler: FakeScheduler) -> AudioSource | AudioSink:
    if direction == "in":
        return open_audio_source("default", scheduler)
    return open_audio_sink("default", scheduler)


@pytest.mark.parametrize("fault", ["fail_open", "fail_start"])
@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_card_that_cannot_be_opened_is_told_in_the_loop(
    sound: FakeSound, fault: str, direction: str
) -> None:
    scheduler, errors = FakeScheduler(), []
    device = opened(direction, scheduler)
    device.on_error = errors.append
    setattr(sound, fault, True)
    device.start(lambda *_: SILENCE)  # type: ignore[arg-type]
    scheduler.run_posted(wait=True)
    assert [(error.slug, error.exit) for error in errors] == [("device-open", ExitCode.DEVICE)]
    assert all(stream.closed for stream in sound.streams)
    device.stop()
    assert scheduler.timers == 0


def test_a_card_that_is_gone_at_start(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    mic = open_audio_source("headset", scheduler)
    mic.on_error = errors.append
    sound.rows = []
    mic.start(lambda pcm, at: None)
    scheduler.run_posted(wait=True)
    assert "it went away" in errors[0].text
    mic.stop()


@pytest.mark.parametrize("direction", ["in", "out"])
def test_unplugging_is_told_once(sound: FakeSound, direction: str) -> None:
    scheduler, errors = FakeScheduler(), []
    device = opened(direction, scheduler)
    device.on_error = errors.append
    stream = started(device, lambda *_: SILENCE[:2], sound)
    scheduler.advance(1)
    stream.gone = True
    scheduler.advance(1)
    assert [error.slug for error in errors] == ["device-lost"]
    eventually(lambda: stream.closed)
    device.stop()
    assert scheduler.timers == 0


def test_stopping_is_not_losing(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    mic = open_audio_source("default", scheduler)
    mic.on_error = errors.append
    started(mic, lambda pcm, at: None, sound)
    mic.stop()
    mic.stop()
    scheduler.run_posted()
    scheduler.advance(20)
    assert errors == []


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_card_that_stands_still_is_told(sound: FakeSound, direction: str) -> None:
    scheduler, errors = FakeScheduler(), []
    device = opened(direction, scheduler)
    device.on_error = errors.append
    stream = started(device, lambda first, *_: bytes(2 * first) if isinstance(first, int) else None, sound)
    for _ in range(200):
        stream.captured += SILENCE
        stream.play(0.02)
        scheduler.advance(0.02)
    assert errors == []
    scheduler.advance(audio.STALLED_S + 0.1)
    assert [error.slug for error in errors] == ["device-stalled"]
    eventually(lambda: stream.closed)
    scheduler.advance(10)
    assert len(errors) == 1


def test_a_speaker_that_takes_nothing_is_asked_by_one_sample_whether_its_server_lives(
    sound: FakeSound,
) -> None:
    scheduler, errors = FakeScheduler(), []
    speaker, stream = settled(sound, scheduler)
    speaker.on_error = errors.append
    scheduler.advance(0.05)
    before = len(stream.waiting)
    scheduler.advance(1)
    assert len(stream.waiting) - before == 2 * 3
    run(scheduler, stream, 1)
    scheduler.advance(1)
    assert errors == []
    speaker.stop()


def test_stop_before_the_card_is_open_opens_nothing(sound: FakeSound) -> None:
    stream = audio.Stream(cards.find_card("default", "input"), FakeScheduler(), lambda error: None)
    stream._stopped = True
    stream._open()
    assert sound.streams == []
