"""The library's ML-KEM-768 against the standard written down once more: they agree on every byte."""

from random import Random

import mlkem
import pytest

from p2pcall.proto.handshake import kem
from p2pcall.proto.handshake.kem import KemPair


@pytest.mark.parametrize("seed", range(5))
def test_library_opens_what_the_standard_seals(seed: int) -> None:
    entropy = Random(seed).randbytes
    pair = KemPair.generate(entropy)
    secret, ciphertext = mlkem.from_entropy(entropy)(pair.public)
    assert pair.decapsulate(ciphertext) == secret


def test_same_randomness_gives_the_same_ciphertext() -> None:
    public = KemPair(bytes(64)).public
    first, second = (mlkem.from_entropy(Random(1).randbytes)(public) for _ in range(2))
    assert first == second != mlkem.from_entropy(Random(2).randbytes)(public)
    assert tuple(map(len, first)) == tuple(map(len, kem.encapsulate(public)))
