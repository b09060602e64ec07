"""Outages: told after three seconds, resumed by themselves, from a new address as well, lost after a minute."""

import pytest
from netem import ALICE, BOB, Conditions, Pair, call, line

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import CallEnded, LineInterrupted, LineResumed, Message, Payload
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import Channel
from p2pcall.types import Address

ELSEWHERE: Address = ("198.51.100.7", 4000)
VOICE = bytes(255)


def talk(pair: Pair, seconds: float) -> None:
    """Both send sound, 50 a second."""
    for _ in range(round(seconds * 50)):
        for peer in (pair.ours, pair.theirs):
            peer.send(Channel.AUDIO, VOICE, pair.world.now)
        pair.world.run(0.02)


def down(pair: Pair) -> None:
    pair.world.network.refuse = lambda sent: True


def up(pair: Pair) -> None:
    pair.world.network.refuse = lambda sent: False


def both(pair: Pair, kind: type) -> bool:
    return bool(pair.alice.of(kind)) and bool(pair.bob.of(kind))


def test_silence_is_told_once_and_so_is_its_end() -> None:
    pair = call()
    talk(pair, 1)
    down(pair)
    talk(pair, c.SILENT_S - 0.1)
    assert not pair.alice.of(LineInterrupted)
    talk(pair, 5)
    up(pair)
    talk(pair, 1)
    for node, peer in ((pair.alice, pair.ours), (pair.bob, pair.theirs)):
        assert node.of(LineInterrupted) == [LineInterrupted(peer)]
        assert node.of(LineResumed) == [LineResumed(peer, pytest.approx(7.9, abs=0.2))]
    assert not both(pair, CallEnded)


@pytest.mark.parametrize("outage_s", [29.0, 31.0, 58.9])
@pytest.mark.parametrize("voice", [True, False])
@pytest.mark.parametrize("moved", [True, False])
def test_call_resumes_soon_after_an_outage(outage_s: float, voice: bool, moved: bool) -> None:
    pair = call()
    talk(pair, 1)
    pair.ours.send_control(64, b"said just before", pair.world.now)
    down(pair)
    pass_time = talk if voice else lambda pair, seconds: pair.world.run(seconds)
    pass_time(pair, outage_s)
    if moved:
        pair.alice.address = ELSEWHERE
    up(pair)
    heard = len(pair.alice.of(Payload)), len(pair.bob.of(Payload))
    pass_time(pair, 2.0)
    assert both(pair, LineResumed)
    assert pair.theirs.address == (ELSEWHERE if moved else ALICE)
    assert pair.bob.of(Message) == [Message(pair.theirs, 64, b"said just before")]
    talk(pair, 0.1)
    assert len(pair.alice.of(Payload)) > heard[0] and len(pair.bob.of(Payload)) > heard[1]
    assert pair.ours.state is pair.theirs.state is CallState.ACTIVE


def test_outage_of_more_than_a_minute_is_the_end() -> None:
    pair = call()
    talk(pair, 1)
    down(pair)
    pair.world.run(61)
    up(pair)
    pair.world.run(5)
    for node, peer in ((pair.alice, pair.ours), (pair.bob, pair.theirs)):
        assert node.told[-1] == CallEnded(peer, Reason.LOST, remote=False)


def test_outage_in_the_middle_of_a_rekeying_does_not_end_the_call() -> None:
    pair = call()
    born = pair.ours.session_start
    pair.world.run(c.REKEY_AFTER_S - c.REKEY_LEAD_S - 0.1)
    pair.world.run(1, lambda: pair.ours.line.control.unacked > 0)
    assert pair.world.now == pytest.approx(born + c.REKEY_AFTER_S - c.REKEY_LEAD_S, abs=0.1)
    pair.world.run(0.05)  # some parts have arrived, and both were heard just now
    assert pair.ours.line.control.unacked > 0
    down(pair)
    pair.world.run(58.9)
    up(pair)
    pair.world.run(5)
    assert pair.ours.line.keys.epochs.current.born > born
    pair.world.run(300)
    assert pair.ours.state is pair.theirs.state is CallState.ACTIVE


def test_pings_while_silent_go_to_the_last_address_alone_and_get_fewer() -> None:
    pair = call()
    pair.world.run(2)
    start = pair.world.now
    down(pair)
    pair.world.run(40)
    pings = [sent for sent in pair.world.network.log if sent.source == ALICE and sent.at > start + c.SILENT_S]
    assert {sent.destination for sent in pings} == {BOB}
    early = [sent for sent in pings if sent.at <= start + 2 + c.RECONNECT_QUICK_S]
    assert len(early) == pytest.approx(4 * 9, abs=4)
    assert len(pings) - len(early) == pytest.approx(28, abs=4)
    assert {len(sent.data) for sent in pings} == {c.MIN_DATA_BYTES + c.RECORD_BYTES}


def test_nudge_lets_the_other_side_follow_at_once() -> None:
    pair = call(conditions=Conditions(delay=0.02))
    pair.world.run(1.5)
    pair.alice.address = ELSEWHERE
    moved_at = pair.world.now
    pair.ours.nudge(pair.world.now)
    assert pair.world.run(0.1, lambda: pair.theirs.address == ELSEWHERE)
    assert pair.world.now - moved_at <= 2 * 0.04 + 0.001


def test_lost_nudge_is_repeated() -> None:
    pair = call()
    pair.world.run(1.5)
    pair.alice.address = ELSEWHERE
    moved_at = pair.world.now
    pair.world.network.refuse = lambda sent: sent.at < moved_at + 0.2
    pair.ours.nudge(pair.world.now)
    assert pair.world.run(0.4, lambda: pair.theirs.address == ELSEWHERE)


def test_voice_goes_to_the_new_address_one_round_trip_after_the_move() -> None:
    pair = call(conditions=Conditions(delay=0.02))
    talk(pair, 1)
    pair.alice.address = ELSEWHERE
    moved_at = pair.world.now
    talk(pair, 0.5)
    log = pair.world.network.log
    there = [sent.at for sent in log if sent.destination == ELSEWHERE and sent.at > moved_at]
    voice = [sent.at for sent in log if sent.source == BOB and sent.at >= there[0]]
    # Her sound arrives after half a round trip and is answered by a probe; its answer rides in her next sound.
    followed = there[1] - moved_at
    assert there[0] - moved_at == pytest.approx(0.02)
    assert followed <= 0.02 + 0.04 + 2 * 0.02
    assert [at for at in voice if at > there[1]] == there[2:]


def test_line_that_rings_waits_for_the_network_too() -> None:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    pair.world.run(0.1)
    pair.theirs.ring("bob", pair.world.now)
    pair.world.run(1)
    down(pair)
    pair.world.run(20)
    up(pair)
    pair.world.run(2)
    assert both(pair, LineResumed)
    pair.theirs.accept("bob", True, True, pair.world.now)
    assert pair.world.run(1, lambda: pair.ours.state is CallState.ACTIVE)


def test_line_that_was_never_of_use_does_not_reconnect() -> None:
    pair = line()
    down(pair)
    pair.world.run(20)
    assert not pair.bob.of(LineInterrupted)
    assert pair.bob.told[-1] == CallEnded(pair.theirs, Reason.SILENT, remote=False)
