"""The spoken words: the exact list, the same on both sides, bound to everything that counts."""

from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from p2pcall.proto.handshake import sas
from p2pcall.proto.handshake.sas import Exchange

H, NI, NR = b"h" * 32, b"i" * 16, b"r" * 16


def test_word_list_is_the_published_one() -> None:
    # Digest of the list as magic-wormhole carries it; the same words as in IANA's dnssec-keytools.
    text = "\n".join(sas.EVEN + sas.ODD).encode()
    assert sha256(text).hexdigest() == "e9b7b0052233a74aa56724ed3f79c272036aed68d8f4c0856e833c8043b9ac62"


def test_each_list_has_a_word_for_each_byte() -> None:
    assert len(sas.EVEN) == len(sas.ODD) == 256
    assert len({word.lower() for word in sas.EVEN + sas.ODD}) == 512


def test_words_known_from_elsewhere_are_right() -> None:
    # The fingerprint E582 94F2 E9A2 2748 in the PGP word list's usual example.
    known = ["topmost", "Istanbul", "Pluto", "vagabond", "treadmill", "Pacific", "brackish", "dictator"]
    assert [
        (sas.EVEN, sas.ODD)[at % 2][byte] for at, byte in enumerate(bytes.fromhex("e58294f2e9a22748"))
    ] == known


def test_words_alternate_between_the_lists() -> None:
    words = sas.sas_words(H, NI, NR)
    assert len(words) == 4
    assert [word in (sas.EVEN, sas.ODD)[at % 2] for at, word in enumerate(words)] == [True] * 4


def test_words_depend_on_the_handshake_and_on_both_nonces() -> None:
    variants = {
        sas.sas_words(H, NI, NR),
        sas.sas_words(NI, NI, NR),
        sas.sas_words(H, NR, NR),
        sas.sas_words(H, NI, NI),
        sas.sas_words(H, NR, NI),
    }
    assert len(variants) == 5


def test_commitment_is_a_cut_hash_under_the_label_of_the_role() -> None:
    assert (
        sas.commitment(NI, H, initiator=True) == sha256(b"p2pcall/4 initiator's nonce" + NI + H).digest()[:20]
    )
    assert (
        sas.commitment(NR, H, initiator=False)
        == sha256(b"p2pcall/4 responder's nonce" + NR + H).digest()[:20]
    )


def test_commitment_binds_nonce_static_key_and_role() -> None:
    made = [
        sas.commitment(nonce, key, initiator=initiator)
        for nonce in (NI, NR)
        for key in (H, NI + NI)
        for initiator in (True, False)
    ]
    assert len(set(made)) == len(made)


def exchanges() -> tuple[Exchange, Exchange]:
    """Both sides of one handshake."""
    ours, theirs = b"o" * 32, b"t" * 32
    return (
        Exchange(True, NI, H, sas.commitment(NR, theirs, initiator=False), theirs),
        Exchange(False, NR, H, sas.commitment(NI, ours, initiator=True), ours),
    )


def test_both_sides_have_the_same_words_when_both_have_shown_their_nonces() -> None:
    initiator, responder = exchanges()
    assert initiator.words(NR) == responder.words(NI) == sas.sas_words(H, NI, NR)


def test_nonce_that_was_not_promised_makes_no_words() -> None:
    initiator, responder = exchanges()
    wrong = [NI[:at] + bytes([NI[at] ^ 1]) + NI[at + 1 :] for at in range(16)]
    wrong += [b"", bytes(16), NI[:-1], NI + b"\0", NR, H]
    assert {responder.words(nonce) for nonce in wrong} == {None}
    assert {initiator.words(nonce) for nonce in (b"", bytes(16), NI, NR[:-1], NR + b"\0")} == {None}


def test_commitment_cannot_be_given_back_for_its_owners() -> None:
    initiator, responder = exchanges()
    mirror = replace(initiator, committed=responder.committed, remote_static=responder.remote_static)
    assert mirror.words(NI) is None


@pytest.mark.parametrize(
    "change", [{"committed": bytes(20)}, {"remote_static": bytes(32)}, {"initiator": False}]
)
def test_words_need_the_commitment_the_key_and_the_role(change: dict[str, Any]) -> None:
    initiator, _ = exchanges()
    assert replace(initiator, **change).words(NR) is None
