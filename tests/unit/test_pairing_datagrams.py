"""The datagrams of a first contact: what is one, what is none, and that strangers' bytes do nothing."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pcall.pairing import constants as c
from p2pcall.pairing.code import Code
from p2pcall.pairing.datagrams import Done, Offer, PairingType, Proof, Query, Refusal, Result, parse_pairing
from p2pcall.pairing.inviter import Inviter
from p2pcall.pairing.joiner import Joiner
from p2pcall.pairing.key_exchange import KeyExchange
from p2pcall.pairing.outcome import Met
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.wire import DatagramType

CODE = Code(7, ("crossover", "clockwork"))
ALICE, BOB = (KeyPair.from_private(bytes([n]) * 32) for n in (1, 2))
THERE = ("192.0.2.2", 40000)

TOKEN = bytes(range(16))
SAMPLES = [
    Query(7, TOKEN, b"B" * 33, bytes(32)),
    Offer(TOKEN, b"A" * 33, bytes(32)),
    Proof(7, TOKEN, b"B" * 33, bytes(32), bytes(32), bytes(272)),
    Result(TOKEN, bytes(32), bytes(272)),
    Refusal(TOKEN),
    Done(TOKEN, bytes(32)),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_datagram_is_read_whole_and_in_no_other_length_or_version(sample: Query) -> None:
    data = sample.pack()
    name = type(sample).__name__.upper()
    assert data[0] == PairingType[name]
    assert len(data) == getattr(c, f"{name}_BYTES")
    assert parse_pairing(data) == sample
    assert all(parse_pairing(data[:length]) is None for length in range(len(data)))
    assert parse_pairing(data + b"\0") is None
    assert parse_pairing(data[:1] + b"\2" + data[2:]) is None
    if not isinstance(sample, Query | Proof):
        assert parse_pairing(data[:3] + b"\1" + data[4:]) is None


def test_a_port_for_calls_knows_none_of_their_types() -> None:
    assert not {int(kind) for kind in PairingType} & {int(kind) for kind in DatagramType}


def test_padding_and_reserved_bytes_are_zero() -> None:
    query = SAMPLES[0].pack()
    assert parse_pairing(query[:-1] + b"\1") is None


def hostile() -> st.SearchStrategy[bytes]:
    """Bytes of any kind, and datagrams with a few bytes changed."""
    kinds = st.sampled_from([sample.pack() for sample in SAMPLES])
    changed = st.tuples(kinds, st.integers(0, 400), st.binary(min_size=1, max_size=40)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
    )
    return st.binary(max_size=500) | changed


SIDES = (
    Inviter(CODE, ALICE, "Alice", os.urandom, 0.0),
    Joiner(CODE, BOB, "Bob", [THERE], os.urandom, 0.0),
)


@given(st.lists(hostile(), max_size=5))
def test_bytes_of_strangers_never_raise_and_nobody_is_met(datagrams: list[bytes]) -> None:
    for data in datagrams:
        for side in SIDES:
            side.receive_datagram(data, THERE, 1.0)
            assert len(side.datagrams_to_send(1.0)) <= 1
            assert not isinstance(side.next_event(), Met)


@given(st.binary(min_size=33, max_size=33))
def test_an_element_of_a_stranger_gives_a_key_or_none_and_never_raises(element: bytes) -> None:
    side = KeyExchange(CODE, ALICE, "Alice", os.urandom, inviter=True)
    query = Query(7, TOKEN, b"B" + element[1:], BOB.public)
    keys = side.agree(query, Offer(TOKEN, side.element, side.ephemeral))
    assert keys is None or len(keys.transcript) == 32
