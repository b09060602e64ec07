"""The handshake from message 1 to the confirmation: agreement, binding of what was agreed on, commitment, keys."""

from collections.abc import Callable
from random import Random

import pytest
from fingerprint import fingerprint
from msgspec.structs import replace

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.handshake import noise, sas
from p2pcall.proto.handshake.exchange import (
    Established,
    Initiation,
    Initiator,
    KeyChanged,
    Local,
    Responder,
    StaticKey,
    choose_suite,
    suites,
)
from p2pcall.proto.handshake.noise import AESGCM, XXHFS, HandshakeState, NoiseError
from p2pcall.proto.line.session import Session
from p2pcall.proto.wire import DropReason, PatternId, Suites

ALICE, BOB, EVE = (StaticKey.from_private(Random(seed).randbytes(32)) for seed in (1, 2, 3))
BOTH, CHACHA = suites(True), suites(False)
XX, IK = PatternId.XXHFS, PatternId.IKHFS
each_pattern = pytest.mark.parametrize("pattern", list(PatternId))


def initiator(
    pattern: PatternId,
    *,
    chosen: Suites = Suites.AESGCM,
    offered: Suites = BOTH,
    expected: bytes | None = None,
    seed: int = 3,
) -> Initiator:
    known = BOB.public if pattern is IK else expected
    return Initiator(Local(ALICE, Random(seed).randbytes), 0xA, pattern, offered, chosen, known)


def initiation(ours: Initiator, pattern: PatternId, chosen: Suites = Suites.AESGCM) -> Initiation:
    return Initiation(pattern, BOTH, chosen, 0xA, ours.initiation[c.INITIATION_HEADER_BYTES :])


def answer(
    whole: Initiation, *, static: StaticKey = BOB, admits: Callable[[bytes], bool] = lambda public: True
) -> Responder | DropReason:
    return Responder.answer(Local(static, Random(4).randbytes), 0xB, whole, admits)


def session(done: Established) -> Session:
    return Session(done.sending, done.receiving, done.remote_index)


def responder(whole: Initiation) -> Responder:
    made = answer(whole)
    assert isinstance(made, Responder)
    return made


def message_2(made: Responder) -> bytes:
    parsed = wire.parse_response(made.response)
    assert isinstance(parsed, wire.Response)
    assert parsed.receiver_index == 0xA
    return parsed.noise


def message_3(left: object) -> bytes:
    assert isinstance(left, Established)
    parsed = wire.parse_confirmation(left.confirmation)
    assert isinstance(parsed, wire.Confirmation)
    assert parsed.receiver_index == 0xB
    return parsed.noise


def flips(data: bytes, step: int = 1) -> list[bytes]:
    return [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(0, len(data), step)]


@pytest.mark.parametrize("chosen", list(Suites))
@each_pattern
def test_both_sides_agree_on_everything(pattern: PatternId, chosen: Suites) -> None:
    ours = initiator(pattern, chosen=chosen)
    theirs = responder(initiation(ours, pattern, chosen))
    left = ours.read_response(message_2(theirs))
    assert isinstance(left, Established)
    right = theirs.read_confirmation(message_3(left))
    assert isinstance(right, Established)
    cipher = "AESGCM" if chosen is Suites.AESGCM else "ChaChaPoly"
    name = "XXhfs" if pattern is XX else "IKhfs"
    assert left.protocol_name == right.protocol_name == f"Noise_{name}_25519+MLKEM768_{cipher}_SHA256"
    assert left.handshake_hash == right.handshake_hash
    assert left.sas.words(right.sas.nonce) == right.sas.words(left.sas.nonce) is not None
    assert (left.remote_static, right.remote_static) == (BOB.public, ALICE.public)
    assert right.confirmation == b""
    here, there = session(left), session(right)
    assert there.open(here.seal(b"there")) == b"there"
    assert here.open(there.seal(b"back")) == b"back"
    assert len(ours.initiation) == wire.INITIATION_BYTES[pattern]
    assert len(theirs.response) == wire.RESPONSE_BYTES[pattern]
    assert len(left.confirmation) == wire.CONFIRMATION_BYTES[pattern]


@pytest.mark.parametrize(("pattern", "first"), [(XX, 0), (IK, 1)])
def test_nonce_of_the_confirmation_is_not_used_again(pattern: PatternId, first: int) -> None:
    ours = initiator(pattern)
    theirs = responder(initiation(ours, pattern))
    left = ours.read_response(message_2(theirs))
    assert isinstance(left, Established)
    right = theirs.read_confirmation(message_3(left))
    assert isinstance(right, Established)
    assert int.from_bytes(session(left).seal(b"")[8:16], "big") == first
    assert int.from_bytes(session(right).seal(b"")[8:16], "big") == 0


@pytest.mark.parametrize(
    ("offered", "able", "chosen"),
    [
        (3, BOTH, Suites.AESGCM),
        (3, CHACHA, Suites.CHACHAPOLY),
        (1, BOTH, Suites.CHACHAPOLY),
        (2, BOTH, Suites.AESGCM),
        (0xFF, BOTH, Suites.AESGCM),
        (2, CHACHA, None),
        (0x80, BOTH, None),
        (0, BOTH, None),
    ],
)
def test_aes_is_chosen_where_both_can(offered: int, able: Suites, chosen: Suites | None) -> None:
    assert choose_suite(offered, able) is chosen


@pytest.mark.parametrize(
    "change", [{"offered": CHACHA}, {"chosen": Suites.CHACHAPOLY}, {"sender_index": 0xC}], ids=str
)
@each_pattern
def test_offer_choice_or_index_changed_on_the_path_fails_the_handshake(
    pattern: PatternId, change: dict[str, int]
) -> None:
    ours = initiator(pattern)
    made = answer(replace(initiation(ours, pattern), **change))
    if pattern is IK:
        assert made is DropReason.HANDSHAKE
    else:  # message 1 of XXhfs is in the clear: it shows at the other end
        assert isinstance(made, Responder)
        assert ours.read_response(made.response[c.RESPONSE_HEADER_BYTES :]) is DropReason.HANDSHAKE


def test_pattern_changed_on_the_path_fails_the_handshake() -> None:
    whole = initiation(initiator(IK), IK)
    as_xx = replace(whole, pattern=XX, noise=whole.noise[: c.MESSAGE_1_XX_BYTES])
    assert answer(as_xx) is DropReason.HANDSHAKE
    grown = replace(initiation(initiator(XX), XX), pattern=IK)
    assert answer(replace(grown, noise=grown.noise + bytes(80))) is DropReason.HANDSHAKE


@each_pattern
def test_roles_cannot_be_exchanged(pattern: PatternId) -> None:
    ours = initiator(pattern)
    first = initiation(ours, pattern).noise
    assert (
        ours.read_response(first[: len(message_2(responder(initiation(ours, pattern))))])
        is DropReason.HANDSHAKE
    )
    reflected = Responder.answer(
        Local(ALICE, Random(4).randbytes), 0xB, initiation(ours, pattern), lambda public: True
    )
    if pattern is IK:
        assert reflected is DropReason.HANDSHAKE
    else:  # our own words, answered by ourselves: we are told that we are there
        assert isinstance(reflected, Responder)
        outcome = ours.read_response(message_2(reflected))
        assert isinstance(outcome, Established) and outcome.remote_static == ALICE.public


@each_pattern
def test_initiation_of_low_order_is_dropped(pattern: PatternId) -> None:
    whole = initiation(initiator(pattern), pattern)
    assert answer(replace(whole, noise=bytes(32) + whole.noise[32:])) is DropReason.HANDSHAKE


def test_responder_of_low_order_cannot_be_dialled() -> None:
    with pytest.raises(NoiseError):
        Initiator(Local(ALICE, Random(1).randbytes), 1, IK, BOTH, Suites.AESGCM, bytes(32))


def test_initiation_without_a_key_of_the_kem_is_dropped() -> None:
    whole = initiation(initiator(XX), XX)
    bad = replace(whole, noise=whole.noise[:32] + b"\xff" * 1184 + whole.noise[32 + 1184 :])
    assert answer(bad) is DropReason.HANDSHAKE


def test_initiation_for_another_key_is_dropped() -> None:
    other = StaticKey.from_private(bytes(range(32)))
    assert answer(initiation(initiator(IK), IK), static=other) is DropReason.HANDSHAKE


def test_initiator_whose_key_is_not_admitted_is_dropped_before_an_answer() -> None:
    asked: list[bytes] = []

    def nobody(public: bytes) -> bool:
        asked.append(public)
        return False

    assert answer(initiation(initiator(IK), IK), admits=nobody) is DropReason.STRANGER
    assert asked == [ALICE.public]


@each_pattern
def test_bad_response_leaves_the_initiator_waiting(pattern: PatternId) -> None:
    ours = initiator(pattern)
    good = message_2(responder(initiation(ours, pattern)))
    for bad in [*flips(good), *(good[:length] for length in range(0, len(good), 7))]:
        assert ours.read_response(bad) is DropReason.HANDSHAKE
    assert isinstance(ours.read_response(good), Established)


@each_pattern
def test_bad_confirmation_leaves_the_responder_waiting(pattern: PatternId) -> None:
    ours = initiator(pattern)
    theirs = responder(initiation(ours, pattern))
    good = message_3(ours.read_response(message_2(theirs)))
    for bad in [*flips(good), *(good[:length] for length in range(len(good)))]:
        assert theirs.read_confirmation(bad) is DropReason.HANDSHAKE
    assert isinstance(theirs.read_confirmation(good), Established)


def test_confirmation_of_the_other_pattern_is_dropped() -> None:
    ours, others = initiator(XX), initiator(IK)
    theirs, another = responder(initiation(ours, XX)), responder(initiation(others, IK))
    xx = message_3(ours.read_response(message_2(theirs)))
    ik = message_3(others.read_response(message_2(another)))
    assert theirs.read_confirmation(ik) is DropReason.HANDSHAKE
    assert another.read_confirmation(xx) is DropReason.HANDSHAKE


def test_unexpected_key_makes_no_confirmation_and_the_right_one_may_follow() -> None:
    other = StaticKey.from_private(bytes(range(32)))
    ours = initiator(XX, expected=BOB.public)
    wrong = answer(initiation(ours, XX), static=other)
    assert isinstance(wrong, Responder)
    assert ours.read_response(message_2(wrong)) == KeyChanged(other.public)
    theirs = responder(initiation(ours, XX))
    left = ours.read_response(message_2(theirs))
    assert isinstance(theirs.read_confirmation(message_3(left)), Established)


def finished(
    pattern: PatternId, seed: int = 3, ours: Initiator | None = None
) -> tuple[Established, Established]:
    ours = ours or initiator(pattern, seed=seed)
    theirs = responder(initiation(ours, pattern))
    left = ours.read_response(message_2(theirs))
    right = theirs.read_confirmation(message_3(left))
    assert isinstance(left, Established) and isinstance(right, Established)
    return left, right


@each_pattern
def test_nonce_that_is_changed_after_committing_makes_no_words(pattern: PatternId) -> None:
    left, right = finished(pattern)
    for nonce in (bytes(c.NONCE_BYTES), left.sas.nonce[::-1], right.sas.nonce):
        assert right.sas.words(nonce) is None
    for nonce in (bytes(c.NONCE_BYTES), right.sas.nonce[::-1], left.sas.nonce):
        assert left.sas.words(nonce) is None


def test_initiator_that_changes_its_static_key_after_committing_has_no_words() -> None:
    ours = initiator(XX)
    ours._state.s = EVE
    left, right = finished(XX, ours=ours)
    assert right.remote_static == EVE.public
    assert right.sas.words(left.sas.nonce) is None


def test_responder_whose_commitment_is_to_another_key_has_no_words() -> None:
    ours = initiator(XX)
    whole = initiation(ours, XX)
    state = HandshakeState(
        XXHFS, AESGCM, False, c.PROLOGUE_LABEL + whole.header, EVE, entropy=Random(4).randbytes
    )
    committed, nonce = state.read_message(whole.noise), b"n" * c.NONCE_BYTES
    theirs = Responder(
        state, whole, committed, nonce, sas.commitment(nonce, BOB.public, initiator=False), 0xB
    )
    left = ours.read_response(message_2(theirs))
    assert isinstance(left, Established) and left.remote_static == EVE.public
    assert left.sas.words(nonce) is None


@each_pattern
def test_commitments_are_those_of_both_sides(pattern: PatternId) -> None:
    left, right = finished(pattern)
    assert right.sas.committed == sas.commitment(left.sas.nonce, ALICE.public, initiator=True)
    assert left.sas.committed == sas.commitment(right.sas.nonce, BOB.public, initiator=False)


@each_pattern
def test_no_words_before_an_answer(pattern: PatternId) -> None:
    """Whoever has all of the initiator's side, and all that was sent, has the other's nonce in no form but its hash."""
    ours = initiator(pattern)
    theirs = responder(initiation(ours, pattern))
    left = ours.read_response(message_2(theirs))
    right = theirs.read_confirmation(message_3(left))
    assert isinstance(left, Established) and isinstance(right, Established)
    shown, nonce = right.sas.nonce, left.sas.nonce
    held = [value for root in (ours, left) for value in fingerprint(root) if isinstance(value, bytes)]
    assert nonce in held, "what is looked through is all of it"
    everything = b"|".join([*held, ours.initiation, theirs.response, left.confirmation])
    for part in range(len(shown) - 3):
        assert shown[part : part + 4] not in everything
    words = left.sas.words(shown)
    assert words is not None
    tries = {left.handshake_hash, left.sas.committed, nonce, bytes(16), b"", *held}
    assert words not in {sas.sas_words(left.handshake_hash, nonce, one) for one in tries}
    assert {left.sas.words(one) for one in tries} == {None}


@each_pattern
def test_words_are_open_until_the_responder_shows_its_nonce(pattern: PatternId) -> None:
    """The same transcript to the byte, but for the commitment, has as many words as there are nonces."""
    left, _ = finished(pattern)
    guesses = [Random(seed).randbytes(c.NONCE_BYTES) for seed in range(10_000, 12_000)]
    made = {sas.sas_words(left.handshake_hash, left.sas.nonce, one) for one in guesses}
    assert len(made) == len(guesses)
    assert {left.sas.words(one) for one in guesses} == {None}, "and each guess can only be tried on the hash"


@each_pattern
def test_each_handshake_has_its_own_words_and_keys(pattern: PatternId) -> None:
    ends = []
    for seed in (3, 5):
        left, right = finished(pattern, seed)
        ends.append((left.sas.words(right.sas.nonce), left.handshake_hash))
    assert ends[0][0] != ends[1][0] and ends[0][1] != ends[1][1]


def test_who_has_our_key_cannot_pose_as_a_contact_to_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Bob's private key the thief can make the DH of both static keys, and so Alice's first message; no more."""
    posing = StaticKey(EVE.private, ALICE.public)
    dh = noise.dh

    def stolen(pair: StaticKey, public: bytes) -> bytes:
        return dh(BOB, ALICE.public) if (pair, public) == (posing, BOB.public) else dh(pair, public)

    with monkeypatch.context() as thief:
        thief.setattr(noise, "dh", stolen)
        ours = Initiator(Local(posing, Random(3).randbytes), 0xA, IK, BOTH, Suites.AESGCM, BOB.public)
    theirs = answer(initiation(ours, IK), admits=lambda public: public == ALICE.public)
    assert isinstance(theirs, Responder), "the first message is as good as hers"
    assert ours.read_response(message_2(theirs)) is DropReason.HANDSHAKE
    assert theirs.read_confirmation(bytes(c.MESSAGE_3_IK_BYTES)) is DropReason.HANDSHAKE
