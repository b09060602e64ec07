"""Both sides of a first contact, sans-IO: what each learns and keeps, and what it costs who does not know the code."""

import hashlib
from collections.abc import Iterator

import pytest

from p2pcall.pairing import constants as c
from p2pcall.pairing.code import Code
from p2pcall.pairing.datagrams import (
    Done,
    Offer,
    Proof,
    Query,
    Refusal,
    Result,
    parse_pairing,
)
from p2pcall.pairing.inviter import Inviter
from p2pcall.pairing.joiner import Joiner
from p2pcall.pairing.key_exchange import Introduction, KeyExchange, PairingKeys
from p2pcall.pairing.outcome import Met, PairingEnd, PairingEvent, PairingOver
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.types import Entropy

CODE = Code(7, ("crossover", "clockwork"))
WRONG = Code(7, ("crossover", "cobra"))
ALICE, BOB, EVE = (KeyPair.from_private(bytes([n]) * 32) for n in (1, 2, 3))
HERE, THERE = ("192.0.2.1", 51729), ("192.0.2.2", 40000)
LOW_ORDER = bytes(32)


def entropy(seed: str) -> Entropy:
    """Bytes that look random, the same for each seed."""

    def drawn() -> Iterator[int]:
        count = 0
        while True:
            yield from hashlib.sha256(f"{seed}{count}".encode()).digest()
            count += 1

    stream = drawn()
    return lambda size: bytes(next(stream) for _ in range(size))


def invite(code: Code = CODE, own: KeyPair = ALICE, now: float = 0.0) -> Inviter:
    return Inviter(code, own, "Alice", entropy("inviter"), now)


def join(
    code: Code = CODE, own: KeyPair = BOB, expected: bytes | None = None, seed: str = "joiner"
) -> Joiner:
    return Joiner(code, own, "Bob", [HERE], entropy(seed), 0.0, expected)


def sent(side: Inviter | Joiner, now: float = 0.0) -> list[bytes]:
    return [data for data, _ in side.datagrams_to_send(now)]


def told(side: Inviter | Joiner) -> list[PairingEvent]:
    found = []
    while (event := side.next_event()) is not None:
        found.append(event)
    return found


def exchange(inviter: Inviter, joiner: Joiner, now: float = 0.0) -> None:
    """Carry datagrams until there are none; time does not pass."""
    while (asked := sent(joiner, now)) + (answered := sent(inviter, now)):
        for data in asked:
            inviter.receive_datagram(data, THERE, now)
        for data in answered:
            joiner.receive_datagram(data, HERE, now)


def proof_of(joiner: Joiner, inviter: Inviter) -> bytes:
    """The joiner's proof for this invite, on its way."""
    (query,) = sent(joiner)
    inviter.receive_datagram(query, THERE, 0.0)
    (offer,) = sent(inviter)
    joiner.receive_datagram(offer, HERE, 0.0)
    (proof,) = sent(joiner)
    return proof


# ---- who knows the code


def test_who_knows_the_code_gets_to_know_the_other_and_both_end_paired() -> None:
    inviter, joiner = invite(), join()
    exchange(inviter, joiner)
    assert told(inviter) == [Met(Introduction(BOB.public, "Bob"))]
    assert told(joiner) == [], "the inviter keeps the joiner first"
    inviter.keep(0.0)
    exchange(inviter, joiner)
    assert told(joiner) == [Met(Introduction(ALICE.public, "Alice"))]
    joiner.keep(0.0)
    exchange(inviter, joiner)
    assert told(joiner) == [PairingOver(PairingEnd.PAIRED)]
    assert told(inviter) == [PairingOver(PairingEnd.PAIRED)]
    assert inviter.next_timer() is joiner.next_timer() is None


def test_any_one_datagram_may_be_lost() -> None:
    for lost in range(1, 6):
        inviter, joiner, now, count = invite(), join(), 0.0, 0
        ends: dict[str, PairingEnd] = {}
        while len(ends) < 2:
            for side, data in [(inviter, d) for d in sent(joiner, now)] + [
                (joiner, d) for d in sent(inviter, now)
            ]:
                count += 1
                if count != lost:
                    side.receive_datagram(data, THERE, now)
            for side in (inviter, joiner):
                side.handle_timer(now)
                for event in told(side):
                    if isinstance(event, Met):
                        side.keep(now)
                    else:
                        ends[type(side).__name__] = event.end
            now += 0.1
            assert now < 5, lost
        assert set(ends.values()) == {PairingEnd.PAIRED}, lost


def test_a_joiner_that_is_not_heard_again_is_kept_and_told_as_unconfirmed() -> None:
    inviter, joiner = invite(), join()
    exchange(inviter, joiner)
    inviter.keep(0.0)
    told(inviter)
    inviter.handle_timer(c.DONE_TIMEOUT_S - 0.1)
    assert told(inviter) == []
    inviter.handle_timer(c.DONE_TIMEOUT_S)
    assert told(inviter) == [PairingOver(PairingEnd.UNCONFIRMED)]


def test_only_the_joiner_can_say_that_it_has_kept_us() -> None:
    inviter, joiner = invite(), join()
    proof = parse_pairing(proof_of(joiner, inviter))
    assert isinstance(proof, Proof)
    inviter.receive_datagram(proof.pack(), THERE, 0.0)
    forged = Done(proof.token, bytes(32)).pack()
    inviter.receive_datagram(forged, THERE, 0.0)
    inviter.keep(0.0)
    inviter.receive_datagram(forged, THERE, 0.0)
    assert told(inviter) == [Met(Introduction(BOB.public, "Bob"))]


# ---- who does not


def test_one_wrong_guess_burns_the_code_and_both_sides_learn_it() -> None:
    inviter, joiner = invite(), join(WRONG)
    exchange(inviter, joiner)
    assert told(joiner) == [PairingOver(PairingEnd.REFUSED)]
    inviter.handle_timer(c.REFUSAL_LINGER_S)
    assert told(inviter) == [PairingOver(PairingEnd.WRONG_CODE)]


def test_a_burnt_code_is_like_an_unknown_one_even_for_who_knows_it() -> None:
    inviter = invite()
    exchange(inviter, join(WRONG))
    late = join(seed="late")
    exchange(inviter, late)
    late.handle_timer(c.QUERY_TIMEOUT_S)
    assert told(late) == [PairingOver(PairingEnd.NO_ANSWER)]


def test_the_second_joiner_gets_what_an_unknown_code_gets() -> None:
    inviter, second = invite(), join(seed="second")
    proof = proof_of(second, inviter)
    exchange(inviter, join())
    inviter.keep(0.0)
    sent(inviter)
    for data in (proof, join(seed="third")._query.pack()):
        assert not inviter.receive_datagram(data, THERE, 0.0)
    assert sent(inviter) == []
    second.handle_timer(c.PROOF_TIMEOUT_S)
    assert told(second) == [PairingOver(PairingEnd.LOST)]


def test_an_unknown_number_gets_no_answer_and_does_not_cost_the_guess() -> None:
    inviter, other = invite(), join(Code(8, CODE.words))
    exchange(inviter, other)
    assert sent(inviter) == []
    proof = parse_pairing(proof_of(join(), inviter))
    assert isinstance(proof, Proof)
    elsewhere = Proof(8, proof.token, proof.element, proof.ephemeral, bytes(32), proof.sealed)
    inviter.receive_datagram(elsewhere.pack(), THERE, 0.0)
    assert sent(inviter) == []
    assert inviter.receive_datagram(proof.pack(), THERE, 0.0)


def test_a_query_tells_nothing_and_costs_no_guess_however_often_it_comes() -> None:
    inviter = invite()
    offers = set()
    queries = [sent(join(seed=str(n)))[0] for n in range(3)]
    for query in queries * 100:
        inviter.receive_datagram(query, THERE, 0.0)
        (offer,) = [parse_pairing(data) for data in sent(inviter)]
        assert isinstance(offer, Offer)
        offers.add((offer.element, offer.ephemeral))
    assert len(offers) == 1, "no state for who asks, and nothing new for who asks again"
    joiner = join()
    exchange(inviter, joiner)
    assert told(inviter) == [Met(Introduction(BOB.public, "Bob"))]


def test_a_wrong_guess_is_answered_alike_whatever_it_was() -> None:
    answers = set()
    for code in (WRONG, Code(7, ("cumbersome", "cobra")), Code(7, ("cumbersome", "clockwork"))):
        inviter, joiner = invite(), join(code)
        proof = proof_of(joiner, inviter)
        inviter.receive_datagram(proof, THERE, 0.0)
        answers.add(tuple(sent(inviter)))
    assert len(answers) == 1


def test_an_answer_that_was_lost_is_given_again_to_the_same_proof_alone() -> None:
    for code in (CODE, WRONG):
        inviter, joiner = invite(), join(code)
        proof = proof_of(joiner, inviter)
        inviter.receive_datagram(proof, THERE, 0.0)
        if code is CODE:
            inviter.receive_datagram(proof, THERE, 0.0)
            assert sent(inviter) == [], "not before the joiner is kept"
            inviter.keep(0.0)
        (first,) = sent(inviter)
        inviter.receive_datagram(proof, THERE, 0.0)
        assert sent(inviter) == [first]
        inviter.receive_datagram(proof[:-1] + b"x", THERE, 0.0)
        assert sent(inviter) == []


def test_an_inviter_who_does_not_know_the_code_is_found_out_and_gets_one_proof() -> None:
    inviter, joiner = invite(WRONG), join()
    proof = parse_pairing(proof_of(joiner, inviter))
    assert isinstance(proof, Proof)
    result = Result(proof.token, bytes(32), bytes(c.SEALED_INTRODUCTION_BYTES))
    joiner.receive_datagram(result.pack(), HERE, 0.0)
    assert told(joiner) == [PairingOver(PairingEnd.WRONG_CODE)]
    assert sent(joiner, 100.0) == []
    joiner.receive_datagram(sent_offer(proof.token), HERE, 0.0)
    assert sent(joiner, 100.0) == []


def sent_offer(token: bytes) -> bytes:
    other = KeyExchange(CODE, EVE, "Eve", entropy("eve"), inviter=True)
    return Offer(token, other.element, other.ephemeral).pack()


def test_a_second_offer_does_not_get_a_second_proof() -> None:
    inviter, joiner = invite(), join()
    proof = parse_pairing(proof_of(joiner, inviter))
    assert isinstance(proof, Proof)
    joiner.receive_datagram(sent_offer(proof.token), THERE, 0.0)
    assert joiner.datagrams_to_send(c.RESEND_S) == [(proof.pack(), HERE)]


def test_only_who_sees_the_query_can_answer_it() -> None:
    joiner = join()
    (query,) = sent(joiner)
    for told_ in (
        Offer(bytes(16), b"A" * 33, BOB.public),
        Refusal(bytes(16)),
        Result(bytes(16), bytes(32), bytes(272)),
    ):
        joiner.receive_datagram(told_.pack(), HERE, 0.0)
    assert told(joiner) == []
    assert sent(joiner, c.RESEND_S) == [query]


def test_answers_out_of_order_change_nothing() -> None:
    joiner = join()
    token = joiner._query.token
    for told_ in (
        Refusal(token),
        Result(token, bytes(32), bytes(272)),
        Done(token, bytes(32)),
        joiner._query,
    ):
        joiner.receive_datagram(told_.pack(), HERE, 0.0)
    assert told(joiner) == []
    inviter = invite()
    for early in (Done(token, bytes(32)), Result(token, bytes(32), bytes(272)), Refusal(token)):
        inviter.receive_datagram(early.pack(), THERE, 0.0)
    assert told(inviter) == []
    assert sent(inviter) == []


# ---- time


def test_a_code_works_for_ten_minutes_and_not_longer() -> None:
    assert c.INVITE_S == 10 * 60
    inviter = invite(now=100.0)
    assert inviter.next_timer() == 700.0
    (query,) = sent(join())
    inviter.receive_datagram(query, THERE, 699.9)
    assert len(sent(inviter)) == 1
    inviter.receive_datagram(query, THERE, 700.0)
    assert sent(inviter) == []
    inviter.handle_timer(699.9)
    assert told(inviter) == []
    inviter.handle_timer(700.0)
    assert told(inviter) == [PairingOver(PairingEnd.EXPIRED)]
    inviter.handle_timer(701.0)
    inviter.receive_datagram(query, THERE, 701.0)
    assert told(inviter) == []
    assert sent(inviter) == []


def test_a_proof_in_the_last_moment_is_judged_and_one_after_it_is_not() -> None:
    for at, met in ((c.INVITE_S - 0.1, True), (c.INVITE_S, False)):
        inviter, joiner = invite(), join()
        proof = proof_of(joiner, inviter)
        assert inviter.receive_datagram(proof, THERE, at) is met


def test_a_query_is_repeated_to_all_addresses_until_nobody_is_there() -> None:
    joiner = Joiner(CODE, BOB, "Bob", [HERE, THERE], entropy("joiner"), 0.0)
    first = joiner.datagrams_to_send(0.0)
    assert [address for _, address in first] == [HERE, THERE]
    assert joiner.datagrams_to_send(c.RESEND_S / 2) == []
    assert joiner.datagrams_to_send(c.RESEND_S) == first
    joiner.handle_timer(c.QUERY_TIMEOUT_S - 0.1)
    assert told(joiner) == []
    joiner.handle_timer(c.QUERY_TIMEOUT_S)
    assert told(joiner) == [PairingOver(PairingEnd.NO_ANSWER)]
    assert joiner.datagrams_to_send(100.0) == []


# ---- keys


class Liar:
    """A joiner or inviter who knows the code, and introduces itself in its own way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, inviter: bool) -> None:
        self.possession = KeyExchange._possession
        real = KeyExchange.introduce

        def introduce(side: KeyExchange, keys: PairingKeys, ephemeral: bytes) -> tuple[bytes, bytes] | None:
            if side._inviter is inviter:
                self.lie(side)
            return real(side, keys, ephemeral)

        monkeypatch.setattr(KeyExchange, "introduce", introduce)

    def lie(self, side: KeyExchange) -> None:
        side._identity = KeyPair(side._identity.private, EVE.public)


class LiarOfNames(Liar):
    def lie(self, side: KeyExchange) -> None:
        side._name = b"\xff\xfe"


class LiarOfKeys(Liar):
    def lie(self, side: KeyExchange) -> None:
        side._identity = KeyPair(side._identity.private, LOW_ORDER)


@pytest.mark.parametrize("liar", [Liar, LiarOfNames, LiarOfKeys])
def test_who_knows_the_code_cannot_give_the_key_of_another_or_a_name_that_is_none(
    liar: type[Liar], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        liar(patch, inviter=False)
        inviter, joiner = invite(), join()
        exchange(inviter, joiner)
        inviter.handle_timer(c.REFUSAL_LINGER_S)
        assert told(inviter) == [PairingOver(PairingEnd.UNUSABLE)]
        assert told(joiner) == [PairingOver(PairingEnd.REFUSED)]
    liar(monkeypatch, inviter=True)
    inviter, joiner = invite(), join()
    exchange(inviter, joiner)
    inviter.keep(0.0)
    exchange(inviter, joiner)
    assert told(joiner) == [PairingOver(PairingEnd.UNUSABLE)]


def test_a_seal_that_does_not_open_is_no_introduction() -> None:
    one = KeyExchange(CODE, ALICE, "Alice", entropy("a"), inviter=True)
    keys = PairingKeys(bytes(32), *(bytes([n]) * 32 for n in range(5)))
    assert one.introduced(keys, bytes(c.SEALED_INTRODUCTION_BYTES)) is None


def test_ephemeral_keys_and_elements_that_are_none_are_refused_by_both_sides() -> None:
    for change in (
        {"ephemeral": LOW_ORDER},
        {"element": b"B" + bytes([255] * 32)},
        {"element": b"A" + bytes(32)},
    ):
        proof = parse_pairing(proof_of(join(), invite()))
        assert isinstance(proof, Proof)
        inviter = invite()
        parts = {name: getattr(proof, name) for name in proof.__struct_fields__} | change
        inviter.receive_datagram(Proof(**parts).pack(), THERE, 0.0)
        inviter.handle_timer(c.REFUSAL_LINGER_S)
        assert told(inviter) == [PairingOver(PairingEnd.WRONG_CODE)]
        joiner = join()
        parts = {
            "token": joiner._query.token,
            "element": inviter._exchange.element,
            "ephemeral": ALICE.public,
        }
        joiner.receive_datagram(Offer(**parts | change).pack(), HERE, 0.0)
        assert told(joiner) == [PairingOver(PairingEnd.UNUSABLE)]


def test_an_inviter_refuses_who_knows_the_code_and_gives_no_ephemeral_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inviter, joiner = invite(), join()
    joiner._query = Query(7, joiner._query.token, joiner._query.element, LOW_ORDER)
    proof = proof_of(joiner, inviter)
    inviter.receive_datagram(proof, THERE, 0.0)
    inviter.handle_timer(c.REFUSAL_LINGER_S)
    assert told(inviter) == [PairingOver(PairingEnd.UNUSABLE)]


def test_ones_own_invite_is_noticed_on_both_sides() -> None:
    inviter, joiner = invite(), join(own=ALICE)
    exchange(inviter, joiner)
    inviter.handle_timer(c.REFUSAL_LINGER_S)
    assert told(inviter) == told(joiner) == [PairingOver(PairingEnd.OWN_KEY)]


@pytest.mark.parametrize(("expected", "met"), [(ALICE.public, True), (EVE.public, False)])
def test_a_key_that_is_known_beforehand_must_be_the_one(expected: bytes, met: bool) -> None:
    inviter, joiner = invite(), join(expected=expected)
    exchange(inviter, joiner)
    inviter.keep(0.0)
    exchange(inviter, joiner)
    (event,) = told(joiner)
    assert event == (Met(Introduction(ALICE.public, "Alice")) if met else PairingOver(PairingEnd.OTHER_KEY))


# ---- what an observer sees


def test_no_key_name_or_word_is_on_the_wire_and_all_lengths_are_fixed() -> None:
    seen: list[tuple[bytes, ...]] = []
    for name in ("Bob", "x" * 64):
        inviter = invite()
        joiner = Joiner(CODE, BOB, name, [HERE], entropy("joiner"), 0.0)
        proof = proof_of(joiner, inviter)
        inviter.receive_datagram(proof, THERE, 0.0)
        inviter.keep(0.0)
        (result,) = sent(inviter)
        joiner.receive_datagram(result, HERE, 0.0)
        joiner.keep(0.0)
        seen.append((joiner._query.pack(), proof, result, sent(joiner)[0]))
    for data in (b for run in seen for b in run):
        for secret in (ALICE.public, BOB.public, b"Bob", b"Alice", b"crossover", b"clockwork"):
            assert secret not in data
    assert [len(data) for data in seen[0]] == [len(data) for data in seen[1]]


def test_no_answer_is_longer_than_its_question() -> None:
    assert c.OFFER_BYTES < c.QUERY_BYTES
    assert max(c.RESULT_BYTES, c.REFUSAL_BYTES) < c.PROOF_BYTES


def test_keys_are_not_shown_by_accident() -> None:
    assert repr(PairingKeys(*(bytes(32) for _ in range(6)))) == "PairingKeys()"


def test_the_element_of_the_same_side_sent_back_is_refused() -> None:
    for inviter in (True, False):
        side = KeyExchange(CODE, ALICE, "Alice", entropy("a"), inviter=inviter)
        for first in (side.element[:1], b"B" if inviter else b"A"):
            back = first + side.element[1:]
            again = KeyExchange(CODE, ALICE, "Alice", entropy("a"), inviter=inviter)
            assert (
                again.agree(Query(7, bytes(16), back, BOB.public), Offer(bytes(16), back, BOB.public)) is None
            )
