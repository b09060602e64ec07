"""Datagrams that a stranger can make: right in form, wrong in what cannot be known or guessed.

Whoever makes them knows the listener's public key where it is given. `chance` makes a run repeatable.
"""

from collections.abc import Iterator, Sequence
from random import Random

from p2pcall.proto import constants as c
from p2pcall.proto import cookie, wire
from p2pcall.proto.noise import KeyPair
from p2pcall.proto.wire import DatagramType, PatternId, Suites

BOTH = Suites.CHACHAPOLY | Suites.AESGCM
UNKNOWN = cookie.mac1_key(cookie.UNKNOWN_KEY)


def knock(
    chance: Random,
    pattern: PatternId,
    mac1_key: bytes,
    timestamp: int,
    *,
    pair_key: bytes | None = None,
) -> bytes:
    """A knock; the tag is random unless there is a key for it."""
    start = wire.pack_knock(pattern, BOTH, chance.getrandbits(32), chance.randbytes(c.TOKEN_BYTES), timestamp)
    tag = chance.randbytes(c.MAC_BYTES) if pair_key is None else cookie.mac(pair_key, start)
    return cookie.with_mac1(mac1_key, start + tag)


def parts(chance: Random, pattern: PatternId, mac1_key: bytes, stolen: bytes | None = None) -> list[bytes]:
    """Both datagrams of an initiation, under a cookie that was not made for it."""
    index, given = chance.getrandbits(32), stolen or chance.randbytes(c.MAC_BYTES)
    header = wire.pack_initiation_header(pattern, BOTH, Suites.CHACHAPOLY, index)
    whole = header + chance.randbytes(wire.INITIATION_BYTES[pattern] - len(header))
    return [cookie.with_mac1(mac1_key, part) for part in wire.pack_parts(whole, BOTH, index, given)]


def flood(public: bytes, timestamp: int, count: int) -> list[bytes]:
    """First messages of every kind, as many of each: knocks that must be answered or not, parts with bad cookies."""
    chance, known = Random(1), cookie.mac1_key(public)
    out: list[bytes] = []
    while len(out) < count:
        out.append(knock(chance, PatternId.XXHFS, UNKNOWN, timestamp))
        out.append(knock(chance, PatternId.IKHFS, known, timestamp))
        out.append(knock(chance, PatternId.XXHFS, chance.randbytes(c.KEY_BYTES), timestamp))
        out.append(knock(chance, PatternId.IKHFS, UNKNOWN, timestamp))
        out += parts(chance, PatternId.XXHFS, UNKNOWN) + parts(chance, PatternId.IKHFS, known)
    return out[:count]


def everything(
    static: KeyPair, public: bytes, timestamp: int, recorded: Sequence[bytes], count: int
) -> list[bytes]:
    """What a stranger with a key pair can send to a listener whose key it knows and whose calls it has recorded.

    Every type of datagram, well formed; those of a contact again, as they were, changed by a bit, cut, and made
    longer; and random bytes of every length.
    """
    chance = Random(2)
    kinds = _made(chance, static, public, timestamp)
    out: list[bytes] = list(recorded)
    while len(out) < count:
        out.append(next(kinds))
        real = bytearray(chance.choice(recorded))
        real[chance.randrange(len(real))] ^= 1 << chance.randrange(8)
        out.append(bytes(real))
        out.append(chance.choice(recorded)[: chance.randrange(1, 84)] + chance.randbytes(chance.randrange(2)))
        out.append(bytes([chance.randrange(10)]) + chance.randbytes(chance.randrange(1400)))
    return out[:count]


def _made(chance: Random, static: KeyPair, public: bytes, timestamp: int) -> Iterator[bytes]:
    known, pair = cookie.mac1_key(public), cookie.pair_key(static, public, initiator=True)
    while True:
        timestamp += 1
        for pattern in PatternId:
            for key in (known, UNKNOWN, chance.randbytes(c.KEY_BYTES)):
                yield knock(chance, pattern, key, timestamp)
                yield knock(chance, pattern, key, timestamp, pair_key=pair)
                yield from parts(chance, pattern, key)
            yield wire.pack_response_header(chance.getrandbits(32)) + chance.randbytes(
                wire.RESPONSE_BYTES[pattern] - c.RESPONSE_HEADER_BYTES
            )
            yield wire.pack_confirmation_header(chance.getrandbits(32)) + chance.randbytes(
                wire.CONFIRMATION_BYTES[pattern] - c.CONFIRMATION_HEADER_BYTES
            )
        index, token, proof = chance.getrandbits(32), chance.randbytes(8), chance.randbytes(c.MAC_BYTES)
        yield wire.pack_cookie(Suites.CHACHAPOLY, index, token, proof)
        length = chance.randrange(c.MIN_DATA_BYTES, c.MAX_DATAGRAM_BYTES + 1)
        head = wire.DATA.pack(DatagramType.DATA, wire.RESERVED, index, chance.getrandbits(10))
        yield head + chance.randbytes(length - len(head))
