"""Two hundred thousand hostile datagrams: none raises, none leaves a trace, and the honest call goes on.

Each test hands over at least its share of `SHARES` and says how many there were. Twenty times the bits are flipped by
the nightly run.
"""

import os
import tracemalloc
from collections.abc import Iterator
from functools import cache
from random import Random

import pytest
from fingerprint import fingerprint
from fuzz_media import Receiver
from fuzz_stage import Source
from hostile import (
    STEPS,
    STRANGER,
    finish,
    hand_over,
    hostile_plaintext,
    junk,
    knocks_of_strangers,
    message,
    opened,
    scene,
    seal,
    talk,
)
from netem import ALICE, BOB, Conditions, Pair, Sent, World, call
from opening import Opening, damage, flips, plain_damage

from p2pcall.media.packets import parse_fragment
from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.call.table import CallState
from p2pcall.proto.endpoint import Endpoint, Peer
from p2pcall.proto.events import HandshakeDone, IncomingCall, Message, Payload
from p2pcall.proto.wire import Channel, DatagramType, DropReason
from p2pcall.types import Address

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
MASKS = (*(1 << bit for bit in range(8)), 0xFF) if NIGHTLY else (0x01, 0x80, 0xFF)
SCENES = ("anyone", "contacts", "dialling", "half-open", "call")
SHARES = {"random": 80_000, "damaged": 50_000, "replayed": 30_000, "crossed": 20_000, "sealed": 20_000}
CAROL: Address = ("192.0.2.3", 51729)
known_or_not = pytest.mark.parametrize("known", [False, True], ids=["XXhfs", "IKhfs"])


def test_shares_are_two_hundred_thousand_datagrams() -> None:
    assert sum(SHARES.values()) >= 200_000


# ---- chance


@pytest.mark.parametrize("name", SCENES)
def test_random_datagrams_leave_no_trace(name: str) -> None:
    at, random = scene(name), Random(name)
    # Three confirmations that cannot be read, from where the initiation came from, end a handshake.
    near = (ALICE[0], 1) if name == "half-open" else ALICE
    handed = hand_over(at.endpoint, junk(random, 8000, at.indexes), STRANGER, at.now)
    handed += hand_over(at.endpoint, junk(random, 8000, at.indexes), near, at.now)
    assert handed >= SHARES["random"] // len(SCENES)
    at.go_on()


def test_knocks_of_strangers_who_know_the_key_leave_no_trace() -> None:
    at = scene("contacts")
    public = at.endpoint._state.local.static.public
    hand_over(at.endpoint, knocks_of_strangers(Random(1), 5000, public), STRANGER, at.now)
    assert at.endpoint.dropped.keys() <= {DropReason.TAG, DropReason.PATTERN, DropReason.RATE}
    at.go_on()


# ---- every length and every byte of every message


@cache
def every_kind() -> dict[str, bytes]:
    """One datagram of each kind, from dials and calls that nobody in these tests knows of."""
    kinds = {}
    for known in (False, True):
        *_, dial = opened("confirmation", known=known)
        parts = {f"part {number}": part for number, part in enumerate(dial.parts)}
        whole = {"knock": dial.knock, "cookie": dial.cookie, "response": dial.response, **parts}
        whole["confirmation"] = dial.confirmation
        kinds.update({f"{name} {'IK' if known else 'XX'}": data for name, data in whole.items()})
    for padded_to in (0, c.MAX_PAYLOAD_BYTES):
        pair = call()
        pair.ours.send(Channel.VIDEO, b"picture", pair.world.now, padded_to=padded_to)
        kinds[f"data {padded_to}"] = pair.alice.endpoint.datagrams_to_send(pair.world.now)[0][0]
    return kinds


def all_damage() -> Iterator[bytes]:
    for data in every_kind().values():
        yield from damage(data, MASKS)


def test_there_are_enough_damaged_datagrams() -> None:
    assert {data[0] for data in every_kind().values()} == set(DatagramType)
    assert 2 * sum(1 for _ in all_damage()) >= SHARES["damaged"]


@pytest.mark.parametrize("name", ["contacts", "call"])
def test_damaged_datagrams_of_another_dial_leave_no_trace(name: str) -> None:
    at = scene(name)
    before, answers = fingerprint(at.endpoint), 0
    for data in all_damage():
        dropped = at.endpoint.dropped.total()
        at.endpoint.receive_datagram(data, STRANGER, at.now)
        said = at.endpoint.datagrams_to_send(at.now)
        answers += len(said)
        assert at.endpoint.dropped.total() - dropped + len(said) == 1, data.hex()
        for answer, _ in said:
            assert (data[0], answer[0]) == (DatagramType.KNOCK, DatagramType.COOKIE)
            assert 2 * len(answer) < len(data)
    assert bool(answers) == (name == "call"), "a stranger's knock may be any, where anyone may call"
    assert fingerprint(at.endpoint) == before
    at.go_on()


@known_or_not
@pytest.mark.parametrize("step", STEPS)
def test_damaged_datagrams_of_the_dial_itself_leave_no_trace(step: str, known: bool) -> None:
    _, alice, bob, dial = opened(step, known=known, contacts=known)
    value = getattr(dial, step)
    end, source = (alice, BOB) if step in ("cookie", "response") else (bob, ALICE)
    for data in value if isinstance(value, tuple) else (value,):
        hand_over(end.endpoint, plain_damage(step, known, data, MASKS), source, dial.now)
        if step == "confirmation":
            hand_over(end.endpoint, damage(data, MASKS), STRANGER, dial.now)
    finish(step, dial)


@pytest.mark.parametrize("aes", [True, False], ids=["AES", "ChaCha"])
def test_damaged_records_leave_no_trace(aes: bool) -> None:
    pair = call(aes=aes)
    now = pair.world.now
    pair.ours.send(Channel.VIDEO, b"sight", now)
    pair.ours.send(Channel.VIDEO, b"sight", now, padded_to=c.MAX_PAYLOAD_BYTES)
    honest = [data for data, _ in pair.alice.endpoint.datagrams_to_send(now)]
    for data in honest:
        hand_over(pair.bob.endpoint, damage(data, MASKS), ALICE, now)
    for data in honest:
        pair.bob.endpoint.receive_datagram(data, ALICE, now)
    assert isinstance(pair.bob.endpoint.next_event(), Payload)
    assert isinstance(pair.bob.endpoint.next_event(), Payload)
    talk(pair)


# ---- again, elsewhere, in another order


def spoken(seconds: float = 4.0) -> Pair:
    """A call in which both have talked for a while."""
    pair = call()
    for frame in range(int(seconds * 50)):
        for peer in (pair.ours, pair.theirs):
            peer.send(Channel.AUDIO, frame.to_bytes(4, "big"), pair.world.now)
        pair.world.run(0.02)
    pair.world.run(0.1)
    return pair


def test_replayed_datagrams_leave_no_trace() -> None:
    pair, random = spoken(), Random(5)
    log = [sent.data for sent in pair.world.network.log]
    records = [data for data in log if data[0] == DatagramType.DATA]
    openings = [data for data in log if data[0] not in (DatagramType.DATA, DatagramType.KNOCK)]
    assert {data[0] for data in openings} == set(DatagramType) - {DatagramType.DATA, DatagramType.KNOCK}
    handed = 0
    for node in (pair.alice, pair.bob):
        for source in (STRANGER, ALICE, BOB):
            again = random.choices(records, k=5000)
            handed += hand_over(node.endpoint, again, source, pair.world.now)
        handed += hand_over(node.endpoint, openings * 20, STRANGER, pair.world.now)
    assert handed >= SHARES["replayed"]
    assert pair.bob.endpoint.dropped[DropReason.REPLAY] > 5000
    talk(pair)


def test_replayed_opening_from_its_own_address_makes_no_second_line() -> None:
    pair = spoken(0.2)
    log = [sent for sent in pair.world.network.log if sent.data[0] != DatagramType.DATA]
    for _ in range(200):
        for sent in log:
            node = pair.bob if sent.destination == BOB else pair.alice
            node.endpoint.receive_datagram(sent.data, sent.source, pair.world.now)
            for answer, _ in node.endpoint.datagrams_to_send(pair.world.now):
                assert answer[0] in (DatagramType.COOKIE, DatagramType.RESPONSE)
    for node in (pair.alice, pair.bob):
        assert len(node.endpoint._state.everyone) == 1
        assert len(node.endpoint._admission) <= 1
    talk(pair)


def three_calls() -> tuple[World, list[tuple[Peer, Peer]], list[tuple[Endpoint, Address]]]:
    """Alice and Carol in a call with Bob each, Alice twice."""
    pair = call()
    world = pair.world
    carol = world.add(CAROL)
    peers = [(pair.ours, pair.theirs)]
    for node in (carol, pair.alice):
        told = len(pair.bob.told)
        ours = node.endpoint.dial([BOB], world.now)
        assert world.run(1, lambda ours=ours: ours.established)
        ours.invite("another", True, False, world.now)
        assert world.run(
            1, lambda told=told: any(isinstance(one, IncomingCall) for one in pair.bob.told[told:])
        )
        theirs = next(one.peer for one in pair.bob.told[told:] if isinstance(one, IncomingCall))
        theirs.accept("bob", True, False, world.now)
        assert world.run(1, lambda ours=ours: ours.state is CallState.ACTIVE)
        peers.append((ours, theirs))
    ends = [(pair.alice.endpoint, ALICE), (pair.bob.endpoint, BOB), (carol.endpoint, CAROL)]
    return world, peers, ends


def test_records_of_one_session_are_nothing_to_another() -> None:
    world, peers, ends = three_calls()
    random, handed = Random(9), 0
    flat = [peer for both in peers for peer in both]
    records = {
        peer: [seal(peer, random.randbytes(c.RECORD_BYTES), world.now) for _ in range(20)] for peer in flat
    }

    def crossed(to: Endpoint) -> Iterator[bytes]:
        for index in to._state.peers:
            for peer, sealed in records.items():
                own = sealed[0][4:8]
                if own != index.to_bytes(c.INDEX_BYTES, "big"):
                    for data in sealed:
                        yield data[:4] + index.to_bytes(c.INDEX_BYTES, "big") + data[8:]
                        yield data[:8] + random.randbytes(8) + data[16:]
                elif peer.index != index:
                    continue

    for endpoint, _ in ends:
        for source in (ALICE, BOB, CAROL, STRANGER):
            for _ in range(5):
                handed += hand_over(endpoint, crossed(endpoint), source, world.now)
    assert handed >= SHARES["crossed"]
    for ours, theirs in peers:
        ours.send_control(64, b"still here", world.now)
        assert world.run(1, lambda ours=ours: ours.line.control.settled)
        assert theirs.state is CallState.ACTIVE


@known_or_not
def test_parts_of_two_initiations_make_none(known: bool) -> None:
    world, alice, bob, one = opened("response", known=known)
    expected = bob.static.public if known else None
    other = Opening(alice.endpoint, bob.endpoint, ALICE, BOB, world.now, expected).get_cookie().get_parts()
    head = c.PART_HEADER_BYTES
    mixed = [
        [one.parts[0], other.parts[1]],
        [one.parts[1], other.parts[0]],
        [one.parts[0], one.parts[1][:head] + other.parts[1][head:]],
        [one.parts[0][:head] + other.parts[0][head:], one.parts[1]],
        [one.parts[0], one.parts[0], one.parts[0]],
    ]
    for parts in mixed:
        for part in parts:
            bob.endpoint.receive_datagram(part, ALICE, world.now)
        for response, _ in bob.endpoint.datagrams_to_send(world.now):
            assert not known, "the first message of XXhfs is in the clear, so a mixed one has an answer ..."
            for dial in (one, other):
                index = dial.peer.index.to_bytes(c.INDEX_BYTES, "big")
                answer = response[:4] + index + response[8:]
                assert hand_over(alice.endpoint, [answer], BOB, world.now), "... that fits neither dial"
        bob.endpoint.handle_timer(world.now + c.HALF_TIMEOUT_S)
    assert not bob.endpoint._state.peers
    assert set(bob.endpoint.dropped) <= {DropReason.HANDSHAKE, DropReason.HEADER, DropReason.HALF}
    for dial in (one, other):
        dial.get_response().get_confirmation().confirm()
        bob.endpoint.datagrams_to_send(world.now)
        assert isinstance(bob.endpoint.next_event(), HandshakeDone)


def test_messages_of_one_handshake_with_anothers_index_leave_no_trace() -> None:
    for known in (False, True):
        world, alice, bob, one = opened("confirmation", known=known)
        expected = bob.static.public if known else None
        other = Opening(alice.endpoint, bob.endpoint, ALICE, BOB, world.now, expected)
        other.get_cookie().get_parts().get_response()
        response = one.response[:4] + other.response[4:8] + one.response[8:]
        hand_over(alice.endpoint, [response, one.response] * 20, BOB, world.now)
        other.get_confirmation()
        swapped = [
            one.confirmation[:8] + other.confirmation[8:],
            other.confirmation[:8] + one.confirmation[8:],
        ]
        for data in swapped:
            bob.endpoint.receive_datagram(data, ALICE, world.now)
        assert bob.endpoint.dropped[DropReason.HANDSHAKE] == 2
        one.confirm()
        other.confirm()
        done = [bob.endpoint.next_event() for _ in range(3)]
        assert [isinstance(told, HandshakeDone) for told in done] == [True, True, False]


def heard_over_a_bad_network(forged_each: int) -> tuple[list[bytes], list[bytes], int]:
    """What Bob is told and hears of Alice, with so many forgeries of each datagram, and how many that were."""
    conditions = Conditions(loss=0.05, delay=0.02, jitter=0.03, duplicate=0.1, reorder=0.1, corrupt=0.05)
    pair, random = call(seed=3, conditions=conditions), Random(8)
    ends = {ALICE: pair.alice.endpoint, BOB: pair.bob.endpoint}
    forged = 0

    def forge(sent: Sent) -> bool:
        nonlocal forged
        for source in (sent.source, STRANGER):
            for bad in random.sample([*flips(sent.data[:40], (0x10,))], forged_each):
                ends[sent.destination].receive_datagram(bad + sent.data[40:], source, pair.world.now)
                forged += 1
        return False

    pair.world.network.refuse = forge
    for number in range(250):
        pair.ours.send(Channel.AUDIO, number.to_bytes(2, "big"), pair.world.now)
        if number % 25 == 0:
            pair.ours.send_control(70, bytes([number]), pair.world.now)
        pair.world.run(0.02)
    pair.world.run(4)
    assert pair.ours.state is CallState.ACTIVE is pair.theirs.state
    return [told.body for told in pair.bob.of(Message)], [told.data for told in pair.bob.of(Payload)], forged


def test_call_over_a_bad_network_is_the_same_with_forgeries_of_each_datagram() -> None:
    messages, sound, forged = heard_over_a_bad_network(10)
    assert forged > 5000
    assert (messages, sound, 0) == heard_over_a_bad_network(0)
    assert messages == [bytes([number]) for number in range(0, 250, 25)]
    assert len(sound) == len(set(sound)) > 150


# ---- a peer that has the keys


def play_sealed(pair: Pair, random: Random, count: int) -> int:
    """So many records of a hostile peer's; after each, what must be true of the other end."""
    theirs, bob, world = pair.theirs, pair.bob.endpoint, pair.world
    shared, receiver = bob._state, Receiver(Source(b""))
    for number in range(count):
        plaintext = hostile_plaintext(random, theirs.line.control._expected)
        frames = wire.parse_frames(plaintext)
        whole = 1 if isinstance(frames, DropReason) else len(frames) + c.CONTROL_WINDOW
        dropped = bob.dropped.total()
        bob.receive_datagram(seal(pair.ours, plaintext, world.now), ALICE, world.now)
        assert bob.dropped.total() - dropped <= whole
        assert len(theirs.line.control._early) <= c.CONTROL_WINDOW
        assert len(theirs.line.keys._in) < c.REKEY_FIRST_BYTES
        assert len(shared.events) <= c.MAX_DATAGRAM_BYTES
        assert len(shared.peers) <= 2 + 4
        while (told := bob.next_event()) is not None:
            if isinstance(told, Payload):
                receiver.now = world.now
                receiver.sound(told.data)
                receiver.feedback(told.data)
                fragment = parse_fragment(told.data)
                if fragment is not None:
                    receiver.picture(fragment)
        if number % 8 == 0:
            bob.datagrams_to_send(world.now)
        world.now += 0.0001
    return count


def test_hostile_peer_does_no_harm_with_what_it_seals() -> None:
    handed = 0
    for seed in range(10):
        pair = call(seed)
        handed += play_sealed(pair, Random(seed), 2000)
        assert pair.theirs.state is CallState.ACTIVE
        assert set(pair.bob.endpoint.dropped) <= {
            *(DropReason.FRAME, DropReason.CONTROL, DropReason.TIMING, DropReason.REKEY, DropReason.CALL),
            *(DropReason.INACTIVE, DropReason.QUEUE),
        }
    assert handed >= SHARES["sealed"]


def test_hostile_peer_does_not_touch_another_line_at_the_same_end() -> None:
    world, ((hostile, victim), *honest), ends = three_calls()
    bob, random = ends[1][0], Random(4)

    def untouched() -> list[object]:
        return [fingerprint([peer.line.control, peer.line.call, peer.line.keys.epochs]) for _, peer in honest]

    before = untouched()
    for _ in range(2000):
        plaintext = hostile_plaintext(random, victim.line.control._expected)
        bob.receive_datagram(seal(hostile, plaintext, world.now), ALICE, world.now)
        while bob.next_event() is not None:
            pass
    bob.receive_datagram(
        seal(hostile, message(victim.line.control._expected, 5, b"\1"), world.now), ALICE, world.now
    )
    assert victim.state is CallState.ENDED
    assert untouched() == before
    for ours, theirs in honest:
        ours.send_control(64, b"still here", world.now)
        assert world.run(1, lambda ours=ours: ours.line.control.settled)
        assert theirs.state is CallState.ACTIVE


def test_hostile_datagrams_take_no_memory() -> None:
    pair, random = call(), Random(2)
    bob, now = pair.bob.endpoint, pair.world.now
    bad = list(junk(random, 1500, [pair.theirs.index]))
    play_sealed(pair, random, 300)
    hand_over(bob, bad[:100], STRANGER, now)
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    for data in bad:
        bob.receive_datagram(data, STRANGER, now)
    after_junk = tracemalloc.get_traced_memory()[0] - base
    play_sealed(pair, random, 1000)
    grown = tracemalloc.get_traced_memory()[0] - base
    tracemalloc.stop()
    assert after_junk < 4096
    assert grown < 64 * 1024
