"""A path that carries 1280 bytes and no pieces of packets, as VPNs are: calls connect and carry sound and picture.

The first call of two people is made by XXhfs, one of two who know each other by IKhfs: each has its longest
datagrams elsewhere.
"""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cable
import netns
import picture
import pytest
import sound
from capture import Capture
from netns import NetnsPair, Side
from pairs import Call, Start, apart, in_call_between, knows, media

pytestmark = [pytest.mark.netns, pytest.mark.apart]

MTU = 1280
IPV6: dict[Side, str] = {"a": "fd77::a", "b": "fd77::b"}
SPEECH_S = 3.0
FPS = 15
MIN_PESQ = 3.0
MIN_LIKENESS_DB = 25.0
IP_UDP_BYTES = {4: 28, 6: 48}
LONGEST_BYTES = 1232
"""The response of XXhfs: the longest datagram there is, and it was sent."""


def refuse_pieces(net: NetnsPair) -> None:
    """Narrow the cable, and see that a datagram that is too long by one comes in pieces, which are counted."""
    cable.narrow(net, MTU)
    for version, host in ((4, net.ipv4["b"]), (6, IPV6["b"])):
        room, before = MTU - IP_UDP_BYTES[version], cable.fragments(net)
        cable.send_zeros(net, "a", host, room)
        assert cable.fragments(net) == before
        cable.send_zeros(net, "a", host, room + 1)
        assert cable.fragments(net) > before


def heard_and_seen(call: Call, says: Path, recorded: Path) -> dict[str, Any]:
    """Let the call go on to the end of what is said; how it was heard and seen."""
    call.bob.wait_event("first-video")
    assert call.alice.wait_exit() == 0
    assert call.bob.wait_event("ended")["reason"] == "hung-up"
    call.bob.stop()
    frames = [frame for _, frame in picture.read(recorded.with_suffix(".mkv"))]
    alike = [picture.likeness(frame, picture.number_of(frame)) for frame in frames]
    heard = sound.read_wav(recorded.with_suffix(".wav"))
    return {
        "pesq": round(sound.pesq_wideband(sound.read_wav(says), heard), 2),
        "fps": len(frames) / SPEECH_S,
        "likeness_db": statistics.median(alike or [0.0]),
    }


def judge(figures: dict[str, dict[str, Any]]) -> None:
    for call in figures.values():
        assert call["pesq"] >= MIN_PESQ
        assert call["fps"] > 0.5 * FPS
        assert call["likeness_db"] > MIN_LIKENESS_DB


@dataclass(frozen=True, slots=True)
class Way:
    """Two machines on a narrow path, whose people call one another by one version of IP."""

    version: int
    net: NetnsPair
    start: Start
    place: Path
    """Where their homes and recordings are."""
    capture: Capture
    fragments: int
    """How many had come before they called."""

    @property
    def address(self) -> str:
        return self.net.ipv4["b"] if self.version == 4 else IPV6["b"]

    def call(self, pattern: str, says: Path, clip: Path) -> Call:
        """One that is up, recorded under the name of the pattern."""
        heard, shown = self.place / f"{pattern}.wav", self.place / f"{pattern}.mkv"
        return in_call_between(
            self.net,
            self.start,
            announce="public",
            listen=["--bind", self.address, *media("tone", heard, video_out=shown)],
            dial=["--hangup-on-eof", *media(says, video_in=clip)],
        )


@contextmanager
def narrow_way(version: int, p2p: Start, place: Path) -> Iterator[Way]:
    with NetnsPair() as net, apart(p2p, place) as start:
        for side, one in IPV6.items():
            cable.add_address(net, side, one)
        refuse_pieces(net)
        before = cable.fragments(net)
        yield Way(version, net, start, place, Capture(start, net, "a"), before)


def test_first_and_second_call(p2p: Start, tmp_path: Path) -> None:
    """By IPv4 and IPv6, each on a cable of its own."""
    if reason := netns.missing():
        pytest.skip(reason)
    says = sound.speech_wav(tmp_path / "speech.wav", SPEECH_S)
    clip = picture.clip(tmp_path / "clip.mp4", SPEECH_S + 3, fps=FPS)
    with narrow_way(4, p2p, tmp_path / "4") as ipv4, narrow_way(6, p2p, tmp_path / "6") as ipv6:
        ways, figures = (ipv4, ipv6), {}
        for pattern in ("XXhfs", "IKhfs"):
            if pattern == "IKhfs":
                for way in ways:
                    knows(way.place, "bob", "alice")
            for way in ways:
                call = way.call(pattern, says, clip)
                for connected in (call.alice_connected, call.bob_connected):
                    assert connected["protocol"].startswith(f"Noise_{pattern}_25519+MLKEM768_")
                figures[f"{pattern} by IPv{way.version}"] = heard_and_seen(call, says, way.place / pattern)
        for way in ways:
            longest = max(len(frame) - 14 for frame in way.capture.frames)
            assert longest == IP_UDP_BYTES[way.version] + LONGEST_BYTES
            assert cable.fragments(way.net) == way.fragments
        print(figures)
        judge(figures)
