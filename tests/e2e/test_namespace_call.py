"""Two machines joined by a cable: bob says that he can be called, alice finds him, they hear and see each other."""

import json
import statistics
from pathlib import Path
from typing import Any

import picture
import pytest
import sound
from netns import NetnsPair
from pairs import NO_MEDIA, Call, Start, best_call, in_call_between, media
from tries import best, each_best

pytestmark = pytest.mark.netns

MIN_PESQ = 3.5
"""PESQ-WB of speech through Opus at 32 kb/s on a cable; 4.64 is the best there is."""
SPEECH_S = 6.0
MIN_LIKENESS_DB = 25.0
FPS = 15


def test_bob_is_listed_by_us_and_by_avahi(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    bob = p2p("listen", "--name", "bob", "--json", *NO_MEDIA, net=netns_pair, side="b")
    port = bob.wait_event("listening", name="bob", announce="public")["port"]
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="a")
    watch.wait_event("peer-found", name="bob")
    once, words = p2p("peers", "--json", net=netns_pair, side="a"), p2p("peers", net=netns_pair, side="a")
    assert (once.wait_exit(), words.wait_exit()) == (0, 0)
    (row,) = (json.loads(line) for line in once.stdout.splitlines())
    assert (row["v"], row["event"], row["name"], row["port"]) == (1, "peer-found", "bob", port)
    assert f"{netns_pair.ipv4['b']}:{port}" in row["addresses"]
    assert row["contact"] is None
    assert words.stdout.startswith(b"bob ")

    def judge(seen: str) -> None:
        resolved = [line.split(";") for line in seen.splitlines() if line.startswith("=")]
        assert {(*tuple(row[3:5]), row[8]) for row in resolved} == {("bob", "_p2pcall._udp", str(port))}
        assert netns_pair.ipv4["b"] in {row[7] for row in resolved}

    browse = ["avahi-browse", "-prt", "_p2pcall._udp"]
    with netns_pair.avahi("a", tmp_path / "avahi") as environ:
        best(lambda _: netns_pair.output("a", browse, env=environ), judge)
    bob.stop()
    watch.wait_event("peer-lost", name="bob")


@pytest.mark.apart
def test_a_call_by_name_is_heard_and_seen(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    says = sound.speech_wav(tmp_path / "speech.wav", SPEECH_S)
    answers = sound.speech_wav(tmp_path / "answer.wav", SPEECH_S - 1, seed=5)
    clip = picture.clip(tmp_path / "clip.mp4", SPEECH_S + 3, fps=FPS)

    def measure(start: Start, place: Path) -> dict[str, Any]:
        heard = {side: place / f"{side}.wav" for side in ("alice", "bob")}
        call = in_call_between(
            netns_pair,
            start,
            announce="public",
            listen=["--once", *media(answers, heard["bob"], video_out=place / "out.mkv")],
            dial=["--hangup-on-eof", *media(says, heard["alice"], video_in=clip)],
        )
        first = both_sides_know(call)
        ways = [
            (sound.read_wav(source), sound.read_wav(heard[side]))
            for source, side in ((says, "bob"), (answers, "alice"))
        ]
        return {
            "pesq": [round(sound.pesq_wideband(*way), 2) for way in ways],
            "pieces": [sound.pesq_of_pieces(*way) for way in ways],
            "first_ms": first,
            **seen(place / "out.mkv"),
        }

    best_call(p2p, tmp_path, measure, judge, together=together)


def together(tries: list[dict[str, Any]]) -> dict[str, Any]:
    """Each piece of what either side heard as it was heard best, and the tries' best picture."""
    return {
        **max(tries, key=lambda one: float(one["frames"])),
        "pesq": [min(each_best(one["pieces"][way] for one in tries)) for way in (0, 1)],
    }


def both_sides_know(call: Call) -> tuple[int, int]:
    """What both are told of a call to its end; after how many ms bob had the first sound and picture."""
    alice, bob = call.alice_connected, call.bob_connected
    assert call.alice.wait_event("dialling", target="bob")["address"].endswith(":51729")
    assert (alice["name"], alice["known"], bob["name"]) == ("bob", "new", "alice")
    assert alice["protocol"].startswith("Noise_XXhfs_25519+MLKEM768_")
    assert (len(alice["sas"]), alice["sas"], alice["call"]) == (4, bob["sas"], bob["call"])
    assert (alice["audio"], alice["video"], bob["video"]) == (True, True, False)
    first = call.bob.wait_event("first-audio")["ms"], call.bob.wait_event("first-video")["ms"]
    assert call.alice.wait_exit() == 0
    assert call.bob.wait_exit() == 0
    assert [event["reason"] for event in call.alice.all_events("ended")] == ["eof"]
    assert [event["reason"] for event in call.bob.all_events("ended")] == ["hung-up"]
    assert call.alice.all_events("warning") == call.bob.all_events("warning") == []
    return first


def seen(shown: Path) -> dict[str, float]:
    """Which of the clip's frames were shown, how well, and how far from their time."""
    frames = list(picture.read(shown))
    numbers = [picture.number_of(frame) for _, frame in frames]
    assert numbers == sorted(set(numbers)), "frames twice, or out of order"
    return {
        "frames": len(frames),
        "first": numbers[0],
        "length": numbers[-1] - numbers[0],
        "likeness_db": statistics.median(
            picture.likeness(frame, number) for number, (_, frame) in zip(numbers, frames, strict=True)
        ),
        "off_s": frames[-1][0] - frames[0][0] - (numbers[-1] - numbers[0]) / FPS,
    }


def judge(figures: dict[str, Any]) -> None:
    assert min(figures["pesq"]) >= MIN_PESQ
    assert figures["frames"] > 0.7 * SPEECH_S * FPS
    assert figures["first"] < FPS / 2, "what was filmed first is not shown"
    assert figures["length"] < SPEECH_S * FPS + 10
    assert figures["likeness_db"] > MIN_LIKENESS_DB
    assert abs(figures["off_s"]) <= 0.3


def test_who_answers_to_a_known_name_with_another_key_learns_nothing(
    netns_pair: NetnsPair, p2p: Start
) -> None:
    call = in_call_between(netns_pair, p2p, announce="public", listen=NO_MEDIA, dial=NO_MEDIA)
    call.alice.stop()
    call.bob.stop()
    eve = p2p("listen", "--name", "bob", "--json", *NO_MEDIA, net=netns_pair, side="b", name="eve")
    eve.wait_event("listening")
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="a", name="alice")
    assert watch.wait_event("peer-found", name="bob")["contact"] == "bob"
    alice = p2p("dial", "bob", "--json", *NO_MEDIA, net=netns_pair, side="a", name="alice")
    assert alice.wait_exit() == 5
    told = alice.wait_event("error", slug="key-changed", exit=5)
    assert "p2pcall contacts remove" in told["hint"]
    assert alice.all_events("ringing") == alice.all_events("connected") == []
    assert eve.all_events("incoming") == []


@pytest.mark.parametrize("form", ["{}", "[{}]:51729"])
def test_an_ipv6_address_with_its_zone_can_be_dialled(netns_pair: NetnsPair, p2p: Start, form: str) -> None:
    bob = p2p("listen", "--answer", "anyone", "--json", *NO_MEDIA, net=netns_pair, side="b")
    bob.wait_event("listening")
    target = form.format(netns_pair.ipv6["b"])
    alice = p2p("dial", target, "--json", "--max-duration", "0.5", *NO_MEDIA, net=netns_pair, side="a")
    alice.wait_event("connected")
    assert alice.wait_exit() == 0
    assert alice.wait_event("dialling")["address"] == f"[{netns_pair.ipv6['b']}]:51729"


def test_a_name_that_nobody_has_is_not_found(netns_pair: NetnsPair, p2p: Start) -> None:
    alice = p2p("dial", "nobody", "--json", *NO_MEDIA, net=netns_pair, side="a")
    assert alice.wait_exit() == 3
    assert "p2pcall peers" in alice.wait_event("error")["hint"]
    assert alice.stderr_text.startswith("p2pcall: error: 'nobody' is neither on this network")


def test_no_network_is_no_crash_and_a_network_that_comes_is_used(netns_pair: NetnsPair, p2p: Start) -> None:
    netns_pair.link("a", up=False)
    dial = ["dial", netns_pair.ipv4["b"], "--port", "0", "--json", *NO_MEDIA]
    alice = p2p(*dial, net=netns_pair, side="a")
    peers = p2p("peers", "--json", net=netns_pair, side="a")
    assert (peers.wait_exit(), bytes(peers.stdout)) == (0, b"")
    assert alice.wait_exit() == 3
    assert alice.wait_event("error")["hint"]
    bob = p2p("listen", "--name", "bob", "--answer", "anyone", "--json", *NO_MEDIA, net=netns_pair, side="a")
    bob.wait_event("listening")
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="b")
    netns_pair.link("a", up=True)
    watch.wait_event("peer-found", name="bob")
    caller = p2p("dial", "bob", "--json", "--max-duration", "0.5", *NO_MEDIA, net=netns_pair, side="b")
    assert caller.wait_exit() == 0
