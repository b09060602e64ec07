"""The engine's parts by themselves: devices that fail and come back, endings, people, the numbers of frames."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakeenv import fake_env
from virtual import run_virtual

from p2pcall.demo.soundcheck import SoundCheck
from p2pcall.device.drawn.song import song_pcm
from p2pcall.engine import keys
from p2pcall.engine.audio_receive import AudioReceive
from p2pcall.engine.audio_send import MAX_UNNUMBERED_S, AudioSend
from p2pcall.engine.call_stats import media_drops
from p2pcall.engine.devices import open_devices
from p2pcall.engine.outcome import ENDINGS, Outcome
from p2pcall.engine.ringtone import ring
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.engine.sound import REOPEN_EVERY_S, SupervisedSink, SupervisedSource
from p2pcall.engine.trust import TrustStore
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import (
    FRAME_BYTES,
    FRAME_S,
    FRAME_TICKS,
    JITTER_SHRINK_LOUD,
    JITTER_SHRINK_TICKS,
    TICK_BYTES,
    TICK_MS,
    TICK_S,
)
from p2pcall.media.packets import Report, parse_audio
from p2pcall.proto.messages import Reason
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Profile

GONE = P2PCallError("device-gone", "the sound server went away", ExitCode.DEVICE)


class FakeSource:
    """A microphone that speaks when told and can break."""

    latency_s = 0.0
    piece_ticks, prompt = 2, False

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.on_end: Callable[[], None] | None = None
        self.on_error: Callable[[P2PCallError], None] | None = None
        self.on_frame: Callable[[bytes, float], None] | None = None

    def start(self, on_frame: Callable[..., Any]) -> None:
        self.on_frame = on_frame

    def stop(self) -> None:
        self.on_frame = None


class FakeSink(FakeSource):
    """A speaker of the same kind."""

    def start(self, pull: Callable[..., Any]) -> None:
        self.pull = pull
        self.on_frame = lambda pcm, at: None


class Bench:
    """Opens fakes, remembers them, refuses the real device while it is `broken`."""

    def __init__(self, kind: type[FakeSource]) -> None:
        self.kind, self.opened, self.broken, self.refused = kind, list[FakeSource](), False, 0

    def __call__(self, spec: str) -> FakeSource:
        if self.broken and spec == "usb":
            self.refused += 1
            raise GONE
        self.opened.append(self.kind(spec))
        return self.opened[-1]


@pytest.mark.parametrize(("kind", "stand_in"), [(FakeSource, "silence"), (FakeSink, "none")])
def test_a_sound_device_that_fails_is_replaced_and_comes_back(kind: type[FakeSource], stand_in: str) -> None:
    async def scene() -> None:
        bench = Bench(kind)
        told: list[P2PCallError] = []
        if kind is FakeSource:
            microphone = SupervisedSource(bench("usb"), bench, "usb")
            microphone.start(lambda pcm, at: None, told.append)
            stop = microphone.stop
        else:
            speaker = SupervisedSink(bench("usb"), bench, "usb")
            speaker.play(lambda _: b"", told.append)
            stop = speaker.stop
        bench.broken = True
        first = bench.opened[0]
        assert first.on_error is not None
        first.on_error(GONE)
        assert told == [GONE]
        assert [one.spec for one in bench.opened] == ["usb", stand_in]
        assert first.on_frame is None
        while bench.refused < 2:  # by a thread, while the time here flies
            await asyncio.sleep(REOPEN_EVERY_S)
        assert len(bench.opened) == 2
        bench.broken = False
        while bench.opened[1].on_frame is not None:
            await asyncio.sleep(REOPEN_EVERY_S)
        assert [one.spec for one in bench.opened] == ["usb", stand_in, "usb"]
        stop()
        assert bench.opened[2].on_frame is None

    run_virtual(scene)


def test_a_speaker_that_is_stopped_while_it_is_looked_for_comes_back_once() -> None:
    async def scene() -> None:
        bench = Bench(FakeSink)
        speaker = SupervisedSink(bench("usb"), bench, "usb")
        speaker.play(lambda: b"", lambda _: None)
        assert bench.opened[0].on_error is not None
        bench.opened[0].on_error(GONE)
        supervisor = speaker._supervisor
        speaker.stop()
        speaker.play(lambda: b"", lambda _: None)
        found = [bench("usb"), bench("usb")]
        supervisor._looked(found[0])
        supervisor._looked(found[1])
        assert [one.on_frame is not None for one in found] == [True, False]
        speaker.stop()

    run_virtual(scene)


def test_a_second_call_does_not_overwrite_the_files_of_the_first(tmp_path: Path) -> None:
    failures: list[P2PCallError] = []

    async def scene() -> None:
        settings = CallSettings("me", MediaSettings("silence", str(tmp_path / "out.wav"), "none", "none"))
        for call in range(2):
            devices = open_devices(settings, fake_env(), call)
            devices.speaker.play(lambda _: bytes(1920))
            devices.close()
            devices.complete(failures.append)

    run_virtual(scene)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-2.wav", "out.wav"]
    assert not failures


@pytest.mark.parametrize("loop", [True, False])
def test_a_stream_that_loop_cannot_repeat_is_said_to_be_read_once(tmp_path: Path, loop: bool) -> None:
    pipe = tmp_path / "sound.wav"
    os.mkfifo(pipe)

    async def scene() -> list[str]:
        settings = CallSettings("me", MediaSettings(str(pipe), "none", "test", "none", loop=loop))
        devices = open_devices(settings, fake_env())
        devices.close()
        return [warning.text for warning in devices.warnings]

    assert run_virtual(scene) == [f"{pipe} is read once: --loop repeats files"] * loop


def test_every_reason_of_the_line_has_an_ending_and_an_exit_code() -> None:
    ours = {reason.slug for reason in Reason}
    assert ours <= set(ENDINGS)
    assert Outcome("lost").exit is ExitCode.LOST
    assert all(ending.words == ending.words.lower().rstrip(".") for ending in ENDINGS.values())


def test_a_name_that_is_pinned_to_another_key_is_a_hard_stop(tmp_path: Path) -> None:
    trust = TrustStore(Contacts(Home.at(tmp_path)), bytes(32))
    trust.pin("bob", b"b" * 32, 0.0)
    assert trust.identify(b"b" * 32, "robert").name == "bob"
    assert trust.introduce(b"c" * 32, "carol").known == "new"
    with pytest.raises(P2PCallError) as caught:
        trust.identify(b"x" * 32, "BOB")
    assert caught.value.exit is ExitCode.UNTRUSTED


def test_somebody_without_a_name_is_called_by_the_fingerprint(tmp_path: Path) -> None:
    trust = TrustStore(Contacts(Home.at(tmp_path)), b"m" * 32)
    who = trust.introduce(b"n" * 32, "  ")
    assert who.fingerprint.startswith(who.name)
    assert who.nameless


def test_the_ring_tone_rings_and_pauses() -> None:
    pull = ring()
    frames = [pull(960) for _ in range(150)]
    assert {len(frame) for frame in frames} == {1920}
    assert any(frames[25])
    assert not any(frames[100])
    assert pull(960) == frames[0]
    assert pull(960 + 240) == frames[1] + frames[2][:480]


def test_the_sound_check_knows_the_song_from_noise() -> None:
    song = song_pcm()
    heard, other = SoundCheck(), SoundCheck()
    noise = np.random.default_rng(1).integers(-8000, 8000, len(song) // 2, dtype="<i2").tobytes()
    for start in range(0, min(len(song), 1920 * 150), 1920):
        heard.heard(song[start : start + 1920])
        other.heard(noise[start : start + 1920])
    assert heard.likeness() > 0.99
    assert other.likeness() < 0.2
    assert SoundCheck().likeness() == 0.0


def test_keys_of_the_contract_are_there() -> None:
    assert {"m", "v", "s", "w", "q", "?"} <= set(keys.CALL_KEYS)
    assert keys.call_wish("x") is None


# --- the numbers of voice frames -------------------------------------------------------------------------------


def numbers(captured: Sequence[float]) -> list[int]:
    """The ticks that frames captured until then are sent under."""
    sent: list[bytes] = []
    send = AudioSend(lambda payload, size: sent.append(payload), lambda at: round(at * 1000))
    for at in captured:
        send.on_frame(bytes(FRAME_BYTES), at)
    packets = [parse_audio(payload) for payload in sent]
    assert None not in packets
    return [packet.tick for packet in packets if packet is not None]


def test_frames_are_numbered_by_the_capture_clock() -> None:
    assert numbers([1.0, 1.02, 1.045, 1.055, 1.08]) == [0, 2, 4, 6, 8], "uneven is no gap"
    assert numbers([1.0, 1.02, 1.3, 1.32]) == [0, 2, 30, 32], "26 ticks were never captured"
    assert numbers([1.0, 1.06, 1.08]) == [0, 6, 8]


def test_pieces_of_any_ticks_become_frames_of_the_level() -> None:
    sent: list[tuple[int, int, int]] = []

    def put(payload: bytes, size: int) -> None:
        packet = parse_audio(payload)
        assert packet is not None
        sent.append((packet.tick, packet.frames()[0].ticks, packet.capture_ms))

    send = AudioSend(put, lambda at: round(at * 1000), Profile.SAFE)
    for number, ticks in enumerate((1, 3, 2, 5, 1)):
        send.on_frame(bytes(ticks * TICK_BYTES), 1.0 + sum((1, 3, 2, 5, 1)[1 : number + 1]) / 100)
    assert sent == [(0, 2, 1010), (2, 2, 1030), (4, 2, 1050), (6, 2, 1070), (8, 2, 1090), (10, 2, 1110)]
    send.on_frame(bytes(TICK_BYTES), 1.12)
    send.on_frame(bytes(2 * TICK_BYTES), 1.54)
    assert sent[6:] == [(53, 2, 1540)], "what was gathered before a gap is left out with it"


def test_frames_change_in_a_call_by_reports_and_profile_and_stay_muted() -> None:
    lengths: list[int] = []
    sizes: list[int] = []

    def put(payload: bytes, size: int) -> None:
        packet = parse_audio(payload)
        assert packet is not None
        lengths.append(packet.frames()[0].ticks)
        sizes.append(size)

    send = AudioSend(put, lambda at: round(at * 1000), Profile.SAFE)
    clear, full = Report(0, 0, 0.0, 0, 0, 0.0, 0, 0, 0), Report(0, 0, 0.8, 40, 800, 0.0, 0, 0, 0)
    at = 0.0

    def capture(ticks: int, seconds: float) -> list[int]:
        nonlocal at
        lengths.clear()
        for _ in range(round(seconds / (ticks * TICK_S))):
            at += ticks * TICK_S
            send.on_frame(bytes(ticks * TICK_BYTES), at)
        return lengths

    assert set(capture(2, 1)) == {2}
    assert send.piece_ticks == 2
    send.profile = Profile.FAST
    assert send.piece_ticks == 1
    assert capture(1, 1) == [1] * 100
    send.on_report(clear, 0.05, 1.0)
    send.on_report(full, 0.05, 2.0)
    assert set(capture(1, 3)) == {6}
    first, send.muted = list(sizes[-40:]), True
    capture(1, 2.4)
    assert sorted(set(sizes[-40:])) == sorted(set(first))


def test_a_capture_clock_that_leaps_or_goes_back_is_not_followed() -> None:
    assert numbers([1.0, 1.02 + MAX_UNNUMBERED_S, 1.04 + MAX_UNNUMBERED_S, 0.5, 0.52]) == [0, 2, 4, 6, 8]


class Playout:
    """A tone on the way, and a speaker that takes it 20 ms at a time."""

    def __init__(self, amplitude: float) -> None:
        self.at, self.packets, self.heard = 0.0, list[bytes](), list[bytes]()
        self.send = AudioSend(lambda packet, size: self.packets.append(packet), lambda at: round(at * 1000))
        self.receive = AudioReceive(lambda: self.at)
        self.tone = amplitude * np.sin(np.arange(FRAME_BYTES // 2) * (2 * np.pi * 12 / (FRAME_BYTES // 2)))

    def frame(self, *, arrives: bool = True, lost: bool = False) -> bytes:
        """20 ms go by."""
        self.at += FRAME_S
        self.send.on_frame(self.tone.astype("<i2").tobytes(), self.at)
        while self.packets and arrives:
            packet = self.packets.pop(0)
            if not lost:
                self.receive.on_payload(packet)
        self.heard.append(self.receive.pull(960))
        return self.heard[-1]


def frames_to_change(amplitude: float) -> int:
    """A tone is held up by a stall: how many frames of it are played until it is first shortened."""
    playout = Playout(amplitude)
    for number in range(600):
        playout.frame(arrives=not 400 <= number < 403)
        if playout.receive.buffer.counters.removed and number > 403:
            return number - 403
    raise AssertionError("it stays too deep")


def test_a_delay_shrinks_in_a_pause_before_it_shrinks_in_a_word() -> None:
    longer = (JITTER_SHRINK_LOUD - 1) * JITTER_SHRINK_TICKS // FRAME_TICKS
    assert frames_to_change(10_000) - frames_to_change(0) == longer


def test_a_tone_whose_delay_shrinks_has_no_click() -> None:
    playout = Playout(10_000)
    for number in range(700):
        playout.frame(arrives=not 400 <= number < 402)
    assert playout.receive.buffer.counters.removed > 600
    sound = np.frombuffer(b"".join(playout.heard[410:]), "<i2").astype(int)
    assert np.abs(np.diff(sound)).max() < 1.05 * 10_000 * 2 * np.pi * 12 / (FRAME_BYTES // 2)


@pytest.mark.parametrize("ticks", [1, 2, 3])
def test_the_speaker_gets_as_many_ticks_as_it_asks_for(ticks: int) -> None:
    playout = Playout(10_000)
    for _ in range(40):
        playout.frame()
    receive = playout.receive
    for _ in range(4):
        assert len(receive.pull(480 * ticks)) == ticks * TICK_BYTES


def test_what_is_told_as_captured_is_what_left_for_the_speaker() -> None:
    playout = Playout(10_000)
    for _ in range(40):
        playout.frame()
    receive = playout.receive
    before = receive.last_capture_ms
    receive.pull(480)
    assert before is not None and receive.ready_ms == TICK_MS
    assert receive.last_capture_ms == before + TICK_MS


def test_when_nothing_comes_sound_fades_into_the_room_and_comes_back_softly() -> None:
    playout = Playout(10_000)
    for _ in range(100):
        playout.frame()
    level = rms(playout.heard[-1])
    playout.receive._pauses.level = 60.0
    gone = [rms(playout.frame(lost=True)) for _ in range(300)]
    assert gone[3] > level / 4, "made up"
    assert gone[9] < gone[6] / 2, "fades"
    assert gone[30:100] == pytest.approx([60.0] * 70, rel=0.5), "the room"
    assert max(gone[-20:]) == 0, "nobody is there any more"
    back = [playout.frame() for _ in range(4)]
    first = next(frame for frame in back if rms(frame) > 100)
    assert np.abs(np.frombuffer(first, "<i2")[:10]).max() < 600


def rms(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, "<i2").astype(float) ** 2)))


def test_what_is_of_no_use_to_sound_and_picture_is_told_by_its_reason() -> None:
    receive = AudioReceive(lambda: 1.0)
    assert media_drops(receive, None) + Counter() == {}
    receive.on_payload(b"no sound")
    receive.buffer.counters.late, receive.buffer.counters.skipped, receive.buffer.counters.rejected = 2, 3, 4
    assert media_drops(receive, None) + Counter() == {"malformed": 1, "late": 5, "unlikely": 4}
