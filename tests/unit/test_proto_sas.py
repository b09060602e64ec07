"""The spoken words: the exact list, the same on both sides, bound to everything that counts."""

from hashlib import sha256

from p2pcall.proto import sas

H, NI, NR = b"h" * 32, b"i" * 32, b"r" * 32


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
    words = sas.words(H, NI, NR)
    assert len(words) == 4
    assert [word in (sas.EVEN, sas.ODD)[at % 2] for at, word in enumerate(words)] == [True] * 4


def test_words_depend_on_the_handshake_and_on_both_nonces() -> None:
    variants = {
        sas.words(H, NI, NR),
        sas.words(NI, NI, NR),
        sas.words(H, NR, NR),
        sas.words(H, NI, NI),
        sas.words(H, NR, NI),
    }
    assert len(variants) == 5


def test_commitment_binds_nonce_and_static_key() -> None:
    committed = sas.commitment(NI, H)
    assert sas.commitment_holds(committed, NI, H)
    assert not sas.commitment_holds(committed, NR, H)
    assert not sas.commitment_holds(committed, NI, NR)
