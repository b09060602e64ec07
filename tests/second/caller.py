"""A second implementation of the calling side: `python caller.py HOST PORT OPTIONS`. It tells events as JSON.

Written from the manual page p2pcall-protocol(7) alone; imports the standard library, `cryptography` and its own
files. It dials, says what the words are, sends the Opus frames of a file as its voice, changes the keys if told
so, writes down the Opus frames that come, and hangs up after the last frame of its own.
"""

import argparse
import json
import select
import socket
import struct
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from handshake import AES, CHACHAPOLY, Dial, NewKeys, NotAuthentic, public_of
from line import ACCEPT, DECLINE, HANGUP, INVITE, RINGING, Line

WAITS_S = (0.25, 0.25, 0.5)
DIAL_S = 5.0
RING_S = 30.0
FRAME_S = 0.02
REPORT_FRAMES = 50
LINGER_S = 1.0


def tell(event: str, **fields: object) -> None:
    print(json.dumps({"v": 1, "event": event, **fields}), flush=True)


class Socket:
    """A connected UDP socket with waits."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((host, port))
        self._socket.setblocking(False)

    def send(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    def receive(self, until: float) -> bytes | None:
        """The next datagram; None when it is `until`."""
        ready, _, _ = select.select([self._socket], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        try:
            return self._socket.recv(2048)
        except ConnectionRefusedError:
            return None


def shake_hands(udp: Socket, dial: Dial, give_up_s: float) -> bool:
    """Knock, show the cookie, read the response. False: nobody answered."""
    deadline = time.monotonic() + give_up_s
    waits = iter((*WAITS_S, *[WAITS_S[-1]] * 20))
    out: list[bytes] = []
    due = 0.0
    while (now := time.monotonic()) < deadline:
        if now >= due:
            due = now + next(waits)
            for datagram in (*out, dial.knock()):
                udp.send(datagram)
        answer = udp.receive(min(due, deadline))
        if answer is None:
            continue
        if dial.take_cookie(answer):
            fresh, out = not out, dial.parts()
            for datagram in out if fresh else []:
                udp.send(datagram)
        else:
            try:
                if out and dial.take_response(answer):
                    return True
            except NotAuthentic:
                return False
    return False


class Call:
    """A call on a line."""

    def __init__(self, udp: Socket, dial: Dial, line: Line) -> None:
        self._udp = udp
        self._dial = dial
        self._line = line
        self._confirm_at = 0.0
        self._read = 0

    def step(self, until: float, *, voice_flows: bool = False) -> None:
        """Send what is due, and take what comes until then."""
        now = time.monotonic()
        if not self._line.up and now >= self._confirm_at:
            self._confirm_at = now + WAITS_S[0]
            self._udp.send(self._dial.confirmation)
        self._line.work(now, voice_flows=voice_flows)
        while (datagram := self._udp.receive(until)) is not None:
            self._line.receive(datagram, time.monotonic())
            self._line.work(time.monotonic(), voice_flows=voice_flows)

    def messages(self) -> list[tuple[int, bytes]]:
        """Those that have come since the last time."""
        new = self._line.heard[self._read :]
        self._read += len(new)
        return new

    def invite(self, name: str) -> bool:
        """Whether the other side answered."""
        encoded = name.encode()
        body = bytes((1, len(encoded))) + encoded
        self._line.message(INVITE, body, time.monotonic())
        deadline = time.monotonic() + RING_S
        while time.monotonic() < deadline:
            self.step(time.monotonic() + FRAME_S)
            for kind, body in self.messages():
                if kind == RINGING:
                    tell("ringing", name=body[1:].decode())
                elif kind == ACCEPT:
                    tell("accepted", name=body[2:].decode(), flags=body[0])
                elif kind in (DECLINE, HANGUP):
                    tell("refused", reason=body[0])
                    return False
                if kind == ACCEPT:
                    return True
        return False

    def talk(self, frames: list[bytes], new_keys_at: int, make: "MakeKeys") -> bool:
        """Send all frames, one each 20 ms. False: the other side has hung up."""
        line = self._line
        while not line.proven:
            self.step(time.monotonic() + FRAME_S)
        due = time.monotonic()
        for number, opus in enumerate(frames):
            if number == new_keys_at:
                line.rekey(make())
            if number % REPORT_FRAMES == 0:
                highest = struct.unpack_from(">I", line.sound[-1])[0] if line.sound else 0
                line.report(highest, len(line.sound))
            line.voice(opus, time.monotonic())
            due += FRAME_S
            self.step(due, voice_flows=True)
            if any(kind == HANGUP for kind, _ in self.messages()):
                return False
        return True

    def hang_up(self) -> bool:
        """Whether the goodbye arrived."""
        self._line.hang_up(time.monotonic())
        deadline = time.monotonic() + LINGER_S
        while not self._line.settled and time.monotonic() < deadline:
            self.step(time.monotonic() + FRAME_S)
        return self._line.settled


class MakeKeys:
    """Makes the handshake of a new epoch."""

    def __init__(self, static: X25519PrivateKey, dial: Dial, line: Line) -> None:
        self._static, self._dial, self._line = static, dial, line

    def __call__(self) -> NewKeys:
        suite = AES if "AESGCM" in self._dial.protocol else CHACHAPOLY
        return NewKeys(self._static, self._dial.remote_static, suite, self._line.keys)


def newest_frames(payloads: list[bytes]) -> dict[int, bytes]:
    """The Opus frames of AUDIO payloads by number, copies included."""
    found: dict[int, bytes] = {}
    for payload in payloads:
        seq, _, count = struct.unpack_from(">IIB", payload)
        at = 9
        for _ in range(count):
            distance, length = struct.unpack_from(">BH", payload, at)
            found.setdefault(seq - distance, payload[at + 3 : at + 3 + length])
            at += 3 + length
        assert at == len(payload)
    return found


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--name", default="carol")
    parser.add_argument("--static", help="own private key, in hexadecimal", required=True)
    parser.add_argument("--expect", help="the other side's public key: then the pattern is IKhfs")
    parser.add_argument("--give-up", type=float, default=DIAL_S, help="seconds without an answer")
    parser.add_argument("--offer", type=int, default=AES | CHACHAPOLY)
    parser.add_argument("--voice", type=Path, help="Opus frames, one a line in hexadecimal", required=True)
    parser.add_argument("--heard", type=Path, help="where to write those that come", required=True)
    parser.add_argument("--new-keys-at", type=int, default=-1, help="at which frame the keys are changed")
    return parser.parse_args()


def main() -> int:
    given = options()
    static = X25519PrivateKey.from_private_bytes(bytes.fromhex(given.static))
    expected = None if given.expect is None else bytes.fromhex(given.expect)
    udp = Socket(given.host, given.port)
    dial = Dial(static, given.offer, expected)
    if not shake_hands(udp, dial, given.give_up):
        tell("failed")
        return 3
    assert dial.keys is not None
    line = Line(dial.keys, time.monotonic(), udp.send)
    tell(
        "connected",
        words=dial.words,
        protocol=dial.protocol,
        call=dial.keys.handshake_hash[:4].hex(),
        remote=dial.remote_static.hex(),
        own=public_of(static).hex(),
    )
    call = Call(udp, dial, line)
    if not call.invite(given.name):
        return 4
    frames = [bytes.fromhex(text) for text in given.voice.read_text().split()]
    stayed = call.talk(frames, given.new_keys_at, MakeKeys(static, dial, line))
    arrived = call.hang_up() if stayed else False
    heard = newest_frames(line.sound)
    given.heard.write_text("".join(f"{heard[seq].hex()}\n" for seq in sorted(heard)))
    strange = sorted(name for name in sys.modules if name.split(".")[0] in ("p2pcall", "nacl"))
    tell(
        "ended",
        stayed=stayed,
        arrived=arrived,
        epochs=line.rekeyed,
        packets=len(line.sound),
        round_trip_s=line.round_trip_s,
        imported=strange,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
