"""What happens to sound devices while a call is up: taken away and given back, another default; and a test of them.

The cards are null sinks of a private PulseAudio, and of a private PipeWire. In each story the call goes on, says in a
sentence what it can know to be wrong, and has its sound back by itself.
"""

import json
import signal
from pathlib import Path

import pytest
from harness import P2P
from pairs import Start, dialling, listening, media, seconds_pass
from pulse import ALL, PulseServer, Sink
from test_sound_call import CARDS, LOUD, call_with_a_file, say, wait_heard, wait_hears, wait_quiet

pytestmark = pytest.mark.device


def on(server: str) -> pytest.MarkDecorator:
    """What is told of one server only."""
    return pytest.mark.parametrize("sound_server", [server], indirect=True)


def end(alice: P2P, bob: P2P) -> None:
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == bob.wait_exit() == 0


def wait_both_told(alice: P2P) -> None:
    """Microphone and speaker are away, in a sentence each."""
    warnings = [alice.wait_event("warning"), alice.wait_event("warning")]
    assert {one["slug"] for one in warnings} <= {"device-lost", "device-stalled"}
    assert sorted(one["text"].split()[1] for one in warnings) == ["microphone", "speaker"]


def test_where_a_card_is_pulled_out_and_there_is_another_the_call_goes_on_there(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    """The server moves the streams, and says nothing of it. It is the default one: a stream that was to be on a card by
    name is not made anew without that card, and ALSA's plugin makes it anew when the machine was busy.
    """
    sound_server.set_default("spk_a")
    alice, bob = call_with_a_file(sound_server, p2p, tmp_path, env=sound_server.env("a", speaker=False))
    say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    sound_server.unplug("spk_a")
    with sound_server.record(sound_server.default_sink()) as other:
        other.wait_sound(LOUD)
        wait_hears(other)
    wait_heard(bob)
    assert {one["slug"] for one in alice.all_events("warning")} <= {"microphone-silent"}
    end(alice, bob)


@on("pulseaudio")
def test_when_all_cards_are_pulled_out_that_is_told_and_they_are_used_again_when_they_are_back(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    alice, bob = call_with_a_file(sound_server, p2p, tmp_path)
    say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    for sink in ALL:
        sound_server.unplug(sink)
    wait_both_told(alice)
    wait_quiet(bob)
    assert alice.wait_event("stats")["rx_kbps"] > 0
    for sink in ALL:
        sound_server.plug(sink)
    with sound_server.record("spk_a") as speaker:
        speaker.wait_sound(LOUD)
        wait_hears(speaker)
        say(sound_server, tmp_path, "mic_a", 60)
        wait_heard(bob)
    assert len(alice.all_events("warning")) == 2, "each is told once"
    end(alice, bob)


@on("pipewire")
def test_where_a_server_has_a_dummy_in_the_place_of_cards_the_call_goes_on_there_until_they_are_back(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    """PipeWire says nothing of it: streams go on, and the dummy's microphone gives what its speaker plays. That is told
    if it lasts.
    """
    sound_server.set_default("spk_a")
    alice, bob = call_with_a_file(sound_server, p2p, tmp_path, env=sound_server.env())
    with sound_server.record("spk_a") as speaker:
        speaker.wait_sound(LOUD)
    for sink in ALL:
        sound_server.unplug(sink)
    seconds_pass(alice, 2)
    for sink in ALL:
        sound_server.plug(sink)
    sound_server.set_default("spk_a")
    with sound_server.record("spk_a") as speaker:
        speaker.wait_sound(LOUD)
        wait_hears(speaker)
    assert {one["slug"] for one in alice.all_events("warning")} <= {"microphone-copies-speaker"}
    end(alice, bob)


def test_a_server_that_gives_the_speaker_in_the_place_of_a_microphone_is_told_and_nobody_hears_themselves(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    """PulseAudio gives the monitor of the last card, PipeWire that of a dummy, and nothing says so but the sound."""

    def default() -> None:
        sound_server.set_default("spk_a")
        sound_server.control("set-default-source", sound_server.source_of("mic_a"))

    default()
    alice, bob = call_with_a_file(sound_server, p2p, tmp_path, env=sound_server.env())
    player = say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    player.terminate()
    others: tuple[Sink, ...] = ("unused", "mic_a", "mic_b", "spk_b")
    for sink in others:
        sound_server.unplug(sink)
    warning = alice.wait_event("warning", slug="microphone-copies-speaker")
    assert "nothing of it is sent" in warning["text"]
    wait_quiet(bob, 2.0)
    for sink in others:
        sound_server.plug(sink)
    default()
    say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    end(alice, bob)


def test_a_microphone_that_is_pulled_out_is_used_again_when_it_is_back(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    """It is the default one; meanwhile the server gives another, where nobody speaks."""
    sound_server.set_default("mic_a")
    alice, bob = call_with_a_file(sound_server, p2p, tmp_path, bob_talks=False, env=sound_server.env())
    player = say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    player.terminate()
    sound_server.unplug("mic_a")
    wait_quiet(bob)
    sound_server.plug("mic_a")
    say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    assert {one["slug"] for one in alice.all_events("warning")} <= {"microphone-silent"}
    end(alice, bob)


@on("pipewire")
def test_a_sound_server_that_is_killed_is_told_and_its_cards_are_used_again_when_it_is_back(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    alice, bob = call_with_a_file(sound_server, p2p, tmp_path)
    say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    sound_server.close(signal.SIGKILL)
    wait_both_told(alice)
    wait_quiet(bob)
    assert alice.wait_event("stats")["rx_kbps"] > 0
    with sound_server, sound_server.record("spk_a") as speaker:
        speaker.wait_sound(LOUD)
        wait_hears(speaker)
        say(sound_server, tmp_path, "mic_a", 60)
        wait_heard(bob)
        end(alice, bob)
    assert len(alice.all_events("warning")) == 2, "each is told once"


@on("pipewire")
def test_a_sound_server_that_hangs_is_told_and_its_cards_are_used_again_when_it_goes_on(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    alice, bob = call_with_a_file(sound_server, p2p, tmp_path)
    say(sound_server, tmp_path, "mic_a", 60)
    wait_heard(bob)
    sound_server.send_signal(signal.SIGSTOP)
    wait_both_told(alice)
    wait_quiet(bob)
    sound_server.send_signal(signal.SIGCONT)
    with sound_server.record("spk_a") as speaker:
        speaker.wait_sound(LOUD)
        wait_hears(speaker)
        wait_heard(bob)
    assert len(alice.all_events("warning")) == 2, "each is told once"
    end(alice, bob)


def test_a_call_on_the_default_devices_goes_on_when_the_default_changes(
    sound_server: PulseServer, p2p: Start, tmp_path: Path
) -> None:
    sound_server.set_default("spk_a")
    bob, target = listening(p2p, "--answer", "anyone", "--once", "--loop", using=media("tone"))
    alice = dialling(p2p, target, using=CARDS, env=sound_server.env())
    alice.wait_event("first-audio")
    with sound_server.record("spk_a") as before, sound_server.record("spk_b") as after:
        wait_hears(before)
        sound_server.set_default("spk_b")
        after.wait_sound(LOUD)
        wait_hears(after)
    seconds = len(alice.all_events("stats")) + 3
    alice.wait_until(lambda: len(alice.all_events("stats")) >= seconds, "the call goes on")
    assert not {one["slug"] for one in alice.all_events("warning")} - {"microphone-silent"}
    end(alice, bob)


def test_devices_are_tested_on_real_cards(sound_server: PulseServer, p2p: Start, tmp_path: Path) -> None:
    with sound_server.record("spk_a") as heard:
        say(sound_server, tmp_path, "mic_a", 10)
        tested = p2p("devices", "--test", "--json", env=sound_server.env("a"))
        assert tested.wait_exit() == 0
        heard.wait_sound(LOUD)
        found = json.loads(tested.stdout)
    assert found["verdict"] == "good"
    assert -40 < found["level_dbfs"] < found["peak_dbfs"] <= 0
    assert 0 < found["microphone_ms"] < 500
    assert 0 < found["speaker_ms"] < 2500
    print(f"microphone {found['microphone_ms']} ms, speaker {found['speaker_ms']} ms")


@on("pulseaudio")
def test_a_silent_microphone_is_found_and_told_in_a_call(sound_server: PulseServer, p2p: Start) -> None:
    environ = sound_server.env("a")
    tested = p2p("devices", "--test", env=environ, name="tested")
    assert tested.wait_exit() == 0
    assert "your microphone is silent" in tested.stdout.decode()
    bob, target = listening(p2p, "--answer", "anyone", "--once", using=media("tone"))
    alice = dialling(p2p, target, using=CARDS, env=environ)
    assert "silent" in alice.wait_event("warning", slug="microphone-silent")["text"]
    end(alice, bob)


def test_a_test_without_a_sound_server_exits_with_6(sound_server: PulseServer, p2p: Start) -> None:
    environ = sound_server.env("a")
    sound_server.close()
    tested = p2p("devices", "--test", env=environ)
    assert tested.wait_exit() == 6
    assert b"there is no microphone" in tested.stderr
