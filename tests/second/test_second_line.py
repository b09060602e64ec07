"""Both sides of the second implementation on one line, in virtual time: what is too slow for a real call."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from door import Door
from handshake import Dial, NewKeys, answer_new_keys
from line import CONSENT_LAPSES_S, CONSENT_S, HANGUP, Line
from patterns import AES, CHACHAPOLY, Keys, NotAuthentic, public_of

ADDRESS = "192.0.2.1", 50_000
TICK_S = 0.02
ALICE, BOB, EVE = (X25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2, 3))


def shaken(*, known: bool, suites: int = CHACHAPOLY) -> tuple[Dial, Keys]:
    """Alice's dial and Bob's keys, after their handshake."""
    dial = Dial(ALICE, AES | CHACHAPOLY, public_of(BOB) if known else None)
    door = Door(BOB, suites, [public_of(ALICE)], anyone=not known)
    cookie = door.receive(dial.knock(), ADDRESS, 0.0)
    assert cookie is not None
    assert dial.take_cookie(cookie)
    first, second = dial.parts()
    assert door.receive(first, ADDRESS, 0.0) is None
    response = door.receive(second, ADDRESS, 0.0)
    assert response is not None
    assert not dial.take_response(response[:-1] + bytes((response[-1] ^ 1,)))
    assert dial.take_response(response), "a bad response leaves no trace"
    bad = dial.confirmation[:-1] + bytes((dial.confirmation[-1] ^ 1,))
    for _ in range(2):
        door.receive(bad, ADDRESS, 0.0)
    door.receive(dial.confirmation, ("192.0.2.2", 50_000), 0.0)
    assert door.done is None, "a confirmation counts only from where the initiation came"
    door.receive(dial.confirmation, ADDRESS, 0.0)
    assert door.done is not None
    assert door.done.keys is not None
    shown = door.done.own_nonce
    assert dial.fits(shown)
    assert dial.words(shown) == door.done.words(dial.own_nonce)
    return dial, door.done.keys


class Pair:
    """Their lines, joined without loss."""

    def __init__(self, static_of_new_keys: X25519PrivateKey = ALICE) -> None:
        self.now = 0.0
        self.cut = False
        self._way: list[tuple[Line, bytes]] = []
        dial, keys = shaken(known=True)
        assert dial.keys is not None
        self.alice = Line(dial.keys, 0.0, lambda data: self._way.append((self.bob, data)))
        self.bob = Line(keys, 0.0, lambda data: self._way.append((self.alice, data)), self._answer)
        self._static = static_of_new_keys
        self.alice.active = self.bob.active = True

    def _answer(self, running: Keys, message_1: bytes) -> tuple[bytes, Keys]:
        return answer_new_keys(BOB, public_of(ALICE), CHACHAPOLY, running, message_1)

    def new_keys(self) -> NewKeys:
        return NewKeys(self._static, public_of(BOB), CHACHAPOLY, self.alice.keys)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            for line in (self.alice, self.bob):
                line.work(self.now, voice_flows=False)
            while self._way:
                line, datagram = self._way.pop(0)
                if not self.cut:
                    line.receive(datagram, self.now)
                    line.work(self.now, voice_flows=False)
            self.now += TICK_S


@pytest.mark.parametrize("known", [False, True])
def test_both_sides_agree_on_words_and_keys(known: bool) -> None:
    dial, keys = shaken(known=known, suites=AES | CHACHAPOLY)
    assert "AESGCM" in dial.protocol
    assert dial.keys is not None
    assert keys.receiving.open(7, dial.keys.sending.seal(7, b"sound")) == b"sound"
    assert dial.keys.receiving.open(7, keys.sending.seal(7, b"sound")) == b"sound"


def test_a_knock_is_answered_once_and_a_far_time_shuts_nobody_out() -> None:
    door = Door(BOB, CHACHAPOLY, [public_of(ALICE)], anyone=False)
    dial = Dial(ALICE, CHACHAPOLY, public_of(BOB))
    dial._chosen.time_us = 2**63
    far = dial.knock()
    assert door.receive(far, ADDRESS, 0.0)
    assert door.receive(far, ADDRESS, 0.0) is None
    knock = Dial(ALICE, CHACHAPOLY, public_of(BOB)).knock()
    assert door.receive(knock, ADDRESS, 0.0)
    assert door.receive(knock, ADDRESS, 0.0) is None
    assert door.receive(Dial(EVE, CHACHAPOLY, public_of(BOB)).knock(), ADDRESS, 0.0) is None
    assert door.receive(Dial(ALICE, CHACHAPOLY, None).knock(), ADDRESS, 0.0) is None


def test_new_keys_are_used_by_both_and_the_old_ones_are_not() -> None:
    pair = Pair()
    pair.run(1.0)
    for epoch in (1, 2):
        before = pair.alice.keys, pair.bob.keys
        pair.alice.rekey(pair.new_keys())
        pair.run(4.0)
        assert (pair.alice.rekeyed, pair.bob.rekeyed) == (epoch, epoch)
        assert (pair.alice.keys, pair.bob.keys) != before
    pair.bob.hang_up(pair.now)
    pair.run(1.0)
    assert [kind for kind, _ in pair.alice.heard] == [HANGUP]
    assert pair.bob.settled


def test_new_keys_with_another_static_key_are_not_answered() -> None:
    pair = Pair(EVE)
    pair.alice.rekey(pair.new_keys())
    pair.run(4.0)
    assert (pair.alice.rekeyed, pair.bob.rekeyed) == (0, 0)
    with pytest.raises(NotAuthentic):
        answer_new_keys(BOB, public_of(ALICE), CHACHAPOLY, pair.bob.keys, pair.new_keys().message_1)


def test_an_address_that_does_not_go_on_to_agree_gets_no_sound() -> None:
    pair = Pair()
    pair.run(CONSENT_S + CONSENT_LAPSES_S)
    assert pair.alice.may_send(pair.now)
    pair.cut = True
    pair.run(CONSENT_LAPSES_S + 2)
    assert not pair.alice.may_send(pair.now)
    pair.cut = False
    pair.run(2.0)
    assert pair.alice.may_send(pair.now)


def test_sound_is_taken_only_while_the_call_is_active() -> None:
    pair = Pair()
    pair.bob.active = False
    pair.alice.voice(b"frame", pair.now)
    pair.run(TICK_S)
    assert pair.bob.sound == []
    pair.bob.active = True
    pair.alice.voice(b"frame", pair.now)
    pair.run(TICK_S)
    assert len(pair.bob.sound) == 1
