"""Options of a call: --echo, --once, --max-duration, --answer, --reach, --loop; keys that change."""

import json
import statistics
from pathlib import Path

import picture
import pytest
import sound
from pairs import Start, best_call, dialling, identity, in_call, knows, listening, media

from p2pcall.store.identity import fingerprint


def test_an_echo_sends_back_what_comes(p2p: Start, tmp_path: Path) -> None:
    says = sound.speech(3)
    wav = sound.write_wav(tmp_path / "in.wav", says)
    clip = picture.clip(tmp_path / "clip.mp4", 3)

    heard, shown = tmp_path / "out.wav", tmp_path / "out.mkv"
    call = in_call(
        p2p,
        listen=["--echo"],
        listen_media=[],
        dial=["--max-duration", "3.5"],
        dial_media=media(wav, heard, clip, shown),
    )
    assert call.alice.wait_exit() == 0
    assert call.bob.wait_event("ended")["reason"] == "max-duration"
    matches = sound.follow(says, sound.read_wav(heard))
    numbers = [picture.number_of(frame) for _, frame in picture.read(shown)]
    assert numbers == sorted(numbers)
    figures = {
        "likeness": statistics.median(match.likeness for match in matches),
        "lag_s": statistics.median(match.lag_s for match in matches),
        "pictures": len(set(numbers)),
    }
    assert figures["likeness"] > 0.8
    assert 0 < figures["lag_s"] < 0.6
    assert figures["pictures"] > 20


def test_the_longest_duration_of_either_side_counts(p2p: Start, tmp_path: Path) -> None:
    call = in_call(p2p, listen=["--max-duration", "1", "--once"])
    assert call.bob.wait_exit() == 0
    assert call.alice.wait_exit() == 0
    ended = call.bob.wait_event("ended")
    assert ended["reason"] == "max-duration"
    assert call.alice.wait_event("ended")["exit"] == 0
    duration_s = float(ended["duration_s"])
    assert duration_s == pytest.approx(1, abs=0.4)


def test_never_is_never(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "never")
    alice = dialling(p2p, target)
    assert alice.wait_exit() == 4
    assert alice.wait_event("ended")["reason"] == "declined"
    assert "alice" in bob.wait_event("warning", slug="missed-call")["text"]
    assert bob.all_events("incoming") == []


@pytest.mark.apart
def test_a_file_is_repeated(p2p: Start, tmp_path: Path) -> None:
    says = sound.speech(1.2)
    wav = sound.write_wav(tmp_path / "in.wav", says)

    def heard(start: Start, place: Path) -> tuple[float, float]:
        call = in_call(
            start,
            listen_media=media(audio_out=place / "out.wav"),
            dial=["--loop", "--max-duration", "4"],
            dial_media=media(wav),
        )
        assert call.alice.wait_exit() == 0
        call.bob.wait_event("ended")
        recording = sound.read_wav(place / "out.wav")
        later = [sound.find(says, recording[int(begin * sound.RATE) :]).likeness for begin in (1.6, 2.2)]
        return sound.find(says, recording[: int(2.0 * sound.RATE)]).likeness, max(later)

    def judge(likeness: tuple[float, float]) -> None:
        assert min(likeness) > 0.6

    best_call(p2p, tmp_path, heard, judge)


def test_a_file_is_kept_for_each_call_of_a_listener(p2p: Start, tmp_path: Path) -> None:
    """The second call must not overwrite what the first one left."""
    recording = media(audio_out=tmp_path / "out.wav")
    bob, target = listening(p2p, "--answer", "anyone", using=recording)
    for name in ("alice", "carol"):
        assert dialling(p2p, target, "--max-duration", "1", name=name, using=media("tone")).wait_exit() == 0
        bob.wait_event("ended")
    files = sorted(tmp_path.glob("out*.wav"))
    assert len(files) == 2
    assert all(sound.rms(sound.read_wav(path)) > 0.01 for path in files)


def test_whom_i_know_can_reach_me_and_nobody_else(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "bob", "alice")
    knows(tmp_path, "alice", "bob")
    bob, target = listening(p2p, "--answer", "contacts")
    stranger = dialling(p2p, target, "--timeout", "1.5", name="mallory")
    assert stranger.wait_exit() == 3
    assert stranger.all_events("ringing") == stranger.all_events("connected") == []
    alice = dialling(p2p, target, "--max-duration", "0.3", "--name", "somebody else")
    incoming = bob.wait_event("incoming")
    assert (incoming["name"], incoming["known"]) == ("alice", "contact")
    assert alice.wait_exit() == 0
    assert len(bob.all_events("incoming")) == 1


def test_strangers_are_not_answered_without_asking(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "bob", "alice")
    knows(tmp_path, "alice", "bob")
    bob, target = listening(p2p, "--answer", "verified")
    assert dialling(p2p, target).wait_exit() == 4
    assert bob.wait_event("incoming")["known"] == "contact"
    assert "alice" in bob.wait_event("warning", slug="no-terminal")["text"]


def test_another_key_under_the_name_that_answers_is_a_hard_stop(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "alice", "bob", bytes(range(32)))
    bob, target = listening(p2p, "--answer", "anyone")
    alice = dialling(p2p, target)
    assert alice.wait_exit() == 5
    told = alice.wait_event("error", slug="key-changed", exit=5)
    assert "p2pcall contacts remove" in told["hint"]
    assert f"pinned is {fingerprint(bytes(range(32)))}" in told["text"]
    assert f"shown was {identity(tmp_path, 'bob').fingerprint}" in told["text"]
    assert alice.all_events("connected") == []
    assert bob.wait_event("ended")["reason"] == "hung-up"
    assert bob.exit_code is None


def test_another_key_under_the_name_that_calls_is_a_stranger_without_a_name(
    p2p: Start, tmp_path: Path
) -> None:
    """The caller cannot tell; the owner is told, and not led to remove the contact."""
    knows(tmp_path, "bob", "alice", bytes(range(32)))
    bob, target = listening(p2p, "--answer", "anyone", "--reach", "anyone")
    alice = dialling(p2p, target, "--max-duration", "0.3")
    assert alice.wait_exit() == 0
    told = bob.wait_event("warning", slug="not-your-contact")
    assert "your contact alice" in told["text"]
    assert "remove" not in told["text"]
    assert told["fingerprint"] == identity(tmp_path, "alice").fingerprint
    incoming = bob.wait_event("incoming")
    assert (incoming["name"], incoming["known"]) == (told["name"], "new")
    assert incoming["name"] != "alice"
    assert bob.exit_code is None


def test_who_was_forgotten_is_paired_anew(p2p: Start, tmp_path: Path) -> None:
    """The key is pinned by the call, forgotten on purpose, and another one is pinned by the next call."""
    knows(tmp_path, "alice", "localhost", bytes(range(32)))
    assert p2p("contacts", "remove", "localhost", name="alice").wait_exit() == 0
    bob, target = listening(p2p, "--answer", "anyone")
    alice = dialling(p2p, target.replace("127.0.0.1", "localhost"), "--max-duration", "0.3")
    assert alice.wait_exit() == 0
    connected = alice.wait_event("connected")
    assert connected["known"] == "new"
    listed = p2p("contacts", "list", "--json", name="alice")
    assert listed.wait_exit() == 0
    (row,) = (json.loads(line) for line in listed.stdout.splitlines())
    assert (row["name"], row["fingerprint"]) == ("localhost", identity(tmp_path, "bob").fingerprint)
    assert connected["fingerprint"] == identity(tmp_path, "bob").fingerprint
    assert bob.wait_event("connected")["fingerprint"] == identity(tmp_path, "alice").fingerprint
