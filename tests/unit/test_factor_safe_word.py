"""The safe word: both sides learn whether they know the same word, and nothing else, whatever the other one sends."""

from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pcall.factor.safe_word import (
    RUNS,
    WORD_ELEMENT_BYTES,
    End,
    SafeWord,
    Step,
    WordExchange,
    WordResult,
    safe_word,
)

CALL = b"h" * 32
WORD, OTHER = safe_word("blue giraffe"), safe_word("red giraffe")
SEEDS = count(1)


def side(*, dialled: bool, call: bytes = CALL) -> WordExchange:
    return WordExchange(call, Random(next(SEEDS)).randbytes, dialled=dialled)


def run(
    ours: SafeWord,
    theirs: SafeWord | None,
    *,
    here: WordExchange | None = None,
    there: WordExchange | None = None,
    both: bool = False,
) -> tuple[WordResult | None, WordResult | None]:
    """A whole run that `ours` begins (`both`: the other one at the same time); how each side says it has ended."""
    here, there = here or side(dialled=True), there or side(dialled=False)
    results: dict[int, WordResult | None] = {0: None, 1: None}
    sides, words = (here, there), (ours, theirs)
    waiting = [(1, body) for body in here.begin(ours).bodies]
    if both:
        assert theirs is not None
        waiting += [(0, body) for body in there.begin(theirs).bodies]
    while waiting:
        to, body = waiting.pop(0)
        reply = sides[to].receive(body, words[to])
        results[to] = reply.result or results[to]
        waiting += [(1 - to, sent) for sent in reply.bodies]
    return results[0], results[1]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("dialled", [False, True])
def test_the_same_word_is_proven_to_both_whoever_begins(dialled: bool, both: bool) -> None:
    here, there = side(dialled=dialled), side(dialled=not dialled)
    assert run(WORD, WORD, here=here, there=there, both=both) == (WordResult.SAME, WordResult.SAME)
    assert not here.running and not there.running


def test_another_word_is_told_to_both() -> None:
    assert run(WORD, OTHER) == (WordResult.DIFFERENT, WordResult.DIFFERENT)


def test_a_side_without_a_word_is_told_apart_only_after_the_run() -> None:
    here, there = side(dialled=True), side(dialled=False)
    (element,) = here.begin(WORD).bodies
    with_word = side(dialled=False).receive(element, OTHER)
    without = there.receive(element, None)
    assert [(body[0], len(body)) for body in with_word.bodies] == [
        (body[0], len(body)) for body in without.bodies
    ]
    assert run(WORD, None) == (WordResult.NONE_THERE, WordResult.NONE_HERE)


def test_a_word_is_not_proven_to_somebody_in_between_who_has_two_calls() -> None:
    here, there = side(dialled=True, call=b"1" * 32), side(dialled=False, call=b"2" * 32)
    assert run(WORD, WORD, here=here, there=there) == (WordResult.DIFFERENT, WordResult.DIFFERENT)


def test_a_call_has_three_runs_whoever_begins_them() -> None:
    here, there = side(dialled=True), side(dialled=False)
    for _ in range(RUNS - 1):
        assert run(WORD, OTHER, here=here, there=there)[0] is WordResult.DIFFERENT
    run(OTHER, WORD, here=there, there=here)
    assert here.begin(WORD).bodies == there.begin(WORD).bodies == ()
    element = bytes([Step.ELEMENT, RUNS + 1]) + side(dialled=False).begin(WORD).bodies[0][2:]
    assert here.receive(element, WORD).bodies == ()


def test_a_wrong_guess_cannot_be_hidden_by_the_next_run() -> None:
    here, guesser = side(dialled=True), side(dialled=False)
    (element,) = here.begin(WORD).bodies
    for body in guesser.receive(element, OTHER).bodies:
        here.receive(body, WORD)
    assert here.running, "the guesser's end is waited for"
    later = bytes([Step.ELEMENT, 2]) + side(dialled=False).begin(OTHER).bodies[0][2:]
    assert here.receive(later, WORD).result is WordResult.DIFFERENT


def test_a_guesser_who_stops_after_our_proof_is_told_of() -> None:
    here, guesser = side(dialled=True), side(dialled=False)
    (element,) = guesser.begin(OTHER).bodies
    assert [body[0] for body in here.receive(element, WORD).bodies] == [Step.ELEMENT, Step.PROOF]
    assert here.give_up() is WordResult.NO_ANSWER
    assert here.give_up() is None


def test_an_end_that_does_not_come_hides_no_wrong_proof() -> None:
    here, guesser = side(dialled=True), side(dialled=False)
    (element,) = here.begin(WORD).bodies
    for body in guesser.receive(element, OTHER).bodies:
        here.receive(body, WORD)
    assert here.give_up() is WordResult.DIFFERENT


def test_the_other_sides_end_makes_no_wrong_proof_right() -> None:
    here, liar = side(dialled=True), side(dialled=False)
    (element,) = here.begin(WORD).bodies
    for body in liar.receive(element, OTHER).bodies:
        here.receive(body, WORD)
    assert here.receive(bytes([Step.END, 1, End.SAME]), WORD).result is WordResult.DIFFERENT


def test_a_proof_sent_back_proves_nothing() -> None:
    here = side(dialled=True)
    (element,) = here.begin(WORD).bodies
    assert here.receive(element, WORD).result is WordResult.DIFFERENT, "our own element"
    here, there = side(dialled=True), side(dialled=False)
    (element,) = here.begin(WORD).bodies
    answer, _ = there.receive(element, OTHER).bodies
    (proof,) = here.receive(answer, WORD).bodies
    here.receive(proof, WORD)
    assert here.give_up() is WordResult.DIFFERENT


@pytest.mark.parametrize(
    "element", [b"\0" * WORD_ELEMENT_BYTES, b"\x01" + b"\0" * 31, b"\x02" + b"\0" * 31, b"\xff" * 32]
)
def test_what_is_no_element_of_the_group_ends_the_run_and_gets_no_proof(element: bytes) -> None:
    here = side(dialled=True)
    here.begin(WORD)
    reply = here.receive(bytes([Step.ELEMENT, 1]) + element, WORD)
    assert (reply.bodies, reply.result) == ((), WordResult.DIFFERENT)


def test_messages_out_of_their_turn_do_nothing() -> None:
    here, there = side(dialled=True), side(dialled=False)
    proof, end = bytes([Step.PROOF, 1]) + bytes(32), bytes([Step.END, 1, End.NONE])
    for body in (proof, end, bytes([Step.PROOF, 1]), bytes([7, 1, 1])):
        assert here.receive(body, WORD).bodies == ()
    (element,) = here.begin(WORD).bodies
    answer, theirs = there.receive(element, WORD).bodies
    for body in (proof, end, b"", b"\0", theirs[:1] + b"\x02" + theirs[2:]):
        assert (here.receive(body, WORD).bodies, here.receive(body, WORD).result) == ((), None)
    here.receive(answer, WORD)
    assert here.receive(answer, WORD).bodies == (), "the element comes once"
    assert here.receive(end, WORD).result is None
    assert here.begin(WORD).bodies == (), "one run at a time"
    assert here.receive(theirs, WORD).result is WordResult.SAME


def test_only_one_proof_is_looked_at_in_a_run() -> None:
    here, there = side(dialled=True), side(dialled=False)
    (element,) = here.begin(WORD).bodies
    answer, proof = there.receive(element, WORD).bodies
    here.receive(answer, WORD)
    here.receive(proof[:-1] + bytes([proof[-1] ^ 1]), WORD)
    assert here.receive(proof, WORD).result is None
    assert here.give_up() is WordResult.DIFFERENT


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=70), max_size=20))
def test_no_bytes_make_it_raise_or_prove_anything(bodies: list[bytes]) -> None:
    here = side(dialled=True)
    here.begin(WORD)
    for body in bodies:
        assert here.receive(body, WORD).result is not WordResult.SAME


@pytest.mark.parametrize("typed", ["Blue  Giraffe", " blue giraffe\n", "ＢＬＵＥ giraffe"])
def test_case_width_and_spaces_of_a_typed_word_do_not_matter(typed: str) -> None:
    assert safe_word(typed) == WORD


@pytest.mark.parametrize("typed", ["", "   ", "abc", "x" * 65, "abc\0def"])
def test_a_word_that_is_too_short_too_long_or_unprintable_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        safe_word(typed)


def test_nothing_shows_the_word() -> None:
    assert "giraffe" not in repr(WORD)
