"""What the cable shows of speech, of silence and of a muted microphone: the same sizes at the same cadence.

Three calls of equal length, caught by tshark. The exact statement is made in virtual time, from the packets
themselves; here it is what leaves a real machine, whose own unevenness is in all three.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sound
from capture import Capture, Datagram
from netns import NetnsPair
from pairs import Start, best_call, media

pytestmark = [pytest.mark.netns, pytest.mark.apart]

DATA = 6
LEAD_S, WINDOW_S = 2.0, 4.0
"""After the first record of a call so much is left out, and then so much is looked at."""
FIRST = 250
"""Records of each side, from its very first one, whose sizes must be the same: ringing, answer and keys too."""
PER_S = 50
COUNT_SLACK = 0.03
MEDIAN_SLACK_MS, DECILE_SLACK_MS = 1.0, 6.0


@dataclass(frozen=True, slots=True)
class Shape:
    """One side of one call, as it passed."""

    sizes: Counter[int]
    count: int
    median_ms: float
    deciles_ms: tuple[float, float]

    @property
    def spread_ms(self) -> float:
        """How uneven it was."""
        return self.deciles_ms[1] - self.deciles_ms[0]


def shape(datagrams: list[Datagram], begun: float) -> Shape:
    """What can be told of one side's records without a key."""
    times = np.array([one.at for one in datagrams])
    within = times[(times >= begun + LEAD_S) & (times < begun + LEAD_S + WINDOW_S)]
    low, median, high = (float(one) * 1000 for one in np.quantile(np.diff(within), (0.1, 0.5, 0.9)))
    sizes = Counter(len(one.payload) for one in datagrams[:FIRST])
    return Shape(sizes, len(within), round(median, 2), (round(low, 2), round(high, 2)))


def shapes(net: NetnsPair, start: Start, says: str | Path, keys: str = "") -> dict[str, Shape]:
    """A call in which alice says this, after she has pressed these keys; both directions."""
    capture = Capture(start, net, "a")
    listen = ("listen", "--name", "bob", "--json", "--answer", "anyone", "--announce", "off", *media())
    bob = start(*listen, net=net, side="b", name="bob")
    bob.wait_event("listening")
    dial = ("dial", net.ipv4["b"], "--name", "alice", "--json", "--loop", *media(says))
    alice = start(*dial, net=net, side="a", name="alice", terminal=(80, 24))
    alice.wait_event("connected")
    if keys:
        alice.wait_event("stats")
        alice.send(keys)
        bob.wait_event("media", side="remote", audio=False)
    capture.wait(long_enough, "whole window")
    alice.stop()
    assert bob.wait_event("ended")["reason"] == "hung-up"
    bob.stop()
    seen = records(capture.datagrams)
    capture.stop()
    sides = {side: [one for one in seen if one.source[0] == net.ipv4[side]] for side in ("a", "b")}
    return {side: shape(one, seen[0].at) for side, one in sides.items()}


def long_enough(seen: list[Datagram]) -> bool:
    """Whether the window of a call is over."""
    data = records(seen)
    return bool(data) and data[-1].at > data[0].at + LEAD_S + WINDOW_S


def records(datagrams: list[Datagram]) -> list[Datagram]:
    """Those of a line."""
    return [one for one in datagrams if one.payload[0] == DATA]


def test_speech_silence_and_a_muted_microphone_look_alike(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path
) -> None:
    says = sound.speech_wav(tmp_path / "speech.wav", 6)

    def measure(start: Start, place: Path) -> dict[str, dict[str, Shape]]:
        return {
            "speech": shapes(netns_pair, start, says),
            "silence": shapes(netns_pair, start, "silence"),
            "muted": shapes(netns_pair, start, says, "m"),
        }

    best_call(p2p, tmp_path, measure, judge, together=calmest)


def calmest(tries: list[dict[str, dict[str, Shape]]]) -> dict[str, dict[str, Shape]]:
    """Of several calls of each kind, and of each side, the one that the machine has disturbed least."""
    return {
        kind: {
            side: min((one[kind][side] for one in tries), key=lambda shape: shape.spread_ms) for side in "ab"
        }
        for kind in tries[0]
    }


def judge(figures: dict[str, Any]) -> None:
    for side in ("a", "b"):
        speech = figures["speech"][side]
        assert abs(speech.count - WINDOW_S * PER_S) <= COUNT_SLACK * WINDOW_S * PER_S
        for other in (figures["silence"][side], figures["muted"][side]):
            assert other.sizes == speech.sizes
            assert abs(other.count - speech.count) <= COUNT_SLACK * speech.count
            assert abs(other.median_ms - speech.median_ms) <= MEDIAN_SLACK_MS
            for mine, theirs in zip(other.deciles_ms, speech.deciles_ms, strict=True):
                assert abs(mine - theirs) <= DECILE_SLACK_MS
