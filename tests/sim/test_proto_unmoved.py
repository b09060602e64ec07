"""Whatever comes without a proof of its keys, at whatever moment of a line's life: nothing is as it was not before.

Compared is the whole state of an endpoint (`fingerprint`), all but the counters of drops, the budgets that strangers
use up, and the cookies with which their knocks are answered. Left out is what somebody on the path can do who has seen
a cookie: one for our knock starts an initiation that its maker alone can answer, and a part of an initiation with
another's cookie, from a forged address, waits in the place of his.
"""

from collections.abc import Callable, Iterator

import pytest
from fingerprint import fingerprint
from hostile import STRANGER, opened, talk
from netem import ALICE, BOB, CLEAN, Node, Pair, World, call, line, two

from p2pcall.proto import constants as c
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import IncomingCall, LineInterrupted
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import DatagramType

At = tuple[World, list[Node]]


def dialling(upto: str) -> Callable[[], At]:
    def begin() -> At:
        world, alice, bob, _ = opened(upto, known=False)
        return world, [alice, bob]

    return begin


def both(pair: Pair) -> At:
    return pair.world, [pair.alice, pair.bob]


def ringing() -> At:
    pair = line()
    pair.ours.invite("alice", True, True, pair.world.now)
    assert pair.world.run(5, lambda: bool(pair.bob.of(IncomingCall)))
    pair.theirs.ring("bob", pair.world.now)
    pair.world.run(0.5)
    return both(pair)


def talking() -> At:
    pair = call()
    talk(pair)
    return both(pair)


def silent() -> At:
    pair = call()
    network = pair.world.network
    pair.world.run(0.1)
    arrived = len(network.log)
    network.refuse = lambda sent: True
    assert pair.world.run(10, lambda: bool(pair.bob.of(LineInterrupted) and pair.alice.of(LineInterrupted)))
    del network.log[arrived:]
    return both(pair)


def rekeyed() -> At:
    pair = call()
    pair.world.run(c.REKEY_AFTER_S + 5)
    return both(pair)


def over(reason: Reason) -> Callable[[], At]:
    def end() -> At:
        pair = call() if reason is Reason.HUNG_UP else line()
        if reason is Reason.HUNG_UP:
            pair.ours.hangup(reason, pair.world.now)
        else:
            pair.ours.invite("alice", True, True, pair.world.now)
            assert pair.world.run(5, lambda: bool(pair.bob.of(IncomingCall)))
            pair.theirs.decline(reason, pair.world.now)
        assert pair.world.run(5, lambda: CallState.ENDED in (pair.ours.state, pair.theirs.state))
        return both(pair)

    return end


def nobody() -> At:
    world, alice, bob = two()
    return world, [alice, bob]


STATES = {
    "nobody": nobody,
    "knocking": dialling("cookie"),
    "initiating": dialling("response"),
    "half-open": dialling("confirmation"),
    "no call yet": lambda: both(line()),
    "ringing": ringing,
    "talking": talking,
    "reconnecting": silent,
    "rekeyed": rekeyed,
    "declined": over(Reason.DECLINED),
    "hung up": over(Reason.HUNG_UP),
}


def one_of_each_kind() -> dict[int, bytes]:
    """From a call that nobody in these tests knows of: as whoever has the program can make them."""
    kinds: dict[int, bytes] = {}
    for sent in call(seed=9).world.network.log:
        kinds.setdefault(sent.data[0], sent.data)
    assert kinds.keys() == set(DatagramType)
    return kinds


def forged(node: Node, recorded: list[bytes]) -> Iterator[bytes]:
    """Every kind, with every index that the endpoint goes by, and its own recorded datagrams, changed and cut."""
    endpoint = node.endpoint
    indexes = [*endpoint._state.peers, *endpoint._admission._by_index, 0]
    for index in indexes:
        for data in one_of_each_kind().values():
            yield data[:4] + index.to_bytes(c.INDEX_BYTES, "big") + data[8:-1] + bytes([data[-1] ^ 1])
    for data in recorded:
        places = (1, 4, 9, 20, len(data) // 2, len(data) - 1)
        for at in places[:4] if data[0] == DatagramType.INITIATION else places:
            yield data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]
        yield data[: len(data) // 2]
        yield data + b"\0"
    yield from (data for data in recorded if data[0] == DatagramType.DATA)


def state_of(node: Node) -> object:
    """All of it but the answers to strangers, of which nothing is kept, and how often a confirmation has failed."""
    for half_open in node.endpoint._admission._by_index.values():
        half_open.failures = 0
    outbox = node.endpoint._state.outbox
    kept = [(data, address) for data, address in outbox if data[0] != DatagramType.COOKIE]
    outbox.clear()
    outbox.extend(kept)
    return fingerprint(node.endpoint)


@pytest.mark.parametrize("state", STATES)
def test_nothing_unauthenticated_moves_anything(state: str) -> None:
    world, nodes = STATES[state]()
    kinds = {}
    for sent in world.network.log:
        if sent.data[0] != DatagramType.COOKIE and sent.at + 2 * CLEAN.delay <= world.now:
            kinds[sent.destination, sent.data[0], len(sent.data)] = sent.data
    for node in nodes:
        recorded = [data for (destination, *_), data in kinds.items() if destination == node.address]
        before, handed = state_of(node), 0
        for source in (ALICE, BOB, STRANGER):
            for data in forged(node, recorded):
                assert node.endpoint.receive_datagram(data, source, world.now) is False, data.hex()
                handed += 1
        assert handed >= len(DatagramType)
        assert state_of(node) == before


def test_what_proves_its_keys_is_told_apart_from_what_does_not() -> None:
    told: dict[int, set[bool]] = {kind: set() for kind in DatagramType}
    world, alice, bob = two()
    for node in (alice, bob):
        receive = node.endpoint.receive_datagram

        def spy(data: bytes, source: tuple[str, int], now: float, receive=receive) -> bool:  # type: ignore[no-untyped-def]
            genuine = receive(data, source, now)
            told[data[0]].add(genuine)
            return bool(genuine)

        node.endpoint.receive_datagram = spy  # type: ignore[method-assign, assignment]
    alice.endpoint.dial([BOB], world.now)
    assert world.run(5, lambda: bool(bob.told) and bool(alice.told))
    assert told == {
        DatagramType.KNOCK: {False},
        DatagramType.COOKIE: {False},
        DatagramType.INITIATION: {False},
        DatagramType.RESPONSE: {True},
        DatagramType.CONFIRMATION: {True},
        DatagramType.DATA: {True},
    }
