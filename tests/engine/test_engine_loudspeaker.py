"""Between the devices and a call: what a loudspeaker and a microphone beside it are given; a fake in WebRTC's place."""

import asyncio
from array import array
from itertools import cycle
from pathlib import Path
from random import Random

import pytest
from calls import ALICE, BOB, VOICE, FakeUi, agent, dial, listening
from fakeenv import fake_env
from seeing import Pair, with_a_call
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.codec.opus import OpusForm
from p2pcall.codec.voice_processing import CANCELLER_DELAY_SAMPLES, SUPPRESSOR_DELAY_SAMPLES
from p2pcall.engine import audio_send, devices
from p2pcall.engine.devices import Devices, open_devices
from p2pcall.engine.hearing import COPIES, COPIES_TEXT
from p2pcall.engine.loudspeaker import Loudspeaker, Route
from p2pcall.engine.settings import Answer, CallSettings, MediaSettings
from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as c
from p2pcall.media.far_end import FarEnd

SILENT = bytes(c.TICK_BYTES)
LATENCY_TICKS = 4


class FakeProcessing:
    """Knows the echo: in the place of sound that was played before there is silence."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.sizes: set[int] = set()

    def _note(self, step: str, pcm: bytes) -> None:
        self.steps.append(step)
        self.sizes.add(len(pcm))

    def far(self, pcm: bytes) -> None:
        self._note("far", pcm)

    def cancel(self, pcm: bytes) -> bytes:
        self._note("cancel", pcm)
        return SILENT

    def suppress(self, pcm: bytes) -> bytes:
        self._note("suppress", pcm)
        return pcm

    def raise_voice(self, pcm: bytes) -> bytes:
        self._note("raise", pcm)
        return pcm


def noise(seed: int, peak: int) -> bytes:
    rng = Random(seed)
    return array("h", [rng.randint(-peak, peak) for _ in range(c.TICK_SAMPLES)]).tobytes()


SOFT = noise(1, 20)


class Talk:
    """Somebody's voice: a tick of noise at the level of the syllable, coloured or not."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._left, self._peak, self._high = 0, 0, False

    def tick(self) -> bytes:
        if not self._left:
            self._left = self._rng.randint(4, 14)
            self._peak = self._rng.choice((40, 2_000, 5_000, 12_000))
            self._high = self._rng.random() < 0.5
        self._left -= 1
        if self._high:
            return noise(self._rng.randrange(1 << 30), self._peak)
        step = [self._rng.randint(-self._peak, self._peak) for _ in range(c.TICK_SAMPLES // 40)]
        return array("h", [value for value in step for _ in range(40)]).tobytes()


def halved(pcm: bytes) -> bytes:
    return array("h", [sample // 4 for sample in array("h", pcm)]).tobytes()


def run(
    loudspeaker: Loudspeaker, seconds: float, far: Talk | None, *, echo: bool, near: Talk | None = None
) -> list[bytes]:
    """What is sent, tick by tick."""
    played, sent = [SILENT] * LATENCY_TICKS, []
    for number in range(round(seconds / c.TICK_S)):
        now = loudspeaker_clock(loudspeaker)
        played.append(loudspeaker.far(far.tick() if far else SILENT, now + LATENCY_TICKS * c.TICK_S))
        heard = halved(played[number]) if echo else SOFT
        if near is not None:
            heard = near.tick()
        sent.append(loudspeaker.near(heard, now + c.TICK_S))
    return sent


_now: dict[int, float] = {}


def loudspeaker_clock(loudspeaker: Loudspeaker) -> float:
    """Goes on by a tick with each look."""
    _now[id(loudspeaker)] = now = _now.get(id(loudspeaker), 0.0) + c.TICK_S
    return now


def test_before_the_far_end_is_heard_the_microphone_is_sent_as_it_is_and_at_once() -> None:
    processing = FakeProcessing()
    loudspeaker, near = Loudspeaker(processing), Talk(1)
    pcm = [near.tick() for _ in range(500)]
    assert [loudspeaker.near(tick, loudspeaker_clock(loudspeaker)) for tick in pcm] == pcm
    assert loudspeaker.delay_s == 0
    assert not processing.steps


def test_from_its_first_word_on_the_far_end_is_cancelled() -> None:
    processing = FakeProcessing()
    loudspeaker = Loudspeaker(processing)
    sent = run(loudspeaker, 3.0, Talk(2), echo=True)
    assert processing.steps[:2] == ["far", "cancel"]
    assert sent[-1] == SILENT
    assert loudspeaker.acoustics.echo
    assert loudspeaker.delay_s == pytest.approx(CANCELLER_DELAY_SAMPLES / c.SAMPLE_RATE_HZ)


def test_with_headphones_nothing_is_cancelled_and_no_time_is_lost() -> None:
    processing = FakeProcessing()
    loudspeaker = Loudspeaker(processing)
    run(loudspeaker, 25.0, Talk(2), echo=False)
    processing.steps.clear()
    assert set(run(loudspeaker, 1.0, Talk(3), echo=False)[1:]) == {SOFT}
    assert "cancel" not in processing.steps
    assert loudspeaker.delay_s == 0


def test_a_voice_over_a_ducked_speaker_is_sent_as_it_is() -> None:
    loudspeaker = Loudspeaker(Hollow())
    run(loudspeaker, 8.0, Talk(2), echo=True)
    assert loudspeaker.route is Route.CANCELLED
    run(loudspeaker, 3.0, Talk(4), echo=False, near=Talk(5))
    assert loudspeaker.route is Route.THROUGH
    assert loudspeaker.double_talk.duck_db > 0
    pcm = noise(9, 9_000)
    first = loudspeaker.near(pcm, loudspeaker_clock(loudspeaker))
    second = loudspeaker.near(SOFT, loudspeaker_clock(loudspeaker))
    late = 2 * CANCELLER_DELAY_SAMPLES
    assert (first + second)[late : late + c.TICK_BYTES] == pcm


class Hollow(FakeProcessing):
    """Leaves a voice, for it was never played."""

    def cancel(self, pcm: bytes) -> bytes:
        loud = max(map(abs, array("h", pcm))) > 3_500
        return pcm if loud else SILENT


def test_the_speaker_is_not_ducked_for_who_is_muted() -> None:
    loudspeaker = Loudspeaker(Hollow())
    run(loudspeaker, 8.0, Talk(2), echo=True)
    loudspeaker.muted = lambda: True
    run(loudspeaker, 3.0, Talk(4), echo=False, near=Talk(5))
    assert loudspeaker.double_talk.duck_db > 0
    pcm = noise(3, 9_000)
    assert loudspeaker.far(pcm, loudspeaker_clock(loudspeaker)) == pcm


def test_noise_is_suppressed_where_there_is_some_and_told_as_delay() -> None:
    processing = FakeProcessing()
    loudspeaker = Loudspeaker(processing)
    hiss = noise(4, 600)
    for _ in range(2 * acoustic.NOISE_KNOWN_TICKS):
        loudspeaker.near(hiss, loudspeaker_clock(loudspeaker))
    assert set(processing.steps) == {"suppress"}
    assert loudspeaker.delay_s == pytest.approx(SUPPRESSOR_DELAY_SAMPLES / c.SAMPLE_RATE_HZ)
    for _ in range(8 * acoustic.NOISE_KNOWN_TICKS):
        loudspeaker.near(SOFT, loudspeaker_clock(loudspeaker))
    assert loudspeaker.delay_s == 0


def test_whatever_the_devices_give_at_once_is_processed_in_whole_ticks() -> None:
    processing = FakeProcessing()
    loudspeaker, talk = Loudspeaker(processing), Talk(1)
    for number in range(100):
        both = talk.tick() + talk.tick()
        assert len(loudspeaker.far(both, number / 50)) == 2 * c.TICK_BYTES
        assert len(loudspeaker.near(both, number / 50)) == 2 * c.TICK_BYTES
    assert processing.sizes == {c.TICK_BYTES}


def test_whatever_the_speaker_takes_the_far_end_is_paired_in_whole_ticks() -> None:
    far_end, sound = FarEnd(), b"".join(noise(seed, 5_000) for seed in range(20))
    at, sizes = 0, cycle((470, 490, 13, 960, 480))
    while at < len(sound):
        pcm = sound[at : at + 2 * next(sizes)]
        far_end.played(pcm, 1.0 + at / c.TICK_BYTES * c.TICK_S)
        at += len(pcm)
    assert [far_end.heard(1.0 + (n + 1 - acoustic.FAR_LEAD_TICKS) * c.TICK_S) for n in range(20)] == [
        sound[n * c.TICK_BYTES :][: c.TICK_BYTES] for n in range(20)
    ]


def test_a_frame_is_told_to_be_captured_when_what_is_in_it_was() -> None:
    loudspeaker = Loudspeaker(FakeProcessing())
    run(loudspeaker, 3.0, Talk(2), echo=True)
    _, captured_at = loudspeaker.hear(SILENT, 100.0)
    assert captured_at == pytest.approx(100.0 - CANCELLER_DELAY_SAMPLES / c.SAMPLE_RATE_HZ)


def test_what_is_played_is_known_with_the_time_when_it_is_heard() -> None:
    processing = FakeProcessing()
    loudspeaker = Loudspeaker(processing)
    asked: list[int] = []

    def pull(samples: int) -> bytes:
        asked.append(samples)
        return noise(3, 5_000)

    pulled = loudspeaker.playing(pull, lambda: 5.0, lambda: 0.5)
    assert pulled(c.TICK_SAMPLES) == noise(3, 5_000)
    assert asked == [c.TICK_SAMPLES]
    loudspeaker.near(SOFT, 5.5 - (acoustic.FAR_LEAD_TICKS + 1) * c.TICK_S)
    assert processing.steps == []
    loudspeaker.near(SOFT, 5.5)
    assert processing.steps == ["far", "cancel"]


def test_whoever_speaks_is_sent_as_they_are_until_an_echo_is_found() -> None:
    """A canceller that does not know the room hollows them."""
    processing = FakeProcessing()
    loudspeaker = Loudspeaker(processing)
    voice, far, sent = Talk(5), Talk(2), list[bool]()
    for _ in range(300):
        at = loudspeaker_clock(loudspeaker)
        loudspeaker.far(far.tick(), at)
        said = voice.tick()
        sent.append(loudspeaker.near(said, at) == said)
    assert "cancel" in processing.steps, "it learns"
    assert loudspeaker.acoustics.echo is not True
    assert all(sent)


def test_without_a_canceller_one_side_is_heard_at_a_time() -> None:
    loudspeaker = Loudspeaker(None)
    sent = run(loudspeaker, 8.0, Talk(2), echo=True)
    assert max(map(abs, array("h", b"".join(sent[300:])))) < 100
    sent = run(loudspeaker, 2.0, Talk(4), echo=False, near=Talk(5))
    assert max(map(abs, array("h", b"".join(sent[100:])))) > 5_000
    assert loudspeaker.double_talk.duck_db > 0
    assert loudspeaker.delay_s == 0


def opened(media: MediaSettings, monkeypatch: pytest.MonkeyPatch, *, library: bool = True) -> Devices:
    """With cards that are other things: files are opened as they are."""
    monkeypatch.setattr(devices, "voice_processing", FakeProcessing if library else lambda: None)
    for name, word in (("is_microphone", "tone"), ("is_speaker", "none")):
        monkeypatch.setattr(devices, name, lambda spec, word=word: spec == word)

    async def look() -> Devices:
        return open_devices(CallSettings("alice", media), fake_env())

    return asyncio.run(look())


def test_a_microphone_beside_a_speaker_is_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = opened(VOICE, monkeypatch)
    assert found.loudspeaker is not None
    assert not found.warnings


def test_raw_audio_is_not_processed(monkeypatch: pytest.MonkeyPatch) -> None:
    media = MediaSettings("tone", "none", "none", "none", raw_audio=True)
    assert opened(media, monkeypatch).loudspeaker is None


def test_what_comes_from_no_microphone_or_goes_to_no_speaker_is_not_processed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for media in (
        MediaSettings("silence", "none", "none", "none"),
        MediaSettings("tone", str(tmp_path / "out.wav"), "none", "none"),
    ):
        assert opened(media, monkeypatch).loudspeaker is None


def test_a_missing_canceller_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = opened(VOICE, monkeypatch, library=False)
    assert found.loudspeaker is not None
    (warning,) = found.warnings
    assert warning.slug == "no-echo-canceller"
    assert "pip install livekit" in (warning.hint or "")


def test_a_call_between_cards_goes_through_it_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FakeProcessing] = []

    def make() -> FakeProcessing:
        made.append(FakeProcessing())
        return made[-1]

    monkeypatch.setattr(devices, "voice_processing", make)
    monkeypatch.setattr(devices, "is_microphone", lambda spec: spec == "tone")
    monkeypatch.setattr(devices, "is_speaker", lambda spec: spec == "none")

    async def scene() -> None:
        network, ui = Network(), FakeUi()
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE, once=True)
        alice = agent(tmp_path, "alice", ui, network, ALICE, 1, max_duration_s=5.0)
        task = await listening(bob)
        await dial(alice)
        await task
        (ended,) = ui.of(events.Ended)
        assert ended.figures.concealed < 0.02

    run_virtual(scene)
    assert len(made) == 2
    for side in made:
        assert side.steps.count("far") == side.steps.count("cancel") >= 400


def test_a_microphone_that_copies_the_speaker_is_told_at_most_once_a_minute_and_no_longer_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "voice_processing", FakeProcessing)
    monkeypatch.setattr(devices, "is_microphone", lambda spec: spec == "tone")
    monkeypatch.setattr(devices, "is_speaker", lambda spec: spec == "none")
    copies = False
    monkeypatch.setattr(Loudspeaker, "copied", lambda self: copies)
    shown, told = list[bool](), list[int]()

    async def scene(pair: Pair) -> None:
        nonlocal copies
        alice = pair.alice_ui
        for seconds in (5, 5, 5, 60, 5):
            copies = not copies
            await asyncio.sleep(seconds)
            shown.append(alice.view.hud.notice == COPIES_TEXT)
            told.append([event.slug for event in alice.of(events.Warning)].count(COPIES))
        alice.press("q")
        await pair.end()

    with_a_call(tmp_path, scene, media=VOICE)
    assert shown == [True, False, False, False, True]
    assert told == [1, 1, 1, 1, 2]


def test_raw_audio_is_coded_as_music_and_other_sound_as_a_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded: list[bool] = []

    class Encoder(audio_send.OpusEncoder):
        def __init__(self, form: OpusForm, *, music: bool) -> None:
            coded.append(music)
            super().__init__(form, music=music)

    monkeypatch.setattr(audio_send, "OpusEncoder", Encoder)
    raw = MediaSettings("tone", "none", "none", "none", raw_audio=True)

    async def scene() -> None:
        network = Network()
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE, once=True)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0, media=raw)
        task = await listening(bob)
        await dial(alice)
        await task

    run_virtual(scene)
    assert sorted(coded) == [False, True]
