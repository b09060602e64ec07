"""Datagrams that a stranger can make: right in form, wrong in what cannot be known or guessed.

Whoever makes them knows the listener's public key where it is given. `chance` makes a run repeatable.
"""

from collections.abc import Iterator, Sequence
from random import Random

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.wire import DatagramType, PatternId, Suites

BOTH = Suites.CHACHAPOLY | Suites.AESGCM


def knock(chance: Random, pattern: PatternId, pair: cookie.Mac | None = None, timestamp: int = 0) -> bytes:
    """A knock; time and tag are random unless there is a key for them."""
    nonce, time = chance.randbytes(c.KNOCK_NONCE_BYTES), chance.randbytes(c.KNOCK_TIME_BYTES)
    if pair is not None:
        time = cookie.hide_time(pair, nonce, timestamp.to_bytes(c.KNOCK_TIME_BYTES, "big"))
    token = chance.randbytes(c.TOKEN_BYTES)
    start = wire.pack_knock(pattern, BOTH, chance.getrandbits(32), token, nonce, time)
    return start + (chance.randbytes(c.MAC_BYTES) if pair is None else pair(start))


def parts(chance: Random, pattern: PatternId, stolen: bytes | None = None) -> list[bytes]:
    """Both datagrams of an initiation, under a cookie that was not made for it."""
    index, given = chance.getrandbits(32), stolen or chance.randbytes(c.MAC_BYTES)
    header = wire.pack_initiation_header(pattern, BOTH, Suites.CHACHAPOLY, index)
    whole = header + chance.randbytes(wire.INITIATION_BYTES[pattern] - len(header))
    return wire.pack_parts(whole, BOTH, index, given)


def flood(public: bytes, timestamp: int, count: int) -> list[bytes]:
    """First messages of every kind, as many of each: knocks that must be answered or not, parts with bad cookies."""
    chance = Random(1)
    pair = _pair(KeyPair.generate(chance.randbytes), public)
    out: list[bytes] = []
    while len(out) < count:
        answered = knock(chance, PatternId.XXHFS)
        out += [answered, answered[:1] + bytes([c.PROTOCOL_VERSION - 1]) + answered[2:]]
        out += [knock(chance, PatternId.IKHFS), knock(chance, PatternId.IKHFS, pair, timestamp)]
        out += parts(chance, PatternId.XXHFS) + parts(chance, PatternId.IKHFS)
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


def _pair(static: KeyPair, public: bytes) -> cookie.Mac:
    return cookie.Mac(cookie.pair_key(static, public, initiator=True))


def _made(chance: Random, static: KeyPair, public: bytes, timestamp: int) -> Iterator[bytes]:
    pair = _pair(static, public)
    while True:
        timestamp += 1
        for pattern in PatternId:
            yield knock(chance, pattern)
            yield knock(chance, pattern, pair, timestamp)
            yield from parts(chance, pattern)
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
