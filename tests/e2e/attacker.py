"""Throws hostile datagrams at both ends of a call that it watches: `python attacker.py INTERFACE COUNT`.

A program of its own, run as root on one side of the cable. For each datagram of the call that passes it sends, to
the same port but from one of its own: an older one again, one cut short, one made too long, one with a bit turned,
one of random bytes. So the attack goes at the pace of the call. It begins at a line on its standard input, and
after COUNT datagrams to either end it writes how many it sent to each and how many answers it got, as JSON, and
ends. Linux.
"""

import json
import random
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Iterator

ETH_P_ALL = 3
PORT = 51729
DATA = 6
BEHIND = 5
"""A replay is of the datagram so many before: the original has long arrived."""
Address = tuple[str, int]


def payload_of(frame: bytes, own_port: int) -> tuple[Address, bytes] | None:
    """Where a UDP datagram between the calls' ports goes, and what is in it; None of our own and of others."""
    packet = frame[14:]
    if frame[12:14] != b"\x08\x00" or packet[9] != socket.IPPROTO_UDP:
        return None
    start = (packet[0] & 15) * 4
    source, port, length, _ = struct.unpack_from(">HHHH", packet, start)
    if port != PORT or source == own_port:
        return None
    return (socket.inet_ntoa(packet[16:20]), port), packet[start + 8 : start + length]


def hostile(real: bytes, older: bytes, chance: random.Random) -> Iterator[bytes]:
    """Five datagrams that an honest side never sends; none of them may be believed."""
    yield older
    yield real[: chance.randrange(len(real))]
    yield real + chance.randbytes(1201 - len(real) if len(real) < 1200 else 1)
    turned = bytearray(real)
    turned[chance.randrange(len(real))] ^= 1 << chance.randrange(8)
    yield bytes(turned)
    yield bytes([chance.choice((0, 4, 5, 255))]) + chance.randbytes(chance.randrange(0, 1199))


def answers(out: socket.socket) -> int:
    """How many datagrams have come back; strangers should hear nothing."""
    out.setblocking(False)
    count = 0
    while True:
        try:
            out.recv(65536)
        except BlockingIOError:
            return count
        count += 1


def main(interface: str, count: int) -> None:
    chance = random.Random(1)
    seen: dict[Address, deque[bytes]] = {}
    sent: Counter[str] = Counter()
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        tap.bind((interface, 0))
        print("ready", flush=True)
        sys.stdin.readline()
        out.bind(("0.0.0.0", 0))
        own_port = out.getsockname()[1]
        while len(sent) < 2 or min(sent.values()) < count:
            found = payload_of(tap.recv(65536), own_port)
            if found is None or found[1][:1] != bytes([DATA]):
                continue
            target, real = found
            last = seen.setdefault(target, deque(maxlen=BEHIND))
            if len(last) == BEHIND and sent[target[0]] < count:
                for datagram in hostile(real, last[0], chance):
                    out.sendto(datagram, target)
                    sent[target[0]] += 1
            last.append(real)
        print(json.dumps({"sent": sent, "answers": answers(out)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
