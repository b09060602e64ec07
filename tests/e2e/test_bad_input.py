"""Bad surroundings: no PortAudio, no camera, a full disk, a taken port, readers that have had enough.

Options, targets, device names and files that are wrong in themselves are in the tests of the command line.
"""

import os
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import sound
from harness import P2P, ROOT
from netns import NetnsPair
from pairs import DIAL, LISTEN, NO_MEDIA, Start, dialling, in_call, listening, media

BASH = ("bash", "-c")
P2PCALL = f"{shlex.quote(sys.executable)} -m p2pcall"
NOBODY = "127.0.0.1:9"
TRIED_AGAIN_S = 5.5
"""After so long a lost sound device has been tried again, and a file begun anew would have filled the disk again."""
AT_ONCE_S = 5.0
"""Long for a machine under load, and short of every time-out of the protocol that could end a call instead."""

SmallDisk = Callable[[str], dict[str, Any]]


def told(process: P2P, code: int) -> str:
    """What the error says and hints, once it ended with this code; it is told once, in two lines."""
    assert process.wait_exit() == code, process.report()
    lines = process.stderr_text.splitlines()
    assert len(lines) == 2, process.stderr_text
    assert lines[0].startswith("p2pcall: error: ")
    assert lines[1].startswith("p2pcall: hint: ")
    return process.stderr_text


# ---- devices


@pytest.fixture
def no_portaudio(tmp_path: Path) -> dict[str, str]:
    """An environment in which `import sounddevice` fails as it does without the PortAudio library."""
    place = tmp_path / "nolibrary"
    place.mkdir()
    (place / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    return {"PYTHONPATH": f"{place}:{ROOT}"}


def test_without_portaudio_files_and_none_still_work(
    p2p: Start, no_portaudio: dict[str, str], tmp_path: Path
) -> None:
    says = sound.speech(1.5)
    wav = sound.write_wav(tmp_path / "in.wav", says)

    using, heard = {"env": no_portaudio}, tmp_path / "out.wav"
    bob, target = listening(p2p, "--answer", "anyone", "--once", using=media("none", heard), **using)
    alice = dialling(p2p, target, "--hangup-on-eof", using=media(wav), **using)
    assert (alice.wait_exit(), bob.wait_exit()) == (0, 0)
    windows = sound.follow(says, sound.read_wav(heard))
    assert statistics.median(match.likeness for match in windows) > 0.7


@pytest.mark.skipif(any(Path("/dev").glob("video*")), reason="there is a camera here")
def test_no_camera_is_a_warning_unless_it_was_asked_for(p2p: Start) -> None:
    filming = ["--audio-in", "silence", "--audio-out", "none", "--video-out", "none"]
    call = in_call(p2p, dial=["--max-duration", "0.3"], dial_media=filming)
    assert call.alice.wait_exit() == 0
    assert "camera" in call.alice.wait_event("warning")["text"]
    assert "camera" in told(p2p(*DIAL, NOBODY, *filming, "--video-in", "camera"), 6)


# ---- disks


@pytest.fixture
def small_disk(tmp_path: Path) -> tuple[Path, SmallDisk]:
    """A directory, and what starts a process (keywords of `p2p`) for which it is a file system of this size.

    It is mounted in a mount namespace of the process; /proc/PID/root shows to others what is on it.
    """
    place = tmp_path / "small"
    place.mkdir()
    script = f'mount -t tmpfs -o size="$0" none {place} && exec {P2PCALL} "$@"'
    return place, lambda size: {"program": ["unshare", "-m", "sh", "-c", script, size]}


@pytest.mark.netns
def test_a_full_disk_is_a_warning_and_the_call_goes_on(
    p2p: Start, small_disk: tuple[Path, SmallDisk], tmp_path: Path
) -> None:
    """Both sides record what they hear."""
    place, disk = small_disk
    bob_media, alice_media = media("song", place / "bob.wav"), media("song", place / "alice.ogg")

    bob, target = listening(p2p, "--answer", "anyone", using=bob_media, **disk("128k"))
    alice = dialling(p2p, target, using=alice_media, **disk("12k"))
    began = bob.wait_event("connected")["t"]
    full = {process: process.wait_event("warning") for process in (bob, alice)}
    for process, name in ((bob, "bob.wav"), (alice, "alice.ogg")):
        assert f"{place}/{name}: no space left on device" in full[process]["text"]
        wait_for_stats_at(process, full[process]["t"] + TRIED_AGAIN_S)
    assert [len(process.all_events("warning")) for process in (bob, alice)] == [1, 1], "told once"
    kept = sound.read_wav(Path(f"/proc/{bob.pid}/root{place}/bob.wav"))
    with av.open(f"/proc/{alice.pid}/root{place}/alice.ogg") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 0.5 * sound.RATE
    alice.stop()
    assert bob.wait_event("ended")["reason"] == "hung-up"
    figures = {"kept_s": len(kept) / sound.RATE, "until_full_s": full[bob]["t"] - began}
    assert figures["kept_s"] == pytest.approx(figures["until_full_s"], abs=0.7), "what was recorded is kept"


@pytest.mark.netns
def test_a_full_disk_for_the_picture_is_a_warning_too(p2p: Start, small_disk: tuple[Path, SmallDisk]) -> None:
    place, disk = small_disk
    recording = media(video_out=place / "bob.mkv")
    bob, target = listening(p2p, "--answer", "anyone", using=recording, **disk("24k"))
    alice = dialling(p2p, target, using=media(video_in="test"))
    warning = bob.wait_event("warning", timeout=10)
    assert "bob.mkv" in warning["text"]
    wait_for_stats_at(bob, warning["t"])
    assert Path(f"/proc/{bob.pid}/root{place}/bob.mkv").stat().st_size > 0, "what there is, is kept"
    alice.stop()
    assert bob.wait_event("ended")["reason"] == "hung-up"


def wait_for_stats_at(process: P2P, t: float) -> None:
    """Wait until the call has gone on to this moment."""
    process.wait_until(
        lambda: any(event["t"] > t for event in process.all_events("stats")), "further statistics"
    )


# ---- ports and readers


def test_a_port_that_is_taken_is_told(p2p: Start) -> None:
    bob, target = listening(p2p)
    port = target.rpartition(":")[2]
    second = p2p(
        "listen", "--bind", "127.0.0.1", "--port", port, "--announce", "off", *NO_MEDIA, name="carol"
    )
    text = told(second, 2)
    for word in (f"port {port} is in use", f"ss -ulpn 'sport = :{port}'", "--port 0"):
        assert word in text
    third = p2p("dial", NOBODY, "--bind", "127.0.0.1", "--port", port, *NO_MEDIA, name="dave")
    assert "--port 0" in told(third, 2)
    assert bob.exit_code is None


def test_a_dialler_does_not_mind_that_the_default_port_is_taken(p2p: Start) -> None:
    """On one machine `listen` and `dial` both want it: the dialler takes another."""
    _, target = listening(p2p, "--answer", "anyone")
    options = ["--bind", "127.0.0.1", "--json", "--max-duration", "0.5", *NO_MEDIA]
    diallers = [p2p("dial", target, *options, name="alice")]
    diallers[0].wait_event("connected")
    diallers.append(p2p("dial", target, *options, name="carol"))
    assert diallers[0].wait_exit() == 0
    assert diallers[1].wait_exit() in (0, 4)


def quiet(process: P2P) -> None:
    """It ended well and said nothing."""
    assert process.wait_exit() == 0, process.report()
    assert process.stderr_text == ""


def test_a_reader_of_the_dialler_that_has_enough(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone")
    dial = f"{P2PCALL} {' '.join((*DIAL, target, '--json', *NO_MEDIA))}"
    alice = p2p(f"set -o pipefail; {dial} | head -1", program=BASH, name="alice")
    bob.wait_event("incoming")
    bob.wait_event("ended", timeout=AT_ONCE_S)
    quiet(alice)
    assert [event["event"] for event in alice.events] == ["dialling"]


def test_a_reader_of_the_dialler_that_has_enough_in_the_call(p2p: Start) -> None:
    bob, target = listening(p2p, "--answer", "anyone")
    dial = f"{P2PCALL} {' '.join((*DIAL, target, '--json', *NO_MEDIA))}"
    alice = p2p(f"set -o pipefail; {dial} | grep -m1 --line-buffered first-audio", program=BASH, name="alice")
    alice.wait_event("first-audio")
    assert bob.wait_event("ended", timeout=AT_ONCE_S)["reason"] == "hung-up"
    quiet(alice)


def test_a_reader_of_the_listener_that_has_enough(p2p: Start) -> None:
    listen = f"{P2PCALL} {' '.join((*LISTEN, '--json', '--answer', 'anyone', *NO_MEDIA))}"
    bob = p2p(f"set -o pipefail; {listen} | sed -u /incoming/q", program=BASH, name="bob")
    port = bob.wait_event("listening")["port"]
    alice = dialling(p2p, f"127.0.0.1:{port}")
    ended = alice.wait_event("ended", timeout=AT_ONCE_S)
    assert ended["reason"] in ("hung-up", "declined"), "a listener that goes says so"
    quiet(bob)


def test_a_listener_that_nobody_calls_ends_when_its_reader_goes(p2p: Start) -> None:
    listen = f"{P2PCALL} {' '.join((*LISTEN, '--json', *NO_MEDIA))}"
    bob = p2p(f"set -o pipefail; {listen} | head -1", program=BASH, name="bob")
    bob.wait_event("listening")
    quiet(bob)


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("command", [LISTEN, (*DIAL, NOBODY)], ids=["listen", "dial"])
def test_a_reader_that_was_never_there_ends_it_quietly(
    p2p: Start, unread: int, command: tuple[str, ...]
) -> None:
    quiet(p2p(*command, "--json", *NO_MEDIA, stdout=unread))


@pytest.mark.parametrize(
    "argv",
    [["id"], ["contacts", "list"], ["--version"], ["dial", "--help"], []],
)
def test_a_reader_that_was_never_there_is_no_crash(p2p: Start, unread: int, argv: list[str]) -> None:
    quiet(p2p(*argv, stdout=unread))


@pytest.mark.parametrize("command", ["id", "contacts list", "--version"])
def test_a_standard_output_that_is_closed_is_no_bug_of_ours(p2p: Start, command: str) -> None:
    closed = p2p(f"{P2PCALL} {command} >&-", program=BASH)
    closed.wait_exit()
    assert "Traceback" not in closed.stderr_text
    assert "internal error" not in closed.stderr_text


@pytest.mark.netns
def test_a_reader_of_the_peers_that_has_enough(p2p: Start, netns_pair: NetnsPair) -> None:
    for name in ("bob", "carol"):
        options = ["--name", name, "--port", "0", "--json", *NO_MEDIA]
        p2p("listen", *options, net=netns_pair, side="b", name=name).wait_event("listening")
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="a")
    watch.wait_event("peer-found")
    watch.wait_event("peer-found")
    scripts = [f"set -o pipefail; {P2PCALL} peers --json{more} | head -1" for more in ("", " --watch")]
    both = [p2p(script, program=BASH, net=netns_pair, side="a") for script in scripts]
    for peers in both:
        peers.wait_exit()
    assert [len(peers.events) for peers in both] == [1, 1]
    for peers in both:
        quiet(peers)
