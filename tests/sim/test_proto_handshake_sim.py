"""Handshakes over a network that loses, forges and moves: repetition, candidates, timeouts, roaming, bounds."""

from random import Random
from typing import Any

import pytest
from netem import ALICE, BOB, Conditions, Sent, call, line, two
from opening import Opening

from p2pcall.proto import constants as c
from p2pcall.proto.admission.cookie import Mac, hide_time, pair_key
from p2pcall.proto.call.table import CallState
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.events import CallEnded, HandshakeDone, HandshakeFailed, IncomingCall, Payload
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import DatagramType, DropReason
from p2pcall.types import Address

ELSEWHERE = ("198.51.100.7", 4000)
V6 = ("2001:db8::2", 51729, 0, 0)


def kinds(log: list[Sent]) -> list[int]:
    return [sent.data[0] for sent in log]


@pytest.mark.parametrize(
    ("lost", "within"),
    [
        (DatagramType.KNOCK, 0.3),
        (DatagramType.COOKIE, 0.3),
        (DatagramType.INITIATION, 0.3),
        (DatagramType.RESPONSE, 0.3),
        (DatagramType.CONFIRMATION, 0.3),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_lost_handshake_message_is_repeated(lost: DatagramType, within: float, known: bool) -> None:
    world, alice, bob = two()
    bob.endpoint.contacts([alice.static.public])
    left = [1]

    def refuse(sent: Sent) -> bool:
        if sent.data[0] == lost and left:
            left.pop()
            return True
        return False

    world.network.refuse = refuse
    peer = alice.endpoint.dial([BOB], world.now, bob.static.public if known else None)
    assert world.run(within, lambda: bool(bob.of(HandshakeDone)) and bool(alice.of(HandshakeDone)))
    peer.invite("alice", True, True, world.now)
    assert world.run(0.5, lambda: bool(bob.of(IncomingCall)))
    assert not left


def test_lost_response_is_repeated_without_a_second_handshake() -> None:
    world, alice, bob = two()
    world.network.refuse = lambda sent: sent.data[0] == DatagramType.RESPONSE and sent.at < 1000.3
    alice.endpoint.dial([BOB], world.now)
    world.run(1)
    responses = {sent.data for sent in world.network.log if sent.data[0] == DatagramType.RESPONSE}
    assert len(responses) == 1
    assert len(bob.of(HandshakeDone)) == 1


def test_knock_is_repeated_in_the_agreed_rhythm_and_given_up() -> None:
    world, alice, _ = two()
    world.network.refuse = lambda sent: True
    peer = alice.endpoint.dial([BOB], world.now)
    world.run(10)
    sent_at = [round(sent.at - 1000, 6) for sent in world.network.log]
    assert sent_at == [0, 0.25, *(number / 2 for number in range(1, 10))]
    assert kinds(world.network.log) == [DatagramType.KNOCK] * 11
    assert len({sent.data for sent in world.network.log}) == 11
    assert alice.told == [HandshakeFailed(peer, "timeout")]
    assert alice.endpoint.next_timer() is None
    assert peer.state is CallState.ENDED


def test_initiation_is_repeated_until_it_is_answered() -> None:
    world, alice, _ = two()
    world.network.refuse = lambda sent: sent.data[0] == DatagramType.RESPONSE
    alice.endpoint.dial([BOB], world.now)
    world.run(1.3)
    parts = [sent for sent in world.network.log if sent.data[0] == DatagramType.INITIATION]
    assert [round(sent.at - 1000, 6) for sent in parts[::2]] == [0.02, 0.27, 0.52, 1.02]
    assert len({sent.data for sent in parts[:2]}) == 2


def test_stale_cookie_is_replaced_by_a_fresh_one() -> None:
    world, alice, bob = two()
    alice.endpoint.dial([BOB], world.now)
    world.run(0.015)  # the cookie is on its way
    bob.endpoint._admission._cookies._secrets = (Mac(b"another secret"),)
    assert world.run(0.6, lambda: bool(bob.of(HandshakeDone)))
    assert bob.endpoint.dropped == {DropReason.COOKIE: 4}


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
    world.network.refuse = lambda sent: sent.data[0] in (DatagramType.CONFIRMATION, DatagramType.DATA)
    peer = alice.endpoint.dial([BOB], world.now)
    world.run(c.HANDSHAKE_TIMEOUT_S + 0.1)
    assert alice.told == [HandshakeDone(peer), CallEnded(peer, Reason.LOST, remote=False)]
    assert alice.endpoint.idle


def test_responder_is_heard_at_once_after_the_confirmation() -> None:
    pair = line()
    assert pair.world.run(0.05, lambda: pair.ours.rx_bytes > 0)


def test_candidates_are_knocked_at_staggered() -> None:
    world, alice, _ = two()
    world.network.refuse = lambda sent: True
    alice.endpoint.dial([V6, ELSEWHERE, V6, BOB], world.now)
    world.run(0.2)
    sent = [(round(sent.at - 1000, 6), sent.destination) for sent in world.network.log]
    assert sent == [(0, V6), (0.05, ELSEWHERE), (0.1, BOB)]


def test_one_who_is_reached_at_two_addresses_answers_one_handshake() -> None:
    world, alice, bob = two()
    bob.endpoint.accepting = True
    ours = alice.endpoint.dial([V6, BOB], world.now)
    for _ in range(3):
        world.run(0.05)
        for data, to in alice.endpoint.datagrams_to_send(world.now):
            bob.endpoint.receive_datagram(data, ALICE, world.now)
            assert to in (V6, BOB)
    for sent in list(world.network.log):
        if sent.destination == V6:
            bob.endpoint.receive_datagram(sent.data, ALICE, world.now)
    assert world.run(1, lambda: bool(bob.of(HandshakeDone)))
    assert len(bob.of(HandshakeDone)) == 1
    assert len({sent.data for sent in world.network.log if sent.data[0] == DatagramType.RESPONSE}) == 1
    assert ours.established


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
    bob.endpoint.contacts([alice.static.public])
    eve = world.add(ELSEWHERE)
    dialled_at = world.now
    world.network.refuse = lambda sent: sent.destination == BOB and sent.at < dialled_at + 1.0
    peer = alice.endpoint.dial([ELSEWHERE, BOB], dialled_at, expected_static=bob.static.public)
    assert world.run(3, lambda: bool(alice.told))
    assert alice.told == [HandshakeDone(peer)]
    assert alice.endpoint.dropped[DropReason.KEY] > 0
    assert (peer.address, peer.remote_static) == (BOB, bob.static.public)
    world.run(1)
    shown = [sent for sent in world.network.log if sent.data[0] == DatagramType.CONFIRMATION]
    assert {sent.destination for sent in shown} == {BOB}
    assert eve.told == []


def test_dialler_without_the_key_of_a_contact_learns_that_somebody_else_is_there() -> None:
    world, alice, bob = two()
    dialled_at = world.now
    peer = alice.endpoint.dial([BOB], dialled_at, expected_static=StaticKey.from_private(bytes(32)).public)
    assert world.run(6, lambda: bool(alice.told))
    assert alice.told == [HandshakeFailed(peer, "key-changed", bob.static.public)]
    assert world.now - dialled_at == pytest.approx(c.SECOND_WAY_S + 0.04 + c.KEY_GRACE_S)


def test_right_key_that_answers_only_a_stranger_is_taken() -> None:
    world, alice, bob = two()
    world.network.refuse = lambda sent: sent.data[:1] == b"\1" and sent.data[2] == 2
    peer = alice.endpoint.dial([BOB], world.now, expected_static=bob.static.public)
    assert world.run(2, lambda: bool(alice.told))
    assert alice.told == [HandshakeDone(peer)]
    assert peer.protocol_name.startswith("Noise_XXhfs_")


@pytest.mark.parametrize(
    ("answered_after", "failed_after"),
    [(0.02, 0.44 + c.KEY_GRACE_S), (3.41, 3.44 + c.KEY_GRACE_S), (4.45, c.HANDSHAKE_TIMEOUT_S)],
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
    assert bob.endpoint.dropped == {DropReason.NOT_ACCEPTING: 11}
    assert isinstance(alice.told[0], HandshakeFailed)


@pytest.mark.parametrize(("left", "right"), [(True, False), (False, True)])
def test_aes_is_used_only_where_both_can(left: bool, right: bool) -> None:
    world, _, _ = two()
    alice = world.add(("a", 1), aes=left)
    world.add(("b", 1), aes=right)
    alice.endpoint.dial([("b", 1)], world.now)
    world.run(0.1)
    assert alice.told[0].peer.protocol_name == "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256"


@pytest.mark.parametrize("known", [False, True])
def test_no_reply_is_longer_than_what_came(known: bool) -> None:
    world, alice, bob = two()
    alice.endpoint.dial([BOB], world.now, bob.static.public if known else None)
    world.network.refuse = lambda sent: sent.data[0] == DatagramType.CONFIRMATION
    world.run(4)
    told = {DatagramType.KNOCK: DatagramType.COOKIE, DatagramType.INITIATION: DatagramType.RESPONSE}
    for question, answer in told.items():
        asked = [sent for sent in world.network.log if sent.data[0] == question]
        answered = [sent for sent in world.network.log if sent.data[0] == answer]
        assert len(answered) > 0
        for sent in answered:
            before = sum(len(one.data) for one in asked if one.at <= sent.at)
            so_far = sum(len(one.data) for one in answered if one.at <= sent.at)
            assert so_far <= before
    assert {sent.data[0] for sent in world.network.log if sent.source == BOB} == set(told.values())


def test_half_open_handshakes_are_bounded_and_forgotten() -> None:
    world, _, bob = two()
    for number in range(3 * c.MAX_HALF_OPEN):
        home: Address = (f"198.51.100.{number}", 1)
        eve = Endpoint(StaticKey.from_private(bytes(range(32))), Random(number).randbytes)
        Opening(eve, bob.endpoint, home, BOB, world.now + number / 50).get_cookie().get_parts().get_response()
    assert len(bob.endpoint._admission) == c.MAX_HALF_OPEN
    bob.endpoint.handle_timer(world.now + 1000)
    assert len(bob.endpoint._admission) == 0
    assert bob.endpoint.next_timer() is None
    assert bob.told == []


def test_flood_of_strangers_does_not_touch_a_call() -> None:
    pair = call()
    now = pair.world.now
    bob = pair.bob.endpoint
    for number in range(300):  # each one proves its address and begins in earnest
        eve = Endpoint(StaticKey.from_private(bytes(range(32))), Random(number).randbytes)
        opening = Opening(eve, bob, ("198.51.100.1", number), BOB, now).get_cookie().get_parts()
        for part in opening.parts:
            bob.receive_datagram(part, opening.home, now)
        bob.datagrams_to_send(now)
    assert bob.dropped[DropReason.RATE] == 300 - c.SOURCE_BURST
    pair.ours.send(3, b"sound", now)
    pair.world.run(0.1)
    assert pair.bob.of(Payload)


def test_lines_are_bounded() -> None:
    world, alice, bob = two()
    eve = Endpoint(StaticKey.from_private(bytes(range(32))), Random(1).randbytes)
    late = Opening(eve, bob.endpoint, ELSEWHERE, BOB, world.now).get_cookie().get_parts().get_response()
    for _ in range(c.MAX_PEERS):
        bob.endpoint.dial([ELSEWHERE], world.now)
    alice.endpoint.dial([BOB], world.now)
    world.run(0.1)
    assert bob.endpoint.dropped == {DropReason.FULL: 1}
    late.get_confirmation().confirm()
    assert bob.endpoint.dropped == {DropReason.FULL: 2}
    assert late.peer.established
    assert bob.told == []


def test_datagrams_from_the_past_are_dropped() -> None:
    pair = line()
    pair.world.run(0.1)
    log = list(pair.world.network.log)
    for sent in log:
        node = pair.bob if sent.destination == BOB else pair.alice
        node.endpoint.receive_datagram(sent.data, ELSEWHERE, pair.world.now)
    assert pair.alice.endpoint.dropped[DropReason.DUPLICATE] == 2, "cookie and response"
    assert pair.bob.endpoint.dropped[DropReason.COOKIE] == 2, "from elsewhere the parts prove nothing"
    assert pair.bob.endpoint.dropped[DropReason.DUPLICATE] == 1, "confirmation"
    assert pair.bob.endpoint.dropped[DropReason.REPLAY] >= 1
    assert (pair.ours.address, pair.theirs.address) == (BOB, ALICE)
    assert len(pair.alice.told) == len(pair.bob.told) == 1


def strangers(endpoint: Endpoint, count: int, now: float) -> list[Endpoint]:
    """So many finish a handshake with the endpoint and then say nothing."""
    made = []
    for number in range(count):
        stranger = Endpoint(StaticKey.from_private(bytes(range(32))), Random(number).randbytes)
        Opening(stranger, endpoint, (f"stranger {number}", 1), BOB, now).run()
        endpoint.datagrams_to_send(now)
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
    assert bob.of(CallEnded) == [CallEnded(silent[0], Reason.SILENT, remote=False)], "the oldest makes way"
    assert len(bob.endpoint._state.peers) == c.MAX_PEERS
    ours.invite("alice", True, True, world.now)
    assert world.run(0.1, lambda: bool(bob.of(IncomingCall)))
    assert DropReason.FULL not in bob.endpoint.dropped


def test_line_with_a_call_does_not_make_way() -> None:
    world, alice, bob = two()
    callers = strangers(bob.endpoint, c.MAX_PEERS, world.now)
    for number, caller in enumerate(callers):
        done = caller.next_event()
        assert isinstance(done, HandshakeDone)
        done.peer.invite("stranger", True, True, world.now)
        for data, _ in caller.datagrams_to_send(world.now):
            bob.endpoint.receive_datagram(data, (f"stranger {number}", 1), world.now)
    world.pump()
    assert len(bob.of(IncomingCall)) == c.MAX_PEERS
    alice.endpoint.dial([BOB], world.now)
    world.run(0.1)
    assert bob.endpoint.dropped == {DropReason.FULL: 1}
    assert not alice.told and not bob.of(CallEnded)
    bob.of(IncomingCall)[5].peer.decline(Reason.BUSY, world.now)
    assert world.run(0.5, lambda: len(bob.of(HandshakeDone)) > c.MAX_PEERS), "a call that is over makes way"
    assert len(bob.of(CallEnded)) == 1


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


def test_undrained_events_drop_payloads_but_no_goodbye() -> None:
    pair = call()
    for _ in range(c.MAX_EVENTS + 5):
        pair.ours.send(3, b"", pair.world.now)
        ((data, _),) = pair.alice.endpoint.datagrams_to_send(pair.world.now)
        pair.bob.endpoint.receive_datagram(data, ALICE, pair.world.now)
    assert pair.bob.endpoint.dropped[DropReason.QUEUE] == 5
    pair.ours.hangup(Reason.HUNG_UP, pair.world.now)
    for data, _ in pair.alice.endpoint.datagrams_to_send(pair.world.now):
        pair.bob.endpoint.receive_datagram(data, ALICE, pair.world.now)
    told = []
    while (event := pair.bob.endpoint.next_event()) is not None:
        told.append(event)
    assert told[-1] == CallEnded(pair.theirs, Reason.HUNG_UP, remote=True)


def test_handshake_takes_two_and_a_half_round_trips() -> None:
    world, alice, bob = two(conditions=Conditions(delay=0.1))
    alice.endpoint.dial([BOB], world.now)
    assert world.run(0.401, lambda: bool(alice.told))
    assert world.run(0.101, lambda: bool(bob.told))


def test_wall_clock_that_stands_or_goes_back_does_not_stop_the_knocks() -> None:
    for wall in (lambda now: 5.0, lambda now: 5000.0 - now):
        world, _, bob = two()
        static = StaticKey.from_private(bytes(range(32)))
        ours = Endpoint(static, Random(1).randbytes, wall=wall)
        bob.endpoint.reach = "contacts"
        bob.endpoint.contacts([static.public])
        for number in range(5):
            now = world.now + number
            Opening(ours, bob.endpoint, ALICE, BOB, now, bob.static.public).get_cookie().peer.close()
        assert not bob.endpoint.dropped


def test_knocks_bear_the_time_of_day() -> None:
    world, _, bob = two()
    ours = Endpoint(
        StaticKey.from_private(bytes(range(32))), Random(1).randbytes, wall=lambda now: now + 1.7e9
    )
    opening = Opening(ours, bob.endpoint, ALICE, BOB, world.now, bob.static.public)
    mac = Mac(pair_key(bob.static, ours._state.local.static.public, initiator=False))
    time = hide_time(mac, opening.knock[16:32], opening.knock[32:40])
    assert int.from_bytes(time, "big") == (world.now + 1.7e9) * 1_000_000


def test_contact_that_answers_only_contacts_is_found_among_the_known() -> None:
    world, alice, bob = two()
    bob.endpoint.reach = "contacts"
    bob.endpoint.contacts([alice.static.public])
    others = [StaticKey.from_private(bytes([number]) * 32).public for number in range(1, 6)]
    peer = alice.endpoint.dial([BOB], world.now, known=[*others, bob.static.public])
    assert world.run(2, lambda: bool(alice.told))
    assert alice.told == [HandshakeDone(peer)]
    assert peer.protocol_name.startswith("Noise_IKhfs_")


@pytest.mark.parametrize(
    "bad", [{"addresses": []}, {"expected_static": b"short"}, {"known": [b"short"]}], ids=str
)
def test_dial_with_nothing_to_dial_raises(bad: dict[str, Any]) -> None:
    world, alice, _ = two()
    with pytest.raises(ValueError, match=r"address|public key"):
        alice.endpoint.dial(**({"addresses": [BOB], "now": world.now} | bad))


def test_same_seed_gives_the_same_bytes() -> None:
    def run() -> list[bytes]:
        conditions = Conditions(loss=0.2, jitter=0.05, duplicate=0.1, reorder=0.1, corrupt=0.05)
        pair = call(7, conditions, exact=True)
        pair.world.run(10)
        return [sent.data for sent in pair.world.network.log]

    assert run() == run()
