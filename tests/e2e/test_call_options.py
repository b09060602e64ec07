"""Options of a call, with real processes: --echo, --once, --max-duration, --answer, --reach, --loop, keys that change."""

import statistics
from pathlib import Path

import picture
import pytest
import sound
from pairs import NO_MEDIA, Start, dialling, in_call, listening


def test_an_echo_sends_back_what_comes(p2p: Start, tmp_path: Path) -> None:
    says = sound.speech(3)
    sound.write_wav(tmp_path / "in.wav", says)
    clip = picture.clip(tmp_path / "clip.mp4", 3)
    heard, shown = tmp_path / "out.wav", tmp_path / "out.mkv"
    call = in_call(
        p2p,
        listen=["--echo"],
        listen_media=[],
        dial=["--max-duration", "3.5"],
        dial_media=["--audio-in", str(tmp_path / "in.wav"), "--audio-out", str(heard)]
        + ["--video-in", str(clip), "--video-out", str(shown)],
    )
    assert call.alice.wait_exit() == 0
    assert call.bob.wait_event("ended")["reason"] == "hung-up"
    matches = sound.follow(says, sound.read_wav(heard))
    assert statistics.median(match.likeness for match in matches) > 0.8
    assert 0 < statistics.median(match.lag_s for match in matches) < 0.6
    numbers = [picture.number_of(frame) for _, frame in picture.read(shown)]
    assert len(set(numbers)) > 20
    assert numbers == sorted(numbers)


def test_once_is_once(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone", "--once")
    alice = dialling(p2p, target, "--max-duration", "0.5")
    assert alice.wait_exit() == 0
    assert bob.wait_exit() == 0
    assert len(bob.all_events("ended")) == 1


def test_the_longest_duration_of_either_side_counts(p2p: Start) -> None:
    call = in_call(p2p, listen=["--max-duration", "1", "--once"])
    assert call.bob.wait_exit() == 0
    assert call.alice.wait_exit() == 0
    ended = call.bob.wait_event("ended")
    assert ended["reason"] == "max-duration"
    assert ended["duration_s"] == pytest.approx(1, abs=0.4)
    assert call.alice.wait_event("ended")["exit"] == 0


def test_never_is_never(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "never")
    alice = dialling(p2p, target)
    assert alice.wait_exit() == 4
    assert alice.wait_event("ended")["reason"] == "declined"
    assert "alice" in bob.wait_event("warning", slug="missed-call")["text"]
    assert bob.all_events("incoming") == []


def test_a_file_is_repeated(p2p: Start, tmp_path: Path) -> None:
    says = sound.speech(1.2)
    sound.write_wav(tmp_path / "in.wav", says)
    heard = tmp_path / "out.wav"
    call = in_call(
        p2p,
        listen_media=["--audio-in", "silence", "--audio-out", str(heard), "--no-video"],
        dial=["--loop", "--max-duration", "4"],
        dial_media=["--audio-in", str(tmp_path / "in.wav"), "--audio-out", "none", "--no-video"],
    )
    assert call.alice.wait_exit() == 0
    call.bob.wait_event("ended")
    recording = sound.read_wav(heard)
    third = sound.find(says, recording[int(2.2 * sound.RATE) :])
    assert third.likeness > 0.6
    assert sound.find(says, recording[: int(2.0 * sound.RATE)]).likeness > 0.6


def test_a_file_is_kept_for_each_call_of_a_listener(p2p: Start, tmp_path: Path) -> None:
    """The second call must not overwrite what the first one left."""
    media = ["--audio-in", "silence", "--audio-out", str(tmp_path / "out.wav"), "--no-video"]
    bob, target = listening(p2p, "--answer", "anyone", media=media)
    for name in ("alice", "carol"):
        tone = ["--audio-in", "tone", *NO_MEDIA[2:]]
        assert dialling(p2p, target, "--max-duration", "1", name=name, media=tone).wait_exit() == 0
        bob.wait_event("ended")
    files = sorted(tmp_path.glob("out*.wav"))
    assert len(files) == 2
    assert all(sound.rms(sound.read_wav(path)) > 0.01 for path in files)


def test_whom_i_called_can_reach_me_and_nobody_else(p2p: Start) -> None:
    alice_listens, target = listening(p2p, "--answer", "anyone", name="alice")
    assert dialling(p2p, target, "--max-duration", "0.3", name="bob").wait_exit() == 0
    alice_listens.stop()
    bob, target = listening(p2p, "--reach", "contacts", "--answer", "contacts", name="bob")
    stranger = dialling(p2p, target, "--timeout", "2", name="mallory")
    assert stranger.wait_exit() in (3, 4)
    assert stranger.all_events("ringing") == stranger.all_events("connected") == []
    alice = dialling(p2p, target, "--max-duration", "0.5", name="alice")
    incoming = bob.wait_event("incoming")
    assert (incoming["name"], incoming["known"]) == ("alice", "contact")
    assert alice.wait_exit() == 0
    assert len(bob.all_events("incoming")) == 1


def test_contacts_are_answered_and_strangers_are_not(p2p: Start) -> None:
    alice_listens, target = listening(p2p, "--answer", "anyone", name="alice")
    assert dialling(p2p, target, "--max-duration", "0.3", name="bob").wait_exit() == 0
    alice_listens.stop()
    bob, target = listening(p2p, "--answer", "contacts", name="bob")
    assert dialling(p2p, target, name="mallory").wait_exit() == 4
    bob.wait_event("warning", slug="no-terminal")
    assert dialling(p2p, target, "--max-duration", "0.3", name="alice").wait_exit() == 0


def test_another_key_under_a_known_name_is_a_hard_stop(p2p: Start) -> None:
    """Alice knows bob; eve answers as bob. Then eve calls alice's listener as bob."""
    call = in_call(p2p, dial=["--max-duration", "0.3"])
    assert call.alice.wait_exit() == 0
    call.bob.stop()
    eve, target = listening(p2p, "--answer", "anyone", "--name", "bob", name="eve")
    alice = dialling(p2p, target, name="alice")
    assert alice.wait_exit() == 5
    told = alice.wait_event("error", slug="key-changed", exit=5)
    assert "p2pcall contacts remove" in told["hint"]
    assert alice.all_events("connected") == []
    assert eve.wait_event("ended")["reason"] == "key-changed"
    eve.stop()
    listens, target = listening(p2p, "--answer", "anyone", name="alice")
    caller = dialling(p2p, target, "--name", "bob", name="eve")
    assert caller.wait_exit() == 5
    listens.wait_event("error", slug="key-changed", exit=5)
    assert listens.all_events("incoming") == []
    assert listens.exit_code is None


def test_who_was_forgotten_is_paired_anew(p2p: Start) -> None:
    call = in_call(p2p, dial=["--max-duration", "0.3"])
    assert call.alice.wait_exit() == 0
    call.bob.stop()
    listed = p2p("contacts", "list", "--json", name="alice")
    assert listed.wait_exit() == 0
    assert b'"name":"bob"' in listed.stdout
    assert p2p("contacts", "remove", "bob", name="alice").wait_exit() == 0
    _, target = listening(p2p, "--answer", "anyone", "--name", "bob", name="eve")
    alice = dialling(p2p, target, "--max-duration", "0.3", name="alice")
    assert alice.wait_exit() == 0
    assert alice.wait_event("connected")["known"] == "new"


def test_who_i_am_is_who_others_see(p2p: Start) -> None:
    call = in_call(p2p, dial=["--max-duration", "0.3"])
    call.alice.wait_exit()
    mine = p2p("id", "--json", name="alice")
    assert mine.wait_exit() == 0
    assert call.bob_connected["fingerprint"].encode() in mine.stdout
    assert call.bob.all_events("listening")[0]["fingerprint"] == call.alice_connected["fingerprint"]
