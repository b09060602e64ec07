"""Hostile bytes at every stage: dropped, counted, no exception, no trace."""

from collections.abc import Iterator
from enum import Enum
from random import Random
from typing import Any

import pytest
from netem import ALICE, BOB, Pair, call, line, two

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.calling import State
from p2pcall.proto.endpoint import Endpoint
from p2pcall.proto.happenings import HandshakeDone, Incoming, Message
from p2pcall.proto.wire import Channel, DatagramType, DropReason

STRANGER = ("203.0.113.66", 6666)


def freeze(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Everything an object holds, as comparable data."""
    if id(value) in seen:
        return "..."
    seen |= {id(value)}
    if isinstance(value, dict):
        return [(repr(key), freeze(item, seen)) for key, item in value.items()]
    if isinstance(value, list | tuple) or type(value).__name__ == "deque":
        return [freeze(item, seen) for item in value]
    if type(value).__module__.startswith("p2pcall") and not isinstance(value, Enum):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        names = {*slots, *getattr(value, "__dict__", {})} - {"dropped"}
        return [(name, freeze(getattr(value, name), seen)) for name in sorted(names)]
    return repr(value)


def state(endpoint: Endpoint) -> Any:
    """The endpoint's state without what is meant to change: the counters of drops and of the rate limit."""
    shared = endpoint._shared
    return freeze([shared.peers, shared.outbox, shared.happenings, endpoint._admission._by_initiation])


def flips(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            yield data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def damage(data: bytes) -> Iterator[bytes]:
    yield from (data[:length] for length in range(len(data)))
    yield data + b"\0"
    yield from flips(data)


def expect_no_trace(endpoint: Endpoint, bad: Iterator[bytes], now: float) -> None:
    before = state(endpoint)
    for datagram in bad:
        dropped = sum(endpoint.dropped.values())
        endpoint.receive_datagram(datagram, STRANGER, now)
        assert sum(endpoint.dropped.values()) == dropped + 1, datagram.hex()
    assert state(endpoint) == before


def test_damaged_response_is_dropped_and_the_good_one_still_works() -> None:
    world, alice, bob = two()
    alice.endpoint.dial([BOB], world.now)
    ((initiation, _),) = alice.endpoint.datagrams_to_send(world.now)
    bob.endpoint.receive_datagram(initiation, ALICE, world.now)
    ((response, _),) = bob.endpoint.datagrams_to_send(world.now)
    expect_no_trace(alice.endpoint, damage(response), world.now)
    alice.endpoint.receive_datagram(response, BOB, world.now)
    assert isinstance(alice.endpoint.next_event(), HandshakeDone)


def test_damaged_confirmation_is_dropped_and_the_good_one_still_works() -> None:
    world, alice, bob = two()
    alice.endpoint.dial([BOB], world.now)
    ((initiation, _),) = alice.endpoint.datagrams_to_send(world.now)
    bob.endpoint.receive_datagram(initiation, ALICE, world.now)
    ((response, _),) = bob.endpoint.datagrams_to_send(world.now)
    alice.endpoint.receive_datagram(response, BOB, world.now)
    confirmation = alice.endpoint.datagrams_to_send(world.now)[0][0]
    assert confirmation[0] == DatagramType.CONFIRMATION
    expect_no_trace(bob.endpoint, damage(confirmation), world.now)
    bob.endpoint.receive_datagram(confirmation, ALICE, world.now)
    assert isinstance(bob.endpoint.next_event(), HandshakeDone)


@pytest.mark.parametrize("aes", [True, False])
def test_damaged_data_is_dropped_and_the_good_one_still_works(aes: bool) -> None:
    pair = call(aes=aes)
    pair.ours.send(3, b"sound" * 10, pair.world.now)
    ((datagram, _),) = pair.alice.endpoint.datagrams_to_send(pair.world.now)
    expect_no_trace(pair.bob.endpoint, damage(datagram), pair.world.now)
    pair.bob.endpoint.receive_datagram(datagram, ALICE, pair.world.now)
    assert pair.bob.endpoint.next_event() is not None


def test_truncated_initiation_is_dropped() -> None:
    world, alice, bob = two()
    alice.endpoint.dial([BOB], world.now)
    ((initiation, _),) = alice.endpoint.datagrams_to_send(world.now)
    bad = [initiation[:length] for length in range(len(initiation))] + [initiation + b"\0"]
    expect_no_trace(bob.endpoint, iter(bad), world.now)


def test_damaged_initiation_never_becomes_a_line() -> None:
    world, alice, _ = two()
    alice.endpoint.dial([BOB], world.now)
    ((initiation, _),) = alice.endpoint.datagrams_to_send(world.now)
    for number, datagram in enumerate(flips(initiation)):
        responder = world.add(("responder", number)).endpoint
        responder.receive_datagram(datagram, ALICE, world.now)
        for response, _ in responder.datagrams_to_send(world.now):
            assert len(response) <= len(datagram)
            alice.endpoint.receive_datagram(response, BOB, world.now)
        world.nodes.pop()
        assert responder.next_event() is None
    assert alice.endpoint.next_event() is None
    assert not alice.endpoint.datagrams_to_send(world.now)


@pytest.mark.parametrize("stage", ["fresh", "dialling", "line", "call"])
def test_random_bytes_leave_no_trace(stage: str) -> None:
    random = Random(11)
    if stage in ("fresh", "dialling"):
        world, node, _ = two()
        index = node.endpoint.dial([BOB], world.now).index if stage == "dialling" else 0
        now = world.now
        node.endpoint.datagrams_to_send(now)
    else:
        pair = (line if stage == "line" else call)()
        node, index, now = pair.bob, pair.theirs.index, pair.world.now
    node.endpoint.accepting = False  # initiations are in the clear: any 140 bytes of type 1 are one
    bad = []
    for _ in range(2000):
        data = bytearray(random.randbytes(random.choice([1, 8, 31, 32, 104, 140, 200, 1200, 1201, 9000])))
        if random.random() < 0.8:
            data[0] = random.randrange(6)
        if len(data) >= 12 and random.random() < 0.5:
            data[1:4] = random.choice([b"\0\0\0", b"\1\1\0"])
            at = 8 if data[0] == DatagramType.RESPONSE else 4
            data[at : at + 4] = index.to_bytes(4, "big")
        bad.append(bytes(data))
    expect_no_trace(node.endpoint, iter([b"", *bad]), now)


def test_each_drop_is_counted_under_its_reason() -> None:
    pair = call()
    bob, now = pair.bob.endpoint, pair.world.now
    cases = {
        b"": DropReason.LENGTH,
        bytes(1201): DropReason.LENGTH,
        b"\x04" + bytes(30): DropReason.LENGTH,
        b"\x09": DropReason.TYPE,
        b"\x00" * 40: DropReason.TYPE,
        b"\x04\x00\x01\x00" + bytes(40): DropReason.RESERVED,
        b"\x04\x00\x00\x00" + bytes(40): DropReason.INDEX,
        wire.pack_response_header(wire.Suites.AESGCM, 1, 2) + bytes(128): DropReason.INDEX,
        wire.pack_confirmation_header(5) + bytes(96): DropReason.INDEX,
        b"\x03\x01" + bytes(102): DropReason.RESERVED,
    }
    for data, reason in cases.items():
        before = bob.dropped[reason]
        bob.receive_datagram(data, STRANGER, now)
        assert bob.dropped[reason] == before + 1, (data, reason)


def test_data_for_a_dial_that_has_no_keys_is_dropped() -> None:
    world, alice, _ = two()
    peer = alice.endpoint.dial([BOB], world.now)
    data = b"\x04\x00\x00\x00" + peer.index.to_bytes(4, "big") + bytes(40)
    alice.endpoint.receive_datagram(data, BOB, world.now)
    assert alice.endpoint.dropped == {DropReason.INDEX: 1}


def inject(pair: Pair, plaintext: bytes) -> None:
    """Let Alice's side seal what her code never would."""
    session = pair.ours._session
    assert session is not None
    pair.bob.endpoint.receive_datagram(session.seal(plaintext), ALICE, pair.world.now)


def control(pair: Pair, kind: int, body: bytes) -> None:
    seq = pair.theirs._control._expected
    inject(pair, wire.pack_frame(Channel.CONTROL, b"\0" + seq.to_bytes(8, "big") + bytes([kind]) + body))


@pytest.mark.parametrize(
    ("plaintext", "reason"),
    [
        (b"\x03\x00", DropReason.FRAME),
        (b"\x03\x00\x05abc", DropReason.FRAME),
        (b"\x02\x00\x01\x09", DropReason.TIMING),
        (b"\x01\x00\x01\x09", DropReason.CONTROL),
    ],
)
def test_malformed_record_of_an_authentic_peer_is_dropped(plaintext: bytes, reason: DropReason) -> None:
    pair = call()
    told = len(pair.bob.told)
    inject(pair, plaintext)
    assert pair.bob.endpoint.dropped == {reason: 1}
    assert len(pair.bob.told) == told
    assert pair.theirs.state is State.ACTIVE


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (1, b"\3\3bob", DropReason.CALL),
        (2, b"\3bob", DropReason.CALL),
        (3, b"\3\3bob", DropReason.CALL),
        (4, b"\2", DropReason.CALL),
        (1, b"\3\4bob", DropReason.CONTROL),
        (5, b"", DropReason.CONTROL),
        (6, b"", DropReason.CONTROL),
        (6, b"\1\1", DropReason.CONTROL),
        (7, b"", DropReason.CONTROL),
        (63, b"x", DropReason.CONTROL),
    ],
)
def test_message_malformed_or_out_of_place_is_dropped(kind: int, body: bytes, reason: DropReason) -> None:
    pair = call()
    control(pair, kind, body)
    assert pair.bob.endpoint.dropped == {reason: 1}
    assert pair.theirs.state is State.ACTIVE
    assert pair.bob.endpoint.next_event() is None
    control(pair, 64, b"goes on")
    assert pair.bob.endpoint.next_event() == Message(pair.theirs, 64, b"goes on")


def test_responder_cannot_invite() -> None:
    pair = line()
    session = pair.theirs._session
    assert session is not None
    frame = wire.pack_frame(Channel.CONTROL, b"\0" + bytes(8) + b"\1" + b"\3\3bob")
    pair.alice.endpoint.receive_datagram(session.seal(frame), BOB, pair.world.now)
    assert pair.alice.endpoint.dropped == {DropReason.CALL: 1}
    assert pair.ours.state is State.IDLE


def test_sound_before_the_answer_is_dropped() -> None:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    pair.world.run(0.1)
    assert isinstance(pair.bob.told[-1], Incoming)
    pair.ours.send(3, b"too early", pair.world.now)
    pair.world.run(0.1)
    assert pair.bob.endpoint.dropped == {DropReason.INACTIVE: 1}


def test_padding_and_empty_records_keep_the_line_alive_and_say_nothing() -> None:
    pair = call()
    pair.world.now += 5
    inject(pair, b"")
    inject(pair, bytes(c.MAX_PLAINTEXT_BYTES))
    assert not pair.bob.endpoint.dropped
    assert pair.theirs._last_heard == pair.world.now


def test_many_frames_in_one_record_are_all_read() -> None:
    pair = call()
    inject(pair, wire.pack_frame(3, b"") * 389)
    count = 0
    while pair.bob.endpoint.next_event() is not None:
        count += 1
    assert count == 389
