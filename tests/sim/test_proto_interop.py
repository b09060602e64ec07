"""A second implementation, written from the description of the wire over PyPI's `noiseprotocol`, on either side.

It shares no code with the program: layouts, labels and hashes are spelled out here once more.
"""

import struct
from hashlib import sha256

import pytest
from netem import ALICE, BOB, two
from noise.connection import Keypair, NoiseConnection

from p2pcall.proto.happenings import Accepted, HandshakeDone, Incoming
from p2pcall.proto.sas import EVEN, ODD

pytestmark = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs:UserWarning")

PRIVATE = bytes(range(1, 33))
EPHEMERAL = bytes(range(101, 133))
NONCE = b"n" * 32
NAMES = {1: b"Noise_XX_25519_ChaChaPoly_SHA256", 2: b"Noise_XX_25519_AESGCM_SHA256"}
OUR_INDEX = 0x11223344


def connection(suite: int, initiator: bool, prologue: bytes) -> NoiseConnection:
    noise = NoiseConnection.from_name(NAMES[suite])
    if initiator:
        noise.set_as_initiator()
    else:
        noise.set_as_responder()
    noise.set_prologue(prologue)
    noise.set_keypair_from_private_bytes(Keypair.STATIC, PRIVATE)
    noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, EPHEMERAL)
    noise.start_handshake()
    return noise


def words(handshake_hash: bytes, initiator_nonce: bytes, responder_nonce: bytes) -> tuple[str, ...]:
    digest = sha256(b"p2pcall/1 words" + handshake_hash + initiator_nonce + responder_nonce).digest()
    return EVEN[digest[0]], ODD[digest[1]], EVEN[digest[2]], ODD[digest[3]]


def record(noise: NoiseConnection, index: int, counter: int, channel: int, payload: bytes) -> bytes:
    frame = struct.pack(">BH", channel, len(payload)) + payload
    return struct.pack(">BxxxIQ", 4, index, counter) + bytes(noise.encrypt(frame))


def frames(noise: NoiseConnection, datagram: bytes) -> list[tuple[int, bytes]]:
    plaintext = bytes(noise.decrypt(datagram[16:]))
    out = []
    while plaintext:
        channel, length = struct.unpack(">BH", plaintext[:3])
        out.append((channel, plaintext[3 : 3 + length]))
        plaintext = plaintext[3 + length :]
    return out


@pytest.mark.parametrize("suite", [1, 2])
def test_second_implementation_dials_and_invites(suite: int) -> None:
    world, _, bob = two(aes=True)
    # The prologue needs the response's header, but message 1 of XX does not depend on it: it is written by a
    # trial connection with the same ephemeral key.
    trial = connection(suite, True, b"")
    public = bytes(trial.noise_protocol.keypairs["s"].public_bytes)
    commitment = sha256(b"p2pcall/1 commitment" + NONCE + public).digest()
    payload = commitment + bytes(68)
    header = struct.pack(">BBBBI", 1, 1, suite, 0, OUR_INDEX)
    message_1 = bytes(trial.write_message(payload))
    bob.endpoint.receive_datagram(header + message_1, ALICE, world.now)
    ((response, _),) = bob.endpoint.datagrams_to_send(world.now)
    assert len(response) == len(header + message_1) == 140
    kind, version, chosen, zero, their_index, our_index = struct.unpack(">BBBBII", response[:12])
    assert (kind, version, chosen, zero, our_index) == (2, 1, suite, 0, OUR_INDEX)

    noise = connection(suite, True, b"p2pcall/1" + header + response[:12])
    assert bytes(noise.write_message(payload)) == message_1
    responder_nonce = bytes(noise.read_message(response[12:]))
    confirmation = struct.pack(">BxxxI", 3, their_index) + bytes(noise.write_message(NONCE))
    bob.endpoint.receive_datagram(confirmation, ALICE, world.now)
    done = bob.endpoint.next_event()
    assert isinstance(done, HandshakeDone)
    assert done.peer.remote_static == public
    assert done.peer.sas == words(noise.get_handshake_hash(), NONCE, responder_nonce)

    ping, probe = (data for data, _ in bob.endpoint.datagrams_to_send(world.now))
    assert ping[:16] == struct.pack(">BxxxIQ", 4, OUR_INDEX, 0)
    assert frames(noise, ping) == [(2, b"\1" + bytes(8))]
    ((channel, number),) = frames(noise, probe)
    assert (channel, number[:1], len(number), len(probe)) == (2, b"\1", 9, 44)
    invite = struct.pack(">BQB", 0, 0, 1) + b"\3" + b"\5carol"
    bob.endpoint.receive_datagram(record(noise, their_index, 0, 1, invite), ALICE, world.now)
    assert bob.endpoint.next_event() == Incoming(done.peer, "carol", True, True)
    ((ack, _),) = bob.endpoint.datagrams_to_send(world.now)
    assert frames(noise, ack) == [(1, struct.pack(">BQ", 1, 1))]


@pytest.mark.parametrize("suite", [1, 2])
def test_second_implementation_is_dialled_and_accepts(suite: int) -> None:
    world, alice, _ = two(aes=True)
    ours = alice.endpoint.dial([BOB], world.now)
    ((initiation, _),) = alice.endpoint.datagrams_to_send(world.now)
    kind, version, offered, zero, their_index = struct.unpack(">BBBBI", initiation[:8])
    assert (kind, version, offered, zero) == (1, 1, 3, 0)
    header = struct.pack(">BBBBII", 2, 1, suite, 0, OUR_INDEX, their_index)
    noise = connection(suite, False, b"p2pcall/1" + initiation[:8] + header)
    payload = bytes(noise.read_message(initiation[8:]))
    response = header + bytes(noise.write_message(NONCE))
    alice.endpoint.receive_datagram(response, BOB, world.now)
    assert isinstance(alice.endpoint.next_event(), HandshakeDone)
    confirmation, ping, probe = (data for data, _ in alice.endpoint.datagrams_to_send(world.now))
    assert confirmation[:8] == struct.pack(">BxxxI", 3, OUR_INDEX)
    initiator_nonce = bytes(noise.read_message(confirmation[8:]))
    committed = sha256(b"p2pcall/1 commitment" + initiator_nonce + alice.static.public).digest()
    assert payload == committed + bytes(68)
    assert ours.sas == words(noise.get_handshake_hash(), initiator_nonce, NONCE)

    assert frames(noise, ping) == [(2, b"\1" + bytes(8))]
    ((_, number),) = frames(noise, probe)
    ours.invite("alice", True, False, world.now)
    ((invite, _),) = alice.endpoint.datagrams_to_send(world.now)
    assert frames(noise, invite) == [(1, struct.pack(">BQB", 0, 0, 1) + b"\1\5alice")]
    answer = struct.pack(">BQB", 0, 0, 3) + b"\1" + b"\5carol"
    alice.endpoint.receive_datagram(record(noise, their_index, 0, 1, answer), BOB, world.now)
    assert alice.endpoint.next_event() == Accepted(ours, "carol", True, False)
    ((ack, _),) = alice.endpoint.datagrams_to_send(world.now)
    assert frames(noise, ack) == [(1, struct.pack(">BQ", 1, 1))]
    pong = b"\2" + number[1:] + bytes(8)
    alice.endpoint.receive_datagram(record(noise, their_index, 1, 2, pong), BOB, world.now)
    ours.send(3, b"sound", world.now)
    ((sound, _),) = alice.endpoint.datagrams_to_send(world.now)
    assert frames(noise, sound) == [(3, b"sound")]
