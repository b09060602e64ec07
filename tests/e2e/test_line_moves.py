"""A call on the move: the caller's address and port change, the cable is pulled and put back. The call goes on.

Each side hears the other's tone, so how long there was no sound is the longest quiet stretch in what it recorded.
When events were told is compared with when the cable was touched: both are this machine's clock.
"""

import os
import time
from pathlib import Path
from typing import Any

import cable
import numpy as np
import pytest
import sound
from netns import NetnsPair
from pairs import NO_MEDIA, Call, Start, in_call_between, media, seconds_pass

pytestmark = [pytest.mark.netns, pytest.mark.apart]

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
OUTAGE_S = 30 if NIGHTLY else 5
SILENT_S = 3.0
LOST_S = 60.0
"""Silence after which people are told, and after which a line is lost (p2pcall-protocol.7)."""
MOVED_TO = "10.77.0.11"
MIN_PACKETS = 50
"""From there within three seconds."""
MAX_MOVE_S = 1.0
MAX_RESUME_S = 2.0
WINDOW_S = 0.01
QUIET = 0.1
"""Of the usual loudness: below it there is no tone, only what concealment leaves of it."""


def longest_quiet_s(path: Path) -> float:
    """The longest stretch without the tone, from the first of it to the last."""
    samples = sound.read_wav(path)
    size = int(WINDOW_S * sound.RATE)
    whole = samples[: len(samples) // size * size].reshape(-1, size)
    loudness = np.sqrt(np.mean(whole**2, axis=1))
    (loud,) = np.nonzero(loudness > QUIET * np.quantile(loudness, 0.9))
    assert len(loud) > 1 / WINDOW_S, "no tone was heard"
    return float(np.max(np.diff(loud)) - 1) * WINDOW_S


def tones(net: NetnsPair, start: Start, place: Path) -> Call:
    """A call in which both hear a tone and record it, and have done so for two seconds."""
    call = in_call_between(
        net, start, listen=media("tone", place / "bob.wav"), dial=media("tone", place / "alice.wav")
    )
    for side in (call.alice, call.bob):
        side.wait_event("first-audio")
        seconds_pass(side, 2)
    return call


def hang_up(call: Call) -> None:
    """End it, and see that it was up to now."""
    assert call.alice.all_events("ended") == call.bob.all_events("ended") == []
    call.alice.stop()
    assert call.bob.wait_event("ended")["reason"] == "hung-up"
    assert call.alice.wait_event("ended")["reason"] == "signal"
    call.bob.stop()


def quiet(place: Path) -> dict[str, float]:
    """How long each of them heard nothing."""
    return {name: longest_quiet_s(place / f"{name}.wav") for name in ("alice", "bob")}


def test_the_callers_address_and_port_change(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    home = netns_pair.ipv4["a"]
    cable.change_port_of(netns_pair, "a", MOVED_TO)

    call = tones(netns_pair, p2p, tmp_path)
    before = cable.counted(netns_pair, "b", "INPUT", "nat").packets
    cable.swap(netns_pair, "a", home, MOVED_TO)
    for side in (call.alice, call.bob):
        seconds_pass(side, 3)
    hang_up(call)
    cable.swap(netns_pair, "a", MOVED_TO, home)
    assert cable.counted(netns_pair, "b", "INPUT", "nat").packets > before + MIN_PACKETS
    judge_move(quiet(tmp_path))


def judge_move(figures: dict[str, Any]) -> None:
    assert max(figures.values()) < MAX_MOVE_S


def test_the_link_is_down_for_a_while(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    """Both are told, the call resumes by itself, and it is the same call."""

    call = tones(netns_pair, p2p, tmp_path)
    down_at = time.time()
    netns_pair.link("a", up=False)
    seconds_pass(call.bob, OUTAGE_S)
    for side in (call.alice, call.bob):
        told = side.wait_event("reconnecting")
        assert told["ms"] == SILENT_S * 1000
        assert told["t"] - down_at > SILENT_S - 0.5
        assert side.all_events("reconnected") == []
    up_at = time.time()
    netns_pair.link("a", up=True)
    back = {"alice": call.alice.wait_event("reconnected"), "bob": call.bob.wait_event("reconnected")}
    for name, event in back.items():
        assert event["call"] == call.alice_connected["call"]
        assert event["ms"] > (up_at - down_at - 1) * 1000
        seconds_pass(call.side(name), 3)
        assert len(call.side(name).all_events("reconnecting")) == 1
    hang_up(call)
    heard = {name: gap - (up_at - down_at) for name, gap in quiet(tmp_path).items()}
    assert min(heard.values()) > -OUTAGE_S / 2, "there was sound over a cable that was down"
    told_s = {f"{name} told": event["t"] - up_at for name, event in back.items()}
    judge_outage(heard | told_s)


def judge_outage(figures: dict[str, Any]) -> None:
    assert max(figures.values()) < MAX_RESUME_S


if NIGHTLY:  # takes more than a minute; in virtual time it is among the tests of the engine

    @pytest.mark.timeout(180)
    def test_the_link_is_down_for_good(netns_pair: NetnsPair, p2p: Start) -> None:
        call = in_call_between(netns_pair, p2p, listen=["--once", *NO_MEDIA], dial=NO_MEDIA)
        netns_pair.link("a", up=False)
        for side in (call.alice, call.bob):
            started = side.wait_event("reconnecting")["t"]
            ended = side.wait_event("ended", timeout=LOST_S + 15)
            assert (ended["reason"], ended["exit"]) == ("lost", 7)
            assert ended["t"] - started > LOST_S - SILENT_S - 1
            assert side.wait_exit() == 7
