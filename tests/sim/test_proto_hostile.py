"""Hostile datagrams one by one: each kind of drop has its reason, and what it does not end goes on."""

import pytest
from hostile import STRANGER, opened, seal
from netem import ALICE, BOB, Pair, call, line, two
from opening import damage

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import IncomingCall, Message
from p2pcall.proto.wire import Channel, DropReason


def test_damaged_cookie_leads_to_no_line() -> None:
    world, alice, _, dial = opened("cookie", known=False)
    for datagram in damage(dial.cookie):
        alice.endpoint.receive_datagram(datagram, STRANGER, world.now)
        alice.endpoint.datagrams_to_send(world.now)
    assert alice.endpoint.next_event() is None


def test_each_drop_is_counted_under_its_reason() -> None:
    pair = call()
    bob, now = pair.bob.endpoint, pair.world.now
    cases = {
        b"": DropReason.LENGTH,
        b"\x06" + bytes(1200): DropReason.LENGTH,
        b"\x06" + bytes(30): DropReason.LENGTH,
        bytes(1233): DropReason.LENGTH,
        b"\x09": DropReason.TYPE,
        b"\x00" * 40: DropReason.TYPE,
        b"\x06\x00\x01\x00" + bytes(40): DropReason.RESERVED,
        b"\x06\x00\x00\x00" + bytes(40): DropReason.INDEX,
        wire.pack_confirmation_header(5).ljust(
            wire.CONFIRMATION_BYTES[wire.PatternId.XXHFS], b"\0"
        ): DropReason.INDEX,
    }
    for data, reason in cases.items():
        before = bob.dropped[reason]
        bob.receive_datagram(data, STRANGER, now)
        assert bob.dropped[reason] == before + 1, (data, reason)


def test_data_for_a_dial_that_has_no_keys_is_dropped() -> None:
    world, alice, _ = two()
    peer = alice.endpoint.dial([BOB], world.now)
    data = b"\x06\x00\x00\x00" + peer.index.to_bytes(4, "big") + bytes(40)
    alice.endpoint.receive_datagram(data, BOB, world.now)
    assert alice.endpoint.dropped == {DropReason.INDEX: 1}


def inject(pair: Pair, plaintext: bytes) -> None:
    """Let Alice's side seal what her code never would."""
    pair.bob.endpoint.receive_datagram(seal(pair.ours, plaintext, pair.world.now), ALICE, pair.world.now)


def control(pair: Pair, kind: int, body: bytes) -> None:
    seq = pair.theirs.line.control._expected
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
    assert pair.theirs.state is CallState.ACTIVE


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (1, b"\3\3bob", DropReason.CALL),
        (2, b"\3bob", DropReason.CALL),
        (3, bytes(16) + b"\3\3bob", DropReason.CALL),
        (3, b"\3\3bob", DropReason.CONTROL),
        (8, bytes(16), DropReason.CALL),
        (8, bytes(15), DropReason.CONTROL),
        (4, b"\2", DropReason.CALL),
        (1, b"\3\4bob", DropReason.CONTROL),
        (5, b"", DropReason.CONTROL),
        (6, b"", DropReason.CONTROL),
        (6, b"\1\1", DropReason.CONTROL),
        (7, b"", DropReason.REKEY),
        (8, b"", DropReason.CONTROL),
        (63, b"x", DropReason.CONTROL),
    ],
)
def test_message_malformed_or_out_of_place_is_dropped(kind: int, body: bytes, reason: DropReason) -> None:
    pair = call()
    control(pair, kind, body)
    assert pair.bob.endpoint.dropped == {reason: 1}
    assert pair.theirs.state is CallState.ACTIVE
    assert pair.bob.endpoint.next_event() is None
    control(pair, 64, b"goes on")
    assert pair.bob.endpoint.next_event() == Message(pair.theirs, 64, b"goes on")


def test_responder_cannot_invite() -> None:
    pair = line()
    frame = wire.pack_frame(Channel.CONTROL, b"\0" + bytes(8) + b"\1" + b"\3\3bob")
    pair.alice.endpoint.receive_datagram(seal(pair.theirs, frame, pair.world.now), BOB, pair.world.now)
    assert pair.alice.endpoint.dropped == {DropReason.CALL: 1}
    assert pair.ours.state is CallState.IDLE


def test_sound_before_the_answer_is_dropped() -> None:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    pair.world.run(0.1)
    assert isinstance(pair.bob.told[-1], IncomingCall)
    pair.ours.send(3, b"too early", pair.world.now)
    pair.world.run(0.1)
    assert pair.bob.endpoint.dropped == {DropReason.INACTIVE: 1}


def test_padding_and_empty_records_keep_the_line_alive_and_say_nothing() -> None:
    pair = call()
    pair.world.now += 2
    inject(pair, b"")
    inject(pair, bytes(c.MAX_PLAINTEXT_BYTES))
    assert not pair.bob.endpoint.dropped
    assert pair.theirs.line.liveness.lost_at == pair.world.now + c.LOST_TIMEOUT_S


def test_many_frames_in_one_record_are_all_read() -> None:
    pair = call()
    inject(pair, wire.pack_frame(3, b"") * 389)
    count = 0
    while pair.bob.endpoint.next_event() is not None:
        count += 1
    assert count == 389
