"""The phases of a peer: which moves there are, and that there are no others."""

from itertools import product
from random import Random

import pytest
from netem import line, two

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallError, CallState
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.proto.phase import PHASE_TABLE, Move, Phase, PhaseName, phase_diagram
from p2pcall.proto.wire import Channel, DropReason

ADDRESS = ("192.0.2.1", 51729)


class Another(Phase):
    """A phase of any name."""

    def __init__(self, name: PhaseName) -> None:
        self.name = name  # type: ignore[misc]


@pytest.mark.parametrize(("phase", "move", "after"), list(product(PhaseName, Move, PhaseName)))
def test_a_peer_moves_as_the_table_says_and_in_no_other_way(
    phase: PhaseName, move: Move, after: PhaseName
) -> None:
    endpoint = Endpoint(StaticKey.from_private(Random(1).randbytes(32)), Random(2).randbytes)
    peer = endpoint.dial([ADDRESS], 0.0)
    peer.phase, there = Another(phase), Another(after)
    if PHASE_TABLE.get((phase, move)) is after:
        peer.enter(move, there)
        assert peer.phase is there
    else:
        with pytest.raises((KeyError, AssertionError)):
            peer.enter(move, there)
        assert peer.phase.name is phase


def test_every_phase_is_left_and_nothing_comes_after_the_last() -> None:
    assert {phase for phase, _ in PHASE_TABLE} == set(PhaseName)
    assert {after for (phase, _), after in PHASE_TABLE.items() if phase is PhaseName.GONE} == {PhaseName.GONE}
    assert len(phase_diagram().splitlines()) == len(PHASE_TABLE)


def test_a_peer_that_is_gone_does_nothing_any_more() -> None:
    pair = line()
    peer, now = pair.ours, pair.world.now
    peer.close()
    assert peer.phase.name is PhaseName.GONE
    assert (peer.state, peer.settled, peer.established) == (CallState.ENDED, True, False)
    assert not peer.answered
    peer.send(Channel.AUDIO, b"x", now)
    peer.send_control(c.FIRST_ENGINE_MESSAGE, b"x", now)
    peer.nudge(now)
    peer.decline(Reason.DECLINED, now)
    peer.hangup(Reason.HUNG_UP, now)
    for wish in (
        lambda: peer.invite("x", True, True, now),
        lambda: peer.ring("x", now),
        lambda: peer.accept("x", True, True, now),
    ):
        with pytest.raises(CallError):
            wish()
    with pytest.raises(ValueError, match="not the owner's"):
        peer.send_control(ControlType.INVITE, b"", now)
    assert not pair.alice.endpoint.datagrams_to_send(now)
    assert pair.alice.endpoint.next_timer() is None


def test_what_comes_for_a_peer_that_is_gone_is_dropped() -> None:
    phase = Phase()
    assert phase.receive_data(b"", ADDRESS, 0.0) is DropReason.INDEX
    for dropped in (
        phase.receive_cookie(None, 0.0),  # type: ignore[arg-type]
        phase.receive_response(None, ADDRESS, 0.0),  # type: ignore[arg-type]
    ):
        assert dropped is DropReason.DUPLICATE


def test_a_dial_can_only_be_given_up() -> None:
    world, alice, _ = two()
    peer = alice.endpoint.dial([ADDRESS], world.now)
    peer.nudge(world.now)
    assert (peer.phase.name, peer.state, peer.settled) == (PhaseName.CONNECTING, CallState.IDLE, False)
    assert (peer.line, peer.sas, peer.rtt, peer.clock_offset) == (None, (), None, None)
    for wish in (
        lambda: peer.invite("x", True, True, world.now),
        lambda: peer.accept("x", True, True, world.now),
        lambda: peer.send(Channel.AUDIO, b"x", world.now),
        lambda: peer.send_control(c.FIRST_ENGINE_MESSAGE, b"x", world.now),
    ):
        with pytest.raises(RuntimeError, match="the handshake is not done"):
            wish()
    peer.hangup(Reason.HUNG_UP, world.now)
    assert peer.phase.name is PhaseName.GONE


def test_a_datagram_costs_what_concerns_its_own_peer() -> None:
    """However many lines there are, only the one that it is for is looked at."""
    world, alice, _ = two()
    counted: list[PhaseName] = []

    class Counting(Phase):
        def flush(self, now: float) -> None:
            counted.append(self.name)

        def next_timer(self) -> float | None:
            counted.append(self.name)
            return None

    for _ in range(c.MAX_PEERS - 1):
        alice.endpoint.dial([ADDRESS], world.now).phase = Counting()
    alice.endpoint.datagrams_to_send(world.now)
    counted.clear()
    assert not alice.endpoint.receive_datagram(b"junk", ADDRESS, world.now)
    alice.endpoint.datagrams_to_send(world.now)
    alice.endpoint.next_timer()
    assert not counted
