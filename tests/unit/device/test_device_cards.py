"""Sound cards through a sounddevice of our own: found by name, opened at `start` only, told when they go."""

import importlib
import struct
import threading
from itertools import chain, cycle, islice, pairwise, product

import pytest
from device_helpers import FRAME_BYTES, SILENCE, FakeScheduler, eventually, numbered
from fake_sound import ROWS, FakeSound, playing, started

from p2pcall.device import audio, cards
from p2pcall.device.base import AudioSink, AudioSource, Device
from p2pcall.device.factory import list_devices, open_audio_sink, open_audio_source
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
    for n in range(50):
        for block in range(4):
            scheduler.now += 0.005
            stream.capture(numbered(n)[: audio.BLOCK_BYTES], late=0.002 if n % 2 else 0.0)
            assert scheduler.posted == (block == 3)
        scheduler.run_posted()
    assert [pcm for pcm, _ in got] == [numbered(n) for n in range(50)]
    times = [at for _, at in got]
    steps = [b - a for a, b in pairwise(times)]
    assert max(abs(step - 0.02) for step in steps) < 0.0005
    assert times[-1] == pytest.approx(scheduler.now - 0.01, abs=0.003)
    mic.stop()
    eventually(lambda: stream.closed)
    stream.capture(numbered(1) * 2)
    scheduler.run_posted()
    assert len(got) == 50


def test_a_loop_that_stands_still_loses_the_newest_sound_and_counts(sound: FakeSound) -> None:
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("default", scheduler)
    assert isinstance(mic, audio.Microphone)
    stream = started(mic, lambda pcm, at: got.append((pcm, at)), sound)
    for n in range(15):
        scheduler.now += 0.02
        stream.capture(numbered(n))
    assert scheduler.posted == 1
    scheduler.run_posted()
    assert [pcm for pcm, _ in got] == [numbered(n) for n in range(audio.RING_FRAMES)]
    assert mic.overflows == 5
    scheduler.now += 5
    stream.capture(numbered(77))
    scheduler.run_posted()
    assert got[-1][1] == pytest.approx(scheduler.now - 0.01)
    mic.stop()


def test_a_stereo_card_is_mixed_down_and_up(sound: FakeSound) -> None:
    sound.mono = False
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("Webcam mic", scheduler)
    stream = started(mic, lambda pcm, at: got.append(pcm), sound)
    assert stream.options["channels"] == 2
    left_right = b"".join(n.to_bytes(2, "little", signed=True) for n in (300, -100) * 960)
    stream.capture(left_right)
    scheduler.run_posted()
    assert got == [numbered(100)]
    speaker = open_audio_sink("default", scheduler)
    out = started(speaker, lambda: numbered(5), sound)
    out.play()
    scheduler.run_posted()
    assert out.play() == numbered(5)[: audio.BLOCK_BYTES] * 2
    mic.stop()
    speaker.stop()


def test_two_channels_become_their_mean_sample_by_sample(sound: FakeSound) -> None:
    sound.mono = False
    scheduler, got = FakeScheduler(), []
    mic = open_audio_source("Webcam mic", scheduler)
    stream = started(mic, lambda pcm, at: got.append(pcm), sound)
    edges = (-32_768, -32_767, -2, -1, 0, 1, 2, 32_766, 32_767)
    pairs = [*islice(cycle(product(edges, edges)), FRAME_BYTES // 2)]
    stream.capture(struct.pack(f"<{FRAME_BYTES}h", *chain(*pairs)))
    scheduler.run_posted()
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
    scheduler, count = FakeScheduler(), iter(range(1_000))
    speaker = open_audio_sink("default", scheduler)
    assert isinstance(speaker, audio.Speaker)
    stream = started(speaker, lambda: numbered(next(count)), sound)
    played = b""
    for _ in range(400):
        scheduler.now += 0.005
        played += stream.play()
        assert 0.012 <= speaker.latency_s < 0.012 + 0.035
        scheduler.run_posted()
    begin = played.index(b"\1\0") - FRAME_BYTES  # frame 0 is full of zeros as well
    frames = played[begin:]
    assert frames[: 90 * FRAME_BYTES] == b"".join(numbered(n) for n in range(90))
    assert speaker.underruns == 0
    speaker.stop()
    eventually(lambda: stream.closed)
    assert stream.drained, "what the card has in hand is heard"


def test_underruns_widen_the_reserve_and_calm_narrows_it(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    speaker = open_audio_sink("default", scheduler)
    assert isinstance(speaker, audio.Speaker)
    stream = started(speaker, lambda: numbered(1), sound)

    def run(seconds: float, blocks: int) -> None:
        for _ in range(round(seconds / 0.005 / blocks)):
            scheduler.now += 0.005 * blocks
            stream.play(blocks)
            scheduler.run_posted()

    run(0.5, 8)  # at the start it counts for nothing
    assert speaker._reserve_blocks == audio.RESERVE_BLOCKS
    run(4, 6)  # the loop answers only every 30 ms
    wide = speaker._reserve_blocks
    assert wide >= 4
    before = speaker.underruns
    run(4, 6)
    assert speaker.underruns == before
    run(audio.RESERVE_SHRINK_S * (wide + 2), 1)
    assert speaker._reserve_blocks == audio.RESERVE_BLOCKS
    assert speaker.underruns == before
    speaker.stop()


def test_a_card_that_asks_ahead_waits_for_the_loop_as_long_as_it_has_sound(sound: FakeSound) -> None:
    sound.api = "ALSA"
    scheduler = FakeScheduler()
    speaker, stream = playing(sound, scheduler)
    assert isinstance(speaker, audio.Speaker)
    speaker._stream.latency_s = stream.latency = 20.0
    before = speaker.underruns
    played: list[bytes] = []
    card = threading.Thread(target=lambda: played.append(stream.play(20)))
    card.start()
    while card.is_alive():
        scheduler.run_posted()
    assert set(played[0]) == set(numbered(7))
    assert speaker.underruns == before
    scheduler.run_posted()
    scheduler.closed = True
    assert set(stream.play(8)[-audio.BLOCK_BYTES :]) == {0}, "no loop: nothing to wait for"
    speaker.stop()


def test_all_blocks_of_one_turn_wait_together_no_longer_than_the_card_has_sound(
    sound: FakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound.api = "ALSA"
    scheduler, waited = FakeScheduler(), []
    speaker, stream = playing(sound, scheduler)
    assert isinstance(speaker, audio.Speaker)
    speaker._stream.latency_s = stream.latency = 0.1

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        scheduler.now += min(seconds, 0.04)
        return False

    monkeypatch.setattr(speaker._filled, "wait", wait)
    stream.play(20)
    assert sum(min(seconds, 0.04) for seconds in waited) == pytest.approx(0.1 - audio.BLOCK_S)
    stream.play()
    assert waited[-1] == pytest.approx(0.1 - audio.BLOCK_S), "a new turn"
    speaker.stop()


@pytest.mark.parametrize("api", ["ALSA", "Core Audio"])
def test_a_card_that_cannot_wait_plays_silence(sound: FakeSound, api: str) -> None:
    sound.api = api
    scheduler = FakeScheduler()
    speaker, stream = playing(sound, scheduler)
    assert isinstance(speaker, audio.Speaker)
    if api == "ALSA":
        speaker._stream.latency_s = 0.0
    before = speaker.underruns
    assert set(stream.play(8)[-audio.BLOCK_BYTES :]) == {0}
    assert speaker.underruns > before
    speaker.stop()


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
    stream = started(device, lambda *_: SILENCE, sound)
    stream.options["finished_callback"]()
    stream.options["finished_callback"]()
    scheduler.run_posted()
    assert [error.slug for error in errors] == ["device-lost"]
    eventually(lambda: stream.closed)
    device.stop()


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


def test_a_card_that_stands_still_is_told(sound: FakeSound) -> None:
    scheduler, errors = FakeScheduler(), []
    speaker = open_audio_sink("default", scheduler)
    speaker.on_error = errors.append
    stream = started(speaker, lambda: SILENCE, sound)
    for _ in range(10):
        stream.play()
        scheduler.run_posted()
        scheduler.advance(audio.STALL_CHECK_S)
    assert errors == []
    scheduler.advance(audio.STALLED_S + 2 * audio.STALL_CHECK_S)
    assert [error.slug for error in errors] == ["device-stalled"]
    eventually(lambda: stream.closed)


def test_callbacks_after_the_loop_has_closed_are_harmless(sound: FakeSound) -> None:
    scheduler = FakeScheduler()
    mic, speaker = open_audio_source("default", scheduler), open_audio_sink("default", scheduler)
    capture = started(mic, lambda pcm, at: None, sound)
    play = started(speaker, lambda: SILENCE, sound)
    scheduler.closed = True
    capture.capture(numbered(1))
    assert play.play() == bytes(audio.BLOCK_BYTES)
    capture.options["finished_callback"]()
    mic.stop()
    speaker.stop()


def test_stop_before_the_card_is_open_opens_nothing(sound: FakeSound) -> None:
    stream = audio.Stream(cards.find_card("default", "input"), FakeScheduler(), lambda error: None)
    stream._stopped = True
    stream._open(lambda *_: None)
    assert sound.streams == []
