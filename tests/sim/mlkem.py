"""ML-KEM-768's encapsulation once more, from FIPS 203 alone, with its randomness handed in: same seed, same bytes.

For tests only: slow (10 ms), and not in constant time. Names are the standard's.
"""

from collections.abc import Callable
from hashlib import sha3_256, sha3_512, shake_128, shake_256

Q, N, K, ETA, D_U, D_V = 3329, 256, 3, 2, 10, 4
Poly = list[int]


def _bit_reversed_7(value: int) -> int:
    return int(f"{value:07b}"[::-1], 2)


ZETAS = [pow(17, _bit_reversed_7(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _bit_reversed_7(i) + 1, Q) for i in range(128)]


def byte_decode(data: bytes, bits: int) -> Poly:
    number = int.from_bytes(data, "little")
    return [number >> (bits * i) & ((1 << bits) - 1) for i in range(N)]


def byte_encode(poly: Poly, bits: int) -> bytes:
    return sum(value << (bits * i) for i, value in enumerate(poly)).to_bytes(32 * bits, "little")


def compress(poly: Poly, bits: int) -> Poly:
    return [((value << bits) + Q // 2) // Q % (1 << bits) for value in poly]


def sample_ntt(seed: bytes) -> Poly:
    stream = shake_128(seed).digest(1344)
    out: Poly = []
    for at in range(0, len(stream), 3):
        first, second, third = stream[at : at + 3]
        out += [d for d in (first + 256 * (second % 16), second // 16 + 16 * third) if d < Q]
    assert len(out) >= N
    return out[:N]


def sample_cbd(seed: bytes, number: int) -> Poly:
    bits = int.from_bytes(shake_256(seed + bytes([number])).digest(64 * ETA), "little")
    four = [bits >> (4 * i) & 15 for i in range(N)]
    return [((x & 1) + (x >> 1 & 1) - (x >> 2 & 1) - (x >> 3 & 1)) % Q for x in four]


def ntt(poly: Poly) -> Poly:
    f, i, length = list(poly), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i + 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j], f[j + length] = (f[j] + t) % Q, (f[j] - t) % Q
        length //= 2
    return f


def inverse_ntt(poly: Poly) -> Poly:
    f, i, length = list(poly), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i - 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, zeta * (f[j + length] - t) % Q
        length *= 2
    return [value * 3303 % Q for value in f]


def multiply(f: Poly, g: Poly) -> Poly:
    out: Poly = []
    for i, gamma in enumerate(GAMMAS):
        (a0, a1), (b0, b1) = f[2 * i : 2 * i + 2], g[2 * i : 2 * i + 2]
        out += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def add(*polys: Poly) -> Poly:
    return [sum(values) % Q for values in zip(*polys, strict=True)]


def encapsulate(public: bytes, m: bytes) -> tuple[bytes, bytes]:
    """ML-KEM.Encaps_internal: the shared secret and the ciphertext, from 32 bytes `m`."""
    digest = sha3_512(m + sha3_256(public).digest()).digest()
    shared, r = digest[:32], digest[32:]
    rho = public[384 * K :]
    t_hat = [byte_decode(public[384 * i : 384 * (i + 1)], 12) for i in range(K)]
    y_hat = [ntt(sample_cbd(r, i)) for i in range(K)]
    e1 = [sample_cbd(r, K + i) for i in range(K)]
    e2 = sample_cbd(r, 2 * K)
    column = [[sample_ntt(rho + bytes([i, j])) for j in range(K)] for i in range(K)]
    u = [
        add(inverse_ntt(add(*(multiply(column[i][j], y_hat[j]) for j in range(K)))), e1[i]) for i in range(K)
    ]
    mu = [(Q + 1) // 2 * bit for bit in byte_decode(m, 1)]
    v = add(inverse_ntt(add(*(multiply(t_hat[j], y_hat[j]) for j in range(K)))), e2, mu)
    encoded = [byte_encode(compress(poly, D_U), D_U) for poly in u]
    return shared, b"".join(encoded) + byte_encode(compress(v, D_V), D_V)


def from_entropy(entropy: Callable[[int], bytes]) -> Callable[[bytes], tuple[bytes, bytes]]:
    """An encapsulation that takes its randomness from `entropy`."""
    return lambda public: encapsulate(public, entropy(32))
