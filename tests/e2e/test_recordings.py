"""What is recorded is never lost: not by an attempt, not by the next call, not by a crash.

Alice records, bob sings one tone and shows the test card.
"""

import os
import signal
import stat
from contextlib import ExitStack
from pathlib import Path

import av
import pytest
from harness import P2P
from pairs import Start, apart, dialling, listening, media, seconds_pass

SOUND, PICTURE = (".wav", ".ogg", ".flac"), (".mkv", ".mp4", ".webm", ".mov", ".avi")
NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
ATTEMPTED = (*SOUND, *PICTURE) if NIGHTLY else (".wav", ".mkv")
CRASHED = (*SOUND, *PICTURE) if NIGHTLY else (".wav", ".ogg", ".mkv", ".mp4")
"""By day one of each way to write; that the files of each format are so is held without processes, in tests/unit."""
MOMENTS = range(1, 11) if NIGHTLY else (3,)
"""Seconds into the call at which the recording side is killed."""
LOST_S = 1.0
"""What a crash may cost."""
OLD = b"an earlier call"


def outputs(place: Path, suffix: str) -> list[str]:
    name = place / f"rec{suffix}"
    return media("silence", audio_out=name) if suffix in SOUND else media("silence", video_out=name)


def in_a_call(p2p: Start, options: list[str], **where: object) -> tuple[P2P, P2P]:
    bob, target = listening(p2p, "--answer", "anyone", using=media("tone", video_in="test"))
    alice = dialling(p2p, target, using=options, **where)
    alice.wait_event("connected")
    return alice, bob


def seconds_in(path: Path) -> float:
    """How much of it can be played."""
    with av.open(str(path)) as container:
        stream = container.streams[0]
        return max(
            (float((frame.pts or 0) * frame.time_base) for frame in container.decode(stream)), default=0.0
        )


@pytest.mark.parametrize("suffix", ATTEMPTED)
def test_an_attempt_destroys_nothing(p2p: Start, tmp_path: Path, suffix: str) -> None:
    earlier = tmp_path / f"rec{suffix}"
    earlier.write_bytes(OLD)
    nobody = p2p("dial", "127.0.0.1:9", "--bind", "127.0.0.1", *outputs(tmp_path, suffix))
    bob = p2p("listen", "--json", "--port", "0", "--announce", "off", *outputs(tmp_path, suffix))
    bob.wait_event("listening")
    assert nobody.wait_exit() == 3
    bob.signal(signal.SIGTERM)
    bob.wait_exit()
    assert earlier.read_bytes() == OLD
    assert [path.name for path in tmp_path.glob("rec*")] == [earlier.name]


def test_each_call_has_a_file_of_its_own_and_says_so(p2p: Start, tmp_path: Path) -> None:
    (tmp_path / "rec.wav").write_bytes(OLD)
    using = media("silence", audio_out=tmp_path / "rec.wav")
    bob, target = listening(p2p, "--answer", "anyone", using=using)
    for number in (2, 3):
        alice = dialling(p2p, target, "--max-duration", "1", name=f"alice{number}", using=media("tone"))
        told = bob.wait_event("warning", slug="file-exists")["text"]
        assert told.endswith(
            f"rec.wav is there already: this call is written to {tmp_path / f'rec-{number}.wav'}"
        )
        assert alice.wait_exit() == 0
        bob.wait_event("ended")
    bob.signal(signal.SIGTERM)
    bob.wait_exit()
    assert (tmp_path / "rec.wav").read_bytes() == OLD
    for number in (2, 3):
        path = tmp_path / f"rec-{number}.wav"
        assert seconds_in(path) > 0.5
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part"))


def test_force_writes_over_a_file_once_the_call_is_over(p2p: Start, tmp_path: Path) -> None:
    earlier = tmp_path / "rec.wav"
    earlier.write_bytes(OLD)
    alice, _ = in_a_call(p2p, [*media("silence", audio_out=earlier), "--force"])
    seconds_pass(alice, 1)
    assert earlier.read_bytes() == OLD
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == 0
    assert seconds_in(earlier) > 0.5
    assert not alice.all_events("warning")


def test_an_input_is_not_written_over(p2p: Start, tmp_path: Path, speech_file: Path) -> None:
    same = tmp_path / "same.wav"
    same.hardlink_to(speech_file)
    alice = p2p("dial", "127.0.0.1", *media(speech_file, audio_out=same), "--force")
    assert alice.wait_exit() == 2
    assert f"--audio-in and --audio-out are the same file, {same}" in alice.stderr_text


@pytest.mark.parametrize("at", MOMENTS)
@pytest.mark.parametrize("of", [SOUND, PICTURE], ids=["sound", "picture"])
def test_a_crash_keeps_what_was_said_up_to_a_second_before(
    p2p: Start, tmp_path: Path, of: tuple[str, ...], at: int
) -> None:
    """The calls of all formats run side by side."""
    places = {suffix: tmp_path / suffix[1:] for suffix in of if suffix in CRASHED}
    with ExitStack() as running:
        starts = {suffix: running.enter_context(apart(p2p, place)) for suffix, place in places.items()}
        calls = {
            suffix: in_a_call(start, outputs(places[suffix], suffix)) for suffix, start in starts.items()
        }
        for suffix, (alice, _) in calls.items():
            seconds_pass(alice, at)
            alice.signal(signal.SIGKILL)
            alice.wait_exit()
            (left,) = places[suffix].glob("rec*")
            assert left.name == f"rec{suffix}.part"
            assert seconds_in(left) > at - LOST_S
        again = {suffix: listens_again(start, places[suffix], suffix) for suffix, start in starts.items()}
        for suffix, listener in again.items():
            name = places[suffix] / f"rec{suffix}"
            told = listener.wait_event("warning", slug="file-found")["text"]
            assert told == f"a call that was cut short is kept as {name}"
            assert seconds_in(name) > at - LOST_S


def listens_again(start: Start, place: Path, suffix: str) -> P2P:
    """The next command that is to record there."""
    return start(
        "listen", "--json", "--port", "0", "--announce", "off", *outputs(place, suffix), name="again"
    )
