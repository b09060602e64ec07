"""ML-KEM-768: lengths, agreement, implicit rejection, and everything malformed refused."""

from collections.abc import Callable
from random import Random

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto.handshake import kem
from p2pcall.proto.handshake.kem import KemPair

PAIR = KemPair(Random(1).randbytes(c.KEM_SEED_BYTES))


def test_both_sides_have_the_same_secret() -> None:
    secret, ciphertext = kem.encapsulate(PAIR.public)
    assert (len(PAIR.public), len(ciphertext), len(secret)) == (1184, 1088, 32)
    assert PAIR.decapsulate(ciphertext) == secret


def test_each_encapsulation_is_fresh() -> None:
    assert len({kem.encapsulate(PAIR.public) for _ in range(10)}) == 10


def test_same_entropy_gives_the_same_pair() -> None:
    first, second = (KemPair.generate(Random(5).randbytes) for _ in range(2))
    assert first.public == second.public != PAIR.public
    secret, ciphertext = kem.encapsulate(first.public)
    assert second.decapsulate(ciphertext) == secret


@pytest.mark.parametrize("at", [0, 500, 1087])
def test_changed_ciphertext_gives_a_secret_that_nobody_has(at: int) -> None:
    secret, ciphertext = kem.encapsulate(PAIR.public)
    changed = ciphertext[:at] + bytes([ciphertext[at] ^ 1]) + ciphertext[at + 1 :]
    rejected = PAIR.decapsulate(changed)
    assert len(rejected) == 32
    assert rejected != secret
    assert PAIR.decapsulate(changed) == rejected, "and it is always the same one"


def test_ciphertext_for_another_key_is_rejected_without_a_word() -> None:
    secret, ciphertext = kem.encapsulate(KemPair(bytes(64)).public)
    assert PAIR.decapsulate(ciphertext) != secret


@pytest.mark.parametrize("length", [0, 1087, 1089])
def test_ciphertext_of_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="ciphertext"):
        PAIR.decapsulate(bytes(length))


@pytest.mark.parametrize("public", [b"", PAIR.public[:-1], PAIR.public + b"\0", b"\xff" * 1184])
def test_what_is_no_public_key_is_refused(public: bytes) -> None:
    with pytest.raises(ValueError, match="public key"):
        kem.encapsulate(public)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_seed_of_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="seed"):
        KemPair(bytes(length))


def test_printed_pair_shows_nothing_private() -> None:
    seed = Random(2).randbytes(64)
    assert seed.hex() not in repr(KemPair(seed)) and repr(seed) not in repr(KemPair(seed))


def test_warming_up_uses_both_ways_once(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    for name in ("encapsulate", "decapsulate"):
        owner = kem.KemPair if name == "decapsulate" else kem
        real = getattr(owner, name)

        def counted(*args: object, name: str = name, real: Callable[..., object] = real) -> object:
            used.append(name)
            return real(*args)

        monkeypatch.setattr(owner, name, counted)
    kem.warm_up()
    assert used == ["encapsulate", "decapsulate"]
