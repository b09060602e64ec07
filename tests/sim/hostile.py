"""Hostile datagrams by the thousand, and what must be true after each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

from fingerprint import fingerprint
from netem import ALICE, BOB, Node, Pair, World, call, two
from opening import Opening

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.endpoint import Endpoint, Peer, StaticKey
from p2pcall.proto.events import Message, Payload
from p2pcall.proto.wire import Channel, DatagramType
from p2pcall.types import Address

STRANGER: Address = ("203.0.113.66", 6666)
EVE = StaticKey.from_private(bytes(range(32)))
EVERY = 250
"""Datagrams between two looks at the whole state, which cost as much as a hundred of them."""
LENGTHS = (1, 8, 24, 31, 32, 36, 40, 72, 84, 88, 402, 650, 690, 1184, 1200, 1201, 1228, 1232, 1233, 9000)
"""Of each kind of message, and beside them."""
STEPS = ("knock", "cookie", "parts", "response", "confirmation")


def seal(peer: Peer, plaintext: bytes, now: float) -> bytes:
    """A datagram that the peer's code never makes."""
    datagram = peer.line.keys.epochs.seal(plaintext, now)
    assert datagram is not None
    return datagram


def hand_over(endpoint: Endpoint, datagrams: Iterable[bytes], source: Address, now: float) -> int:
    """How many there were: each is dropped for one reason and answered with nothing, and all stays as it was."""
    before, dropped, handed = fingerprint(endpoint), endpoint.dropped.total(), 0
    for handed, data in enumerate(datagrams, 1):
        endpoint.receive_datagram(data, source, now)
        dropped += 1
        assert endpoint.dropped.total() == dropped, data.hex()
        if handed % EVERY == 0:
            assert fingerprint(endpoint) == before, f"one of the {EVERY} up to {data.hex()}"
    assert fingerprint(endpoint) == before
    return handed


@dataclass(slots=True)
class Scene:
    """An end at some moment of a call's life, its indexes, and how to see that the honest call goes on."""

    endpoint: Endpoint
    indexes: list[int]
    now: float
    go_on: Callable[[], None]


def opened(upto: str, *, known: bool, contacts: bool = False) -> tuple[World, Node, Node, Opening]:
    """A dial carried by hand to where the datagrams of this step are there and not delivered."""
    world, alice, bob = two()
    if known:
        bob.endpoint.contacts([alice.static.public])
    if contacts:
        bob.endpoint.reach = "contacts"
    expected = bob.static.public if known else None
    dial = Opening(alice.endpoint, bob.endpoint, ALICE, BOB, world.now, expected)
    takes = (dial.get_cookie, dial.get_parts, dial.get_response, dial.get_confirmation)
    for take in takes[: STEPS.index(upto)]:
        take()
    return world, alice, bob, dial


def finish(upto: str, dial: Opening) -> None:
    """The rest of that dial: both ends have a line."""
    takes = (dial.get_cookie, dial.get_parts, dial.get_response, dial.get_confirmation, dial.confirm)
    for take in takes[STEPS.index(upto) :]:
        take()
    assert dial.peer.established
    assert any(peer.established for peer in dial.theirs._state.everyone)


def talk(pair: Pair) -> None:
    """A message and sound each way."""
    for peer, other in ((pair.ours, pair.bob), (pair.theirs, pair.alice)):
        other.told.clear()
        peer.send_control(64, b"hello", pair.world.now)
        peer.send(Channel.AUDIO, b"sound", pair.world.now)
        assert pair.world.run(1, lambda node=other: bool(node.of(Message) and node.of(Payload)))
        assert other.of(Message)[-1].body == b"hello"
        assert other.of(Payload)[-1].data == b"sound"


def scene(name: str) -> Scene:
    """`anyone`, `contacts`: called; `dialling`; `half-open`: has answered; `call`: both ways."""
    if name == "call":
        pair = call()
        return Scene(pair.bob.endpoint, [pair.theirs.index], pair.world.now, lambda: talk(pair))
    upto = {"anyone": "knock", "contacts": "parts", "dialling": "parts", "half-open": "confirmation"}[name]
    world, alice, bob, dial = opened(upto, known=name == "contacts", contacts=name == "contacts")
    end = alice if name == "dialling" else bob
    indexes = [*end.endpoint._state.peers, *end.endpoint._admission._by_index]
    return Scene(end.endpoint, indexes, world.now, lambda: finish(upto, dial))


def junk(random: Random, count: int, indexes: list[int]) -> Iterator[bytes]:
    """Chance, at the lengths of messages, most of it with a type, some with a header as it should be."""
    for _ in range(count):
        data = bytearray(random.randbytes(random.choice(LENGTHS)))
        if random.random() < 0.8:
            data[0] = random.randrange(8)
        if len(data) >= 12 and random.random() < 0.6:
            data[1:4] = random.choice((b"\0\0\0", b"\3\0\0", b"\3\1\0", b"\3\1\3", b"\3\2\3"))
            if indexes:
                data[4:8] = random.choice(indexes).to_bytes(c.INDEX_BYTES, "big")
        if data[0] == DatagramType.COOKIE and indexes:
            data[0] = DatagramType.DATA
        yield bytes(data)


def knocks_of_strangers(random: Random, count: int, public: bytes) -> Iterator[bytes]:
    """From somebody who knows the public key and is no contact: as a contact of the stranger's would be asked."""
    mac = cookie.Mac(cookie.pair_key(EVE, public, initiator=True))
    for number in range(count):
        pattern, nonce = random.choice(list(wire.PatternId)), random.randbytes(c.KNOCK_NONCE_BYTES)
        time = cookie.hide_time(mac, nonce, (10**9 + number).to_bytes(c.KNOCK_TIME_BYTES, "big"))
        knock = wire.pack_knock(pattern, 3, number, random.randbytes(c.TOKEN_BYTES), nonce, time)
        yield knock + mac(knock)


def hostile_plaintext(random: Random, seq: int) -> bytes:
    """What a peer that has the keys may put into a record; `seq` is the control message that it is the turn of."""
    match random.randrange(8):
        case 0:
            return random.randbytes(random.choice((0, 1, 2, 3, 4, 100, c.MAX_PLAINTEXT_BYTES)))
        case 1:  # frames whose lengths are right
            frames = [
                wire.pack_frame(random.randrange(1, 8), random.randbytes(random.randrange(120)))
                for _ in range(random.randrange(1, 9))
            ]
            return b"".join(frames)
        case 2:  # a last frame that breaks off
            whole = wire.pack_frame(random.randrange(1, 8), random.randbytes(50))
            return whole + wire.pack_frame(random.randrange(1, 8), bytes(90))[: random.randrange(1, 93)]
        case 3:  # a message ahead of its turn, or long past
            at = max(0, seq + random.choice((-2, -1, 1, 5, 31, 32, 2**32)))
            return message(at, random.randrange(c.MAX_U8 + 1), random.randbytes(random.randrange(98)))
        case 4:  # the next one, of any kind but a goodbye
            kind = random.choice((0, 1, 2, 3, 6, 7, 8, 63, 64, 255))
            return message(seq, kind, random.randbytes(random.randrange(98)))
        case 5:  # part of a rekeying
            which, part = random.randrange(4), random.randrange(16)
            size = random.choice((0, 1, 54, 94, 95))
            return message(seq, 7, bytes([which, part]) + random.randbytes(size)[: c.REKEY_PART_BYTES])
        case 6:  # pings, pongs, acknowledgements
            kind = random.randrange(4)
            size = random.choice((7, 8, 20, 21))
            channel = random.choice((Channel.TIMING, Channel.CONTROL))
            return wire.pack_frame(channel, bytes([kind]) + random.randbytes(size))
    return media_frame(random)


def message(seq: int, kind: int, body: bytes) -> bytes:
    """A control message in its frame."""
    return wire.pack_frame(Channel.CONTROL, b"\0" + seq.to_bytes(8, "big") + bytes([kind]) + body)


def media_frame(random: Random) -> bytes:
    """Sound, a fragment or feedback, nearly as it should be."""
    near = random.choice((random.randrange(60), random.getrandbits(32)))
    head = near.to_bytes(4, "big") + random.getrandbits(32).to_bytes(4, "big")
    match random.randrange(3):
        case 0:
            count = random.randrange(6)
            copies = b"".join(bytes([at, 0, 20]) + random.randbytes(20) for at in range(count))
            return wire.pack_frame(Channel.AUDIO, head + bytes([count]) + copies)
        case 1:
            index, total = random.randrange(6), random.choice((1, 5, 512, 513))
            tail = index.to_bytes(2, "big") + total.to_bytes(2, "big") + bytes([random.randrange(3)])
            return wire.pack_frame(Channel.VIDEO, head + tail + random.randbytes(random.randrange(900)))
    indexes = random.randrange(4)
    nack = b"\1" + head[:4] + bytes([indexes]) + random.randbytes(2 * indexes)
    return wire.pack_frame(Channel.FEEDBACK, random.choice((nack, b"\2", b"\3" + random.randbytes(20))))
