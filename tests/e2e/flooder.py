"""Throws prepared datagrams at a listener at a steady pace: `python flooder.py`, told what by a line of JSON.

A program of its own, run as root on the other side of the cable. The first line on its standard input is a `Plan`;
it answers with a line when it is ready, and begins at the next line. The datagrams, made beforehand and kept in a
file, leave in turn, from an address of this side's or from invented ones, each time another. Some of the time it
also does what an honest caller would up to the initiation: knocks from an address of its own, takes the cookie, and
asks for a handshake. At the end it writes how many of each it sent, how long that took, and what came back. Linux.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.handshake.kem import KemPair
from p2pcall.proto.wire import PatternId, Suites
from p2pcall.types import Address

PAUSE_S = 0.002
MOST_AT_ONCE = 256
"""After a pause that was too long: a flood is steady, and what was missed beyond this is not made up for."""
RECEIVE_BYTES = 2048
LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do."""

    host: str
    port: int
    file: str
    count: int
    rate_per_s: float
    source: str
    forge: str | None = None
    """The first three numbers of invented source addresses; None: everything comes from `source`."""
    open_per_s: float = 0.0
    """So many of these are honest knocks from `source`; what follows from them comes on top."""

    @property
    def target(self) -> tuple[str, int]:
        return self.host, self.port


@dataclass(slots=True)
class Told:
    """What was done."""

    sent: int = 0
    opened: int = 0
    seconds: float = 0.0
    answers: int = 0
    refused: int = 0
    """By this side's own kernel."""


def write(path: Path, datagrams: list[bytes]) -> Path:
    """Keep datagrams in a file for `read`."""
    path.write_bytes(b"".join(LENGTH.pack(len(one)) + one for one in datagrams))
    return path


def read(path: Path) -> Iterator[bytes]:
    """What `write` has kept."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size + length
        yield data[at - length : at]


def forged(payload: bytes, source: str, port: int, target: Address) -> bytes:
    """An IPv4 packet; the kernel fills in what is zero, and a UDP checksum of zero is none."""
    udp = struct.pack(">HHHH", port, target[1], 8 + len(payload), 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(target[0])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0)
    return ip + addresses + udp + payload


class Openings:
    """The honest part: knocks, and initiations to those who send a cookie."""

    def __init__(self, out: socket.socket, plan: Plan) -> None:
        self._out, self._plan = out, plan
        self._kem = KemPair.generate(os.urandom).public

    def knock(self) -> None:
        """As a caller who does not know the key."""
        knock = wire.pack_knock(
            PatternId.XXHFS,
            Suites.CHACHAPOLY,
            int.from_bytes(os.urandom(4), "big"),
            os.urandom(c.TOKEN_BYTES),
            os.urandom(c.KNOCK_NONCE_BYTES),
            os.urandom(c.KNOCK_TIME_BYTES),
        )
        self._out.sendto(knock + os.urandom(c.MAC_BYTES), self._plan.target)

    def take(self, told: Told) -> None:
        """Answer the cookies that have come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self._out.recv(RECEIVE_BYTES)
                told.answers += 1
                answer = wire.parse_cookie(data)  # a response is longer
                if isinstance(answer, wire.Cookie):
                    self._initiate(answer)
                    told.opened += 1

    def _initiate(self, answer: wire.Cookie) -> None:
        index, offered = answer.receiver_index, Suites.CHACHAPOLY
        header = wire.pack_initiation_header(PatternId.XXHFS, offered, answer.chosen, index)
        whole = header + os.urandom(c.KEY_BYTES) + self._kem + os.urandom(c.COMMITMENT_BYTES)
        for part in wire.pack_parts(whole, offered, index, answer.cookie):
            self._out.sendto(part, self._plan.target)


def flood(plan: Plan, datagrams: list[bytes], out: socket.socket, raw: socket.socket) -> Told:
    """All of it, at the pace."""
    told, openings, number = Told(), Openings(out, plan), 0
    begun = last = time.monotonic()
    due, honest_due = 0.0, 0.0
    while told.sent < plan.count:
        time.sleep(PAUSE_S)
        now = time.monotonic()
        due = min(due + (now - last) * plan.rate_per_s, MOST_AT_ONCE)
        honest_due += (now - last) * plan.open_per_s
        last = now
        while due >= 1 and told.sent < plan.count:
            due, told.sent = due - 1, told.sent + 1
            if honest_due >= 1:
                honest_due -= 1
                openings.knock()
                continue
            payload = datagrams[number % len(datagrams)]
            number += 1
            try:
                if plan.forge is None:
                    out.sendto(payload, plan.target)
                else:
                    source, port = f"{plan.forge}.{number % 251 + 1}", 1024 + number % 60_000
                    raw.sendto(forged(payload, source, port, plan.target), plan.target)
            except OSError:
                told.refused += 1
        openings.take(told)
    told.seconds = time.monotonic() - begun
    openings.take(told)
    return told


def main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    datagrams = list(read(Path(plan.file)))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw,
    ):
        out.bind((plan.source, 0))
        out.setblocking(False)
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(asdict(flood(plan, datagrams, out, raw))), flush=True)


if __name__ == "__main__":
    main()
