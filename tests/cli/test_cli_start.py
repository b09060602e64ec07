"""What is loaded by when: counted by what is in `sys.modules`, for a clock would measure the machine."""

import json
import os
import socket
import struct
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HEAVY = {"av", "numpy", "sounddevice", "zeroconf", "sdl2", "rich", "pydantic"}
AT_THE_KNOCK = """
import os, socket, sys

class Watched(socket.socket):
    __slots__ = ()

    def sendmsg(self, *args):
        os.write(1, chr(10).join(sys.modules).encode())
        os._exit(0)

socket.socket = Watched
from p2pcall.cli import run
run()
"""
"""Ends with the first datagram, and tells what was loaded by then."""
IN_THE_CALL = """
import sys
from p2pcall.cli import run
try:
    run()
finally:
    print(*sys.modules, sep=chr(10))
"""
A_WHOLE_CALL = """
import json, sys
from p2pcall.cli import run
from p2pcall.engine.node import PeerConnection

before = set()

def watched(call):
    def wrapper(*args):
        before.update(sys.modules)
        return call(*args)
    return wrapper

PeerConnection.invite, PeerConnection.accept = watched(PeerConnection.invite), watched(PeerConnection.accept)
try:
    run()
finally:
    print(json.dumps({"event": "modules", "all": [*sys.modules], "late": [*set(sys.modules) - before]}))
"""
"""Tells, at its end, which modules it has loaded, and which of them after it rang, or said yes."""


def loaded(program: str, options: Sequence[str], home: Path) -> set[str]:
    """The modules that the program tells of."""
    command = [sys.executable, "-c", program, *options, "--home", str(home)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    found = set(ran.stdout.split())
    assert "p2pcall.cli" in found, ran.stderr
    return found


@pytest.mark.parametrize("source", ["default", "silence", "no such file.wav"])
def test_nothing_heavy_is_loaded_when_the_first_knock_leaves(tmp_path: Path, source: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{there.getsockname()[1]}"
        options = ["dial", target, "--bind", "127.0.0.1", "--port", "0", "--audio-in", source]
        found = loaded(AT_THE_KNOCK, options, tmp_path)
    assert not found & HEAVY
    assert "p2pcall.engine.live" not in found


def test_a_dial_of_an_address_without_cards_loads_no_library_of_cards_or_of_the_local_network(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        options = ["dial", f"127.0.0.1:{there.getsockname()[1]}", "--bind", "127.0.0.1", "--port", "0"]
        options += ["--audio-in", "silence", "--audio-out", "none", "--no-video", "--timeout", "2"]
        found = loaded(IN_THE_CALL, options, tmp_path)
    assert "p2pcall.engine.live" in found, "all that a call needs was loaded"
    assert not found & {"sounddevice", "zeroconf", "sdl2", "rich", "livekit"}


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("p2pcall.device.audio", {"av", "numpy"}),
        ("p2pcall.device.factory", HEAVY),
        ("p2pcall.engine.live", HEAVY),
        ("p2pcall.cli.views", HEAVY),
        ("p2pcall.view.screen", {"av"}),
    ],
)
def test_what_serves_a_voice_call_loads_no_library_of_pictures(module: str, without: set[str]) -> None:
    program = f"import {module}, sys; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert module in ran.stdout.split()
    assert not without & set(ran.stdout.split())


def test_a_picture_that_is_passed_on_and_written_as_it_is_loads_no_numpy(tmp_path: Path) -> None:
    program = f"""
import sys, av
film = {str(tmp_path / "a.mkv")!r}
with av.open(film, "w") as out:
    stream = out.add_stream("mpeg4", rate=15)
    stream.width, stream.height = 320, 240
    out.mux(stream.encode(av.VideoFrame(320, 240, "yuv420p")))
    out.mux(stream.encode(None))
from p2pcall.codec.video import VideoDecoder, VideoEncoder
from p2pcall.device.factory import Inputs, open_video_sink, open_video_source
source = open_video_source(film, Inputs(), fps=15)
sink = open_video_sink("-", stdout=sys.stdout.buffer)
for size in ((320, 240), (320, 180)):
    coded = VideoEncoder(*size, 15, 500_000).encode(source.read() or av.VideoFrame(*size, "yuv420p"))
    sink.show(VideoDecoder().decode(coded.data))
sink.close()
assert "numpy" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.startswith(b"YUV4MPEG2 W640 H480 ")


def write_wav(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(struct.pack("<48000h", *range(-24_000, 24_000)))
    return path


def a_call(folder: Path, listener: str, caller: str) -> list[tuple[set[str], set[str]]]:
    """A short call: what the side that listens and the one that dials have loaded, and what of it after they rang."""
    write_wav(folder / "in.wav")
    program = [sys.executable, "-c", A_WHOLE_CALL]
    common = ["--json", "--bind", "127.0.0.1", "--port", "0"]
    listen = [
        *program,
        "listen",
        *common,
        "--answer",
        "anyone",
        "--announce",
        "off",
        "--once",
        *listener.split(),
    ]
    dial = [*program, "dial", *common, "--max-duration", "0.3", *caller.split()]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    listen, dial = [*listen, "--home", str(folder / "listens")], [*dial, "--home", str(folder / "dials")]
    with subprocess.Popen(listen, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as side:
        assert side.stdout is not None
        port = next(event["port"] for event in map(json.loads, side.stdout) if event["event"] == "listening")
        dial.append(f"127.0.0.1:{port}")
        dialled = subprocess.run(
            dial, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60
        )
        found = []
        for told in (side.communicate(timeout=60)[0], dialled.stdout):
            events = [json.loads(line) for line in told.splitlines()]
            assert "connected" in {event["event"] for event in events}, dialled.stderr
            found.append((set(events[-1]["all"]), set(events[-1]["late"])))
    return found


def of_weight(modules: set[str]) -> set[str]:
    """What should not be loaded in the middle of a call. (Parts that a library loads itself are few and small.)"""
    return {name for name in modules if name in HEAVY or name.startswith("p2pcall.")}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("--audio-in tone --audio-out none", "--audio-in silence --audio-out none"),
        ("--audio-in in.wav --audio-out none", "--audio-in in.wav --audio-out out.wav"),
    ],
)
def test_a_voice_call_loads_no_library_of_pictures(tmp_path: Path, one: str, other: str) -> None:
    for everything, late in a_call(tmp_path, f"{one} --no-video", f"{other} --no-video"):
        assert {"p2pcall.engine.live", "p2pcall.codec.libopus"} <= everything
        assert not everything & (HEAVY | {"livekit"})
        assert not of_weight(late)


@pytest.mark.parametrize(
    ("options", "libraries"),
    [
        (
            "--audio-in in.wav --audio-track 1 --audio-out call.ogg --no-video",
            {"p2pcall.device.decoding", "p2pcall.device.encoded"},
        ),
        (
            "--audio-in silence --audio-out none --video-in test --video-out seen.mkv",
            {"p2pcall.codec.video", "p2pcall.device.video_files"},
        ),
    ],
)
def test_whatever_a_call_needs_is_loaded_before_it_rings(
    tmp_path: Path, options: str, libraries: set[str]
) -> None:
    ours = "--audio-in silence --audio-out none --video-in test --video-out none"
    for everything, late in a_call(tmp_path, ours, options)[1:]:
        assert libraries <= everything
        assert not of_weight(late)
