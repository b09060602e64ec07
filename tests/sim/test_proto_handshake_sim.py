"""Handshakes over a network that loses, forges and moves: repetition, candidates, timeouts, roaming, bounds."""

from random import Random

import pytest
from netem import ALICE, BOB, Conditions, Sent, call, line, two

from p2pcall.proto import constants as c
from p2pcall.proto.calling import State
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.happenings import Ended, HandshakeDone, HandshakeFailed, Incoming, Payload
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import Address, DatagramType, DropReason

ELSEWHERE = ("198.51.100.7", 4000)
V6 = ("2001:db8::2", 51729, 0, 0)


def kinds(log: list[Sent]) -> list[int]:
    return [sent.data[0] for sent in log]


@pytest.mark.parametrize(
    ("lost", "within"),
    [(DatagramType.INITIATION, 0.3), (DatagramType.RESPONSE, 0.3), (DatagramType.CONFIRMATION, 0.3)],
)
def test_lost_handshake_message_is_repeated(lost: DatagramType, within: float) -> None:
    world, alice, bob = two()
    left = [1]

    def refuse(sent: Sent) -> bool:
        if sent.data[0] == lost and left:
            left.pop()
            return True
        return False

    world.network.refuse = refuse
    peer = alice.endpoint.dial([BOB], world.now)
    assert world.run(within, lambda: bool(bob.of(HandshakeDone)) and bool(alice.of(HandshakeDone)))
    peer.invite("alice", True, True, world.now)
    assert world.run(0.5, lambda: bool(bob.of(Incoming)))
    assert not left


def test_lost_response_is_repeated_without_a_second_handshake() -> None:
    world, alice, bob = two()
    world.network.refuse = lambda sent: sent.data[0] == DatagramType.RESPONSE and sent.at < 1000.3
    alice.endpoint.dial([BOB], world.now)
    world.run(1)
    responses = {sent.data for sent in world.network.log if sent.data[0] == DatagramType.RESPONSE}
    assert len(responses) == 1
    assert len(bob.of(HandshakeDone)) == 1


def test_initiation_is_repeated_in_the_agreed_rhythm_and_given_up() -> None:
    world, alice, _ = two()
    world.network.refuse = lambda sent: True
    peer = alice.endpoint.dial([BOB], world.now)
    world.run(10)
    assert [round(sent.at - 1000, 6) for sent in world.network.log] == [0, 0.25, 0.75, 1.75, 2.75, 3.75, 4.75]
    assert len({sent.data for sent in world.network.log}) == 1
    assert alice.told == [HandshakeFailed(peer, "timeout")]
    assert alice.endpoint.next_timer() is None
    assert peer.state is State.ENDED


def test_confirmation_is_repeated_until_the_responder_is_heard() -> None:
    world, alice, _ = two()
    world.network.refuse = lambda sent: sent.data[0] == DatagramType.DATA
    alice.endpoint.dial([BOB], world.now)
    world.run(1)
    confirmations = [sent for sent in world.network.log if sent.data[0] == DatagramType.CONFIRMATION]
    assert len(confirmations) == 3
    assert len({sent.data for sent in confirmations}) == 1


def test_confirmation_that_is_never_answered_is_given_up() -> None:
    world, alice, _ = two()
    world.network.refuse = lambda sent: sent.data[0] >= DatagramType.CONFIRMATION
    peer = alice.endpoint.dial([BOB], world.now)
    world.run(c.HANDSHAKE_TIMEOUT_S + 0.1)
    assert alice.told == [HandshakeDone(peer), Ended(peer, Reason.LOST, remote=False)]
    assert alice.endpoint.idle


def test_responder_is_heard_at_once_after_the_confirmation() -> None:
    pair = line()
    assert pair.world.run(0.05, lambda: pair.ours.rx_bytes > 0)


def test_candidates_are_tried_staggered_with_the_same_initiation() -> None:
    world, alice, _ = two()
    world.network.refuse = lambda sent: True
    alice.endpoint.dial([V6, ELSEWHERE, V6, BOB], world.now)
    world.run(0.2)
    sent = [(round(sent.at - 1000, 6), sent.destination) for sent in world.network.log]
    assert sent == [(0, V6), (0.05, ELSEWHERE), (0.1, BOB)]
    assert len({sent.data for sent in world.network.log}) == 1


def test_first_candidate_that_answers_wins() -> None:
    world, alice, bob = two()
    peer = alice.endpoint.dial([ELSEWHERE, BOB], world.now)
    assert peer.address == ELSEWHERE
    world.run(0.5)
    assert peer.address == BOB
    assert len(bob.of(HandshakeDone)) == 1


def test_candidates_are_bounded() -> None:
    world, alice, _ = two()
    alice.endpoint.dial([("h", port) for port in range(100)], world.now)
    world.run(1)
    assert len({sent.destination for sent in world.network.log}) == c.MAX_CANDIDATES


def test_changed_key_stops_before_our_identity_is_shown() -> None:
    world, alice, bob = two()
    expected = StaticKey.from_private(bytes(range(32))).public
    peer = alice.endpoint.dial([BOB], world.now, expected_static=expected)
    world.run(6)
    assert alice.told == [HandshakeFailed(peer, "key-changed", bob.static.public)]
    assert DatagramType.CONFIRMATION not in kinds(world.network.log)
    assert bob.told == []
    assert alice.endpoint.dropped[DropReason.KEY] > 0
    assert alice.endpoint.idle


def test_spoofed_address_does_not_win_by_being_quick() -> None:
    world, alice, bob = two()
    eve = world.add(ELSEWHERE)
    dialled_at = world.now
    world.network.refuse = lambda sent: sent.destination == BOB and sent.at < dialled_at + 0.7
    peer = alice.endpoint.dial([ELSEWHERE, BOB], dialled_at, expected_static=bob.static.public)
    assert world.run(1, lambda: bool(alice.told))
    assert alice.told == [HandshakeDone(peer)]
    assert (peer.address, peer.remote_static) == (BOB, bob.static.public)
    world.run(1)
    shown = [sent for sent in world.network.log if sent.data[0] == DatagramType.CONFIRMATION]
    assert {sent.destination for sent in shown} == {BOB}
    assert eve.told == []


def test_spoofed_answer_from_the_one_address_dialled_does_not_win_by_being_quick() -> None:
    world, alice, bob = two()
    eve = world.add(("spoofs", 1)).endpoint
    peer = alice.endpoint.dial([BOB], world.now, expected_static=bob.static.public)
    ((initiation, _),) = alice.endpoint.datagrams_to_send(world.now)
    eve.receive_datagram(initiation, ALICE, world.now)
    ((spoofed, _),) = eve.datagrams_to_send(world.now)
    alice.endpoint.receive_datagram(spoofed, BOB, world.now)
    assert world.run(c.KEY_GRACE_S, lambda: bool(alice.told))
    assert alice.told == [HandshakeDone(peer)]


@pytest.mark.parametrize(
    ("answered_after", "failed_after"), [(0.02, 0.02 + c.KEY_GRACE_S), (4.77, c.HANDSHAKE_TIMEOUT_S)]
)
def test_right_key_is_waited_for_no_longer_than_the_grace(answered_after: float, failed_after: float) -> None:
    world, alice, bob = two()
    dialled_at = world.now
    world.network.refuse = lambda sent: sent.at < dialled_at + answered_after - 0.021
    expected = StaticKey.from_private(bytes(range(32))).public
    peer = alice.endpoint.dial([BOB], dialled_at, expected_static=expected)
    assert world.run(6, lambda: bool(alice.told))
    assert world.now - dialled_at == pytest.approx(failed_after)
    assert alice.told == [HandshakeFailed(peer, "key-changed", bob.static.public)]


def test_expected_key_connects() -> None:
    world, alice, bob = two()
    alice.endpoint.dial([BOB], world.now, expected_static=bob.static.public)
    world.run(1)
    assert alice.of(HandshakeDone)


def test_endpoint_that_takes_no_calls_is_silent() -> None:
    world, alice, bob = two()
    bob.endpoint.accepting = False
    alice.endpoint.dial([BOB], world.now)
    world.run(6)
    assert {sent.source for sent in world.network.log} == {ALICE}
    assert bob.endpoint.dropped[DropReason.NOT_ACCEPTING] == 7
    assert isinstance(alice.told[0], HandshakeFailed)


@pytest.mark.parametrize(("left", "right"), [(True, False), (False, True)])
def test_aes_is_used_only_where_both_can(left: bool, right: bool) -> None:
    world, _, _ = two()
    alice = world.add(("a", 1), aes=left)
    world.add(("b", 1), aes=right)
    alice.endpoint.dial([("b", 1)], world.now)
    world.run(0.1)
    assert alice.told[0].peer.protocol_name == "Noise_XX_25519_ChaChaPoly_SHA256"


def test_answer_to_a_stranger_is_never_longer_than_the_question() -> None:
    pair = line()
    sizes = {sent.data[0]: len(sent.data) for sent in reversed(pair.world.network.log)}
    assert sizes[DatagramType.RESPONSE] <= sizes[DatagramType.INITIATION]
    assert kinds(pair.world.network.log).count(DatagramType.RESPONSE) == 1


def test_half_open_handshakes_are_bounded_and_forgotten() -> None:
    world, alice, bob = two()
    initiation = next(
        iter(alice.endpoint.dial([BOB], world.now) and alice.endpoint.datagrams_to_send(world.now))
    )
    random = Random(5)
    for number in range(3 * c.MAX_HALF_OPEN):
        forged = initiation[0][:8] + random.randbytes(32) + initiation[0][40:]
        bob.endpoint.receive_datagram(forged, ELSEWHERE, world.now + number)
    assert len(bob.endpoint._admission) <= c.MAX_HALF_OPEN
    bob.endpoint.handle_timer(world.now + 1000)
    assert len(bob.endpoint._admission) == 0
    assert bob.endpoint.next_timer() is None
    assert bob.told == []


def test_flood_of_strangers_does_not_touch_a_call() -> None:
    pair = call()
    random = Random(5)
    forged = pair.world.network.log[0].data[:8]
    for _ in range(500):
        data = forged + random.randbytes(c.INITIATION_BYTES - 8)
        pair.bob.endpoint.receive_datagram(data, ELSEWHERE, pair.world.now)
    assert pair.bob.endpoint.dropped[DropReason.RATE] > 400
    pair.ours.send(3, b"sound", pair.world.now)
    pair.world.run(0.1)
    assert pair.bob.of(Payload)


def test_lines_are_bounded() -> None:
    world, alice, bob = two()
    half_open = Endpoint(StaticKey.from_private(bytes(range(32))), Random(1).randbytes)
    late = half_open.dial([BOB], world.now)
    ((initiation, _),) = half_open.datagrams_to_send(world.now)
    bob.endpoint.receive_datagram(initiation, ELSEWHERE, world.now)
    ((response, _),) = bob.endpoint.datagrams_to_send(world.now)
    for _ in range(c.MAX_PEERS):
        bob.endpoint.dial([ELSEWHERE], world.now)
    alice.endpoint.dial([BOB], world.now)
    world.run(0.1)
    assert bob.endpoint.dropped[DropReason.FULL] == 1
    half_open.receive_datagram(response, BOB, world.now)
    confirmation = half_open.datagrams_to_send(world.now)[0][0]
    bob.endpoint.receive_datagram(confirmation, ELSEWHERE, world.now)
    assert bob.endpoint.dropped[DropReason.FULL] == 2
    assert late.established
    assert bob.told == []


def test_datagrams_from_the_past_are_dropped() -> None:
    pair = line()
    pair.world.run(0.1)
    log = list(pair.world.network.log)
    for sent in log:
        node = pair.bob if sent.destination == BOB else pair.alice
        node.endpoint.receive_datagram(sent.data, ELSEWHERE, pair.world.now)
    assert pair.alice.endpoint.dropped[DropReason.DUPLICATE] == 1
    assert pair.bob.endpoint.dropped[DropReason.DUPLICATE] == 1
    assert pair.bob.endpoint.dropped[DropReason.REPLAY] >= 1
    assert (pair.ours.address, pair.theirs.address) == (BOB, ALICE)
    assert len(pair.alice.told) == len(pair.bob.told) == 1


def strangers(endpoint: Endpoint, count: int, now: float) -> list[Endpoint]:
    """So many finish a handshake with the endpoint and then say nothing."""
    made = []
    for number in range(count):
        address: Address = ("stranger", number)
        stranger = Endpoint(StaticKey.from_private(bytes(range(32))), Random(number).randbytes)
        stranger.dial([BOB], now)
        for _ in range(2):
            for data, _to in stranger.datagrams_to_send(now):
                endpoint.receive_datagram(data, address, now)
            for data, to in endpoint.datagrams_to_send(now):
                if to == address:
                    stranger.receive_datagram(data, BOB, now)
        made.append(stranger)
    return made


def test_silent_handshakes_do_not_keep_a_caller_out() -> None:
    world, alice, bob = two()
    strangers(bob.endpoint, c.MAX_PEERS, world.now - 1)
    world.pump()
    silent = [done.peer for done in bob.of(HandshakeDone)]
    assert len(silent) == c.MAX_PEERS
    ours = alice.endpoint.dial([BOB], world.now)
    world.run(0.1)
    assert bob.of(Ended) == [Ended(silent[0], Reason.SILENT, remote=False)], "the oldest makes way"
    assert len(bob.endpoint._shared.peers) == c.MAX_PEERS
    ours.invite("alice", True, True, world.now)
    assert world.run(0.1, lambda: bool(bob.of(Incoming)))
    assert DropReason.FULL not in bob.endpoint.dropped


def test_line_with_a_call_does_not_make_way() -> None:
    world, alice, bob = two()
    callers = strangers(bob.endpoint, c.MAX_PEERS, world.now)
    for number, caller in enumerate(callers):
        done = caller.next_event()
        assert isinstance(done, HandshakeDone)
        done.peer.invite("stranger", True, True, world.now)
        for data, _ in caller.datagrams_to_send(world.now):
            bob.endpoint.receive_datagram(data, ("stranger", number), world.now)
    world.pump()
    assert len(bob.of(Incoming)) == c.MAX_PEERS
    alice.endpoint.dial([BOB], world.now)
    world.run(0.1)
    assert bob.endpoint.dropped == {DropReason.FULL: 1}
    assert not alice.told and not bob.of(Ended)
    bob.of(Incoming)[5].peer.decline(Reason.BUSY, world.now)
    assert world.run(0.5, lambda: len(bob.of(HandshakeDone)) > c.MAX_PEERS), "a call that is over makes way"
    assert len(bob.of(Ended)) == 1


def test_index_already_taken_is_not_given_again() -> None:
    drawn = iter([b"\0\0\0\1"] * 3 + [b"\0\0\0\2"])
    random = Random(1)

    def entropy(length: int) -> bytes:
        return next(drawn) if length == c.INDEX_BYTES else random.randbytes(length)

    endpoint = Endpoint(StaticKey.from_private(bytes(range(32))), entropy)
    assert [endpoint.dial([BOB], 0.0).index for _ in range(2)] == [1, 2]


def test_undrained_outbox_drops_its_oldest() -> None:
    pair = call()
    for number in range(c.MAX_OUTBOX_DATAGRAMS + 10):
        pair.ours.send(3, number.to_bytes(2, "big"), pair.world.now)
    assert pair.alice.endpoint.dropped[DropReason.QUEUE] == 10
    datagrams = pair.alice.endpoint.datagrams_to_send(pair.world.now)
    assert len(datagrams) == c.MAX_OUTBOX_DATAGRAMS
    pair.bob.endpoint.receive_datagram(datagrams[0][0], ALICE, pair.world.now)
    told = pair.bob.endpoint.next_event()
    assert told == Payload(pair.theirs, 3, (10).to_bytes(2, "big"))


def test_undrained_happenings_drop_payloads_but_no_goodbye() -> None:
    pair = call()
    for _ in range(c.MAX_HAPPENINGS + 5):
        pair.ours.send(3, b"", pair.world.now)
        ((data, _),) = pair.alice.endpoint.datagrams_to_send(pair.world.now)
        pair.bob.endpoint.receive_datagram(data, ALICE, pair.world.now)
    assert pair.bob.endpoint.dropped[DropReason.QUEUE] == 5
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    for data, _ in pair.alice.endpoint.datagrams_to_send(pair.world.now):
        pair.bob.endpoint.receive_datagram(data, ALICE, pair.world.now)
    told = []
    while (happening := pair.bob.endpoint.next_event()) is not None:
        told.append(happening)
    assert told[-1] == Ended(pair.theirs, Reason.HUNG_UP, remote=True)


def test_handshake_takes_one_and_a_half_round_trips() -> None:
    world, alice, bob = two(conditions=Conditions(delay=0.1))
    alice.endpoint.dial([BOB], world.now)
    assert world.run(0.201, lambda: bool(alice.told))
    assert world.run(0.101, lambda: bool(bob.told))
