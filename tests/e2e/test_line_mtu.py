"""A path that carries 1280 bytes and no pieces of packets, as VPNs are: calls connect and carry sound and picture.

The first call of two people is made by XXhfs, one of two who know each other by IKhfs: each has its longest
datagrams elsewhere.
"""

import statistics
from pathlib import Path
from typing import Any

import cable
import picture
import pytest
import sound
from capture import Capture
from netns import NetnsPair, Side
from pairs import Call, Start, in_call_between, knows, media

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


def heard_and_seen(call: Call, says: Path, place: Path) -> dict[str, Any]:
    """Let the call go on to the end of what is said; how it was heard and seen."""
    call.bob.wait_event("first-video")
    assert call.alice.wait_exit() == 0
    assert call.bob.wait_event("ended")["reason"] == "hung-up"
    call.bob.stop()
    frames = [frame for _, frame in picture.read(place / "out.mkv")]
    alike = [picture.likeness(frame, picture.number_of(frame)) for frame in frames]
    heard = sound.read_wav(place / "out.wav")
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


@pytest.mark.parametrize("version", [4, 6])
def test_first_and_second_call(netns_pair: NetnsPair, p2p: Start, tmp_path: Path, version: int) -> None:
    says = sound.speech_wav(tmp_path / "speech.wav", SPEECH_S)
    clip = picture.clip(tmp_path / "clip.mp4", SPEECH_S + 3, fps=FPS)
    for side, one in IPV6.items():
        cable.add_address(netns_pair, side, one)
    address = netns_pair.ipv4["b"] if version == 4 else IPV6["b"]
    refuse_pieces(netns_pair)
    before = cable.fragments(netns_pair)

    capture = Capture(p2p, netns_pair, "a")
    figures = {}
    for pattern in ("XXhfs", "IKhfs"):
        if pattern == "IKhfs":
            knows(tmp_path, "bob", "alice")
        call = in_call_between(
            netns_pair,
            p2p,
            announce="public",
            listen=["--bind", address, *media("tone", tmp_path / "out.wav", video_out=tmp_path / "out.mkv")],
            dial=["--hangup-on-eof", *media(says, video_in=clip)],
        )
        for connected in (call.alice_connected, call.bob_connected):
            assert connected["protocol"].startswith(f"Noise_{pattern}_25519+MLKEM768_")
        figures[pattern] = heard_and_seen(call, says, tmp_path)
    longest = max(len(frame) - 14 for frame in capture.frames)
    assert longest == IP_UDP_BYTES[version] + LONGEST_BYTES
    judge(figures)
    assert cable.fragments(netns_pair) == before
