"""A first contact over a network that an attacker owns: whatever it loses, repeats, mixes and invents."""

import os

from hypothesis import given
from hypothesis import strategies as st

from p2pcall.pairing.code import Code
from p2pcall.pairing.inviter import Inviter
from p2pcall.pairing.joiner import Joiner
from p2pcall.pairing.outcome import Met, PairingEnd, PairingOver
from p2pcall.proto.handshake.noise import KeyPair

CODE, GUESS = Code(7, ("crossover", "clockwork")), Code(7, ("crossover", "cobra"))
ALICE, BOB, CAROL, EVE = (KeyPair.from_private(bytes([n]) * 32) for n in (1, 2, 3, 4))
NOWHERE = ("192.0.2.9", 9)
STEPS = ("deliver", "deliver", "deliver", "repeat", "lose", "damage", "wait")


class Side:
    """One side, with what it was told."""

    def __init__(self, name: str, end: Inviter | Joiner) -> None:
        self.name, self.end = name, end
        self.met: list[bytes] = []
        self.over: list[PairingEnd] = []

    def drain(self, now: float) -> list[bytes]:
        """Keep who was met, as the owner does; what it has to send."""
        while (event := self.end.next_event()) is not None:
            if isinstance(event, Met):
                self.met.append(event.who.public)
                self.end.keep(now)
            elif isinstance(event, PairingOver):
                self.over.append(event.end)
        return [data for data, _ in self.end.datagrams_to_send(now)]


def joiner(code: Code, own: KeyPair, name: str) -> Side:
    return Side(name, Joiner(code, own, name, [NOWHERE], os.urandom, 0.0))


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 63), st.integers(0, 3)), max_size=60))
def test_whoever_meets_somebody_meets_one_who_knows_the_code_and_only_one(
    steps: list[tuple[str, int, int]],
) -> None:
    sides = [
        Side("alice", Inviter(CODE, ALICE, "alice", os.urandom, 0.0)),
        joiner(CODE, BOB, "bob"),
        joiner(CODE, CAROL, "carol"),
        joiner(GUESS, EVE, "eve"),
    ]
    alice, bob, carol, eve = sides
    now, wire = 0.0, list[bytes]()
    for what, which, whom in steps:
        for side in sides:
            wire += side.drain(now)
        if what == "wait" or not wire:
            now += 0.6
            for side in sides:
                side.end.handle_timer(now)
            continue
        at = which % len(wire)
        data = wire[at] if what == "repeat" else wire.pop(at)
        if what == "damage":
            data = bytes([*data[:which], (data + bytes(64))[which] ^ 1, *data[which + 1 :]])
        if what != "lose":
            sides[whom].end.receive_datagram(data, NOWHERE, now)
    for side in sides:
        side.drain(now)
        assert len(side.met) <= 1
        assert len(side.over) <= 1
    assert not eve.met
    assert set(alice.met) <= {BOB.public, CAROL.public}
    for one in (bob, carol):
        assert set(one.met) <= {ALICE.public}
        if one.met:
            own = BOB.public if one is bob else CAROL.public
            assert alice.met == [own], "who meets the inviter was met by it first"
