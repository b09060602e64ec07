"""Sender, receiver, or the whole machine stands still for a moment, as under a busy hypervisor: the sound goes on.

A sender that stood still leaves numbers out for the frames that it never captured, as the engine does.
"""

import pytest

from p2pcall.media import constants as c
from p2pcall.media.jitter import Conceal, JitterBuffer, Merge, Play, PlayoutAction, Silence
from p2pcall.media.packets import parse_audio
from p2pcall.media.redundancy import Redundancy
from p2pcall.media.voice_control import VoiceControl

Stall = tuple[float, float]
NEVER: Stall = (0.0, 0.0)
AT_S = 3.0
END_S = 25.0
PATH_S = 0.001
CARD_S = 0.2
"""What a card's ring keeps while its process stands still."""


def runs_at(due: float, stall: Stall) -> float:
    """When a process that stands still in between gets to what was due."""
    return stall[1] if stall[0] <= due < stall[1] else due


def ticks(first: float, stall: Stall) -> list[tuple[int, float]]:
    """The ticks of a card by number, and when they are served; what its ring does not hold is missed."""
    served = []
    for number in range(int((END_S - first) / c.FRAME_S)):
        due = first + number * c.FRAME_S
        at = runs_at(due, stall)
        if at - due <= CARD_S:
            served.append((number, at))
    return served


def call(sender: Stall, receiver: Stall) -> tuple[list[PlayoutAction], JitterBuffer]:
    """What the speaker got, and the buffer."""
    redundancy = Redundancy(VoiceControl().level)
    happens = [(at, 2, b"") for _, at in ticks(0.011, receiver)]
    for seq, at in ticks(0.003, sender):
        payload = redundancy.packet(
            2 * seq, (b"\x78" + seq.to_bytes(4, "big")).ljust(120, b"\0"), seq * c.FRAME_MS
        )
        happens.append((runs_at(at + PATH_S, receiver), 1, payload))
    buffer, outputs = JitterBuffer(), []
    for now, what, payload in sorted(happens):
        if what == 2:
            outputs.append(buffer.pull(now, quiet=True))
            continue
        packet = parse_audio(payload)
        assert packet is not None
        for frame in packet.frames():
            buffer.insert(frame.tick // 2, frame.data, frame.capture_ms, now, frame.recovered)
    return outputs, buffer


def unheard(outputs: list[PlayoutAction]) -> int:
    """Ticks without sound of the sender's, after the first."""
    kinds = [isinstance(output, Conceal | Silence) for output in outputs]
    return sum(kinds[kinds.index(False) :])


@pytest.mark.parametrize("length_s", [0.03, 0.08, 0.15, 0.3, 0.8, 3.0])
def test_a_sender_that_stands_still_is_silent_no_longer_than_that(length_s: float) -> None:
    outputs, buffer = call((AT_S, AT_S + length_s), NEVER)
    assert unheard(outputs) <= length_s / c.FRAME_S + 1
    assert buffer.counters.late == 0
    assert buffer.delay_s < CARD_S + 0.05


@pytest.mark.parametrize(
    ("length_s", "most"), [(0.03, 1), (0.08, 1), (0.15, 1), (0.3, 1), (0.8, 1), (3.0, 10)]
)
def test_a_receiver_that_stands_still_plays_on_at_once(length_s: float, most: int) -> None:
    """After more than a second what piled up is as unlikely as a forgery, and believed after some packets."""
    outputs, buffer = call(NEVER, (AT_S, AT_S + length_s))
    assert unheard(outputs) <= most
    assert buffer.counters.late == 0
    assert buffer.delay_s < CARD_S + 0.05


@pytest.mark.parametrize("length_s", [0.03, 0.08, 0.15, 0.3, 0.8, 3.0])
def test_when_both_stand_still_hardly_anything_is_missed(length_s: float) -> None:
    """Each has a ring of its own, so what neither played nor captured is no gap for anybody."""
    stall = AT_S, AT_S + length_s
    outputs, buffer = call(stall, stall)
    assert unheard(outputs) <= min(length_s, CARD_S) / c.FRAME_S + 1
    assert sum(isinstance(output, Play | Merge) for output in outputs[-200:]) == 200
    assert buffer.counters.late == 0


@pytest.mark.parametrize("length_s", [0.06, 0.1, 0.15, 0.3])
def test_the_delay_that_a_stall_cost_is_taken_back(length_s: float) -> None:
    before = call(NEVER, NEVER)[1]
    after = call((AT_S, AT_S + length_s), NEVER)[1]
    assert after.delay_s == pytest.approx(before.delay_s, abs=c.FRAME_S)
    assert after.target_s == pytest.approx(before.target_s)
