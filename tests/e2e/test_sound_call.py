"""Calls between sound cards: both directions at once, the ring tone, and cards that fail while the call is up.

The cards are null sinks of a private PulseAudio: what is played into `mic_a` comes out of the microphone of a, what the
speaker of b plays is recorded from `spk_b`. Delays are printed, not judged: this machine may be busy.
"""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import sound
from harness import P2P
from pairs import LISTEN, Start, dialling, listening, media
from person import QUESTION_WITHOUT_CAMERA, waiting
from pulse import PulseServer, Recording, Sink
from taps import Way, tapped, travelled
from tries import best

pytestmark = pytest.mark.device

CARDS = media("default", "default")
HEARD = 0.55
"""Likeness of what was heard to what was said, after two cards and the codec: nearly 1, on a machine that often stands
still 0.65. Of a stranger's saying it is 0.47 at most.
"""
HEARD_BY_THEN_S = 1.0
LOUD = 0.02


def say(pulse: PulseServer, tmp_path: Path, sink: Sink, seconds: float, seed: int = 1) -> "Popen[bytes]":
    """Start to say something into a microphone; another seed is another saying."""
    return pulse.play(sink, sound.speech_wav(tmp_path / f"{sink}.wav", seconds, seed=seed))


@pytest.mark.apart
def test_both_hear_each_other_at_once(pulse_server: PulseServer, p2p: Start, tmp_path: Path) -> None:
    bob, target = listening(p2p, "--answer", "anyone", "--once", using=CARDS, env=pulse_server.env("b"))
    alice = dialling(p2p, target, using=CARDS, env=pulse_server.env("a"))
    alice.wait_event("first-audio")
    bob.wait_event("first-audio")

    def talk(_: int) -> dict[str, Way]:
        with tapped(pulse_server, "mic_a", "spk_b", "mic_b", "spk_a") as (mic_a, spk_b, mic_b, spk_a):
            players = [
                say(pulse_server, tmp_path, "mic_a", 4, seed=1),
                say(pulse_server, tmp_path, "mic_b", 4, seed=2),
            ]
            assert [player.wait() for player in players] == [0, 0]
            spk_a.wait_more(HEARD_BY_THEN_S)
            spk_b.wait_more(HEARD_BY_THEN_S)
            ways = {"a to b": travelled(mic_a, spk_b), "b to a": travelled(mic_b, spk_a)}
            stray = {"a to a": travelled(mic_a, spk_a), "b to b": travelled(mic_b, spk_b)}
        assert max(way.likeness for way in stray.values()) < HEARD, stray
        for way, process in zip(ways.values(), (bob, alice), strict=True):
            told = process.all_events("stats")[-1]["audio_delay_ms"]
            print(f"mouth to ear {1000 * way.delay_s:.0f} ms, told {told}")
        return ways

    def judge(ways: dict[str, Way]) -> None:
        assert all(way.likeness > HEARD and 0 < way.delay_s < 1 for way in ways.values())

    best(talk, judge)
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == bob.wait_exit() == 0


def listeners_to(pulse: PulseServer, source: str) -> int:
    """How many programs record from a source."""
    names = {row["index"]: row["name"] for row in json.loads(pulse.control("-f", "json", "list", "sources"))}
    outputs = json.loads(pulse.control("-f", "json", "list", "source-outputs"))
    return sum(names.get(row["source"]) == source for row in outputs)


@pytest.mark.terminal
@pytest.mark.parametrize(("answer", "status"), [("d", 4), ("a", 0)])
def test_no_microphone_is_open_on_either_side_before_the_answer_or_after_a_no(
    pulse_server: PulseServer, p2p: Start, answer: str, status: int
) -> None:
    """By the sound server's own count."""

    def listening_now() -> int:
        return sum(listeners_to(pulse_server, f"mic_{side}.monitor") for side in "ab")

    bob, target = waiting(p2p, using=CARDS, env=pulse_server.env("b"))
    alice = dialling(p2p, target, using=CARDS, env=pulse_server.env("a"))
    alice.wait_event("ringing")
    bob.wait_screen(*QUESTION_WITHOUT_CAMERA)
    assert listening_now() == 0
    bob.send(answer)
    if answer == "a":
        alice.wait_event("first-audio")
        bob.wait_until(lambda: listening_now() == 2, "both microphones")
        alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == status
    bob.wait_until(lambda: listening_now() == 0, "no microphone")


@pytest.mark.terminal
def test_it_rings_on_the_speaker_and_does_not_listen_before_the_answer(
    pulse_server: PulseServer, p2p: Start
) -> None:
    with pulse_server.record("spk_b") as heard:
        bob, target = waiting(p2p, using=CARDS, env=pulse_server.env("b"))
        assert sound.rms(heard.samples) == 0
        alice = dialling(p2p, target, using=media("silence"))
        bob.wait_screen(*QUESTION_WITHOUT_CAMERA)
        heard.wait_sound(LOUD)
        assert listeners_to(pulse_server, "mic_b.monitor") == 0
        bob.send("a")
        alice.wait_event("first-audio")
        while listeners_to(pulse_server, "mic_b.monitor") == 0:
            assert bob.exit_code is None
        alice.signal(signal.SIGTERM)
        assert alice.wait_exit() == 0
        bob.wait_screen("hung up after 0:")
        while listeners_to(pulse_server, "mic_b.monitor"):
            assert bob.exit_code is None


def test_a_card_of_another_name_is_not_there(pulse_server: PulseServer, p2p: Start) -> None:
    for option, word in (("--audio-in", "microphone"), ("--audio-out", "speaker")):
        using = media("default", "default")
        using[using.index(option) + 1] = "no such card"
        process = dialling(p2p, "127.0.0.1:9", using=using, env=pulse_server.env("a"), name=word)
        assert process.wait_exit() == 6
        error = process.wait_event("error", slug="no-such-device", exit=6)
        assert word in error["text"]
        assert "p2pcall devices" in error["hint"]


# ---- cards that fail while the call is up


def call_with_a_file(
    pulse: PulseServer, p2p: Start, tmp_path: Path, *dial: str, bob_talks: bool = True, **where: Any
) -> tuple[P2P, P2P]:
    """Alice talks through her card, bob from a file and into a pipe: what he hears is his standard output."""
    wav = sound.speech_wav(tmp_path / "bob.wav", 4, seed=2) if bob_talks else "silence"
    bob = p2p(
        *LISTEN, "--name", "bob", "--answer", "anyone", "--once", "--loop", *media(wav, "-"), name="bob"
    )
    bob.wait_stderr("waiting for calls as bob, port ")
    target = f"127.0.0.1:{bob.stderr_text.partition('port ')[2].split()[0]}"
    alice = dialling(p2p, target, *dial, **{"using": CARDS, "env": pulse.env("a"), **where})
    alice.wait_event("first-audio")
    return alice, bob


def wait_heard(bob: P2P) -> None:
    """Wait until bob hears something that he has not heard yet."""
    seen = len(bob.stdout) & ~1

    def loud() -> bool:
        return sound.rms(sound.from_pcm(bytes(bob.stdout[max(seen, len(bob.stdout) - 9600 & ~1) :]))) > LOUD

    bob.wait_until(loud, "sound from alice")


def wait_quiet(bob: P2P, seconds: float = 0.5) -> None:
    """Wait until bob has heard nothing for so long, and yet his speaker goes on: the line is alive."""
    seen, size = len(bob.stdout) & ~1, int(2 * sound.RATE * seconds) & ~1

    def quiet() -> bool:
        last = bytes(bob.stdout[-size:])
        return len(bob.stdout) >= seen + size and sound.rms(sound.from_pcm(last)) < LOUD / 10

    bob.wait_until(quiet, "silence from alice")


def wait_hears(alice: Recording) -> None:
    """Wait until something more is recorded, and it is not silence."""
    alice.wait_more(1.0)
    assert sound.rms(alice.samples[-sound.RATE :]) > LOUD


@pytest.mark.apart
def test_a_microphone_that_stands_still_leaves_the_other_direction_alone(
    pulse_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    alice, bob = call_with_a_file(pulse_server, p2p, tmp_path)
    say(pulse_server, tmp_path, "mic_a", 30)
    wait_heard(bob)
    with pulse_server.record("spk_a") as speaker:
        pulse_server.control("suspend-sink", "mic_a", "1")
        warning = alice.wait_event("warning")
        assert (warning["slug"], "microphone" in warning["text"]) == ("device-stalled", True)
        wait_hears(speaker)
        wait_quiet(bob)
        pulse_server.control("suspend-sink", "mic_a", "0")
        wait_heard(bob)
        wait_hears(speaker)
    assert len(alice.all_events("warning")) == 1
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == bob.wait_exit() == 0


@pytest.mark.terminal
def test_a_sound_server_that_dies_and_comes_back(
    pulse_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    """The picture stays clean: the libraries' own complaints do not get on it."""
    alice, bob = call_with_a_file(
        pulse_server, p2p, tmp_path, using=media("default", "default", video_out="auto"), terminal=(80, 24)
    )
    say(pulse_server, tmp_path, "mic_a", 30)
    wait_heard(bob)
    pulse_server.close(signal.SIGKILL)
    warnings = [alice.wait_event("warning"), alice.wait_event("warning")]
    assert {warning["slug"] for warning in warnings} <= {"device-lost", "device-stalled"}
    assert sorted(warning["text"].split()[1] for warning in warnings) == ["microphone", "speaker"]
    wait_quiet(bob)
    alice.wait_event("stats")
    assert alice.wait_event("stats")["rx_kbps"] > 0
    with PulseServer(pulse_server.directory) as again:
        with again.record("spk_a") as speaker:
            speaker.wait_sound(LOUD)
            say(again, tmp_path, "mic_a", 10)
            wait_heard(bob)
        alice.send("q")
        assert alice.wait_exit() == bob.wait_exit() == 0
    assert b"pa_linux_alsa" not in alice.terminal_output


@contextlib.contextmanager
def hanging(pulse: PulseServer) -> Iterator[None]:
    """The server stands still, and whoever asks it anything waits."""
    pulse.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        pulse.send_signal(signal.SIGCONT)


def test_a_sound_server_that_hangs_does_not_hang_the_call(
    pulse_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    """Both cards are given up, and tried again once or twice; the rest goes on, to the end of the process."""
    alice, bob = call_with_a_file(pulse_server, p2p, tmp_path)
    with hanging(pulse_server):
        for _ in ("microphone", "speaker"):
            alice.wait_event("warning", slug="device-stalled")
        seconds = len(alice.all_events("stats")) + 5
        alice.wait_until(lambda: len(alice.all_events("stats")) >= seconds, "five seconds more of the call")
        assert all(stats["rx_kbps"] > 0 for stats in alice.all_events("stats")[-5:])
        alice.signal(signal.SIGTERM)
        assert alice.wait_exit() == 0
    assert bob.wait_exit() == 0


def test_after_a_hang_the_next_call_has_its_cards_again(pulse_server: PulseServer, p2p: Start) -> None:
    alice, target = listening(p2p, "--answer", "anyone", using=CARDS, env=pulse_server.env("a"))
    first = dialling(p2p, target, name="first")
    alice.wait_event("first-audio")
    with hanging(pulse_server):
        alice.wait_event("warning", slug="device-stalled")
        first.signal(signal.SIGTERM)
        assert first.wait_exit() == 0
        alice.wait_event("ended")
    with pulse_server.record("spk_a") as heard:
        dialling(p2p, target, using=media("tone"), name="second")
        heard.wait_sound(LOUD)
        while listeners_to(pulse_server, "mic_a.monitor") == 0:
            assert alice.exit_code is None
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == 0
