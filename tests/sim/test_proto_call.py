"""Whole calls between two endpoints in virtual time: the call table on the wire, goodbyes, loss of the line."""

import pytest
from netem import ALICE, BOB, Conditions, Network, Pair, call, line, two

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallError, CallState, glare_winner
from p2pcall.proto.events import (
    Accepted,
    CallEnded,
    HandshakeDone,
    HandshakeFailed,
    IncomingCall,
    Message,
    Payload,
    RemoteRinging,
    Revealed,
)
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.proto.wire import Channel, DatagramType, DropReason


def silence(network: Network) -> None:
    network.refuse = lambda sent: True


def gone(pair: Pair) -> bool:
    return not pair.alice.endpoint._state.peers and not pair.bob.endpoint._state.peers


@pytest.mark.parametrize(
    ("aes", "name"),
    [
        (True, "Noise_XXhfs_25519+MLKEM768_AESGCM_SHA256"),
        (False, "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256"),
    ],
)
def test_call_from_dial_to_hangup(aes: bool, name: str) -> None:
    pair = line(aes=aes)
    world, ours, theirs = pair.world, pair.ours, pair.theirs
    assert pair.alice.told == [HandshakeDone(ours)]
    assert pair.bob.told == [HandshakeDone(theirs)]
    assert ours.sas == theirs.sas == ()
    assert ours.call_id == theirs.call_id == ours.handshake_hash[:4].hex()
    assert ours.protocol_name == theirs.protocol_name == name
    assert (ours.remote_static, theirs.remote_static) == (pair.bob.static.public, pair.alice.static.public)
    assert (ours.initiator, theirs.initiator) == (True, False)
    assert (ours.address, theirs.address) == (BOB, ALICE)
    ours.invite("alice", True, True, world.now)
    world.run(0.1)
    assert pair.bob.told[1:] == [IncomingCall(theirs, "alice", True, True)]
    theirs.ring("bob", world.now)
    world.run(0.1)
    theirs.accept("bob", True, False, world.now)
    world.run(0.1)
    assert pair.alice.told[1:] == [RemoteRinging(ours, "bob"), Accepted(ours, "bob", True, False)]
    assert pair.bob.told[2:] == [Revealed(theirs)]
    assert ours.state is theirs.state is CallState.ACTIVE
    assert ours.sas == theirs.sas != ()
    ours.send(Channel.AUDIO, b"a" * c.MAX_PAYLOAD_BYTES, world.now)
    theirs.send(Channel.VIDEO, b"v", world.now)
    theirs.send_control(ControlType.MEDIA, b"\1", world.now)
    theirs.send_control(64, b"own", world.now)
    world.run(0.1)
    assert pair.bob.of(Payload) == [Payload(theirs, Channel.AUDIO, b"a" * c.MAX_PAYLOAD_BYTES)]
    assert pair.alice.told[3:] == [
        Payload(ours, Channel.VIDEO, b"v"),
        Message(ours, ControlType.MEDIA, b"\1"),
        Message(ours, 64, b"own"),
    ]
    records = [sent.data for sent in world.network.log if sent.data[0] == DatagramType.DATA]
    assert max(map(len, records)) == c.MAX_DATAGRAM_BYTES
    assert not pair.alice.endpoint.dropped and not pair.bob.endpoint.dropped
    ours.hangup(Reason.HUNG_UP, world.now)
    world.run(2)
    assert pair.alice.told[-1] == CallEnded(ours, Reason.HUNG_UP, remote=False)
    assert pair.bob.told[-1] == CallEnded(theirs, Reason.HUNG_UP, remote=True)
    assert gone(pair)


def test_nothing_of_a_call_is_in_the_clear() -> None:
    pair = call()
    pair.ours.send_control(64, b"chat between friends", pair.world.now)
    pair.ours.send(3, b"sound of a voice", pair.world.now)
    pair.world.run(1)
    wire_bytes = b"".join(sent.data for sent in pair.world.network.log)
    for secret in (b"alice", b"bob", b"friends", b"voice", pair.alice.static.public, pair.bob.static.public):
        assert secret not in wire_bytes


def test_round_trip_and_clock_offset_are_measured() -> None:
    pair = call(conditions=Conditions(delay=0.04))
    pair.world.run(5)
    assert pair.ours.rtt == pytest.approx(0.08, abs=0.001)
    # Bob's session began half a round trip after Alice's: his clock is behind hers by that much.
    assert pair.ours.clock_offset == pytest.approx(-0.04, abs=0.001)
    assert pair.theirs.clock_offset == pytest.approx(0.04, abs=0.001)
    assert pair.theirs.session_start - pair.ours.session_start == pytest.approx(0.04, abs=0.001)


def test_traffic_is_counted() -> None:
    pair = call()
    pair.world.run(0.1)
    sent, received = pair.ours.tx_bytes, pair.theirs.rx_bytes
    pair.ours.send(3, b"x" * 100, pair.world.now)
    pair.world.run(0.1)
    record = c.MIN_DATA_BYTES + c.RECORD_BYTES
    assert (pair.ours.tx_bytes, pair.theirs.rx_bytes) == (sent + record, received + record)


@pytest.mark.parametrize("reason", [Reason.DECLINED, Reason.BUSY, Reason.NO_ANSWER, Reason.FAILED])
def test_declined_call_ends_on_both_sides_with_its_reason(reason: Reason) -> None:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    pair.world.run(0.1)
    pair.theirs.decline(reason, pair.world.now)
    pair.world.run(2)
    assert pair.bob.told[-1] == CallEnded(pair.theirs, reason, remote=False)
    assert pair.alice.told[-1] == CallEnded(pair.ours, reason, remote=True)
    assert gone(pair)


def test_blocked_caller_can_be_declined_before_the_invitation() -> None:
    pair = line()
    pair.theirs.decline(Reason.DECLINED, pair.world.now)
    pair.world.run(2)
    assert pair.alice.told[-1] == CallEnded(pair.ours, Reason.DECLINED, remote=True)


def test_caller_can_give_up_while_it_rings() -> None:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    pair.world.run(0.1)
    pair.theirs.ring("bob", pair.world.now)
    pair.world.run(0.1)
    pair.ours.hangup(Reason.NO_ANSWER, pair.world.now)
    pair.world.run(2)
    assert pair.bob.told[-1] == CallEnded(pair.theirs, Reason.NO_ANSWER, remote=True)


def test_goodbyes_may_cross() -> None:
    pair = call()
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    pair.theirs.hangup(Reason.HUNG_UP, pair.world.now)
    pair.world.run(2)
    assert pair.alice.of(CallEnded) == [CallEnded(pair.ours, Reason.HUNG_UP, remote=False)]
    assert pair.bob.of(CallEnded) == [CallEnded(pair.theirs, Reason.HUNG_UP, remote=False)]
    assert gone(pair)


def test_goodbye_leaves_twice_at_once() -> None:
    pair = call()
    before = len(pair.world.network.log)
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    pair.world.pump()
    first, second = pair.world.network.log[before:]
    assert len(first.data) == len(second.data)
    assert first.data != second.data


def test_goodbye_is_repeated_until_it_is_acknowledged() -> None:
    pair = call()
    pair.world.run(3)
    start = pair.world.now
    pair.world.network.refuse = lambda sent: sent.source == ALICE and sent.at < start + 0.05
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    assert not pair.alice.endpoint.idle
    assert pair.world.run(1, lambda: pair.alice.endpoint.idle)
    assert pair.bob.of(CallEnded)


def test_goodbye_that_nobody_hears_is_given_up_after_a_second() -> None:
    pair = call()
    silence(pair.world.network)
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    assert not pair.world.run(c.LINGER_S - 0.01, lambda: pair.alice.endpoint.idle)
    assert pair.world.run(0.02, lambda: pair.alice.endpoint.idle)
    assert pair.alice.endpoint.next_timer() is None


def test_process_may_exit_once_the_goodbye_is_answered() -> None:
    pair = call()
    assert not pair.bob.endpoint.idle
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    assert pair.world.run(0.1, lambda: pair.bob.endpoint.idle and pair.alice.endpoint.idle)


def test_lost_acknowledgement_of_a_goodbye_is_given_again() -> None:
    pair = call()
    pair.world.run(3)
    start = pair.world.now
    pair.world.network.refuse = lambda sent: sent.source == BOB and sent.at < start + 0.05
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    assert pair.world.run(0.8, lambda: pair.alice.endpoint.idle)


def test_nothing_is_sent_or_told_after_the_end() -> None:
    pair = call()
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    pair.ours.send(3, b"late", pair.world.now)
    pair.ours.send_control(64, b"late", pair.world.now)
    assert pair.alice.endpoint.next_event() == CallEnded(pair.ours, Reason.HUNG_UP, remote=False)
    assert pair.alice.endpoint.next_event() is None
    assert len(pair.alice.endpoint.datagrams_to_send(pair.world.now)) == 2
    with pytest.raises(CallError):
        pair.ours.accept("alice", True, True, pair.world.now)


def test_what_the_other_side_sends_after_our_goodbye_is_dropped() -> None:
    pair = call()
    pair.world.network.refuse = lambda sent: sent.source == ALICE
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    told = len(pair.alice.told) + 1
    pair.theirs.send(3, b"sound", pair.world.now)
    pair.theirs.send_control(64, b"text", pair.world.now)
    pair.world.run(0.3)
    assert len(pair.alice.told) == told
    assert pair.alice.endpoint.dropped[DropReason.INACTIVE] == 2


def test_line_is_lost_after_silence() -> None:
    pair = call()
    silence(pair.world.network)
    assert not pair.world.run(c.LOST_TIMEOUT_S - 1.1, lambda: bool(pair.alice.of(CallEnded)))
    assert pair.world.run(1.2, lambda: bool(pair.alice.of(CallEnded)) and bool(pair.bob.of(CallEnded)))
    assert pair.alice.told[-1] == CallEnded(pair.ours, Reason.LOST, remote=False)
    assert pair.ours.state is CallState.ENDED
    assert gone(pair)
    assert pair.alice.endpoint.idle


def test_quiet_call_is_kept_alive() -> None:
    pair = call()
    pair.world.run(600)
    assert pair.ours.state is pair.theirs.state is CallState.ACTIVE


def test_line_without_an_invitation_is_given_up() -> None:
    pair = line()
    pair.world.run(c.INVITE_TIMEOUT_S + 1)
    assert pair.bob.told[-1] == CallEnded(pair.theirs, Reason.SILENT, remote=False)
    pair.world.run(c.LOST_TIMEOUT_S)
    assert pair.alice.told[-1] == CallEnded(pair.ours, Reason.LOST, remote=False)


def test_ringing_may_last() -> None:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    pair.world.run(60)
    assert pair.theirs.state is CallState.INCOMING
    assert pair.ours.state is CallState.DIALLING


def test_closed_peer_vanishes_without_a_word() -> None:
    pair = call()
    sent, told = len(pair.world.network.log), len(pair.alice.told)
    pair.ours.close()
    pair.ours.close()
    pair.ours.phase.flush(pair.world.now)
    pair.ours.phase.handle_timer(pair.world.now + 100)
    assert pair.ours.phase.next_timer() is None
    pair.world.pump()
    assert (len(pair.world.network.log), len(pair.alice.told)) == (sent, told)
    assert pair.alice.endpoint.idle


def test_both_may_dial_at_once_and_agree_whose_call_stays() -> None:
    world, alice, bob = two()
    from_alice = alice.endpoint.dial([BOB], world.now)
    from_bob = bob.endpoint.dial([ALICE], world.now)
    world.run(0.2)
    assert len(alice.of(HandshakeDone)) == len(bob.of(HandshakeDone)) == 2
    winner = glare_winner(alice.static.public, bob.static.public)
    assert glare_winner(bob.static.public, alice.static.public) != winner
    from_alice.invite("alice", True, True, world.now)
    from_bob.invite("bob", True, True, world.now)
    world.run(0.1)
    at_alice, at_bob = alice.of(IncomingCall)[0].peer, bob.of(IncomingCall)[0].peer
    assert at_alice.remote_static == from_alice.remote_static
    kept, loser = (at_bob, at_alice) if winner == "ours" else (at_alice, at_bob)
    loser.decline(Reason.BUSY, world.now)
    kept.accept("me", True, True, world.now)
    world.run(2)
    states = {from_alice.state, from_bob.state}
    assert states == {CallState.ACTIVE, CallState.ENDED}


def test_endpoint_can_call_itself() -> None:
    world, alice, _ = two()
    alice.endpoint.dial([ALICE], world.now)
    world.run(0.1)
    assert len(alice.of(HandshakeDone)) == 2


def test_misuse_by_our_own_code_raises() -> None:
    world, alice, _ = two()
    with pytest.raises(ValueError, match="no address"):
        alice.endpoint.dial([], world.now)
    with pytest.raises(ValueError, match="32 bytes"):
        alice.endpoint.dial([BOB], world.now, expected_static=b"short")
    peer = alice.endpoint.dial([BOB], world.now)
    for misuse in (
        lambda: peer.invite("alice", True, True, world.now),
        lambda: peer.ring("alice", world.now),
        lambda: peer.send(3, b"", world.now),
        lambda: peer.send_control(64, b"", world.now),
    ):
        with pytest.raises(RuntimeError):
            misuse()
    assert peer.state is CallState.IDLE
    pair = call()
    for channel in (-1, 0, 1, 2, 256):
        with pytest.raises(ValueError, match="channel"):
            pair.ours.send(channel, b"", world.now)
    with pytest.raises(ValueError, match="1165"):
        pair.ours.send(3, bytes(c.MAX_PAYLOAD_BYTES + 1), world.now)
    with pytest.raises(ValueError, match="1165 bytes, not 1166"):
        pair.ours.send(3, b"", world.now, padded_to=c.MAX_PAYLOAD_BYTES + 1)
    for kind in (0, 1, 5, 7, 63):
        with pytest.raises(ValueError, match="not the owner's"):
            pair.ours.send_control(kind, b"", world.now)
    with pytest.raises(ValueError, match="not for sending"):
        pair.ours.hangup(Reason.LOST, world.now)
    with pytest.raises(CallError):
        pair.theirs.invite("bob", True, True, world.now)
    with pytest.raises(CallError):
        pair.ours.decline(Reason.DECLINED, world.now)
    assert pair.ours.state is CallState.ACTIVE


def test_hanging_up_a_dial_ends_it_at_once() -> None:
    world, alice, bob = two()
    peer = alice.endpoint.dial([BOB], world.now)
    peer.hangup(Reason.HUNG_UP, world.now)
    world.run(6)
    assert alice.told == [CallEnded(peer, Reason.HUNG_UP, remote=False)]
    assert not alice.of(HandshakeFailed)
    assert bob.told == []
    assert alice.endpoint.idle


def test_call_can_be_hung_up_with_a_full_control_window() -> None:
    pair = call()
    pair.world.run(1)
    pair.world.network.refuse = lambda sent: sent.source == BOB
    for _ in range(c.CONTROL_WINDOW):
        pair.ours.send_control(64, bytes(c.CONTROL_BODY_BYTES), pair.world.now)
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    pair.world.run(0.1)
    assert pair.bob.told[-1] == CallEnded(pair.theirs, Reason.HUNG_UP, remote=True)
    assert len(pair.bob.of(Message)) == c.CONTROL_WINDOW
