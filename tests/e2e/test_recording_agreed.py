"""Recordings that both agree to, between two real processes: on screens, for scripts, after a crash."""

import json
import signal
from pathlib import Path

import pytest
from harness import P2P
from pairs import Start, dialling, identity, in_call, listening, media, seconds_pass
from person import calling, wait_card, wait_status, wait_told, waiting

from p2pcall.store.recording_keys import recording_key
from p2pcall.store.recordings import RecordingReader, Track

QUESTION = ("record this call?", "asks, and would keep it for 30 days", "[y]es, record", "[n]o")
TONE = media("tone")


def told(process: P2P) -> list[tuple[str, str]]:
    """What a script is told of recordings."""
    return [(event["side"], event["state"]) for event in process.all_events("recording")]


def wait_state(process: P2P, side: str, state: str) -> dict[str, object]:
    process.wait_until(lambda: (side, state) in told(process), f"recording {side} {state}")
    return next(one for one in process.all_events("recording") if one["state"] == state)


@pytest.mark.terminal
def test_a_recording_is_refused_at_the_other_terminal(p2p: Start) -> None:
    bob, target = waiting(p2p, "--answer", "anyone", using=TONE)
    alice = calling(p2p, target, using=TONE)
    wait_status(alice, "bob")
    wait_status(alice, "↑mic")
    wait_status(bob, "alice")
    alice.send("r")
    bob.wait_screen("alice", *QUESTION)
    bob.send("n")
    wait_status(alice, "does not agree")
    wait_status(alice, "● you rec", there=False)
    alice.send("q")
    wait_told(bob, "hung up")


@pytest.mark.terminal
@pytest.mark.parametrize("size", [(80, 24), (40, 12)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_recording_is_agreed_to_shown_on_both_screens_and_taken_back(
    p2p: Start, tmp_path: Path, size: tuple[int, int]
) -> None:
    bob, target = waiting(p2p, "--answer", "anyone", using=TONE, terminal=size)
    alice = dialling(p2p, target, "--record", str(tmp_path / "bob.rec"), using=TONE)
    bob.wait_screen("record this call?", "[y]es, record", "[n]o")
    seconds_pass(alice, 1)
    assert told(alice) == [("local", "asked")]
    bob.send("y")
    assert wait_state(alice, "local", "on")["file"] == str(tmp_path / "bob.rec")
    wait_status(bob, "● other")
    seconds_pass(alice, 2)
    bob.send("r")
    wait_state(alice, "local", "off")
    wait_status(bob, "● other", there=False)
    assert told(alice) == [("local", state) for state in ("asked", "agreed", "on", "withdrawn", "off")]
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == 0
    path = tmp_path / "bob.rec"
    with path.open("rb") as file:
        key = recording_key(identity(tmp_path, "alice"))
        reader = RecordingReader(path, file, [key])
        tracks = [entry.track for entry in reader.entries()]
    assert reader.whole
    assert min(tracks.count(track) for track in (Track.SOUND_SENT, Track.SOUND_RECEIVED)) > 50
    assert (reader.head.other.name, reader.head.own.name) == ("bob", "alice")


@pytest.mark.terminal
def test_a_killed_process_leaves_a_recording_that_plays_to_its_last_second(
    p2p: Start, tmp_path: Path
) -> None:
    bob, target = waiting(p2p, "--answer", "anyone", using=TONE)
    path = tmp_path / "bob.rec"
    alice = dialling(p2p, target, "--record", str(path), using=TONE)
    bob.wait_screen(*QUESTION)
    seconds_pass(alice, 1)
    bob.send("y")
    wait_state(alice, "local", "on")
    seconds_pass(alice, 4)
    alice.signal(signal.SIGKILL)
    alice.wait_exit()
    played = p2p("play", str(path), "--to", str(tmp_path / "out.wav"), "--json", home=tmp_path / "alice")
    assert played.wait_exit() == 0, played.report()
    row = json.loads(played.stdout)
    assert row["whole"] is False
    assert row["seconds"] > 2
    assert "breaks off" in played.stderr_text


@pytest.mark.terminal
def test_pictures_of_a_recording_are_shown_on_a_terminal(p2p: Start, tmp_path: Path) -> None:
    card, path = media("tone", video_in="test", video_out="auto"), tmp_path / "bob.rec"
    bob, target = waiting(p2p, "--answer", "anyone", using=card)
    alice = dialling(p2p, target, "--record", str(path), using=card, terminal=(80, 24))
    bob.wait_screen(*QUESTION)
    seconds_pass(alice, 1)
    bob.send("y")
    wait_state(alice, "local", "on")
    seconds_pass(alice, 3)
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == 0
    played = p2p("play", str(path), "--audio-out", "none", home=tmp_path / "alice", terminal=(80, 24))
    wait_card(played)
    assert played.wait_exit() == 0


def test_without_a_terminal_nobody_agrees_and_scripts_are_told(p2p: Start, tmp_path: Path) -> None:
    call = in_call(p2p, dial=("--record", str(tmp_path / "bob.rec")), dial_media=TONE, listen_media=TONE)
    wait_state(call.alice, "local", "refused")
    wait_state(call.bob, "remote", "refused")
    assert told(call.bob) == [("remote", "asked"), ("remote", "refused")]
    call.alice.signal(signal.SIGTERM)
    assert call.alice.wait_exit() == 0
    assert not (tmp_path / "bob.rec").exists()


def test_who_listens_asks_too_with_the_option(p2p: Start, tmp_path: Path) -> None:
    bob, target = listening(p2p, "--answer", "anyone", "--record", str(tmp_path / "a.rec"), using=TONE)
    alice = dialling(p2p, target, using=TONE)
    wait_state(bob, "local", "refused")
    wait_state(alice, "remote", "refused")
    assert told(alice) == [("remote", "asked"), ("remote", "refused")]
