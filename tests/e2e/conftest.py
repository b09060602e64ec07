"""Fixtures of the end-to-end tests: namespaces, sound cards, real processes. What cannot be had is skipped.

Test files in this directory take them as arguments and import the types from `netns`, `pulse`, `harness` and
`sound`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import desktop as desktops
import harness
import netns
import picture
import pipewire
import pulse
import pytest
import sound
import xwindow

SOUND_SERVERS = {
    "pulseaudio": (pulse.missing_for_portaudio, pulse.PulseServer),
    "pipewire": (pipewire.missing, pipewire.PipeWireServer),
}


@pytest.fixture
def netns_pair() -> Iterator[netns.NetnsPair]:
    """Two machines joined by a cable; mark the test `netns`."""
    if reason := netns.missing():
        pytest.skip(reason)
    with netns.NetnsPair() as pair:
        yield pair


@pytest.fixture
def pulse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pulse.PulseServer]:
    """Virtual sound cards for side a and b; mark the test `device`."""
    if reason := pulse.missing_for_portaudio():
        pytest.skip(reason)
    with pulse.PulseServer(tmp_path_factory.mktemp("pulse")) as server:
        yield server


@pytest.fixture(params=["pulseaudio", "pipewire"])
def sound_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pulse.PulseServer]:
    """The same, for tests of what a sound server does: once with each that there is."""
    missing, kind = SOUND_SERVERS[request.param]
    if reason := missing():
        pytest.skip(reason)
    with kind(tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def xterm() -> Iterator[Callable[..., xwindow.XTerm]]:
    """Open a real xterm: `xterm(argv, env=..., size=(120, 40))`; mark the test `terminal`."""
    if reason := xwindow.missing():
        pytest.skip(reason)
    with ExitStack() as windows:
        yield lambda *args, **options: windows.enter_context(xwindow.XTerm(*args, **options))


@pytest.fixture
def desktop() -> Iterator[desktops.Desktop]:
    """A virtual screen with a window manager; mark the test `terminal`."""
    if reason := desktops.missing():
        pytest.skip(reason)
    with desktops.Desktop() as made:
        yield made


@pytest.fixture(scope="session")
def speech_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file of eight seconds that is like speech."""
    return sound.speech_wav(tmp_path_factory.mktemp("sound") / "speech.wav")


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of four seconds, 320x240 at 15 frames a second, whose frames tell their number."""
    return picture.clip(tmp_path_factory.mktemp("picture") / "clip.mp4")


@pytest.fixture
def p2p(tmp_path: Path) -> Iterator[Callable[..., harness.P2P]]:
    """Start the program: `p2p("dial", "bob", "--json", name="alice", terminal=(80, 24), ...)`.

    Each process has a home of its own (named by `name`, or `home`), and is ended when the test is over, the last
    first. The other keywords are those of `harness.Surroundings`.
    """
    running: list[harness.P2P] = []

    def start(*argv: str, name: str | None = None, home: Path | None = None, **where: Any) -> harness.P2P:
        place = home or tmp_path / (name or f"home{len(running)}")
        process = harness.P2P(argv, harness.Surroundings(place, **where))
        running.append(process)
        return process

    yield start
    failures = []
    for process in reversed(running):
        try:
            process.stop()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)
