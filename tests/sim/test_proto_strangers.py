"""Strangers at the door: not a byte, not a byte more than came, no memory, no DH, and nobody else kept out."""

import tracemalloc
from collections.abc import Iterator
from random import Random

import pytest
from fingerprint import fingerprint
from netem import ALICE, BOB, Node, World, call, two
from opening import IN_A_KNOCK, Opening, expect_no_trace, flips, plain_damage

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.events import HandshakeDone, IncomingCall
from p2pcall.proto.handshake import noise
from p2pcall.proto.wire import DatagramType, DropReason, PatternId
from p2pcall.types import Address

STRANGER: Address = ("203.0.113.66", 6666)
EVE = StaticKey.from_private(bytes(range(32)))
known_or_not = pytest.mark.parametrize("known", [False, True], ids=["XXhfs", "IKhfs"])


def contacts_only() -> tuple[World, Node, Node]:
    """Alice is Bob's contact, and Bob lets only contacts knock."""
    world, alice, bob = two()
    assert bob.endpoint.reach == "anyone", "until it is told otherwise"
    bob.endpoint.reach = "contacts"
    bob.endpoint.contacts([alice.static.public])
    return world, alice, bob


def opening(world: World, alice: Node, bob: Node, known: bool = True) -> Opening:
    expected = bob.static.public if known else None
    if known:
        bob.endpoint.contacts([alice.static.public])
    return Opening(alice.endpoint, bob.endpoint, ALICE, BOB, world.now, expected)


def eve(seed: int = 66) -> Endpoint:
    return Endpoint(EVE, Random(seed).randbytes)


def said_to_strangers(bob: Endpoint, datagrams: Iterator[bytes], now: float) -> tuple[int, int]:
    """How many datagrams from a stranger were handed over, and how many bytes came back to anyone."""
    handed = came_back = 0
    for number, data in enumerate(datagrams):
        bob.receive_datagram(data, STRANGER, now + number / 5000)
        came_back += sum(len(answer) for answer, _ in bob.datagrams_to_send(now + number / 5000))
        handed += 1
    return handed, came_back


# ---- reach contacts


def all_kinds(world: World, bob: Node, recorded: list[bytes]) -> Iterator[bytes]:
    """10,000 datagrams of a stranger who knows Bob's public key and has heard a contact's whole call."""
    random = Random(7)
    pair_mac = cookie.Mac(cookie.pair_key(EVE, bob.static.public, initiator=True))
    lengths = [8, 24, 36, 40, 72, 84, 650, 690, 1184, 1200, 1228, 1232, 1300]
    for number in range(2000):
        yield from random.sample(recorded, 1)
        nonce = random.randbytes(c.KNOCK_NONCE_BYTES)
        time = cookie.hide_time(pair_mac, nonce, (10**9 + number).to_bytes(8, "big"))
        knock = wire.pack_knock(
            random.choice(list(PatternId)), 3, random.getrandbits(32), random.randbytes(8), nonce, time
        )
        yield knock + pair_mac(knock)
        yield knock + random.randbytes(c.MAC_BYTES)
        part = random.randbytes(random.choice(list(wire.PART_BYTES.values())) - 4)
        yield bytes([3, c.PROTOCOL_VERSION, random.randrange(2), 3]) + part
        junk = bytearray(random.randbytes(random.choice(lengths)))
        junk[0] = random.randrange(1, 7)
        junk[1] = random.choice([0, c.PROTOCOL_VERSION])
        yield bytes(junk)


def test_stranger_gets_not_one_byte_under_reach_contacts() -> None:
    world, alice, bob = contacts_only()
    recorded = opening(world, alice, bob).run()
    bob.endpoint.datagrams_to_send(world.now)
    heard = [recorded.knock, *recorded.parts, recorded.confirmation, recorded.cookie, recorded.response]
    recorded.peer.close()
    for peer in bob.endpoint._state.everyone:
        peer.close()
    handed, came_back = said_to_strangers(bob.endpoint, all_kinds(world, bob, heard), world.now)
    assert (handed, came_back) == (10_000, 0)
    assert sum(bob.endpoint.dropped.values()) == handed


def test_stranger_who_dials_in_earnest_gets_not_one_byte_under_reach_contacts() -> None:
    world, _, bob = contacts_only()
    for expected in (None, bob.static.public):
        dialler = world.add(STRANGER)
        dialler.endpoint.dial([BOB], world.now, expected)
        world.run(6)
        assert [type(told).__name__ for told in dialler.told] == ["HandshakeFailed"]
    assert {sent.source for sent in world.network.log} == {STRANGER}


@pytest.mark.parametrize("part", ["knock", "parts", "confirmation"])
def test_replay_of_a_contacts_own_datagrams_gets_not_one_byte(part: str) -> None:
    world, alice, bob = contacts_only()
    recorded = opening(world, alice, bob).run()
    bob.endpoint.datagrams_to_send(world.now)
    for peer in bob.endpoint._state.everyone:
        peer.close()
    value = getattr(recorded, part)
    replayed = list(value) if isinstance(value, tuple) else [value]
    assert said_to_strangers(bob.endpoint, iter(replayed * 50), world.now)[1] == 0


def test_knock_of_a_contact_that_somebody_was_quicker_with_opens_nothing_twice() -> None:
    world, alice, bob = contacts_only()
    recorded = opening(world, alice, bob)
    bob.endpoint.receive_datagram(recorded.knock, STRANGER, world.now)
    ((stolen, _),) = bob.endpoint.datagrams_to_send(world.now)
    bob.endpoint.receive_datagram(recorded.knock, ALICE, world.now)
    assert not bob.endpoint.datagrams_to_send(world.now)
    recorded.cookie = stolen  # made for the stranger's address
    for part in recorded.get_parts().parts:
        bob.endpoint.receive_datagram(part, ALICE, world.now)
    assert bob.endpoint.dropped == {DropReason.TIMESTAMP: 1, DropReason.COOKIE: 2}
    assert world.run(1, lambda: bool(bob.of(HandshakeDone))), "the contact knocks again"


def test_contact_gets_through_under_reach_contacts() -> None:
    world, alice, bob = contacts_only()
    ours = alice.endpoint.dial([BOB], world.now, bob.static.public)
    assert world.run(0.1, lambda: bool(bob.of(HandshakeDone)))
    ours.invite("alice", True, True, world.now)
    assert world.run(0.5, lambda: bool(bob.of(IncomingCall)))


def test_contact_of_whom_the_key_is_gone_is_a_stranger() -> None:
    world, alice, bob = contacts_only()
    started = opening(world, alice, bob).get_cookie().get_parts()
    bob.endpoint.contacts([])
    for part in started.parts:
        bob.endpoint.receive_datagram(part, ALICE, world.now)
    assert not bob.endpoint.datagrams_to_send(world.now)
    assert bob.endpoint.dropped == {DropReason.STRANGER: 1}


def test_flood_of_knocks_does_not_keep_a_contact_out() -> None:
    world, alice, bob = contacts_only()
    bob.endpoint.contacts(
        [alice.static.public, *(StaticKey.from_private(bytes([n]) * 32).public for n in range(1, 50))]
    )

    def flood() -> None:
        for number in range(100):
            knock = wire.pack_knock(PatternId.IKHFS, 3, number, b"floods..", bytes(16), bytes(8)) + bytes(16)
            bob.endpoint.receive_datagram(knock, STRANGER, world.now)

    alice.endpoint.dial([BOB], world.now, bob.static.public)
    for _ in range(250):  # 5,000 a second
        flood()
        if world.run(0.02, lambda: bool(bob.of(HandshakeDone))):
            break
    assert bob.endpoint.dropped[DropReason.TAG] > 0
    assert bob.of(HandshakeDone)


def test_endpoint_that_takes_no_calls_is_as_if_nobody_were_there() -> None:
    world, alice, bob = two()
    recorded = opening(world, alice, bob).get_cookie().get_parts().get_response().get_confirmation()
    bob.endpoint.accepting = False
    for data in (recorded.knock, *recorded.parts, recorded.confirmation, recorded.cookie, recorded.response):
        bob.endpoint.receive_datagram(data, ALICE, world.now)
    assert not bob.endpoint.datagrams_to_send(world.now)
    assert bob.endpoint.next_event() is None
    assert bob.endpoint.dropped == {DropReason.NOT_ACCEPTING: 4, DropReason.INDEX: 2}


# ---- nothing before the cookie


@known_or_not
def test_bogus_first_messages_cost_no_memory(known: bool) -> None:
    world, alice, bob = two()
    honest = opening(world, alice, bob, known).get_cookie().get_parts()
    before = fingerprint(bob.endpoint)
    expect_no_trace(bob.endpoint, honest.parts * 3, STRANGER, world.now)
    for number in range(2000):
        source: Address = (f"203.0.113.{number % 256}", number)
        bob.endpoint.receive_datagram(honest.knock, source, world.now)
        bob.endpoint.receive_datagram(honest.parts[number % 2], source, world.now)
        bob.endpoint.datagrams_to_send(world.now)
    assert fingerprint(bob.endpoint) == before
    assert bob.endpoint.next_timer() is None
    bob.endpoint.receive_datagram(honest.knock, STRANGER, world.now)
    bob.endpoint.datagrams_to_send(world.now)
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    for number in range(1000):
        bob.endpoint.receive_datagram(honest.knock, ("203.0.113.1", number), world.now)
        bob.endpoint.receive_datagram(honest.parts[0], ("203.0.113.1", number), world.now)
        bob.endpoint.datagrams_to_send(world.now)
    grown = tracemalloc.get_traced_memory()[0] - base
    tracemalloc.stop()
    assert grown < 4096


@known_or_not
def test_no_dh_before_the_cookie(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world, alice, bob = two()
    honest = opening(world, alice, bob, known).get_cookie().get_parts()

    def forbidden(*_: object) -> bytes:
        raise AssertionError("a DH before the cookie")

    monkeypatch.setattr(noise.bindings, "crypto_scalarmult", forbidden)
    monkeypatch.setattr(noise.bindings, "crypto_scalarmult_base", forbidden)
    for number in range(50):
        for data in (honest.knock, *honest.parts):
            bob.endpoint.receive_datagram(data, ("203.0.113.1", number), world.now)
    bob.endpoint.receive_datagram(honest.parts[0], ALICE, world.now)
    with pytest.raises(AssertionError, match="a DH"):
        bob.endpoint.receive_datagram(honest.parts[1], ALICE, world.now)


@known_or_not
def test_no_memory_for_half_a_message_from_an_unproven_address(known: bool) -> None:
    world, alice, bob = two()
    honest = opening(world, alice, bob, known).get_cookie().get_parts()
    bob.endpoint.receive_datagram(honest.parts[0], STRANGER, world.now)
    bob.endpoint.receive_datagram(honest.parts[1], ("192.0.2.1", 1), world.now)
    assert len(bob.endpoint._admission._partial) == 0
    bob.endpoint.receive_datagram(honest.parts[1], ALICE, world.now)
    assert len(bob.endpoint._admission._partial) == 1
    assert bob.endpoint.next_timer() == world.now + c.HALF_TIMEOUT_S
    bob.endpoint.handle_timer(world.now + c.HALF_TIMEOUT_S)
    assert len(bob.endpoint._admission._partial) == 0


@known_or_not
def test_half_open_handshake_takes_less_than_8_kib(known: bool) -> None:
    world, _, bob = two()
    bob.endpoint.contacts([EVE.public])
    dialled = []
    for number in range(c.MAX_HALF_OPEN + 1):
        expected = bob.static.public if known else None
        home: Address = (f"198.51.100.{number}", 1)
        dialled.append(Opening(eve(number), bob.endpoint, home, BOB, world.now + number / 10, expected))
    dialled[0].get_cookie().get_parts().get_response()
    for one in dialled[1:]:
        one.get_cookie().get_parts()
    bob.endpoint._admission.expire(world.now + 1000)
    for one in dialled[1:]:
        one.now = world.now
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    for one in dialled[1:]:
        one.get_response()
        one.response = b""
    grown = tracemalloc.get_traced_memory()[0] - base
    tracemalloc.stop()
    assert len(bob.endpoint._admission) == c.MAX_HALF_OPEN
    assert grown / c.MAX_HALF_OPEN < 8192


# ---- floods


def test_flood_from_one_source_does_not_keep_out_another() -> None:
    world, alice, bob = two()
    begun = []
    for number in range(150):
        home: Address = ("198.51.100.1", number)
        begun.append(Opening(eve(number), bob.endpoint, home, BOB, world.now).get_cookie().get_parts())
    for at, flooding in enumerate(begun):
        for part in flooding.parts:
            bob.endpoint.receive_datagram(part, flooding.home, world.now)
        bob.endpoint.datagrams_to_send(world.now)
        if at == 100:
            alice.endpoint.dial([BOB], world.now)
    assert bob.endpoint.dropped[DropReason.RATE] == 150 - c.SOURCE_BURST
    assert world.run(0.1, lambda: bool(alice.of(HandshakeDone)))
    assert len(bob.endpoint._admission) <= c.MAX_HALF_OPEN_PER_SOURCE + 1


def test_flood_from_everywhere_does_not_keep_out_the_next_caller() -> None:
    world, alice, bob = two()
    now = world.now
    for number in range(c.HANDSHAKE_BURST + 8):
        home: Address = (f"198.51.100.{number}", 1)
        Opening(
            Endpoint(EVE, Random(number).randbytes), bob.endpoint, home, BOB, now
        ).get_cookie().get_parts().get_response()
    alice.endpoint.dial([BOB], now)
    assert world.run(0.1, lambda: bool(alice.of(HandshakeDone)))


def test_flood_does_not_keep_a_caller_from_a_busy_line() -> None:
    pair = call()
    junk = bytes([3, c.PROTOCOL_VERSION, 0, 3]).ljust(wire.PART_BYTES[PatternId.XXHFS], b"\0")
    carol = pair.world.add(("192.0.2.3", 1))
    ours = carol.endpoint.dial([BOB], pair.world.now)
    for number in range(50):
        for port in range(100):
            pair.bob.endpoint.receive_datagram(junk, (f"203.0.113.{number}", port), pair.world.now)
        pair.world.run(0.02)
    assert ours.established
    assert pair.bob.endpoint.dropped[DropReason.COOKIE] == 5000


# ---- every byte of every datagram


@known_or_not
@pytest.mark.parametrize("step", ["knock", "cookie", "parts", "response", "confirmation"])
def test_damaged_handshake_datagram_is_dropped_and_the_honest_one_still_completes(
    step: str, known: bool
) -> None:
    world, alice, bob = contacts_only() if known else two()
    honest = opening(world, alice, bob, known)
    steps = {
        "cookie": honest.get_cookie,
        "parts": honest.get_parts,
        "response": honest.get_response,
        "confirmation": honest.get_confirmation,
    }
    for name, take in steps.items():
        if step == "knock":
            break
        take()
        if name == step:
            break
    value = getattr(honest, step)
    judge, source = (alice, BOB) if step in ("cookie", "response") else (bob, ALICE)
    for datagram in value if isinstance(value, tuple) else (value,):
        bad = plain_damage(step, known, datagram, (0x01, 0x80))
        expect_no_trace(judge.endpoint, bad, source, world.now)
    for take in list(steps.values())[list(steps).index(step) + 1 if step in steps else 0 :]:
        take()
    honest.confirm()
    assert isinstance(bob.endpoint.next_event(), HandshakeDone)
    assert isinstance(alice.endpoint.next_event(), HandshakeDone)


def test_damaged_knock_of_a_stranger_is_just_another_knock() -> None:
    world, alice, bob = two()
    honest = opening(world, alice, bob, known=False)
    before = fingerprint(bob.endpoint)
    others = set(range(c.KNOCK_BYTES)) - IN_A_KNOCK
    for knock in flips(honest.knock, (0x01, 0x80), but=others):
        if not knock[3] & 3:
            continue
        bob.endpoint.receive_datagram(knock, ALICE, world.now)
        ((answer, to),) = bob.endpoint.datagrams_to_send(world.now)
        assert (answer[0], to) == (DatagramType.COOKIE, ALICE)
        assert 2 * len(answer) < len(knock)
    assert fingerprint(bob.endpoint) == before


@known_or_not
@pytest.mark.parametrize("number", [0, 1])
def test_damaged_part_makes_no_line_and_the_honest_one_still_does(number: int, known: bool) -> None:
    world, alice, bob = two()
    honest = opening(world, alice, bob, known).get_cookie().get_parts()
    part, other = honest.parts[number], honest.parts[1 - number]
    for at in range(c.PART_HEADER_BYTES, len(part), 40):
        world.now += c.SOURCE_RATE_PER_S**-1
        for data in (part[:at] + bytes([part[at] ^ 1]) + part[at + 1 :], other):
            bob.endpoint.receive_datagram(data, ALICE, world.now)
        for response, _ in bob.endpoint.datagrams_to_send(world.now):
            assert not known, "the first message of XXhfs is in the clear, so there is an answer, ..."
            alice.endpoint.receive_datagram(response, BOB, world.now)
            assert not honest.peer.established, "... which fits no dial"
    assert not bob.endpoint._state.peers
    assert world.run(1, lambda: bool(bob.of(HandshakeDone)))


def test_changed_cookie_is_refused_by_its_maker_and_the_next_one_mends_it() -> None:
    world, alice, bob = two()
    honest = opening(world, alice, bob, known=False).get_cookie()
    honest.cookie = honest.cookie[:20] + bytes([honest.cookie[20] ^ 1]) + honest.cookie[21:]
    for part in honest.get_parts().parts:
        bob.endpoint.receive_datagram(part, ALICE, world.now)
    assert bob.endpoint.dropped == {DropReason.COOKIE: 2}
    assert world.run(1, lambda: bool(bob.of(HandshakeDone)))


@pytest.mark.parametrize("known", [False, True])
def test_datagrams_of_one_handshake_fit_no_other(known: bool) -> None:
    world, alice, bob = two()
    first = opening(world, alice, bob, known).run()
    bob.endpoint.datagrams_to_send(world.now)
    alice.endpoint.datagrams_to_send(world.now)
    second = opening(world, alice, bob, known).get_cookie().get_parts().get_response().get_confirmation()
    before = fingerprint(bob.endpoint)
    bad = [first.confirmation, second.response[:8] + first.response[8:], first.cookie[:8] + second.cookie[8:]]
    for data in bad:
        bob.endpoint.receive_datagram(data, ALICE, world.now)
        alice.endpoint.receive_datagram(data, BOB, world.now)
    assert fingerprint(bob.endpoint) == before
    crossed = second.confirmation[:8] + first.confirmation[8:]
    bob.endpoint.receive_datagram(crossed, ALICE, world.now)
    assert bob.endpoint.dropped[DropReason.HANDSHAKE] == 1
    second.confirm()
    assert len(bob.of(HandshakeDone)) == 0
    done = [bob.endpoint.next_event() for _ in range(2)]
    assert all(isinstance(one, HandshakeDone) for one in done)
    assert DatagramType.DATA not in {data[0] for data in bad}
